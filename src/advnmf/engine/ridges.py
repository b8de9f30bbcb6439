"""How strong the penalties of a model are, in the units of its data.

A ridge alpha adds alpha |F|^2 to a loss of X ~ F_1 ... F_L.  With X and the loss given, its natural unit is

    E / v^(2/L),      v the typical size of an observed value,  E the mean loss of an entry that is predicted as zero

(v^2 under squares): then c X has c times the completion of X.  Offsets are as large as X whatever L is, so their ridge
is alpha over the spread of X.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays.robust import winsorised_rms
from ..data import ObservedData
from ..losses import Loss

# What ``alpha="auto"`` stands for where entries are missing, in that unit.
AUTO_RIDGE = 1e-3


class Ridges(NamedTuple):
    """Of the codes and of all other factors, times counts; and the spread of X that those of offsets are divided by.

    ``unit``: what a strength of 1 is in penalties beside these, for each observed entry.
    """

    codes: float
    others: float
    spread: float = 1.0
    unit: float = 0.0


NO_RIDGES = Ridges(0.0, 0.0)


def typical_size(data: ObservedData) -> float:
    """Of an observed value: root mean square, the largest quarter cut off."""
    return winsorised_rms(data.observed_entries(data.values), int(data.counts.sum()))


def spread(data: ObservedData) -> float:
    """Standard deviation of the observed values; their size where they are all the same, 1 where that is 0."""
    values = data.observed_entries(data.values)
    top = float(np.abs(values).max(initial=0))
    if top == 0:
        return 1.0
    # NumPy alone: offsets are for `hals`.
    found = float(np.std(values / top, dtype=np.float64)) * top
    return found if found > 1e-6 * top else top


def auto_ridge(data: ObservedData, loss: Loss, n_factors: int) -> float:
    """``alpha="auto"``:  r / sqrt(q) in the unit of the data, with q the share measured;  0 where all is.

    r = 1e-3 costs at most 2 % where a fit without any ridge is well posed, and was near the best where it is not (faces
    and a cube with 30 to 90 % missing, ranks 10 and 40, layers (40, 25)).
    """
    q = np.asarray(data.measured.counts).sum() / (data.shape[0] * data.shape[1])
    return 0.0 if q == 1 else strength_in_units(AUTO_RIDGE / q**0.5, data, loss, n_factors)


def strength_in_units(strength: float, data: ObservedData, loss: Loss, n_factors: int) -> float:
    """strength E / v^(2/L); 0 where all is zero."""
    size = typical_size(data)
    if size == 0:
        return 0.0
    return float(strength * loss.unit(size, np.asarray(data.counts)) / size ** (2 / n_factors))
