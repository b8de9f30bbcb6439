"""Compressed rows in which an entry that is not stored is missing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, cast
from ..kernels import rows as kernels
from ..kernels.coordinates import Coordinates
from ..kernels.threads import over_rows
from .base import Block, Prediction, Weighted


@dataclass(frozen=True)
class SparseData(Block):
    """Stored entries: row i owns ``indptr[i]:indptr[i + 1]`` of ``values`` and of ``indices``, their columns.

    Explicit zeros are observed zeros.  A prediction is the vector of its values at the stored entries.
    """

    values: Array
    indices: Array
    indptr: Array
    n_columns: int
    sample_axis: int = 0
    omega = None
    # The fields that hold a number for each stored entry.
    _numbers: ClassVar[tuple[str, ...]] = ("values",)
    # The weights as kernels take them: a single one serves all.
    _kernel_weights: ClassVar[Array] = np.ones(1, np.uint8)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of this view."""
        return len(self.indptr) - 1, self.n_columns

    @property
    def columns(self) -> Array:
        """Those of the stored entries."""
        return self.indices

    @property
    def pattern(self) -> tuple[Array, Array] | None:
        """What is stored is what was observed."""
        return self.indptr.copy(), self.indices.copy()

    @cached_property
    def T(self) -> Self:
        """The same entries in compressed columns."""
        turned = {name: self._matrix(getattr(self, name)).tocsc() for name in self._numbers}
        pattern, numbers = turned["values"], {name: matrix.data for name, matrix in turned.items()}
        axis, n = 1 - self.sample_axis, self.shape[0]
        return replace(self, indices=pattern.indices, indptr=pattern.indptr, n_columns=n, sample_axis=axis, **numbers)

    def take(self, rows: slice | Array) -> Self:
        """The data of some rows: views of the entries for a slice, copies for an index array."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(self.shape[0])
            span = slice(self.indptr[start], self.indptr[max(start, stop)])
            indptr = self.indptr[start : stop + 1] - self.indptr[start]
        else:
            rows = np.flatnonzero(rows) if rows.dtype == bool else rows
            lengths = np.diff(self.indptr)[rows]
            indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(self.indptr.dtype)
            span = np.arange(indptr[-1]) + np.repeat(self.indptr[rows] - indptr[:-1], lengths)
        numbers = {name: getattr(self, name)[span] for name in self._numbers}
        return replace(self, indices=self.indices[span], indptr=indptr, **numbers)

    def predict(self, A: Array, B: Array) -> Array:
        """(A B)_ij at the stored entries, in the precision of the factors."""
        out = np.empty(self.n_entries, A.dtype)
        columns = np.ascontiguousarray(B.T)
        self._over_rows(kernels.sampled_product, A.shape[1], A, columns, self.indptr, self.indices, out)
        return out

    def per_sample(self, d: Array) -> Array:
        """The number of each stored entry's sample."""
        return np.repeat(d, np.diff(self.indptr)) if self.sample_axis == 0 else d[self.indices]

    def times(self, T: Array, C: Array) -> Array:
        """(omega T) C."""
        return self._matrix(self.weighted(T)) @ C

    def rtimes(self, A: Array, T: Array) -> Array:
        """A' (omega T)."""
        return (self._matrix(self.weighted(T)).T @ A).T

    def sum_rows(self, E: Array) -> Array:
        """sum of omega E of each row."""
        return self._matrix(self.weighted(E)).sum(axis=1)

    def reweighted(self, w: Array) -> SparseData:
        """Entry weights w."""
        w = cast(w, self.dtype)
        return WeightedSparseData(self.values, self.indices, self.indptr, self.n_columns, self.sample_axis, omega=w)

    def squared_norms(self, P: Array) -> Array:
        """sum_j omega_ij (X_ij - P_ij)^2 of each row, in float64."""
        out = np.empty(self.shape[0])
        args = self.values, self.entries(P), self._kernel_weights, self.indptr, out
        self._over_rows(kernels.sparse_squared_norms, 1, *args)
        return out

    def energies(self, P: Array) -> Array:
        """sum_j omega_ij P_ij^2 of each row."""
        return self._matrix(self.weighted(P) * P).sum(axis=1)

    def clipped_sums(self, P: Array, c: Array, out: Array | None = None, active: Array | None = None) -> Array:
        """(A, B, C) of each (active) row, see `ResidualView.clipped_sums`."""
        n = self.shape[0]
        out = np.empty((3, n)) if out is None else out
        active = np.ones(n, bool) if active is None else active
        args = self.values, self.entries(P), self._kernel_weights, self.indptr, c.astype(self.dtype), active, out
        self._over_rows(kernels.sparse_clipped_sums, 2, *args)
        return out

    def descend(
        self, A: Array, B: Array, T: Prediction, P: Prediction, u: Array, v: Array, penalty: Coordinates, n_passes: int
    ) -> None:
        """Coordinate descent on the rows of A, each over its own stored entries."""
        columns = np.ascontiguousarray(B.T)
        args = A, columns, T, P, self._kernel_weights, self.indptr, self.indices, u, v
        self._over_rows(kernels.sparse_descend_rows, 3 * A.shape[1] * n_passes, *args, *penalty, n_passes)

    def _over_rows(self, kernel: object, work_per_entry: float, *args: object) -> None:
        """Share the rows so that each thread has about the same number of entries."""
        over_rows(kernel, self.shape[0], work_per_entry * self.n_entries + self.shape[0], *args, load=self.indptr)

    def _matrix(self, E: Array) -> sparse.csr_array:
        """Entries as a matrix, nothing copied."""
        return sparse.csr_array((E, self.indices, self.indptr), shape=self.shape, copy=False)

    @cached_property
    def counts(self) -> Array:
        """How many entries of each row are stored."""
        return np.diff(self.indptr)

    @cached_property
    def column_counts(self) -> Array:
        """How many entries of each column are stored."""
        return np.bincount(self.indices, minlength=self.n_columns)

    def positive(self, axis: int) -> Array:
        """Whether a row (axis 0) or column (axis 1) has an observed entry above 0."""
        seen = self._matrix((self.weighted(self.values) > 0).astype(np.int64))
        return seen.sum(axis=1 - axis) > 0


@dataclass(frozen=True)
class WeightedSparseData(Weighted, SparseData):
    """Stored entries with a weight each."""

    omega: Array = field(kw_only=True)
    _numbers: ClassVar[tuple[str, ...]] = ("values", "omega")

    @property
    def _kernel_weights(self) -> Array:
        return self.omega

    @cached_property
    def counts(self) -> Array:
        """How many entries of each row carry weight."""
        return self._matrix((self.omega > 0).astype(np.int64)).sum(axis=1)

    @cached_property
    def column_counts(self) -> Array:
        """How many entries of each column carry weight."""
        return np.bincount(self.indices[self.omega > 0], minlength=self.n_columns)
