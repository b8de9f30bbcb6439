"""What a search is over: the observed entries, which of them are held out, and what is known of them beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from ...data import ObservedData
from ...data.boundary import Observed, SparseObserved
from ...engine.factors import Factors
from ...engine.loop import Limits
from ...models.nmf import NMF
from ..cross_validation import make_folds
from ..splits import EntryKFold, EntryShuffleSplit
from .choices import TOL, Choice, Units, first_choice, highest_rank
from .columns import Columns, standardised
from .evaluation import Clock, HeldOut, evaluate
from .gaps import Seen
from .outliers import flag_lone_outliers, flag_outliers
from .search import Look, Search

Array = np.ndarray

# Below these numbers of observed entries there are 5, 3 folds; else one tenth is held out, but no more than so many.
_SMALL, _MEDIUM, _MOST_HELD_OUT = 5_000, 50_000, 500_000
# Below so many observed entries none are held out.
_FEWEST = 20
# What looks like an outlier is none where a fit of this rank, after so many sweeps, comes nearer to it than this share
# of how far off it seems to be.
_RANK_OF_PROBE, _SWEEPS_OF_PROBE, _PREDICTED = 3, 60, 0.8
# Outliers that only a model tells are looked for where it takes next to no time; and how often to look again.
_MOST_FOR_A_MODEL, _ROUNDS = 20_000, 3
# Sweeps over the codes of new rows, at most.
_CODE_SWEEPS = 300


@dataclass(frozen=True)
class Task:
    """Entries of the rows and columns that have some, on one scale or with columns standardised by `scaling`."""

    entries: Observed
    seen: Seen
    seed_of_holes: int
    seed_of_start: int
    # What was observed of a sparse X.
    pattern: tuple[Array, Array] | None = None
    # Gross outliers that were left out: row, column and value of each.
    outliers: tuple[Array, Array, Array] | None = None
    scaling: Array | None = None
    # Its columns before they were standardised.
    before: Columns | None = None

    @classmethod
    def of(
        cls, entries: Observed, seed_of_holes: int, seed_of_start: int, pattern: tuple[Array, Array] | None = None
    ) -> Self:
        """The task that all observed entries set, without the rows and columns that have none."""
        seen = Seen.of(entries)
        entries = entries if seen.all else entries.take(seen.rows, seen.columns)
        return cls(entries, seen, seed_of_holes, seed_of_start, pattern)

    def without_outliers(self, clock: Clock, n_jobs: int | None) -> Self:
        """The task without gross outliers, if there are any; where the worst are gone, others may show."""
        task = self
        for _ in range(_ROUNDS):
            flags = task._outliers(clock, n_jobs)
            if flags is None:
                break
            task = task._without(flags)
        return task

    def in_own_units(self, clock: Clock, n_jobs: int | None) -> Self:
        """Each column in its own unit, in which there may be other outliers."""
        task = self.standardised()
        flags = task._outliers(clock, n_jobs)
        return task if flags is None else self._without(flags).standardised()

    def _outliers(self, clock: Clock, n_jobs: int | None) -> Array | None:
        """Flags of gross outliers; of what a model predicts none is one."""
        if self.held_out is None:
            return None
        found = flag_outliers(self.values, *self.entries.pairs(), self.shape)
        if found is None and self.n <= _MOST_FOR_A_MODEL:
            found = flag_lone_outliers(self.values, self._robustly_expected(clock))
        return None if found is None or self._predicts(*found, clock, n_jobs) else found[0]

    def _robustly_expected(self, clock: Clock) -> Array:
        """Observed entries as a small model with the robust loss has them."""
        choice = replace(self._probe, correntropy=True)
        model = choice.model(self.units)
        model._fit_data(self.data, None, Limits(max_iter=_SWEEPS_OF_PROBE, tol=TOL, deadline=clock.end))
        if model.stop_reason_ == "interrupted":
            raise KeyboardInterrupt
        rows, columns = self.entries.pairs()
        return np.einsum("nk,kn->n", model.factors_[0][rows], model.components_[:, columns]).astype(np.float64)

    @property
    def _probe(self) -> Choice:
        """A model that may tell whether what looks like an outlier is one."""
        first = first_choice(self.shape, self.n, biases=False, seed=self.seed_of_start)
        return replace(first, rank=max(first.rank, min(_RANK_OF_PROBE, highest_rank(self.shape, self.n))))

    def _without(self, flags: Array) -> Self:
        """The task without some observed entries, nor the rows and columns that then have none."""
        entries = self.entries.without(flags)
        left = Seen.of(entries)
        at = zip(self.entries.pairs(), (self.seen.rows, self.seen.columns), strict=True)
        outliers = *(np.flatnonzero(seen)[lines[flags]] for lines, seen in at), self.values[flags]
        if self.outliers is not None:
            outliers = tuple(np.concatenate(pair) for pair in zip(self.outliers, outliers, strict=True))
        seen = Seen(self.seen.rows.copy(), self.seen.columns.copy())
        seen.rows[seen.rows], seen.columns[seen.columns] = left.rows, left.columns
        entries = entries if left.all else entries.take(left.rows, left.columns)
        return replace(self, entries=entries, seen=seen, outliers=outliers)

    def _predicts(self, flags: Array, expected: Array, clock: Clock, n_jobs: int | None) -> bool:
        """Whether least squares predict held-out suspects better than to be expected of their rows and columns."""
        probe = evaluate(self._probe, self.held_out, self.units)
        probe.advance(_SWEEPS_OF_PROBE, clock, 0.0, n_jobs)
        all_expected = np.full(self.n, np.nan)
        all_expected[flags] = expected
        expected = np.zeros(self.entries.observed.shape)
        expected[self.entries.observed] = all_expected
        expected = np.concatenate([expected[fold.test] for fold in self.held_out.folds])
        suspects = ~np.isnan(expected)
        if probe.failed or not suspects.any():
            return False
        far = np.abs(self.held_out.truth - expected)[suspects]
        near = np.abs(self.held_out.truth - probe.prediction)[suspects]
        return bool(np.median(near / far) < _PREDICTED)

    def standardised(self) -> Self:
        """The same with each column in its own unit, so that all count alike."""
        scaling = self.columns.scaling()
        values = standardised(self.entries.observed_values, self.entries.pairs()[1], scaling)
        return replace(self, entries=self.entries.with_observed(values), scaling=scaling, before=self.columns)

    def search(self, clock: Clock, n_jobs: int | None, max_candidates: float, tell: Callable[[Look], bool]) -> Search:
        """One that has not begun."""
        return Search(
            self.held_out,
            self.units,
            self.shape,
            self.n,
            clock,
            n_jobs,
            max_candidates,
            tell,
            among_outliers=self.outliers is not None,
            column_weights=self._column_weights,
        )

    def fit(self, model: NMF, factors: Factors | None, limits: Limits) -> NMF:
        """The model fitted to all observed entries, from factors on; it knows the empty rows and columns, too."""
        model.n_features_in_ = self.shape[1]
        model._fit_data(self.data, factors, limits)
        self.seen.put_back(model, self.pattern)
        model.max_iter = _CODE_SWEEPS
        return model

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that are not empty."""
        return self.entries.shape

    @property
    def sparse(self) -> bool:
        """Whether X was given as a sparse matrix."""
        return isinstance(self.entries, SparseObserved)

    @cached_property
    def n(self) -> int:
        """Observed entries."""
        return int(np.count_nonzero(self.entries.observed))

    @cached_property
    def values(self) -> Array:
        """The observed values."""
        return self.entries.observed_values.astype(np.float64)

    @cached_property
    def units(self) -> Units:
        """What ridges refer to."""
        return Units.of(self.values)

    @cached_property
    def columns(self) -> Columns:
        """What is known of the columns."""
        return Columns.of(self.values, self.entries.pairs()[1], self.shape[1])

    @property
    def as_given(self) -> Columns:
        """The columns in the units of X."""
        return self.before or self.columns

    @property
    def range(self) -> Array:
        """For each column the range that fills are held in: of all values, in the units of X.

        Of the column's own, where columns have units of their own.
        """
        ends = self.as_given.range
        if self.scaling is not None:
            return ends
        return np.repeat([[ends[0].min()], [ends[1].max()]], self.shape[1], axis=1)

    @cached_property
    def data(self) -> ObservedData:
        """All entries as the models take them."""
        return self.entries.only(self.entries.observed).data()

    @cached_property
    def held_out(self) -> HeldOut | None:
        """The folds, or None where there are too few entries."""
        if self.n < _SMALL:
            splitter = EntryKFold(5, random_state=self.seed_of_holes)
        else:
            share = min(0.1, _MOST_HELD_OUT / self.n)
            n_splits = 3 if self.n < _MEDIUM else 1
            splitter = EntryShuffleSplit(n_splits, test_size=share, random_state=self.seed_of_holes)
        try:
            return None if self.n < _FEWEST else HeldOut(make_folds(self.entries, splitter, self.seed_of_holes))
        except ValueError:  # each row and each column must keep an entry
            return None

    def reachable(self) -> tuple[Array, Array]:
        """For each held-out entry, the range of values that predictions may be held in.

        Of the training entries: a held-out one may lie beyond, as a missing one may.  Where columns have units of their
        own, it is what was observed of the column.
        """
        if self.scaling is None:
            return self.held_out.lowest, self.held_out.highest
        lowest, highest = self.columns.range[:, self.held_out.pairs[1]]
        return lowest, highest

    @property
    def nothing(self) -> Array | float:
        """What a zero of X is, for each held-out entry."""
        if self.scaling is None:
            return 0.0
        shift, scale = self.scaling[:2, self.held_out.pairs[1]]
        return -shift / scale

    @property
    def _column_weights(self) -> Array | None:
        """1 / variance of each held-out entry's column, where scales differ; 0 where a column tells none."""
        if self.scaling is not None or not self.columns.differ:
            return None
        return (self.columns.known / np.square(self.columns.scaling()[1]))[self.held_out.pairs[1]]
