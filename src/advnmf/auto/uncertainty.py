"""How far off a filled entry may be: a variance that follows what can be seen, scaled by held-out entries.

    s^2 = a + b v + c p^2,     a, b, c >= 0

fits the squared residuals at held-out entries; v is the variance among the averaged models, p the prediction.  All s
are then multiplied by one number, so that 90 % of the held-out entries lie within 1.645 s.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

Array = np.ndarray

_NOMINAL, _NORMAL_QUANTILE = 0.9, 1.6448536269514722


class Spread(NamedTuple):
    """a, b and c, scaled."""

    constant: float
    disagreement: float
    size: float

    def std(self, terms: Array) -> Array:
        """s from (1, v, p^2)."""
        return np.sqrt(np.tensordot(np.array(self), terms, axes=1))


def spread_terms(predictions: Array, mean: Array) -> Array:
    """(1, v, p^2) of predictions of several models, along the first axis, and what is made of them."""
    return np.array([np.ones_like(mean), predictions.var(axis=0), np.square(mean)])


def interval_scale(residuals: Array, terms: Array) -> Spread:
    """The spread that fits residuals at held-out entries."""
    squares = np.square(residuals)
    # In units of their own, so that none of the three is lost to rounding.
    units = np.maximum(terms.mean(axis=1), np.finfo(float).tiny)
    # Relative errors: a first guess of the variance keeps the largest residuals from deciding alone.
    guess = np.maximum(squares.mean(), np.finfo(float).tiny)
    share, _ = nnls((terms / units[:, None]).T / guess, squares / guess)
    coefficients = share / units
    if not coefficients.any():
        coefficients[0] = np.finfo(float).tiny
    coefficients[0] = max(coefficients[0], 1e-6 * float(squares.mean()))
    ratio = np.abs(residuals) / np.sqrt(np.maximum(np.tensordot(coefficients, terms, axes=1), np.finfo(float).tiny))
    level = min(1.0, _NOMINAL * (1 + 1 / len(residuals)))
    scale = float(np.quantile(ratio, level)) / _NORMAL_QUANTILE
    return Spread(*(coefficients * scale**2).tolist())
