"""The data of a search: observed entries, held-out entries, outliers, scales."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from ...data import ObservedData
from ...data.observed import Observed, SparseObserved
from ...engine.factors import Factors
from ...engine.loop import StoppingCriteria
from ...models.nmf import NMF
from .averaged import HeldOutEntries
from .candidates import TOL, Candidate, Scales, first_candidate, highest_rank
from .column_scales import Columns, standardised
from .empty_lines import ObservedLines
from .evaluation import Clock, HeldOut, evaluate
from .holdout import Holdout
from .outliers import flag_lone_outliers, flag_outliers
from .stages import AutoSearch, SearchProgress

Array = np.ndarray

# With fewer observed entries none are held out.
_FEWEST = 20
# A suspected outlier is accepted as data if a fit of this rank predicts it, after this number of sweeps, with less than
# this share of the error of its row and column.
_RANK_OF_PROBE, _SWEEPS_OF_PROBE, _PREDICTED = 3, 60, 0.8
# Most entries for which a model is fitted to detect lone outliers; most rounds of detection.
_MOST_FOR_A_MODEL, _ROUNDS = 20_000, 3
# Most sweeps over the codes of new rows.
_CODE_SWEEPS = 300


@dataclass(frozen=True)
class SearchTask:
    """The entries of all non-empty rows and columns, as given or with columns standardised by `scaling`."""

    entries: Observed
    holdout: Holdout
    seen: ObservedLines
    seed_of_holes: int
    seed_of_start: int
    # The observed entries of a sparse X.
    pattern: tuple[Array, Array] | None = None
    # Gross outliers that were left out: row, column and value of each.
    outliers: tuple[Array, Array, Array] | None = None
    scaling: Array | None = None
    # The columns before they were standardised.
    before: Columns | None = None

    @classmethod
    def of(
        cls, holdout: Holdout, seed_of_holes: int, seed_of_start: int, pattern: tuple[Array, Array] | None = None
    ) -> Self:
        """The task of all observed entries, without empty rows and columns that have no place."""
        entries = holdout.entries
        seen = holdout.lines(entries)
        entries = entries if seen.all else entries.take(seen.rows, seen.columns)
        return cls(entries, holdout, seen, seed_of_holes, seed_of_start, pattern)

    def without_outliers(self, clock: Clock, n_jobs: int | None) -> Self:
        """The task without gross outliers; detected in rounds, as the worst may hide others."""
        task = self
        for _ in range(_ROUNDS):
            flags = task._outliers(clock, n_jobs)
            if flags is None:
                break
            task = task._without(flags)
        return task

    def in_own_units(self, clock: Clock, n_jobs: int | None) -> Self:
        """The task with standardised columns, without the outliers that show in these units."""
        task = self.standardised()
        flags = task._outliers(clock, n_jobs)
        return task if flags is None else self._without(flags).standardised()

    def _outliers(self, clock: Clock, n_jobs: int | None) -> Array | None:
        """Flags of gross outliers, or None; entries that a model predicts are not outliers."""
        if self.held_out is None:
            return None
        found = flag_outliers(self.values, *self.entries.pairs(), self.shape)
        if found is None and self.n <= _MOST_FOR_A_MODEL:
            found = flag_lone_outliers(self.values, self._robustly_expected(clock))
        found = None if found is None else self._measured(*found)
        return None if found is None or self._predicts(*found, clock, n_jobs) else found[0]

    def _measured(self, flags: Array, expected: Array) -> tuple[Array, Array] | None:
        """Those of the flagged entries that are not censored: a bound is no outlier."""
        measured = self.entries.measured[self.entries.observed]
        expected, flags = expected[measured[flags]], flags & measured
        return (flags, expected) if flags.any() else None

    def _robustly_expected(self, clock: Clock) -> Array:
        """The observed entries as predicted by a small model with the robust loss."""
        candidate = replace(self._probe, correntropy=True)
        model = candidate.model(self.scales)
        criteria = StoppingCriteria(max_iter=_SWEEPS_OF_PROBE, tol=TOL, deadline=clock.end)
        model.begin_on(self.data, criteria=criteria).run().finish()
        if model.stop_reason_ == "interrupted":
            raise KeyboardInterrupt
        rows, columns = self.entries.pairs()
        return np.einsum("nk,kn->n", model.factors_[0][rows], model.components_[:, columns]).astype(np.float64)

    @property
    def _probe(self) -> Candidate:
        """A small model that decides whether suspected outliers are predictable."""
        first = first_candidate(self.observed_shape, self.n, biases=False, seed=self.seed_of_start)
        return replace(first, rank=max(first.rank, min(_RANK_OF_PROBE, highest_rank(self.observed_shape, self.n))))

    def _without(self, flags: Array) -> Self:
        """The task without the flagged entries, and without rows and columns that are then empty."""
        entries = self.entries.without(flags)
        left = self.holdout.lines(entries)
        at = zip(self.entries.pairs(), (self.seen.rows, self.seen.columns), strict=True)
        outliers = *(np.flatnonzero(seen)[lines[flags]] for lines, seen in at), self.values[flags]
        if self.outliers is not None:
            outliers = tuple(np.concatenate(pair) for pair in zip(self.outliers, outliers, strict=True))
        seen = ObservedLines(self.seen.rows.copy(), self.seen.columns.copy())
        seen.rows[seen.rows], seen.columns[seen.columns] = left.rows, left.columns
        entries = entries if left.all else entries.take(left.rows, left.columns)
        return replace(self, entries=entries, seen=seen, outliers=outliers)

    def _predicts(self, flags: Array, expected: Array, clock: Clock, n_jobs: int | None) -> bool:
        """Whether least squares predict the suspects better than the medians of their rows and columns do."""
        probe = evaluate(self._probe, self.held_out, self.scales)
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
        """The task with standardised columns, so that all count alike."""
        scaling = self.columns.scaling()
        values = standardised(self.entries.observed_values, self.entries.pairs()[1], scaling)
        return replace(self, entries=self.entries.with_observed(values), scaling=scaling, before=self.columns)

    def search(
        self, clock: Clock, n_jobs: int | None, max_candidates: float, report: Callable[[SearchProgress], bool]
    ) -> AutoSearch:
        """A search over this task."""
        return AutoSearch(
            self.held_out,
            self.scales,
            self.observed_shape,
            self.n,
            clock,
            n_jobs,
            max_candidates,
            report,
            among_outliers=self.outliers is not None,
            column_weights=self._column_weights,
        )

    def fit(self, model: NMF, factors: Factors | None, criteria: StoppingCriteria) -> NMF:
        """The model fitted to all observed entries from initial factors, with empty rows and columns put back."""
        model.n_features_in_ = self.shape[1]
        start = factors and [F.copy() for F in factors]
        model.begin_on(self.data, start=start, criteria=criteria).run().finish()
        self.seen.put_back(model, self.pattern)
        model.max_iter = _CODE_SWEEPS
        return model

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of non-empty rows and columns."""
        return self.entries.shape

    @cached_property
    def observed_shape(self) -> tuple[int, int]:
        """Numbers of rows and columns with an observed entry."""
        seen = ObservedLines.of(self.entries)
        return int(np.count_nonzero(seen.rows)), int(np.count_nonzero(seen.columns))

    @property
    def sparse(self) -> bool:
        """Whether X was given as a sparse matrix."""
        return isinstance(self.entries, SparseObserved)

    @cached_property
    def n(self) -> int:
        """Number of observed entries."""
        return int(np.count_nonzero(self.entries.observed))

    @cached_property
    def values(self) -> Array:
        """The observed values."""
        return self.entries.observed_values.astype(np.float64)

    @cached_property
    def scales(self) -> Scales:
        """The units of the ridges."""
        return Scales.of(self.values, self.holdout.rows, self.holdout.columns)

    @cached_property
    def columns(self) -> Columns:
        """Moments and ranges of the columns."""
        return Columns.of(self.values, self.entries.pairs()[1], self.shape[1])

    @property
    def as_given(self) -> Columns:
        """The columns in the units of X."""
        return self.before or self.columns

    @property
    def range(self) -> Array:
        """The range to clip each column to, in the units of X: that of all values.

        With standardised columns, that of the column.
        """
        ends = self._opened(self.as_given.range)
        if self.scaling is not None:
            return ends
        return np.repeat([[ends[0].min()], [ends[1].max()]], self.shape[1], axis=1)

    @cached_property
    def data(self) -> ObservedData:
        """All observed entries, in the storage that the models use."""
        return self.entries.only(self.entries.observed).data()

    @cached_property
    def held_out(self) -> HeldOut | None:
        """The held-out entries, or None if there are too few entries."""
        try:
            if self.n < _FEWEST:
                return None
            folds = self.holdout.folds(self.entries, self.seen, self.seed_of_holes)
            return HeldOut(folds, together=self.holdout.together)
        except ValueError:  # every row and column must keep a training entry
            return None

    def reachable(self) -> tuple[Array, Array]:
        """For each held-out entry, the range to clip its prediction to: that of the training entries.

        With standardised columns, that of all observed entries of the column.
        """
        if self.scaling is None:
            return self.held_out.lowest, self.held_out.highest
        lowest, highest = self._opened(self.columns.range)[:, self.held_out.pairs[1]]
        return lowest, highest

    @property
    def missing_of_columns(self) -> Array | None:
        """For each column of the task, how many entries are missing by themselves; None if that is not known."""
        holes = self.holdout.holes
        return None if holes is None else holes.single.sum(axis=0)[self.seen.columns]

    @property
    def columns_of_held_out(self) -> Array:
        """The column of X of each held-out entry."""
        return np.flatnonzero(self.seen.columns)[self.held_out.pairs[1]]

    def clean_entries(self) -> tuple[Array, Array, Array]:
        """Rows, columns and values of the observed entries of X, without gross outliers."""
        entries = self.holdout.entries
        (rows, columns), values = entries.pairs(), entries.observed_values.astype(np.float64)
        if self.outliers is None:
            return rows, columns, values
        n = entries.shape[1]
        clean = ~np.isin(rows.astype(np.int64) * n + columns, self.outliers[0].astype(np.int64) * n + self.outliers[1])
        return rows[clean], columns[clean], values[clean]

    def _opened(self, ends: Array) -> Array:
        """Ranges of the columns, without the end beyond which a censored entry may lie."""
        columns, reach = self.entries.pairs()[1], self.entries.reach(self.entries.observed)
        return np.array(
            [
                np.where(np.bincount(columns, np.isinf(possible), self.shape[1]) > 0, side * np.inf, end)
                for side, possible, end in zip((-1, 1), reach, ends, strict=True)
            ]
        )

    def held_out_entries(self, prediction: Array) -> HeldOutEntries:
        """The held-out entries in the places and the unit of X, with predictions in the unit of the task."""
        held_out, (rows, columns) = self.held_out, self.held_out.pairs
        offset, factor = (0.0, 1.0) if self.scaling is None else self.scaling[:2, columns]
        folds = np.repeat(np.arange(len(held_out.folds)), [len(fold.held_out.values) for fold in held_out.folds])
        values = (offset + factor * each for each in (held_out.truth, prediction))
        return HeldOutEntries(
            np.flatnonzero(self.seen.rows)[rows], np.flatnonzero(self.seen.columns)[columns], *values, folds
        )

    @property
    def nothing(self) -> Array | float:
        """The value that stands for a zero of X, for each held-out entry."""
        if self.scaling is None:
            return 0.0
        shift, scale = self.scaling[:2, self.held_out.pairs[1]]
        return -shift / scale

    @property
    def _column_weights(self) -> Array | None:
        """1 / variance of each held-out entry's column, if the scales differ; 0 for a column of unknown scale."""
        if self.scaling is not None or not self.columns.differ:
            return None
        return (self.columns.known / np.square(self.columns.scaling()[1]))[self.held_out.pairs[1]]
