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

from ..arrays.namespaces import Array, as_like, namespace
from ..data import ObservedData

Factors = list[Array]


def layer_shapes(n_samples: int, n_features: int, n_components: Sequence[int]) -> list[tuple[int, int]]:
    """Shapes of F_1, ..., F_L for the layers (r_1, ..., r_p)."""
    sizes = [n_samples, *reversed(n_components), n_features]
    return list(pairwise(sizes))


def product(factors: Sequence[Array]) -> Array:
    """F_1 F_2 ... F_L, multiplied from the right: with the codes first the intermediates stay small."""
    result = factors[-1]
    for F in reversed(factors[:-1]):
        result = F @ result
    return result


def left(factors: Sequence[Array], index: int) -> Array | None:
    """F_1 ... F_{index} before position `index` (None stands for the identity): n_samples x rows of factors[index]."""
    if index == 0:
        return None
    result = factors[0]
    for F in factors[1:index]:
        result = result @ F
    return result


def right(factors: Sequence[Array], index: int) -> Array | None:
    """The product of what follows position `index` (None stands for the identity)."""
    return product(factors[index + 1 :]) if index + 1 < len(factors) else None


def fill_empty(factors: Factors, row_counts: np.ndarray, column_counts: np.ndarray) -> Factors:
    """Give samples and features with nothing observed the mean code and component column of the others."""
    codes, *inner, last = factors
    if not row_counts.all():
        codes = fill_rows(codes, row_counts == 0, mean_of_rows(codes, row_counts > 0))
    if not column_counts.all():
        mean = mean_of_rows(last.T, column_counts > 0)
        last = namespace(last).where(as_like(column_counts == 0, last)[None, :], mean[:, None], last)
    return [codes, *inner, last]


def mean_of_rows(F: Array, these: np.ndarray) -> Array:
    """The mean of some rows, given as NumPy booleans."""
    xp = namespace(F)
    return xp.mean(take_rows(F, np.flatnonzero(these)), axis=0)


def fill_rows(F: Array, these: np.ndarray, row: Array) -> Array:
    """`F` with one row in place of some, given as NumPy booleans."""
    return namespace(F).where(as_like(these, F)[:, None], row[None, :], F)


def take_rows(F: Array, indices: np.ndarray) -> Array:
    """Rows at NumPy indices."""
    return namespace(F).take(F, as_like(indices, F), axis=0)


def check_factors(
    factors: object, data: ObservedData, layers: tuple[int, ...], *, nonnegative: bool = True
) -> list[np.ndarray]:
    """The start that a user gives, copied: F_1, ..., F_L of the right shapes, and nonnegative if that is asked."""
    shapes = layer_shapes(*data.shape, layers)
    if factors is None or len(factors) != len(shapes):
        raise ValueError(f"init='custom' needs fit(..., factors=[F_1, ..., F_{len(shapes)}]) of shapes {shapes}")
    checked = [data.asarray(F) + 0 for F in factors]
    for index, (F, shape) in enumerate(zip(checked, shapes, strict=True), 1):
        if tuple(F.shape) != shape:
            raise ValueError(f"factors: F_{index} has shape {tuple(F.shape)}, expected {shape} (samples first)")
        xp = namespace(F)
        if not (xp.all(xp.isfinite(F)) and (not nonnegative or xp.all(F >= 0))):
            raise ValueError(f"factors: F_{index} has {'negative or ' if nonnegative else ''}non-finite entries")
    return checked
