"""Errors of a completion, counted only where they should be.

With the scored entries S (``mask`` is True there and the truth is not NaN), weights ``w`` (1 unless given), truth ``x``
and prediction ``p``:

    rmse = sqrt( sum_S w (x - p)^2 / sum_S w )          mae = sum_S w |x - p| / sum_S w
    relative_error = sqrt( sum_S w (x - p)^2 / sum_S w x^2 )          psnr = 20 log10( data_range / rmse )

``mask`` says which entries to score.  For the error of a completion these are the held-out ones: ``mask=~observed``
where ``observed`` is what the model was given.  Arrays of any number of axes do.  All sums are in float64.
"""

from __future__ import annotations

import numpy as np

__all__ = ["mae", "psnr", "relative_error", "rmse"]

Array = np.ndarray


def rmse(X_true: object, X_pred: object, *, mask: object = None, weights: object = None) -> float:
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
        For shapes that differ, a prediction that is missing where it is scored, infinities, and nothing to score.
    """
    x, p, w = _scored(X_true, X_pred, mask, weights)
    return float(np.sqrt(np.sum(w * np.square(x - p)) / np.sum(w)))


def mae(X_true: object, X_pred: object, *, mask: object = None, weights: object = None) -> float:
    """Mean absolute error, in the units of ``X``.  Arguments and errors as in `rmse`."""
    x, p, w = _scored(X_true, X_pred, mask, weights)
    return float(np.sum(w * np.abs(x - p)) / np.sum(w))


def relative_error(X_true: object, X_pred: object, *, mask: object = None, weights: object = None) -> float:
    """Frobenius norm of the difference over that of the truth, both over the scored entries.

    1 is what a prediction of zeros gets.  Arguments and errors as in `rmse`; a truth of zeros is an error as well.
    """
    x, p, w = _scored(X_true, X_pred, mask, weights)
    size = np.sum(w * np.square(x))
    if size == 0:
        raise ValueError("X_true is zero at all scored entries: a relative error is not defined")
    return float(np.sqrt(np.sum(w * np.square(x - p)) / size))


def psnr(X_true: object, X_pred: object, *, data_range: float, mask: object = None, weights: object = None) -> float:
    """Peak signal-to-noise ratio in decibels; infinite for a perfect prediction.

    `data_range` is the span of possible values, such as 1.0 or 255.  Other arguments and errors as in `rmse`.
    """
    if not 0 < data_range < np.inf:
        raise ValueError(f"data_range={data_range!r} must be positive and finite")
    error = rmse(X_true, X_pred, mask=mask, weights=weights)
    return float(20 * np.log10(data_range / error)) if error > 0 else float("inf")


def _scored(X_true: object, X_pred: object, mask: object, weights: object) -> tuple[Array, Array, Array]:
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


def _numbers(name: str, X: object) -> Array:
    """``X`` in float64, the hidden entries of a `numpy.ma` array as NaN."""
    values = np.ma.getdata(X) if isinstance(X, np.ma.MaskedArray) else np.asarray(X)
    if values.dtype.kind == "c":
        raise ValueError(f"{name} is complex: only real numbers can be scored")
    try:
        values = values.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} holds something that is not a number") from None
    if isinstance(X, np.ma.MaskedArray):
        values[np.ma.getmaskarray(X)] = np.nan
    return values


def _flags(mask: object, shape: tuple[int, ...]) -> Array:
    """`mask` as booleans of the given shape."""
    mask = np.asarray(mask)
    if mask.shape != shape:
        raise ValueError(f"mask has shape {mask.shape}, X_true has {shape}: give one flag an entry, True = scored")
    # 0/255 pictures and weights are refused: their meaning is not known here.
    if mask.dtype != bool and not (mask.dtype.kind in "iuf" and np.isin(mask, (0, 1)).all()):
        raise ValueError("mask must hold only True/1 (scored) and False/0")
    return mask.astype(bool)


def _weights(weights: object, shape: tuple[int, ...]) -> Array:
    """`weights` in float64, broadcast to the given shape."""
    try:
        full = np.broadcast_to(np.asarray(weights, dtype=np.float64), shape)
    except (TypeError, ValueError):
        raise ValueError(f"weights of shape {np.shape(weights)} do not fit X_true of shape {shape}") from None
    if not (np.isfinite(full).all() and (full >= 0).all()):
        raise ValueError("weights must be finite and not negative")
    return full
