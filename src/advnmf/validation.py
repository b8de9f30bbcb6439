"""The boundary: input is checked and converted here, once; behind it nobody checks again."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array, validate_data

from .data import DenseData, ObservedData
from .factors import layer_shapes


def check_data(
    estimator: object,
    X: object,
    mask: object = None,
    weights: object = None,
    *,
    reset: bool,
    nonnegative: bool = True,
) -> DenseData:
    """Observed data of ``X``: NaN is missing, so is what `mask` (True = observed) leaves out.

    Weight 0 is not learnt from.  The hidden entries of a `numpy.ma` array are missing too.  Negative values are
    refused if `nonnegative`.
    """
    if sparse.issparse(X):
        raise TypeError(
            "Sparse data was passed for X, but dense data is required: use X.toarray(), with NaN for what is missing"
        )
    hidden = np.ma.getmaskarray(X) if isinstance(X, np.ma.MaskedArray) else None
    X = validate_data(
        estimator,
        np.ma.getdata(X) if hidden is not None else X,
        reset=reset,
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
        order="C",
    )
    observed = np.isfinite(X)
    infinite = ~observed & ~np.isnan(X)
    if mask is not None:
        keep = check_mask(mask, X.shape)
        observed &= keep
        infinite &= keep
    if hidden is not None:
        observed &= ~hidden
        infinite &= ~hidden
    omega = None if weights is None else check_weights(weights, X.shape, X.dtype)
    _refuse_first(infinite, X, "Input X contains infinity", "NaN stands for a missing entry; mark it so or mask it")
    if nonnegative:
        _refuse_first(
            (X < 0) & observed,
            X,
            "Negative values in data passed to X",
            "only nonnegative values can be factorised",
        )
    if omega is not None:
        observed &= omega > 0
    # New rows may be empty: each must come out the same whatever else is in its batch.
    if reset and not observed.any():
        raise ValueError("X has no observed entry: all are NaN, masked or of weight 0")
    complete = observed.all()
    values = np.ascontiguousarray(X) if complete else np.where(observed, X, X.dtype.type(0))
    if reset:  # of the data alone that set the scale: codes must not depend on their batch
        check_scale(values)
    if omega is not None:
        return DenseData(values, np.where(observed, omega, omega.dtype.type(0)))
    return DenseData(values, None if complete else observed.view(np.uint8))


def check_mask(mask: object, shape: tuple[int, int]) -> np.ndarray:
    """`mask` as booleans, True = observed."""
    mask = np.asarray(mask)
    if mask.shape != shape:
        raise ValueError(
            f"mask has shape {mask.shape}, X has {shape}: give one flag an entry, True where it is observed"
        )
    if mask.dtype != bool:
        good = np.frompyfunc(_is_flag, 1, 1)(mask).astype(bool) if mask.dtype == object else np.isin(mask, (0, 1))
        if not good.all():
            i, j = np.argwhere(~good)[0]
            raise ValueError(
                f"mask holds {mask[i, j]!r} at row {i}, column {j}: only True/1 (observed) and False/0 are allowed"
            )
    return mask.astype(bool)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool | np.bool_ | Real) and value in (0, 1)


def check_weights(weights: object, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """`weights` of the entries, nonnegative and finite, broadcast from (n, 1) or (1, m) where given so."""
    if np.ma.is_masked(weights):
        raise ValueError("weights must not be masked: mask X instead, or use the argument mask (True = observed)")
    try:
        weights = np.asarray(weights, dtype)
        full = np.broadcast_to(weights, shape)
    except (TypeError, ValueError):
        raise ValueError(
            f"weights of shape {np.shape(weights)} do not fit X of shape {shape}: "
            "give that shape, (n_samples, 1) or (1, n_features)"
        ) from None
    bad = ~(np.isfinite(full) & (full >= 0))
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise ValueError(f"weights holds {full[i, j]} at row {i}, column {j}: weights must be finite and not negative")
    return full


def _refuse_first(bad: np.ndarray, X: np.ndarray, what: str, fix: str) -> None:
    """Raise naming the first bad entry."""
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise ValueError(f"{what}: {X[i, j]} at row {i}, column {j}; {fix}")


def check_scale(values: np.ndarray) -> None:
    """Squares of the values, summed, must neither overflow nor vanish in the precision of the data."""
    info = np.finfo(values.dtype)
    top = float(max(np.fmax.reduce(values, axis=None, initial=0), -np.fmin.reduce(values, axis=None, initial=0)))
    low, high = float(np.sqrt(info.tiny)) / info.eps, 1e-2 * float(np.sqrt(info.max / max(1, values.size)))
    if top > 0 and not low < top < high:
        raise ValueError(
            f"the largest value of X is {top:g}, outside ({low:.3g}, {high:.3g}) "
            f"where {values.dtype} can be squared: rescale X"
        )


def check_layers(n_components: object, name: str = "n_components") -> tuple[int, ...]:
    """Layer sizes (r_1, ..., r_p) from one of them or several."""
    layers = tuple(n_components) if isinstance(n_components, (tuple, list, np.ndarray)) else (n_components,)
    if not layers or not all(isinstance(r, Integral) and not isinstance(r, bool) and r >= 1 for r in layers):
        raise ValueError(f"{name}={n_components!r} must be a positive integer, or a tuple of them (one a layer)")
    return tuple(int(r) for r in layers)


def check_number(
    name: str,
    value: object,
    *,
    low: float = 0.0,
    high: float = np.inf,
    integer: bool = False,
    strict: bool = False,
    finite: bool = True,
) -> None:
    """Refuse `value` unless it is a number in [low, high], (low, high] if `strict`; infinity unless not `finite`."""
    kind = Integral if integer else Real
    good = (
        isinstance(value, kind)
        and not isinstance(value, bool)
        and (value > low if strict else value >= low)
        and value <= high
        and not (finite and np.isinf(value))
    )
    if not good:
        range_ = f"{'above' if strict else 'at least'} {low:g}" + (f" and at most {high:g}" if high < np.inf else "")
        kind_ = "an integer" if integer else "a finite number" if finite else "a number"
        raise ValueError(f"{name}={value!r} must be {kind_} {range_}")


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Refuse `value` unless it is one of `choices`."""
    # An array compares entry by entry, which is no answer.
    if isinstance(value, np.ndarray) or value not in choices:
        raise ValueError(f"{name}={value!r} must be one of {', '.join(map(repr, choices))}")


