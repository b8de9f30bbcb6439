"""What may be wrong with observed entries, where missing ones stay true: what an adversary is there to withstand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..models.nmf import NMF

__all__ = ["CORRUPTIONS"]

Array = np.ndarray
Rng = np.random.RandomState
_SHARE = 0.05


def outliers(X: Array, mask: Array, rng: Rng) -> tuple[Array, Array]:
    """One observed entry in twenty is replaced by a number between 0 and twice the largest."""
    hit = mask & (rng.random_sample(X.shape) < _SHARE)
    return np.where(hit, rng.uniform(0, 2 * X.max(), X.shape), X), mask


def rows(X: Array, mask: Array, rng: Rng) -> tuple[Array, Array]:
    """One row in twenty holds random entries of X, all of them observed: nobody could complete it."""
    hit = np.zeros((len(X), 1), bool)
    hit[rng.choice(len(X), max(1, round(_SHARE * len(X))), replace=False)] = True
    return np.where(hit, rng.choice(X[mask], X.shape), X), mask | hit


def attacked(X: Array, mask: Array, rng: Rng) -> tuple[Array, Array]:
    """X + max((X - P) / (lam - 1), -X) at lam = 2, the attack on plain NMF, whose completion P of rank 5 is drawn."""
    model = NMF(5, alpha_W=1e-3 * X[mask].mean(), random_state=rng.randint(2**31 - 1))
    P = model.fit(np.where(mask, X, np.nan)).reconstruct()
    return np.where(mask, np.maximum(2 * X - P, 0), X), mask


#: By name: what gives (X, mask) with wrong observed entries.
CORRUPTIONS: dict[str, Callable[[Array, Array, Rng], tuple[Array, Array]]] = {
    "outliers": outliers,
    "rows": rows,
    "attacked": attacked,
}
