"""Gross outliers: entries far above the expectation from their row and column, or from a small robust model.

    log x_ij ~ level + row_i + column_j        (medians in turn)

In clean data the tail thins out: fewer residuals lie beyond a bound than between half the bound and the bound.  If it
does not, or if a wide gap separates the largest residuals from all others, these entries are taken for outliers.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

# Least distance of an outlier in robust standard deviations of its column; least such deviation, of natural logarithms.
_SIGMAS, _LEAST = 6.0, 0.15
# Least number of outliers that a heavy tail can show; least gap, in deviations, that shows any number of them.
_TAIL, _GAP = 5, 7.0
# Largest share of outliers.  Smaller if the values are levels of a scale, such as ratings: if the number of distinct
# values is at most the share _LEVELS of all values.
_MOST, _MOST_OF_LEVELS, _LEVELS = 0.15, 0.01, 0.05
# For residuals of a robust model: largest share of outliers, least ratio across the gap, least distance in standard
# deviations.  The deviation is estimated from the quantile _CLEAN of the errors and that of a normal distribution.
_MOST_LONE, _GAP_OF_LONE, _SIGMAS_OF_LONE = 0.01, 5.0, 12.0
_CLEAN, _QUANTILE_OF_CLEAN = 0.85, 1.44
# Entries that exceed their expectation by less than this share of the root mean square of all others do no harm.
_HARM = 0.5
# Least number of entries for the median of a row or column; for the deviation of a column.
_LEAST_ENTRIES, _LEAST_OF_DEVIATION = 4, 10
# Most entries from which medians are computed.
_SAMPLE = 1_000_000


def flag_outliers(values: Array, rows: Array, columns: Array, shape: tuple[int, int]) -> tuple[Array, Array] | None:
    """Flags of the observed entries that look like gross outliers, and the expected values of these.

    None if there are no signs of outliers.
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
    """The same for very few entries: those separated by a wide gap from all other residuals of a robust model."""
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
    """The flagged entries whose error is large on the scale of all others, and their expected values."""
    flags = flags & (values - expected > _HARM * np.sqrt(np.mean(np.square(values[~flags]))))
    return (flags, expected[flags]) if flags.any() else None


def _log_residuals(values: Array, rows: Array, columns: Array, shape: tuple[int, int]) -> Array:
    """log x minus the medians of columns and rows, in turn."""
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
    """The robust standard deviation of each column; that of all columns together if it has too few entries."""
    sizes = np.abs(residuals)
    deviations = 1.4826 * _medians(sizes, columns, n)
    few = np.bincount(columns, minlength=n) < _LEAST_OF_DEVIATION
    deviations[few] = 1.4826 * float(np.median(sizes))
    return np.maximum(deviations, _LEAST)


def _medians(values: Array, lines: Array, n: int) -> Array:
    """The median of each row or column; 0 if it has too few entries."""
    values = values[np.lexsort((values, lines))]
    counts = np.bincount(lines, minlength=n)
    ends = np.cumsum(counts)
    enough = counts >= _LEAST_ENTRIES
    low, high = ends - counts + (counts - 1) // 2, ends - counts + counts // 2
    medians = np.zeros(n)
    medians[enough] = (values[low[enough]] + values[high[enough]]) / 2
    return medians


def _bound(residuals: Array, most: float) -> float | None:
    """The least residual of an outlier, in deviations; None if the tail is that of clean data."""
    n_beyond, n_below = (int(np.count_nonzero(residuals > share * _SIGMAS)) for share in (1.0, 0.5))
    if not 0 < n_beyond <= most * len(residuals):
        return None
    if n_beyond >= _TAIL and n_beyond > n_below - n_beyond:
        return _SIGMAS
    largest = np.sort(residuals)[::-1][: n_beyond + 1]
    gaps = largest[:-1] - largest[1:]
    widest = int(np.argmax(gaps))
    return float(largest[widest]) if gaps[widest] > _GAP else None
