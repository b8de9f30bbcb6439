"""One fit to ratings on behalf of a command: rank and ridge from held-out ratings, kept when interrupted."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from .. import NMF
from ..completion import DataWarning
from ..triplets import Triplets
from .fitting import STOPPED
from .options import Settings, default_rank
from .progress import progress_bar, warnings_as_notes

Array = np.ndarray
Callback = Callable[[Any], object] | None

#: What the search tries: first the ridges at the middle rank, then the other ranks at the best ridge.
RANKS = (20, 10, 50)
ALPHAS = (0.08, 0.04, 0.16, 0.02, 0.32)
_HELD_OUT = 0.1
_SEARCH_ITERATIONS = 30  # enough to rank the candidates
_FEWEST = 50  # with fewer ratings held-out ones say nothing


@dataclass(frozen=True)
class RatingsFit:
    """A model fitted to ratings that were divided by `scale`, and how the fit went."""

    model: NMF
    scale: float
    bounds: tuple[float, float]
    summary: str
    interrupted: bool

    def predict(self, row: Array, column: Array) -> Array:
        """Ratings of pairs (-1: unknown), within the range of the observed ones."""
        return self.in_units(self.model.predict_pairs(row, column, unseen="mean"))

    def in_units(self, predictions: Array) -> Array:
        """Predictions of the model as ratings."""
        return np.clip(predictions * self.scale, *self.bounds)


def fit_ratings(triplets: Triplets, settings: Settings, quiet: bool) -> RatingsFit:
    """NMF with offsets; rank and alpha are those of the settings, or the best ones on held-out ratings.

    The ratings are divided by their standard deviation, so that alpha has no unit. Half of a time limit is for the
    search. Ctrl-C ends with the best model so far; where there is none the KeyboardInterrupt goes on.
    """
    began = time.monotonic()
    limit = np.inf if settings.time_limit is None else settings.time_limit
    with warnings_as_notes(quiet), progress_bar("nmf", quiet) as callback:
        X = triplets.matrix
        # Whom the model has not seen is told by the command, in the words of the file.
        warnings.simplefilter("ignore", DataWarning)
        scale = _scale(X.data)
        found, model, interrupted = _search(X / scale, settings, began + limit / 2, callback)
        if not interrupted:
            _label(callback, f"nmf, rank {found.rank[0]}")
            found = replace(found, time_limit=_left(began + limit))
            last, interrupted = _fit(X / scale, found, callback)
            # Interrupted at once it is worse than the best one of the search.
            if not interrupted or model is None or (last is not None and last.n_iter_ >= model.n_iter_):
                model = last
        if model is None:
            raise KeyboardInterrupt
    reason = "interrupted" if interrupted else model.stop_reason_
    summary = (
        f"nmf with offsets, rank {model.n_components}, alpha {model.alpha_W:g}: {model.n_iter_} iterations in "
        f"{time.monotonic() - began:.1f} s, {STOPPED.get(reason, reason)}"
    )
    return RatingsFit(model, scale, (float(X.data.min()), float(X.data.max())), summary, interrupted)


def _scale(values: Array) -> float:
    """The standard deviation; the mean where all are equal, but for rounding."""
    deviation, mean = float(values.std()), float(values.mean())
    return deviation if deviation > 1e-6 * mean else mean or 1.0


def _search(
    X: sparse.csr_array, settings: Settings, deadline: float, callback: Callback
) -> tuple[Settings, NMF | None, bool]:
    """Settings with rank and alpha, the best model met on the way, and whether Ctrl-C ended it."""
    most = min(X.shape)
    ranks = settings.rank or tuple(dict.fromkeys(min(rank, most) for rank in RANKS))
    alphas = ALPHAS if settings.alpha is None else (settings.alpha,)
    best = replace(settings, rank=ranks[:1], alpha=alphas[0])
    if X.nnz < _FEWEST:
        return replace(best, rank=settings.rank or (default_rank(X.shape, X.nnz),)), None, False
    trials, ranks_left = [replace(best, alpha=alpha) for alpha in alphas], ranks[1:]
    n_trials = len(trials) + len(ranks_left)
    if n_trials == 1:
        return best, None, False
    training, held = _hold_out(X, settings.seed)
    lowest, model = np.inf, None
    for number in range(1, n_trials + 1):
        if not trials:
            trials = [replace(best, rank=(rank,)) for rank in ranks_left]
        trial = trials.pop(0)
        _label(callback, f"nmf, search {number}/{n_trials}")
        most_sweeps = min(settings.max_iter or _SEARCH_ITERATIONS, _SEARCH_ITERATIONS)
        short = replace(trial, n_init=1, max_iter=most_sweeps, time_limit=_left(deadline))
        fitted, interrupted = _fit(training, short, callback)
        if interrupted:
            return best, model or fitted, True
        error = float(np.mean((fitted.predict_pairs(held.row, held.col) - held.data) ** 2))
        if error < lowest:
            lowest, best, model = error, trial, fitted
        if time.monotonic() > deadline:
            break
    return best, model, False


def _hold_out(X: sparse.csr_array, seed: int) -> tuple[sparse.csr_array, sparse.coo_array]:
    """The ratings without a tenth of them, and that tenth."""
    every = X.tocoo()
    held = np.random.default_rng(seed).random(X.nnz) < _HELD_OUT
    held[:2] = True, False  # both have some
    parts = [
        sparse.coo_array((every.data[part], (every.row[part], every.col[part])), shape=X.shape)
        for part in (~held, held)
    ]
    return parts[0].tocsr(), parts[1]


def _fit(X: sparse.csr_array, settings: Settings, callback: Callback) -> tuple[NMF | None, bool]:
    """The model, if it got as far as to be one, and whether Ctrl-C ended the fit."""
    model = settings.build(settings.rank, callback)
    model.set_params(biases=True, alpha_scale="observed", sparse_missing="absent")
    try:
        model.fit(X)
    except KeyboardInterrupt:
        return (model if hasattr(model, "stop_reason_") else None), True
    return model, False


def _left(deadline: float) -> float | None:
    """Seconds until then, for a fit that makes one sweep at least."""
    return None if np.isinf(deadline) else max(deadline - time.monotonic(), 1e-3)


def _label(callback: Callback, text: str) -> None:
    if callback is not None:
        callback.label = text  # type: ignore[attr-defined]
