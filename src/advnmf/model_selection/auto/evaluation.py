"""Evaluations of candidates on the same held-out entries, and averages of their predictions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..holes import COLUMN, ROW, SINGLE
from ..trials import Fold, Trial, advance_all, make_trial
from .candidates import MAX_ITER, Candidate, Scales, factors_of_means

Array = np.ndarray

# Sweeps without a lower held-out error after which a fit ends; sweeps between two checks of the time budget.
_PATIENCE, _CHUNK = 15, 5
# Most of the time limit that the sweeps between two looks at the clock may take.
_SHARE_OF_A_CHUNK = 0.02
# Least number of sweeps of the final fit to all entries.
_MIN_MORE = 10


class Clock:
    """A time budget in seconds; infinite without a limit."""

    def __init__(self, limit: float | None) -> None:
        self.limit = np.inf if limit is None else limit
        self._began = time.monotonic()
        self.end = self._began + self.limit

    @property
    def left(self) -> float:
        """Seconds until the limit."""
        return self.end - time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def rest(self) -> Clock:
        """A new budget of the time that is left."""
        return Clock(max(self.left, 0.0))


class HeldOut:
    """The held-out entries of all folds, one after another.

    Attributes
    ----------
    truth, weights : ndarray, ndarray or None
        Values and weights.
    lowest, highest : ndarray
        For each entry, the range of the training values of its fold.
    kinds : ndarray
        For each entry the kind of hole that it stands for: `SINGLE`, `ROW` or `COLUMN`.
    n_left : ndarray
        For each entry, the number of training entries of its row.
    cap : float
        Upper bound of a squared error, so that unpredictable outliers do not dominate the mean; infinite if there are
        none.
    """

    def __init__(self, folds: Sequence[Fold], *, together: bool = False) -> None:
        self.folds = list(folds)
        # Whether the entries of a row are held out together, so that their errors are not independent.
        self.together = together
        self.truth = np.concatenate([fold.held_out.values for fold in folds]).astype(np.float64)
        # Of the training entries only: held-out entries may lie outside this range, as missing ones may.
        reach = [fold.entries.reach(fold.train) for fold in folds]
        ranges = [(low.min(), high.max()) for low, high in reach]
        sizes = [len(fold.held_out.values) for fold in folds]
        self.lowest, self.highest = (np.repeat(ends, sizes) for ends in np.array(ranges, dtype=np.float64).T)
        weights = [fold.held_out.omega for fold in folds]
        self.weights = None
        if any(each is not None for each in weights):
            ones = (np.ones(n) if each is None else each for each, n in zip(weights, sizes, strict=True))
            self.weights = np.concatenate(list(ones)).astype(np.float64)
        self.n_left, in_column = (np.concatenate([_n_left(fold, axis) for fold in folds]) for axis in (0, 1))
        self.kinds = np.where(in_column == 0, COLUMN, np.where(self.n_left == 0, ROW, SINGLE))
        self.cap = np.inf

    def score(self, truth: Array, prediction: Array, weights: Array | None) -> float:
        """Minus the root of the mean squared error of a fold, each error capped."""
        squares = np.minimum(np.square(truth - prediction, dtype=np.float64), self.cap)
        return -float(np.sqrt(np.average(squares, weights=weights)))

    def errors(self, prediction: Array, cap: float | None = None) -> Array:
        """Squared errors of all entries, capped."""
        return np.minimum(np.square(self.truth - prediction), self.cap if cap is None else cap)

    def rmse(self, prediction: Array) -> float:
        """Root of the mean squared error, capped."""
        return float(np.sqrt(self.mean(self.errors(prediction))))

    @property
    def pairs(self) -> tuple[Array, Array]:
        """Rows and columns of the entries."""
        rows, columns = zip(*(fold.pairs for fold in self.folds), strict=True)
        return np.concatenate(rows), np.concatenate(columns)

    def mean(self, values: Array) -> float:
        """Weighted mean over the entries."""
        return float(np.average(values, weights=self.weights))

    def standard_error(self, values: Array) -> float:
        """Standard error of `mean`; entries that are held out together are one observation."""
        sums = np.bincount(self._groups, self.shares * (values - self.mean(values)))
        return float(np.sqrt(np.sum(np.square(sums))) / self.shares.sum())

    @property
    def shares(self) -> Array:
        """The weights; ones if there are none."""
        return np.ones(len(self.truth)) if self.weights is None else self.weights

    @cached_property
    def _groups(self) -> Array:
        """The number of the group of entries that each belongs to: a column, a row, or the entry itself."""
        rows, columns = self.pairs
        folds = np.repeat(np.arange(len(self.folds)), [len(fold.held_out.values) for fold in self.folds])
        alone = np.arange(len(rows)) if not self.together else rows
        lines = np.where(self.kinds == COLUMN, columns, np.where(self.kinds == ROW, rows, alone))
        whole = self.kinds if not self.together else self.kinds == COLUMN
        folds = np.where((self.kinds == SINGLE) & (not self.together), 0, folds)
        return np.unique(np.array([whole, folds, lines]), axis=1, return_inverse=True)[1].ravel()


def _n_left(fold: Fold, axis: int) -> Array:
    """For each held-out entry, the number of training entries in its row (axis 0), in its column (1)."""
    training = fold.entries.only(fold.train)
    return np.bincount(training.pairs()[axis], minlength=training.shape[axis])[fold.pairs[axis]]


@dataclass
class Evaluation:
    """A candidate, trained on the training entries of each fold.

    Attributes
    ----------
    errors : ndarray
        Squared error of each held-out entry, capped at `HeldOut.cap`.
    prediction : ndarray
        At the held-out entries.
    """

    candidate: Candidate
    trials: list[Trial]
    held_out: HeldOut

    @property
    def prediction(self) -> Array:
        """At the held-out entries."""
        return np.concatenate([trial.prediction for trial in self.trials]).astype(np.float64)

    @property
    def errors(self) -> Array:
        """Squared error of each held-out entry, capped at `HeldOut.cap`."""
        return self.held_out.errors(self.prediction)

    @property
    def error(self) -> float:
        """Mean squared error."""
        return np.inf if self.failed else self.held_out.mean(self.errors)

    @property
    def failed(self) -> bool:
        """Whether a trial raised an error or has no result yet."""
        return any(trial.error is not None or trial.factors is None for trial in self.trials)

    @property
    def done(self) -> bool:
        """Whether all trials have ended."""
        return all(trial.done for trial in self.trials)

    @property
    def n_iter(self) -> int:
        """Sweeps after which the held-out error was lowest; median over the folds."""
        return int(np.median([trial.n_iter for trial in self.trials]))

    @property
    def seconds(self) -> float:
        """Seconds of all trials together."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def n_more(self) -> int:
        """Sweeps of the final fit to all observed entries, after those over the training entries."""
        return max(_MIN_MORE, self.n_iter // 4)

    @property
    def seconds_of_refit(self) -> float:
        """Rough estimate of the seconds of the final fit."""
        made = sum(trial.made for trial in self.trials)
        return 1.3 * self.seconds * self.n_more / max(made, 1)

    @property
    def converged(self) -> bool:
        """Whether all trials had converged at their best result."""
        return all(trial.converged for trial in self.trials)

    def advance(self, n_iter: int, clock: Clock, reserve: float, n_jobs: int | None) -> None:
        """Train until `n_iter` sweeps are made, the fits have ended, or only `reserve` seconds are left."""
        made = min(trial.made for trial in self.trials)
        while made < n_iter and not self.done:
            made = min(n_iter, made + self._chunk(clock))
            advance_all([[(trial, made)] for trial in self.trials], n_jobs)
            if clock.left < reserve:
                break

    def _chunk(self, clock: Clock) -> int:
        """Sweeps until the next look at the clock: one until their seconds are known, then few beside the limit."""
        if not np.isfinite(clock.limit):
            return MAX_ITER
        made = max(trial.made for trial in self.trials)
        if not made:
            return 1
        of_all_trials = self.seconds / made
        return int(np.clip(_SHARE_OF_A_CHUNK * clock.limit / max(of_all_trials, 1e-9), 1, _CHUNK))

    def begin_with(self, other: Evaluation) -> None:
        """Start from the factors of another evaluation, fold by fold."""
        for trial, before in zip(self.trials, other.trials, strict=True):
            trial.start = before.factors

    def best_factors(self) -> list[Array]:
        """Factors of the fold with the lowest error."""
        return max(self.trials, key=lambda trial: trial.score).factors


def evaluate(candidate: Candidate, held_out: HeldOut, scales: Scales) -> Evaluation:
    """An evaluation before its first sweep."""
    model = candidate.model(scales)
    trials = [make_trial(model, fold, held_out.score, _PATIENCE) for fold in held_out.folds]
    for trial in trials:
        trial.keep = True
        if candidate.rank == 0:
            trial.start = factors_of_means(trial.fold.entries.shape[0], _means(trial.fold), trial.fold.entries.X.dtype)
    return Evaluation(candidate, trials, held_out)


def _means(fold: Fold) -> Array:
    """The (weighted) mean of the training entries of each column; that of all where there are none."""
    train = fold.entries.only(fold.train)
    values, columns, n = train.observed_values.astype(np.float64), train.pairs()[1], train.shape[1]
    weights = np.ones(len(values)) if train.weights is None else train.weights[train.observed]
    sums, total = np.bincount(columns, weights * values, n), np.bincount(columns, weights, n)
    return np.divide(sums, total, out=np.full(n, sums.sum() / total.sum()), where=total > 0)


def better(held_out: HeldOut, new: Array, old: Array) -> bool:
    """Whether the new errors are lower by more than one standard error of the paired differences."""
    gain = old - new
    return held_out.mean(gain) > held_out.standard_error(gain)


def best_average(held_out: HeldOut, candidates: Sequence[Evaluation]) -> int:
    """How many of the candidates, taken in this order, to average for the lowest held-out error."""
    total, lowest, best = np.zeros(len(held_out.truth)), np.inf, 1
    for n, candidate in enumerate(candidates, 1):
        total += candidate.prediction
        error = held_out.mean(held_out.errors(total / n))
        if error < lowest:
            lowest, best = error, n
    return best
