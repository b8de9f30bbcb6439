"""Compressed rows in which an entry that is not stored is an observed zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ..arrays.namespaces import Array
from ..kernels import rows as kernels
from ..kernels.coordinates import Coordinates
from ..kernels.threads import over_rows
from .base import Prediction
from .sparse import SparseData, WeightedSparseData

# Less than this share of a sum, a difference has lost ten of its sixteen digits.
_DROWNED = 1e-6
# Entries that are written out at once.
_BLOCK = 1 << 20


class LowRankPlusSparse(NamedTuple):
    """``scale A B`` everywhere, plus ``extra`` at the stored entries; ``stored`` is the sum of both there.

    ``scale`` is one number a sample: 1 for a prediction, what an adversary leaves of it for a target.
    """

    A: Array
    B: Array
    scale: Array | None
    extra: Array | None
    stored: Array


@dataclass(frozen=True)
class ZeroFilledData(SparseData):
    """All entries observed, those not stored as zero.

    Sums over the zeros are sums over everything, which the Gram matrix of the components gives, minus sums over the
    stored entries: no array of the data's full shape is made.
    """

    entries_are_all: ClassVar[bool] = False
    complete: ClassVar[bool] = True
    # Absent entries were observed too.
    pattern: ClassVar[None] = None

    def predict(self, A: Array, B: Array) -> LowRankPlusSparse:
        """A B, with its values at the stored entries."""
        return LowRankPlusSparse(A, B, None, None, super().predict(A, B))

    def entries(self, P: LowRankPlusSparse) -> Array:
        """The prediction at the stored entries."""
        return P.stored

    def raised_to(self, P: LowRankPlusSparse, c: Array) -> LowRankPlusSparse:
        """max(X, c P): c P on the zeros."""
        return self._target(P, c.astype(self.dtype), super().raised_to(P, c))

    def target(self, P: LowRankPlusSparse) -> LowRankPlusSparse:
        """X itself, missing entries filled."""
        return self._target(P, np.zeros(self._n_samples, self.dtype), self.values)

    def _target(self, P: LowRankPlusSparse, c: Array, stored: Array) -> LowRankPlusSparse:
        stored = self._filled(stored, P)
        return LowRankPlusSparse(P.A, P.B, c, stored - self.per_sample(c) * P.stored, stored)

    def _filled(self, stored: Array, P: LowRankPlusSparse) -> Array:
        """Stored entries of a target: none is missing."""
        return stored

    @property
    def _n_samples(self) -> int:
        return self.shape[self.sample_axis]

    def times(self, T: LowRankPlusSparse, C: Array) -> Array:
        """T C, missing entries filled."""
        if T.scale is None:
            return T.A @ (T.B @ C)
        sparse_part = self._matrix(T.extra) @ C
        if not T.scale.any():
            return sparse_part
        if self.sample_axis == 0:
            return T.scale[:, None] * (T.A @ (T.B @ C)) + sparse_part
        return T.A @ (T.B @ (T.scale[:, None] * C)) + sparse_part

    def rtimes(self, A: Array, T: LowRankPlusSparse) -> Array:
        """A' T, missing entries filled (in the view with samples as rows)."""
        if T.scale is None:
            return (A.T @ T.A) @ T.B
        sparse_part = (self._matrix(T.extra).T @ A).T
        return ((T.scale[:, None] * A).T @ T.A) @ T.B + sparse_part if T.scale.any() else sparse_part

    def energies(self, P: LowRankPlusSparse) -> Array:
        """sum_j P_ij^2 of each row: a_i (B B') a_i'."""
        return self._all_energies(P)

    def _zero_energies(self, P: LowRankPlusSparse, beside: Array | float = 0) -> Array:
        """sum_j P_ij^2 of each row over the entries that are not stored, to be added to `beside`."""
        return self._less(P, np.ones(self.n_entries, bool), beside)

    def _all_energies(self, P: LowRankPlusSparse) -> Array:
        A, B = P.A.astype(np.float64), P.B.astype(np.float64)
        return np.einsum("ik,ik->i", A @ (B @ B.T), A)

    def _less(self, P: LowRankPlusSparse, these: Array, beside: Array | float = 0) -> Array:
        """sum_j P_ij^2 of each row without these stored entries, in float64.

        A difference of sums, which drowns a good fit in rounding: rows where little is left, of what it is to be added
        to too, are summed entry by entry.
        """
        A, B = P.A.astype(np.float64), P.B.astype(np.float64)
        rest = self._all_energies(P) - self._matrix(these * np.square(super().predict(A, B))).sum(axis=1)
        terms = np.square(np.abs(A) @ np.linalg.norm(B, axis=1))
        drowned = np.flatnonzero(rest + beside < _DROWNED * terms)
        if drowned.size:
            rest[drowned] = self._summed(A, B, these, drowned)
        return rest

    def _summed(self, A: Array, B: Array, these: Array, rows: Array) -> Array:
        """sum_j P_ij^2 of some rows without these stored entries, entry by entry, in blocks of rows."""
        left_out = self._matrix(these.astype(np.float64))
        sums = [
            np.square(np.where(left_out[block].toarray() > 0, 0, A[block] @ B)).sum(axis=1)
            for block in np.array_split(rows, -(-rows.size * B.shape[1] // _BLOCK))
        ]
        return np.concatenate(sums)

    def squared_norms(self, P: LowRankPlusSparse) -> Array:
        """sum_j (X_ij - P_ij)^2 of each row."""
        stored = super().squared_norms(P)
        return stored + self._zero_energies(P, stored)

    def clipped_sums(
        self, P: LowRankPlusSparse, c: Array, out: Array | None = None, active: Array | None = None
    ) -> Array:
        """(A, B, C) of each row: every zero is clipped, as c P > 0 there (or both are 0 and it does not count)."""
        fresh = super().clipped_sums(P, c)
        zeros = self._zero_energies(P)
        fresh[0] += np.where(c > 0, 0, zeros)
        fresh[1] += np.where(c > 0, zeros, 0)
        if out is None:
            return fresh
        active = np.ones(len(c), bool) if active is None else active
        out[:, active] = fresh[:, active]
        return out

    def descend(
        self, A: Array, B: Array, T: Prediction, P: Prediction, u: Array, v: Array, penalty: Coordinates, n_passes: int
    ) -> None:
        """Coordinate descent on the rows of A, which share one Gram matrix."""
        n, K = A.shape
        wB = B * v
        C = self.times(T, np.ascontiguousarray(wB.T))
        work = n * K * K * (n_passes + 1)
        over_rows(kernels.descend_gram, n, work, A, wB @ B.T, C, u, *penalty, n_passes)

    @property
    def counts(self) -> Array:
        """All entries but the missing ones."""
        return self.n_columns - self._missing(1)

    @property
    def column_counts(self) -> Array:
        """All entries but the missing ones."""
        return self.shape[0] - self._missing(0)

    def _missing(self, axis: int) -> Array:
        """How many entries of each row or column are missing: none."""
        return np.zeros(self.shape[1 - axis], np.int64)

    @property
    def total_weight(self) -> float:
        """How many entries were observed, zeros included."""
        return int(self.counts.sum())

    def value_range(self) -> tuple[float, float]:
        """Smallest and largest observed value."""
        low, high = super().value_range() if len(self.values) else (0.0, 0.0)
        return (0.0, max(high, 0.0)) if self.total_weight > self.n_entries else (low, high)


@dataclass(frozen=True)
class ZeroFilledWithHoles(ZeroFilledData, WeightedSparseData):
    """The same, where a stored entry of weight 0 (a NaN of the user's) is missing.

    It is filled with its prediction, which makes the quadratic of complete data touch the masked one from above
    (expectation maximisation).
    """

    complete: ClassVar[bool] = False

    def _filled(self, stored: Array, P: LowRankPlusSparse) -> Array:
        return np.where(self.omega > 0, stored, P.stored)

    def energies(self, P: LowRankPlusSparse) -> Array:
        """sum_j P_ij^2 of each row over the observed entries."""
        return self._less(P, self.omega == 0)

    def _missing(self, axis: int) -> Array:
        return self._matrix((self.omega == 0).astype(np.int64)).sum(axis=axis)
