"""Complete arrays: every entry observed once, so that most products need no entry of the prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, cast, contiguous
from ..kernels import rows as kernels
from ..kernels.coordinates import Coordinates
from ..kernels.threads import over_rows
from .array import ArrayData, DenseData, Product, rows_of
from .base import Prediction
from .masked import MaskedData, MaskedTensor

# Blocks of complete data have so many rows at least that B B' is a small part of their products.
_MIN_ROWS = 256


@dataclass(frozen=True)
class CompleteTensor(ArrayData):
    """A complete array of any namespace.  A prediction is a `Product`; other arrays are taken as they are."""

    values: Array
    sample_axis: int = 0
    complete: ClassVar[bool] = True
    omega = None
    _masked: ClassVar[type[MaskedTensor]] = MaskedTensor

    @cached_property
    def T(self) -> Self:
        """The transposed data."""
        return type(self)(contiguous(self.values.T), 1 - self.sample_axis)

    def take(self, rows: slice | Array) -> Self:
        """The data of some rows."""
        return type(self)(rows_of(self.values, rows), self.sample_axis)

    @property
    def block_rows(self) -> int:
        """More than of others, as no pass over their entries is made."""
        return max(_MIN_ROWS, super().block_rows)

    def predict(self, A: Array, B: Array) -> Product:
        """A B, not yet multiplied out."""
        return Product(self.values, A, B)

    def times(self, T: Array | Product, C: Array) -> Array:
        """T C."""
        return T.A @ (T.B @ C) if isinstance(T, Product) else T @ C

    def rtimes(self, A: Array, T: Array | Product) -> Array:
        """A' T."""
        return (A.T @ T.A) @ T.B if isinstance(T, Product) else A.T @ T

    def code_gradients(self, T: Array | Product, P: Product, B: Array) -> tuple[Array, Array]:
        """T B' and P B'; a Product that has looked at X knows them."""
        return (P.cross, P.pulled) if T is self.values and isinstance(P, Product) else super().code_gradients(T, P, B)

    def reweighted(self, w: Array) -> MaskedTensor:
        """Entry weights w."""
        return self._masked(self.values, cast(w, self.dtype), self.sample_axis)

    @property
    def counts(self) -> np.ndarray:
        """All entries of each row."""
        return np.full(self.shape[0], self.shape[1])

    @property
    def column_counts(self) -> np.ndarray:
        """All entries of each column."""
        return np.full(self.shape[1], self.shape[0])


@dataclass(frozen=True)
class CompleteData(DenseData, CompleteTensor):
    """A complete NumPy array."""

    _masked: ClassVar[type[MaskedData]] = MaskedData

    def take(self, rows: slice | Array) -> Self:
        """The data of some rows."""
        part = super().take(rows)
        vars(part)["_row_energies"] = self._row_energies[rows]  # once for all blocks and sweeps
        return part

    @cached_property
    def _row_energies(self) -> Array:
        """|x|^2 of each row."""
        return np.einsum("ij,ij->i", self.values, self.values, dtype=np.float64)

    @property
    def _kernel_weights(self) -> Array:
        return np.ones((1, self.shape[1]), np.uint8)

    def squared_norms(self, P: Array | Product) -> Array:
        """|x - p|^2 of each row, in float64; of a Product, as long as its entries are not known."""
        if isinstance(P, Product) and "dense" not in vars(P):
            return P.squared_norms(self._row_energies)
        return super().squared_norms(P)

    def energies(self, P: Array | Product) -> Array:
        """|p|^2 of each row."""
        return np.einsum("ik,ik->i", P.pulled, P.A) if isinstance(P, Product) else np.einsum("ij,ij->i", P, P)

    def descend(
        self, A: Array, B: Array, T: Prediction, P: Prediction, u: Array, v: Array, penalty: Coordinates, n_passes: int
    ) -> None:
        """Coordinate descent on the rows of A, which share one Gram matrix."""
        n, K = A.shape
        wB = B * v
        # Features without weights of their own: the objective has had this product already.
        C = P.cross if T is self.values and (v == 1).all() else T @ wB.T
        work = n * K * K * (n_passes + 1)
        over_rows(kernels.descend_gram, n, work, A, wB @ B.T, C, u, *penalty, n_passes)