def check_indices(name: str, indices: object, size: int, lowest: int = 0) -> np.ndarray:
    """`indices` as an integer array within lowest .. size - 1."""
    indices = np.atleast_1d(np.asarray(indices))
    if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iu"):
        raise ValueError(f"{name} must be a list of integers, got an array of {indices.dtype} of shape {indices.shape}")
    outside = (indices < lowest) | (indices >= size)
    if outside.any():
        raise ValueError(
            f"{name} holds {indices[outside][0]}: it must lie in {lowest} .. {size - 1}, as in the data of fit"
        )
    return indices.astype(np.int64)


def check_seen(seen: object, shape: tuple[int, int]) -> sparse.csr_array:
    """What is to be left out: stored entries of a sparse matrix, or True in an array."""
    if not sparse.issparse(seen):
        seen = np.asarray(seen)
        if seen.dtype != bool:
            raise ValueError(f"exclude_seen must be True, False, a sparse matrix or an array of bool, not {seen.dtype}")
    if seen.shape != shape:
        raise ValueError(f"exclude_seen has shape {seen.shape}, but {shape} was asked for (rows, features)")
    return sparse.csr_array(seen)


def check_factors(
    factors: object, data: ObservedData, layers: tuple[int, ...], *, nonnegative: bool = True
) -> list[np.ndarray]:
    """The start that a user gives, copied: F_1, ..., F_L of the right shapes, and nonnegative if that is asked."""
    shapes = layer_shapes(*data.shape, layers)
    if factors is None or len(factors) != len(shapes):
        raise ValueError(f"init='custom' needs fit(..., factors=[F_1, ..., F_{len(shapes)}]) of shapes {shapes}")
    checked = [np.array(F, dtype=data.dtype, order="C") for F in factors]
    for index, (F, shape) in enumerate(zip(checked, shapes, strict=True), 1):
        if F.shape != shape:
            raise ValueError(f"factors: F_{index} has shape {F.shape}, expected {shape} (samples first)")
        if not (np.isfinite(F).all() and (not nonnegative or (F >= 0).all())):
            raise ValueError(f"factors: F_{index} has {'negative or ' if nonnegative else ''}non-finite entries")
    return checked


def describe_empty(data: ObservedData) -> list[str]:
    """One line each if rows or columns have nothing observed."""
    sides = ("rows", "code", data.counts), ("columns", "component column", data.column_counts)
    return [
        f"{empty} {what} of X have no observed entry: they get the mean {kind} of the others"
        for what, kind, counts in sides
        if (empty := np.count_nonzero(counts == 0))
    ]


def describe_gaps(data: ObservedData, layers: tuple[int, ...]) -> list[str]:
    """One line for each thing that nonnegative data leave open, and what is done about it."""
    messages = describe_empty(data)
    sides = ("rows", data.counts, data.positive(0)), ("columns", data.column_counts, data.positive(1))
    for what, counts, positive in sides:
        if zero := np.count_nonzero(~positive & (counts > 0)):
            messages.append(f"{zero} {what} of X are zero wherever observed: they are completed with zeros")
    (n, m), known = data.shape, int(data.counts.sum())
    unknowns = (n + m) * layers[0]
    if layers[0] > min(n, m) or unknowns > known:
        messages.append(
            f"n_components={layers[0]} asks {unknowns} numbers of {known} observed entries in {n} x {m}: "
            "the completion is one of many; lower n_components or raise alpha_W"
        )
    low, high = data.value_range()
    if known > 1 and low == high > 0:
        messages.append(f"all observed entries of X equal {high:g}: n_components=1 describes them")
    return messages


def fill_holes(X: object, mask: object, reconstruction: np.ndarray) -> np.ndarray:
    """``X`` where observed, the reconstruction elsewhere, in the reconstruction's precision."""
    hidden = np.ma.getmaskarray(X) if isinstance(X, np.ma.MaskedArray) else None
    # check_array knows the missing values of pandas, NumPy does not.
    X = X if hidden is None else np.ma.getdata(X)
    values = check_array(X, dtype=reconstruction.dtype, ensure_all_finite=False)
    missing = np.isnan(values)
    if hidden is not None:
        missing |= hidden
    if mask is not None:
        missing |= ~np.asarray(mask, dtype=bool)
    return np.where(missing, reconstruction, values)
