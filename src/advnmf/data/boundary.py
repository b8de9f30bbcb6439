"""The boundary: whatever a user gives as ``X``, ``mask`` and ``weights`` is read here, once, into one object.

Later code is given that object, or the data made of it, and assumes valid input.
"""

from __future__ import annotations

import warnings
from numbers import Real

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from ..arrays.namespaces import Array, as_like, cast, is_bool, is_tensor, namespace, on_cpu, to_numpy, wide
from .censored import ABOVE, BELOW, MEASURED
from .observed import SPARSE_WEIGHTS, DenseObserved, Observed, SparseObserved, first_of, refuse_first

_FLOATS = [np.float64, np.float32]
# Signs of laboratories, and what they say of the truth.
_SIDES = {"<": BELOW, ">": ABOVE, "": MEASURED}


def read_observed(
    X: object,
    mask: object = None,
    weights: object = None,
    *,
    censored: object = None,
    estimator: BaseEstimator | None = None,
    reset: bool = True,
    tensors: str | None = "numpy",
    sparse_missing: str | None = "absent",
) -> Observed:
    """What was observed of ``X``: not NaN, not hidden in a `numpy.ma` array, not left out by `mask` (True = observed).

    Parameters
    ----------
    X : array-like, data frame, masked array, tensor or sparse matrix
    mask : array-like of bool, optional
        Of the shape of X.  Where no `estimator` asks: of a sparse X one flag for each stored entry.
    weights : array-like, optional
        Of the shape of X or broadcastable to it; of a sparse X, sparse with the same entries.  Weight 0 is known, but
        not learnt from.
    censored : array-like, optional
        Of the shape of a dense X: "<" (or True) where the truth is at most the value in X, such as a limit of
        detection, ">" where it is at least that, else "" (or False).
    estimator : estimator, optional
        Who asks: its features are checked, or taken from X with `reset`.
    tensors : {"numpy", "keep", None}
        Tensors are read as NumPy arrays, kept where they are, or refused.
    sparse_missing : {"absent", "zero", None}
        What sparse matrices do not store is missing, or an observed zero; or they are refused.
    """
    if sparse.issparse(X):
        if sparse_missing is None:
            raise TypeError(
                "Sparse data was passed for X, but dense data is required: "
                "use X.toarray(), with NaN for what is missing"
            )
        if censored is not None:
            raise ValueError("censored goes with dense X only: use X.toarray(), with NaN for what is missing")
        return _read_sparse(X, mask, weights, estimator, reset, sparse_missing)
    X, hidden = unmasked(X)
    X = _read_tensor(X, estimator, reset, tensors) if is_tensor(X) else _validated(X, estimator, reset, order="C")
    known = ~namespace(X).isnan(X)
    sides = None if censored is None else check_censored(censored, X, known)
    if hidden is not None:
        known &= ~hidden
    if mask is not None:
        known &= check_mask(mask, X)
    weights = None if weights is None else check_weights(weights, X)
    refuse_first(
        namespace(X).isinf(X) & known,
        X,
        "Input X contains infinity",
        "NaN stands for a missing entry; mark it so or mask it",
    )
    return DenseObserved(X, known, weights, sides=sides)


def unmasked(X: object) -> tuple[object, Array | None]:
    """The data of a `numpy.ma` array and flags of what it hides; anything else as it is, and None."""
    if not isinstance(X, np.ma.MaskedArray):
        return X, None
    return np.ma.getdata(X), np.ma.getmaskarray(X)


def _validated(X: object, estimator: BaseEstimator | None, reset: bool, **how: object) -> Array:
    """`X` in float32 or float64, by scikit-learn's rules."""
    how |= {"dtype": _FLOATS, "ensure_all_finite": False}
    return check_array(X, **how) if estimator is None else validate_data(estimator, X, reset=reset, **how)


def _read_tensor(X: Array, estimator: BaseEstimator | None, reset: bool, tensors: str | None) -> Array:
    if tensors is None:
        raise TypeError(
            f"{type(estimator).__name__} takes no tensors: "
            "use NMF or one of its presets, or give X as a NumPy array (X.numpy(force=True))"
        )
    X = check_tensor(X)
    if estimator is not None:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    return tensor_as_numpy(X) if tensors == "numpy" else X


