"""Gross outliers: entries far above what their row and their column, or a small robust model, let expect.

    log x_ij ~ level + row_i + column_j        (medians in turn)

A clean tail thins out: fewer residuals lie beyond a bound than between its half and the bound.  Where it does not, or
where a wide gap parts the largest residuals from all others, entries are wrong that no model predicts.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

# Outliers are at least so many robust standard deviations of their column off; and this is the least such deviation,
# by the natural logarithm.
_SIGMAS, _LEAST = 6.0, 0.15
# So many at least may be told by a tail that does not thin out; any number by a gap of so many deviations.
_TAIL, _GAP = 5, 7.0
# No more than this share of the entries: outliers are few.  Fewer still where the values are levels of a scale, such as
# ratings or answers: where a share of all values, _LEVELS, would hold one of each.
_MOST, _MOST_OF_LEVELS, _LEVELS = 0.15, 0.01, 0.05
# Of a robust model: no more than this share of the entries, above a gap of this factor and so many standard deviations;
# these are told by the share of the errors that are below this quantile of a normal distribution.
_MOST_LONE, _GAP_OF_LONE, _SIGMAS_OF_LONE = 0.01, 5.0, 12.0
_CLEAN, _QUANTILE_OF_CLEAN = 0.85, 1.44
# What exceeds its expectation by less than this share of the root mean square of all others does no harm.
_HARM = 0.5
# Rows and columns with fewer entries have no median, columns with fewer no deviation of their own.
_LEAST_ENTRIES, _LEAST_OF_DEVIATION = 4, 10
# The medians are taken from so many entries at most.
_SAMPLE = 1_000_000


def flag_outliers(values: Array, rows: Array, columns: Array, shape: tuple[int, int]) -> tuple[Array, Array] | None:
    """Which of the observed entries look like gross outliers, and what was to be expected of these.

    None where there is no sign of any.
    """
    positive = values > 0
    if np.count_nonzero(positive) < 2 * _LEAST_ENTRIES:
        return None
    residuals = np.full(len(values), -np.inf)
    columns = columns[positive]
    found = _log_residuals(values[positive], rows[positive], columns, shape)
    residuals[positive] = found / _deviations(found, columns, shape[1])[columns]
    of_levels = len(np.unique(values)) <= _LEVELS * len(values)
    bound = _bound(residuals[positive], _MOST_OF_LEVELS if of_levels else _MOST)
    if bound is None:
        return None
    flags = residuals >= bound
    expected = np.full(len(values), np.inf)
    expected[positive] = values[positive] * np.exp(-found)
    return _harmful(values, expected, flags)


def flag_lone_outliers(values: Array, expected: Array) -> tuple[Array, Array] | None:
    """The same for very few entries: those that a wide gap parts from all other residuals of a robust model."""
    residuals = values - expected
    sigma = float(np.quantile(np.abs(residuals), _CLEAN)) / _QUANTILE_OF_CLEAN
    n = 1 + max(1, int(_MOST_LONE * len(values)))
    largest = np.sort(residuals)[::-1][: n + 1]
    largest = largest[largest > 0]
    wide = np.flatnonzero(largest[:-1] > _GAP_OF_LONE * largest[1:])
    if not wide.size or not largest[wide[0]] > _SIGMAS_OF_LONE * sigma:
        return None
    return _harmful(values, expected, residuals >= largest[wide[0]])


def _harmful(values: Array, expected: Array, flags: Array) -> tuple[Array, Array] | None:
    """Those of the flagged entries that are wrong by much in the scale of all others, and what was to be expected."""
    flags = flags & (values - expected > _HARM * np.sqrt(np.mean(np.square(values[~flags]))))
    return (flags, expected[flags]) if flags.any() else None


def _log_residuals(values: Array, rows: Array, columns: Array, shape: tuple[int, int]) -> Array:
    """log x without the medians of columns and rows, taken in turn."""
    residuals = np.log(values)
    residuals -= np.median(residuals)
    sampled = slice(None)
    if len(values) > _SAMPLE:
        sampled = np.random.default_rng(0).integers(len(values), size=_SAMPLE)
    for _ in range(2):
        for lines, n in ((columns, shape[1]), (rows, shape[0])):
            residuals -= _medians(residuals[sampled], lines[sampled], n)[lines]
    return residuals


def _deviations(residuals: Array, columns: Array, n: int) -> Array:
    """The robust standard deviation of each column; that of all columns together where it has too few entries."""
    sizes = np.abs(residuals)
    deviations = 1.4826 * _medians(sizes, columns, n)
    few = np.bincount(columns, minlength=n) < _LEAST_OF_DEVIATION
    deviations[few] = 1.4826 * float(np.median(sizes))
    return np.maximum(deviations, _LEAST)


def _medians(values: Array, lines: Array, n: int) -> Array:
    """The median of each row or column; 0 where that has too few entries."""
    values = values[np.lexsort((values, lines))]
    counts = np.bincount(lines, minlength=n)
    ends = np.cumsum(counts)
    enough = counts >= _LEAST_ENTRIES
    low, high = ends - counts + (counts - 1) // 2, ends - counts + counts // 2
    medians = np.zeros(n)
    medians[enough] = (values[low[enough]] + values[high[enough]]) / 2
    return medians


def _bound(residuals: Array, most: float) -> float | None:
    """From where on residuals, in deviations, are outliers; None where the tail is that of clean data."""
    n_beyond, n_below = (int(np.count_nonzero(residuals > share * _SIGMAS)) for share in (1.0, 0.5))
    if not 0 < n_beyond <= most * len(residuals):
        return None
    if n_beyond >= _TAIL and n_beyond > n_below - n_beyond:
        return _SIGMAS
    largest = np.sort(residuals)[::-1][: n_beyond + 1]
    gaps = largest[:-1] - largest[1:]
    widest = int(np.argmax(gaps))
    return float(largest[widest]) if gaps[widest] > _GAP else None
