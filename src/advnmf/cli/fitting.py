"""One fit on behalf of a command: scaled, watched, and kept when interrupted."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from .. import AutoNMF
from ..completion import CompletionModel
from .options import AUTO_SECONDS, Settings
from .progress import progress_bar, search_bar, warnings_as_notes

STOPPED = {
    "tol": "converged",
    "max_iter": "stopped at --max-iter before it converged",
    "time_limit": "stopped at --time-limit",
    "interrupted": "interrupted",
}


@dataclass(frozen=True)
class Fit:
    """The values of a fitted model at all entries, and how the fit went."""

    values: np.ndarray
    summary: str
    interrupted: bool
    seconds: float
    loss_curve: np.ndarray


def fit(X: np.ndarray, settings: Settings, *, scale_columns: bool = False, quiet: bool = False) -> Fit:
    """Fit the model that `settings` describe to a matrix with NaN at its holes.

    Ctrl-C ends the fit with what it has; where it has nothing yet the KeyboardInterrupt goes on.
    """
    scale = _scale(X, scale_columns)
    if settings.model == "auto":
        # It is the same on every scale, and tells errors on that of the data.
        return _fit_auto(X, scale if scale_columns else np.ones((1, 1)), settings, quiet)
    layers = settings.layers(X.shape, int(np.count_nonzero(~np.isnan(X))))
    began = time.monotonic()
    with warnings_as_notes(quiet), progress_bar(settings.model, quiet) as callback:
        model = settings.build(layers, callback)
        interrupted = _interrupted(model, X / scale)
    seconds = time.monotonic() - began
    reason = "interrupted" if interrupted else model.stop_reason_
    summary = (
        f"{settings.model}, rank {','.join(map(str, layers))}: {model.n_iter_} iterations in "
        f"{seconds:.1f} s, {STOPPED.get(reason, reason)}"
    )
    return Fit(model.reconstruct() * scale, summary, interrupted, seconds, model.loss_curve_)


def _fit_auto(X: np.ndarray, scale: np.ndarray, settings: Settings, quiet: bool) -> Fit:
    """`fit` of the model that chooses by itself."""
    limit = AUTO_SECONDS if settings.time_limit is None else settings.time_limit
    began = time.monotonic()
    with warnings_as_notes(quiet), search_bar(limit, quiet) as callback:
        model = AutoNMF(limit, random_state=settings.seed, callback=callback)
        interrupted = _interrupted(model, X / scale)
    summary = f"auto: {model.explain().rstrip('.')}"
    return Fit(model.reconstruct() * scale, summary, interrupted, time.monotonic() - began, np.array([]))


def _interrupted(model: CompletionModel, X: np.ndarray) -> bool:
    """Fit; whether it was ended by Ctrl-C with something to keep."""
    try:
        model.fit(X)
    except KeyboardInterrupt:
        if not hasattr(model, "stop_reason_"):
            raise
        return True
    return False


def _scale(X: np.ndarray, by_columns: bool) -> np.ndarray:
    """What X is divided by to have a mean square of 1 over its observed entries; in each column if wanted."""
    axis = 0 if by_columns else None
    there = ~np.isnan(X)
    values = np.where(there, X, 0.0)
    # The largest value goes out first: the square of a large number is infinite.
    peak = values.max(axis=axis, keepdims=True)
    peak[peak == 0] = 1.0
    counts = np.maximum(there.sum(axis=axis, keepdims=True), 1)
    scale = peak * np.sqrt(np.sum((values / peak) ** 2, axis=axis, keepdims=True) / counts)
    scale[scale == 0] = 1.0
    return scale
