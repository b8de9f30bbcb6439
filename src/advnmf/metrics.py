"""Errors of a completion over the scored entries; hits of recommendations.

With the scored entries S (``mask`` is True there and the truth is not NaN), weights ``w`` (1 unless given), truth ``x``
and prediction ``p``:

    rmse = sqrt( sum_S w (x - p)^2 / sum_S w )          mae = sum_S w |x - p| / sum_S w
    relative_error = sqrt( sum_S w (x - p)^2 / sum_S w x^2 )          psnr = 20 log10( data_range / rmse )

``mask`` flags the entries to score.  For the error of a completion these are the held-out ones: ``mask=~observed``,
where ``observed`` is the mask of the fit.  Arrays may have any number of axes.  All sums are in float64.

For recommendations the columns named for a row are compared with its held-out entries; those of at least `liked` are
hits.  With h_t = 1 if the t-th named column is a hit and L the number of all hits of the row, means over the rows with
L > 0 of

    precision_at_k = (1 / k) sum_{t <= k} h_t
    ndcg_at_k = sum_{t <= k} h_t / log2(t + 1)  /  sum_{t <= min(k, L)} 1 / log2(t + 1)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from .arrays.typing import MatrixLike
from .data.boundary import unmasked

__all__ = ["mae", "ndcg_at_k", "precision_at_k", "psnr", "relative_error", "rmse"]

Array = np.ndarray


def rmse(
    X_true: ArrayLike, X_pred: ArrayLike, *, mask: ArrayLike | None = None, weights: ArrayLike | None = None
) -> float:
    """Root mean square error, in the units of ``X``.

    Parameters
    ----------
    X_true : array-like
        The truth.  NaN and the hidden entries of a `numpy.ma` array are left out.
    X_pred : array-like of the same shape
        The prediction, finite wherever it is scored.
    mask : array-like of bool of the same shape, optional
        True = scored.  All entries unless given.
    weights : array-like broadcastable to that shape, optional
        Nonnegative weights of the entries.

    Raises
    ------
    ValueError
        For shapes that differ, a scored prediction that is NaN, infinities, and if there is nothing to score.
    """
    x, p, w = _scored(X_true, X_pred, mask, weights)
    return float(np.sqrt(np.sum(w * np.square(x - p)) / np.sum(w)))


def mae(
    X_true: ArrayLike, X_pred: ArrayLike, *, mask: ArrayLike | None = None, weights: ArrayLike | None = None
) -> float:
    """Mean absolute error, in the units of ``X``.  Arguments and errors as in `rmse`."""
    x, p, w = _scored(X_true, X_pred, mask, weights)
    return float(np.sum(w * np.abs(x - p)) / np.sum(w))


def relative_error(
    X_true: ArrayLike, X_pred: ArrayLike, *, mask: ArrayLike | None = None, weights: ArrayLike | None = None
) -> float:
    """Frobenius norm of the difference over that of the truth, both over the scored entries.

    A prediction of zeros has the error 1.  Arguments and errors as in `rmse`; a truth of zeros is an error as well.
    """
    x, p, w = _scored(X_true, X_pred, mask, weights)
    size = np.sum(w * np.square(x))
    if size == 0:
        raise ValueError("X_true is zero at all scored entries: a relative error is not defined")
    return float(np.sqrt(np.sum(w * np.square(x - p)) / size))


def psnr(
    X_true: ArrayLike,
    X_pred: ArrayLike,
    *,
    data_range: float,
    mask: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> float:
    """Peak signal-to-noise ratio in decibels; infinite for a perfect prediction.

    `data_range` is the span of possible values, such as 1.0 or 255.  Other arguments and errors as in `rmse`.
    """
    if not 0 < data_range < np.inf:
        raise ValueError(f"data_range={data_range!r} must be positive and finite")
    error = rmse(X_true, X_pred, mask=mask, weights=weights)
    return float(20 * np.log10(data_range / error)) if error > 0 else float("inf")


def precision_at_k(X_true: MatrixLike, columns: ArrayLike, *, liked: float, k: int | None = None) -> float:
    """Share of hits among the first `k` columns named for a row: mean over the rows that have a hit.

        (1 / k) sum_{t <= k} h_t

    Places that name no column (-1) count as misses.

    Parameters
    ----------
    X_true : sparse matrix or array-like of shape (n_rows, n_columns)
        Held-out entries: those stored in a sparse matrix, or not NaN in an array.
    columns : array-like of int of shape (n_rows, at least k)
        Columns named for each of these rows, best first, as `recommend` gives them; -1 for none.
    liked : float
        A held-out entry of at least this is a hit.
    k : int, optional
        How many columns count; all that are named unless given.

    Raises
    ------
    ValueError
        For shapes that do not agree, a column that does not exist or is named twice in a row, and if there are no hits.
    """
    hits, n_liked = _hits(X_true, columns, liked, k)
    return float(hits[n_liked > 0].mean())


def ndcg_at_k(X_true: MatrixLike, columns: ArrayLike, *, liked: float, k: int | None = None) -> float:
    """Normalised discounted cumulative gain of hits: 1 if they take the first places of each row.

        sum_{t <= k} h_t / log2(t + 1)  /  sum_{t <= min(k, L)} 1 / log2(t + 1)

    Mean over the rows that have a hit.  Arguments and errors as in `precision_at_k`.
    """
    hits, n_liked = _hits(X_true, columns, liked, k)
    gains = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    best = np.append(0, np.cumsum(gains))[np.minimum(n_liked, len(gains))]
    some = n_liked > 0
    return float(np.mean((hits @ gains)[some] / best[some]))


def _hits(X_true: MatrixLike, columns: ArrayLike, liked: float, k: int | None) -> tuple[Array, Array]:
    """h_t of each row (rows x k), and the number of all hits of the row."""
    is_liked = _liked(X_true, liked)
    columns = _columns(columns, is_liked.shape)
    k = columns.shape[1] if k is None else k
    if not (isinstance(k, int | np.integer) and 1 <= k <= columns.shape[1]):
        raise ValueError(f"k={k!r} must be an integer from 1 to {columns.shape[1]}, the columns named for each row")
    n_liked = is_liked.sum(axis=1)
    if not n_liked.any():
        raise ValueError(f"there is no hit to find: no entry of X_true is at least liked={liked:g}")
    named = columns[:, :k]
    rows, places = np.nonzero(named >= 0)
    hits = np.zeros(named.shape)
    hits[rows, places] = np.asarray(is_liked[rows, named[rows, places]]).ravel()
    return hits, np.asarray(n_liked).ravel()


def _liked(X_true: Any, liked: float) -> sparse.csr_array:
    """1 at the entries of at least `liked`."""
    if not np.isfinite(liked):
        raise ValueError(f"liked={liked!r} must be finite")
    if sparse.issparse(X_true):
        X = sparse.csr_array(X_true).tocoo()
        kept = _numbers("X_true", X.data) >= liked
        rows, columns = X.row[kept], X.col[kept]
    else:
        X = _numbers("X_true", X_true)
        if X.ndim != 2:
            raise ValueError(f"X_true has shape {X.shape}: give rows x columns")
        rows, columns = np.nonzero(np.greater_equal(X, liked))
    return sparse.csr_array((np.ones(len(rows), np.int64), (rows, columns)), shape=X.shape)


def _columns(columns: object, shape: tuple[int, int]) -> Array:
    """`columns` as integers, each a column of that shape or -1, and none twice in a row."""
    columns = np.asarray(columns)
    if columns.ndim != 2 or len(columns) != shape[0] or columns.dtype.kind not in "iu" or not columns.shape[1]:
        raise ValueError(
            f"columns must be integers, a list for each of the {shape[0]} rows of X_true, "
            f"got an array of {columns.dtype} of shape {columns.shape}"
        )
    columns = columns.astype(np.int64)
    outside = (columns < -1) | (columns >= shape[1])
    if outside.any():
        raise ValueError(f"columns holds {columns[outside][0]}: it must lie in 0 .. {shape[1] - 1}, or be -1 for none")
    ordered = np.sort(columns, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        row, place = np.argwhere(twice)[0]
        raise ValueError(f"columns names column {ordered[row, place]} twice in row {row}")
    return columns


def _scored(
    X_true: ArrayLike, X_pred: ArrayLike, mask: ArrayLike | None, weights: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Truth, prediction and weight of the scored entries, as vectors."""
    truth, prediction = _numbers("X_true", X_true), _numbers("X_pred", X_pred)
    if truth.shape != prediction.shape:
        raise ValueError(f"X_true has shape {truth.shape}, X_pred has {prediction.shape}: they must agree")
    scored = ~np.isnan(truth)
    if mask is not None:
        scored &= _flags(mask, truth.shape)
    w = _weights(1.0 if weights is None else weights, truth.shape)
    scored &= w > 0
    if not scored.any():
        raise ValueError("there is nothing to score: no entry is in the mask, known in X_true and of positive weight")
    x, p, w = truth[scored], prediction[scored], w[scored]
    if not np.isfinite(p).all():
        raise ValueError(f"X_pred is missing or infinite at {np.sum(~np.isfinite(p))} of {p.size} scored entries")
    if not np.isfinite(x).all():
        raise ValueError(f"X_true is infinite at {np.sum(~np.isfinite(x))} of {x.size} scored entries")
    return x, p, w


