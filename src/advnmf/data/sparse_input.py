"""The boundary for sparse matrices: a stored NaN is missing; what is not stored is zero or missing, as is said."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from . import SparseData, sparse_data, zero_filled_data
from .check import check_scale, weight_scale


def check_sparse_data(
    estimator: object, X: object, mask: object, weights: object, *, reset: bool, missing: str
) -> SparseData:
    """Observed data of a sparse matrix; `missing` "zero": what is not stored is an observed zero, "absent": missing.

    Nothing is copied of a compressed-row matrix that is sorted, without duplicates and without NaN.
    """
    if mask is not None:
        raise ValueError(
            "mask goes with dense X only: store NaN in a sparse one, "
            "or store just what is observed with sparse_missing='absent'"
        )
    matrix = validate_data(
        estimator,
        canonical(X),
        reset=reset,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
    )
    _check_values(matrix)
    if reset:
        check_scale(matrix.data)
    there = ~np.isnan(matrix.data)
    omega = None
    if weights is not None:
        omega = _check_weights(weights, matrix, missing)
        omega = omega / weight_scale(estimator, omega, there & (omega > 0), reset=reset)
        omega = omega.astype(matrix.dtype)
    shape = matrix.shape
    if missing == "zero":
        values = matrix.data if there.all() else np.where(there, matrix.data, 0).astype(matrix.dtype)
        known = None if there.all() else there.astype(np.uint8)
        if reset and np.count_nonzero(~there) == shape[0] * shape[1]:
            raise ValueError("X has no observed entry: all are NaN")
        return zero_filled_data(values, matrix.indices, matrix.indptr, shape[1], known)
    if not there.all():
        kept = np.concatenate([[0], np.cumsum(there)])[matrix.indptr].astype(matrix.indptr.dtype)
        omega = None if omega is None else omega[there]
        matrix = sparse.csr_array((matrix.data[there], matrix.indices[there], kept), shape=shape)
    if reset and (matrix.nnz == 0 or (omega is not None and not omega.any())):
        raise ValueError(
            "X has no observed entry: none is stored (sparse_missing='absent'), or all are NaN or of weight 0"
        )
    return sparse_data(matrix.data, matrix.indices, matrix.indptr, shape[1], omega)


def fill_sparse(
    X: object,
    missing: str,
    codes: np.ndarray,
    components: np.ndarray,
    clipped: Callable[[np.ndarray], np.ndarray],
) -> sparse.csr_array | np.ndarray:
    """``X`` with its holes filled by clipped predictions: still sparse if only NaN are missing, else an array."""
    matrix = sparse.csr_array(canonical(X), dtype=codes.dtype, copy=True)
    holes = np.isnan(matrix.data)
    if missing == "zero":
        stored = SparseData(matrix.data, matrix.indices, matrix.indptr, matrix.shape[1])
        matrix.data[holes] = clipped(stored.predict(codes, components)[holes])
        return matrix
    filled = clipped(codes @ components)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    filled[rows[~holes], matrix.indices[~holes]] = matrix.data[~holes]
    return filled


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


def _check_values(matrix: sparse.csr_array) -> None:
    """Refuse infinite and negative values, naming the first."""
    for bad, what, fix in (
        (np.isinf(matrix.data), "Input X contains infinity", "a stored NaN stands for a missing entry"),
        (matrix.data < 0, "Negative values in data passed to X", "only nonnegative values can be factorised"),
    ):
        if bad.any():
            n = int(np.argmax(bad))
            row = int(np.searchsorted(matrix.indptr, n, side="right")) - 1
            raise ValueError(f"{what}: {matrix.data[n]} at row {row}, column {matrix.indices[n]}; {fix}")


def _check_weights(weights: object, matrix: sparse.csr_array, missing: str) -> np.ndarray:
    """Weights of the stored entries: a sparse matrix that stores just the same entries."""
    if missing != "absent" or not sparse.issparse(weights):
        raise ValueError("weights of a sparse X must be sparse too, and need sparse_missing='absent'")
    weights = canonical(weights)
    same = weights.shape == matrix.shape and weights.nnz == matrix.nnz
    if not (same and (weights.indptr == matrix.indptr).all() and (weights.indices == matrix.indices).all()):
        raise ValueError("weights must store the same entries as X")
    if not (np.isfinite(weights.data) & (weights.data >= 0)).all():
        raise ValueError("weights must be finite and not negative")
    return weights.data.astype(np.float64)
