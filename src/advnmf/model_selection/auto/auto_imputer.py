"""`AutoImputer`: tables of any units completed by a blend of imputers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ...arrays.typing import MatrixLike
from ...data.boundary import check_censored, read_observed
from ...data.check import check_jobs, check_number, check_seed
from ...data.observed import as_signs
from ...data.tabular import ArrayTable, FrameTable, Tabular, is_frame
from ...models.base import DataWarning, finite
from ...models.progress import Interrupted, at_once
from .blend_search import NMF, BlendSearch, FittedNMF, describe, ranges
from .blending import column_error, column_errors
from .evaluation import Clock
from .holdout import check_holdout
from .members import COLUMN_MEAN, FOREST, ITERATIVE, KNN, YARDSTICKS
from .stages import SearchProgress
from .uncertainty import Spread, column_levels, interval_scale

Array = np.ndarray

CANDIDATES = (NMF, KNN, ITERATIVE, FOREST)
_LEAST_SHOWN = 0.005


class AutoImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fill the holes of a table by a blend of imputers, weighted by how well they predict held-out entries.

        filled_ij = mean_j + sum over members k of  w_jk (p_kij - mean_j),      w >= 0,  sum over k of w_jk <= 1

    The candidates are the column mean, `KNNImputer` and `IterativeImputer` of scikit-learn, a forest for each column
    that begins where nearest neighbours ended, and `AutoNMF`; columns are standardised, and where they have heavy
    tails their logarithms are tried too.  All predict the same held-out entries.  The weights minimise the squared
    error in standard deviations of each column, so units do not matter; columns with many held-out entries have
    weights of their own where that helps.  Members that count are then fitted to all observed entries.

    Filled values lie within the observed range of their column.  Observed entries come back as they are.

    Data frames (pandas, polars) come back as data frames: columns of text, dates, times, booleans and identifiers and
    empty ones are left alone, types are kept, and columns of whole numbers are filled with whole numbers.

    Parameters
    ----------
    time_limit : float or None, default=None
        Seconds for all of `fit`; no limit by default.  What would not end in time is left out.
    candidates : sequence of str or None, default=None
        Of "AutoNMF", "KNN", "IterativeImputer" and "forest"; None: all that the size of the table allows.
    holdout : {"auto", "random"}, splitter or iterable of (train, test), default="auto"
        How entries are held out, as in `AutoNMF`: by default in the pattern of the missing ones.
    n_jobs : int or None, default=None
        Folds that `AutoNMF` trains at a time.
    random_state : int, RandomState instance or None, default=None
        Seed of the held-out entries and of the candidates.
    verbose : int, default=0
        Not 0: print each candidate with its held-out error.
    callback : callable or None, default=None
        Called with a `SearchProgress` after each candidate; a true return value ends the search.

    Attributes
    ----------
    weights_ : dict of str to float
        By name the mean over columns of the weights; the rest is that of the column mean.
    column_weights_ : ndarray of shape (n_completed, n_members)
        The weights of each column, without the column mean.
    scores_ : dict of str to float
        By name the error of each candidate at the held-out entries: the mean over columns of the root mean square, in
        standard deviations of the column.
    yardsticks_ : dict of str to float
        Of these the column mean, KNN and IterativeImputer.
    best_score_ : float
        Minus the error of the blend, at entries that its weights did not see; NaN if none could be held out.
    column_errors_ : ndarray of shape (n_completed,)
        Root mean square error of the blend in each column, in its unit; NaN where nothing was held out.
    held_out_ : HeldOutEntries or None
        Rows, columns, truth, prediction of the blend and fold of the held-out entries.
    completed_ : ndarray of bool of shape (n_features_in_,)
        Columns that are completed.
    left_alone_ : dict
        By name what the other columns of a data frame are.
    stop_reason_ : {"done", "time_limit", "callback", "interrupted"}
        Why the search ended.
    n_features_in_, feature_names_in_
        As in scikit-learn.
    """

    def __init__(
        self,
        time_limit: float | None = None,
        *,
        candidates: Sequence[str] | None = None,
        holdout: object = "auto",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callback: Callable[[SearchProgress], object] | None = None,
    ) -> None:
        self.time_limit = time_limit
        self.candidates = candidates
        self.holdout = holdout
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    # --- fitting --------------------------------------------------------------------------------------------------

    @at_once
    def fit(self, X: Any, y: object = None, *, censored: MatrixLike | None = None) -> Self:
        """Score the candidates at held-out entries, blend them, and fit those that count to all observed entries.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            NaN, or what the data frame takes for missing, is missing.
        y : ignored
        censored : array-like, optional
            Of the shape of X: which entries are bounds, such as limits of detection, as `NMF.fit` takes it.  They are
            never held out; all candidates but `AutoNMF` take them for values.
        """
        self.check_parameters()
        table = self._table(X, reset=True)
        clock, numbers = Clock(self.time_limit), table.numbers
        signs = _signs(censored, X, table)
        self.completed_, self.left_alone_ = table.completed, table.left_alone
        self.mean_, self.std_ = numbers.mean(axis=0, where=~np.isnan(numbers)), np.nanstd(numbers, axis=0)
        self.range_ = ranges(numbers, signs)
        candidates = CANDIDATES if self.candidates is None else tuple(self.candidates)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        search = BlendSearch(numbers, signs, candidates, self.holdout, seed, self.n_jobs, clock, self._report)
        self._store(search.run() if numbers.size else search)
        if search.stop_reason == "interrupted":
            raise Interrupted
        return self

    def fit_transform(self, X: Any, y: object = None, *, censored: MatrixLike | None = None) -> Any:
        """``fit(X).transform(X)``, with the same censored entries."""
        return self.fit(X, censored=censored).transform(X, censored=censored)

    def _store(self, search: BlendSearch) -> None:
        self.fitted_, self.members_ = search.fitted, list(search.members)
        self.nmf_ = None if search.nmf is None else FittedNMF(search.nmf)
        self.scores_ = dict(search.scores)
        self.stop_reason_ = search.stop_reason
        m = len(self.mean_)
        if search.blended is None:
            self._warn("X has too few observed entries to hold any out: missing ones are filled with the column means")
            self.column_weights_, self.best_score_ = np.zeros((m, 0)), np.nan
            self.column_errors_, self.spread_, self.held_out_ = np.full(m, np.nan), None, None
        else:
            self.column_weights_ = search.blended.weights
            self._calibrate(search)
        self.weights_ = dict(zip(self.members_, self.column_weights_.mean(axis=0).tolist(), strict=True))
        self.weights_[COLUMN_MEAN] = max(0.0, 1.0 - sum(self.weights_.values()))

    def _calibrate(self, search: BlendSearch) -> None:
        """Error of the blend, and how its standard deviation follows from disagreement, size and column."""
        entries, std = search.table.entries, search.table.std
        places = np.flatnonzero(self.completed_)[entries.columns]
        self.held_out_ = entries._replace(columns=places, prediction=search.blended_predictions())
        residuals = (self.held_out_.prediction - entries.truth) / std[entries.columns]
        self.best_score_ = -column_error(residuals, entries.columns, search.table.weights)
        self.column_errors_ = std * column_errors(residuals, entries.columns, search.table.weights, len(std))
        self.column_levels_ = column_levels(residuals, entries.columns, len(std), search.table.weights)
        members = np.array([search.predictions[name] for name in self.members_]).reshape(
            len(self.members_), len(residuals)
        )
        weights = self.column_weights_[entries.columns].T
        Z = (members - search.predictions[COLUMN_MEAN]) / std[entries.columns]
        terms = _terms(weights, Z, self.column_levels_[entries.columns], search.table.n_observed())
        self.spread_ = tuple(interval_scale(residuals, terms, search.table.weights))

    # --- using ----------------------------------------------------------------------------------------------------

    def transform(self, X: Any, *, censored: MatrixLike | None = None) -> Any:
        """``X`` completed; each row from its own observed entries and what was learnt in `fit`."""
        return self.complete(X, censored=censored)

    def complete(self, X: Any, *, censored: MatrixLike | None = None, return_std: bool = False) -> Any:
        """``X`` completed, in the container and the types of ``X``.

        Censored entries become the estimates of `AutoNMF`, which alone knows bounds; without it the bounds.

        With ``return_std=True`` also the standard deviation of each filled entry (0 for observed ones), in a container
        like that of X with the completed columns alone: ``prediction +- 1.645 std`` covers 90 % of held-out entries.
        """
        check_is_fitted(self)
        if return_std and self.spread_ is None:
            raise ValueError("return_std=True needs held-out entries, of which X had too few in fit")
        table = self._table(X, reset=False)
        numbers, signs = table.numbers, _signs(censored, X, table)
        rows = np.flatnonzero(np.isnan(numbers).any(axis=1))
        filled, std = numbers.copy(), np.zeros(numbers.shape)
        if rows.size:
            part = numbers[rows]
            beside = None if signs is None else signs[rows]
            members = [each.fill(part, beside) for each in self.fitted_]
            members = np.array(members).reshape(len(self.fitted_), *part.shape)
            values = self.mean_ + (self.column_weights_.T[:, None, :] * (members - self.mean_)).sum(axis=0)
            filled[rows] = np.where(np.isnan(part), np.clip(values, *self.range_), part)
            if return_std:
                std[rows] = np.where(np.isnan(part), self._std(part, members), 0.0)
        bounds = None if signs is None else signs != ""
        if bounds is not None and self.nmf_ is not None:
            estimates = self.nmf_.fill_with_std(numbers, signs) if return_std else (self.nmf_.fill(numbers, signs), std)
            filled, std = (np.where(bounds, *pair) for pair in zip(estimates, (filled, std), strict=True))
        result = table.filled(finite(filled, "the completion"), bounds)
        return (result, table.like(std)) if return_std else result

    def _std(self, part: Array, members: Array) -> Array:
        weights, Z = self.column_weights_.T[:, None, :], (members - self.mean_) / self._scale
        n_observed = np.count_nonzero(~np.isnan(part), axis=1)[:, None]
        terms = _terms(weights, Z, np.broadcast_to(self.column_levels_, part.shape), n_observed)
        return self._scale * Spread(*self.spread_).std(terms)

    @property
    def _scale(self) -> Array:
        """Standard deviation of each column; 1 if it is constant."""
        return np.where(self.std_ > 0, self.std_, 1.0)

    def explain(self) -> str:
        """What was used, in a sentence, with its error beside those of the yardsticks."""
        check_is_fitted(self)
        used = sorted(((w, name) for name, w in self.weights_.items() if w >= _LEAST_SHOWN), reverse=True)
        parts = " + ".join(f"{weight:.2f} {name}" for weight, name in used)
        if np.isnan(self.best_score_):
            return f"{parts}: too few entries were observed to hold any out."
        error = f"error {-self.best_score_:.2f} standard deviations of a column, by held-out entries"
        return f"{parts}: {error}; {describe(self.yardsticks_)}."

    @property
    def yardsticks_(self) -> dict[str, float]:
        """Errors of the column mean, KNN and IterativeImputer, as far as they were tried."""
        check_is_fitted(self)
        return {name: self.scores_[name] for name in YARDSTICKS if name in self.scores_}

    # --- parts ----------------------------------------------------------------------------------------------------

    def _table(self, X: Any, *, reset: bool) -> Tabular:
        """What is given, with the columns to complete: those of measured numbers, or those of `fit`."""
        completed = None if reset else self.completed_
        if is_frame(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return FrameTable.of(X, completed)
        return ArrayTable.of(
            read_observed(X, estimator=self, reset=reset, tensors=None, sparse_missing=None), completed
        )

    def _report(self, progress: SearchProgress) -> bool:
        if self.verbose and not np.isnan(progress.error):
            print(
                f"[AutoImputer] {progress.candidate}: held-out error {progress.error:.4g} standard deviations "
                f"({progress.seconds:.1f} s)",
                flush=True,
            )
        return bool(self.callback and self.callback(progress))

    def _warn(self, message: str) -> None:
        warnings.warn(message, DataWarning, stacklevel=5)

    def check_parameters(self) -> None:
        """Refuse invalid parameters."""
        check_seed(self.random_state)
        check_jobs(self.n_jobs)
        check_holdout(self.holdout, None, None, None, None)
        check_number("verbose", int(self.verbose) if isinstance(self.verbose, bool) else self.verbose, integer=True)
        if self.time_limit is not None:
            check_number("time_limit", self.time_limit, strict=True, finite=False)
        if self.callback is not None and not callable(self.callback):
            raise ValueError(f"callback={self.callback!r} must be callable or None")
        if self.candidates is not None and (
            isinstance(self.candidates, str) or not set(self.candidates) <= set(CANDIDATES)
        ):
            names = ", ".join(map(repr, CANDIDATES))
            raise ValueError(f"candidates={self.candidates!r} must be None or a list of some of {names}")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _signs(censored: MatrixLike | None, X: Any, table: Tabular) -> Array | None:
    """The signs of the columns to complete."""
    if censored is None:
        return None
    present = np.ones(np.shape(X), bool)
    present[:, table.completed] = ~np.isnan(table.numbers)
    signs = as_signs(check_censored(censored, present, present))[:, table.completed]
    return signs if (signs != "").any() else None


def _terms(weights: Array, Z: Array, levels: Array, n_observed: Array) -> Array:
    """What `Spread` takes, in standard deviations from the mean of a column: members are Z, the column mean is 0."""
    mean = (weights * Z).sum(axis=0)
    rest = 1 - weights.sum(axis=0)
    disagreement = (weights * np.square(Z - mean)).sum(axis=0) + rest * np.square(mean)
    constant = np.square(levels)
    return np.array([constant, disagreement, np.square(mean), constant / (1 + n_observed)])
