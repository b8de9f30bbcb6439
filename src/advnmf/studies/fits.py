"""Fits of a run's model to its matrix, by the public names of the library."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import advnmf

from ..io.files import require
from .runs import RunConfig
from .tuning import as_parameters, tune

__all__ = ["RELEASED", "STARTS", "Fitted", "fit", "make_model", "prepare", "starting_factors"]

Factors = list[np.ndarray]

#: Parameters of the compared systems that configurations leave out: as in released code, in the unit of the data.
RELEASED: dict[str, dict[str, Any]] = {
    "HQASD": {"solver": "asd", "unit": 1.0, "finish": False},
    "DMF": {"unit": 1.0, "finish": False},
    "ANMF": {"unit": 1.0, "finish": False},
}


@dataclass(frozen=True)
class Fitted:
    """A fitted model, its prediction in the units of the data, and the parameters that tuning chose."""

    model: Any
    prediction: np.ndarray
    tuned: Mapping[str, Any]


class Biharmonic:
    """Biharmonic inpainting by scikit-image of a picture with three channels side by side, as a model.

    Unlike a factorisation it uses which pixels are neighbours.
    """

    n_iter_, stop_reason_ = 0, "exact"

    def __init__(self, random_state: object = None) -> None:
        """There is nothing random."""

    def fit(self, X: np.ndarray) -> Self:
        """Fill the holes (NaN)."""
        from ..io.pictures import fold, unfold

        inpaint = require("skimage.restoration", "study").inpaint_biharmonic
        shape = len(X), X.shape[1] // 3, 3
        missing = fold(np.isnan(X), shape)[:, :, 0]
        self._filled = unfold(inpaint(fold(np.nan_to_num(X), shape), missing, channel_axis=-1))
        return self

    def reconstruct(self) -> np.ndarray:
        """The filled picture."""
        return self._filled


def fit(config: RunConfig, X: np.ndarray, mask: np.ndarray, seed: int) -> Fitted:
    """Complete ``X`` from its observed entries; no model sees the entries that ``mask`` hides."""
    data, scale = prepare(config, X, mask)
    if config.space is not None:
        return _tuned(config, data, scale, seed)
    if config.start is None:
        model = make_model(config.model, config.params, seed).fit(data)
    else:
        factors = starting_factors(config, data, seed)
        model = make_model(config.model, config.params, seed, init="custom").fit(data, factors=factors)
    return Fitted(model, model.reconstruct() * scale, {})


def _tuned(config: RunConfig, data: np.ndarray, scale: float, seed: int) -> Fitted:
    """Tune, then fit to all observed entries with the best parameters."""
    best = tune(config.space, config.candidates, make_model(config.model, config.params, seed), data, seed)
    model = make_model(config.model, {**config.params, **best.params}, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is tuned
        prediction = model.fit(data).reconstruct()
    if best.clip:
        prediction = np.clip(prediction, np.nanmin(data), np.nanmax(data))
    return Fitted(model, prediction * scale, {**best.params, "clip": best.clip})


def prepare(config: RunConfig, X: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, float]:
    """The matrix for the model, with missing entries replaced, and the number that it was divided by."""
    scale = float(np.sqrt(np.mean(np.square(X[mask])))) if config.unit_scale else 1.0
    data = np.where(mask, X / scale, 0.0 if config.zero_fill else np.nan)
    return data.astype(config.dtype), scale


def starting_factors(config: RunConfig, data: np.ndarray, seed: int) -> Factors:
    """The factors that the fit starts from."""
    name, sweeps = config.start
    return STARTS[name](data, config.params, sweeps, np.random.RandomState(seed))


def make_model(name: str, params: Mapping[str, Any], seed: int, **more: Any) -> Any:
    """A model of the library, not fitted."""
    cls = Biharmonic if name == "Biharmonic" else getattr(advnmf, name)
    return cls(**{**RELEASED.get(name, {}), **as_parameters(params)}, random_state=seed, **more)


# --- starts of the released codes ------------------------------------------------------------------------------------


def half_normal(X: np.ndarray, params: dict[str, Any], sweeps: int, rng: np.random.RandomState) -> Factors:
    """W, H ~ |N(0, 1)|, then some multiplicative sweeps of NMF: the start of NMF and AT-NMF."""
    rank = params["n_components"]
    drawn = [np.abs(rng.standard_normal(shape)).astype(X.dtype) for shape in ((len(X), rank), (rank, X.shape[1]))]
    return advnmf.NMF(rank, solver="mu", init="custom", max_iter=sweeps, tol=0.0).fit(X, factors=drawn).factors_


def layers(X: np.ndarray, params: dict[str, Any], sweeps: int, rng: np.random.RandomState) -> Factors:
    """The layers of EADNMF one by one, each with the ridge of the whole model.

    First X ~ H_1 F_L by the loss, on the mask; then H_l ~ H_{l+1} F by squares, complete.
    """
    loss = advnmf.Elastic(params["delta"]) if "delta" in params else params.get("loss", "frobenius")
    strength = params["alpha_W"] * X.shape[1]
    H, chain = X, []
    for size in params["n_components"]:
        ridge = {"alpha_W": strength / H.shape[1], "alpha_H": strength / len(H)}
        model = advnmf.NMF(size, loss=loss, solver="mu", max_iter=sweeps, tol=0.0, random_state=rng, **ridge)
        H, loss = model.fit_transform(H), "frobenius"
        chain.insert(0, model.components_)
    return [H, *chain]


STARTS: dict[str, Callable[[np.ndarray, dict[str, Any], int, np.random.RandomState], Factors]] = {
    "half-normal": half_normal,
    "layers": layers,
}
