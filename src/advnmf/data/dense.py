"""Dense data with a mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .. import kernels
from ..namespaces import Array
from .base import ObservedData


class Product:
    """A B, multiplied out only where somebody looks at its entries: its products with a factor do not need them."""

    def __init__(self, A: Array, B: Array) -> None:
        self.A, self.B = A, B

    @cached_property
    def dense(self) -> Array:
        """The array."""
        return self.A @ self.B


@dataclass(frozen=True)
class DenseData(ObservedData):
    """An array; ``omega`` is None (all observed once), 0/1 bytes (a mask) or nonnegative reals (weights).

    Values off the mask are zero and never read for their value.
    """

    values: Array
    omega: Array | None = None
    sample_axis: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of this view."""
        return self.values.shape

    @property
    def n_entries(self) -> int:
        """Every entry is touched."""
        return self.values.size

    @cached_property
    def T(self) -> DenseData:
        """The transposed data, contiguous along its rows."""
        return DenseData(np.ascontiguousarray(self.values.T), self._omega_T, 1 - self.sample_axis)

    @cached_property
    def _omega_T(self) -> Array | None:
        return None if self.omega is None else np.ascontiguousarray(self.omega.T)

    def take(self, rows: slice | Array) -> DenseData:
        """The data of some rows: a view for a slice, a copy for an index array."""
        return DenseData(self.values[rows], None if self.omega is None else self.omega[rows], self.sample_axis)

    def with_values(self, values: Array) -> DenseData:
        """The same mask over other values; what was transposed of it is shared."""
        other = replace(self, values=values)
        if "_omega_T" in vars(self):
            vars(other)["_omega_T"] = self._omega_T
        return other

    def predict(self, A: Array, B: Array) -> Array | Product:
        """A B; not yet multiplied out on complete data."""
        return Product(A, B) if self.omega is None else A @ B

    def entries(self, P: Array | Product) -> Array:
        """The prediction as an array."""
        return P.dense if isinstance(P, Product) else P

    def per_sample(self, d: Array) -> Array:
        """A column, or a row in the transposed view."""
        return d[:, None] if self.sample_axis == 0 else d

    def restrict(self, E: Array) -> Array:
        """Zero off the mask."""
        return E if self.omega is None else E * (self.omega > 0)

    def weighted(self, E: Array) -> Array:
        """omega E."""
        if self.omega is None or (E is self.values and self.omega.dtype == np.uint8):
            return E
        out = np.empty_like(E)
        kernels.over_rows(kernels.weighted, len(E), E.size, E, self.omega, out)
        return out

    def clip(self, P: Array | Product, c: Array) -> Array:
        """max(X, c P)."""
        T = self.entries(P) * self.per_sample(c.astype(self.dtype))
        return np.maximum(self.values, T, out=T)

    def times(self, T: Array | Product, C: Array) -> Array:
        """(omega T) C."""
        if self.omega is None and isinstance(T, Product):
            return T.A @ (T.B @ C)
        return self.weighted(self.entries(T)) @ C

    def rtimes(self, A: Array, T: Array | Product) -> Array:
        """A' (omega T)."""
        if self.omega is None and isinstance(T, Product):
            return (A.T @ T.A) @ T.B
        return A.T @ self.weighted(self.entries(T))

    def sum_rows(self, E: Array) -> Array:
        """sum_j omega_ij E_ij of each row."""
        return E.sum(axis=1) if self.omega is None else np.einsum("ij,ij->i", E, self.omega)

    def reweighted(self, w: Array) -> DenseData:
        """Entry weights omega w."""
        w = w.astype(self.dtype)
        return replace(self, omega=w if self.omega is None else w * self.omega)

    def observed_entries(self, E: Array) -> Array:
        """Entries of positive weight."""
        return E.ravel() if self.omega is None else E[self.omega > 0]

    def squared_norms(self, P: Array | Product) -> Array:
        """sum_j omega_ij (X_ij - P_ij)^2 of each row, in float64."""
        P = self.entries(P)
        out = np.empty(len(P))
        kernels.over_rows(kernels.squared_norms, len(P), P.size, self.values, P, self._omega_array, out)
        return out

    def energies(self, P: Array | Product) -> Array:
        """sum_j omega_ij P_ij^2 of each row."""
        if self.omega is None and isinstance(P, Product):
            return np.einsum("ik,ik->i", P.A @ (P.B @ P.B.T), P.A)
        P = self.entries(P)
        return np.einsum("ij,ij->i", P, self.weighted(P))

    def clipped_sums(
        self, P: Array | Product, c: Array, out: Array | None = None, active: Array | None = None
    ) -> Array:
        """(A, B, C) of each (active) row, see `Groups.clipped_sums`."""
        P = self.entries(P)
        out = np.empty((3, len(P))) if out is None else out
        active = np.ones(len(P), bool) if active is None else active
        args = self.values, P, self._omega_array, c.astype(self.dtype), active, out
        kernels.over_rows(kernels.clipped_sums, len(P), 2 * P.size, *args)
        return out

    def descend(
        self,
        A: Array,
        B: Array,
        T: Array,
        P: Array | Product,
        row_weight: Array,
        column_weight: Array,
        l1: float,
        l2: float,
        n_passes: int,
    ) -> None:
        """Coordinate descent on the rows of A; on complete data all rows share one Gram matrix."""
        (n, K), m = A.shape, B.shape[1]
        if self.omega is None:
            wB = B * column_weight
            work = n * K * K * (n_passes + 1)
            kernels.over_rows(kernels.descend_gram, n, work, A, wB @ B.T, T @ wB.T, row_weight, l1, l2, n_passes)
        else:
            P = self.entries(P)
            work = 2 * n * K * m * n_passes
            kernels.over_rows(
                kernels.descend_rows, n, work, A, B, T, P, self.omega, row_weight, column_weight, l1, l2, n_passes
            )

    @property
    def _omega_array(self) -> Array:
        """Omega as kernels take it: one shared row of ones where everything was observed once."""
        return np.ones((1, self.shape[1]), np.uint8) if self.omega is None else self.omega

    @cached_property
    def counts(self) -> Array:
        """How many entries of each row carry weight."""
        return self._count(axis=1)

    @cached_property
    def column_counts(self) -> Array:
        """How many entries of each column carry weight."""
        return self._count(axis=0)

    def _count(self, axis: int) -> Array:
        if self.omega is None:
            return np.full(self.shape[1 - axis], self.shape[axis])
        return np.count_nonzero(self.omega, axis=axis)

    @cached_property
    def mean(self) -> float:
        """Weighted mean of the observed values; 0 if there are none."""
        total = self.values.size if self.omega is None else self.omega.sum(dtype=np.float64)
        return float(self.weighted(self.values).sum(dtype=np.float64) / total) if total > 0 else 0.0

    def positive(self, axis: int) -> Array:
        """Whether a row (axis 0) or column (axis 1) has an observed entry above 0."""
        return self.values.any(axis=1 - axis)

    def value_range(self) -> tuple[float, float]:
        """Smallest and largest observed value."""
        seen = self.values if self.omega is None else self.values[self.omega > 0]
        return float(seen.min()), float(seen.max())
