"""The error variance of a filled entry, fitted to held-out entries, for each kind of hole.

An entry that is missing by itself:

    s^2 = a t^2 + b v + c p^2 + d t^2 / (1 + n),     a, b, c, d >= 0

fits the squared residuals at held-out entries; t is the typical residual of the column, v the variance among the
averaged models, p the prediction, n the number of observed entries in the row.  In rows without any observed entry it
is s_j = t_j, the root mean square residual of each column in such rows; in columns without any, one number.  All s of a
kind are then multiplied by one number, so that 90 % of its held-out entries lie within 1.645 s.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

Array = np.ndarray

_NOMINAL, _NORMAL_QUANTILE = 0.9, 1.6448536269514722
# Number of fits of the variance, each weighted by the one before.
_REFITS = 5
# The mean square residual of a column counts as much as this number of its held-out entries.
_OF_ALL = 10.0


class Spread(NamedTuple):
    """a, b, c and d, scaled."""

    constant: float
    disagreement: float
    size: float
    few: float

    def std(self, terms: Array) -> Array:
        """s from (t^2, v, p^2, t^2 / (1 + n))."""
        return np.sqrt(np.tensordot(np.array(self), terms, axes=1))


def spread_terms(predictions: Array, mean: Array, levels: Array, n_observed: Array) -> Array:
    """(t^2, v, p^2, t^2 / (1 + n)) from the predictions of several models, along the first axis, and the final one."""
    constant = np.broadcast_to(np.square(levels), mean.shape)
    return np.array([constant, predictions.var(axis=0), np.square(mean), constant / (1 + n_observed)])


def column_levels(residuals: Array, columns: Array, n_columns: int, weights: Array) -> Array:
    """The root mean square residual of each column, drawn to that of all."""
    total = float(np.average(np.square(residuals), weights=weights))
    weights = weights / weights.mean()
    sums, counts = (np.bincount(columns, each, n_columns) for each in (weights * np.square(residuals), weights))
    return np.sqrt((sums + _OF_ALL * total) / (counts + _OF_ALL))


def interval_scale(residuals: Array, terms: Array, weights: Array) -> Spread:
    """The spread that fits residuals at held-out entries.

    Minimises the sum of w (r^2 - s^2)^2 / s^4: the variance of r^2 is proportional to s^4, so large residuals do not
    dominate.
    """
    unit = float(np.sqrt(np.average(np.square(residuals), weights=weights)))
    if unit == 0:
        return Spread(0.0, 0.0, 0.0, 0.0)
    # Each term on its own scale, against rounding errors; the constant stays positive.
    sizes = terms.mean(axis=1)
    sizes[sizes == 0] = 1.0
    squares, scaled, root = np.square(residuals / unit), terms / sizes[:, None], np.sqrt(weights / weights.mean())
    share, least = np.array([1.0, 0.0, 0.0, 0.0]), np.array([1e-3, 0.0, 0.0, 0.0])
    for _ in range(_REFITS):
        variance = share @ scaled
        share, _ = nnls((root * scaled / variance).T, root * squares / variance)
        share = np.maximum(share, least)
    scale = unit * factor_of_intervals(np.sqrt(squares / (share @ scaled)), weights)
    return Spread(*(share / sizes * scale**2).tolist())


def factor_of_intervals(ratios: Array, weights: Array) -> float:
    """What s is multiplied by, so that 90 % of the ratios |r| / s are at most 1.645."""
    order = np.argsort(ratios)
    mass = np.cumsum(weights[order])
    # As with n entries of one weight, of which the (n + 1) 90 % -th is taken.
    n = mass[-1] ** 2 / np.sum(np.square(weights))
    level = min(1.0, _NOMINAL * (1 + 1 / n))
    return float(ratios[order][min(np.searchsorted(mass, level * mass[-1]), len(order) - 1)]) / _NORMAL_QUANTILE
