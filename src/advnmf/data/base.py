"""The interface of observed data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Self

import numpy as np

Array = np.ndarray
# What `predict` and `clip` return: opaque to all but the data.
Prediction = Any

# Rows are handled in blocks of about this many entries: a block's prediction then stays in cache, and no array of the
# size of the data is ever made for it.
_BLOCK_ENTRIES = 2**20


class ObservedData(ABC):
    """Observed values with ``omega``, the mask times the entry weights.

    Samples lie along `sample_axis`: 0, or 1 in the transposed view of feature updates.  ``values`` holds the explicit
    entries, ``omega`` their weights (None: all 1).
    """

    values: Array
    omega: Array | None
    sample_axis: int

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Rows and columns of this view."""

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
    def entries(self, P: Prediction) -> Array:
        """The prediction at the explicit entries."""

    @abstractmethod
    def per_sample(self, d: Array) -> Array:
        """One number a sample, shaped to multiply explicit entries."""

    @abstractmethod
    def restrict(self, E: Array) -> Array:
        """Explicit entries, zero where nothing was observed."""

    @abstractmethod
    def weighted(self, E: Array) -> Array:
        """Explicit entries times omega."""

    def target(self, P: Prediction) -> Prediction:
        """X as something to fit, comparable with the prediction."""
        return self.values

    @abstractmethod
    def clip(self, P: Prediction, c: Array) -> Prediction:
        """max(X, c P), with one number c a sample: what an adversary makes the learner fit."""

    @abstractmethod
    def times(self, T: Prediction, C: Array) -> Array:
        """(omega T) C."""

    @abstractmethod
    def rtimes(self, A: Array, T: Prediction) -> Array:
        """A' (omega T)."""

    @abstractmethod
    def squared_norms(self, P: Prediction) -> Array:
        """sum_j omega_ij (X_ij - P_ij)^2 of each row, in float64."""

    @abstractmethod
    def energies(self, P: Prediction) -> Array:
        """sum_j omega_ij P_ij^2 of each row."""

    @abstractmethod
    def clipped_sums(self, P: Prediction, c: Array, out: Array | None = None, active: Array | None = None) -> Array:
        """(A, B, C) of each (active) row in float64, split at the entries with ``c_i P_ij > X_ij``.

        A = sum of omega (X - P)^2 over the others;  B = sum of omega P^2,  C = sum of omega X^2 over these.
        """

    @abstractmethod
    def descend(
        self,
        A: Array,
        B: Array,
        T: Prediction,
        P: Prediction,
        row_weight: Array,
        column_weight: Array,
        l1: float,
        l2: float,
        n_passes: int,
    ) -> None:
        """Coordinate descent on the rows of A, in place:  row_weight omega column_weight (T - A B)^2 + penalties."""

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

    @cached_property
    def top_weight(self) -> float:
        """The largest entry weight."""
        return 1.0 if self.omega is None else float(self.omega.max(initial=0))

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64: what everything is computed in."""
        return self.values.dtype

    def blocks(self) -> Iterator[tuple[slice, Self]]:
        """Runs of rows with their data."""
        n = self.shape[0]
        step = max(1, _BLOCK_ENTRIES * n // max(1, self.n_entries))
        for start in range(0, n, step):
            rows = slice(start, min(n, start + step))
            yield rows, self.take(rows)
