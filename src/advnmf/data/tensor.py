"""Dense data with a mask, in any array namespace and on any device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, as_like, cast, device, namespace, on_cpu, to_numpy, wide
from .dense import DenseData, Product

# On an accelerator a block is to keep all of it busy; what is bounded is the memory that predictions take.
_ACCELERATOR_ENTRIES = 2**26


@dataclass(frozen=True)
class TensorData(DenseData):
    """`DenseData` written in the functions of the array API standard; a mask is 0 and 1 in the precision of the data.

    Nothing leaves the device while factors are multiplied; `counts`, `column_counts` and `positive` are NumPy's, for
    messages.
    """

    @property
    def xp(self) -> ModuleType:
        """The array namespace."""
        return namespace(self.values)

    @property
    def wide(self) -> Any:
        """The dtype of sums: float64 where the device has it."""
        return wide(self.values)

    @property
    def block_entries(self) -> int:
        """As in NumPy on the CPU, more on an accelerator."""
        return DenseData.block_entries if on_cpu(self.values) else _ACCELERATOR_ENTRIES

    @property
    def n_entries(self) -> int:
        """Every entry is touched."""
        n, m = self.shape
        return n * m

    @cached_property
    def T(self) -> TensorData:
        """The transposed data, a view."""
        return TensorData(self.values.T, self._omega_T, 1 - self.sample_axis)

    @cached_property
    def _omega_T(self) -> Array | None:
        return None if self.omega is None else self.omega.T

    def take(self, rows: slice | Array) -> TensorData:
        """The data of some rows: a view for a slice, a copy for an array of indices."""

        def of(x: Array) -> Array:
            return x[rows, :] if isinstance(rows, slice) else self.xp.take(x, rows, axis=0)

        return replace(self, values=of(self.values), omega=None if self.omega is None else of(self.omega))

    def asarray(self, x: Array) -> Array:
        """`x`, of whatever namespace, where and in what the data are computed."""
        return as_like(x, self.values, self.dtype)

    def constant(self, shape: tuple[int, ...], value: float, dtype: Any = None) -> Array:
        """One number throughout an array that goes with the data."""
        dtype = self.wide if dtype is None else dtype
        return self.xp.full(shape, value, dtype=dtype, device=device(self.values))

    def restrict(self, E: Array) -> Array:
        """Zero off the mask."""
        return E if self.omega is None else self.xp.where(self.omega > 0, E, 0)

    def weighted(self, E: Array) -> Array:
        """omega E."""
        # Several times faster than a selection by booleans in PyTorch.
        return E if self.omega is None else self.omega * E

    def clip(self, P: Array | Product, c: Array) -> Array:
        """max(X, c P)."""
        return self.xp.maximum(self.values, self.entries(P) * self.per_sample(cast(c, self.dtype)))

    def sum_rows(self, E: Array) -> Array:
        """sum_j omega_ij E_ij of each row."""
        return self.xp.sum(self.weighted(E), axis=1, dtype=self.wide)

    def reweighted(self, w: Array) -> TensorData:
        """Entry weights omega w."""
        return replace(self, omega=self.weighted(cast(w, self.dtype)))

    def observed_entries(self, E: Array) -> Array:
        """Entries of positive weight."""
        return self.xp.reshape(E, (-1,)) if self.omega is None else E[self.omega > 0]

    def squared_norms(self, P: Array | Product) -> Array:
        """sum_j omega_ij (X_ij - P_ij)^2 of each row."""
        return self.sum_rows(self.xp.square(self.values - self.entries(P)))

    def errors(self, P: Array, b: Array) -> tuple[Array, Array]:
        """omega (P + b - X), and sum_j omega_ij (P_ij + b_j - X_ij)^2 of each row."""
        E = P + b - self.values
        D = self.weighted(E)
        return D, self.xp.sum(D * E, axis=1, dtype=self.wide)

    def energies(self, P: Array | Product) -> Array:
        """sum_j omega_ij P_ij^2 of each row."""
        return self.sum_rows(self.xp.square(self.entries(P)))

    def clipped_sums(
        self, P: Array | Product, c: Array, out: Array | None = None, active: Array | None = None
    ) -> Array:
        """(A, B, C) of each row, see `Groups.clipped_sums`."""
        xp, X, P = self.xp, self.values, self.entries(P)
        clipped = self.weighted(cast(self.per_sample(cast(c, self.dtype)) * P > X, self.dtype))
        free = (1 if self.omega is None else self.omega) - clipped
        parts = (free, X - P), (clipped, P), (clipped, X)
        fresh = xp.stack([xp.sum(u * xp.square(E), axis=1, dtype=self.wide) for u, E in parts])
        return fresh if out is None else xp.where(active, fresh, out)

    def descend(self, *args: object) -> None:
        """Refused: it is compiled for NumPy."""
        raise TypeError("coordinate descent (solver='hals') is compiled for NumPy arrays: use solver='mu'")

    def _count(self, axis: int) -> np.ndarray:
        if self.omega is None:
            return super()._count(axis)
        return to_numpy(self.xp.sum(cast(self.omega > 0, self.xp.int64), axis=axis))

    @cached_property
    def mean(self) -> float:
        """Weighted mean of the observed values; 0 if there are none."""
        ones = self.xp.ones_like(self.values)
        total, weight = (float(self.xp.sum(self.weighted(E), dtype=self.wide)) for E in (self.values, ones))
        return total / weight if weight > 0 else 0.0

    def positive(self, axis: int) -> np.ndarray:
        """Whether a row (axis 0) or column (axis 1) has an observed entry above 0."""
        return to_numpy(self.xp.any(self.values > 0, axis=1 - axis))

    def value_range(self) -> tuple[float, float]:
        """Smallest and largest observed value."""
        seen = self.observed_entries(self.values)
        return float(self.xp.min(seen)), float(self.xp.max(seen))
