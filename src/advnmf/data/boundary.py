"""The boundary: whatever a user gives as ``X``, ``mask`` and ``weights`` is read here, once, into one object.

Later code is given that object, or the data made of it, and assumes valid input.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, as_like, cast, finfo, is_bool, is_tensor, namespace, on_cpu, to_numpy, wide
from . import ArrayData, ObservedData, SparseData, array_data, sparse_data, zero_filled_data

_FLOATS = [np.float64, np.float32]


def read_observed(
    X: object,
    mask: object = None,
    weights: object = None,
    *,
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
        return _read_sparse(X, mask, weights, estimator, reset, sparse_missing)
    X, hidden = unmasked(X)
    X = _read_tensor(X, estimator, reset, tensors) if is_tensor(X) else _validated(X, estimator, reset, order="C")
    known = ~namespace(X).isnan(X)
    if hidden is not None:
        known &= ~hidden
    if mask is not None:
        known &= check_mask(mask, X)
    weights = None if weights is None else check_weights(weights, X)
    _refuse_first(
        namespace(X).isinf(X) & known,
        X,
        "Input X contains infinity",
        "NaN stands for a missing entry; mark it so or mask it",
    )
    return DenseObserved(X, known, weights)


@dataclass(frozen=True)
class Observed(ABC):
    """The values of ``X``, which of them are known, and their weights (None: all count once).

    Flags of entries are a boolean array of the shape of a dense ``X``, or a boolean vector over what a sparse one
    stores, in the order of its compressed rows; weights are so too.  Values that are not known may be anything.
    `missing` says what a sparse ``X`` does not store: "zero", or "absent".
    """

    X: Array | sparse.csr_array
    known: Array
    weights: Array | None = None
    missing: str = "absent"

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of X."""
        return self.X.shape

    @property
    @abstractmethod
    def values(self) -> Array:
        """Values of all entries, in the shape of the flags."""

    @abstractmethod
    def data(
        self, weight_scale: float | None = None, *, nonnegative: bool = True, fitting: bool = True
    ) -> ObservedData:
        """What models compute with, weights divided by `weight_scale` (their mean unless given).

        Negative values are refused if `nonnegative`; for `fitting` also data without any entry, and values that are too
        large or too small to be squared.  (New rows may be empty: none depends on the others of its batch.)
        """

    @abstractmethod
    def filled(self, whole: Callable[[], Array], at: Callable[[SparseData], Array]) -> Array | sparse.csr_array:
        """``X`` with what is missing taken from a reconstruction, the `whole` of it or just `at` some entries."""

    @abstractmethod
    def pairs(self) -> tuple[Array, Array]:
        """Rows and columns of the observed entries, row by row."""

    @abstractmethod
    def training(self, train: Array) -> Array | sparse.csr_array:
        """A copy of X with NaN for all but `train`."""

    @abstractmethod
    def held_out(self, test: Array) -> SparseData:
        """The entries of `test` with their weights; nothing else is built."""

    @abstractmethod
    def take(self, rows: Array, columns: Array) -> Self:
        """Those of some rows and columns, given as flags."""

    @abstractmethod
    def with_observed(self, values: Array) -> Self:
        """Other values of the observed entries, in the order of `pairs`."""

    @property
    def given_weights(self) -> Array | sparse.csr_array | None:
        """The weights as `fit` takes them beside ``X``."""
        return self.weights

    @cached_property
    def observed(self) -> Array:
        """Flags of what there is to learn from: known entries of positive weight."""
        return self.known if self.weights is None else self.known & (self.weights > 0)

    @property
    def observed_values(self) -> Array:
        """Values of the observed entries, in the order of `pairs`."""
        return self.values[self.observed]

    @cached_property
    def mean_weight(self) -> float:
        """Mean of the weights of the observed entries: only their ratios are to matter.

        Beside a penalty, and inside a loss of sample norms, their unit would too.
        """
        return mean_weight(self.weights, self.observed)

    def only(self, these: Array, missing: str | None = None) -> Self:
        """Nothing known but some of the observed entries, given as flags; with another meaning of what is `missing`."""
        return replace(self, known=these, missing=missing or self.missing)

    def without(self, these: Array) -> Self:
        """All but some of the observed entries, flagged in the order of `pairs`."""
        return self.only(self.flags(~these))

    def flags(self, chosen: Array) -> Array:
        """Flags of all entries from flags of the observed ones."""
        flags = np.zeros_like(self.observed)
        flags[self.observed] = chosen
        return flags


