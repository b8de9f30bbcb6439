"""The error variance of a filled entry, fitted to held-out entries.

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
# Number of fits of the variance, each weighted by the one before.
_REFITS = 5


class Spread(NamedTuple):
    """a, b and c, scaled."""

    constant: float
    disagreement: float
    size: float

    def std(self, terms: Array) -> Array:
        """s from (1, v, p^2)."""
        return np.sqrt(np.tensordot(np.array(self), terms, axes=1))


def spread_terms(predictions: Array, mean: Array) -> Array:
    """(1, v, p^2) from the predictions of several models, along the first axis, and the final prediction."""
    return np.array([np.ones_like(mean), predictions.var(axis=0), np.square(mean)])


def interval_scale(residuals: Array, terms: Array) -> Spread:
    """The spread that fits residuals at held-out entries.

    Minimises the sum of (r^2 - s^2)^2 / s^4: the variance of r^2 is proportional to s^4, so large residuals do not
    dominate.
    """
    unit = float(np.sqrt(np.mean(np.square(residuals))))
    if unit == 0:
        return Spread(0.0, 0.0, 0.0)
    # Each term on its own scale, against rounding errors; the constant stays positive.
    sizes = terms.mean(axis=1)
    sizes[sizes == 0] = 1.0
    squares, scaled = np.square(residuals / unit), terms / sizes[:, None]
    share, least = np.array([1.0, 0.0, 0.0]), np.array([1e-3, 0.0, 0.0])
    for _ in range(_REFITS):
        variance = share @ scaled
        share, _ = nnls((scaled / variance).T, squares / variance)
        share = np.maximum(share, least)
    level = min(1.0, _NOMINAL * (1 + 1 / len(residuals)))
    scale = unit * float(np.quantile(np.sqrt(squares / (share @ scaled)), level)) / _NORMAL_QUANTILE
    return Spread(*(share / sizes * scale**2).tolist())
