"""From predictions to what is filled: nearer to the mean of a column, and within its range, by the held-out entries.

    x = m_j + t_j (p + b_j - m_j),      0 <= t_j <= 1

p is the prediction, m_j the mean of the column (over the training entries of each fold).  t_j minimises the squared
error over the held-out entries of the column, drawn towards that of all columns; b_j is the mean error of columns that
were fitted by their logarithms, drawn towards 0.  A column that is predicted no better than by its mean is filled with
its mean (t_j = 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .column_scales import LOGGED, UNIT, calibrated, identity, restored
from .evaluation import better
from .search_task import SearchTask

Array = np.ndarray

# As many entries draw a column towards the others, or its mean error towards 0.
_PRIOR = 10.0
# Columns as given are not shrunk if fewer entries than this are held out of each on average.
_LEAST_IN_COLUMN = 20
# Fills may lie beyond the range of their column if that brings the squared error below this share.
_BEYOND = 0.9
# A smaller shrinkage is none.
_ALMOST_ONE = 0.98


@dataclass(frozen=True)
class Shrinkage:
    """What a model is completed by, and how that does at the held-out entries.

    Attributes
    ----------
    scaling : ndarray or None
        With offsets and factors; None if columns are as given, and nothing is shrunk.
    clip : ndarray
        Range of each column.
    final : ndarray
        Predictions at the held-out entries, in the unit of X.
    predictions, residuals : ndarray
        Those of each model, and what the final ones are off; in `unit`, that of the column if these were scaled.
    """

    scaling: Array | None
    clip: Array
    final: Array
    predictions: Array
    residuals: Array
    unit: Array


def shrink(task: SearchTask, predictions: Array) -> Shrinkage:
    """The shrinkage of models with these predictions at the held-out entries, in the units of the task."""
    columns = task.held_out.pairs[1]
    scaling = identity(task.shape[1]) if task.scaling is None else task.scaling
    mean = restored(predictions.mean(axis=0), task.held_out_scaling)
    bias = _biases(task, mean) * (scaling[LOGGED] > 0)
    share = _shares(task, mean + bias[columns])
    means = task.training_means

    def shrunken(p: Array) -> Array:
        return means + share[columns] * (p + bias[columns] - means)

    few = len(columns) < _LEAST_IN_COLUMN * task.shape[1]
    if task.scaling is None and (few or not better(task.held_out, task.errors(shrunken(mean)), task.errors(mean))):
        bias, share = np.zeros(len(bias)), np.ones(len(share))
    else:
        scaling = calibrated(scaling, (1 - share) * task.as_given.mean + share * bias, share)
    unit = task.held_out_scaling[UNIT]
    each = np.array([shrunken(restored(p, task.held_out_scaling)) for p in predictions])
    clip, final = _clipped(task, shrunken(mean))
    kept = None if task.scaling is None and (share == 1).all() else scaling
    return Shrinkage(kept, clip, final, each / unit, (task.truth - final) / unit, unit)


def _biases(task: SearchTask, mean: Array) -> Array:
    """Mean error of each column, drawn towards 0."""
    columns, weights = task.held_out.pairs[1], task.clean_weights(mean)
    n = task.shape[1]
    errors = np.bincount(columns, weights * (task.truth - mean), n)
    return errors / (np.bincount(columns, weights, n) + _PRIOR)


def _shares(task: SearchTask, mean: Array) -> Array:
    """t of each column."""
    columns, n = task.held_out.pairs[1], task.shape[1]
    clean = task.clean_weights(mean)
    weights = clean / np.square(task.as_given.unit[columns])
    moved, wanted = mean - task.training_means, task.truth - task.training_means
    along, size = (np.bincount(columns, weights * moved * other, n) for other in (wanted, moved))
    if not size.sum() > 0:
        return np.ones(n)
    overall = float(np.clip(along.sum() / size.sum(), 0, 1))
    prior = _PRIOR * size.sum() / max(clean.sum(), 1.0)
    share = np.clip((along + prior * overall) / (size + prior), 0, 1)
    return np.where(share > _ALMOST_ONE, 1.0, share)


def _clipped(task: SearchTask, mean: Array) -> tuple[Array, Array]:
    """The range to clip to, and the predictions: that of the column, unless another one is better.

    Others are that of all values, for columns as given, and any number (of the sign of the column).
    """
    lowest, highest = task.ranges
    floor = np.where(lowest < 0, -np.inf, 0.0)
    floor = np.minimum(floor, lowest)
    own, every = task.training_ranges, task.held_out.pairs[1]
    choices = [(np.array([lowest, highest]), np.clip(mean, *own))]
    open_ = np.array([floor, np.full(len(floor), np.inf)]), np.maximum(mean, floor[every])
    if task.scaling is None:
        low, high = task.held_out.lowest, task.held_out.highest
        ends = np.repeat([[lowest.min()], [highest.max()]], len(floor), axis=1)
        choices += [(ends, np.clip(mean, low, high)), open_]
        return min(choices, key=lambda choice: task.held_out.mean(task.errors(choice[1])))
    inside, beyond = (task.errors(each) for each in (choices[0][1], open_[1]))
    told = task.held_out.mean(beyond) < _BEYOND * task.held_out.mean(inside)
    return open_ if told and better(task.held_out, beyond, inside) else choices[0]
