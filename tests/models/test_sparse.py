"""Sparse matrices through the estimators: what is not stored, NaN, duplicates, formats, bad input."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from advnmf import ADNMF, ATNMF, EADNMF, NMF, Correntropy, DeepNMF, FrobeniusPenalty, NMFImputer
from problems import low_rank

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
MODELS = [NMF(3), NMF(3, solver="mu"), NMF(3, loss="l21"), ATNMF(3), DeepNMF((4, 3)), ADNMF((4, 3)), EADNMF((4, 3))]
models = pytest.mark.parametrize("model", MODELS, ids=repr)
FORMATS = [sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.csr_matrix, sparse.lil_array]


@pytest.fixture
def holes():
    rng = np.random.default_rng(0)
    X = low_rank(rng, (40, 25), 3)
    X[3, 4] = X[20, 7] = 0.0
    mask = rng.random(X.shape) > 0.5
    mask[3, 4] = mask[20, 7] = True
    return X, mask


def stored(X, mask, cls=sparse.csr_array, index=np.int32):
    """Only what is observed is stored, observed zeros included."""
    rows, columns = np.nonzero(mask)
    matrix = sparse.coo_array((X[mask], (rows.astype(index), columns.astype(index))), shape=X.shape)
    return cls(matrix)


def quick(model, **parameters):
    return clone(model).set_params(**{"max_iter": 30, "random_state": 0, **parameters})


@models
def test_absent_means_missing(model, holes):
    X, mask = holes
    dense = quick(model).fit(X, mask=mask)
    loose = quick(model, sparse_missing="absent").fit(stored(X, mask))
    np.testing.assert_allclose(loose.reconstruct(), dense.reconstruct(), rtol=1e-5)
    np.testing.assert_allclose(loose.loss_curve_, dense.loss_curve_, rtol=1e-7)
    assert loose.reconstruction_err_ == pytest.approx(dense.reconstruction_err_, rel=1e-6)
    np.testing.assert_allclose(loose.transform(stored(X, mask)), dense.transform(X, mask=mask), rtol=1e-3, atol=1e-5)
    assert loose.score(stored(X, mask)) == pytest.approx(dense.score(X, mask=mask), rel=1e-4)


@models
def test_zero_means_zero(model, holes):
    X, mask = holes
    Z = np.where(mask, X, 0)
    dense, loose = quick(model).fit(Z), quick(model).fit(sparse.csr_array(Z))
    np.testing.assert_allclose(loose.loss_curve_, dense.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(loose.reconstruct(), dense.reconstruct(), rtol=1e-3, atol=1e-5)


@models
@pytest.mark.parametrize("missing", ["zero", "absent"])
def test_stored_nan_is_missing(model, missing, holes):
    X, mask = holes
    Z = stored(X, mask)
    gone = np.random.default_rng(1).random(Z.nnz) < 0.2
    Z.data[gone] = np.nan
    fitted = quick(model, sparse_missing=missing).fit(Z)
    junk = Z.copy()
    rows = np.repeat(np.arange(40), np.diff(Z.indptr))[gone]
    filled = fitted.complete(Z)
    if missing == "zero":
        assert sparse.issparse(filled)
        filled = filled.toarray()
        assert (filled[~mask] == 0).all()
    np.testing.assert_array_equal(filled[mask][~gone], X[mask][~gone])
    assert np.isfinite(filled[rows, Z.indices[gone]]).all()
    np.testing.assert_array_equal(junk.data, Z.data)


@pytest.mark.parametrize("cls", FORMATS)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_formats_and_index_types(cls, index, holes):
    X, mask = holes
    matrix = stored(X, mask, cls, index)
    expected = quick(NMF(3, sparse_missing="absent")).fit(stored(X, mask))
    np.testing.assert_allclose(quick(NMF(3, sparse_missing="absent")).fit(matrix).reconstruct(), expected.reconstruct())


def test_float32_is_kept(holes):
    X, mask = holes
    model = quick(NMF(3, sparse_missing="absent")).fit(stored(X.astype(np.float32), mask))
    assert model.factors_[0].dtype == model.transform(stored(X.astype(np.float32), mask)).dtype == np.float32


def test_input_is_left_as_it_is(holes):
    X, mask = holes
    matrix = stored(X, mask)
    # Unsorted within rows, which is allowed.
    matrix.indices[: matrix.indptr[1]] = matrix.indices[: matrix.indptr[1]][::-1].copy()
    matrix.has_sorted_indices = matrix.has_canonical_format = False
    before = matrix.data.copy(), matrix.indices.copy(), matrix.indptr.copy()
    quick(NMF(3, sparse_missing="absent")).fit_complete(matrix)
    for kept, now in zip(before, (matrix.data, matrix.indices, matrix.indptr), strict=True):
        np.testing.assert_array_equal(kept, now)


def test_duplicates_are_added_up_with_a_warning():
    twice = sparse.coo_array(([1.0, 2.0, 5.0, 1.0], ([0, 0, 1, 2], [1, 1, 0, 1])), shape=(3, 2))
    with pytest.warns(UserWarning, match="1 entries more than once"):
        filled = quick(NMF(1), max_iter=500).fit_complete(twice)
    np.testing.assert_array_equal(filled.toarray(), [[0, 3], [5, 0], [0, 1]])


def test_weights_go_with_stored_entries(holes):
    X, mask = holes
    weights = np.random.default_rng(2).uniform(0.5, 2, X.shape)
    dense = quick(NMF(3)).fit(X, mask=mask, weights=weights)
    loose = quick(NMF(3, sparse_missing="absent")).fit(stored(X, mask), weights=stored(weights, mask))
    np.testing.assert_allclose(loose.loss_curve_, dense.loss_curve_, rtol=1e-7)


def test_rows_of_a_batch_do_not_matter_to_each_other(holes):
    X, mask = holes
    matrix = stored(X, mask)
    model = quick(EADNMF((4, 3), sparse_missing="absent")).fit(matrix)
    together = model.transform(matrix)
    for i in (0, 17, 39):
        np.testing.assert_allclose(model.transform(matrix[[i]])[0], together[i], rtol=1e-9)


def test_predict_gives_pairs(holes):
    X, mask = holes
    model = quick(NMF(3)).fit(X, mask=mask)
    whole = model.reconstruct()
    np.testing.assert_allclose(model.predict_pairs([3, 1, 3], [0, 24, 7]), whole[[3, 1, 3], [0, 24, 7]])
    assert model.predict_pairs([], []).shape == (0,)
    for rows, columns, message in [
        ([40], [0], "rows holds 40"),
        ([0], [-1], "columns holds -1"),
        ([0.5], [0], "integers"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.predict_pairs(rows, columns)


@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
@pytest.mark.parametrize("missing", ["zero", "absent"])
def test_large_and_sparse_is_never_made_dense(missing):
    rng = np.random.default_rng(3)
    n, m, entries = 60_000, 40_000, 200_000  # dense: 19 GB
    matrix = sparse.coo_array(
        (rng.random(entries, dtype=np.float32), (rng.integers(0, n, entries), rng.integers(0, m, entries))),
        shape=(n, m),
    ).tocsr()
    model = NMF(4, sparse_missing=missing, max_iter=2, tol=0, random_state=0)
    model.fit(matrix[:50, :60] if missing == "zero" else matrix[:5000])  # compile
    tracemalloc.start()
    model.fit(matrix)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    factors = 8 * 4 * (n + m)
    assert peak < 3 * 8 * entries + 10 * factors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": -1.0}, "Negative values in data passed to X: -1.0 at row 1, column 1"),
        ({"data": np.inf}, "infinity: inf at row 1, column 1"),
        ({"mask": np.ones((3, 2))}, "mask goes with dense X"),
        ({"weights": np.ones((3, 2))}, "weights of a sparse X must be sparse"),
        ({"weights": sparse.csr_array(np.eye(3, 2))}, "weights must store the same entries"),
        ({"weights": sparse.csr_array([[1.0, 0], [0, -1], [1, 0]])}, "finite and not negative"),
    ],
)
def test_bad_input_is_refused(change, message):
    matrix = sparse.csr_array([[1.0, 0], [0, change.pop("data", 2.0)], [3, 0]])
    with pytest.raises(ValueError, match=message):
        NMF(1, sparse_missing="absent").fit(matrix, **change)


def test_only_nan_stored_is_nothing_observed():
    full = sparse.csr_array((np.full(4, np.nan), ([0, 0, 1, 1], [0, 1, 0, 1])), shape=(2, 2))
    with pytest.raises(ValueError, match="no observed entry"):
        NMF(1).fit(full)


@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
def test_entry_losses_take_batches_with_nothing_stored(holes):
    X, mask = holes
    model = NMF(3, loss=Correntropy(1.0), adversary=FrobeniusPenalty(2.0), sparse_missing="absent", max_iter=20)
    codes = model.fit(stored(X, mask)).transform(sparse.csr_array((2, 25)))
    np.testing.assert_allclose(codes, np.tile(model.mean_code_, (2, 1)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_perfect_fit_of_a_zero_filled_matrix_is_seen(dtype):
    rng = np.random.default_rng(4)
    blocks = [sparse.csr_array(rng.random((200, 1)) @ rng.random((1, 130)) + 0.0) for _ in range(3)]
    X = sparse.csr_array(sparse.block_diag(blocks), dtype=dtype)
    model = NMF(3, random_state=0, n_init=3).fit(X)
    assert model.stop_reason_ == "tol"
    assert -model.score(X) < 100 * np.finfo(dtype).eps
    assert (np.diff(model.loss_curve_) <= 1e-9 * model.loss_curve_[0]).all()


def test_nothing_stored_is_nothing_observed():
    with pytest.raises(ValueError, match="no observed entry"):
        NMF(1, sparse_missing="absent").fit(sparse.csr_array((3, 2)))


def test_imputer_refuses_sparse():
    with pytest.raises(TypeError, match="dense data is required"):
        NMFImputer().fit(sparse.csr_array(np.eye(3)))
