"""Penalties: what a factor costs by itself, and where its entries may lie.

A factor is seen as rows here: the codes of the samples, or the columns of the last factor, transposed.  Solvers ask a
penalty for its values, and for a quadratic of each entry that touches it from above.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np

from ..arrays.namespaces import Array, as_like, cast, namespace, wide
from ..kernels.coordinates import FREE, NONNEGATIVE, Coordinates, Rows

ALL = slice(None)


class Quadratic(NamedTuple):
    """sum_ik (2 l1_ik F_ik + l2_ik F_ik^2);  l1 and l2 have the shape of ``F``; one row or column serves all."""

    l1: Array
    l2: Array

    def plus(self, other: Quadratic) -> Quadratic:
        """The sum of two."""
        return Quadratic(self.l1 + other.l1, self.l2 + other.l2)


class Penalty(ABC):
    """A cost of the rows of a factor.  Derive from it, write `row_values` and `quadratic`."""

    @property
    def coupled(self) -> bool:
        """Whether the cost of a row depends on other rows."""
        return False

    @property
    def counts(self) -> bool:
        """Whether it costs anything."""
        return True

    @property
    def shrinks(self) -> bool:
        """Whether it draws every entry down only (l1 >= 0), which saves updates a sum."""
        return False

    @property
    def free(self) -> int | None:
        """The coordinate that may have any sign."""
        return None

    @abstractmethod
    def row_values(self, F: Array) -> Array:
        """The share of each row of ``F`` in the cost, in float64."""

    @abstractmethod
    def quadratic(self, F: Array, rows: Rows = ALL) -> Quadratic:
        """For some rows, a quadratic that differs from the cost at ``F`` by a constant, and elsewhere by no less."""

    def posed(self, n_rows: int, unit: float) -> Penalty:
        """The penalty of a factor of so many rows.

        A quadratic of the strength `unit` weighs about as much as the observed entries do, in the units of the data.
        """
        return self

    def rescaled(self, unit: float) -> Penalty:
        """The cost of ``unit F``."""
        return self

    def of_offsets(self, spread: float) -> Penalty:
        """The cost of offsets, which stand beside the factor and have the unit of data of that spread."""
        return NO_PENALTY

    def take(self, rows: Rows) -> Penalty:
        """The penalty of some rows, where rows do not depend on each other."""
        return self

    def known(self, observed: np.ndarray) -> np.ndarray:
        """The rows that are determined, by what was observed in them or through other rows."""
        return observed

    def extended(self, F: Array, observed: np.ndarray) -> Array:
        """``F`` with the best rows for those that the observed ones determine, as data do not."""
        return F

    def value(self, F: Array) -> float:
        """The cost, summed in float64."""
        return float(namespace(F).sum(self.row_values(F))) if self.counts else 0.0

    def coordinates(self, F: Array, rows: Rows = ALL) -> Coordinates:
        """What row kernels take: the quadratic, and the kind of each coordinate."""
        l1, l2 = (np.ascontiguousarray(part) for part in self.quadratic(F, rows))
        return Coordinates(l1, l2, self.kinds(F.shape[1]))

    def kinds(self, n: int) -> np.ndarray:
        """Of each of `n` coordinates: nonnegative, unless said otherwise."""
        return np.full(n, NONNEGATIVE, np.uint8)


@dataclass(frozen=True)
class ElasticNet(Penalty):
    """sum_i s_i (2 l1 sum_k F_ik + l2 sum_k F_ik^2),  F >= 0: twice scikit-learn's, as the losses have no factor 1/2.

    ``scale`` holds s_i, one number a row; None stands for ones.  With ``signed`` entries may have any sign (and l1 is
    0).
    """

    l1: float = 0.0
    l2: float = 0.0
    scale: Array | None = None
    signed: bool = False
    name: ClassVar[str] = "elastic_net"

    def take(self, rows: Rows) -> Self:
        """The penalty of some rows."""
        return self if self.scale is None else replace(self, scale=self.scale[rows])

    def row_values(self, F: Array) -> Array:
        """The value of each row of ``F`` by itself."""
        xp, dtype = namespace(F), wide(F)
        if not self.counts:
            return xp.zeros_like(F[:, 0], dtype=dtype)
        values = 2 * self.l1 * xp.sum(F, axis=1, dtype=dtype) + self.l2 * xp.sum(xp.square(cast(F, dtype)), axis=1)
        return values if self.scale is None else as_like(self.scale, F, dtype) * values

    def quadratic(self, F: Array, rows: Rows = ALL) -> Quadratic:
        """Itself."""
        ones = namespace(F).ones_like(F[:1, :1])
        if self.scale is not None:
            ones = as_like(self.scale[rows], F, F.dtype)[:, None] * ones
        return Quadratic(float(self.l1) * ones, float(self.l2) * ones)

    def rescaled(self, unit: float) -> Self:
        """The cost of ``unit F``."""
        return replace(self, l1=self.l1 * unit, l2=self.l2 * unit**2)

    @property
    def shrinks(self) -> bool:
        """Every entry, unless some are negative."""
        return not self.signed

    def kinds(self, n: int) -> np.ndarray:
        """All alike."""
        return np.full(n, FREE, np.uint8) if self.signed else super().kinds(n)

    def of_offsets(self, spread: float) -> ElasticNet:
        """alpha a^2 is in the unit of X^2 for a factor, as a is about sqrt(X); for an offset alpha b^2 / spread is."""
        return ElasticNet(0.0, self.l1 / spread**1.5 + self.l2 / spread, self.scale)

    @property
    def counts(self) -> bool:
        """Whether it costs anything."""
        return bool(self.l1 or self.l2)


NO_PENALTY = ElasticNet()


@dataclass(frozen=True)
class Together(Penalty):
    """The sum of two penalties."""

    one: Penalty
    other: Penalty

    @property
    def coupled(self) -> bool:
        """Whether the cost of a row depends on other rows."""
        return self.one.coupled or self.other.coupled

    def kinds(self, n: int) -> np.ndarray:
        """Those of the first."""
        return self.one.kinds(n)

    @property
    def counts(self) -> bool:
        """Whether it costs anything."""
        return self.one.counts or self.other.counts

    def row_values(self, F: Array) -> Array:
        """The sum."""
        return self.one.row_values(F) + self.other.row_values(F)

    def quadratic(self, F: Array, rows: Rows = ALL) -> Quadratic:
        """The sum."""
        return self.one.quadratic(F, rows).plus(self.other.quadratic(F, rows))

    def rescaled(self, unit: float) -> Self:
        """The cost of ``unit F``."""
        return Together(self.one.rescaled(unit), self.other.rescaled(unit))

    def of_offsets(self, spread: float) -> Penalty:
        """The sum."""
        return Together(self.one.of_offsets(spread), self.other.of_offsets(spread))

    def take(self, rows: Rows) -> Self:
        """The penalty of some rows."""
        return Together(self.one.take(rows), self.other.take(rows))

    def known(self, observed: np.ndarray) -> np.ndarray:
        """Rows that either determines."""
        return self.one.known(observed) | self.other.known(observed)

    def extended(self, F: Array, observed: np.ndarray) -> Array:
        """By one, then by the other."""
        return self.other.extended(self.one.extended(F, observed), observed)