@dataclass(frozen=True)
class DenseObserved(Observed):
    """An array of any namespace; what is done for the choice of models (folds, parts) is for NumPy arrays."""

    @property
    def values(self) -> Array:
        """Values of all entries."""
        return self.X

    def data(self, weight_scale: float | None = None, *, nonnegative: bool = True, fitting: bool = True) -> ArrayData:
        """An array with a mask or weights; X itself where it is complete."""
        X, xp, observed, omega = self.X, namespace(self.X), self.observed, None
        if nonnegative:
            _refuse_first((X < 0) & self.known, X, *_NEGATIVE)
        if self.weights is not None:
            scale = self.mean_weight if weight_scale is None else weight_scale
            omega = xp.where(observed, cast(self.weights / scale, X.dtype), 0)
            observed = omega > 0  # without those that vanish beside the others
        if fitting and not xp.any(observed):
            raise ValueError("X has no observed entry: all are NaN, masked or of weight 0")
        complete = bool(xp.all(observed))
        values = X if complete else xp.where(observed, X, 0)
        if fitting:
            check_scale(values)
        return array_data(values, omega if omega is not None or complete else observed)

    def filled(self, whole: Callable[[], Array], at: Callable[[SparseData], Array]) -> Array:
        """``X`` where known, the reconstruction elsewhere, in the reconstruction's precision."""
        P = whole()
        return namespace(P).where(as_like(self.known, P), as_like(self.X, P, P.dtype), P)

    def pairs(self) -> tuple[Array, Array]:
        """Rows and columns of the observed entries, row by row."""
        return np.nonzero(self.observed)

    def training(self, train: Array) -> Array:
        """A copy of X with NaN for all but `train`."""
        return np.where(train, self.X, self.X.dtype.type(np.nan))

    def held_out(self, test: Array) -> SparseData:
        """The entries of `test` with their weights."""
        columns = np.nonzero(test)[1].astype(np.int32)
        indptr = np.append(0, np.cumsum(np.count_nonzero(test, axis=1)))
        omega = None if self.weights is None else self.weights[test]
        return sparse_data(self.values[test], columns, indptr, self.shape[1], omega)

    def take(self, rows: Array, columns: Array) -> Self:
        """Those of some rows and columns."""
        part = np.ix_(rows, columns)
        return replace(
            self, X=self.X[part], known=self.known[part], weights=None if self.weights is None else self.weights[part]
        )

    def with_observed(self, values: Array) -> Self:
        """Other values of the observed entries."""
        X = self.X.copy()
        X[self.observed] = values
        return replace(self, X=X)


