"""The search of `AutoImputer`: its candidates at the same held-out entries, the blend, and the fits to all entries."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ...data.boundary import read_observed
from ...models.base import DataWarning
from .blending import Blend, blend
from .estimator import AutoNMF
from .evaluation import Clock
from .holdout import Holdout
from .members import COLUMN_MEAN, Member, members_for
from .search_task import SearchTask
from .stages import SearchProgress
from .yardsticks import HeldOutTable

Array = np.ndarray

NMF = "AutoNMF"
# A member with less weight in every column is left out.
_LEAST_WEIGHT = 0.02
# Least share of the time limit that is kept for AutoNMF.
_FOR_NMF = 0.3
# AutoNMF may leave out so many of the held-out entries.
_MOST_OF_THEM = 0.8
# Seconds of fits that still begin after an interruption.
_SHORT = 1.0
# A fit to all entries takes about so many times as long as one to a fold.
_LONGER = 1.3


class Filler(Protocol):
    """A fitted imputer."""

    def fill(self, X: Array, censored: Array | None = None) -> Array:
        """X with its holes filled, in the unit of X; `censored` are the signs of bounds."""


@dataclass(frozen=True)
class FittedNMF:
    """`AutoNMF` as one of the imputers."""

    model: AutoNMF

    def fill(self, X: Array, censored: Array | None = None) -> Array:
        """X completed."""
        return self._complete(X, censored=censored)

    def fill_with_std(self, X: Array, censored: Array) -> tuple[Array, Array]:
        """X completed, and the standard deviations of what was filled in."""
        return self._complete(X, censored=censored, return_std=True)

    def _complete(self, X: Array, **how: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # of empty rows
            return self.model.complete(X, **how)


class Ended(Exception):
    """The callback has ended the search."""


@dataclass
class BlendSearch:
    """What is tried on a table whose columns have a value each, and what comes of it.

    Bounds (`censored` are their signs) are values to all candidates but `AutoNMF`.

    Attributes
    ----------
    scores : dict
        Error of each candidate by name.
    members : list of str
        Candidates in the blend beside the column mean.
    blended : Blend or None
        None if no entries could be held out.
    fitted : list
        The members, fitted to all entries.
    """

    X: Array
    censored: Array | None
    candidates: tuple[str, ...]
    holdout: object
    seed: int
    n_jobs: int | None
    clock: Clock
    report: Callable[[SearchProgress], bool]
    scores: dict[str, float] = field(default_factory=dict)
    predictions: dict[str, Array] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
    fitted: list[Filler] = field(default_factory=list)
    blended: Blend | None = None
    table: HeldOutTable | None = None
    nmf: AutoNMF | None = None
    stop_reason: str = "done"

    def run(self) -> BlendSearch:
        """Score the candidates, blend them, and fit those that count to all entries."""
        self.others = [each for each in members_for(self.X) if _kind(each.name) in self.candidates]
        try:
            self._score()
        except Ended:
            self.stop_reason = "callback"
        except KeyboardInterrupt:
            if self.table is None:
                raise
            self.stop_reason = "interrupted"
        if self.table is not None:
            self._blend()
            self._fit()
        return self

    # --- errors at the held-out entries ---------------------------------------------------------------------------

    def _score(self) -> None:
        """The column mean, the imputers, quick ones first, and `AutoNMF` in the time that is left."""
        self.table = self._held_out()
        if self.table is None:
            return
        self._found(COLUMN_MEAN, self.table.means())
        for member in self.others:
            reserve = self._final_seconds() + self._seconds([member])
            if np.isfinite(self.clock.limit) and NMF in self.candidates:
                reserve += _FOR_NMF * self.clock.limit
            predicted = self.table.predictions(member, self.seed, self.clock, reserve)
            if predicted is None:
                self.stop_reason = "time_limit"
            else:
                self._found(member.name, predicted)
        if NMF in self.candidates:
            self._score_nmf()

    def _held_out(self) -> HeldOutTable | None:
        """The table with held-out entries as `AutoNMF` would take them; None if there are too few entries."""
        task = SearchTask.of(Holdout(read_observed(self.X, censored=self.censored), self.holdout), self.seed, 0)
        if task.held_out is None:
            return None
        entries = task.held_out_entries(task.held_out.truth)
        weights = np.ones(len(entries.truth)) if task.held_out.weights is None else task.held_out.weights
        return HeldOutTable(self.X, entries, weights)

    def _score_nmf(self) -> None:
        """Fit `AutoNMF`; entries that it leaves out, gross outliers, count for nobody."""
        limit = None
        if np.isfinite(self.clock.limit):
            limit = max(self.clock.left - self._final_seconds(), 0.01 * self.clock.limit)
        model = AutoNMF(
            limit,
            holdout=self.table.splits(),
            n_jobs=self.n_jobs,
            random_state=self.seed,
            callback=self._nmf_progress,
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)
                model.fit(self.X, censored=self.censored)
        except KeyboardInterrupt:
            self.stop_reason = "interrupted"
        if getattr(model, "held_out_", None) is None:
            return
        at, there = self.table.matches(model.held_out_)
        if there.mean() >= _MOST_OF_THEM:
            self.nmf = model
            self.table = self.table.only(there)
            self.predictions = {name: each[there] for name, each in self.predictions.items()}
            self.scores = {name: self.table.error(each) for name, each in self.predictions.items()}
            self._found(NMF, model.held_out_.prediction[at])

    def _found(self, name: str, predictions: Array) -> None:
        self.predictions[name] = predictions
        self.scores[name] = self.table.error(predictions)
        self._tell(name, self.scores[name])

    def _nmf_progress(self, progress: SearchProgress) -> bool:
        """`AutoNMF` reports in its own unit: that it is at work is all that can be told here."""
        self._tell(f"{NMF}, {progress.candidate}", np.nan)
        return False

    def _tell(self, name: str, error: float) -> None:
        best = min(self.scores.values(), default=np.nan)
        limit = self.clock.limit if np.isfinite(self.clock.limit) else None
        if self.report(SearchProgress(name, error, best, len(self.scores), self.clock.spent, limit)):
            raise Ended

    # --- the blend ------------------------------------------------------------------------------------------------

    def _blend(self) -> None:
        """The weights; members that hardly count are left out, and the others weighted again."""
        names = [name for name in self.predictions if name != COLUMN_MEAN]
        if self.stop_reason == "interrupted":
            names = [name for name in names if name == NMF or self._seconds_of(name) < _SHORT]
        while True:
            self.members, self.blended = names, self._blended(names)
            names = [name for name, w in zip(names, self.blended.weights.T, strict=True) if w.max() >= _LEAST_WEIGHT]
            if len(names) == len(self.members):
                return

    def _blended(self, names: list[str]) -> Blend:
        entries, means = self.table.entries, self.predictions[COLUMN_MEAN]
        std = self.table.std[entries.columns]
        predictions = np.array([self.predictions[name] - means for name in names]).reshape(len(names), len(means)) / std
        truth = (entries.truth - means) / std
        return blend(predictions, truth, entries.rows, entries.columns, self.table.weights, self.X.shape[1])

    def blended_predictions(self) -> Array:
        """Of the blend at the held-out entries, by weights that did not see them, in the unit of X."""
        entries = self.table.entries
        low, high = ranges(self.X, self.censored)[:, entries.columns]
        found = self.predictions[COLUMN_MEAN] + self.table.std[entries.columns] * self.blended.cross_fitted
        return np.clip(found, low, high)

    # --- fits to all entries --------------------------------------------------------------------------------------

    def _fit(self) -> None:
        by_name: dict[str, Member] = {member.name: member for member in self.others}
        self.fitted = [
            FittedNMF(self.nmf) if name == NMF else by_name[name].fit(self.X, self.seed)[0] for name in self.members
        ]

    def _final_seconds(self) -> float:
        """Of the fits to all entries that are known to be needed so far."""
        return sum(self._seconds_of(name) for name in self.predictions)

    def _seconds(self, members: list[Member]) -> float:
        return _LONGER * sum(member.seconds(*self.X.shape) for member in members)

    def _seconds_of(self, name: str) -> float:
        return self._seconds([member for member in self.others if member.name == name])


def ranges(X: Array, censored: Array | None) -> Array:
    """Lowest and highest value of each column, of shape (2, n); 0 or no end where a bound says no more."""
    ends = np.array([np.nanmin(X, axis=0), np.nanmax(X, axis=0)])
    if censored is None:
        return ends
    beyond = np.array([np.where(ends[0] < 0, -np.inf, 0.0), np.full(ends.shape[1], np.inf)])
    return np.where([(censored == sign).any(axis=0) for sign in "<>"], beyond, ends)


def _kind(name: str) -> str:
    """What users call a candidate: its name without what sets it apart from others of its kind."""
    return name.split(",")[0].split(" of ")[0]


def describe(values: dict[str, Any], digits: int = 2) -> str:
    """Names with numbers."""
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in values.items())
