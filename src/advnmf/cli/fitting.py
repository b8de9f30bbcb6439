"""One fit on behalf of a command: scaled, watched, and kept when interrupted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import sparse

from .. import AutoImputer, AutoNMF
from ..models.base import CompletionModel
from .options import AUTO, AUTO_SECONDS, BLEND, Settings
from .progress import progress_bar, search_bar, warnings_as_notes

Array = np.ndarray

_SEARCHES: dict[str, type[Any]] = {AUTO: AutoNMF, BLEND: AutoImputer}
_STOPPED = {
    "tol": "converged",
    "max_iter": "stopped at --max-iter before it converged",
    "time_limit": "stopped at --time-limit",
    "interrupted": "interrupted",
}


@dataclass(frozen=True)
class Fit:
    """A fitted model, its values at all entries, and how the fit went; `scale` is what the data were divided by."""

    model: Any
    values: Array
    summary: str
    seconds: float
    X: Array
    scale: Array
    censored: Array | None = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return was_interrupted(self.model)

    @property
    def loss_curve(self) -> Array:
        """The loss after each iteration; empty for a search."""
        return getattr(self.model, "loss_curve_", np.array([]))

    def std(self) -> Array:
        """Standard deviations of the filled entries, 0 at the observed ones; of a search."""
        with warnings_as_notes(quiet=True):
            return self.model.complete(self.X, censored=self.censored, return_std=True)[1] * self.scale


def fit(
    X: Array,
    settings: Settings,
    *,
    places: Mapping[str, Any] = MappingProxyType({}),
    censored: Array | None = None,
    scale_columns: bool = False,
    quiet: bool = False,
) -> Fit:
    """Fit the model that `settings` describe to a matrix with NaN at its holes, and signs of its bounds.

    `places` are the parameters of `AutoNMF` that say where rows and columns lie; other models do without.
    Ctrl-C ends the fit with what it has; where it has nothing yet the KeyboardInterrupt goes on.
    """
    # The searches give the same result on every scale, and report errors on that of the data.
    unscaled = settings.model in (AUTO, BLEND) and not scale_columns
    scale = np.ones((1, 1)) if unscaled else _scale(X, scale_columns)
    scaled = X / scale
    began = time.monotonic()
    with warnings_as_notes(quiet):
        given = {} if censored is None else {"censored": censored}
        if settings.model in _SEARCHES:
            model, summary = _search(scaled, settings, quiet, places if settings.model == AUTO else {}, **given)
        else:
            model, summary = _fit_fixed(scaled, settings, quiet, **given)
    seconds = time.monotonic() - began
    values = model.complete(scaled, censored=censored) if settings.model == BLEND else model.reconstruct()
    if censored is not None:
        values = np.where(censored == "<", np.minimum(values, scaled), values)
        values = np.where(censored == ">", np.maximum(values, scaled), values)
    return Fit(model, values * scale, summary, seconds, scaled, scale, censored)


def fit_model(
    X: Array | sparse.csr_array, settings: Settings, quiet: bool, **given: Any
) -> tuple[CompletionModel, str]:
    """The model that `settings` describe, fitted, and how that went; sparse ``X`` are ratings.

    `given` is what else `fit` takes.
    """
    return (_search if settings.model == AUTO else _fit_fixed)(X, settings, quiet, **given)


def was_interrupted(model: CompletionModel | AutoImputer) -> bool:
    """Whether Ctrl-C ended the fit."""
    return model.stop_reason_ == "interrupted"


def _search(
    X: Array | sparse.csr_array,
    settings: Settings,
    quiet: bool,
    places: Mapping[str, Any] = MappingProxyType({}),
    **given: Any,
) -> tuple[Any, str]:
    limit = AUTO_SECONDS if settings.time_limit is None else settings.time_limit
    with search_bar(limit, quiet) as callback:
        model = _SEARCHES[settings.model](limit, random_state=settings.seed, callback=callback, **places)
        _fit_until_interrupted(model, X, **given)
    summary = f"{settings.model}: {model.explain().rstrip('.')}"
    return model, f"{summary}; interrupted" if was_interrupted(model) else summary


def _fit_fixed(X: Any, settings: Settings, quiet: bool, **given: Any) -> tuple[CompletionModel, str]:
    ratings = sparse.issparse(X)
    layers = settings.layers(X.shape, X.nnz if ratings else int(np.count_nonzero(~np.isnan(X))))
    began = time.monotonic()
    with progress_bar(settings.model, quiet) as callback:
        model = settings.build(layers, callback, ratings=ratings)
        _fit_until_interrupted(model, X, **given)
    parts = [
        f"{settings.model} with offsets" if ratings else settings.model,
        f"rank {','.join(map(str, layers))}",
        *([f"alpha {model.alpha_W:g}"] if ratings else []),
    ]
    reason = _STOPPED.get(model.stop_reason_, model.stop_reason_)
    return model, f"{', '.join(parts)}: {model.n_iter_} iterations in {time.monotonic() - began:.1f} s, {reason}"


def _fit_until_interrupted(model: Any, X: Array | sparse.csr_array, **given: Array) -> None:
    """Fit; after Ctrl-C the command continues with the fit as it is, if there is one."""
    if given and not set(given) <= set(signature(model.fit).parameters):
        raise ValueError(
            f"cells such as <0.05 give bounds, which {type(model).__name__} does not take: leave out --model, or say "
            "with --na that such cells are missing"
        )
    try:
        model.fit(X, **given)
    except KeyboardInterrupt:
        if getattr(model, "stop_reason_", None) != "interrupted":
            raise


def _scale(X: Array, by_columns: bool) -> Array:
    """What X is divided by to have a mean square of 1 over its observed entries; in each column if wanted."""
    axis = 0 if by_columns else None
    there = ~np.isnan(X)
    values = np.where(there, X, 0.0)
    # The largest value goes out first: the square of a large number is infinite.
    peak = np.abs(values).max(axis=axis, keepdims=True)
    peak[peak == 0] = 1.0
    counts = np.maximum(there.sum(axis=axis, keepdims=True), 1)
    scale = peak * np.sqrt(np.sum((values / peak) ** 2, axis=axis, keepdims=True) / counts)
    scale[scale == 0] = 1.0
    return scale
