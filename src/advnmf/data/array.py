"""Data that fill an array: in any array namespace and on any device, and with compiled kernels in NumPy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, namespace, on_cpu, to_numpy, wide
from ..kernels import rows as kernels
from ..kernels.threads import over_rows
from .base import Block, ObservedData, Prediction

# On an accelerator a block is to keep all of it busy; what is bounded is the memory that predictions take.
_ACCELERATOR_ENTRIES = 2**26


# Below this share of |x|^2 rounding of the three terms would show in the fifth digit of their sum.
_CANCELLED = {np.dtype(np.float32): 1e-2, np.dtype(np.float64): 1e-8}


class Product:
    """A B as a fit to complete data X, multiplied out only where its entries are needed.

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


class ArrayData(Block):
    """An array, in the functions of the array API standard.  Values off the mask are zero and never read.

    Nothing leaves the device while factors are multiplied; `counts`, `column_counts` and `positive` are NumPy's, for
    messages.
    """

    columns: ClassVar[slice] = slice(None)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of this view."""
        return self.values.shape

    @property
    def block_entries(self) -> int:
        """More on an accelerator."""
        return ObservedData.block_entries if on_cpu(self.values) else _ACCELERATOR_ENTRIES

    def predict(self, A: Array, B: Array) -> Prediction:
        """A B."""
        return A @ B

    def entries(self, P: Array | Product) -> Array:
        """The prediction as an array; a `Product` is that of complete data, which may have got weights since."""
        return P.dense if isinstance(P, Product) else P

    def per_sample(self, d: Array) -> Array:
        """A column, or a row in the transposed view."""
        return d[:, None] if self.sample_axis == 0 else d

    def times(self, T: Prediction, C: Array) -> Array:
        """(omega T) C."""
        return self.weighted(self.entries(T)) @ C

    def rtimes(self, A: Array, T: Prediction) -> Array:
        """A' (omega T)."""
        return A.T @ self.weighted(self.entries(T))

    def sum_rows(self, E: Array) -> Array:
        """sum_j omega_ij E_ij of each row."""
        return namespace(E).sum(self.weighted(E), axis=1, dtype=wide(E))

    def errors(self, P: Array, b: Array) -> tuple[Array, Array]:
        """omega (P + b - X), and sum_j omega_ij (P_ij + b_j - X_ij)^2 of each row; P may be used up."""
        E = P + b - self.values
        D = self.weighted(E)
        return D, namespace(E).sum(D * E, axis=1, dtype=wide(E))

    def descend(self, *args: object) -> None:
        """Refused: it is compiled for NumPy."""
        raise TypeError("coordinate descent (solver='hals') is compiled for NumPy arrays: use solver='mu'")

    def positive(self, axis: int) -> np.ndarray:
        """Whether a row (axis 0) or column (axis 1) has an observed entry above 0."""
        return to_numpy(namespace(self.values).any(self.values > 0, axis=1 - axis))


class DenseData(ArrayData):
    """A NumPy array: sums over its rows are compiled."""

    _kernel_weights: Array  # omega, or one row of it that serves all

    def squared_norms(self, P: Prediction) -> Array:
        """sum_j omega_ij (X_ij - P_ij)^2 of each row, in float64."""
        P = self.entries(P)
        out = np.empty(len(P))
        over_rows(kernels.squared_norms, len(P), P.size, self.values, P, self._kernel_weights, out)
        return out

    def errors(self, P: Array, b: Array) -> tuple[Array, Array]:
        """omega (P + b - X), and sum_j omega_ij (P_ij + b_j - X_ij)^2 of each row; P is used up."""
        squares = np.empty(len(P))
        over_rows(kernels.errors, len(P), P.size, self.values, P, b, self._kernel_weights, squares)
        return P, squares

    def residuals(self, P: Array) -> tuple[Array, Array]:
        """X - P, and sum_j omega_ij (X_ij - P_ij)^2 of each row; P is used up."""
        squares = np.empty(len(P))
        over_rows(kernels.residuals, len(P), P.size, self.values, P, self._kernel_weights, squares)
        return P, squares

    def clipped_sums(self, P: Prediction, c: Array, out: Array | None = None, active: Array | None = None) -> Array:
        """(A, B, C) of each (active) row, see `ResidualView.clipped_sums`."""
        P = self.entries(P)
        out = np.empty((3, len(P))) if out is None else out
        active = np.ones(len(P), bool) if active is None else active
        args = self.values, P, self._kernel_weights, c.astype(self.dtype), active, out
        over_rows(kernels.clipped_sums, len(P), 2 * P.size, *args)
        return out


def rows_of(x: Array, rows: slice | Array) -> Array:
    """Some rows: a view for a slice, a copy for an array of indices (or of flags, in NumPy)."""
    if isinstance(x, np.ndarray):
        return x[rows]
    return x[rows, :] if isinstance(rows, slice) else namespace(x).take(x, rows, axis=0)
