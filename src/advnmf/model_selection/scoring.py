"""Scores of predictions at held-out entries: greater is better."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..data.check import check_choice

Array = np.ndarray
Scoring = Callable[[Array, Array, Array | None], float]


def neg_root_mean_squared_error(truth: Array, prediction: Array, weights: Array | None) -> float:
    """-sqrt( sum w (x - p)^2 / sum w )."""
    return -float(np.sqrt(np.average(np.square(truth - prediction, dtype=np.float64), weights=weights)))


def neg_mean_absolute_error(truth: Array, prediction: Array, weights: Array | None) -> float:
    """-sum w |x - p| / sum w."""
    return -float(np.average(np.abs(truth - prediction), weights=weights))


SCORINGS: dict[str, Scoring] = {
    scoring.__name__: scoring for scoring in (neg_root_mean_squared_error, neg_mean_absolute_error)
}


def get_scoring(scoring: object) -> Scoring:
    """The score of this name, or a user's function ``(truth, prediction, sample_weight=...)`` as a score."""
    if not callable(scoring):
        check_choice("scoring", scoring, tuple(SCORINGS))
        return SCORINGS[scoring]

    def score(truth: Array, prediction: Array, weights: Array | None) -> float:
        return float(scoring(truth, prediction, **({} if weights is None else {"sample_weight": weights})))

    return score
