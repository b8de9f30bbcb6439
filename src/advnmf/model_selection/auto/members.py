"""The imputers that `AutoImputer` blends, beside `AutoNMF`: they see standardised columns, or logarithms of them.

    z_ij = (f_j(x_ij) - mean_j) / std_j,        f_j(x) = x,  or log(x + c_j) of a column with a heavy tail

What they predict is brought back to the unit of the column and clipped to its observed range.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

from .forests import ForestImputer

Array = np.ndarray

COLUMN_MEAN = "column mean"
KNN = "KNN"
ITERATIVE = "IterativeImputer"
FOREST = "forest"
#: What everybody knows, in the words of `AutoImputer.yardsticks_`.
YARDSTICKS = (COLUMN_MEAN, KNN, ITERATIVE)

# Beyond these sizes the imputers take too long.
_MOST_CELLS, _MOST_COLUMNS, _MOST_FOR_FORESTS = 1_000_000, 100, 60
# Rounds of IterativeImputer at most; where columns nearly repeat each other, fewer are clearly worse.
_ROUNDS = 10
# A logarithm needs so many values, and a skewness beyond this that it takes off.
_FEWEST_FOR_LOGARITHM, _SKEWED = 10, 1.0


class Imputer(Protocol):
    """What a member is made of."""

    def fit_transform(self, X: Array) -> Array:
        """Learn, and fill the holes."""

    def transform(self, X: Array) -> Array:
        """Fill the holes of new rows."""


@dataclass(frozen=True)
class Units:
    """Mean, standard deviation and range of each column, and what is added before a logarithm (NaN without one)."""

    mean: Array
    std: Array
    range: Array
    shift: Array

    @classmethod
    def of(cls, X: Array, *, logarithms: bool = False) -> Units:
        """Of columns that have an observed value each."""
        shift = np.array([_shift(x[~np.isnan(x)]) if logarithms else np.nan for x in X.T])
        Y = _transformed(X, shift)
        std = np.nanstd(Y, axis=0)
        std[std <= 1e-12 * np.nanmax(np.abs(Y), axis=0)] = 1.0  # rounding errors of a constant column
        return cls(np.nanmean(Y, axis=0), std, np.array([np.nanmin(X, axis=0), np.nanmax(X, axis=0)]), shift)

    def forward(self, X: Array) -> Array:
        """z of x."""
        return (_transformed(X, self.shift) - self.mean) / self.std

    def back(self, Z: Array) -> Array:
        """x of z, within the range of the column."""
        Y, logged = Z * self.std + self.mean, ~np.isnan(self.shift)
        # The exponential of what lies far outside overflows, and is clipped anyway.
        with np.errstate(over="ignore"):
            Y[:, logged] = np.exp(Y[:, logged]) - self.shift[logged]
        return np.clip(Y, *self.range)


@dataclass(frozen=True)
class Member:
    """An imputer by name: how it is made from a seed, and about how many seconds a fit to (rows, columns) takes."""

    name: str
    make: Callable[[int], Imputer]
    seconds: Callable[[int, int], float]
    logarithms: bool = False

    def fit(self, X: Array, seed: int) -> tuple[FittedMember, Array]:
        """The member fitted to columns with a value each, and X with its holes filled."""
        units, imputer = Units.of(X, logarithms=self.logarithms), self.make(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # held-out entries judge it
            filled = imputer.fit_transform(units.forward(X))
        return FittedMember(units, imputer), units.back(filled)


@dataclass(frozen=True)
class FittedMember:
    """An imputer with the units of its columns."""

    units: Units
    imputer: Imputer

    def fill(self, X: Array, censored: Array | None = None) -> Array:
        """X with its holes filled; other entries, bounds among them, are those of X up to rounding."""
        return self.units.back(self.imputer.transform(self.units.forward(X)))


def members_for(X: Array, n_jobs: int | None = None) -> list[Member]:
    """The members for a table of this size and these values, quick ones first."""
    (n, m), found = X.shape, []
    if n * m > _MOST_CELLS or m < 2:
        return []
    heavy = bool((~np.isnan(Units.of(X, logarithms=True).shift)).any())
    found.append(Member(KNN, lambda seed: _neighbours(5, "uniform"), _seconds_of_neighbours))
    found.append(Member("KNN, 12 weighted", lambda seed: _neighbours(12, "distance"), _seconds_of_neighbours))
    if m <= _MOST_COLUMNS:
        found.append(Member(ITERATIVE, _iterative, _seconds_of_chain))
        if heavy:
            found.append(Member(f"{ITERATIVE} of logarithms", _iterative, _seconds_of_chain, logarithms=True))
    if m <= _MOST_FOR_FORESTS:
        found.append(Member(FOREST, _forest, _seconds_of_forest))
    return found


def _neighbours(k: int, weights: str) -> Any:
    return KNNImputer(n_neighbors=k, weights=weights, keep_empty_features=True)


def _iterative(seed: int) -> Any:
    return IterativeImputer(max_iter=_ROUNDS, random_state=seed, keep_empty_features=True)


def _forest(seed: int) -> Any:
    return ForestImputer(_neighbours(5, "uniform"), random_state=seed)


def _seconds_of_neighbours(n: int, m: int) -> float:
    return 0.003 + 5e-9 * n * n * m


def _seconds_of_chain(n: int, m: int) -> float:
    return _ROUNDS * m * (2e-3 + 2e-8 * n * m)


def _seconds_of_forest(n: int, m: int) -> float:
    return _seconds_of_neighbours(n, m) + m * (0.015 + 2e-6 * n * (m + 10))


def _transformed(X: Array, shift: Array) -> Array:
    """f_j of each column; new values at or below -c_j count as the smallest that has a logarithm."""
    Y, logged = np.array(X, dtype=np.float64), ~np.isnan(shift)
    part = Y[:, logged] + shift[logged]
    Y[:, logged] = np.log(np.maximum(part, np.finfo(float).tiny))
    return Y


def _shift(x: Array) -> float:
    """c of a column whose logarithm log(x + c) is less skewed than x; NaN if it is left as it is."""
    if len(x) < _FEWEST_FOR_LOGARITHM or x.min() < 0 or x.max() == x.min():
        return np.nan
    shift = 0.0 if x.min() > 0 else float(x[x > 0].min())
    before = _skewness(x)
    return shift if before > _SKEWED and abs(_skewness(np.log(x + shift))) < before else np.nan


def _skewness(x: Array) -> float:
    centred = x - x.mean()
    return float(np.mean(centred**3) / max(np.mean(centred**2), np.finfo(float).tiny) ** 1.5)
