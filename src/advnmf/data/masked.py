"""Arrays with holes or weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, contiguous, namespace, to_numpy
from ..kernels import rows as kernels
from ..kernels.coordinates import Coordinates
from ..kernels.threads import over_rows
from .array import ArrayData, DenseData, Product, rows_of
from .base import Prediction, Weighted


@dataclass(frozen=True)
class MaskedTensor(Weighted, ArrayData):
    """An array of any namespace; ``omega`` is in its precision."""

    values: Array
    omega: Array
    sample_axis: int = 0
    # The fields that hold a number for each entry, besides the values.
    _beside: ClassVar[tuple[str, ...]] = ("omega",)

    @cached_property
    def T(self) -> Self:
        """The transposed data."""
        return replace(self, values=contiguous(self.values.T), sample_axis=1 - self.sample_axis, **self._turned)

    @cached_property
    def _turned(self) -> dict[str, Array]:
        return {name: contiguous(getattr(self, name).T) for name in self._beside}

    def take(self, rows: slice | Array) -> Self:
        """The data of some rows."""
        parts = {name: rows_of(getattr(self, name), rows) for name in self._beside}
        return replace(self, values=rows_of(self.values, rows), **parts)

    def with_values(self, values: Array) -> Self:
        """The same mask over other values; what was transposed of it is shared."""
        other = super().with_values(values)
        if "_turned" in vars(self):
            vars(other)["_turned"] = self._turned
        return other

    @cached_property
    def counts(self) -> np.ndarray:
        """How many entries of each row carry weight."""
        return self._count(axis=1)

    @cached_property
    def column_counts(self) -> np.ndarray:
        """How many entries of each column carry weight."""
        return self._count(axis=0)

    def _count(self, axis: int) -> np.ndarray:
        return to_numpy(namespace(self.omega).count_nonzero(self.omega, axis=axis))


@dataclass(frozen=True)
class MaskedData(DenseData, MaskedTensor):
    """A NumPy array; ``omega`` is 0/1 bytes (a mask) or nonnegative reals (weights)."""

    @property
    def _kernel_weights(self) -> Array:
        return self.omega

    def weighted(self, E: Array) -> Array:
        """omega E."""
        if E is self.values and self.omega.dtype == np.uint8:
            return E
        out = np.empty_like(E)
        over_rows(kernels.weighted, len(E), E.size, E, self.omega, out)
        return out

    def sum_rows(self, E: Array) -> Array:
        """sum_j omega_ij E_ij of each row."""
        return np.einsum("ij,ij->i", E, self.omega)

    def energies(self, P: Array | Product) -> Array:
        """sum_j omega_ij P_ij^2 of each row."""
        P = self.entries(P)
        return np.einsum("ij,ij->i", P, self.weighted(P))

    def descend(
        self, A: Array, B: Array, T: Prediction, P: Prediction, u: Array, v: Array, penalty: Coordinates, n_passes: int
    ) -> None:
        """Coordinate descent on the rows of A, each over its own entries."""
        (n, K), m = A.shape, B.shape[1]
        args = A, B, T, self.entries(P), self.omega, u, v, *penalty, n_passes
        over_rows(kernels.descend_rows, n, 2 * n * K * m * n_passes, *args)
