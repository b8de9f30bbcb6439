"""Penalties: what a factor costs by itself, and where its entries may lie.

A factor is seen as rows here: the codes of the samples, or the columns of the last factor, transposed.  Solvers ask a
penalty for its values, and for a quadratic of each entry that touches it from above.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import ClassVar, NamedTuple, Self

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

from .arrays.caching import cached_property
from .arrays.namespaces import Array, as_like, cast, namespace, to_numpy, wide
from .kernels.coordinates import FIXED, FREE, NONNEGATIVE, Coordinates, Rows

_ALL = slice(None)


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
    def quadratic(self, F: Array, rows: Rows = _ALL) -> Quadratic:
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

    def coordinates(self, F: Array, rows: Rows = _ALL) -> Coordinates:
        """What row kernels take: the quadratic, and the kind of each coordinate."""
        l1, l2 = (np.ascontiguousarray(part) for part in self.quadratic(F, rows))
        return Coordinates(l1, l2, self.kinds(F.shape[1]))

    def kinds(self, n: int) -> np.ndarray:
        """Of each of `n` coordinates: nonnegative, unless said otherwise."""
        return np.full(n, NONNEGATIVE, np.uint8)


@dataclass(frozen=True)
class ElasticNet(Penalty):
    """sum_i s_i (2 l1 sum_k F_ik + l2 sum_k F_ik^2),  F >= 0: twice scikit-learn's, as the losses have no factor 1/2.

    ``scale`` holds s_i, one number a row; None stands for ones.
    """

    l1: float = 0.0
    l2: float = 0.0
    scale: Array | None = None
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

    def quadratic(self, F: Array, rows: Rows = _ALL) -> Quadratic:
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
        """Every entry."""
        return True

    def of_offsets(self, spread: float) -> ElasticNet:
        """alpha a^2 is in the unit of X^2 for a factor, as a is about sqrt(X); for an offset alpha b^2 / spread is."""
        return ElasticNet(0.0, self.l1 / spread**1.5 + self.l2 / spread, self.scale)

    @property
    def counts(self) -> bool:
        """Whether it costs anything."""
        return bool(self.l1 or self.l2)


NO_PENALTY = ElasticNet()


@dataclass(frozen=True)
class Smooth(Penalty):
    """strength sum over neighbours (i, j) of  w_ij |F_i - F_j|^2:  neighbouring rows of a factor are alike.

    As ``penalty_H`` of `NMF` it makes components smooth over the features (pixels of a picture, bands of a spectrum),
    as ``penalty_W`` codes over the samples (moments in time, pixels of a cube).  Rows or columns of ``X`` in which
    nothing was observed are then filled from their neighbours.  Give one of `chain`, `grid` and `graph`.

    Parameters
    ----------
    strength : float, default=0.03
        Relative to the data: at 1 a difference between two neighbours costs about what an error of that size in the
        factor does, over as many entries as are observed on average.  So it depends neither on the unit of ``X`` nor
        on how much of it is missing.  Faces, digits and a cube wanted 0.001 to 0.1.
    chain : bool, default=False
        Each row is the neighbour of the next.
    grid : tuple of int, optional
        The rows are the points of a grid of this shape, last axis fastest (``picture.ravel()``), neighbours along
        each axis.
    graph : sparse matrix, optional
        Symmetric nonnegative weights w_ij of neighbours.
    """

    strength: float = 0.03
    chain: bool = False
    grid: tuple[int, ...] | None = None
    graph: sparse.sparray | sparse.spmatrix | None = field(default=None, compare=False)
    name: ClassVar[str] = "smooth"

    @property
    def coupled(self) -> bool:
        """Rows are."""
        return True

    def __post_init__(self) -> None:
        if not isinstance(self.strength, Real) or not 0 <= self.strength < np.inf:
            raise ValueError(f"strength={self.strength!r} of Smooth must be a number from 0, and finite")
        if (self.chain is True) + (self.grid is not None) + (self.graph is not None) != 1:
            raise ValueError("Smooth needs neighbours: give one of chain=True, grid=(height, width) and graph=weights")
        if self.grid is not None and not (self.grid and all(isinstance(n, Integral) and n > 0 for n in self.grid)):
            raise ValueError(f"grid={self.grid!r} of Smooth must be a tuple of positive whole numbers")
        if self.graph is not None:
            _check_graph(self.graph)

    def posed(self, n_rows: int, unit: float) -> Coupling:
        """With the neighbours among so many rows."""
        return Coupling(self._weights(n_rows), self.strength * unit)

    def row_values(self, F: Array) -> Array:
        """The share of each row, strength as it is."""
        return self.posed(F.shape[0], 1.0).row_values(F)

    def quadratic(self, F: Array, rows: Rows = _ALL) -> Quadratic:
        """That of `Coupling`, strength as it is."""
        return self.posed(F.shape[0], 1.0).quadratic(F, rows)

    def _weights(self, n: int) -> sparse.csr_array:
        size = n if self.chain else math.prod(self.grid) if self.graph is None else self.graph.shape[0]
        if size != n:
            what = f"grid={self.grid}" if self.graph is None else f"a graph of shape {self.graph.shape}"
            raise ValueError(f"Smooth has {what}, that is {size} rows, but this factor has {n}: give one that fits")
        return (
            sparse.csr_array(self.graph, dtype=np.float64) if self.graph is not None else grid_graph(self.grid or (n,))
        )


def _check_graph(graph: object) -> None:
    if not sparse.issparse(graph) or graph.shape[0] != graph.shape[1]:
        raise ValueError(f"graph={type(graph).__name__} of Smooth must be a square sparse matrix")
    weights = sparse.csr_array(graph)
    if not (np.isfinite(weights.data).all() and (weights.data >= 0).all() and (weights != weights.T).nnz == 0):
        raise ValueError("graph of Smooth must be symmetric, finite and nonnegative")


def grid_graph(shape: tuple[int, ...]) -> sparse.csr_array:
    """Weight 1 between points that are next to each other along an axis."""
    points = np.arange(np.prod(shape)).reshape(shape)
    pairs = [(np.delete(points, -1, axis).ravel(), np.delete(points, 0, axis).ravel()) for axis in range(points.ndim)]
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    ends = np.concatenate([one, other]), np.concatenate([other, one])
    return sparse.csr_array((np.ones(2 * len(one)), ends), shape=(points.size, points.size))


@dataclass(frozen=True)
class Coupling(Penalty):
    """strength / 2  sum_ij w_ij |F_i - F_j|^2 = strength tr(F' (D - W) F),  D the row sums of W.

    D + W is positive semidefinite, so that  strength tr(F' 2 D F) - 2 strength <(D + W) F0, F>  touches it from above
    at F0 (but for a constant): a quadratic of each entry, by which all rows may move at once.
    """

    W: sparse.csr_array
    strength: float

    @property
    def coupled(self) -> bool:
        """Rows are."""
        return True

    @property
    def counts(self) -> bool:
        """Whether it costs anything."""
        return self.strength > 0

    def row_values(self, F: Array) -> Array:
        """strength / 2  sum_j w_ij |F_i - F_j|^2: half of what each pair costs goes to either."""
        i, j, weights = self._pairs
        host, squares = to_numpy(F), np.zeros(len(weights))
        for k in range(host.shape[1]):
            column = host[:, k].astype(np.float64)
            squares += np.square(column[i] - column[j])
        halves = [np.bincount(end, weights * squares, minlength=len(host)) for end in (i, j)]
        return as_like(self.strength / 2 * sum(halves), F, wide(F))

    def quadratic(self, F: Array, rows: Rows = _ALL) -> Quadratic:
        """l1 = -strength (D + W) F,  l2 = 2 strength D."""
        host, D = to_numpy(F), self._degrees[rows, None]
        l1 = -self.strength * (D * host[rows] + self.W[rows] @ host)
        l2 = 2 * self.strength * D
        return Quadratic(as_like(l1, F, F.dtype), as_like(l2, F, F.dtype))

    def rescaled(self, unit: float) -> Self:
        """The cost of ``unit F``."""
        return replace(self, strength=self.strength * unit**2)

    def of_offsets(self, spread: float) -> Coupling:
        """Offsets are as smooth as the factor is."""
        return replace(self, strength=self.strength / spread)

    def known(self, observed: np.ndarray) -> np.ndarray:
        """Rows that neighbours lead to from an observed one."""
        if not self.counts:
            return observed
        n_parts, part = self._parts
        return (np.bincount(part, observed, minlength=n_parts) > 0)[part]

    def extended(self, F: Array, observed: np.ndarray) -> Array:
        """With the harmonic extension:  D F = W F  where nothing was observed, each row the mean of its neighbours."""
        open_, host = self.known(observed) & ~observed, to_numpy(F)
        if not open_.any():
            return F
        solve, outer = self._extension(open_, observed)
        found = solve(outer @ host[observed].astype(np.float64))
        # Rounding apart it lies within the range of what it extends.
        found = np.clip(found, host[observed].min(axis=0), host[observed].max(axis=0))
        extended = host.copy()
        extended[open_] = found
        return as_like(extended, F, F.dtype)

    def _extension(self, open_: np.ndarray, observed: np.ndarray) -> tuple[Callable, sparse.csr_array]:
        """The solver of the rows `open_`, and what they take from the observed ones; kept for the next look."""
        key = open_.tobytes()
        if key not in self._extensions:
            W = self.W[open_]
            inner = sparse.csc_array(sparse.diags_array(W.sum(axis=1), dtype=np.float64) - W[:, open_])
            self._extensions.clear()
            self._extensions[key] = splu(inner).solve, W[:, observed]
        return self._extensions[key]

    # --- what sweeps ask for again and again -------------------------------------------------------------------------

    @cached_property
    def _extensions(self) -> dict[bytes, tuple[Callable, sparse.csr_array]]:
        """The last extension."""
        return {}

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both ends and the weight of each pair."""
        upper = sparse.triu(self.W, k=1, format="coo")
        return *upper.coords, upper.data

    @cached_property
    def _degrees(self) -> np.ndarray:
        """The diagonal of D."""
        return self.W.sum(axis=1)

    @cached_property
    def _parts(self) -> tuple[int, np.ndarray]:
        """How many parts of the graph are apart, and the one of each row."""
        return csgraph.connected_components(self.W, directed=False)


@dataclass(frozen=True)
class Together(Penalty):
    """The sum of two penalties."""

    one: Penalty
    other: Penalty

    @property
    def coupled(self) -> bool:
        """Whether the cost of a row depends on other rows."""
        return self.one.coupled or self.other.coupled

    @property
    def counts(self) -> bool:
        """Whether it costs anything."""
        return self.one.counts or self.other.counts

    def row_values(self, F: Array) -> Array:
        """The sum."""
        return self.one.row_values(F) + self.other.row_values(F)

    def quadratic(self, F: Array, rows: Rows = _ALL) -> Quadratic:
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

    def quadratic(self, F: Array, rows: Rows = _ALL) -> Quadratic:
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
        kinds = super().kinds(n)
        kinds[self.offset], kinds[self.held] = FREE, FIXED
        return kinds

    def _part(self, F: Array) -> Array:
        return F[:, : min(self.offset, self.held)]

    def _centred(self, F: Array) -> Array:
        return F[:, self.offset, None].astype(np.float64) - self.centre(F)


PENALTIES: dict[str, type[Penalty]] = {cls.name: cls for cls in (ElasticNet, Smooth)}


def check_penalty(name: str, penalty: object) -> None:
    """Refuse what is no penalty, by the name of the parameter."""
    if penalty is not None and not isinstance(penalty, Penalty):
        raise ValueError(f"{name}={penalty!r} must be None or one of advnmf.penalties, such as Smooth(chain=True)")
