"""Errors of imputers at the held-out entries of a search, in standard deviations of each column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .averaged import HeldOutEntries
from .blending import column_error
from .evaluation import Clock
from .members import COLUMN_MEAN, YARDSTICKS, Member, members_for

Array = np.ndarray


@dataclass(frozen=True)
class HeldOutTable:
    """A table with held-out entries: what each fold may see, and what it has to predict.

    Errors are in standard deviations of a column, the mean over columns of the root mean square.
    """

    X: Array
    entries: HeldOutEntries
    weights: Array

    @classmethod
    def of(cls, X: Array, entries: HeldOutEntries) -> HeldOutTable:
        """With entries that all count alike."""
        return cls(X, entries, np.ones(len(entries.truth)))

    @property
    def std(self) -> Array:
        """Standard deviation of each column; 1 if it is constant."""
        std = np.nanstd(self.X, axis=0)
        std[std <= 1e-12 * np.nanmax(np.abs(self.X), axis=0)] = 1.0
        return std

    def folds(self) -> Iterator[tuple[Array, Array]]:
        """For each fold the table without its held-out entries, and the places of these among all entries."""
        for fold in np.unique(self.entries.fold):
            at = np.flatnonzero(self.entries.fold == fold)
            seen = self.X.copy()
            seen[self.entries.rows[at], self.entries.columns[at]] = np.nan
            yield seen, at

    def matches(self, entries: HeldOutEntries) -> tuple[Array, Array]:
        """Where the entries of this table stand among others, for those that do, and flags of those."""
        n, m = self.X.shape

        def keys(each: HeldOutEntries) -> Array:
            return (each.fold * n + each.rows) * m + each.columns

        theirs, ours = keys(entries), keys(self.entries)
        order = np.argsort(theirs)
        at = order[np.minimum(np.searchsorted(theirs, ours, sorter=order), len(order) - 1)]
        there = theirs[at] == ours
        return at[there], there

    def only(self, there: Array) -> HeldOutTable:
        """The table with some of the held-out entries."""
        entries = HeldOutEntries(*(each[there] for each in self.entries))
        return replace(self, entries=entries, weights=self.weights[there])

    def splits(self) -> list[tuple[Array, Array, Array]]:
        """For each fold flags of training and held-out entries, and the weights of these, row by row."""
        found = []
        for seen, at in self.folds():
            train = ~np.isnan(seen)
            order = np.lexsort((self.entries.columns[at], self.entries.rows[at]))
            found.append((train, ~np.isnan(self.X) & ~train, self.weights[at][order]))
        return found

    def means(self) -> Array:
        """Column means of the other folds, at the held-out entries."""
        found = np.empty(len(self.entries.truth))
        for seen, at in self.folds():
            found[at] = np.nanmean(seen, axis=0)[self.entries.columns[at]]
        return found

    def n_observed(self) -> Array:
        """Number of training entries in the row of each held-out entry."""
        found = np.empty(len(self.entries.truth))
        for seen, at in self.folds():
            found[at] = np.count_nonzero(~np.isnan(seen), axis=1)[self.entries.rows[at]]
        return found

    def predictions(self, member: Member, seed: int, clock: Clock, reserve: float = 0.0) -> Array | None:
        """Of a member at the held-out entries; None if there is no time for all folds and `reserve` seconds more.

        The first fold tells how long the others take.
        """
        found, n_left = np.empty(len(self.entries.truth)), len(np.unique(self.entries.fold))
        each = member.seconds(*self.X.shape)
        for seen, at in self.folds():
            if clock.left < n_left * each + reserve:
                return None
            began = clock.spent
            filled = member.fit(seen, seed)[1]
            each, n_left = clock.spent - began, n_left - 1
            found[at] = filled[self.entries.rows[at], self.entries.columns[at]]
        return found

    def error(self, predictions: Array) -> float:
        """Of predictions at the held-out entries."""
        columns = self.entries.columns
        return column_error((predictions - self.entries.truth) / self.std[columns], columns, self.weights)


def yardsticks(X: Array, entries: HeldOutEntries, clock: Clock, seed: int = 0) -> dict[str, float]:
    """Errors of the column mean and, where the table is small enough, of KNN and IterativeImputer."""
    table = HeldOutTable.of(X, entries)
    found = {COLUMN_MEAN: table.error(table.means())}
    for member in members_for(X):
        if member.name in YARDSTICKS and (predictions := table.predictions(member, seed, clock)) is not None:
            found[member.name] = table.error(predictions)
    return found
