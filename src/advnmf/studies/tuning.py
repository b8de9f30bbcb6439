"""Hyper-parameters by random search on held-out observed entries; missing entries have no influence.

The spaces (the logarithm of a rank is uniform, from 2 to `most_components`; the data are scaled to a root mean square
of 1):

    plain       rank, alpha_W from 1e-6 to 1e-1
    deep        also a first layer of 1, 1.5 or 2 times the rank, and from 2 to 100 pre-training sweeps over each layer
                (early stopping begins only after these)
    adversary   also lam from 1.1 to 5 (times its bound 1 + 1 / delta under the elastic loss)
    elastic     also delta from 0.1 to 100
    robust      HQASD: rank, eta from 0.5 to 20, robust at once or after least squares have converged, of either sign
                or not
    network     DMF: rank, a hidden layer of 1 to 5 times that, alpha_weights and alpha_latent from 1e-5 to 1e-1
    bilevel     ANMF: rank, beta from 0.1 to 0.9, attack_weight from 1 to 1000, any named target

Deep, adversary and elastic are combined with "+".  A seed gives the same draws in all of these combinations, so that
they differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ..losses import Elastic
from ..metrics import rmse
from ..model_selection import CompletionSearchCV, EntryShuffleSplit

__all__ = ["SPACES", "Tuned", "as_parameters", "tune"]

Rng = np.random.RandomState
Params = dict[str, Any]
Drawer = Callable[[Rng, int], Params]
_HELD_OUT = 0.1
# Successive halving: one in so many candidates goes on to so many times as many iterations.
_FACTOR = 4
# Early stopping: patience as a share of the largest number of iterations.
_PATIENCE = 0.25
_MOST_COMPONENTS = 100


@dataclass(frozen=True)
class Tuned:
    """The parameters of the best candidate, and whether clipping to the range of the data lowers its error."""

    params: Params
    clip: bool


def tune(space: str, n_candidates: int, model: BaseEstimator, X: np.ndarray, seed: int) -> Tuned:
    """The parameters from `space` with the lowest error on a tenth of the observed entries, which is held out.

    They include ``max_iter``: the number of iterations, at most the model's own, with the lowest error.

    Parameters
    ----------
    space : key of `SPACES`
    n_candidates : int
        Number of draws; a quarter of them goes on to four times as many iterations, and so on.
    model : estimator
        With `max_iter`, and all parameters that are not tuned.
    X : array
        NaN where missing.
    seed : int
        Seed of the draws and of the held-out entries.
    """
    most = most_components(~np.isnan(X))
    drawn = [SPACES[space](np.random.RandomState([seed, number]), most) for number in range(n_candidates)]
    grid = [{name: [value] for name, value in as_parameters(params).items()} for params in drawn]
    train, test = next(EntryShuffleSplit(test_size=_HELD_OUT, random_state=seed).split(X))
    patience = max(1, round(_PATIENCE * model.max_iter))
    search = CompletionSearchCV(
        model, grid, cv=[(train, test)], halving=True, factor=_FACTOR, patience=patience, refit=False
    ).fit(X)
    truth, prediction = X[test], search.best_predictions_[0]
    clipped = np.clip(prediction, X[train].min(), X[train].max())
    params = {**drawn[search.best_index_], "max_iter": search.best_n_iter_}
    return Tuned(params, clip=bool(rmse(truth, clipped) < rmse(truth, prediction)))


def most_components(mask: np.ndarray) -> int:
    """Twice the rank at which a model has as many parameters as there are observed entries, from 8 to 100."""
    n, m = mask.shape
    return int(np.clip(2 * mask.sum() / (n + m), 8, min(_MOST_COMPONENTS, max(8, min(n, m) // 2))))


def as_parameters(params: Mapping[str, Any]) -> Params:
    """Parameters of an estimator from JSON, where layer sizes are lists and the elastic loss is a dict."""
    return {name: _parameter(value) for name, value in params.items()}


def _parameter(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return Elastic(**value) if isinstance(value, dict) else value


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _rank(rng: Rng, most: int) -> int:
    return round(_log_uniform(rng, 2, most))


def _factorisation(*parts: str) -> Drawer:
    """A function that draws the parameters of `NMF` or a preset, with some of deep, elastic and adversary."""

    def draw(rng: Rng, most: int) -> Params:
        rank, alpha = _rank(rng, most), _log_uniform(rng, 1e-6, 1e-1)
        first = round(rank * rng.choice([1, 1.5, 2]))
        lam, delta = _log_uniform(rng, 1.1, 5), _log_uniform(rng, 0.1, 100)
        pretrain_iter = round(_log_uniform(rng, 2, 100))
        params: Params = {"n_components": [first, rank] if "deep" in parts else rank, "alpha_W": alpha}
        if "deep" in parts:
            params["pretrain_iter"] = pretrain_iter
        if "adversary" in parts:
            params["lam"] = lam * (1 + 1 / delta) if "elastic" in parts else lam
        if "elastic" in parts:
            params |= {"delta": delta} if "adversary" in parts else {"loss": {"delta": delta}}
        return params

    return draw


def _robust(rng: Rng, most: int) -> Params:
    return {
        "n_components": _rank(rng, most),
        "eta": _log_uniform(rng, 0.5, 20),
        "switch_tol": float(rng.choice([1e-3, 1e6])),
        "nonnegative": bool(rng.choice([False, True])),
    }


def _network(rng: Rng, most: int) -> Params:
    rank = _rank(rng, most)
    return {
        "n_components": rank,
        "hidden": [round(rank * rng.uniform(1, 5))],
        "alpha_weights": _log_uniform(rng, 1e-5, 1e-1),
        "alpha_latent": _log_uniform(rng, 1e-5, 1e-1),
    }


def _bilevel(rng: Rng, most: int) -> Params:
    return {
        "n_components": _rank(rng, most),
        "beta": float(rng.uniform(0.1, 0.9)),
        "attack_weight": _log_uniform(rng, 1, 1000),
        "target": str(rng.choice(["zero", "mean", "mirror"])),
    }


#: By name: a function that draws parameters, given a generator and the largest rank.
SPACES: dict[str, Drawer] = {
    "plain": _factorisation(),
    **{
        "+".join(parts): _factorisation(*parts)
        for n in (1, 2, 3)
        for parts in combinations(("deep", "elastic", "adversary"), n)
    },
    "robust": _robust,
    "network": _network,
    "bilevel": _bilevel,
}
