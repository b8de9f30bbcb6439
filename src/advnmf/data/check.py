"""The boundary: input is checked and converted here, once; behind it nobody checks again."""

from __future__ import annotations

import math
from functools import partial
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array, validate_data

from ..arrays.namespaces import Array, as_like, cast, finfo, is_bool, is_tensor, namespace, on_cpu, to_numpy, wide
from . import DenseData, ObservedData, array_data

# Counts beyond these can only be mistakes (or a file that is to hang whoever loads it), since a sweep of the smallest
# matrix takes ten microseconds and a rank of a million 8 MB for each row and column.  Passes within one sweep are
# compiled code, which Ctrl-C does not reach, and after some dozens nothing moves any more.
MOST_SWEEPS, MOST_STARTS, MOST_COMPONENTS, MOST_PASSES = 10**7, 10**6, 10**6, 1000


def check_data(
    estimator: object,
    X: object,
    mask: object = None,
    weights: object = None,
    *,
    reset: bool,
    nonnegative: bool = True,
    tensors: str | None = None,
) -> DenseData:
    """Observed data of ``X``: NaN is missing, so is what `mask` (True = observed) leaves out.

    Weight 0 is not learnt from.  The hidden entries of a `numpy.ma` array are missing too.  Negative values are
    refused if `nonnegative`.  Tensors are refused (None), computed on where they are ("keep") or as NumPy arrays
    ("numpy").
    """
    if sparse.issparse(X):
        raise TypeError(
            "Sparse data was passed for X, but dense data is required: use X.toarray(), with NaN for what is missing"
        )
    hidden = np.ma.getmaskarray(X) if isinstance(X, np.ma.MaskedArray) else None
    if is_tensor(X):
        if tensors is None:
            raise TypeError(
                f"{type(estimator).__name__} takes no tensors: "
                "use NMF or one of its presets, or give X as a NumPy array (X.numpy(force=True))"
            )
        X = check_tensor(X)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        X = tensor_as_numpy(X) if tensors == "numpy" else X
    else:
        X = validate_data(
            estimator,
            np.ma.getdata(X) if hidden is not None else X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            order="C",
        )
    xp = namespace(X)
    zero = xp.zeros_like(X[:1, :1])
    observed = xp.isfinite(X)
    infinite = ~observed & ~xp.isnan(X)
    if mask is not None:
        keep = check_mask(mask, X)
        observed &= keep
        infinite &= keep
    if hidden is not None:
        observed &= ~hidden
        infinite &= ~hidden
    omega = None if weights is None else check_weights(weights, X)
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
        omega = xp.where(observed, cast(omega / weight_scale(estimator, omega, observed, reset=reset), X.dtype), zero)
        observed &= omega > 0  # of those that vanish beside the others
    # New rows may be empty: each must come out the same whatever else is in its batch.
    if reset and not xp.any(observed):
        raise ValueError("X has no observed entry: all are NaN, masked or of weight 0")
    complete = bool(xp.all(observed))
    values = X if complete else xp.where(observed, X, zero)
    if reset:  # of the data alone that set the scale: codes must not depend on their batch
        check_scale(values)
    if omega is not None:
        return array_data(values, weights=omega)
    return array_data(values, None if complete else observed)


def check_tensor(X: Array) -> Array:
    """A dense tensor of two axes in float32 or float64, without its history of gradients."""
    xp, kind = namespace(X), type(X).__name__
    if str(getattr(X, "layout", "torch.strided")) != "torch.strided":
        raise TypeError(
            f"X is a {kind} of layout {X.layout}, which is not taken: give X.to_dense() with NaN for what is missing, "
            "or a scipy sparse matrix"
        )
    if xp.isdtype(X.dtype, "complex floating"):
        raise ValueError(f"Complex data not supported: X is a {kind} of {X.dtype}")
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"X is a {kind} of shape {tuple(X.shape)}: give one of shape (n_samples, n_features), not empty"
        )
    X = X.detach() if hasattr(X, "detach") else X
    return cast(X, X.dtype if X.dtype in (xp.float32, xp.float64) else wide(X))


