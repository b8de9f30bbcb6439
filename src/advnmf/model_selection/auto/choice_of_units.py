"""In which units the search goes on, once rank and ridge are searched in all: as given, or each column in its own.

Squared errors are compared in the unit of X if the columns count alike, else in the variance of each column.  Columns
whose sizes differ, as bands of a spectrum do, count alike too if all of them are predicted well as given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .evaluation import better
from .search_task import SearchTask
from .stages import AutoSearch

Array = np.ndarray

# Columns that count alike stay as given, unless the mean squared error falls below this share: later stages help these.
_FAR_BETTER = 0.95
# A column is predicted well if the mean squared error is below this share of that of its mean.
_WELL = 0.25


class Units(NamedTuple):
    """A task in some units, and its search so far."""

    task: SearchTask
    search: AutoSearch

    @property
    def squares(self) -> Array:
        """Squared errors of the best candidate at the held-out entries, in the unit of X."""
        return np.square(self.task.truth - self.task.restored(self.search.best.prediction))


def best_units(tried: Sequence[Units]) -> Units:
    """The best of them; columns that count alike stay as given unless others are far better."""
    if len(tried) == 1:
        return tried[0]
    as_given = next((n for n, each in enumerate(tried) if each.task.scaling is None), None)
    given = None if as_given is None else tried[as_given]
    held_out, one = tried[0].task.held_out, tried[0].task.as_given
    apart = one.differ and not (given is not None and _well_in_each(given))
    unit = one.unit[held_out.pairs[1]] if apart else 1.0
    errors = [each.squares / np.square(unit) for each in tried]
    best = int(np.argmin([held_out.mean(each) for each in errors]))
    if given is None or apart:
        return tried[best]
    lower = held_out.mean(errors[best]) < _FAR_BETTER * held_out.mean(errors[as_given])
    return tried[best] if lower and better(held_out, errors[best], errors[as_given]) else given


def _well_in_each(given: Units) -> bool:
    """Whether the columns as given are all predicted far better than by their means."""
    task = given.task
    columns, n = task.held_out.pairs[1], task.shape[1]
    of_means = np.bincount(columns, np.square(task.truth - task.training_means), n)
    of_best = np.bincount(columns, given.squares, n)
    counted = task.columns.known & (of_means > 0)
    return bool((of_best < _WELL * of_means)[counted].all())
