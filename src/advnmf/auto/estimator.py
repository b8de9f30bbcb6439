"""`AutoNMF`: nothing to choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Self

import numpy as np
from scipy import sparse
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from ..completion import CompletionModel, finite, logger
from ..data import ObservedData
from ..factors import Factors
from ..fitted import Each, Fitted, Flag, LayerSizes, Number, Perhaps, Record, Rule, Whole, Word
from ..loop import Limits
from ..model_selection.cross_validation import make_folds
from ..model_selection.entries import read_entries
from ..model_selection.splits import EntryKFold, EntryShuffleSplit
from ..models import NMF
from ..ranking import RankingMixin
from ..sparse_input import check_sparse_data, fill_sparse
from ..validation import MOST_STARTS, check_choice, check_jobs, check_number, check_seed, describe_empty, fill_holes
from .choices import MAX_ITER, TOL, Choice, Units, first_choice
from .evaluation import Clock, Evaluation, HeldOut
from .search import Look, Search
from .uncertainty import Spread, interval_scale, spread_terms

Array = np.ndarray

# Below these numbers of observed entries there are 5, 3 folds; else one tenth is held out, but no more than so many.
_SMALL, _MEDIUM, _MOST_HELD_OUT = 5_000, 50_000, 500_000
# Sweeps over the codes of new rows, at most.
_CODE_SWEEPS = 300
# Below so many observed entries none are held out, and this ridge is taken.
_FEWEST, _UNSEEN_RIDGE = 20, 0.03


class AutoNMF(RankingMixin, CompletionModel):
    """Nonnegative matrix factorisation that chooses everything by itself, from the observed entries alone.

    Some observed entries are held out, the same for all candidates.  Rank and ridge are searched where the held-out
    error is lowest; then a loss against outliers (where there are any), offsets of rows and columns, an adversary, the
    elastic loss and a second layer are tried, and kept if they gain more than a standard error; then the lowest rank
    that loses less than one is taken; then models of several starts, ranks and ridges are averaged where that lowers
    the error.  What was chosen goes on to learn from all observed entries.

    Parameters
    ----------
    time_limit : float or None, default=None
        Seconds for everything.  The search ends in time to fit the best that it has found.
    max_candidates : int or None, default=None
        Most candidates tried (starts of the same model are candidates of their own).
    biases : bool or None, default=None
        Whether the search begins with offsets of rows and columns; None: for sparse ``X`` (ratings) only.
    sparse_missing : {"absent"}, default="absent"
        What a sparse ``X`` does not store is missing, which differs from the default of `NMF`.  Zeros that are not
        stored (counts) would have to be held out as well, which is not done: give ``X.toarray()``, or search with
        ``CompletionSearchCV(NMF(sparse_missing="zero"), ...)``, which holds out stored entries only.
    n_jobs : int or None, default=None
        Folds that are trained at a time; each fit uses threads of its own in any case.
    random_state : int, RandomState instance or None, default=None
        Seed of the holes and of the starts; the same number gives the same result, unless the time limit ends it.
    verbose : int, default=0
        Not 0: log what is found to the logger "advnmf" at level INFO.
    callback : callable or None, default=None
        Called after each candidate with a `Look`; a true answer ends the search.

    Attributes
    ----------
    models_ : list of NMF
        The models whose mean is the reconstruction, the best one first.
    n_components_ : int or tuple of int
        Rank or layers of the first.
    components_ : ndarray of shape (n_codes, n_features)
        What codes multiply, for the mean of models without offsets: their components, each over the number of models.
    candidates_ : list of tuple
        What was tried, in words, with its root mean square error over held-out entries, sweeps, seconds, and whether it
        is among the models averaged; see `cv_results_`.
    best_score_ : float
        Minus the root mean square error of the choice over held-out entries; NaN where none could be held out.
    stop_reason_ : {"done", "time_limit", "max_candidates", "callback", "interrupted"}
        Why the search ended.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    Codes are those of all models side by side.  Predictions are clipped to the range of the observed values where that
    helps.  ``fit_complete(X)`` uses the codes of the fit; ``fit(X).complete(X)`` solves them again, which takes longer.
    """

    def __init__(
        self,
        time_limit: float | None = None,
        *,
        max_candidates: int | None = None,
        biases: bool | None = None,
        sparse_missing: str = "absent",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callback: Callable[[Look], object] | None = None,
    ) -> None:
        self.time_limit = time_limit
        self.max_candidates = max_candidates
        self.biases = biases
        self.sparse_missing = sparse_missing
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: object, y: object = None, *, mask: object = None, weights: object = None) -> Self:
        """Search, then fit to everything.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Nonnegative where observed; NaN is missing.  Of a sparse matrix, what is not stored is missing.
        y : ignored
        mask : array-like of bool of the shape of X, optional
            True = observed.
        weights : array-like broadcastable to the shape of X, optional
            Weight of each entry.
        """
        self._check_parameters()
        clock = Clock(self.time_limit)
        data = self._check_data(X, mask, weights, reset=True)
        self._warn(describe_empty(data))
        held_out = self._hold_out(X, mask, weights)
        values = data.observed_entries(data.values).astype(np.float64)
        units = Units(float(np.sqrt(np.mean(np.square(values)))) or 1.0)
        first = self._first(X, data, len(values))
        if held_out is None:
            self._fit_unseen(replace(first, rank=1, ridge=_UNSEEN_RIDGE), units, data, clock)
            return self
        search = Search(held_out, units, data.shape, len(values), clock, self.n_jobs, self.max_candidates, self._tell)
        chosen = search.run(first)
        self._fit_models([(f.choice, f.best_factors(), f.n_more) for f in chosen], search.units, data, clock)
        self._calibrate(chosen, held_out, (float(values.min()), float(values.max())))
        self._describe(chosen, search)
        if any(model.stop_reason_ == "interrupted" for model in self.models_):
            self.stop_reason_ = "interrupted"
        if self.stop_reason_ == "interrupted":
            raise KeyboardInterrupt
        return self

    # --- parts of fit ---------------------------------------------------------------------------------------------

    def _hold_out(self, X: object, mask: object, weights: object) -> HeldOut | None:
        """The folds, or None where there are too few entries."""
        entries = read_entries(X, mask, weights)
        n_observed = int(np.count_nonzero(entries.observed))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if n_observed < _SMALL:
            splitter = EntryKFold(5, random_state=seed)
        else:
            share = min(0.1, _MOST_HELD_OUT / n_observed)
            splitter = EntryShuffleSplit(3 if n_observed < _MEDIUM else 1, test_size=share, random_state=seed)
        try:
            if n_observed < _FEWEST:
                raise ValueError
            return HeldOut(make_folds(entries, splitter, seed))
        except ValueError:  # each row and each column must keep an entry
            self._warn(
                [f"X has too few observed entries to hold any out ({n_observed}): rank 1 and a ridge are taken unseen"]
            )
            return None

    def _first(self, X: object, data: ObservedData, n_observed: int) -> Choice:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1)) % 10_000
        biases = sparse.issparse(X) if self.biases is None else self.biases
        return first_choice(data.shape, n_observed, biases=biases, seed=seed)

    def _fit_models(
        self, starts: list[tuple[Choice, Factors | None, int]], units: Units, data: ObservedData, clock: Clock
    ) -> None:
        """Each choice goes on from its factors, for so many sweeps over all observed entries."""
        self.models_ = []
        for choice, factors, n_more in starts:
            model = choice.model(units)
            model.n_features_in_ = self.n_features_in_
            model._fit_data(data, factors, Limits(max_iter=n_more, tol=TOL, deadline=clock.end))
            model.max_iter = _CODE_SWEEPS
            self.models_.append(model)
        self.n_components_ = self.models_[0].n_components_

    def _fit_unseen(self, choice: Choice, units: Units, data: ObservedData, clock: Clock) -> None:
        """One model, where nothing could be held out to choose it by."""
        self._fit_models([(choice, None, MAX_ITER)], units, data, clock)
        self.clip_, self.spread_, self.best_score_, self.stop_reason_ = None, None, np.nan, "done"
        self.candidates_ = [(choice.describe(), np.nan, self.models_[0].n_iter_, clock.spent, True)]
        self.explanation_ = f"Too few entries were observed to hold any out: {choice.describe()} was taken unseen."

    def _calibrate(self, chosen: list[Evaluation], held_out: HeldOut, value_range: tuple[float, float]) -> None:
        """Whether to clip, and how far off predictions are, both by the held-out entries."""
        predictions = np.array([found.prediction for found in chosen])
        mean = predictions.mean(axis=0)
        clipped = np.clip(mean, held_out.lowest, held_out.highest)
        self.clip_ = None
        if held_out.mean(np.square(held_out.truth - clipped)) < held_out.mean(np.square(held_out.truth - mean)):
            self.clip_, mean = value_range, clipped
        self.best_score_ = -float(np.sqrt(held_out.mean(np.square(held_out.truth - mean))))
        self.spread_ = tuple(interval_scale(held_out.truth - mean, spread_terms(predictions, mean)))

    def _describe(self, chosen: list[Evaluation], search: Search) -> None:
        """What was tried, and the paragraph of `explain`."""
        self.stop_reason_ = search.stop_reason
        self.candidates_ = [
            (
                found.choice.describe(),
                float(np.sqrt(found.error)),
                found.n_iter,
                float(found.seconds),
                any(found is member for member in chosen),
            )
            for found in search.found.values()
        ]
        self.explanation_ = search.explain(chosen, -self.best_score_)

    def _tell(self, look: Look) -> bool:
        if self.verbose:
            logger.info("%s: held-out error %.6g (best %.6g, %.1f s)", look.choice, look.error, look.best, look.seconds)
        return bool(self.callback and self.callback(look))

    # --- using ----------------------------------------------------------------------------------------------------

    def explain(self) -> str:
        """What was chosen, and by what margin, in a paragraph."""
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

    def complete(
        self, X: object, *, mask: object = None, weights: object = None, return_std: bool = False
    ) -> Array | tuple[Array, Array]:
        """``X`` with its holes filled by the reconstruction from its own codes; observed entries stay as they are.

        With ``return_std=True`` also the standard deviation of each filled entry (0 for observed ones):
        ``prediction +- 1.645 std`` covers 90 % of the held-out entries.
        """
        codes = self._encode(X, mask, weights)
        filled = finite(self._fill(X, mask, codes), "the completion")
        return (filled, self._std(X, mask, codes)) if return_std else filled

    @property
    def components_(self) -> Array:
        """Components of all models, each over their number."""
        return np.vstack([model.components_ for model in self.models_]) / len(self.models_)

    def predict_pairs(self, rows: object, columns: object, *, unseen: str = "error") -> Array:
        """The reconstruction at pairs of the training data, see `NMF.predict_pairs`."""
        check_is_fitted(self)
        return self._clipped(
            np.mean([model.predict_pairs(rows, columns, unseen=unseen) for model in self.models_], axis=0)
        )

    # --- parts ----------------------------------------------------------------------------------------------------

    def _std(self, X: object, mask: object, codes: Array) -> Array:
        if sparse.issparse(X):
            raise ValueError("return_std=True needs a dense X: it fills an array of its shape")
        if self.spread_ is None:
            raise ValueError("return_std=True needs held-out entries, of which X had too few in fit")
        each = np.array([model._decode(part) for model, part in zip(self.models_, self._parts(codes), strict=True)])
        mean = self._clipped(each.mean(axis=0))
        std = Spread(*self.spread_).std(spread_terms(each, mean)).astype(codes.dtype)
        nowhere = np.full(mean.shape, np.nan, codes.dtype)
        holes = np.isnan(fill_holes(X, mask, nowhere))
        return finite(np.where(holes, std, codes.dtype.type(0)), "the standard deviation")

    def _parts(self, codes: Array) -> list[Array]:
        """The codes of each model."""
        edges = np.cumsum([model._n_features_out for model in self.models_])[:-1]
        return np.split(codes, edges, axis=1)

    def _training_codes(self) -> Array:
        return np.hstack([model._training_codes() for model in self.models_])

    def _solve_codes(self, data: ObservedData) -> Array:
        return np.hstack([model._solve_codes(data) for model in self.models_])

    @property
    def mean_code_(self) -> Array:
        """The mean code of the training data."""
        return np.hstack([model.mean_code_ for model in self.models_])

    @property
    def seen_(self) -> tuple[Array, Array] | None:
        """What was observed, of a sparse ``X``."""
        return self.models_[0].seen_

    @property
    def column_counts_(self) -> Array:
        """How many entries of each column were observed."""
        return self.models_[0].column_counts_

    @property
    def reliability_(self) -> tuple[float, ...]:
        """The mean of that of the models, see `NMF`."""
        return tuple(np.mean([model.reliability_ for model in self.models_], axis=0).tolist())

    def _decode(self, codes: Array, columns: object = None) -> Array:
        parts = zip(self.models_, self._parts(codes), strict=True)
        total = sum(model._decode(np.ascontiguousarray(part), columns) for model, part in parts)
        return self._clipped(total / codes.dtype.type(len(self.models_)))

    def _clipped(self, values: Array) -> Array:
        return values if self.clip_ is None else np.clip(values, *map(values.dtype.type, self.clip_))

    def _predict(self, data: ObservedData, codes: Array) -> object:
        A, B = self._linear(codes)
        return data.predict(A, B)

    def _linear(self, codes: Array) -> tuple[Array, Array]:
        """(A, B) whose product is the reconstruction, before it is clipped."""
        pairs = [
            model._linear(np.ascontiguousarray(p)) for model, p in zip(self.models_, self._parts(codes), strict=True)
        ]
        share = codes.dtype.type(1 / len(self.models_))
        return np.hstack([share * A for A, _ in pairs]), np.vstack([B for _, B in pairs])

    def _fill(self, X: object, mask: object, codes: Array) -> Array:
        if sparse.issparse(X):
            return fill_sparse(X, self.sparse_missing, *self._linear(codes), self._clipped)
        return super()._fill(X, mask, codes)

    def _check_data(self, X: object, mask: object, weights: object = None, *, reset: bool) -> ObservedData:
        if sparse.issparse(X):
            return check_sparse_data(self, X, mask, weights, reset=reset, missing=self.sparse_missing)
        return super()._check_data(X, mask, weights, reset=reset)

    def _fitted_rules(self) -> dict[str, Rule]:
        error, seconds = Number(low=0.0, finite=False, nan=True), Number(low=0.0)
        return {
            "n_features_in_": Whole("features"),
            "models_": Each(Fitted(NMF, "features")),
            "n_components_": LayerSizes(),
            "clip_": Perhaps(Record(Number(), Number())),
            "best_score_": Number(finite=False, nan=True),
            "spread_": Perhaps(Record(*[Number(low=0.0)] * 3)),
            "stop_reason_": Word(),
            "candidates_": Each(Record(Word(), error, Whole(), seconds, Flag())),
            "explanation_": Word(),
        }

    def _check_fitted(self) -> None:
        if len({len(model.factors_[0]) for model in self.models_}) > 1:
            raise ValueError("models_ are fitted to different numbers of samples")
        if self.n_components_ != self.models_[0].n_components_:
            raise ValueError(f"n_components_ is not {self.models_[0].n_components_}, that of the first of models_")
        if self.clip_ is not None and not self.clip_[0] <= self.clip_[1]:
            raise ValueError("clip_ has a lower end above the upper one")

    def _check_parameters(self) -> None:
        if self.time_limit is not None:
            check_number("time_limit", self.time_limit, strict=True, finite=False)
        if self.max_candidates is not None:
            check_number("max_candidates", self.max_candidates, low=1, high=MOST_STARTS, integer=True)
        check_choice("biases", self.biases, (None, False, True))
        check_jobs(self.n_jobs)
        check_seed(self.random_state)
        if self.sparse_missing != "absent":
            raise ValueError(
                f"sparse_missing={self.sparse_missing!r} must be 'absent': AutoNMF takes what a sparse X does not "
                "store for missing; where it is zero give X.toarray(), or use NMF(sparse_missing='zero')"
            )
        check_number("verbose", int(self.verbose) if isinstance(self.verbose, bool) else self.verbose, integer=True)
        if self.callback is not None and not callable(self.callback):
            raise ValueError(f"callback={self.callback!r} must be callable or None")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
