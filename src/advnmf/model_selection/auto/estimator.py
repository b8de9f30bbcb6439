"""`AutoNMF`: NMF that chooses its own hyper-parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ...arrays.typing import MatrixLike
from ...data.check import MOST_STARTS, check_choice, check_jobs, check_number, describe_unknown
from ...data.observed import Observed
from ...engine.loop import StoppingCriteria
from ...models.progress import Interrupted, at_once
from . import calibration
from .averaged import AveragedModels
from .candidates import MAX_ITER, TOL, Candidate, Scales
from .choice_of_units import Units, best_units
from .column_scales import LOGGED
from .evaluation import Clock, Evaluation
from .explanation import describe_outliers, explain
from .holdout import Holdout, check_holdout
from .search_task import SearchTask
from .shrinkage import shrink
from .stages import AutoSearch, SearchProgress, Stopped

Array = np.ndarray

# The ridge if no entries can be held out.
_UNSEEN_RIDGE = 0.03


class AutoNMF(AveragedModels):
    """Nonnegative matrix factorisation that chooses all hyper-parameters from the observed entries.

    Some observed entries are held out, the same for all candidates.  The column means are the baseline: a model that
    does not predict the held-out entries better than they do, by more than a standard error, is not used.  Rank and
    ridge with the lowest held-out error are searched first.  Then a robust loss (if there are outliers), offsets of
    rows and columns, an adversary, the elastic loss and a second layer are tried, and kept if they gain more than a
    standard error.  Then the rank is lowered as long as that costs less than one, and models of several starts, ranks
    and ridges are averaged if that lowers the error.  The chosen models are then trained further on all observed
    entries.

    - Gross outliers, up to about five per cent of the entries, are detected first and left out of the fit, with a
      `DataWarning`; the model then has a robust loss, so that outliers in new rows do little harm.
    - The units of the columns are found out: as given, or each column centred and scaled, skewed ones by their
      logarithms too, with factors of any sign.  Rank and ridge are searched in all of these, and the search goes on in
      the best.  If scales differ by a factor of ten or more, or some values are negative, each column counts in its own
      unit there, else all in the unit of ``X``; columns that are all predicted well as given stay so.
    - A column that is predicted no better than by its mean is filled with its mean; others are drawn towards it as far
      as held-out entries ask.  Fills lie within the range of their column unless held-out entries say otherwise, and
      are never negative where no observed value is.
    - Rows and columns without observed entries have no influence, unless they have an order or a grid.
    - Entries are held out in the pattern in which others are missing (`EntryPatternSplit`): whole rows, blocks, runs.
      The expected error (`best_score_`) and the intervals of ``complete(X, return_std=True)`` are those of such holes.
      Holes that depend on the hidden values themselves (a detector that is saturated) cannot be recognised by any
      method: the errors are then larger than stated.

    Parameters
    ----------
    time_limit : float or None, default=None
        Seconds for search and final fit together; no limit by default.
    max_candidates : int or None, default=None
        Most candidates tried besides the column means (each random start of a model counts).  Each kind of units
        of the columns has a count of its own.
    biases : bool or None, default=None
        Whether the search begins with offsets of rows and columns; None: for sparse ``X`` (ratings) only.
    holdout : {"auto", "random"}, splitter or iterable of (train, test), default="auto"
        Which observed entries are held out: in the pattern of the missing ones, anywhere, or as told.
    samples_order, features_order : None, True or array-like, default=None
        True: rows (columns) are in order and equally spaced.  An array: their positions or times.  Codes (components)
        may then be smooth along the order, as strongly as the held-out entries want it, and rows (columns) that are
        missing as a whole are filled from their neighbours.
    samples_grid, features_grid : tuple of int or None, default=None
        The same for rows (columns) that are the points of a grid of this shape, last axis fastest, such as the pixels
        of a picture.
    sparse_missing : {"absent"}, default="absent"
        What a sparse ``X`` does not store is missing, which differs from the default of `NMF`.  Zeros that are not
        stored (counts) would have to be held out as well, which is not done: give ``X.toarray()``, or search with
        ``CompletionSearchCV(NMF(sparse_missing="zero"), ...)``, which holds out stored entries only.
    n_jobs : int or None, default=None
        Folds that are trained at a time; each fit uses threads of its own in any case.
    random_state : int, RandomState instance or None, default=None
        Seed of the holes and of the starts; the same number gives the same result, unless the time limit ends it.
    verbose : int, default=0
        Not 0: print each candidate with its held-out error, the lowest so far and the seconds since the start.
    callback : callable or None, default=None
        Called with a `SearchProgress` after each candidate; a true return value ends the search.

    Attributes
    ----------
    models_ : list of NMF
        The models whose mean is the reconstruction, the best one first.
    n_components_ : int or tuple of int
        Rank or layers of the first; 0 for the column means.
    components_ : ndarray of shape (n_codes, n_features)
        What codes multiply, for the mean of models without offsets: their components, each over the number of models.
    candidates_ : list of tuple
        What was tried, in words, with its root mean square error over held-out entries, sweeps, seconds, and whether it
        is among the models averaged; see `cv_results_`.
    best_score_ : float
        Minus the root mean square error that is expected over the missing entries, in the unit of ``X``: that over
        held-out entries, each kind of hole counting by its share of the missing entries.  NaN if no entries could be
        held out, or if nothing observed stands for some of the missing ones, which `explain` names.
    clip_ : ndarray of shape (2, n_features) or None
        The range that predictions are clipped to; None if no entries could be held out.
    held_out_ : HeldOutEntries or None
        Rows, columns, truth, prediction and fold of the held-out entries, in the unit of ``X``; `save` leaves it out.
    scaling_ : ndarray of shape (7, n_features) or None
        Rows shift, scale, logged, added, offset, factor and unit of the columns: the models are fitted to
        z = (g(x) - shift) / scale, where g(x) is log(x + added) if logged is 1, else x; and predict
        x = offset + factor h(shift + scale z) with the inverse h.  None if columns are as given.
    stop_reason_ : {"done", "time_limit", "max_candidates", "callback", "interrupted"}
        Why the search ended.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    `transform` returns the codes of all models side by side.  ``fit_complete(X)`` uses the codes of the fit;
    ``fit(X).complete(X)`` solves for them again, which takes longer.
    """

    def __init__(
        self,
        time_limit: float | None = None,
        *,
        max_candidates: int | None = None,
        biases: bool | None = None,
        holdout: object = "auto",
        samples_order: object = None,
        features_order: object = None,
        samples_grid: tuple[int, ...] | None = None,
        features_grid: tuple[int, ...] | None = None,
        sparse_missing: str = "absent",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callback: Callable[[SearchProgress], object] | None = None,
    ) -> None:
        self.time_limit = time_limit
        self.max_candidates = max_candidates
        self.biases = biases
        self.holdout = holdout
        self.samples_order = samples_order
        self.features_order = features_order
        self.samples_grid = samples_grid
        self.features_grid = features_grid
        self.sparse_missing = sparse_missing
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    @at_once
    def fit(
        self,
        X: MatrixLike,
        y: object = None,
        *,
        mask: MatrixLike | None = None,
        weights: MatrixLike | None = None,
        censored: MatrixLike | None = None,
    ) -> Self:
        """Search, then fit to all observed entries.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            NaN is missing; columns may be negative.  Of a sparse matrix, what is not stored is missing.
        y : ignored
        mask : array-like of bool of the shape of X, optional
            True = observed.
        weights : array-like broadcastable to the shape of X, optional
            Weight of each entry.
        censored : array-like, optional
            Which entries are bounds, such as limits of detection, as `NMF.fit` takes it.  They are trained on, but
            never held out, and never outliers.
        """
        self.check_parameters()
        clock = Clock(self.time_limit)
        observed = self._read(X, mask, weights, censored=censored, reset=True)
        data = self._data(observed, fitting=True)
        holdout = self._holdout(observed)
        lines = holdout.lines(observed)
        self._warn(describe_unknown(lines.rows, lines.columns))
        task = SearchTask.of(holdout, *self._seeds(), data.pattern)
        if task.held_out is None:
            self._warn(
                [f"X has too few observed entries to hold any out ({task.n}): rank 1 and a ridge are taken unseen"]
            )
            self._fit_unseen(task, clock)
        else:
            task = self._fit_chosen(task, clock)
        self._warn(describe_outliers(task.outliers))
        if holdout.not_imitated:
            self._warn([f"no error can be stated, as nothing observed stands for {holdout.not_imitated}"])
        if self.n_components_ == 0 and self.stop_reason_ != "interrupted":
            self._warn(
                [
                    "no model predicts held-out entries better than the column means (their error: "
                    f"{-self.best_score_:.4g}): missing entries are filled with these"
                ]
            )
        if self.stop_reason_ == "interrupted":
            raise Interrupted
        return self

    # --- parts of fit ---------------------------------------------------------------------------------------------

    def _fit_chosen(self, task: SearchTask, clock: Clock) -> SearchTask:
        """Search, fit, calibrate, describe; returns the task that was searched in the end."""
        search, chosen, task = self._search(task.without_outliers(clock, self.n_jobs), clock)
        self._fit_models(chosen, search.scales, task, clock)
        self._calibrate(chosen, task)
        self._describe(chosen, search, task)
        return task

    def _holdout(self, observed: Observed) -> Holdout:
        where = self.samples_order, self.features_order, self.samples_grid, self.features_grid
        return Holdout(observed, self.holdout, *where)

    def _seeds(self) -> tuple[int, int]:
        """Of the holes, and of the first start."""
        holes, start = (int(check_random_state(self.random_state).randint(2**31 - 1)) for _ in range(2))
        return holes, start % 10_000

    def _search(self, task: SearchTask, clock: Clock) -> tuple[AutoSearch, list[Evaluation], SearchTask]:
        """The finished search, the evaluations it chose, and its task: that of the units in which columns do best.

        Rank and ridge are searched in all units; what is better by held-out entries is searched on.
        """
        left = np.inf if self.max_candidates is None else self.max_candidates
        tasks = task.in_all_units()
        tried: list[Units] = []
        for number, each in enumerate(tasks, 1):
            search = each.search(clock, self.n_jobs, left, self._report, share=number / len(tasks))
            try:
                going = search.begin(each.first(self.biases))
            except (KeyboardInterrupt, Stopped) as end:
                if not tried:
                    raise
                best_units(tried).search.end(end)
                break
            tried.append(Units(each, search))
            if not going:
                break
        task, search = best_units(tried)
        return search, search.finish(), task

    def _fit_models(self, chosen: list[Evaluation], scales: Scales, task: SearchTask, clock: Clock) -> None:
        """Train each chosen model further, from its factors, on all observed entries."""
        self.scaling_, self.models_ = None, []
        for found in chosen:
            criteria = StoppingCriteria(max_iter=found.n_more, tol=TOL, deadline=clock.end)
            self.models_.append(task.fit(found.candidate.model(scales), found.best_factors(), criteria))
        self.n_components_ = self.models_[0].n_components_ if chosen[0].candidate.rank else 0

    def _fit_unseen(self, task: SearchTask, clock: Clock) -> None:
        """A model of rank 1, if there are too few entries to hold any out."""
        candidate = Candidate(1, _UNSEEN_RIDGE, biases=task.sparse if self.biases is None else self.biases)
        candidate = replace(candidate, seed=task.seed_of_start)
        criteria = StoppingCriteria(max_iter=MAX_ITER, tol=TOL, deadline=clock.end)
        self.models_ = [task.fit(candidate.model(task.scales), None, criteria)]
        self.n_components_ = self.models_[0].n_components_
        self.scaling_ = self.clip_ = self.spread_ = self._held_out_ = None
        self.column_levels_ = self.row_std_ = None
        self.column_std_ = np.inf
        self.best_score_, self.stop_reason_ = np.nan, self.models_[0].stop_reason_
        if self.stop_reason_ not in ("interrupted", "time_limit"):
            self.stop_reason_ = "done"
        self.candidates_ = [(candidate.describe(), np.nan, self.models_[0].n_iter_, clock.spent, True)]
        self.explanation_ = f"Too few entries were observed to hold any out: {candidate.describe()} was taken unseen."

    def _calibrate(self, chosen: list[Evaluation], task: SearchTask) -> None:
        """From the held-out entries: nearer to which means, within which range, and how far off fills may be."""
        found = shrink(task, np.array([each.prediction for each in chosen]))
        self.scaling_ = None if found.scaling is None else task.seen.columns_back(found.scaling)
        if self.scaling_ is not None:  # no logarithm for columns that have got the mean of the others
            self.scaling_[LOGGED] = self.scaling_[LOGGED] == 1
        self.clip_ = task.seen.columns_back(found.clip)
        self._held_out_ = task.held_out_entries(found.final)
        residuals, held_out, n = found.residuals, task.held_out, task.shape[1]
        spread, levels = calibration.of_entries(held_out, residuals, found.predictions, found.final / found.unit, n)
        self.spread_, self.column_levels_ = tuple(spread), task.seen.columns_back(levels[None, :])[0]
        rows = calibration.of_held_out_rows(held_out, residuals * found.unit, n)
        if rows is None:
            rows = calibration.of_filled_rows(task, self._decode(self.mean_code_[None])[0].astype(np.float64))
        self.row_std_ = rows.std if len(rows.std) == self.n_features_in_ else task.seen.columns_back(rows.std[None])[0]
        self.column_std_ = calibration.of_columns(held_out, residuals)
        self.best_score_ = -calibration.announced(task, residuals, found.unit, rows)

    def _describe(self, chosen: list[Evaluation], search: AutoSearch, task: SearchTask) -> None:
        """Set `candidates_`, `stop_reason_` and the paragraph of `explain`."""
        interrupted = any(model.stop_reason_ == "interrupted" for model in self.models_)
        self.stop_reason_ = "interrupted" if interrupted else search.stop_reason
        self.candidates_ = [
            (
                found.candidate.describe(),
                float(np.sqrt(found.error)),
                found.n_iter,
                float(found.seconds),
                any(found is member for member in chosen),
            )
            for found in search.found.values()
        ]
        self.explanation_ = explain(search, chosen, task, -self.best_score_)

    def _report(self, progress: SearchProgress) -> bool:
        if self.verbose:
            print(
                f"[AutoNMF] {progress.n_tried}: {progress.candidate}: held-out error {progress.error:.6g} "
                f"(best {progress.best:.6g}, {progress.seconds:.1f} s)",
                flush=True,
            )
        return bool(self.callback and self.callback(progress))

    # --- what was chosen ----------------------------------------------------------------------------------------------

    def explain(self) -> str:
        """A paragraph that says what was chosen, and by what margin."""
        check_is_fitted(self)
        return self.explanation_

    @property
    def cv_results_(self) -> dict[str, Array]:
        """The candidates: "params" (in words), "mean_test_score", "n_iter", "fit_time", "averaged"."""
        check_is_fitted(self)
        params, errors, n_iter, seconds, averaged = zip(*self.candidates_, strict=True)
        return {
            "params": np.array(params, dtype=object),
            "mean_test_score": -np.array(errors),
            "n_iter": np.array(n_iter),
            "fit_time": np.array(seconds),
            "averaged": np.array(averaged),
        }

    def check_parameters(self) -> None:
        """Refuse invalid parameters."""
        self._check_course()
        if self.max_candidates is not None:
            check_number("max_candidates", self.max_candidates, low=1, high=MOST_STARTS, integer=True)
        check_choice("biases", self.biases, (None, False, True))
        where = self.samples_order, self.features_order, self.samples_grid, self.features_grid
        check_holdout(self.holdout, *where)
        check_jobs(self.n_jobs)
        if self.sparse_missing != "absent":
            raise ValueError(
                f"sparse_missing={self.sparse_missing!r} must be 'absent': AutoNMF takes what a sparse X does not "
                "store for missing; where it is zero give X.toarray(), or use NMF(sparse_missing='zero')"
            )
