"""Dense data with a mask."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array
from ..kernels import rows as kernels
from ..kernels.coordinates import Coordinates
from ..kernels.threads import over_rows
from .base import ObservedData


class Product:
    """A B as a fit to complete data X, multiplied out only where somebody looks at its entries.

    What a sweep wants is in products with the factors: X B' and B B'.
    """

    def __init__(self, X: Array, A: Array, B: Array) -> None:
        self.X, self.A, self.B = X, A, B

    @cached_property
    def dense(self) -> Array:
        """The array."""
        return self.A @ self.B

    @cached_property
    def cross(self) -> Array:
        """X B'."""
        return self.X @ self.B.T

    @cached_property
    def gram(self) -> Array:
        """B B'."""
        return self.B @ self.B.T

    @cached_property
    def pulled(self) -> Array:
        """A B B'."""
        return self.A @ self.gram

    def squared_norms(self, energies: Array) -> Array:
        """|x - a B|^2 = |x|^2 - 2 <a, x B'> + a B B' a' of each row, where little of it cancels.

        Where the fit is better than that, the differences themselves are squared.
        """
        terms = self.pulled - 2 * self.cross
        norms = energies + np.einsum("ik,ik->i", self.A, terms, dtype=np.float64)
        close = norms < _CANCELLED[self.X.dtype] * energies
        if close.any():
            X, P = (self.X, self.dense) if close.all() else (self.X[close], self.A[close] @ self.B)
            exact = np.empty(len(X))
            over_rows(kernels.squared_norms, len(X), X.size, X, P, np.ones((1, X.shape[1]), np.uint8), exact)
            norms[close] = exact
        return norms


# Below this share of |x|^2 rounding of the three terms would show in the fifth digit of their sum.
_CANCELLED = {np.dtype(np.float32): 1e-2, np.dtype(np.float64): 1e-8}
# Blocks of complete data have so many rows at least that B B' is a small part of their products.
_MIN_ROWS = 256


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
        part = DenseData(self.values[rows], None if self.omega is None else self.omega[rows], self.sample_axis)
        if self.omega is None:
            vars(part)["_row_energies"] = self._row_energies[rows]  # once for all blocks and sweeps
        return part

    @property
    def block_rows(self) -> int:
        """Rows of a block; more of complete data, as no pass over their entries is made."""
        return super().block_rows if self.omega is not None else max(_MIN_ROWS, super().block_rows)

    @cached_property
    def _row_energies(self) -> Array:
        """|x|^2 of each row."""
        return np.einsum("ij,ij->i", self.values, self.values, dtype=np.float64)

    def with_values(self, values: Array) -> DenseData:
        """The same mask over other values; what was transposed of it is shared."""
        other = replace(self, values=values)
        if "_omega_T" in vars(self):
            vars(other)["_omega_T"] = self._omega_T
        return other

    def predict(self, A: Array, B: Array) -> Array | Product:
        """A B; not yet multiplied out on complete data."""
        return Product(self.values, A, B) if self.omega is None else A @ B

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
        over_rows(kernels.weighted, len(E), E.size, E, self.omega, out)
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

    def code_gradients(self, T: Array | Product, P: Array | Product, B: Array) -> tuple[Array, Array]:
        """(omega T) B' and (omega P) B'; a Product that has looked at X knows them."""
        if self.omega is None and T is self.values:
            return P.cross, P.pulled
        return super().code_gradients(T, P, B)

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
        if self.omega is None and isinstance(P, Product) and "dense" not in vars(P):
            return P.squared_norms(self._row_energies)
        P = self.entries(P)
        out = np.empty(len(P))
        over_rows(kernels.squared_norms, len(P), P.size, self.values, P, self._omega_array, out)
        return out

    def errors(self, P: Array, b: Array) -> tuple[Array, Array]:
        """omega (P + b - X), and sum_j omega_ij (P_ij + b_j - X_ij)^2 of each row; P is used up."""
        squares = np.empty(len(P))
        over_rows(kernels.errors, len(P), P.size, self.values, P, b, self._omega_array, squares)
        return P, squares

    def residuals(self, P: Array) -> tuple[Array, Array]:
        """X - P, and sum_j omega_ij (X_ij - P_ij)^2 of each row; P is used up."""
        squares = np.empty(len(P))
        over_rows(kernels.residuals, len(P), P.size, self.values, P, self._omega_array, squares)
        return P, squares

    @property
    def complete(self) -> bool:
        """Nothing is missing, and nothing weighted."""
        return self.omega is None

    def energies(self, P: Array | Product) -> Array:
        """sum_j omega_ij P_ij^2 of each row."""
        if self.omega is None and isinstance(P, Product):
            return np.einsum("ik,ik->i", P.pulled, P.A)
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
        over_rows(kernels.clipped_sums, len(P), 2 * P.size, *args)
        return out

    def descend(
        self,
        A: Array,
        B: Array,
        T: Array,
        P: Array | Product,
        row_weight: Array,
        column_weight: Array,
        penalty: Coordinates,
        n_passes: int,
    ) -> None:
        """Coordinate descent on the rows of A; on complete data all rows share one Gram matrix."""
        (n, K), m = A.shape, B.shape[1]
        if self.omega is None:
            wB = B * column_weight
            work = n * K * K * (n_passes + 1)
            # Features without weights of their own: the objective has had this product already.
            C = P.cross if T is self.values and (column_weight == 1).all() else T @ wB.T
            over_rows(kernels.descend_gram, n, work, A, wB @ B.T, C, row_weight, *penalty, n_passes)
        else:
            P = self.entries(P)
            work = 2 * n * K * m * n_passes
            over_rows(
                kernels.descend_rows, n, work, A, B, T, P, self.omega, row_weight, column_weight, *penalty, n_passes
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
