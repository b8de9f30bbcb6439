"""The interface of observed data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, cast, namespace, to_numpy, wide
from ..kernels.coordinates import Coordinates

# What `predict` and `clip` return: opaque to all but the data.
Prediction = Any


class Groups(ABC):
    """What losses and adversaries see of the data: explicit values, and sums over groups of them.

    The groups are the samples, or (`EntryGroups`) the entries themselves; numbers "of each group" have the shape
    `group_shape`.
    """

    values: Array

    @property
    @abstractmethod
    def group_shape(self) -> tuple[int, ...]:
        """Shape of numbers of each group."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype:
        """float32 or float64."""

    @abstractmethod
    def full(self, value: float) -> Array:
        """The same number for each group, in float64."""

    @abstractmethod
    def by_entry(self) -> Groups:
        """Every entry a group of its own."""

    @abstractmethod
    def per_row(self, values: Array) -> Array:
        """Losses of each group, summed (with the entry weights that they lack) to one number a row."""

    @abstractmethod
    def per_sample(self, d: Array) -> Array:
        """Numbers of each group, shaped to multiply explicit entries."""

    @abstractmethod
    def with_values(self, values: Array) -> Groups:
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

    @abstractmethod
    def clip(self, P: Prediction, c: Array) -> Prediction:
        """max(X, c P), with one number c a group: what an adversary makes the learner fit."""

    @abstractmethod
    def squared_norms(self, P: Prediction) -> Array:
        """Squared residual size of each group, in float64."""

    @abstractmethod
    def clipped_sums(self, P: Prediction, c: Array, out: Array | None = None, active: Array | None = None) -> Array:
        """(A, B, C) of each group in float64, split at the entries with ``c P > X``.

        A = sum of omega (X - P)^2 over the others;  B = sum of omega P^2,  C = sum of omega X^2 over these.  Of groups
        that are not active it is what `out` has, which may be written to.
        """