def _numbers(name: str, X: ArrayLike) -> Array:
    """``X`` in float64, the hidden entries of a `numpy.ma` array as NaN."""
    shown, hidden = unmasked(X)
    values = np.asarray(shown)
    if values.dtype.kind == "c":
        raise ValueError(f"{name} is complex: only real numbers can be scored")
    try:
        values = values.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} holds something that is not a number") from None
    if hidden is not None:
        values[hidden] = np.nan
    return values


def _flags(asked: ArrayLike, shape: tuple[int, ...]) -> Array:
    """A mask as booleans of the given shape."""
    mask = np.asarray(asked)
    if mask.shape != shape:
        raise ValueError(f"mask has shape {mask.shape}, X_true has {shape}: give one flag an entry, True = scored")
    # Pictures of 0 and 255 and weights are refused: their polarity is not known here.
    if mask.dtype != bool and not (mask.dtype.kind in "iuf" and np.isin(mask, (0, 1)).all()):
        raise ValueError("mask must hold only True/1 (scored) and False/0")
    return mask.astype(bool)


def _weights(weights: ArrayLike, shape: tuple[int, ...]) -> Array:
    """`weights` in float64, broadcast to the given shape."""
    try:
        full = np.broadcast_to(np.asarray(weights, dtype=np.float64), shape)
    except (TypeError, ValueError):
        raise ValueError(f"weights of shape {np.shape(weights)} do not fit X_true of shape {shape}") from None
    if not (np.isfinite(full).all() and (full >= 0).all()):
        raise ValueError("weights must be finite and not negative")
    return full
