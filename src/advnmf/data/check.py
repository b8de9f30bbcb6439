"""Checks of parameters, codes and indices, and what there is to say of data with gaps."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

from ..arrays.namespaces import Array, is_tensor, namespace
from . import ObservedData
from .boundary import check_tensor, first_of

# Counts beyond these can only be mistakes (or a file that is to hang whoever loads it), since a sweep of the smallest
# matrix takes ten microseconds and a rank of a million 8 MB for each row and column.  Passes within one sweep are
# compiled code, which Ctrl-C does not reach, and after some dozens nothing moves any more.
MOST_SWEEPS, MOST_STARTS, MOST_COMPONENTS, MOST_PASSES = 10**7, 10**6, 10**6, 1000


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
        if at := first_of(~namespace(codes).isfinite(codes)):
            raise ValueError(f"X holds {codes[at]} at row {at[0]}, column {at[1]}: codes must be finite")
    else:
        codes = check_array(codes, dtype=[np.float64, np.float32])
    if codes.shape[1] != n:
        raise ValueError(f"X has {codes.shape[1]} columns, but a code has {n} entries")
    return codes
