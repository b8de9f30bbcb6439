"""Penalties: what a factor costs by itself, and where its entries may lie.

A factor is seen as rows here: the codes of the samples, or the columns of the last factor, transposed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from .arrays.namespaces import Array, as_like, cast, namespace, wide
from .kernels.coordinates import FREE, HELD, NONNEGATIVE, Coordinates, Rows


@dataclass(frozen=True)
class ElasticNet:
    """sum_i s_i (2 l1 sum_k F_ik + l2 sum_k F_ik^2),  F >= 0: twice scikit-learn's, as the losses have no factor 1/2.

    ``scale`` holds s_i, one number a row; None stands for ones.
    """

    l1: float = 0.0
    l2: float = 0.0
    scale: Array | None = None
    # The coordinate of any sign: none.
    free: ClassVar[None] = None

    def take(self, rows: Rows) -> Self:
        """The penalty of some rows."""
        return self if self.scale is None else replace(self, scale=self.scale[rows])

    def value(self, F: Array) -> float:
        """The penalty, summed in float64."""
        return float(namespace(F).sum(self.row_values(F))) if self._counts else 0.0

    def row_values(self, F: Array) -> Array:
        """The value of each row of ``F`` by itself."""
        xp, dtype = namespace(F), wide(F)
        if not self._counts:
            return xp.zeros_like(F[:, 0], dtype=dtype)
        values = 2 * self.l1 * xp.sum(F, axis=1, dtype=dtype) + self.l2 * xp.sum(xp.square(cast(F, dtype)), axis=1)
        return values if self.scale is None else as_like(self.scale, F, dtype) * values

    def gradient_parts(self, F: Array) -> tuple[Array, Array]:
        """(N, Q), both >= 0, with d value / d F = Q - N:  N = 0,  Q = 2 s (l1 + l2 F)."""
        return namespace(F).zeros_like(F), 2 * self.pull(F)

    def pull(self, F: Array) -> Array:
        """s (l1 + l2 F): what multiplicative updates add to their denominators."""
        pull = float(self.l1) + float(self.l2) * F
        return pull if self.scale is None else as_like(self.scale, F, F.dtype)[:, None] * pull

    def coordinates(self, F: Array) -> Coordinates:
        """All alike, and nonnegative."""
        K = F.shape[1]
        l1, l2 = np.full(K, self.l1, F.dtype), np.full(K, self.l2, F.dtype)
        return Coordinates(l1, l2, np.full(K, NONNEGATIVE, np.uint8), _scale(self.scale, F))

    @property
    def _counts(self) -> bool:
        return bool(self.l1 or self.l2)


NO_PENALTY = ElasticNet()


@dataclass(frozen=True)
class WithOffset:
    """Rows (a_i, b_i, 1): a nonnegative part, an offset of any sign, and a coordinate that is held.

        part.value(a)  +  l2 sum_i s_i (b_i - centre)^2

    The 1 stands where the other factor has its offset.  ``centred``: the centre is the weighted mean of the offsets, so
    that their common level is free; else 0.  The mean minimises the sum over the centre, hence a step with the centre
    of the moment never raises the sum.
    """

    part: ElasticNet
    l2: float
    offset: int
    held: int
    centred: bool = False

    @property
    def free(self) -> int:
        """The coordinate of any sign."""
        return self.offset

    def take(self, rows: Rows) -> Self:
        """The penalty of some rows."""
        return replace(self, part=self.part.take(rows))

    def centre(self, F: Array) -> float:
        """What offsets are drawn to."""
        scale = self.part.scale
        if not self.centred or (scale is not None and not scale.any()):
            return 0.0
        return float(np.average(F[:, self.offset].astype(np.float64), weights=scale))

    def value(self, F: Array) -> float:
        """The penalty, summed in float64."""
        return float(np.sum(self.row_values(F)))

    def row_values(self, F: Array) -> Array:
        """The value of each row of ``F`` by itself."""
        squares = self.l2 * np.square(F[:, self.offset].astype(np.float64) - self.centre(F))
        scale = self.part.scale
        return self.part.row_values(self._part(F)) + (squares if scale is None else scale * squares)

    def coordinates(self, F: Array) -> Coordinates:
        """l2 (b - centre)^2 = 2 (-l2 centre) b + l2 b^2 + a constant."""
        K = F.shape[1]
        l1, l2 = np.full(K, self.part.l1, F.dtype), np.full(K, self.part.l2, F.dtype)
        l1[self.offset], l2[self.offset] = -self.l2 * self.centre(F), self.l2
        kinds = np.full(K, NONNEGATIVE, np.uint8)
        kinds[self.offset], kinds[self.held] = FREE, HELD
        return Coordinates(l1, l2, kinds, _scale(self.part.scale, F))

    def _part(self, F: Array) -> Array:
        return F[:, : min(self.offset, self.held)]


def _scale(scale: Array | None, F: Array) -> Array:
    return np.ones(len(F), F.dtype) if scale is None else scale.astype(F.dtype)
