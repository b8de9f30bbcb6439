"""The interface of observed data, and what follows from its parts in terms of the array API."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, as_like, cast, contiguous, full, larger, namespace, wide
from ..kernels.coordinates import Coordinates

# What `predict`, `target` and `raised_to` return: opaque to all but the data.
Prediction = Any


class ResidualView(ABC):
    """What losses and adversaries see of the data: explicit values, the prediction there, and sums over groups of them.

    The groups are the samples, or (`EntryView`) the entries themselves; there is one number "of each group".
    """

    values: Array
    dtype: Any  # float32 or float64: what everything is computed in

    @abstractmethod
    def full(self, value: float) -> Array:
        """The same number for each group, in float64."""

    @abstractmethod
    def by_entry(self) -> ResidualView:
        """Every entry a group of its own."""

    @abstractmethod
    def per_row(self, values: Array) -> Array:
        """Losses of each group, summed (with the entry weights that they lack) to one number a row."""

    @abstractmethod
    def per_sample(self, d: Array) -> Array:
        """Numbers of each group, shaped to multiply explicit entries."""

    @abstractmethod
    def with_values(self, values: Array) -> ResidualView:
        """The same entries with other values."""

    @abstractmethod
    def entries(self, P: Prediction) -> Array:
        """The prediction at the explicit entries."""

    @abstractmethod
    def restrict(self, E: Array) -> Array:
        """Explicit entries, zero where nothing was observed."""

    @abstractmethod
    def target(self, P: Prediction) -> Prediction:
        """X as something to fit, comparable with the prediction."""

    def raised_to(self, P: Prediction, c: Array) -> Prediction:
        """max(X, c P), with one number c a group: what an adversary makes the learner fit."""
        return larger(self.values, self.entries(P) * self.per_sample(cast(c, self.dtype)))

    @abstractmethod
    def squared_norms(self, P: Prediction) -> Array:
        """Squared residual size of each group, in float64."""

    @abstractmethod
    def clipped_sums(self, P: Prediction, c: Array, out: Array | None = None, active: Array | None = None) -> Array:
        """(A, B, C) of each group in float64, split at the entries with ``c P > X``.

        A = sum of omega (X - P)^2 over the others;  B = sum of omega P^2,  C = sum of omega X^2 over these.  Of groups
        that are not active it is what `out` has, which may be written to.
        """


class ObservedData(ABC):
    """What was observed, as a model sees it: how much, where, how large, and blocks of rows to compute with.

    ``omega`` is the mask times the entry weights (None: all 1).  Samples lie along `sample_axis`: 0, or 1 in the
    transposed view of feature updates.
    """

    values: Array
    omega: Array | None
    sample_axis: int
    # Whether every entry counts once:  (omega (A B)) B' = A (B B')  then, without the entries of A B.
    complete: ClassVar[bool] = False
    # Whether the explicit entries are all that was observed.
    entries_are_all: ClassVar[bool] = True
    # Row pointers and columns of the observed entries, copied, where only these are stored.
    pattern: tuple[Array, Array] | None = None
    # Rows are handled in blocks of about this many entries: a block's prediction then stays in cache, and no array of
    # the size of the data is ever made for it.
    block_entries: int = 2**20

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Rows and columns of this view."""

    @property
    @abstractmethod
    def T(self) -> Self:
        """The transposed data."""

    @abstractmethod
    def take(self, rows: slice | Array) -> Block:
        """The data of some rows."""

    @abstractmethod
    def with_values(self, values: Array) -> Self:
        """The same entries with other values."""

    @property
    @abstractmethod
    def counts(self) -> np.ndarray:
        """How many entries of each row carry weight."""

    @property
    @abstractmethod
    def column_counts(self) -> np.ndarray:
        """How many entries of each column carry weight."""

    @property
    @abstractmethod
    def mean(self) -> float:
        """Weighted mean of the observed values; 0 if there are none."""

    @abstractmethod
    def positive(self, axis: int) -> np.ndarray:
        """Whether a row (axis 0) or column (axis 1) has an observed entry above 0."""

    @abstractmethod
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest observed value."""

    @abstractmethod
    def observed_entries(self, E: Array) -> Array:
        """Explicit entries of positive weight, in one vector."""

    @property
    def measured(self) -> ObservedData:
        """The data without their censored entries: themselves where there are none."""
        return self

    @property
    def n_entries(self) -> int:
        """How many entries a pass over this view touches."""
        return math.prod(self.values.shape)

    @property
    def dtype(self) -> Any:
        """float32 or float64: what everything is computed in."""
        return self.values.dtype

    def asarray(self, x: Array) -> Array:
        """`x`, of whatever namespace, where and in what the data are computed."""
        return contiguous(as_like(x, self.values, self.dtype))

    def constant(self, shape: tuple[int, ...], value: float, dtype: Any = None) -> Array:
        """One number throughout an array that goes with the data, in float64 unless said otherwise."""
        return full(shape, value, self.values, wide(self.values) if dtype is None else dtype)

    def by_entry(self) -> EntryView:
        """Every explicit entry a group of its own."""
        return EntryView(self)

    def blocks(self) -> Iterator[tuple[slice, Block]]:
        """Runs of rows with their data."""
        n, step = self.shape[0], self.block_rows
        for start in range(0, n, step):
            rows = slice(start, min(n, start + step))
            yield rows, self.take(rows)

    @property
    def block_rows(self) -> int:
        """Rows of a block."""
        return max(1, self.block_entries * self.shape[0] // max(1, self.n_entries))


class Block(ObservedData, ResidualView):
    """Data in memory, and their algebra, in terms of the array API.

    ``values`` holds the explicit entries: an array of the shape of the data, or a vector.  A frozen dataclass.
    """

    # The largest entry weight.
    top_weight: float = 1.0

    # --- what each storage writes --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def columns(self) -> Array | slice:
        """Which columns explicit entries belong to."""

    @abstractmethod
    def predict(self, A: Array, B: Array) -> Prediction:
        """A B where it is needed."""

    @abstractmethod
    def times(self, T: Prediction, C: Array) -> Array:
        """(omega T) C."""

    @abstractmethod
    def rtimes(self, A: Array, T: Prediction) -> Array:
        """A' (omega T)."""

    @abstractmethod
    def sum_rows(self, E: Array) -> Array:
        """sum_j omega_ij E_ij of each row, in float64."""

    @abstractmethod
    def reweighted(self, w: Array) -> Block:
        """The same entries with omega w for omega."""

    @abstractmethod
    def descend(
        self, A: Array, B: Array, T: Prediction, P: Prediction, u: Array, v: Array, penalty: Coordinates, n_passes: int
    ) -> None:
        """Coordinate descent on the rows of A, in place:  sum_ij u_i omega_ij v_j (T - A B)_ij^2 + penalty."""

    # --- what follows, unless a storage knows better ------------------------------------------------------------------

    def nearest(self, P: Prediction) -> Block:
        """The data as they are fitted to at a prediction: themselves, unless entries are censored (`censored`)."""
        return self

    def with_values(self, values: Array) -> Self:
        """The same entries with other values."""
        return replace(self, values=values)

    def weighted(self, E: Array) -> Array:
        """Explicit entries times omega."""
        return E

    def restrict(self, E: Array) -> Array:
        """Explicit entries, zero where the weight is zero."""
        return E

    def observed_entries(self, E: Array) -> Array:
        """Explicit entries of positive weight, in one vector."""
        return namespace(E).reshape(E, (-1,))

    def entries(self, P: Prediction) -> Array:
        """The prediction itself."""
        return P

    def target(self, P: Prediction) -> Prediction:
        """X."""
        return self.values

    def squared_norms(self, P: Prediction) -> Array:
        """sum_j omega_ij (X_ij - P_ij)^2 of each row."""
        return self.sum_rows(namespace(self.values).square(self.values - self.entries(P)))

    def energies(self, P: Prediction) -> Array:
        """sum_j omega_ij P_ij^2 of each row."""
        return self.sum_rows(namespace(self.values).square(self.entries(P)))

    def clipped_sums(self, P: Prediction, c: Array, out: Array | None = None, active: Array | None = None) -> Array:
        """(A, B, C) of each row, see `ResidualView.clipped_sums`."""
        X, P, xp = self.values, self.entries(P), namespace(self.values)
        # Products are several times faster than a selection by booleans in PyTorch.
        clipped = cast(self.per_sample(cast(c, self.dtype)) * P > X, self.dtype)
        sides = (1 - clipped, X - P), (clipped, P), (clipped, X)
        return _renewed([self.sum_rows(side * xp.square(E)) for side, E in sides], out, active)

    def code_gradients(self, T: Prediction, P: Prediction, B: Array) -> tuple[Array, Array]:
        """(omega T) B' and (omega P) B'  for a prediction P = A B."""
        return self.times(T, B.T), self.times(P, B.T)

    @property
    def total_weight(self) -> float:
        """Sum of omega."""
        return self.n_entries

    @cached_property
    def mean(self) -> float:
        """Weighted mean of the observed values; 0 if there are none."""
        total = namespace(self.values).sum(self.weighted(self.values), dtype=wide(self.values))
        return float(total) / self.total_weight if self.total_weight > 0 else 0.0

    def value_range(self) -> tuple[float, float]:
        """Smallest and largest observed value."""
        seen, xp = self.observed_entries(self.values), namespace(self.values)
        return float(xp.min(seen)), float(xp.max(seen))

    def full(self, value: float) -> Array:
        """The same number for each row."""
        return self.constant((self.shape[0],), value)

    def per_row(self, values: Array) -> Array:
        """Rows are the groups."""
        return values


