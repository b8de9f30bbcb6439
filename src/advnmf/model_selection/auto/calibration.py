"""The announced error and the intervals, from held-out entries, by kind of hole.

    MSE = sum over kinds k of  (share of the missing entries that are of kind k) MSE_k

Rows without observed entries that have no order need none held out: they are filled with one and the same row p, and
how far off that is all observed rows tell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..holes import COLUMN, ROW, SINGLE
from .evaluation import HeldOut
from .search_task import SearchTask
from .uncertainty import Spread, column_levels, factor_of_intervals, interval_scale, spread_terms

Array = np.ndarray


# Most entries that tell how far off a row without any is.
_MOST = 1_000_000


class EmptyRows(NamedTuple):
    """How far off a row without observed entries is: in each column, and the mean square over all."""

    std: Array
    error: float


def of_filled_rows(task: SearchTask, row: Array) -> EmptyRows:
    """That of rows filled with `row`, in the unit of X."""
    rows, columns, values = (each[:: _every(len(each))] for each in task.clean_entries())
    return _of_rows(values - row[columns], columns, len(row), np.ones(len(rows)))


def _every(n: int) -> int:
    """The step that takes at most `_MOST` of so many entries."""
    return -(-n // _MOST)


def of_held_out_rows(held_out: HeldOut, residuals: Array, n_columns: int) -> EmptyRows | None:
    """That of the rows that were held out as a whole; None if there were none."""
    here = held_out.kinds == ROW
    if not here.any():
        return None
    return _of_rows(residuals[here], held_out.pairs[1][here], n_columns, held_out.shares[here])


def _of_rows(residuals: Array, columns: Array, n: int, weights: Array) -> EmptyRows:
    levels = column_levels(residuals, columns, n, weights)
    known = np.bincount(columns, minlength=n) > 0
    factor = factor_of_intervals(np.abs(residuals) / np.maximum(levels[columns], np.finfo(float).tiny), weights)
    return EmptyRows(factor * levels, float(np.mean(np.square(levels[known]))))


def of_columns(held_out: HeldOut, residuals: Array) -> float:
    """s of columns without observed entries, in the unit of the task; infinite if none were held out."""
    here = held_out.kinds == COLUMN
    if not here.any():
        return np.inf
    return factor_of_intervals(np.abs(residuals)[here], held_out.shares[here])


def of_entries(
    held_out: HeldOut, residuals: Array, predictions: Array, mean: Array, n_columns: int
) -> tuple[Spread, Array]:
    """The spread of entries that are missing by themselves, and the levels of the columns; in the unit of these."""
    here = (held_out.kinds == SINGLE) & (np.square(residuals) < held_out.cap)
    if not here.any():
        here = np.ones(len(residuals), bool)
    columns, weights = held_out.pairs[1][here], held_out.shares[here]
    levels = column_levels(residuals[here], columns, n_columns, weights)
    terms = spread_terms(predictions[:, here], mean[here], levels[columns], held_out.n_left[here])
    return interval_scale(residuals[here], terms, weights), levels


def announced(task: SearchTask, residuals: Array, unit: Array | float, rows: EmptyRows) -> float:
    """The expected root mean square error over the missing entries of X, from residuals in some unit of each entry.

    NaN if some of the missing entries cannot be imitated.
    """
    if task.holdout.not_imitated:
        return np.nan
    held_out, share = task.held_out, task.holdout.share_of_rows
    capped = np.minimum(np.square(residuals), held_out.cap)
    squares, single = capped * np.square(unit), held_out.kinds == SINGLE
    if single.any() and task.missing_of_columns is not None:
        squares[single] = _of_columns_in_their_shares(task, capped[single], single, unit)
    error = held_out.mean(squares) if share < 1 else 0.0
    return float(np.sqrt((1 - share) * error + share * rows.error))


def _of_columns_in_their_shares(task: SearchTask, squares: Array, single: Array, unit: Array | float) -> float:
    """sum_j (share of the missing entries that lie in column j) (t_j unit_j)^2: columns are held out in others."""
    columns, weights, n = task.held_out.pairs[1][single], task.held_out.shares[single], task.shape[1]
    levels, sizes = column_levels(np.sqrt(squares), columns, n, weights), np.zeros(n)
    sizes[columns] = np.broadcast_to(unit, single.shape)[single]
    shares = np.where(sizes > 0, task.missing_of_columns, 0)
    if not shares.any():
        shares = np.bincount(columns, weights, n)
    return float(np.average(np.square(levels * sizes), weights=shares))
