"""Columns in units of their own: told by their scales, standardised for the search, and brought back.

    z_ij = max(0, x_ij - shift_j) / scale_j,        x_ij = offset_j + factor_j z_ij

``scale`` is the standard deviation of a column.  ``shift`` is its smallest value where zero is far off (the pressure
of the air), else 0.  ``offset`` and ``factor`` are these too, but for columns that are filled with their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...data import ObservedData

Array = np.ndarray

# Scales are said to differ from this ratio of the largest to the smallest on.
_DIFFERENT = 10.0
# A column with fewer positive entries says nothing of its scale.
_LEAST_ENTRIES = 10


@dataclass(frozen=True)
class Columns:
    """Moments and ranges of the columns.

    ``known`` says where there are enough positive entries to tell a scale; ``size`` and ``spread`` are mean and
    standard deviation of these alone, so that a pixel that is mostly dark is no other unit.
    """

    known: Array
    size: Array
    spread: Array
    mean: Array
    std: Array
    lowest: Array
    highest: Array

    @classmethod
    def of(cls, values: Array, columns: Array, n: int) -> Columns:
        """Those of `n` columns, from entries."""
        counts, mean, std = _moments(values, columns, n)
        positive = values > 0
        of_positive, size, spread = _moments(values[positive], columns[positive], n)
        lowest, highest = np.full(n, np.inf), np.full(n, -np.inf)
        np.minimum.at(lowest, columns, values)
        np.maximum.at(highest, columns, values)
        nothing = counts == 0
        lowest[nothing] = highest[nothing] = 0.0
        return cls(of_positive >= _LEAST_ENTRIES, size, spread, mean, std, lowest, highest)

    @property
    def differ(self) -> bool:
        """Whether the sizes or the spreads of the columns are more than ten times one another."""
        return any(_ratio(each[self.known & (each > 0)]) > _DIFFERENT for each in (self.size, self.spread))

    @property
    def range(self) -> Array:
        """Of shape (2, n): what was observed."""
        return np.array([self.lowest, self.highest])

    def scaling(self) -> Array:
        """(shift, scale, offset, factor), of shape (4, n)."""
        shift = np.where(self.lowest > self.highest - self.lowest, self.lowest, 0.0)
        # Of a constant column only rounding is left.
        constant = self.std <= 1e-9 * self.mean
        scale = np.where(constant, np.where(self.mean > 0, self.mean, 1.0), self.std)
        return np.array([shift, scale, shift, scale])


def standardised(values: Array, columns: Array | slice, scaling: Array) -> Array:
    """z of entries in these columns, in their precision."""
    shift, scale = scaling[:2, columns].astype(values.dtype)
    return np.maximum(values - shift, 0) / scale


def standardised_data(data: ObservedData, scaling: Array) -> ObservedData:
    """The data of z."""
    return data.with_values(data.restrict(standardised(data.values, data.columns, scaling)))


def with_means(scaling: Array, filled: Array, means: Array) -> Array:
    """The scaling that fills some columns with their means."""
    _, _, offset, factor = scaling = scaling.copy()
    offset[filled], factor[filled] = means[filled], 0.0
    return scaling


def _moments(values: Array, columns: Array, n: int) -> tuple[Array, Array, Array]:
    """Number, mean and standard deviation of the entries of each column."""
    counts = np.bincount(columns, minlength=n)
    divisor = np.maximum(counts, 1)
    mean = np.bincount(columns, values, n) / divisor
    return counts, mean, np.sqrt(np.bincount(columns, np.square(values - mean[columns]), n) / divisor)


def _ratio(sizes: Array) -> float:
    return float(sizes.max() / sizes.min()) if sizes.size else 1.0