class Weighted(Block):
    """What changes where explicit entries have weights ``omega``: 0/1 (a mask) or nonnegative reals."""

    omega: Array

    def weighted(self, E: Array) -> Array:
        """omega E."""
        return self.omega * E

    def restrict(self, E: Array) -> Array:
        """Zero where the weight is zero."""
        return namespace(E).where(self.omega > 0, E, 0)

    def observed_entries(self, E: Array) -> Array:
        """Entries of positive weight."""
        return E[self.omega > 0]

    def reweighted(self, w: Array) -> Self:
        """Entry weights omega w."""
        return replace(self, omega=self.weighted(cast(w, self.dtype)))

    @cached_property
    def total_weight(self) -> float:
        """Sum of omega."""
        return float(namespace(self.omega).sum(self.omega, dtype=wide(self.omega)))

    @cached_property
    def top_weight(self) -> float:
        """The largest entry weight; 0 of none."""
        return float(namespace(self.omega).max(self.omega)) if self.n_entries else 0.0


@dataclass(frozen=True)
class EntryView(ResidualView):
    """Every explicit entry by itself: its residual, without the entry weights (those come with `per_row`)."""

    data: ObservedData

    def __post_init__(self) -> None:
        if not self.data.entries_are_all:
            raise ValueError(
                "a loss of single entries needs sparse_missing='absent' or dense X: it would weigh every zero by itself"
            )

    @property
    def values(self) -> Array:
        """The observed values."""
        return self.data.values

    def with_values(self, values: Array) -> EntryView:
        """The same entries with other values."""
        return EntryView(self.data.with_values(values))

    @property
    def dtype(self) -> Any:
        """That of the data."""
        return self.data.dtype

    def full(self, value: float) -> Array:
        """The same number for each entry."""
        return self.data.constant(self.values.shape, value)

    def by_entry(self) -> EntryView:
        """They are."""
        return self

    def per_row(self, values: Array) -> Array:
        """sum_j omega_ij values_ij."""
        return self.data.sum_rows(values)

    def per_sample(self, d: Array) -> Array:
        """Numbers of entries multiply entries as they are."""
        return d

    def entries(self, P: Prediction) -> Array:
        """The prediction at the explicit entries."""
        return self.data.entries(P)

    def restrict(self, E: Array) -> Array:
        """Zero where nothing was observed."""
        return self.data.restrict(E)

    def target(self, P: Prediction) -> Prediction:
        """X."""
        return self.data.target(P)

    def squared_norms(self, P: Prediction) -> Array:
        """(X - P)^2."""
        E = self.values - self.entries(P)
        return namespace(E).square(cast(E, wide(E)))

    def clipped_sums(self, P: Prediction, c: Array, out: Array | None = None, active: Array | None = None) -> Array:
        """(X - P)^2 or (P^2, X^2) of each (active) entry."""
        X, P, xp = cast(self.values, c.dtype), cast(self.entries(P), c.dtype), namespace(c)
        clipped = c * P > X
        sides = (~clipped, X - P), (clipped, P), (clipped, X)
        return _renewed([xp.where(side, xp.square(E), 0) for side, E in sides], out, active)


def _renewed(sums: list[Array], out: Array | None, active: Array | None) -> Array:
    """New sums of the active groups beside the others of `out`."""
    xp = namespace(sums[0])
    return xp.stack(sums) if out is None else xp.where(active, xp.stack(sums), out)
