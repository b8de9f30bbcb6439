"""Observed data: what was measured, and the algebra that only looks there.

`DenseData` holds an array and ``omega``, the mask times the entry weights: None (everything observed once), an array of
0/1 bytes (a mask) or an array of nonnegative reals.  Values off the mask are zero and never read for their value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import kernels

# Rows are handled in blocks of about this many entries: a block's prediction then stays in cache, and no array of the
# size of the data is ever made for it.
_BLOCK_ENTRIES = 2**20


@dataclass(frozen=True)
class DenseData:
    """An array with a mask.  Samples lie along `sample_axis`: 0, or 1 in the transposed view of feature updates."""

    values: np.ndarray
    omega: np.ndarray | None = None
    sample_axis: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of this view."""
        return self.values.shape

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64: what everything is computed in."""
        return self.values.dtype

    @cached_property
    def T(self) -> DenseData:
        """The transposed data, contiguous along its rows."""
        omega = None if self.omega is None else np.ascontiguousarray(self.omega.T)
        return DenseData(np.ascontiguousarray(self.values.T), omega, 1 - self.sample_axis)

    def take(self, rows: slice | np.ndarray) -> DenseData:
        """The data of some rows: a view for a slice, a copy for an index array."""
        return DenseData(self.values[rows], None if self.omega is None else self.omega[rows], self.sample_axis)

    def blocks(self) -> Iterator[tuple[slice, DenseData]]:
        """Runs of rows with their data."""
        n, m = self.shape
        step = max(1, _BLOCK_ENTRIES // max(1, m))
        for start in range(0, n, step):
            rows = slice(start, min(n, start + step))
            yield rows, self.take(rows)

    def weighted(self, E: np.ndarray) -> np.ndarray:
        """omega * E, zero where nothing was observed."""
        if self.omega is None or (E is self.values and self.omega.dtype == np.uint8):
            return E
        out = np.empty_like(E)
        kernels.over_rows(kernels.weighted, len(E), E.size, E, self.omega, out)
        return out

    def per_sample(self, d: np.ndarray) -> np.ndarray:
        """One number a sample, shaped to multiply observed values."""
        return d[:, None] if self.sample_axis == 0 else d

    def squared_norms(self, P: np.ndarray) -> np.ndarray:
        """sum_j omega_ij (X_ij - P_ij)^2 of each row, in float64."""
        out = np.empty(len(P))
        kernels.over_rows(kernels.squared_norms, len(P), P.size, self.values, P, self._omega_array, out)
        return out

    def clipped_sums(
        self, P: np.ndarray, c: np.ndarray, out: np.ndarray | None = None, active: np.ndarray | None = None
    ) -> np.ndarray:
        """(A, B, C) of each (active) row in float64, split at the entries with ``c_i P_ij > X_ij``.

        A = sum of omega (X - P)^2 over the others;  B = sum of omega P^2,  C = sum of omega X^2 over these.
        """
        out = np.empty((3, len(P))) if out is None else out
        active = np.ones(len(P), bool) if active is None else active
        args = self.values, P, self._omega_array, c.astype(self.dtype), active, out
        kernels.over_rows(kernels.clipped_sums, len(P), 2 * P.size, *args)
        return out

    @property
    def _omega_array(self) -> np.ndarray:
        """Omega as kernels take it: one broadcast row of ones where everything was observed once."""
        return np.ones((1, self.shape[1]), np.uint8) if self.omega is None else self.omega

    @cached_property
    def counts(self) -> np.ndarray:
        """How many entries of each row carry weight."""
        return self._count(axis=1)

    @cached_property
    def column_counts(self) -> np.ndarray:
        """How many entries of each column carry weight."""
        return self._count(axis=0)

    def _count(self, axis: int) -> np.ndarray:
        if self.omega is None:
            return np.full(self.shape[1 - axis], self.shape[axis])
        return np.count_nonzero(self.omega, axis=axis)

    @cached_property
    def mean(self) -> float:
        """Weighted mean of the observed values; 0 if there are none."""
        total = self.values.size if self.omega is None else self.omega.sum(dtype=np.float64)
        return float(self.weighted(self.values).sum(dtype=np.float64) / total) if total > 0 else 0.0