def _read_sparse(
    X: object, mask: object, weights: object, estimator: BaseEstimator | None, reset: bool, missing: str
) -> SparseObserved:
    """Compressed rows; nothing is copied of a matrix that is sorted and without duplicates."""
    if mask is not None and estimator is not None:
        raise ValueError(
            "mask goes with dense X only: store NaN in a sparse one, "
            "or store just what is observed with sparse_missing='absent'"
        )
    matrix = sparse.csr_array(_validated(canonical(X), estimator, reset, accept_sparse="csr"))
    known = ~np.isnan(matrix.data)
    if mask is not None:
        known &= _check_stored_mask(mask, len(known))
    weights = None if weights is None else _check_stored_weights(weights, matrix, missing)
    observed = SparseObserved(matrix, known, weights, missing)
    observed.refuse_first(
        np.isinf(matrix.data) & known, "Input X contains infinity", "a stored NaN stands for a missing entry"
    )
    return observed


def canonical(X: object) -> sparse.csr_array:
    """Compressed rows, sorted, each entry once; the user's matrix is left as it is."""
    matrix = X.tocsr()
    # Conversion from coordinates adds up; other formats count padding as stored.
    summed = X.nnz - matrix.nnz if X.format == "coo" else 0
    if not matrix.has_canonical_format:
        before = matrix.nnz
        matrix = matrix.copy() if matrix is X else matrix
        matrix.sum_duplicates()
        summed += before - matrix.nnz
    if summed:
        warnings.warn(f"X stores {summed} entries more than once: they are added up", UserWarning, stacklevel=2)
    return matrix


def _check_stored_mask(mask: object, n: int) -> Array:
    """Flags of the stored entries."""
    mask = np.asarray(mask)
    if mask.shape != (n,) or mask.dtype != bool:
        raise ValueError(
            f"mask of a sparse X must be {n} booleans, one for each stored entry in the order of its "
            f"compressed rows (True = observed); got {mask.dtype} of shape {mask.shape}"
        )
    return mask


def _check_stored_weights(weights: object, matrix: sparse.csr_array, missing: str) -> Array:
    """Weights of the stored entries: a sparse matrix that stores just the same entries."""
    if missing != "absent" or not sparse.issparse(weights):
        raise ValueError(SPARSE_WEIGHTS)
    weights = canonical(weights)
    same = weights.shape == matrix.shape and weights.nnz == matrix.nnz
    if not (same and (weights.indptr == matrix.indptr).all() and (weights.indices == matrix.indices).all()):
        raise ValueError("weights must store the same entries as X")
    if not (np.isfinite(weights.data) & (weights.data >= 0)).all():
        raise ValueError("weights must be finite and not negative")
    return weights.data.astype(np.float64)


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
    if at := first_of(~good):
        raise ValueError(
            f"mask holds {mask[at]!r} at row {at[0]}, column {at[1]}: only True/1 (observed) and False/0 are allowed"
        )
    return as_like(mask, X) != 0


def _is_flag(value: object) -> bool:
    return isinstance(value, bool | np.bool_ | Real) and value in (0, 1)


def check_censored(censored: object, X: Array, present: Array) -> Array:
    """Sides of the entries of ``X``: -1 for "<" or True, 1 for ">", else 0; a bound must be present."""
    signs = np.asarray(to_numpy(censored))
    if tuple(signs.shape) != tuple(X.shape):
        raise ValueError(
            f"censored has shape {tuple(signs.shape)}, X has {tuple(X.shape)}: give one flag or sign an entry, True or "
            "'<' where the truth is at most the value in X"
        )
    if signs.dtype == bool:
        sides = -signs.astype(np.int8)
    else:
        sides = np.frompyfunc(_side, 1, 1)(signs)
        if at := first_of(np.equal(sides, None)):
            raise ValueError(
                f"censored holds {signs.tolist()[at[0]][at[1]]!r} at row {at[0]}, column {at[1]}: only True or '<' "
                "(the truth is at most the value in X), '>' (at least that), and False or '' (measured) are allowed"
            )
        sides = sides.astype(np.int8)
    sides = as_like(sides, X)
    if at := first_of((sides != 0) & ~present):
        raise ValueError(
            f"censored marks row {at[0]}, column {at[1]}, where X is missing: X must hold the bound there, such as the "
            "limit of detection"
        )
    return sides


def _side(sign: object) -> int | None:
    """The side that a sign, a flag or nothing (None, NaN) stands for; None if it is neither."""
    if isinstance(sign, str):
        return _SIDES.get(sign.strip())
    if sign is None or (isinstance(sign, float) and np.isnan(sign)):
        return MEASURED
    return -int(sign) if _is_flag(sign) else None


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
    if at := first_of(~(xp.isfinite(full) & (full >= 0))):
        raise ValueError(
            f"weights holds {full[at]} at row {at[0]}, column {at[1]}: weights must be finite and not negative"
        )
    return full
