"""The factor chain, and the orientation of everything.

    X ~ F_1 F_2 ... F_L,      F_1: n_samples x r_p  (the codes),      F_L: r_1 x n_features.

Rows of ``X`` are samples.  The studies write the transpose, ``V = X.T ~ W_1 W_2 ... W_p H_p`` with one column an
instance, so ``F_1 = H_p.T``, ``F_L = W_1.T``, ``L = p + 1``; ``n_components = (r_1, ..., r_p)`` lists the layers in
the studies' order, from the data side to the codes.  In a list of factors ``factors[0]`` is ``F_1`` and
``factors[-1]`` is ``F_L``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Factors = list[np.ndarray]


def layer_shapes(n_samples: int, n_features: int, n_components: Sequence[int]) -> list[tuple[int, int]]:
    """Shapes of F_1, ..., F_L for the layers (r_1, ..., r_p)."""
    sizes = [n_samples, *reversed(n_components), n_features]
    return list(pairwise(sizes))


def product(factors: Sequence[np.ndarray]) -> np.ndarray:
    """F_1 F_2 ... F_L, multiplied from the right: with the codes first the intermediates stay small."""
    result = factors[-1]
    for F in reversed(factors[:-1]):
        result = F @ result
    return result


def left(factors: Sequence[np.ndarray], index: int) -> np.ndarray | None:
    """F_1 ... F_{index} before position `index` (None stands for the identity): n_samples x rows of factors[index]."""
    if index == 0:
        return None
    result = factors[0]
    for F in factors[1:index]:
        result = result @ F
    return result


def right(factors: Sequence[np.ndarray], index: int) -> np.ndarray | None:
    """The product of what follows position `index` (None stands for the identity)."""
    return product(factors[index + 1 :]) if index + 1 < len(factors) else None


def fill_empty(factors: Factors, row_counts: np.ndarray, column_counts: np.ndarray) -> Factors:
    """Give samples and features with nothing observed the mean code and component column of the others, in place."""
    for counts, rows in ((row_counts, factors[0]), (column_counts, factors[-1].T)):
        empty = counts == 0
        if empty.any():
            rows[empty] = rows[~empty].mean(axis=0)
    return factors
