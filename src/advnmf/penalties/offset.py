"""The penalty of a factor beside which an offset stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ..arrays.namespaces import Array
from ..kernels.coordinates import FIXED, FREE, Rows
from .base import ALL, Penalty, Quadratic


@dataclass(frozen=True)
class WithOffset(Penalty):
    """Rows (a_i, b_i, 1): a nonnegative part, an offset of any sign, and a coordinate that is fixed.

        part.value(a)  +  offsets.value(b - centre)

    The 1 stands where the other factor has its offset.  ``centred``: the centre is the weighted mean of the offsets, so
    that their common level is free; else 0.  The mean minimises the sum over the centre, hence a step with the centre
    of the moment never raises the sum.
    """

    part: Penalty
    offsets: Penalty
    offset: int
    held: int
    centred: bool = False
    # One number a row: by what the mean is weighted.
    scale: Array | None = None

    @property
    def coupled(self) -> bool:
        """Whether the cost of a row depends on other rows."""
        return self.part.coupled

    @property
    def free(self) -> int:
        """The coordinate of any sign."""
        return self.offset

    def take(self, rows: Rows) -> Self:
        """The penalty of some rows."""
        scale = None if self.scale is None else self.scale[rows]
        return replace(self, part=self.part.take(rows), offsets=self.offsets.take(rows), scale=scale)

    def known(self, observed: np.ndarray) -> np.ndarray:
        """As the nonnegative part is."""
        return self.part.known(observed)

    def extended(self, F: Array, observed: np.ndarray) -> Array:
        """Offsets as the nonnegative part."""
        return self.part.extended(F, observed)

    def centre(self, F: Array) -> float:
        """What offsets are drawn to."""
        if not self.centred or (self.scale is not None and not self.scale.any()):
            return 0.0
        return float(np.average(F[:, self.offset].astype(np.float64), weights=self.scale))

    def row_values(self, F: Array) -> Array:
        """The value of each row of ``F`` by itself."""
        return self.part.row_values(self._part(F)) + self.offsets.row_values(self._centred(F))

    def quadratic(self, F: Array, rows: Rows = ALL) -> Quadratic:
        """l2 (b - centre)^2 = 2 (-l2 centre) b + l2 b^2 + a constant."""
        part = self.part.quadratic(self._part(F), rows)
        l1, l2 = self.offsets.quadratic(self._centred(F), rows)
        l1 = l1 - l2 * F.dtype.type(self.centre(F))
        n = max(*(len(each) for each in (*part, l1, l2)))
        nothing = np.zeros((n, 1), F.dtype)
        width = min(self.offset, self.held)
        both = []
        for of_part, of_offset in zip(part, (l1, l2), strict=True):
            pair = (of_offset, nothing) if self.offset < self.held else (nothing, of_offset)
            columns = [np.broadcast_to(of_part, (n, width)), *(np.broadcast_to(column, (n, 1)) for column in pair)]
            both.append(np.concatenate(columns, axis=1).astype(F.dtype, copy=False))
        return Quadratic(*both)

    def kinds(self, n: int) -> np.ndarray:
        """One is free, and one fixed."""
        kinds = self.part.kinds(n)
        kinds[self.offset], kinds[self.held] = FREE, FIXED
        return kinds

    def _part(self, F: Array) -> Array:
        return F[:, : min(self.offset, self.held)]

    def _centred(self, F: Array) -> Array:
        return F[:, self.offset, None].astype(np.float64) - self.centre(F)
