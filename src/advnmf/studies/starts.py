"""The starts of the released codes, by public names of the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import NMF, Elastic

__all__ = ["STARTS"]

Factors = list[np.ndarray]


def half_normal(X: np.ndarray, params: dict[str, Any], sweeps: int, rng: np.random.RandomState) -> Factors:
    """W, H ~ |N(0, 1)|, then some multiplicative sweeps of NMF: what NMF and AT-NMF both begin with."""
    rank = params["n_components"]
    drawn = [np.abs(rng.standard_normal(shape)).astype(X.dtype) for shape in ((len(X), rank), (rank, X.shape[1]))]
    return NMF(rank, solver="mu", init="custom", max_iter=sweeps, tol=0.0).fit(X, factors=drawn).factors_


def layers(X: np.ndarray, params: dict[str, Any], sweeps: int, rng: np.random.RandomState) -> Factors:
    """The layers of EADNMF one by one, each with the ridge of the whole.

    First X ~ H_1 F_L by the loss, on the mask; then H_l ~ H_{l+1} F by squares, complete.
    """
    loss = Elastic(params["delta"]) if "delta" in params else params.get("loss", "frobenius")
    strength = params["alpha_W"] * X.shape[1]
    H, chain = X, []
    for size in params["n_components"]:
        ridge = {"alpha_W": strength / H.shape[1], "alpha_H": strength / len(H)}
        model = NMF(size, loss=loss, solver="mu", max_iter=sweeps, tol=0.0, random_state=rng, **ridge)
        H, loss = model.fit_transform(H), "frobenius"
        chain.insert(0, model.components_)
    return [H, *chain]


STARTS: dict[str, Callable[[np.ndarray, dict[str, Any], int, np.random.RandomState], Factors]] = {
    "half-normal": half_normal,
    "layers": layers,
}
