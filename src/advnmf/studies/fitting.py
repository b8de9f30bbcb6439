"""A recipe carried out on a matrix: the only place where a study calls the library's models."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import advnmf

from ..io.files import require
from .search import as_parameters, search
from .starts import STARTS
from .tasks import Recipe

__all__ = ["RELEASED", "Fitted", "fit", "model_of", "prepared", "start_of"]


#: What recipes leave unsaid of the systems that are compared with: the constants of the studies are those of released
#: code, in the unit of the data at hand.
RELEASED: dict[str, dict[str, Any]] = {
    "HQASD": {"solver": "asd", "unit": 1.0, "finish": False},
    "DMF": {"unit": 1.0, "finish": False},
    "ANMF": {"unit": 1.0, "finish": False},
}


@dataclass(frozen=True)
class Fitted:
    """A fitted model, its prediction in the units of the data, and the parameters that were searched for it."""

    model: Any
    prediction: np.ndarray
    found: Mapping[str, Any]


class Biharmonic:
    """Biharmonic inpainting by scikit-image of a picture with three channels side by side, as a model.

    It knows which pixels are neighbours, as no factorisation does.
    """

    n_iter_, stop_reason_ = 0, "exact"

    def __init__(self, random_state: object = None) -> None:
        """Nothing is random."""

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


def fit(recipe: Recipe, X: np.ndarray, mask: np.ndarray, seed: int) -> Fitted:
    """Complete the observed entries of ``X`` as the recipe says; what ``mask`` hides is never seen by a model."""
    data, scale = prepared(recipe, X, mask)
    if recipe.space is not None:
        return _searched(recipe, data, scale, seed)
    if recipe.start is None:
        model = model_of(recipe.model, recipe.params, seed).fit(data)
    else:
        factors = start_of(recipe, data, seed)
        model = model_of(recipe.model, recipe.params, seed, init="custom").fit(data, factors=factors)
    return Fitted(model, model.reconstruct() * scale, {})


def _searched(recipe: Recipe, data: np.ndarray, scale: float, seed: int) -> Fitted:
    """Search, then fit to all that is observed with what was found."""
    found = search(recipe.space, recipe.candidates, model_of(recipe.model, recipe.params, seed), data, seed)
    model = model_of(recipe.model, {**recipe.params, **found.params}, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the search ended the fit, on purpose
        prediction = model.fit(data).reconstruct()
    if found.clip:
        prediction = np.clip(prediction, np.nanmin(data), np.nanmax(data))
    return Fitted(model, prediction * scale, {**found.params, "clip": found.clip})


def prepared(recipe: Recipe, X: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, float]:
    """The matrix as the model is to see it, without its missing entries, and what it has been divided by."""
    scale = float(np.sqrt(np.mean(np.square(X[mask])))) if recipe.unit_scale else 1.0
    data = np.where(mask, X / scale, 0.0 if recipe.zero_fill else np.nan)
    return data.astype(recipe.dtype), scale


def start_of(recipe: Recipe, data: np.ndarray, seed: int) -> list[np.ndarray]:
    """The factors that the recipe begins with."""
    name, sweeps = recipe.start
    return STARTS[name](data, recipe.params, sweeps, np.random.RandomState(seed))


def model_of(name: str, params: Mapping[str, Any], seed: int, **more: Any) -> Any:
    """A model, not fitted."""
    cls = Biharmonic if name == "Biharmonic" else getattr(advnmf, name)
    return cls(**{**RELEASED.get(name, {}), **as_parameters(params)}, random_state=seed, **more)
