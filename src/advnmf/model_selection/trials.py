"""Trials: a candidate learns from the training entries of a fold, and is looked at on the held-out ones.

A trial is advanced to a number of iterations, may be left there, and goes on later from where it was.  `NMF` and its
presets are stepped sweep by sweep (a `FitInProgress`): a look costs a sampled product over the held-out entries.  Any
other estimator is fitted anew for each number of iterations, which grow geometrically.
"""

from __future__ import annotations

import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numba
import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning

from ..data import ObservedData
from ..data.check import check_layers
from ..data.observed import Observed
from ..engine.factors import Factors, right
from ..engine.loop import StoppingCriteria
from ..engine.starts import narrowed
from ..models.base import DataWarning
from ..models.progress import FitInProgress
from ..solvers.hals import OneBlasThread
from .scoring import Scoring

Array = np.ndarray


# Iterations between two looks at a fit that has lines to fill.
_BETWEEN_DEAR_LOOKS = 5


class Fold:
    """One split of the observed entries, shared by all candidates; `shares` weigh the held-out ones in scores."""

    def __init__(self, entries: Observed, train: Array, test: Array, shares: Array | None = None) -> None:
        self.entries = entries
        self.train, self.test, self.shares = train, test, shares
        held_out = entries.held_out(test)
        self.held_out = held_out if shares is None or (shares == 1).all() else held_out.reweighted(shares)
        self._lock = threading.Lock()
        self._made: dict[object, ObservedData] = {}

    def training(self) -> Array | sparse.csr_array:
        """A copy of X with NaN for what is held out (and for what was missing anyway)."""
        return self.entries.training(self.train)

    @property
    def fit_params(self) -> dict[str, object]:
        """Keyword arguments of `fit`: the weights and what is censored, if there are any."""
        given = {"weights": self.entries.given_weights, "censored": self.entries.given_censored(self.train)}
        return {name: value for name, value in given.items() if value is not None}

    def data(self, model: BaseEstimator) -> ObservedData:
        """The training entries as `NMF` and its presets take them, made once for all of them."""
        with self._lock:
            key = model.sparse_missing
            if key not in self._made:
                data = self.entries.only(self.train, key).data(nonnegative=not getattr(model, "signed", False))
                _ = data.T  # made once, too
                self._made[key] = data
            return self._made[key]

    @property
    def pairs(self) -> tuple[Array, Array]:
        """Rows and columns of the held-out entries."""
        indptr = self.held_out.indptr
        return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)), self.held_out.indices


class Trial(ABC):
    """A candidate on a fold.

    Parameters
    ----------
    estimator : estimator
        The candidate; it is not touched.
    fold : Fold
        What it learns from and is scored on.
    scoring : callable
        Score of (truth, prediction, weights).
    patience : int or None
        None looks at the end of each advance alone.  A number looks on the way as well, and ends the trial once there
        was no better score for so many iterations.

    Attributes
    ----------
    score, n_iter, prediction
        Of the look that counts, which is the best: score, iterations made, predictions at the held-out entries of the
        fold.
    done : bool
        Whether nothing is left to do.
    converged : bool
        Whether the candidate's own tolerance ended it, at the look that counts.
    error : Exception or None
        What went wrong; the score is then NaN.
    seconds : float
        Time taken so far.
    fit : FitInProgress or None
        The fit with the factors of the moment, while it is stepped.
    made : int
        Iterations made so far.
    keep : bool
        Whether a copy of the factors of the look that counts is kept.
    factors : list of ndarray or None
        This copy.
    """

    def __init__(self, estimator: BaseEstimator, fold: Fold, scoring: Scoring, patience: int | None = None) -> None:
        self.estimator = clone(estimator)
        self.fold = fold
        self.scoring = scoring
        self.patience = patience
        self.score, self.n_iter, self.prediction = np.nan, 0, None
        self.done = self.converged = False
        self.error: Exception | None = None
        self.seconds = 0.0
        self.fit: FitInProgress | None = None
        self.made = 0
        self.keep, self.factors = False, None

    def advance(self, n_iter: int | None = None) -> None:
        """Go on until `n_iter` iterations are made in all; to the end unless given."""
        began = time.perf_counter()
        try:
            if not self.done:
                self._advance(n_iter)
        except Exception as error:
            self.error, self.done, self.score = error, True, np.nan
        self.seconds += time.perf_counter() - began

    @abstractmethod
    def _advance(self, n_iter: int | None) -> None:
        """Go on, and look."""

    def release(self) -> None:
        """Let go of the factors of a trial that is done: a search has many, each with its own."""
        if self.done:
            self.fit = None

    def drop(self) -> None:
        """End it here, and let go of its factors."""
        self.done = True
        self.release()

    def _look(self, n_iter: int, prediction: Array, converged: bool) -> None:
        """Take the score of a prediction, and see whether patience is at its end."""
        score = self.scoring(self.fold.held_out.values, prediction, self.fold.held_out.omega)
        if np.isnan(self.score) or score > self.score:
            self.score, self.n_iter, self.prediction, self.converged = score, n_iter, prediction, converged
        elif self.patience is not None and n_iter - self.n_iter >= self.patience:
            self.done = True


