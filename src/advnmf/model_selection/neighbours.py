"""Where rows or columns lie: one after another, at given positions, or on a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from ..penalties import Smooth

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Layout:
    """Lines (rows or columns) at the points of a grid; a chain is a grid with one axis.

    Attributes
    ----------
    order : ndarray of int
        The line at each point, last axis fastest.
    grid : tuple of int
        Shape of the grid.
    positions : ndarray or None
        Of the lines along the chain, if these were given.
    """

    order: Array
    grid: tuple[int, ...]
    positions: Array | None = None

    @classmethod
    def of(cls, n: int, side: str, order: object = None, grid: object = None) -> Layout | None:
        """The layout of `n` lines from the parameters `{side}_order` and `{side}_grid`; None without either."""
        if grid is not None:
            return cls(np.arange(n), _checked_grid(n, side, grid))
        if order is None:
            return None
        if order is True:
            return cls(np.arange(n), (n,))
        positions = _checked_positions(n, side, order)
        return cls(np.argsort(positions, kind="stable"), (n,), positions)

    def smooth(self, strength: float, order: int) -> Smooth:
        """The penalty of differences between neighbours, or of differences of these."""
        if len(self.grid) > 1:
            return Smooth(strength, grid=self.grid, order=order)
        return Smooth(strength, chain=True if self.positions is None else self.positions, order=order)

    @cached_property
    def _places(self) -> Array:
        """The point of each line."""
        return np.argsort(self.order)

    def moved(self, lines: Array, shift: tuple[int, ...]) -> Array:
        """What belongs to the lines (along the first axis), moved by `shift` points, around the ends."""
        points = lines[self.order].reshape(*self.grid, *lines.shape[1:])
        points = np.roll(points, shift, axis=tuple(range(len(self.grid))))
        return points.reshape(lines.shape)[self._places]

    def random_shift(self, random_state: np.random.RandomState) -> tuple[int, ...]:
        """Any shift but none."""
        while True:
            shift = tuple(int(random_state.randint(n)) for n in self.grid)
            if any(shift) or len(self.order) == 1:
                return shift

    def beside(self, lines: Array) -> Array:
        """Flags of the neighbours of the flagged lines."""
        return self._graph @ lines.astype(np.float64) > 0

    def pairs_within(self, parts: Array, n: int) -> Array:
        """How many neighbours (counted twice) have the same number in `parts`, for each of 0 .. n - 1."""
        one, other = self._ends
        same = (parts[one] == parts[other]) & (parts[one] >= 0)
        return np.bincount(parts[one[same]], minlength=n)

    def parts(self, lines: Array) -> Array:
        """The number, from 0, of the connected part of each of the flagged lines."""
        at = np.flatnonzero(lines)
        return csgraph.connected_components(self._graph[at][:, at], directed=False)[1]

    def size_classes(self, lines: Array) -> Array:
        """For each of the flagged lines the `size_class` of its connected part; else 0."""
        classes = np.zeros(len(lines), np.int64)
        parts = self.parts(lines)
        classes[lines] = size_class(np.bincount(parts))[parts]
        return classes

    @cached_property
    def _ends(self) -> tuple[Array, Array]:
        """Both ends of each pair of neighbours, either way round."""
        points = self.order.reshape(self.grid)
        sides = [(points.take(range(n - 1), a), points.take(range(1, n), a)) for a, n in enumerate(self.grid)]
        one, other = (np.concatenate([each[k].ravel() for each in sides]) for k in (0, 1))
        return np.r_[one, other], np.r_[other, one]

    @cached_property
    def _graph(self) -> sparse.csr_array:
        n = len(self.order)
        return sparse.csr_array((np.ones(len(self._ends[0])), self._ends), shape=(n, n))


def size_class(size: Array) -> Array:
    """floor(log2 n) of parts of n lines."""
    return np.log2(size).astype(np.int64)


def check_layout(side: str, order: object, grid: object) -> None:
    """Refuse what can be no layout, whatever the number of lines."""
    if order is not None and grid is not None:
        raise ValueError(f"{side}_order and {side}_grid are both given: give one of them")
    if order is not None and order is not True:
        _checked_positions(None, side, order)
    if grid is not None:
        _checked_grid(None, side, grid)


def _checked_grid(n: int | None, side: str, grid: object) -> tuple[int, ...]:
    good = isinstance(grid, tuple | list) and len(grid) >= 1
    if not good or not all(isinstance(size, Integral) and not isinstance(size, bool) and size > 0 for size in grid):
        raise ValueError(f"{side}_grid={grid!r} must be None or a pair of positive integers (height, width)")
    if n is not None and math.prod(grid) != n:
        raise ValueError(f"{side}_grid={tuple(grid)} has {math.prod(grid)} points, but X has {n} {side}")
    return tuple(int(size) for size in grid)


def _checked_positions(n: int | None, side: str, order: object) -> Array:
    try:
        positions = np.asarray(order)
        kind = positions.dtype.kind
        positions = positions.astype("datetime64[ns]").astype(np.int64) if kind == "M" else positions
        positions = positions.astype(np.float64)
    except (TypeError, ValueError):
        positions = np.array(np.nan)
    if positions.ndim != 1 or not positions.size or order is False:
        raise ValueError(f"{side}_order={order!r} must be None, True or an array of positions or times")
    if n is not None and len(positions) != n:
        raise ValueError(f"{side}_order has {len(positions)} positions, but X has {n} {side}")
    if not np.isfinite(positions).all():
        at = int(np.argmin(np.isfinite(positions)))
        raise ValueError(f"{side}_order holds {positions[at]} at {at}: positions must be finite numbers or times")
    return positions
