"""Hyper-parameters by random search on held-out observed entries; missing entries are never looked at.

The spaces (ranks are drawn so that their logarithm is uniform, between 2 and `most_components`; the data have a root
mean square of 1 when they are searched):

    NMF      rank, alpha_W from 1e-6 to 1e-1
    AT-NMF   as NMF, lam from 1.1 to 5
    ADNMF    rank and a first layer of 1, 1.5 or 2 times that, alpha_W, lam as above
    EADNMF   as ADNMF, delta from 0.1 to 100, lam from 1.1 to 5 times its bound 1 + 1 / delta
    HQASD    rank, eta from 0.5 to 20, robust at once or after least squares have converged, of either sign or not
    DMF      rank, a hidden layer of 1 to 5 times that, alpha_weights and alpha_latent from 1e-5 to 1e-1
    ANMF     rank, beta from 0.1 to 0.9, attack_weight from 1 to 1000, any named target
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import metrics

__all__ = ["SPACES", "search"]

Rng = np.random.RandomState
Params = dict[str, Any]
_HELD_OUT = 0.1
_MOST_COMPONENTS = 100


def search(
    space: str,
    candidates: int,
    fit: Callable[[np.ndarray, np.ndarray, Params], np.ndarray],
    X: np.ndarray,
    mask: np.ndarray,
    rng: Rng,
) -> Params:
    """The parameters from `space` that complete best a tenth of the observed entries, held out once and for all.

    Parameters
    ----------
    space : key of `SPACES`
    candidates : int
        How many draws are tried.
    fit : callable
        ``fit(X, mask, params)`` gives a whole matrix.
    X, mask : arrays
        Only observed entries of ``X`` are looked at.
    """
    held_out = mask & (rng.random_sample(mask.shape) < _HELD_OUT)
    left = mask & ~held_out
    drawn = [SPACES[space](rng, most_components(mask)) for _ in range(candidates)]
    errors = [metrics.rmse(X, fit(X, left, params), mask=held_out) for params in drawn]
    return drawn[int(np.argmin(errors))]


def most_components(mask: np.ndarray) -> int:
    """Twice the rank at which a model has as many numbers as there are observed entries, from 8 to 100."""
    n, m = mask.shape
    return int(np.clip(2 * mask.sum() / (n + m), 8, min(_MOST_COMPONENTS, max(8, min(n, m) // 2))))


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _rank(rng: Rng, most: int) -> int:
    return round(_log_uniform(rng, 2, most))


def _nmf(rng: Rng, most: int) -> Params:
    return {"n_components": _rank(rng, most), "alpha_W": _log_uniform(rng, 1e-6, 1e-1)}


def _atnmf(rng: Rng, most: int) -> Params:
    return {**_nmf(rng, most), "lam": _log_uniform(rng, 1.1, 5)}


def _adnmf(rng: Rng, most: int) -> Params:
    params = _atnmf(rng, most)
    rank = params["n_components"]
    return {**params, "n_components": [round(rank * rng.choice([1, 1.5, 2])), rank]}


def _eadnmf(rng: Rng, most: int) -> Params:
    params, delta = _adnmf(rng, most), _log_uniform(rng, 0.1, 100)
    return {**params, "delta": delta, "lam": params["lam"] * (1 + 1 / delta)}


def _hqasd(rng: Rng, most: int) -> Params:
    return {
        "n_components": _rank(rng, most),
        "eta": _log_uniform(rng, 0.5, 20),
        "switch_tol": float(rng.choice([1e-3, 1e6])),
        "nonnegative": bool(rng.choice([False, True])),
    }


def _dmf(rng: Rng, most: int) -> Params:
    rank = _rank(rng, most)
    return {
        "n_components": rank,
        "hidden": [round(rank * rng.uniform(1, 5))],
        "alpha_weights": _log_uniform(rng, 1e-5, 1e-1),
        "alpha_latent": _log_uniform(rng, 1e-5, 1e-1),
    }


def _anmf(rng: Rng, most: int) -> Params:
    return {
        "n_components": _rank(rng, most),
        "beta": float(rng.uniform(0.1, 0.9)),
        "attack_weight": _log_uniform(rng, 1, 1000),
        "target": str(rng.choice(["zero", "mean", "mirror"])),
    }


#: By method: what draws parameters, given a generator and the largest rank.
SPACES: dict[str, Callable[[Rng, int], Params]] = {
    "NMF": _nmf,
    "ANMF": _anmf,
    "AT-NMF": _atnmf,
    "HQASD": _hqasd,
    "DMF": _dmf,
    "ADNMF": _adnmf,
    "EADNMF": _eadnmf,
}