class SweepTrial(Trial):
    """A trial of a model that is stepped sweep by sweep; without early stopping it ends where its ``fit`` ends.

    Attributes
    ----------
    after : SweepTrial or None
        Set before the first advance: the trial whose factors this one begins with.
    start : list of ndarray or None
        These factors.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.after: SweepTrial | None = None
        self.start: Factors | None = None

    @staticmethod
    def suits(estimator: BaseEstimator) -> bool:
        """Whether one start, drawn by the model itself, decides."""
        return (
            getattr(estimator, "starts_from_factors", False)
            and (estimator.n_init, estimator.init) == (1, "random")
            and estimator.time_limit is estimator.callback is None
        )

    def _advance(self, n_iter: int | None) -> None:
        fit, limit = self.fit or self._begin(), self.estimator.max_iter
        end = limit if n_iter is None else min(n_iter, limit)
        with fit.session():
            while fit.n_iter < end and not self.done:
                self.done = not fit.step()
                self.made = fit.n_iter
                if self.patience is not None and (self.done or fit.n_iter % self._between == 0):
                    self._look_here()
        if self.patience is None or self.made % self._between:
            self._look_here()

    @property
    def _between(self) -> int:
        """Iterations from look to look: looks are dear where lines have to be filled from others."""
        return 1 if self.fit.training.determined else _BETWEEN_DEAR_LOOKS

    def _begin(self) -> FitInProgress:
        """The fit before its first step, from the factors that this trial begins with; without a callback."""
        model = self.estimator
        model.check_parameters()
        if self.after is not None and self.after.fit is not None:
            self.start = self._carried_on(self.after)
        start = self.start and [F.copy() for F in self.start]
        criteria = StoppingCriteria(model.max_iter, model.tol)
        self.fit = model.begin_on(self.fold.data(model), start=start, criteria=criteria)
        self.fit.begin()
        return self.fit

    def _carried_on(self, before: SweepTrial) -> Factors:
        """A copy of the factors of another trial, without the weakest components if this one has fewer."""
        factors = before.fit.factors
        layers = [check_layers(trial.estimator.n_components) for trial in (before, self)]
        if layers[0] == layers[1]:
            return [F.copy() for F in factors]
        return narrowed(factors, *layers[0], *layers[1])

    def _look_here(self) -> None:
        factors = self.fit.training.completed(self.fit.factors)
        # (F_1 ... F_L)_ij at the held-out entries
        prediction = self.fold.held_out.predict(factors[0], right(factors, 0))
        self._look(self.made, prediction, self.fit.converged)
        if self.keep and self.n_iter == self.made:
            self.factors = [F.copy() for F in factors]


class RefitTrial(Trial):
    """A trial of any estimator, fitted anew for more iterations."""

    def _advance(self, n_iter: int | None) -> None:
        name = iterations_of(self.estimator)
        limit = None if name is None else self.estimator.get_params()[name]
        for number in self._numbers(limit, n_iter):
            model = clone(self.estimator).set_params(**({} if name is None else limited(self.estimator, number)))
            prediction = fit_predict(model, self.fold)
            self.made = int(np.max(getattr(model, "n_iter_", number or 0)))
            converged = number is None or self.made < number
            self.done = converged or number == limit
            self._look(self.made, prediction, converged)
            if self.done:
                return

    def _numbers(self, limit: int | None, n_iter: int | None) -> list[int | None]:
        """Numbers of iterations to fit for: the last one, and with patience those on the way, each twice the last."""
        if limit is None:
            return [None]
        end = limit if n_iter is None else min(n_iter, limit)
        if self.patience is None:
            return [end]
        doubled = (self.patience * 2**k for k in range(end.bit_length()))
        return [*(number for number in doubled if self.made < number < end), end]


def make_trial(estimator: BaseEstimator, fold: Fold, scoring: Scoring, patience: int | None = None) -> Trial:
    """The trial that suits the estimator."""
    return (SweepTrial if SweepTrial.suits(estimator) else RefitTrial)(estimator, fold, scoring, patience)


def iterations_of(estimator: BaseEstimator) -> str | None:
    """The parameter that limits its iterations: "max_iter", its own before that of an estimator within."""
    names = [name for name in estimator.get_params() if name.split("__")[-1] == "max_iter"]
    return min(names, key=lambda name: name.count("__"), default=None)


def limited(estimator: BaseEstimator, n_iter: int) -> dict[str, int]:
    """Parameters with which it makes at most so many iterations, after as much pre-training as ever."""
    name, params = iterations_of(estimator), estimator.get_params()
    pretraining = name.replace("max_iter", "pretrain_iter")
    return {name: n_iter} | ({pretraining: params[name]} if params.get(pretraining, 0) is None else {})


def fit_predict(model: BaseEstimator, fold: Fold) -> Array:
    """Fit to the training entries; the predictions at the held-out ones.

    A model gives its reconstruction, an imputer (anything without one) what its `fit_transform` fills in.
    """
    X, (rows, columns) = fold.training(), fold.pairs
    if hasattr(model, "predict_pairs"):
        return model.fit(X, **fold.fit_params).predict_pairs(rows, columns)
    if hasattr(model, "reconstruct"):
        prediction = model.fit(X, **fold.fit_params).reconstruct()[rows, columns]
    else:
        prediction = _restored(model.fit_transform(X, **fold.fit_params), fold)[rows, columns]
    if not np.isfinite(prediction).all():
        raise ValueError(f"{np.sum(~np.isfinite(prediction))} held-out entries were not completed by {model!r}")
    return prediction


def _restored(completed: object, fold: Fold) -> Array:
    """What an imputer returned, in the shape of X: columns with nothing observed may have been dropped."""
    completed, shape = np.asarray(completed), fold.entries.shape
    if completed.shape == shape:
        return completed
    known = fold.train.any(axis=0)
    if completed.shape != (shape[0], np.count_nonzero(known)):
        raise ValueError(f"fit_transform returned shape {completed.shape} for X of {shape}: it does not complete X")
    restored = np.full(shape, np.nan)
    restored[:, known] = completed
    return restored


def advance_all(
    paths: Sequence[Sequence[tuple[Trial, int | None]]],
    n_jobs: int | None = None,
    tell: Callable[[Trial], object] | None = None,
) -> None:
    """Advance trials to numbers of iterations; those of a path one after another, `n_jobs` paths at a time.

    Each is told of once it is there.  Threads share the data and the cores.  What the fits would warn of is not said
    once for each of them; a trial that fails keeps its error.
    """
    n_workers = max(1, min(effective_n_jobs(n_jobs), len(paths)))
    with warnings.catch_warnings(), _inner_threads(n_workers) as limit:
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataWarning)

        def run(path: Sequence[tuple[Trial, int | None]]) -> None:
            limit()
            for trial, n_iter in path:
                trial.advance(n_iter)
                if tell is not None:
                    tell(trial)
            for trial, _ in path:
                trial.release()

        Parallel(n_jobs=n_workers, require="sharedmem")(delayed(run)(path) for path in paths)


@contextmanager
def _inner_threads(n_workers: int) -> Iterator[Callable[[], object]]:
    """Share the cores among workers: BLAS has one thread, kernels a share in each worker, who calls what this gives."""
    if n_workers == 1:
        yield lambda: None
        return
    share = max(1, numba.get_num_threads() // n_workers)
    with OneBlasThread():
        # Of the calling thread alone, and joblib's threads end with their work.
        yield lambda: numba.set_num_threads(share)
