"""Columns with units of their own: centred and scaled for a search, by their logarithms if they are skewed.

    z_ij = (g_j(x_ij) - shift_j) / scale_j,      x_ij = offset_j + factor_j h_j(shift_j + scale_j z_ij)

g_j is the identity, or the logarithm of x + added_j; h_j is its inverse.  ``shift`` and ``scale`` are mean and standard
deviation of g_j(x).  ``offset`` and ``factor`` (0 and 1 at first) bring predictions nearer to the mean of the column.
``unit``, its standard deviation, is what errors are measured in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...data import Block

Array = np.ndarray

#: Rows of a scaling: shift, scale, logged (0 or 1), added, offset, factor, unit.
SHIFT, SCALE, LOGGED, ADDED, OFFSET, FACTOR, UNIT = range(7)
# Scales differ if the largest is more than this multiple of the smallest.
_DIFFERENT = 10.0
# The scale of a column with fewer positive entries is unknown.
_LEAST_ENTRIES = 10
# A column is skewed if its skewness exceeds the first number, and that of its logarithm is below this share of it.
_SKEWED, _LESS_SKEWED = 1.0, 0.5
# Where a column has zeros, this share of its mean is added before the logarithm is taken.
_ADDED = 0.1
# No prediction of a logarithm is further from the mean, in standard deviations.
_FARTHEST = 6.0


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
        """Whether columns count by themselves: sizes or spreads differ by more than ten times, or some are negative."""
        if (self.lowest < 0).any():
            return True
        return any(_ratio(each[self.known & (each > 0)]) > _DIFFERENT for each in (self.size, self.spread))

    @property
    def range(self) -> Array:
        """Lowest and highest observed value, of shape (2, n)."""
        return np.array([self.lowest, self.highest])

    @property
    def unit(self) -> Array:
        """The standard deviation; of a constant column (where it is rounding error) the size, or 1."""
        return _deviation(self.mean, self.std)


def scaling_of(values: Array, columns: Array, before: Columns, *, logarithms: bool) -> Array:
    """The scaling of columns with these entries; of skewed ones with `logarithms`."""
    n = len(before.mean)
    logged, added = _skewed(values, columns, before) if logarithms else (np.zeros(n, bool), np.zeros(n))
    _, mean, std = _moments(_curved(values, logged[columns], added[columns]), columns, n)
    ones = np.ones(n)
    return np.array([mean, _deviation(mean, std), logged, added, 0 * ones, ones, before.unit])


def identity(n: int) -> Array:
    """The scaling that changes nothing."""
    return np.repeat([[0.0], [1.0], [0.0], [0.0], [0.0], [1.0], [1.0]], n, axis=1)


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
    shift, scale, logged, added = scaling[:4, columns]
    z = (_curved(values, logged > 0, added) - shift) / scale
    return z.astype(values.dtype)


def standardised_data(data: Block, scaling: Array) -> Block:
    """The data with z for x."""
    return data.with_values(data.restrict(standardised(data.values, data.columns, scaling)))


def centred(values: Array, columns: Array, scaling: Array) -> Array:
    """The scaling with the means of these entries for shifts."""
    logged, added = scaling[LOGGED] > 0, scaling[ADDED]
    scaling = scaling.copy()
    _, scaling[SHIFT], _ = _moments(_curved(values, logged[columns], added[columns]), columns, scaling.shape[1])
    return scaling


def restored(z: Array, scaling: Array) -> Array:
    """x from z, with the scaling of each entry."""
    return uncurved(scaling[SHIFT] + scaling[SCALE] * z, scaling)


def uncurved(u: Array, scaling: Array) -> Array:
    """offset + factor h(u), with the scaling of each entry."""
    shift, scale, logged, added, offset, factor, _ = scaling
    if not logged.any():
        return offset + factor * u
    farthest = shift + _FARTHEST * scale
    h = np.where(logged > 0, np.exp(np.minimum(u, np.where(logged > 0, farthest, 0.0))) - added, u)
    return offset + factor * h


def calibrated(scaling: Array, offset: Array, factor: Array) -> Array:
    """With other offsets and factors."""
    scaling = scaling.copy()
    scaling[OFFSET], scaling[FACTOR] = offset, factor
    return scaling


def _curved(values: Array, logged: Array, added: Array) -> Array:
    """g(x); new values below the range of a logarithm count as its lowest ones."""
    if not np.any(logged):
        return values
    least = np.where(added > 0, 0.1 * added, np.finfo(values.dtype).tiny)
    return np.where(logged, np.log(np.maximum(np.where(logged, values + added, 1.0), least)), values)


def _skewed(values: Array, columns: Array, before: Columns) -> tuple[Array, Array]:
    """Flags of the nonnegative columns that are skewed, but less so in logarithms; and what is added to them."""
    n = len(before.mean)
    nonnegative = before.known & (before.lowest >= 0) & (before.std > 0)
    added = np.where(before.lowest > 0, 0.0, _ADDED * before.mean)
    logs = _curved(values, nonnegative[columns], added[columns])
    skewness = _skewness(values, columns, n)
    flags = nonnegative & (skewness > _SKEWED) & (np.abs(_skewness(logs, columns, n)) < _LESS_SKEWED * skewness)
    return flags, np.where(flags, added, 0.0)


def _skewness(values: Array, columns: Array, n: int) -> Array:
    """mean of ((x - mean) / std)^3."""
    counts, mean, std = _moments(values, columns, n)
    cubes = ((values - mean[columns]) / np.where(std > 0, std, 1.0)[columns]) ** 3
    return np.bincount(columns, cubes, n) / np.maximum(counts, 1)


def _deviation(mean: Array, std: Array) -> Array:
    constant = std <= 1e-9 * np.abs(mean)
    return np.where(constant, np.where(mean == 0, 1.0, np.abs(mean)), std)


def _moments(values: Array, columns: Array, n: int) -> tuple[Array, Array, Array]:
    """Number, mean and standard deviation of the entries of each column."""
    counts = np.bincount(columns, minlength=n)
    divisor = np.maximum(counts, 1)
    mean = np.bincount(columns, values, n) / divisor
    return counts, mean, np.sqrt(np.bincount(columns, np.square(values - mean[columns]), n) / divisor)


def _ratio(sizes: Array) -> float:
    return float(sizes.max() / sizes.min()) if sizes.size else 1.0