class ObservedData(Groups):
    """Observed values with ``omega``, the mask times the entry weights.

    Samples lie along `sample_axis`: 0, or 1 in the transposed view of feature updates.  ``values`` holds the explicit
    entries, ``omega`` their weights (None: all 1).
    """

    values: Array
    omega: Array | None
    sample_axis: int
    # Whether the explicit entries are all that was observed.
    entries_are_all: ClassVar[bool] = True
    # Rows are handled in blocks of about this many entries: a block's prediction then stays in cache, and no array of
    # the size of the data is ever made for it.
    block_entries: int = 2**20

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Rows and columns of this view."""

    @property
    def complete(self) -> bool:
        """Whether every entry counts once:  (omega (A B)) B' = A (B B')  then, without the entries of A B."""
        return False

    @property
    @abstractmethod
    def n_entries(self) -> int:
        """How many entries a pass over this view touches."""

    @property
    @abstractmethod
    def T(self) -> Self:
        """The transposed data."""

    @abstractmethod
    def take(self, rows: slice | Array) -> Self:
        """The data of some rows."""

    @abstractmethod
    def with_values(self, values: Array) -> Self:
        """The same entries with other values."""

    @abstractmethod
    def predict(self, A: Array, B: Array) -> Prediction:
        """A B where it is needed."""

    @abstractmethod
    def weighted(self, E: Array) -> Array:
        """Explicit entries times omega."""

    def target(self, P: Prediction) -> Prediction:
        """X as something to fit, comparable with the prediction."""
        return self.values

    @abstractmethod
    def times(self, T: Prediction, C: Array) -> Array:
        """(omega T) C."""

    @abstractmethod
    def rtimes(self, A: Array, T: Prediction) -> Array:
        """A' (omega T)."""

    def code_gradients(self, T: Prediction, P: Prediction, B: Array) -> tuple[Array, Array]:
        """(omega T) B' and (omega P) B'  for a prediction P = A B."""
        return self.times(T, B.T), self.times(P, B.T)

    @abstractmethod
    def energies(self, P: Prediction) -> Array:
        """sum_j omega_ij P_ij^2 of each row."""

    @abstractmethod
    def descend(
        self,
        A: Array,
        B: Array,
        T: Prediction,
        P: Prediction,
        row_weight: Array,
        column_weight: Array,
        penalty: Coordinates,
        n_passes: int,
    ) -> None:
        """Coordinate descent on the rows of A, in place:  row_weight omega column_weight (T - A B)^2 + penalty."""

    @property
    @abstractmethod
    def counts(self) -> Array:
        """How many entries of each row carry weight."""

    @property
    @abstractmethod
    def column_counts(self) -> Array:
        """How many entries of each column carry weight."""

    @property
    @abstractmethod
    def mean(self) -> float:
        """Weighted mean of the observed values; 0 if there are none."""

    @abstractmethod
    def positive(self, axis: int) -> Array:
        """Whether a row (axis 0) or column (axis 1) has an observed entry above 0."""

    @abstractmethod
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest observed value."""

    @property
    def pattern(self) -> tuple[Array, Array] | None:
        """Row pointers and columns of the observed entries, copied, where only these are stored."""
        return None

    @cached_property
    def top_weight(self) -> float:
        """The largest entry weight."""
        return 1.0 if self.omega is None else float(self.omega.max(initial=0))

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64: what everything is computed in."""
        return self.values.dtype

    def asarray(self, x: Array) -> Array:
        """`x`, of whatever namespace, where and in what the data are computed."""
        return np.ascontiguousarray(to_numpy(x), self.dtype)

    def constant(self, shape: tuple[int, ...], value: float, dtype: Any = np.float64) -> Array:
        """One number throughout an array that goes with the data."""
        return np.full(shape, value, dtype)

    @property
    def group_shape(self) -> tuple[int, ...]:
        """One number a row."""
        return (self.shape[0],)

    def full(self, value: float) -> Array:
        """The same number for each row."""
        return self.constant(self.group_shape, value)

    def by_entry(self) -> EntryGroups:
        """Every explicit entry a group of its own."""
        return EntryGroups(self)

    def per_row(self, values: Array) -> Array:
        """Rows are the groups."""
        return values

    @abstractmethod
    def sum_rows(self, E: Array) -> Array:
        """sum_j omega_ij E_ij of each row, in float64."""

    @abstractmethod
    def reweighted(self, w: Array) -> Self:
        """The same entries with omega w for omega."""

    @abstractmethod
    def observed_entries(self, E: Array) -> Array:
        """Explicit entries of positive weight, in one vector."""

    def blocks(self) -> Iterator[tuple[slice, Self]]:
        """Runs of rows with their data."""
        n = self.shape[0]
        for start in range(0, n, self.block_rows):
            rows = slice(start, min(n, start + self.block_rows))
            yield rows, self.take(rows)

    @property
    def block_rows(self) -> int:
        """Rows of a block."""
        return max(1, self.block_entries * self.shape[0] // max(1, self.n_entries))


@dataclass(frozen=True)
class EntryGroups(Groups):
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

    def with_values(self, values: Array) -> EntryGroups:
        """The same entries with other values."""
        return EntryGroups(self.data.with_values(values))

    @property
    def group_shape(self) -> tuple[int, ...]:
        """That of the explicit entries."""
        return self.values.shape

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self.data.dtype

    def full(self, value: float) -> Array:
        """The same number for each entry."""
        return self.data.constant(self.group_shape, value)

    def by_entry(self) -> EntryGroups:
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

    def clip(self, P: Prediction, c: Array) -> Prediction:
        """max(X, c P)."""
        return namespace(c).maximum(self.values, cast(c, self.dtype) * self.entries(P))

    def squared_norms(self, P: Prediction) -> Array:
        """(X - P)^2."""
        E = self.values - self.entries(P)
        return namespace(E).square(cast(E, wide(E)))

    def clipped_sums(self, P: Prediction, c: Array, out: Array | None = None, active: Array | None = None) -> Array:
        """(X - P)^2 or (P^2, X^2) of each (active) entry."""
        xp = namespace(c)
        X, P = cast(self.values, c.dtype), cast(self.entries(P), c.dtype)
        clipped = c * P > X
        sides = (X - P, ~clipped), (P, clipped), (X, clipped)
        fresh = xp.stack([xp.where(side, xp.square(E), 0) for E, side in sides])
        return fresh if out is None else xp.where(active, fresh, out)
