"""Sums over rows keep their digits where terms cancel, and what is missing has no share in them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from advnmf.data import array_data, sparse_data, zero_filled_data


def zero_filled(X):
    stored = sparse.csr_array(X)
    return zero_filled_data(stored.data, stored.indices, stored.indptr, X.shape[1])


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_rows_that_fit_all_but_perfectly(offset):
    """Residuals of 1e-12 beside values of 1, also where an offset and its opposite cancel."""
    rng = np.random.default_rng(0)
    A = np.column_stack([rng.random(7) + 0.1, np.full(7, offset), np.ones(7)])
    B = np.vstack([[1.0, 2.0, 0.0, 0.0, 3.0], np.ones(5), np.full(5, -offset)])
    A[0, 0] = 0
    X = np.outer(A[:, 0], B[0])
    A[:, 0] += 1e-12
    data = zero_filled(X)
    expected = np.square(X - A @ B).sum(axis=1)
    np.testing.assert_allclose(data.squared_norms(data.predict(A, B)), expected, rtol=1e-3)


@pytest.mark.parametrize("storage", ["dense", "sparse"])
def test_a_square_beyond_float32_where_nothing_was_observed(storage):
    """A prediction of 1e25 at a missing entry, whose square float32 does not hold."""
    X, omega = np.ones((2, 3), np.float32), np.array([[1, 0, 2], [1, 1, 0]], np.float32)
    P = np.where(omega > 0, np.float32(2), np.float32(1e25))
    c = np.full(2, 0.3, np.float32)
    if storage == "dense":
        data = array_data(X, omega)
    else:
        indices, indptr = np.tile(np.arange(3), 2), np.array([0, 3, 6])
        data, P = sparse_data(X.ravel(), indices, indptr, 3, omega.ravel()), P.ravel()
    np.testing.assert_allclose(data.squared_norms(P), [3, 2])
    np.testing.assert_allclose(data.clipped_sums(P, c), [[3, 2], [0, 0], [0, 0]])
    if storage == "dense":
        for sums in (data.errors, data.residuals):
            arguments = (P.copy(), np.zeros(3, np.float32)) if sums == data.errors else (P.copy(),)
            np.testing.assert_allclose(sums(*arguments)[1], [3, 2])
