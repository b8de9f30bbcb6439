"""Smoothness: neighbouring rows of a factor are alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import ClassVar, Self

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, as_like, to_numpy, wide
from ..kernels.coordinates import Rows
from .base import ALL, Penalty, Quadratic
from .differences import of_graph, of_grid, of_positions


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
    chain : bool or sequence of float, default=False
        Each row is the neighbour of the next; or of the next along these positions (moments in time, one for each row,
        in any order), and the closer the more alike.
    grid : tuple of int, optional
        The rows are the points of a grid of this shape, last axis fastest (``picture.ravel()``), neighbours along
        each axis.
    graph : sparse matrix, optional
        Symmetric nonnegative weights w_ij of neighbours.
    order : {1, 2}, default=1
        What costs: differences, as of a stretched skin, so that what is missing is filled along straight lines; or
        differences of differences, as of a bent plate, so that it is filled along curves (cubic splines, biharmonic
        surfaces), which suits what changes smoothly and is swayed more by noise.  Beside these a thousandth of first
        differences levels off what lies far from all that was observed.
    """

    strength: float = 0.03
    chain: bool | Sequence[float] = False
    grid: tuple[int, ...] | None = None
    graph: sparse.sparray | sparse.spmatrix | None = field(default=None, compare=False)
    order: int = 1
    name: ClassVar[str] = "smooth"

    @property
    def coupled(self) -> bool:
        """Rows are."""
        return True

    def __post_init__(self) -> None:
        if not isinstance(self.strength, Real) or not 0 <= self.strength < np.inf:
            raise ValueError(f"strength={self.strength!r} of Smooth must be a number from 0, and finite")
        if self.order not in (1, 2):
            raise ValueError(
                f"order={self.order!r} of Smooth must be 1 (differences) or 2 (differences of differences)"
            )
        if not isinstance(self.chain, bool | np.bool_):
            object.__setattr__(self, "chain", _checked_positions(self.chain))
        if (self.chain is not False) + (self.grid is not None) + (self.graph is not None) != 1:
            raise ValueError("Smooth needs neighbours: give one of chain=True, grid=(height, width) and graph=weights")
        if self.grid is not None and not (self.grid and all(isinstance(n, Integral) and n > 0 for n in self.grid)):
            raise ValueError(f"grid={self.grid!r} of Smooth must be a tuple of positive whole numbers")
        if self.graph is not None:
            _check_graph(self.graph)

    def posed(self, n_rows: int, unit: float) -> Coupling:
        """With the neighbours among so many rows."""
        self._check_size(n_rows)
        return Coupling(self._differences(n_rows), self.strength * unit)

    def row_values(self, F: Array) -> Array:
        """The share of each row, strength as it is."""
        return self.posed(F.shape[0], 1.0).row_values(F)

    def quadratic(self, F: Array, rows: Rows = ALL) -> Quadratic:
        """That of `Coupling`, strength as it is."""
        return self.posed(F.shape[0], 1.0).quadratic(F, rows)

    def _differences(self, n: int) -> sparse.csr_array:
        if self.graph is not None:
            return of_graph(sparse.csr_array(self.graph, dtype=np.float64), self.order)
        if self.grid is None and self.chain is not True:
            return of_positions(self.chain, self.order)
        return of_grid(self.grid or (n,), self.order)

    @property
    def n_rows(self) -> int | None:
        """The number of rows that it is for; None for any."""
        if self.graph is not None:
            return self.graph.shape[0]
        if self.grid is not None:
            return math.prod(self.grid)
        return None if self.chain is True else len(self.chain)

    def _check_size(self, n: int) -> None:
        size = self.n_rows
        if size not in (None, n):
            what = f"grid={self.grid}" if self.grid is not None else f"chain={size} positions"
            what = what if self.graph is None else f"a graph of shape {self.graph.shape}"
            raise ValueError(f"Smooth has {what}, that is {size} rows, but this factor has {n}: give one that fits")


