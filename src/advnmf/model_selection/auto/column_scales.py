"""Columns with different units: detected by their scales, standardised for the search, and scaled back.

    z_ij = max(0, x_ij - shift_j) / scale_j,        x_ij = offset_j + factor_j z_ij

``scale`` is the standard deviation of a column.  ``shift`` is its smallest value if that is larger than its range (air
pressure), else 0.  ``offset`` and ``factor`` are the same, except for columns that are filled with their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...data import Block

Array = np.ndarray

# Scales differ if the largest is more than this multiple of the smallest.
_DIFFERENT = 10.0
# The scale of a column with fewer positive entries is unknown.
_LEAST_ENTRIES = 10


@dataclass(frozen=True)
class Columns:
    """Moments and ranges of the columns.

    ``known`` flags columns with enough positive entries to estimate a scale; ``size`` and ``spread`` are mean and
    standard deviation of the positive entries, so that a mostly dark pixel does not count as another unit.
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
        """From the values and column indices of the entries of `n` columns."""
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
        """Whether the sizes or the spreads of the columns differ by more than a factor of ten."""
        return any(_ratio(each[self.known & (each > 0)]) > _DIFFERENT for each in (self.size, self.spread))

    @property
    def range(self) -> Array:
        """Lowest and highest observed value, of shape (2, n)."""
        return np.array([self.lowest, self.highest])

    def scaling(self) -> Array:
        """(shift, scale, offset, factor), of shape (4, n)."""
        shift = np.where(self.lowest > self.highest - self.lowest, self.lowest, 0.0)
        # The deviation of a constant column is rounding error.
        constant = self.std <= 1e-9 * self.mean
        scale = np.where(constant, np.where(self.mean > 0, self.mean, 1.0), self.std)
        return np.array([shift, scale, shift, scale])


def drawn_in(values: Array, columns: Array, measured: Array, n: int) -> Array:
    """Values of `n` columns, those that were not measured clipped to the range of those that were, if there are any."""
    lowest, highest = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(lowest, columns[measured], values[measured])
    np.maximum.at(highest, columns[measured], values[measured])
    known = lowest <= highest
    ends = np.where(known, lowest, -np.inf), np.where(known, highest, np.inf)
    return np.where(measured, values, np.clip(values, *(end[columns] for end in ends)))


def standardised(values: Array, columns: Array | slice, scaling: Array) -> Array:
    """z of entries in these columns, in the precision of `values`."""
    shift, scale = scaling[:2, columns].astype(values.dtype)
    return np.maximum(values - shift, 0) / scale


def standardised_data(data: Block, scaling: Array) -> Block:
    """The data with z for x."""
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
