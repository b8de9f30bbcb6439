from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.metrics import mean_absolute_error, ndcg_score, root_mean_squared_error

from advnmf import metrics
from advnmf.metrics import mae, ndcg_at_k, precision_at_k, psnr, relative_error, rmse

ERRORS = [rmse, mae, relative_error]
NUMBERS = st.floats(-1e6, 1e6)


def test_known_values():
    truth, prediction = [[3.0, 0.0], [0.0, 4.0]], [[3.0, 1.0], [0.0, 2.0]]
    assert rmse(truth, prediction) == pytest.approx(math.sqrt(5 / 4))
    assert mae(truth, prediction) == pytest.approx(3 / 4)
    assert relative_error(truth, prediction) == pytest.approx(math.sqrt(5) / 5)
    assert psnr(truth, prediction, data_range=4) == pytest.approx(10 * math.log10(16 / (5 / 4)))


@given(arrays(float, (2, 3, 4), elements=NUMBERS))
def test_agrees_with_scikit_learn(values):
    x, p = values
    w = 1 + np.arange(12.0)
    flat = x.ravel(), p.ravel()
    assert rmse(x, p) == pytest.approx(root_mean_squared_error(*flat))
    assert mae(x, p, weights=w.reshape(3, 4)) == pytest.approx(mean_absolute_error(*flat, sample_weight=w))


@pytest.mark.parametrize("error", ERRORS)
@given(values=arrays(float, (2, 3, 4), elements=NUMBERS), mask=arrays(bool, (3, 4)))
def test_only_the_mask_counts(error, values, mask):
    mask[0, 0] = True
    x, p = values
    x[0, 0] = 7.0
    expected = error(x[mask], p[mask])
    junk_x, junk_p = np.where(mask, x, 1e300), np.where(mask, p, np.nan)
    assert error(junk_x, junk_p, mask=mask) == expected
    assert error(junk_x, junk_p, mask=mask.astype(int)) == expected
    assert error(np.where(mask, x, np.nan), junk_p) == expected
    assert error(np.ma.array(x, mask=~mask), junk_p) == expected
    assert error(junk_x, junk_p, weights=mask.astype(float)) == pytest.approx(expected)


@pytest.mark.parametrize("error", ERRORS)
def test_weights_are_repetitions(error):
    x, p = np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 1.0])
    assert error(x, p, weights=[2, 1, 3]) == pytest.approx(error(x[[0, 0, 1, 2, 2, 2]], p[[0, 0, 1, 2, 2, 2]]))


def test_weights_broadcast():
    x, p = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    assert rmse(x, p, weights=[[1], [0]]) == rmse(x[:1], p[:1])


def test_small_types_do_not_wrap_or_lose_digits():
    assert mae(np.zeros(3, np.uint8), np.full(3, 200, np.uint8)) == 200
    assert rmse(np.full(5, 255, np.uint8), np.zeros(5, np.uint8)) == 255
    assert rmse(np.full(5, 300, np.float16), np.zeros(5, np.float16)) == 300


def test_pictures_of_three_axes():
    assert rmse(np.zeros((4, 5, 3)), np.full((4, 5, 3), 2.0)) == 2


def test_perfect():
    assert rmse([[1.0]], [[1.0]]) == mae([[1.0]], [[1.0]]) == relative_error([[1.0]], [[1.0]]) == 0
    assert psnr([[1.0]], [[1.0]], data_range=1) == math.inf


def test_results_are_python_floats_and_inputs_stay_as_they_are():
    x, p = np.array([1.0, np.nan]), np.array([2.0, np.nan])
    assert all(type(error(x, p)) is float for error in ERRORS)
    assert np.isnan(x[1])
    assert np.isnan(p[1])


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    ("truth", "prediction", "options", "message"),
    [
        ([1.0, 2.0], [1.0], {}, r"X_true has shape \(2,\), X_pred has \(1,\)"),
        ([1.0, 2.0], [1.0, np.nan], {}, "X_pred is missing or infinite at 1 of 2"),
        ([1.0, 2.0], [1.0, np.inf], {}, "X_pred is missing or infinite at 1 of 2"),
        ([1.0, 2.0], np.ma.array([1.0, 2.0], mask=[0, 1]), {}, "X_pred is missing or infinite at 1 of 2"),
        ([1.0, np.inf], [1.0, 1.0], {}, "X_true is infinite at 1 of 2"),
        ([np.nan, np.nan], [1.0, 1.0], {}, "nothing to score"),
        ([1.0, 2.0], [1.0, 1.0], {"mask": [False, False]}, "nothing to score"),
        ([1.0, 2.0], [1.0, 1.0], {"weights": [0, 0]}, "nothing to score"),
        ([], [], {}, "nothing to score"),
        ([1.0, 2.0], [1.0, 1.0], {"mask": [True]}, r"mask has shape \(1,\)"),
        ([1.0, 2.0], [1.0, 1.0], {"mask": [0, 255]}, "only True/1"),
        ([1.0, 2.0], [1.0, 1.0], {"mask": ["a", "b"]}, "only True/1"),
        ([1.0, 2.0], [1.0, 1.0], {"weights": [1, -1]}, "weights must be finite"),
        ([1.0, 2.0], [1.0, 1.0], {"weights": [1, np.nan]}, "weights must be finite"),
        ([1.0, 2.0], [1.0, 1.0], {"weights": [1, 2, 3]}, r"weights of shape \(3,\)"),
        ([1.0, 2.0], [1.0, 1j], {}, "X_pred is complex"),
        (["a", "b"], [1.0, 1.0], {}, "X_true holds something"),
    ],
)
def test_refusals_are_one_line(error, truth, prediction, options, message):
    with pytest.raises(ValueError, match=message) as raised:
        error(truth, prediction, **options)
    assert "\n" not in str(raised.value)