def tensor_as_numpy(X: Array) -> np.ndarray:
    """A tensor on the CPU for solvers that need NumPy."""
    if not on_cpu(X):
        raise ValueError(f"X lies on the device {X.device}, the chosen solver works on the CPU: set solver='mu'")
    return np.ascontiguousarray(to_numpy(X))


def check_mask(mask: object, X: Array) -> Array:
    """`mask` as booleans, True = observed, beside the array ``X``."""
    mask = mask if is_tensor(mask) else np.asarray(mask)
    if tuple(mask.shape) != tuple(X.shape):
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}, X has {tuple(X.shape)}: "
            "give one flag an entry, True where it is observed"
        )
    if is_bool(mask):
        return as_like(mask, X)
    if mask.dtype == object:
        good = np.frompyfunc(_is_flag, 1, 1)(mask).astype(bool)
    else:
        good = np.isin(mask, (0, 1)) if isinstance(mask, np.ndarray) else (mask == 0) | (mask == 1)
    if at := _first(~good):
        raise ValueError(
            f"mask holds {mask[at]!r} at row {at[0]}, column {at[1]}: only True/1 (observed) and False/0 are allowed"
        )
    return as_like(mask, X) != 0


def _is_flag(value: object) -> bool:
    return isinstance(value, bool | np.bool_ | Real) and value in (0, 1)


def check_weights(weights: object, X: Array) -> Array:
    """`weights` of the entries of ``X``, nonnegative and finite, broadcast from (n, 1) or (1, m) where given so.

    In double precision, as their unit may be anything.
    """
    if np.ma.is_masked(weights):
        raise ValueError("weights must not be masked: mask X instead, or use the argument mask (True = observed)")
    xp = namespace(X)
    try:
        full = xp.broadcast_to(as_like(weights, X, wide(X)), X.shape)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"weights of shape {tuple(np.shape(weights))} do not fit X of shape {tuple(X.shape)}: "
            "give that shape, (n_samples, 1) or (1, n_features)"
        ) from None
    if at := _first(~(xp.isfinite(full) & (full >= 0))):
        raise ValueError(
            f"weights holds {full[at]} at row {at[0]}, column {at[1]}: weights must be finite and not negative"
        )
    return full


def weight_scale(estimator: object, weights: Array, observed: Array, *, reset: bool) -> float:
    """What weights are divided by: their mean over the observed entries of `fit`, which the estimator keeps.

    Only their ratios are to matter: beside a penalty, and inside a loss of sample norms, their unit would too.
    """
    if reset:
        estimator.weight_scale_ = mean_weight(weights, observed)
    return getattr(estimator, "weight_scale_", 1.0)


def mean_weight(weights: Array, observed: Array) -> float:
    """Mean of the weights of the observed entries, without overflow; 1 where there are none."""
    xp = namespace(weights)
    seen = weights[observed]
    top = float(xp.max(seen)) if seen.shape[0] else 0.0
    return top * float(xp.mean(seen / top)) if top > 0 else 1.0


def _first(bad: Array) -> tuple[int, int] | None:
    """Row and column of the first bad entry, or None."""
    xp = namespace(bad)
    if not xp.any(bad):
        return None
    rows, columns = xp.nonzero(bad)
    return int(rows[0]), int(columns[0])


def _refuse_first(bad: Array, X: Array, what: str, fix: str) -> None:
    """Raise naming the first bad entry."""
    if at := _first(bad):
        raise ValueError(f"{what}: {X[at]} at row {at[0]}, column {at[1]}; {fix}")


def check_scale(values: Array) -> None:
    """Squares of the values, summed, must neither overflow nor vanish in the precision of the data."""
    tiny, eps, largest = (float(getattr(finfo(values), name)) for name in ("smallest_normal", "eps", "max"))
    top, size = _largest(values), math.prod(values.shape)
    low, high = tiny**0.5 / eps, 1e-2 * (largest / max(1, size)) ** 0.5
    if top > 0 and not low < top < high:
        raise ValueError(
            f"the largest value of X is {top:g}, outside ({low:.3g}, {high:.3g}) "
            f"where {values.dtype} can be squared: rescale X"
        )