@dataclass(frozen=True)
class SparseObserved(Observed):
    """Compressed rows; a stored NaN is missing, and what is not stored is zero or missing, but never held out."""

    @property
    def values(self) -> Array:
        """Values of the stored entries."""
        return self.X.data

    @property
    def given_weights(self) -> sparse.csr_array | None:
        """A sparse matrix."""
        return None if self.weights is None else self._matrix(self.weights)

    def data(self, weight_scale: float | None = None, *, nonnegative: bool = True, fitting: bool = True) -> SparseData:
        """Compressed rows; of a matrix without NaN nothing is copied."""
        if nonnegative:
            self._refuse_first((self.values < 0) & self.known, *_NEGATIVE)
        known, (indices, indptr), omega = self.known, (self.X.indices, self.X.indptr), None
        if fitting:
            check_scale(self.values if known.all() else self.values[known])
        if self.missing == "zero":
            return self._zero_filled(fitting)
        if self.weights is not None:
            scale = self.mean_weight if weight_scale is None else weight_scale
            omega = (self.weights / scale).astype(self.X.dtype)
        values = self.values
        if not known.all():
            indptr = np.concatenate([[0], np.cumsum(known)])[indptr].astype(indptr.dtype)
            values, indices, omega = values[known], indices[known], None if omega is None else omega[known]
        if fitting and (not values.size or (omega is not None and not omega.any())):
            raise ValueError(
                "X has no observed entry: none is stored (sparse_missing='absent'), or all are NaN or of weight 0"
            )
        return sparse_data(values, indices, indptr, self.shape[1], omega)

    def _zero_filled(self, fitting: bool) -> SparseData:
        if self.weights is not None:
            raise ValueError(_SPARSE_WEIGHTS)
        if fitting and np.count_nonzero(~self.known) == math.prod(self.shape):
            raise ValueError("X has no observed entry: all are NaN")
        values, known = self.values, None
        if not self.known.all():
            values, known = np.where(self.known, values, values.dtype.type(0)), self.known.astype(np.uint8)
        return zero_filled_data(values, self.X.indices, self.X.indptr, self.shape[1], known)

    def filled(self, whole: Callable[[], Array], at: Callable[[SparseData], Array]) -> Array | sparse.csr_array:
        """Still sparse if only NaN are missing, else an array."""
        if self.missing == "zero":
            filled = self._matrix(self.values).copy()
            filled.data[~self.known] = at(replace(self, weights=None).held_out(~self.known))
            return filled
        filled, (rows, columns) = whole(), replace(self, weights=None).pairs()
        filled[rows, columns] = self.values[self.known]
        return filled

    def pairs(self) -> tuple[Array, Array]:
        """Rows and columns of the observed entries, row by row."""
        return self._rows[self.observed], self.X.indices[self.observed]

    def training(self, train: Array) -> sparse.csr_array:
        """A copy of X with a stored NaN for all stored but `train`: missing, whatever is said of absent entries."""
        return self._matrix(np.where(train, self.values, self.X.dtype.type(np.nan)))

    def held_out(self, test: Array) -> SparseData:
        """The entries of `test` with their weights."""
        indptr = np.append(0, np.cumsum(test))[self.X.indptr]
        omega = None if self.weights is None else self.weights[test]
        return sparse_data(self.values[test], self.X.indices[test], indptr, self.shape[1], omega)

    def take(self, rows: Array, columns: Array) -> Self:
        """Those of some rows and columns."""
        of_row, shape = self._rows, (np.count_nonzero(rows), np.count_nonzero(columns))
        kept = rows[of_row] & columns[self.X.indices]
        indptr = np.append(0, np.cumsum(np.bincount(of_row[kept], minlength=self.shape[0])[rows]))
        indices = (np.cumsum(columns) - 1)[self.X.indices[kept]]
        X = sparse.csr_array((self.values[kept], indices, indptr), shape=shape)
        return replace(self, X=X, known=self.known[kept], weights=None if self.weights is None else self.weights[kept])

    def with_observed(self, values: Array) -> Self:
        """Other values of the observed entries."""
        stored = self.values.copy()
        stored[self.observed] = values
        return replace(self, X=self._matrix(stored))

    @property
    def _rows(self) -> Array:
        """The row of each stored entry."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.X.indptr))

    def _matrix(self, stored: Array) -> sparse.csr_array:
        """The same pattern with other numbers."""
        return sparse.csr_array((stored, self.X.indices, self.X.indptr), shape=self.shape)

    def _refuse_first(self, bad: Array, what: str, fix: str) -> None:
        """Raise naming the first bad entry."""
        if bad.any():
            n = int(np.argmax(bad))
            row, column = int(self._rows[n]), self.X.indices[n]
            raise ValueError(f"{what}: {self.values[n]} at row {row}, column {column}; {fix}")


_NEGATIVE = "Negative values in data passed to X", "only nonnegative values can be factorised"
_SPARSE_WEIGHTS = "weights of a sparse X must be sparse too, and need sparse_missing='absent'"


# --- parts of it -------------------------------------------------------------------------------------------------


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
    observed._refuse_first(
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
        raise ValueError(_SPARSE_WEIGHTS)
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


def mean_weight(weights: Array, observed: Array) -> float:
    """Mean of the weights of the observed entries, without overflow; 1 where there are none."""
    xp = namespace(weights)
    seen = weights[observed]
    top = float(xp.max(seen)) if seen.shape[0] else 0.0
    return top * float(xp.mean(seen / top)) if top > 0 else 1.0


def first_of(bad: Array) -> tuple[int, int] | None:
    """Row and column of the first bad entry, or None."""
    xp = namespace(bad)
    if not xp.any(bad):
        return None
    rows, columns = xp.nonzero(bad)
    return int(rows[0]), int(columns[0])


def _refuse_first(bad: Array, X: Array, what: str, fix: str) -> None:
    """Raise naming the first bad entry."""
    if at := first_of(bad):
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
