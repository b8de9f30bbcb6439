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
from ..trials import Fold
from .averaged import HeldOutEntries
from .candidates import TOL, Candidate, Scales, first_candidate, highest_rank
from .column_scales import LOGGED, UNIT, Columns, centred, drawn_in, identity, restored, scaling_of, standardised
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
# Most entries of columns of one unit for which units of their own are tried nevertheless.
_MOST_OF_ONE_UNIT = 50_000
# Outliers are looked for where the time limit has a second for each of so many entries.
_ENTRIES_A_SECOND = 500_000
# Most sweeps over the codes of new rows.
_CODE_SWEEPS = 300


@dataclass(frozen=True)
class SearchTask:
    """The entries of all non-empty rows and columns, as given or with columns in units of their own, by `scaling`."""

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
    # The task as given, if columns have units of their own.
    given: SearchTask | None = None

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
        for _ in range(_ROUNDS if self.n < _ENTRIES_A_SECOND * clock.left else 0):
            flags = task._outliers(clock, n_jobs)
            if flags is None:
                break
            task = task._without(flags)
        return task

    def in_all_units(self) -> list[Self]:
        """The task in the units to be tried, the likeliest first: as given, with columns scaled, in logarithms.

        Columns that count alike are searched as given first.  Negative ones are centred in any case.  Many columns of
        one unit, as pixels and bands are, stay as they are.
        """
        if not self.columns.differ and (self.sparse or self.n > _MOST_OF_ONE_UNIT):
            return [self]
        logs = self.in_units(logarithms=True)
        own = [self.in_units(logarithms=False), *([logs] if logs.scaling[LOGGED].any() else [])]
        if (self.columns.lowest < 0).any():
            return own
        return [*own, self] if self.columns.differ else [self, *own]

    def _outliers(self, clock: Clock, n_jobs: int | None) -> Array | None:
        """Flags of gross outliers, or None; entries that a model predicts are not outliers."""
        if self.held_out is None:
            return None
        if (self.columns.lowest < 0).any():
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

    def in_units(self, *, logarithms: bool) -> Self:
        """The task with columns in units of their own, so that all count alike; skewed ones by their logarithms."""
        columns = self.entries.pairs()[1]
        scaling = scaling_of(self.values, columns, self.columns, logarithms=logarithms)
        values = standardised(self.entries.observed_values, columns, scaling)
        return replace(self, entries=self.entries.with_observed(values), scaling=scaling, given=self)

    def first(self, biases: bool | None) -> Candidate:
        """The first candidate of a search."""
        biases = self.sparse if biases is None else biases
        first = first_candidate(self.observed_shape, self.n, biases=biases, seed=self.seed_of_start, scales=self.scales)
        return first if self.scaling is None else first.signed_one(self.observed_shape, self.n)

    def search(
        self,
        clock: Clock,
        n_jobs: int | None,
        max_candidates: float,
        report: Callable[[SearchProgress], bool],
        *,
        share: float = 1.0,
    ) -> AutoSearch:
        """A search over this task; `share` is that of the searches of all units which have ended with it."""
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
            signed=self.scaling is not None,
            share=share,
        )

    def fit(self, model: NMF, factors: Factors | None, criteria: StoppingCriteria) -> NMF:
        """The model fitted to all observed entries from initial factors, with empty rows and columns put back."""
        model.n_features_in_ = self.shape[1]
        start = factors and [F.copy() for F in factors]
        model.begin_on(self.data, start=start, criteria=criteria).run().finish()
        model.max_iter = _CODE_SWEEPS
        if model.signed and not model.biases and model.penalty_W is None:
            # Factors of any sign get there slowly; the codes that belong to the components are one problem more.
            model.factors_[0] = model.solve_codes(self.data)
            model.mean_code_ = model.factors_[0].mean(axis=0)
        self.seen.put_back(model, self.pattern)
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
        """The observed values; bounds are drawn into the range of what was measured in their column."""
        values = self.entries.observed_values.astype(np.float64)
        measured = self.entries.measured[self.entries.observed]
        return values if measured.all() else drawn_in(values, self.entries.pairs()[1], measured, self.shape[1])

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
        return (self.given or self).columns

    @cached_property
    def data(self) -> ObservedData:
        """All observed entries, in the storage that the models use."""
        return self.entries.only(self.entries.observed).data(nonnegative=self.scaling is None)

    @cached_property
    def held_out(self) -> HeldOut | None:
        """The held-out entries, or None if there are too few entries."""
        try:
            if self.n < _FEWEST:
                return None
            if self.given is not None:
                folds = [self._in_units_of_training(fold) for fold in self.given.held_out.folds]
            else:
                folds = self.holdout.folds(self.entries, self.seen, self.seed_of_holes)
            return HeldOut(folds, together=self.holdout.together)
        except ValueError:  # every row and column must keep a training entry
            return None

    def _in_units_of_training(self, fold: Fold) -> Fold:
        """The fold with columns centred by their training entries, so that nothing of the held-out ones is known."""
        columns = self.entries.pairs()[1]
        values = standardised(self.given.entries.observed_values, columns, self._centred(fold))
        return Fold(self.entries.with_observed(values), fold.train, fold.test, fold.shares)

    def _centred(self, fold: Fold) -> Array:
        """The scaling of a fold."""
        train = self.given.entries.only(fold.train)
        return centred(train.observed_values.astype(np.float64), train.pairs()[1], self.scaling)

    @cached_property
    def held_out_scaling(self) -> Array:
        """The scaling of each held-out entry, that of its fold."""
        if self.given is None:
            return identity(len(self.truth))
        folds = self.given.held_out.folds
        return np.hstack([self._centred(fold)[:, fold.pairs[1]] for fold in folds])

    # --- held-out entries in the unit of X --------------------------------------------------------------------------

    @cached_property
    def truth(self) -> Array:
        """The held-out values in the unit of X."""
        return (self.given or self).held_out.truth

    def restored(self, prediction: Array) -> Array:
        """Predictions at the held-out entries in the unit of X, within the ranges of the columns."""
        return np.clip(restored(prediction, self.held_out_scaling), *self.training_ranges)

    def errors(self, prediction: Array) -> Array:
        """Squared errors of predictions in the unit of X; of each column in its own, if columns have their own."""
        return np.minimum(np.square((self.truth - prediction) / self.held_out_scaling[UNIT]), self.held_out.cap)

    def clean_weights(self, prediction: Array) -> Array:
        """Weights of the held-out entries; 0 for those whose error is capped."""
        weights = self.held_out.weights
        return (self.errors(prediction) < self.held_out.cap) * (1.0 if weights is None else weights)

    @cached_property
    def training_means(self) -> Array:
        """For each held-out entry, the mean of the training entries of its column and fold."""
        return self._of_training(lambda values, columns, n: Columns.of(values, columns, n).mean)

    @cached_property
    def training_ranges(self) -> tuple[Array, Array]:
        """For each held-out entry, the lowest and the highest training entry of its column and fold."""
        ends = self._of_training(lambda values, columns, n: Columns.of(values, columns, n).range)
        columns, task = self.held_out.pairs[1], self.given or self
        low, high = np.where(task._open_ends[:, columns], self.ranges[:, columns], ends)
        return low, high

    @cached_property
    def ranges(self) -> Array:
        """Lowest and highest value of each column, in the unit of X; 0 or no end where a bound says no more."""
        ends = self.as_given.range
        beyond = np.array([np.where(ends[0] < 0, -np.inf, 0.0), np.full(ends.shape[1], np.inf)])
        return np.where((self.given or self)._open_ends, beyond, ends)

    def _of_training(self, measure: Callable[[Array, Array, int], Array]) -> Array:
        """What is measured of the columns of the training entries, in the unit of X, for each held-out entry."""
        found = []
        for fold in (self.given or self).held_out.folds:
            train = fold.entries.only(fold.train)
            columns = measure(train.observed_values.astype(np.float64), train.pairs()[1], self.shape[1])
            found.append(columns[..., fold.pairs[1]])
        return np.concatenate(found, axis=-1)

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

    @cached_property
    def _open_ends(self) -> Array:
        """Flags of the ends of the ranges of columns beyond which a censored entry may lie, of shape (2, n)."""
        columns, reach = self.entries.pairs()[1], self.entries.reach(self.entries.observed)
        return np.array([np.bincount(columns, np.isinf(possible), self.shape[1]) > 0 for possible in reach])

    def held_out_entries(self, prediction: Array) -> HeldOutEntries:
        """The held-out entries in the places of X, with predictions in the unit of X."""
        rows, columns = self.held_out.pairs
        folds = np.repeat(
            np.arange(len(self.held_out.folds)), [len(fold.held_out.values) for fold in self.held_out.folds]
        )
        return HeldOutEntries(
            np.flatnonzero(self.seen.rows)[rows],
            np.flatnonzero(self.seen.columns)[columns],
            self.truth,
            prediction,
            folds,
        )