def _check_graph(graph: object) -> None:
    if not sparse.issparse(graph) or graph.shape[0] != graph.shape[1]:
        raise ValueError(f"graph={type(graph).__name__} of Smooth must be a square sparse matrix")
    weights = sparse.csr_array(graph)
    if not (np.isfinite(weights.data).all() and (weights.data >= 0).all() and (weights != weights.T).nnz == 0):
        raise ValueError("graph of Smooth must be symmetric, finite and nonnegative")


def _checked_positions(chain: object) -> tuple[float, ...]:
    try:
        positions = np.asarray(chain, np.float64)
    except (TypeError, ValueError):
        positions = np.empty(0)
    if positions.ndim != 1 or len(positions) < 2 or not np.isfinite(positions).all():
        raise ValueError("chain of Smooth must be True, or the position of each row: finite numbers, two or more")
    return tuple(positions.tolist())


@dataclass(frozen=True)
class Coupling(Penalty):
    """strength |C F|^2 = strength tr(F' M F),   M = C' C.

    Q - M is positive semidefinite for the diagonal Q_ii = sum_j |M_ij|, so that
    strength tr(F' Q F) - 2 strength <(Q - M) F0, F>  touches it from above at F0 (but for a constant): a quadratic of
    each entry, by which all rows may move at once.
    """

    C: sparse.csr_array
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
        """The square of each difference in equal shares for all rows that are in it."""
        host, squares = to_numpy(F), np.zeros(self.C.shape[0])
        for k in range(host.shape[1]):
            squares += np.square(self.C @ host[:, k].astype(np.float64))
        return as_like(self.strength * (self._shares @ squares), F, wide(F))

    def quadratic(self, F: Array, rows: Rows = ALL) -> Quadratic:
        """l1 = strength (M - Q) F,  l2 = strength Q."""
        host, Q = to_numpy(F), self._bound[rows, None]
        l1 = self.strength * (self._M[rows] @ host - Q * host[rows])
        return Quadratic(as_like(l1, F, F.dtype), as_like(self.strength * Q, F, F.dtype))

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
        """With the rows for which the cost is least where nothing was observed:  (M F) = 0 there.

        Of first order each is then the mean of its neighbours.
        """
        open_, host = self.known(observed) & ~observed, to_numpy(F)
        if not open_.any():
            return F
        solve, outer = self._extension(open_, observed)
        found = solve(-(outer @ host[observed].astype(np.float64)))
        # A curve does not leave the range of what it extends; a line cannot, rounding apart.
        found = np.clip(found, host[observed].min(axis=0), host[observed].max(axis=0))
        extended = host.copy()
        extended[open_] = found
        return as_like(extended, F, F.dtype)

    def _extension(self, open_: np.ndarray, observed: np.ndarray) -> tuple[Callable, sparse.csr_array]:
        """The solver of the rows `open_`, and what they take from the observed ones; kept for the next look."""
        key = open_.tobytes()
        if key not in self._extensions:
            M = self._M[open_]
            self._extensions.clear()
            self._extensions[key] = splu(sparse.csc_array(M[:, open_])).solve, M[:, observed]
        return self._extensions[key]

    # --- what sweeps ask for again and again -------------------------------------------------------------------------

    @cached_property
    def _extensions(self) -> dict[bytes, tuple[Callable, sparse.csr_array]]:
        """The last extension."""
        return {}

    @cached_property
    def _M(self) -> sparse.csr_array:
        return sparse.csr_array(self.C.T @ self.C)

    @cached_property
    def _bound(self) -> np.ndarray:
        """The diagonal of Q."""
        return abs(self._M).sum(axis=1)

    @cached_property
    def _shares(self) -> sparse.csr_array:
        """Column k has 1 / m in each of the m rows that difference k is of."""
        pattern = self.C != 0
        members = np.maximum(pattern.sum(axis=1), 1)
        return sparse.csr_array((pattern / members[:, None]).T)

    @cached_property
    def _parts(self) -> tuple[int, np.ndarray]:
        """How many parts are apart, and the one of each row."""
        return csgraph.connected_components(self._M, directed=False)
