"""`CompletionSearchCV`: a search over parameters that scores the completion of held-out entries."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from ..arrays.typing import MatrixLike
from ..data.boundary import read_observed, unmasked
from ..data.check import check_choice, check_number
from ..engine.factors import Factors
from ..models.progress import Interrupted, at_once
from .cross_validation import make_folds
from .results import Progress, default_simplicity, pick, tabulate
from .scoring import get_scoring
from .trials import SweepTrial, Trial, advance_all, iterations_of, limited, make_trial

Array = np.ndarray
Params = dict[str, object]


def _has(name: str) -> Callable[[CompletionSearchCV], bool]:
    """A check whether the best estimator (before the fit, `estimator`) has this method."""
    return lambda search: hasattr(getattr(search, "best_estimator_", search.estimator), name)


def _takes_mask(estimator: BaseEstimator, X: MatrixLike) -> bool:
    """Whether `fit` takes a mask and masked arrays."""
    return has_fit_parameter(estimator, "mask") and not sparse.issparse(X)


class CompletionSearchCV(MetaEstimatorMixin, BaseEstimator):
    """Search for the parameters that complete held-out entries best; then fit all observed entries with them.

    All candidates have the same held-out entries.  `NMF` and its presets are advanced sweep by sweep, and may be scored
    several times during a fit; other estimators are fitted as they are.

    Parameters
    ----------
    estimator : estimator
        As in `cross_val_score_entries`.
    param_grid : dict or list of dict, optional
        Values of each parameter, all combinations of which are tried.  Either this or `param_distributions`.
    param_distributions : dict or list of dict, optional
        Values or distributions of `scipy.stats` from which `n_iter` candidates are drawn.
    n_iter : int, default=10
        Candidates drawn from `param_distributions`.
    cv : int, splitter, iterable of (train, test) or None, default=None
        An integer k stands for ``EntryKFold(k, random_state=random_state)``, None for 5 folds.
    scoring : str or callable, default="neg_root_mean_squared_error"
        As in `cross_val_score_entries`.
    refit : bool or callable, default=True
        Whether to fit `best_estimator_` to all observed entries.  A callable chooses: it is given `cv_results_` and
        returns the index of the best candidate.
    patience : int or None, default=None
        Early stopping.  None: the score of a candidate is that at the end of its fit.  A number: it is the best score
        during the fit, which ends if the score has not improved for this many iterations; `best_estimator_` then makes
        the best number of iterations (`best_n_iter_`), unless its tolerance ended the fits.  So held-out entries
        choose the number of iterations as well; `max_iter` stays as it is, for the codes of new samples.  Estimators
        that cannot be advanced sweep by sweep are fitted for `patience`, 2, 4, ... times `patience` iterations.
    halving : bool, default=False
        Successive halving: all candidates begin with few iterations; the best 1 / `factor` of them continue (or start
        again, if they cannot be advanced sweep by sweep) to `factor` times as many, and so on up to `max_iter`.  The
        score of a candidate is its best at the end of a round, and `best_estimator_` makes `best_n_iter_` iterations,
        as with `patience`, so that overfitting in the last round does no harm.
    factor : int, default=3
        See `halving`.
    min_iter : int, default=10
        Least number of iterations before a candidate is dropped.
    path : str or None, default=None
        A parameter such as ``"alpha_W"`` or ``"n_components"``: candidates that differ only in it are fitted from the
        greatest value to the least, each from the final factors of the one before (without their weakest components,
        if it has fewer), which saves sweeps; for ranks this pays if fits are slow, as those of spectra.
        `best_estimator_` then starts as the best candidate did in the first split.  For `NMF` and its presets.
    one_standard_error : bool, default=False
        Choose the simplest candidate whose mean score is within one standard error (over the splits) of the best.
    simplicity : callable or None, default=None
        Sort key of a candidate's parameters, smallest for the simplest.  None: lower rank (``n_components``, of all
        layers together), then stronger penalties (parameters named ``alpha...``).
    n_jobs : int or None, default=None
        Fits at a time, as threads that share the cores and the data.
    random_state : int, RandomState instance or None, default=None
        Seed of folds given by number and of drawn candidates.  That of the fits is the estimator's own.
    error_score : "raise" or float, default=nan
        Score of a candidate whose fit fails, with a warning.
    verbose : int, default=0
        Not 0: print each candidate when it is done (in each round of halving), with its mean score and seconds.

    Attributes
    ----------
    best_params_, best_score_, best_index_, best_estimator_, refit_time_, n_splits_
        As in scikit-learn.
    best_n_iter_ : int
        Iterations of the best candidate at its best score; the median of the splits.
    best_predictions_ : list of ndarray
        Its predictions, at its best score, of the held-out entries of each split, row by row: for residuals, intervals,
        or to decide whether predictions should be clipped.
    cv_results_ : dict of arrays
        As in scikit-learn, with ``split0_n_iter``, ..., ``mean_n_iter`` (iterations at the best score) and
        ``round`` (rounds of halving survived, the first being 0).  ``mean_fit_time`` includes the scoring.
    scorer_ : callable
        The function of (truth, prediction, weights) that gives the scores.
    n_features_in_, feature_names_in_
        Those of `best_estimator_`.

    Notes
    -----
    Each split keeps its training entries and their transpose until the search ends, and each candidate its predictions
    of the held-out entries: a single split (``EntryShuffleSplit``) needs the least memory.

    Examples
    --------
    >>> import numpy as np
    >>> from advnmf import NMF
    >>> from advnmf.model_selection import CompletionSearchCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((60, 3)) @ rng.random((3, 30)) * rng.uniform(0.98, 1.02, (60, 30))
    >>> X[rng.random(X.shape) < 0.3] = np.nan
    >>> model = NMF(max_iter=1000, alpha_W=1e-5, random_state=0)
    >>> CompletionSearchCV(model, {"n_components": [1, 2, 3, 4]}, random_state=0).fit(X).best_params_
    {'n_components': 3}
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        param_grid: Mapping | Sequence[Mapping] | None = None,
        *,
        param_distributions: Mapping | Sequence[Mapping] | None = None,
        n_iter: int = 10,
        cv: object = None,
        scoring: str | Callable[..., float] = "neg_root_mean_squared_error",
        refit: bool | Callable[[dict], int] = True,
        patience: int | None = None,
        halving: bool = False,
        factor: int = 3,
        min_iter: int = 10,
        path: str | None = None,
        one_standard_error: bool = False,
        simplicity: Callable[[Params], object] | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        error_score: str | float = np.nan,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.patience = patience
        self.halving = halving
        self.factor = factor
        self.min_iter = min_iter
        self.path = path
        self.one_standard_error = one_standard_error
        self.simplicity = simplicity
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.error_score = error_score
        self.verbose = verbose

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
        """Try all candidates, then fit the best one to all observed entries.

        Arguments as in `cross_val_score_entries`.
        """
        self._check_parameters()
        self.scorer_ = get_scoring(self.scoring)
        candidates = self._candidates()
        # Before anything is fitted, so that a wrong name is an error at once.
        estimators = [clone(self.estimator).set_params(**clone(params, safe=False)) for params in candidates]
        entries = read_observed(X, mask, weights, censored=censored)
        folds = make_folds(entries, self.cv, self.random_state)
        self.n_splits_ = len(folds)
        if self.one_standard_error and self.n_splits_ < 2:
            raise ValueError("one_standard_error=True needs two splits or more: give another cv")
        trials = [
            [make_trial(estimator, fold, self.scorer_, self.patience) for fold in folds] for estimator in estimators
        ]
        rounds = self._run(trials, self._paths(candidates, trials), candidates)
        self._report_failures(trials)
        self.cv_results_ = tabulate(candidates, trials, rounds, self.error_score)
        self.best_index_ = self._best(candidates, estimators)
        self.best_params_ = candidates[self.best_index_]
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        best = trials[self.best_index_]
        self.best_n_iter_ = int(np.median([trial.n_iter for trial in best]))
        self.best_predictions_ = [trial.prediction for trial in best]
        if self.refit:
            if not _takes_mask(self.estimator, X) and (mask is not None or unmasked(X)[1] is not None):
                X, mask = entries.training(entries.observed), None
            given = {"mask": mask, "weights": weights, "censored": censored}
            given = {name: value for name, value in given.items() if value is not None}
            self._refit(estimators[self.best_index_], best, X, given)
        return self

    def _candidates(self) -> list[Params]:
        if (self.param_grid is None) == (self.param_distributions is None):
            raise ValueError("give either param_grid or param_distributions")
        if self.param_grid is not None:
            return list(ParameterGrid(self.param_grid))
        return list(ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state))

    def _paths(self, candidates: list[Params], trials: list[list[Trial]]) -> list[list[int]]:
        """Candidates that are fitted one after another, in this order; each by itself unless there is a `path`."""
        if self.path is None:
            return [[c] for c in range(len(candidates))]
        kind = Integral if self.path == "n_components" else Real
        if not all(isinstance(params.get(self.path), kind) for params in candidates):
            raise ValueError(f"path={self.path!r} must be a searched parameter with numbers as values")
        if not all(isinstance(candidate[0], SweepTrial) for candidate in trials):
            raise ValueError(
                f"path={self.path!r} is for NMF and its presets, with a single random start and neither callback nor "
                "time limit"
            )
        paths: dict[str, list[int]] = {}
        for c in sorted(range(len(candidates)), key=lambda c: -candidates[c][self.path]):
            others = {name: value for name, value in candidates[c].items() if name != self.path}
            paths.setdefault(repr(others), []).append(c)
        for before, after in (pair for path in paths.values() for pair in pairwise(path)):
            for previous, trial in zip(trials[before], trials[after], strict=True):
                trial.after = previous
        return list(paths.values())

    def _run(self, trials: list[list[Trial]], paths: list[list[int]], candidates: list[Params]) -> Array:
        """Advance the trials, in rounds if halving; how many rounds each candidate has survived."""
        rounds, alive = np.zeros(len(trials), int), np.arange(len(trials))
        names = [iterations_of(candidate[0].estimator) for candidate in trials]
        if self.halving and None in names:
            raise ValueError(f"halving=True needs an estimator with max_iter, {self.estimator!r} has none")
        limits = [1 if name is None else trials[c][0].estimator.get_params()[name] for c, name in enumerate(names)]
        shares = self._shares(len(trials), max(limits)) if self.halving else [1.0]
        for number, share in enumerate(shares):
            rounds[alive] = number
            ends = [None if share == 1 else int(np.ceil(share * limit)) for limit in limits]
            paths = [left for path in paths if (left := [c for c in path if c in alive])]
            splits = range(self.n_splits_)
            tell = Progress(trials, candidates, alive) if self.verbose else None
            advance_all([[(trials[c][k], ends[c]) for c in path] for path in paths for k in splits], self.n_jobs, tell)
            if share < 1:
                scores = np.array([np.mean([trial.score for trial in trials[c]]) for c in alive])
                order = alive[np.argsort(-scores, kind="stable")]  # NaN comes last
                n_kept = max(1, len(alive) // self.factor)
                for trial in (trial for c in order[n_kept:] for trial in trials[c]):
                    trial.drop()
                alive = np.sort(order[:n_kept])
        return rounds

    def _shares(self, n_candidates: int, max_iter: int) -> list[float]:
        """Shares of max_iter at the end of each round, the last being 1; at least one candidate lives to see it."""
        n_rounds = 1
        while n_candidates // self.factor**n_rounds >= 1 and max_iter / self.factor**n_rounds >= self.min_iter:
            n_rounds += 1
        return [1 / self.factor**k for k in reversed(range(n_rounds))]

    def _report_failures(self, trials: list[list[Trial]]) -> None:
        errors = [trial.error for candidate in trials for trial in candidate if trial.error is not None]
        if not errors:
            return
        if self.error_score == "raise":
            raise errors[0]
        n_fits = len(trials) * self.n_splits_
        message = f"{len(errors)} of {n_fits} fits failed; the first: {type(errors[0]).__name__}: {errors[0]}"
        if len(errors) == n_fits:
            raise ValueError(f"{message} (error_score='raise' shows where)") from errors[0]
        warnings.warn(f"{message}; their score is {self.error_score}", FitFailedWarning, stacklevel=4)

    def _best(self, candidates: list[Params], estimators: list[BaseEstimator]) -> int:
        if callable(self.refit):
            index = self.refit(self.cv_results_)
            if not isinstance(index, Integral) or not 0 <= index < len(candidates):
                raise ValueError(
                    f"refit returned {index!r}: the index of a candidate is needed, below {len(candidates)}"
                )
            return int(index)
        if not self.one_standard_error:
            return pick(self.cv_results_)
        if self.simplicity is None:
            keys = [default_simplicity(estimator.get_params()) for estimator in estimators]
        else:
            keys = [self.simplicity(params) for params in candidates]
        return pick(self.cv_results_, keys, self.n_splits_)

    def _refit(
        self, estimator: BaseEstimator, trials: list[Trial], X: MatrixLike, given: dict[str, MatrixLike]
    ) -> None:
        """Fit to all observed entries, for the number of iterations that had the best score."""
        limit, params = iterations_of(estimator), estimator.get_params()
        stopped = limit is not None and self._stopped(trials, params[limit])
        fewer = limited(estimator, self.best_n_iter_) if stopped else {}
        best = clone(estimator).set_params(**fewer)
        start = getattr(trials[0], "start", None)
        began = time.perf_counter()
        with warnings.catch_warnings():
            if stopped:  # the iterations are limited on purpose
                warnings.simplefilter("ignore", ConvergenceWarning)
            best, interrupted = self._fitted_to_all(best, start, X, given)
        self.best_estimator_ = best
        best.set_params(**{name: params[name] for name in fewer})  # as the candidate says; codes of new samples need it
        self.refit_time_ = time.perf_counter() - began
        if interrupted:
            raise Interrupted

    def _fitted_to_all(
        self, model: BaseEstimator, start: Factors | None, X: MatrixLike, given: dict[str, MatrixLike]
    ) -> tuple[BaseEstimator, bool]:
        """The fitted model, and whether an interruption has ended its fit in order."""
        if start is not None:
            model = model.begin(X, **given, start=start).run().finish()
            model.warn_unless_converged()
            return model, model.stop_reason_ == "interrupted"
        try:
            return model.fit(X, **given), False
        except KeyboardInterrupt:
            if not hasattr(model, "stop_reason_"):
                raise
            return model, True

    def _stopped(self, trials: list[Trial], max_iter: int) -> bool:
        """Whether the best score came before a trial would have ended by itself."""
        early = any(not trial.converged and trial.n_iter < max_iter for trial in trials)
        return early and 0 < self.best_n_iter_ < max_iter

    def _check_parameters(self) -> None:
        check_number("n_iter", self.n_iter, low=1, integer=True)
        check_number("factor", self.factor, low=2, integer=True)
        check_number("min_iter", self.min_iter, low=1, integer=True)
        if self.patience is not None:
            check_number("patience", self.patience, low=1, integer=True)
        check_choice("halving", self.halving, (True, False))
        check_choice("one_standard_error", self.one_standard_error, (True, False))
        if self.one_standard_error and callable(self.refit):
            raise ValueError("one_standard_error=True and a callable refit both choose the best candidate: give one")
        check_number("verbose", int(self.verbose) if isinstance(self.verbose, bool) else self.verbose, integer=True)
        if self.error_score != "raise" and not isinstance(self.error_score, Real):
            raise ValueError(f"error_score={self.error_score!r} must be 'raise' or a number")

    # --- the best estimator's methods -----------------------------------------------------------------------------

    @available_if(_has("transform"))
    def transform(self, X: MatrixLike, **params: object) -> Array:
        """The method of the best estimator."""
        return self._fitted("transform").transform(X, **params)

    @available_if(_has("transform"))
    def fit_transform(self, X: MatrixLike, y: object = None, **fit_params: object) -> Array:
        """Search, then `transform` of the best estimator for the same data (with the same mask and weights)."""
        return self.fit(X, y, **fit_params).transform(X, **fit_params)

    @available_if(_has("inverse_transform"))
    def inverse_transform(self, X: MatrixLike) -> Array:
        """The method of the best estimator."""
        return self._fitted("inverse_transform").inverse_transform(X)

    @available_if(_has("complete"))
    def complete(self, X: MatrixLike, **params: object) -> object:
        """The method of the best estimator."""
        return self._fitted("complete").complete(X, **params)

    @available_if(_has("reconstruct"))
    def reconstruct(self, rows: MatrixLike | None = None, columns: MatrixLike | None = None) -> Array:
        """The method of the best estimator."""
        return self._fitted("reconstruct").reconstruct(rows, columns)

    @available_if(_has("predict_pairs"))
    def predict_pairs(self, rows: MatrixLike, columns: MatrixLike) -> Array:
        """The method of the best estimator."""
        return self._fitted("predict_pairs").predict_pairs(rows, columns)

    @available_if(_has("score"))
    def score(self, X: MatrixLike, y: object = None, **params: object) -> float:
        """The method of the best estimator."""
        return self._fitted("score").score(X, **params)

    @available_if(_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: object = None) -> Array:
        """The method of the best estimator."""
        return self._fitted("get_feature_names_out").get_feature_names_out(input_features)

    @property
    def n_features_in_(self) -> int:
        """Number of features seen by `fit`."""
        return self.best_estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> Array:
        """Names of the features seen by `fit`, where they have some."""
        return self.best_estimator_.feature_names_in_

    def _fitted(self, name: str) -> BaseEstimator:
        if not self.refit:
            raise AttributeError(f"{name} needs the best estimator: search with refit=True")
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "best_index_")

    def __sklearn_tags__(self) -> Tags:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags, tags.transformer_tags = inner.input_tags, inner.transformer_tags
        return tags