def _largest(values: Array) -> float:
    """The largest absolute value that is no NaN; 0 of none."""
    if isinstance(values, np.ndarray):
        ends = np.fmax.reduce(values, axis=None, initial=0), np.fmin.reduce(values, axis=None, initial=0)
        return float(max(ends[0], -ends[1]))
    xp = namespace(values)
    return float(xp.max(xp.abs(values)))


def check_layers(n_components: object, name: str = "n_components") -> tuple[int, ...]:
    """Layer sizes (r_1, ..., r_p) from one of them or several."""
    layers = tuple(n_components) if isinstance(n_components, (tuple, list, np.ndarray)) else (n_components,)
    if not layers or not all(isinstance(r, Integral) and not isinstance(r, bool) and r >= 1 for r in layers):
        raise ValueError(f"{name}={n_components!r} must be a positive integer, or a tuple of them (one a layer)")
    if max(layers) > MOST_COMPONENTS:
        raise ValueError(f"{name}={n_components!r} must be at most {MOST_COMPONENTS}")
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


def check_strength(name: str, value: object, words: tuple[str, ...]) -> None:
    """Refuse `value` unless it is one of the words, or a finite number that is not negative."""
    if isinstance(value, str):
        if value not in words:
            raise ValueError(f"{name}={value!r} must be {' or '.join(map(repr, words))}, or a number")
    else:
        check_number(name, value)


def check_seed(random_state: object) -> None:
    """Refuse what is not None, a seed or a RandomState."""
    if isinstance(random_state, Integral):
        check_number("random_state", random_state, high=2**32 - 1, integer=True)
    elif not (random_state is None or random_state is np.random or isinstance(random_state, np.random.RandomState)):
        raise ValueError(f"random_state={random_state!r} must be None, an integer or a numpy.random.RandomState")


def check_jobs(n_jobs: object) -> None:
    """Refuse what is not None or an integer other than 0; negative ones count from the number of processors."""
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or isinstance(n_jobs, bool) or n_jobs == 0):
        raise ValueError(f"n_jobs={n_jobs!r} must be None or an integer other than 0")


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


def describe_empty(data: ObservedData) -> list[str]:
    """One line each if rows or columns have nothing observed."""
    return describe_unknown(np.asarray(data.counts) > 0, np.asarray(data.column_counts) > 0)


def describe_unknown(rows: np.ndarray, columns: np.ndarray) -> list[str]:
    """One line each if some rows or columns are not known."""
    return [
        f"{unknown} {what} of X have no observed entry: they get the mean {kind} of the others"
        for what, kind, known in (("rows", "code", rows), ("columns", "component column", columns))
        if (unknown := np.count_nonzero(~known))
    ]


def describe_gaps(data: ObservedData, layers: tuple[int, ...]) -> list[str]:
    """One line for each thing that nonnegative data leave open, and what is done about it."""
    messages = []
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


def check_codes(codes: object, n: int, *, tensors: bool) -> Array:
    """Codes of `n` entries each, for a decoder that takes tensors or not."""
    if is_tensor(codes) and tensors:
        codes = check_tensor(codes)
        if at := _first(~namespace(codes).isfinite(codes)):
            raise ValueError(f"X holds {codes[at]} at row {at[0]}, column {at[1]}: codes must be finite")
    else:
        codes = check_array(codes, dtype=[np.float64, np.float32])
    if codes.shape[1] != n:
        raise ValueError(f"X has {codes.shape[1]} columns, but a code has {n} entries")
    return codes


def fill_holes(X: object, mask: object, reconstruction: Array) -> Array:
    """``X`` where observed, the reconstruction elsewhere, in the reconstruction's precision."""
    hidden = np.ma.getmaskarray(X) if isinstance(X, np.ma.MaskedArray) else None
    # check_array knows the missing values of pandas, NumPy does not.
    X = X if hidden is None else np.ma.getdata(X)
    read = check_tensor if is_tensor(X) else partial(check_array, dtype=reconstruction.dtype, ensure_all_finite=False)
    values = read(X)
    xp = namespace(values)
    missing = xp.isnan(values)
    if hidden is not None:
        missing |= hidden
    if mask is not None:
        missing |= ~check_mask(mask, values)
    return xp.where(missing, reconstruction, values)