def test_relative_error_of_nothing():
    with pytest.raises(ValueError, match="zero at all scored entries"):
        relative_error([0.0, 5.0], [1.0, 5.0], mask=[True, False])


@pytest.mark.parametrize("data_range", [0, -1, np.inf, np.nan])
def test_psnr_refuses_ranges(data_range):
    with pytest.raises(ValueError, match="data_range"):
        psnr([1.0], [2.0], data_range=data_range)


def test_all_is_public():
    assert set(metrics.__all__) == {"rmse", "mae", "relative_error", "psnr", "precision_at_k", "ndcg_at_k"}


# --- recommendations -----------------------------------------------------------------------------------------------

HELD_OUT = np.array(
    [[5, np.nan, 3, 4, np.nan], [np.nan, 2, np.nan, np.nan, 1], [np.nan, np.nan, np.nan, np.nan, 4], [0, 5, 5, 5, 5]]
)
NAMED = np.array([[0, 2, 3], [1, 4, 0], [4, -1, -1], [0, 1, 2]])


@pytest.mark.parametrize("storage", ["dense", "sparse", "with stored NaN"])
def test_hits_by_hand(storage):
    """Rows 0, 2 and 3 have hits to find; row 1 has none and does not count."""
    X = HELD_OUT
    if storage != "dense":
        rows, columns = np.nonzero(~np.isnan(X) | (storage == "with stored NaN"))
        X = sparse.csr_array((X[rows, columns], (rows, columns)), shape=X.shape)
    assert precision_at_k(X, NAMED, liked=4) == pytest.approx((2 / 3 + 1 / 3 + 2 / 3) / 3)
    assert precision_at_k(X, NAMED, liked=4, k=1) == pytest.approx((1 + 1 + 0) / 3)
    second, third = 1 / math.log2(3), 1 / 2
    expected = (1 + third) / (1 + second), 1, (second + third) / (1 + second + third)
    assert ndcg_at_k(X, NAMED, liked=4) == pytest.approx(np.mean(expected))
    assert precision_at_k(X, NAMED, liked=0.5) > precision_at_k(X, NAMED, liked=4)
    assert type(precision_at_k(X, NAMED, liked=4)) is type(ndcg_at_k(X, NAMED, liked=4)) is float


@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_ndcg_agrees_with_scikit_learn(seed, k):
    rng = np.random.default_rng(seed)
    liked, scores = rng.random((6, 8)) < 0.4, rng.random((6, 8))
    liked[:, 0] = True
    named = np.argsort(-scores, axis=1)
    assert ndcg_at_k(liked.astype(float), named, liked=1, k=k) == pytest.approx(ndcg_score(liked, scores, k=k))
    hits = np.take_along_axis(liked, named[:, :k], axis=1)
    assert precision_at_k(liked.astype(float), named, liked=1, k=k) == pytest.approx(hits.mean())


@pytest.mark.parametrize("hits", [precision_at_k, ndcg_at_k])
@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ([[0, 5], [0, 1], [0, 1], [0, 1]], {}, "columns holds 5"),
        ([[0, -2], [0, 1], [0, 1], [0, 1]], {}, "columns holds -2"),
        ([[0, 1], [0, 1], [2, 2], [0, 1]], {}, "column 2 twice in row 2"),
        ([[0, 1]], {}, "a list for each of the 4 rows"),
        ([0, 1, 2, 3], {}, "a list for each of the 4 rows"),
        (np.empty((4, 0), int), {}, "a list for each of the 4 rows"),
        ([[0.0], [1.0], [2.0], [3.0]], {}, "columns must be integers"),
        (NAMED, {"k": 4}, "k=4 must be an integer from 1 to 3"),
        (NAMED, {"k": 0}, "k=0"),
        (NAMED, {"liked": 6}, "no hit to find"),
        (NAMED, {"liked": math.nan}, "liked=nan"),
    ],
)
def test_what_cannot_be_scored(hits, columns, options, message):
    with pytest.raises(ValueError, match=message) as raised:
        hits(HELD_OUT, columns, **{"liked": 4, **options})
    assert "\n" not in str(raised.value)
