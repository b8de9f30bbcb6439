"""Offsets, penalties by the number of entries, predictions for pairs, recommendations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import norm

from advnmf import ATNMF, NMF, AutoNMF, DeepNMF, FrobeniusPenalty, Triplets, load, save
from advnmf.metrics import precision_at_k
from advnmf.models.ranking import best_columns
from advnmf.models.reliability import Reliability
from problems import low_rank

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def ratings():
    """Low rank plus offsets, 40 % observed: dense with NaN."""
    rng = np.random.default_rng(0)
    X = 4 + low_rank(rng, (40, 30), 2, 0.3) + rng.normal(0, 1, (40, 1)) + rng.normal(0, 1, 30)
    X = np.maximum(X, 0)
    return np.where(rng.random(X.shape) < 0.4, X, np.nan), X


def stored(X):
    rows, columns = np.nonzero(~np.isnan(X))
    return sparse.csr_array((X[rows, columns], (rows, columns)), shape=X.shape)


def model(**parameters):
    defaults = {"n_components": 3, "biases": True, "alpha_W": 1e-3, "max_iter": 60, "random_state": 0}
    return NMF(**{**defaults, **parameters})


# --- the penalty ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["hals", "mu"])
def test_on_complete_data_both_scales_are_the_same(solver):
    X = low_rank(np.random.default_rng(3), (20, 12), 3)
    fits = [
        NMF(3, solver=solver, alpha_W=0.01, alpha_scale=scale, max_iter=30, random_state=0).fit(X)
        for scale in ("shape", "observed")
    ]
    np.testing.assert_allclose(fits[0].loss_curve_, fits[1].loss_curve_, rtol=1e-10)


@pytest.mark.parametrize("solver", ["hals", "mu"])
@pytest.mark.parametrize("n_components", [3, (4, 3)])
def test_penalties_by_count_never_let_the_objective_rise(ratings, solver, n_components):
    fit = NMF(n_components, solver=solver, alpha_W=0.1, alpha_scale="observed", l1_ratio=0.3, tol=0, random_state=0)
    curve = fit.fit(ratings[0]).loss_curve_
    assert (np.diff(curve) <= 1e-10 * curve[0]).all()


def test_penalties_by_count_mean_the_sum_they_say(ratings):
    X, alpha = ratings[0], 0.05
    fit = NMF(3, alpha_W=alpha, alpha_scale="observed", random_state=0).fit(X)
    (A, B), there = fit.factors_, ~np.isnan(X)
    squares = np.sum((X - A @ B)[there] ** 2)
    ridge = alpha * (there.sum(1) @ (A**2).sum(1) + there.sum(0) @ (B**2).sum(0))
    assert fit.loss_curve_[-1] == pytest.approx(squares + ridge)


# --- offsets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha_scale", ["shape", "observed"])
def test_without_components_offsets_solve_their_ridge_problem(ratings, alpha_scale):
    """min over r, c, m  sum (x - r - c - m)^2 + alpha / std(X) (s r^2 + t c^2), solved directly."""
    X, alpha = ratings[0], 0.02
    n, m = X.shape
    there = ~np.isnan(X)
    rows, columns = np.nonzero(there)
    s, t = (there.sum(1), there.sum(0)) if alpha_scale == "observed" else (np.full(n, m), np.full(m, n))
    design = np.zeros((len(rows) + n + m, n + m + 1))
    design[np.arange(len(rows)), rows] = design[np.arange(len(rows)), n + columns] = design[: len(rows), -1] = 1
    design[len(rows) :, : n + m] = np.diag(np.sqrt(alpha / np.nanstd(X) * np.r_[s, t]))
    solution = np.linalg.lstsq(design, np.r_[X[there], np.zeros(n + m)], rcond=None)[0]

    fit = model(n_components=1, alpha_W=alpha, alpha_scale=alpha_scale, init="custom", max_iter=3000, tol=1e-15)
    fit.fit(X, factors=[np.zeros((n, 1)), np.zeros((1, m))])
    expected = solution[:n, None] + solution[n:-1] + solution[-1]
    np.testing.assert_allclose(fit.reconstruct(), np.clip(expected, 0, None), atol=1e-5)
    np.testing.assert_allclose(fit.row_bias_, solution[:n], atol=1e-5)


@pytest.mark.parametrize("loss", ["frobenius", "l21", "elastic", "correntropy"])
@pytest.mark.parametrize("attacked", [False, True])
@pytest.mark.parametrize("storage", ["dense", "absent", "complete", "zero"])
def test_the_objective_never_rises(ratings, loss, attacked, storage):
    if attacked and loss == "l21":
        pytest.skip("unbounded weights: refused")
    if storage == "zero" and loss == "correntropy":
        pytest.skip("would weigh every zero by itself: refused")
    X = {"dense": ratings[0], "absent": stored(ratings[0]), "complete": ratings[1]}.get(storage)
    X = sparse.csr_array(np.nan_to_num(ratings[0])) if X is None else X
    missing = "absent" if storage == "absent" else "zero"
    fit = model(loss=loss, adversary=FrobeniusPenalty(3.0) if attacked else None, sparse_missing=missing, tol=0)
    curve = fit.fit(X).loss_curve_
    # Where the scale of the loss follows the residuals, each sweep has an objective of its own.
    slack = 1e-10 if loss != "correntropy" else np.inf
    assert np.isfinite(curve).all()
    assert (np.diff(curve) <= slack * curve[0]).all()
    assert np.isfinite(fit.reconstruct()).all()


def test_offsets_help_where_there_are_some(ratings):
    X, truth = ratings
    holes = np.isnan(X)

    def error(fit):
        return np.sqrt(np.mean((fit.fit(X).reconstruct() - truth)[holes] ** 2))

    assert error(model(n_components=2, max_iter=300)) < 0.7 * error(model(n_components=2, biases=False, max_iter=300))


def test_storages_agree(ratings):
    X, _ = ratings
    dense, loose = model().fit(X), model(sparse_missing="absent").fit(stored(X))
    np.testing.assert_allclose(loose.loss_curve_, dense.loss_curve_, rtol=1e-8)
    np.testing.assert_allclose(loose.reconstruct(), dense.reconstruct(), rtol=1e-6)
    np.testing.assert_allclose(loose.transform(stored(X)), dense.transform(X), rtol=1e-4, atol=1e-6)


def test_codes_end_with_the_offset(ratings):
    X, _ = ratings
    fit = model(max_iter=2000, tol=1e-12).fit(X)
    codes = fit.transform(X)
    assert codes.shape == (40, 4)
    assert fit.components_.shape == (3, 30)
    assert len(fit.get_feature_names_out()) == 4
    expected = codes[:, :3] @ fit.components_ + codes[:, 3:] + fit.column_bias_ + fit.global_bias_
    np.testing.assert_allclose(fit.inverse_transform(codes), np.clip(expected, 0, None))
    # The codes of a converged fit are those that `transform` finds.
    np.testing.assert_allclose(fit.inverse_transform(codes), fit.reconstruct(), atol=1e-2)
    np.testing.assert_allclose(np.average(fit.column_bias_, weights=(~np.isnan(X)).sum(0)), 0, atol=1e-10)
    # Each from its own row alone.
    np.testing.assert_allclose(fit.transform(X[5:8]), codes[5:8], rtol=1e-10)


def test_weights_and_float32(ratings):
    X, _ = ratings
    weights = np.random.default_rng(4).uniform(0.5, 2, X.shape)
    single = model().fit(X.astype(np.float32), weights=weights)
    assert single.reconstruct().dtype == single.row_bias_.dtype == np.float32
    np.testing.assert_allclose(single.reconstruct(), model().fit(X, weights=weights).reconstruct(), rtol=1e-2)


def test_offsets_survive_a_file(ratings, tmp_path):
    fit = model(sparse_missing="absent").fit(stored(ratings[0]))
    save(fit, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.reconstruct(), fit.reconstruct())
    np.testing.assert_array_equal(again.recommend(2)[0], fit.recommend(2)[0])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"solver": "mu"}, "biases=True needs solver='hals'"),
        ({"n_components": (4, 3)}, "biases=True needs a single layer"),
        ({"alpha_scale": "rows"}, "alpha_scale='rows'"),
        ({"biases": "yes"}, "biases='yes'"),
    ],
)
def test_what_does_not_go_with_offsets_is_refused(ratings, parameters, message):
    with pytest.raises(ValueError, match=message):
        model(**parameters).fit(ratings[0])


# --- predictions and recommendations -------------------------------------------------------------------------------


@pytest.mark.parametrize("biases", [False, True])
def test_pairs(ratings, biases):
    fit = model(biases=biases).fit(ratings[0])
    rows, columns = np.array([0, 5, 39]), np.array([3, 0, 29])
    np.testing.assert_allclose(fit.predict_pairs(rows, columns), fit.reconstruct()[rows, columns])
    np.testing.assert_allclose(fit.predict_pairs([0, 5], [1, 1], unseen="mean"), fit.reconstruct()[[0, 5], 1])
    A, B = fit.linear(fit.training_codes())
    whole = A @ B  # means are those before anything is clipped
    np.testing.assert_allclose(fit.predict_pairs([-1, 4, -1], [2, -1, -1], unseen="mean"),
                               [whole[:, 2].mean(), whole[4].mean(), whole.mean()])  # fmt: skip
    for bad in ([-1], [40], [0.5]):
        with pytest.raises(ValueError, match="rows"):
            fit.predict_pairs(bad, [0])
    with pytest.raises(ValueError, match="rows and columns"):
        fit.predict_pairs([0, 1], [0])
    with pytest.raises(ValueError, match="columns holds -2"):
        fit.predict_pairs([0], [-2], unseen="mean")


def test_rows_and_columns_never_seen_are_completed(ratings):
    X = ratings[0].copy()
    X[3], X[:, 7] = np.nan, np.nan
    with pytest.warns(UserWarning, match="no observed entry"):
        fit = model(sparse_missing="absent").fit(stored(X))
    assert np.isfinite(fit.reconstruct()).all()
    others = np.delete(np.arange(40), 3)
    np.testing.assert_allclose(fit.reconstruct()[3], fit.reconstruct()[others].mean(0), rtol=1e-6)


@pytest.mark.parametrize("block", [7, 2**20])
@pytest.mark.parametrize("by", ["prediction", "lower_bound", "expected_hits"])
def test_recommendations(ratings, monkeypatch, by, block):
    monkeypatch.setattr("advnmf.models.ranking._BLOCK_ENTRIES", block)
    X = ratings[0]
    fit = model(sparse_missing="absent").fit(stored(X))
    P = fit.reconstruct()
    scores = np.where(np.isnan(X), scores_by(by, fit, P), -np.inf)
    columns, predictions = fit.recommend(n=5, by=by)
    np.testing.assert_array_equal(columns, np.argsort(-scores, axis=1)[:, :5])
    np.testing.assert_allclose(predictions, np.take_along_axis(P, columns, axis=1))
    np.testing.assert_array_equal(fit.recommend([4, 2], 5, by=by)[0], columns[[4, 2]])
    np.testing.assert_array_equal(fit.recommend(4, 5, by=by)[0], columns[4])
    # More than are left: a single row ends, several are filled up.
    left = np.isnan(X[4]).sum()
    assert len(fit.recommend(4, 100, by=by)[0]) == left
    columns_of_4, predictions_of_4 = fit.recommend([4], 100, by=by)
    assert (columns_of_4[0, left:] == -1).all()
    assert np.isneginf(predictions_of_4[0, left:]).all()
    assert len(fit.recommend(4, 100, exclude_seen=False, by=by)[0]) == 30
    mask = ~np.isnan(X)
    np.testing.assert_array_equal(fit.recommend(n=5, exclude_seen=mask, by=by)[0], columns)
    codes = fit.transform(stored(X)[[4, 2]])
    new = fit.recommend(codes=codes, n=3, exclude_seen=stored(X)[[4, 2]], by=by)
    expected = np.where(np.isnan(X[[4, 2]]), scores_by(by, fit, fit.inverse_transform(codes)), -np.inf)
    np.testing.assert_array_equal(new[0], np.argsort(-expected, axis=1)[:, :3])


def scores_by(by, fit, P):
    """The formulas of `recommend`, for predictions within the range of the data."""
    if by == "prediction":
        return P
    k, tau, sigma, lowest, mean, highest = fit.reliability_
    n = fit.column_counts_
    inside, most = np.clip(P, lowest, highest), 0.02 * sigma
    p = inside + most * (P - inside) / (abs(P - inside) + most)
    u = (p @ n / n.sum())[:, None]
    w = n / (n + k)
    m, s = u + w * (p - u), tau * np.sqrt(1 - w)
    if by == "lower_bound":
        return m - 2.3263478740408408 * s
    return np.log(n / len(P)) + norm.logcdf((m - mean) / np.sqrt(sigma**2 + s**2))


# --- few ratings are little known ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_lucky_item():
    """60 users, 25 items whose level is known by 20 ratings or more, and item 25 with one rating, of five stars."""
    rng = np.random.default_rng(5)
    X = np.clip(
        np.rint(3.2 + rng.normal(0, 0.5, (60, 1)) + rng.normal(0, 0.6, 26) + rng.normal(0, 0.7, (60, 26))), 1, 5
    )
    seen = rng.random(X.shape) < 0.5
    X[~seen], X[:, 25] = np.nan, np.nan
    X[0, 25] = 5
    return X


MODELS = {
    "offsets": lambda: model(n_components=4),
    "no ridge": lambda: model(n_components=6, alpha_W=0.0, max_iter=300),
    "no offsets": lambda: model(biases=False, alpha_W=1e-2),
    "adversary": lambda: ATNMF(3, alpha_W=1e-3, random_state=0),
    "elastic": lambda: model(biases=False, loss="elastic", alpha_W=1e-2),
    "deep": lambda: DeepNMF((5, 3), alpha_W=1e-2, random_state=0),
    "auto": lambda: AutoNMF(max_candidates=5, random_state=0),
}


@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("name", MODELS)
def test_an_item_with_a_single_rating_is_not_the_best_for_everybody(with_lucky_item, name, storage):
    X = with_lucky_item
    fit = MODELS[name]()
    if storage == "sparse" and name != "auto":
        fit.set_params(sparse_missing="absent")
    fit.fit(X if storage == "dense" else stored(X))
    for by in ("lower_bound", "expected_hits"):
        columns, _ = fit.recommend(n=5, exclude_seen=~np.isnan(X), by=by)
        assert not (columns[:, 0] == 25).any(), by
        assert np.mean((columns == 25).any(axis=1)) < 0.2, by  # of some twelve that each user has not rated


def test_the_trap_is_a_trap(with_lucky_item):
    """The mere prediction falls for the item with one rating, which is then first for most users."""
    fit = MODELS["no ridge"]().fit(with_lucky_item)
    columns, _ = fit.recommend(n=1, exclude_seen=~np.isnan(with_lucky_item), by="prediction")
    assert np.mean(columns == 25) > 0.3


def test_min_ratings(with_lucky_item):
    fit = model().fit(with_lucky_item)
    counts = (~np.isnan(with_lucky_item)).sum(axis=0)
    np.testing.assert_array_equal(fit.column_counts_, counts)
    for least in (0, 1, 2, 30):
        columns, predictions = fit.recommend(n=26, exclude_seen=False, min_ratings=least)
        assert set(columns[0][columns[0] >= 0]) == set(np.flatnonzero(counts >= least))
        assert ((columns >= 0) == np.isfinite(predictions)).all()


def test_what_nobody_has_rated_is_not_recommended(ratings):
    X = ratings[0].copy()
    X[:, 7] = np.nan
    with pytest.warns(UserWarning, match="no observed entry"):
        fit = model(sparse_missing="absent").fit(stored(X))
    for by in ("lower_bound", "prediction", "expected_hits"):
        assert not (fit.recommend(n=30, by=by)[0] == 7).any()
    assert (fit.recommend(n=30, min_ratings=0)[0] == 7).any(axis=1).all()


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8), st.floats(0, 30), st.floats(0, 3), st.floats(1e-3, 2))
def test_more_ratings_raise_the_confidence(counts, prior_count, spread, noise):
    """With more ratings a column's deviation is smaller, and its mean nearer to the prediction."""
    trust, counts = Reliability(prior_count, spread, noise, 1.0, 3.0, 5.0), np.array([*counts, 3])
    P = np.tile(np.array([[4.5], [3.0], [1.5]]), len(counts))
    P[:, 0] = 3.0
    m, s = trust.shrunken(P, counts)
    level = (P @ counts / counts.sum())[:, None]
    order = np.argsort(counts[1:]) + 1
    assert (np.diff(s[order]) <= 0).all()
    assert (np.diff(np.abs(m - level)[:, order], axis=1) >= -1e-12).all()
    assert (np.abs(m - level) <= np.abs(P - level) + 1e-12).all()


def test_of_equally_known_columns_the_larger_prediction_wins_even_beyond_the_range():
    trust, counts = Reliability(4.0, 1.0, 0.8, 1.0, 3.0, 5.0), np.full(6, 10)
    P = np.array([[5.0, 5.5, 1e6, 4.0, -3.0, -1e6]])
    m, _ = trust.shrunken(P, counts)
    np.testing.assert_array_equal(np.argsort(-m[0]), np.argsort(-P[0]))
    assert m.max() < 5 + 0.8


def test_predictions_clipped_for_show_are_ranked_unclipped(ratings):
    fit = AutoNMF(max_candidates=4, random_state=0).fit(stored(ratings[0]))
    free = fit.recommend(n=8, by="prediction")
    middle = float(np.median(free[1]))
    fit.clip_ = np.repeat([[0.0], [middle]], fit.n_features_in_, axis=1)
    columns, predictions = fit.recommend(n=8, by="prediction")
    np.testing.assert_array_equal(columns, free[0])
    np.testing.assert_allclose(predictions, np.minimum(free[1], middle))


def test_ties_go_by_column_wherever_they_are_cut():
    scores = np.array([[1.0, 2, 2, 0, 2, 2, 3], [0, 0, 0, 0, 0, 0, 0], [5, 1, 1, 1, 1, 1, 1]])
    for n in range(1, 8):
        columns, values = best_columns(lambda rows: (scores[rows], scores[rows]), 3, 7, n, None)
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :n]
        np.testing.assert_array_equal(columns, expected)
        np.testing.assert_array_equal(values, np.take_along_axis(scores, expected, axis=1))


def test_expected_hits_prefer_what_more_people_have(with_lucky_item):
    """Of columns with the same prediction the one that more rows have comes first."""
    fit = model().fit(with_lucky_item)
    fit.components_[:], fit.column_bias_[:] = 0, 0
    columns, _ = fit.recommend(n=26, exclude_seen=False, by="expected_hits", liked=fit.global_bias_ - 10)
    counts = fit.column_counts_[columns]
    assert (np.diff(counts, axis=1) <= 0).all()
    strict, _ = model().fit(with_lucky_item).recommend(n=26, exclude_seen=False, by="expected_hits", liked=1e3)
    assert (strict >= 0).all()  # however improbable a hit


@pytest.mark.parametrize("by", ["lower_bound", "prediction", "expected_hits"])
@pytest.mark.parametrize("biases", [False, True])
def test_the_unit_of_ratings_and_of_weights_changes_no_ranking(ratings, biases, by):
    X = ratings[0]
    weights = np.random.default_rng(6).uniform(0.5, 2, X.shape)
    # The ridge has the unit of X.
    ridges = [(unit, 1, 0.0 if biases else 1e-2 * unit) for unit in (1, 1024, 1 / 1024)]
    fits = [
        model(biases=biases, alpha_W=alpha).fit(unit * X, weights=scale * weights)
        for unit, scale, alpha in (*ridges, (1, 1, 0.0), (1, 1024, 0.0))
    ]
    rankings = [fit.recommend(n=10, exclude_seen=~np.isnan(X), by=by)[0] for fit in fits]
    for this, other in pairwise(rankings[:3]):
        np.testing.assert_array_equal(this, other)
    np.testing.assert_array_equal(rankings[3], rankings[4])


def test_storages_rank_alike(ratings):
    X = ratings[0]
    dense, loose = model().fit(X), model(sparse_missing="absent").fit(stored(X))
    np.testing.assert_allclose(dense.reliability_, loose.reliability_, rtol=1e-6)
    np.testing.assert_array_equal(dense.recommend(n=5, exclude_seen=~np.isnan(X))[0], loose.recommend(n=5)[0])


@pytest.mark.parametrize("kind", ["complete", "zeros", "zeros with weights"])
def test_zeros_that_are_not_stored_count_as_observed(kind):
    rng = np.random.default_rng(7)
    X = low_rank(rng, (30, 12), 2) * (rng.random((30, 12)) < 0.4)
    X = X + low_rank(rng, X.shape, 1) if kind == "complete" else X
    weights = {"weights": rng.uniform(0.5, 2, X.shape) * (X > 0)} if kind == "zeros with weights" else {}
    dense = model(biases=False).fit(X)
    other = model(biases=False).fit(sparse.csr_array(X))
    np.testing.assert_allclose(other.reliability_, dense.reliability_, rtol=1e-6)
    assert (dense.column_counts_ == 30).all()
    assert other.recommend(n=3, exclude_seen=False)[0].shape == (30, 3)
    # All columns are known alike: the bound ranks as the prediction does.
    ranked = [dense.recommend(n=12, exclude_seen=False, by=by)[0] for by in ("lower_bound", "prediction")]
    np.testing.assert_array_equal(*ranked)
    assert weights == {} or np.isfinite(model(biases=False).fit(X, weights=weights["weights"]).reliability_).all()


def test_what_reliability_measures():
    """The noise of planted data, and the spread of predictions around the level of their row."""
    rng = np.random.default_rng(8)
    truth = 5 + low_rank(rng, (300, 60), 2, 0.5)
    X = truth + rng.normal(0, 0.4, truth.shape)
    X[rng.random(X.shape) < 0.5] = np.nan
    fit = NMF(3, alpha_W=0.0, max_iter=500, random_state=0).fit(X)
    prior_count, spread, noise, lowest, mean, highest = fit.reliability_
    assert noise == pytest.approx(0.4, rel=0.03)
    there = ~np.isnan(X)
    P = np.where(there, fit.reconstruct(), np.nan)
    assert spread == pytest.approx(np.sqrt(np.mean((P - np.nanmean(P, axis=1, keepdims=True))[there] ** 2)))
    assert (lowest, mean, highest) == pytest.approx((np.nanmin(X), np.nanmean(X), np.nanmax(X)))
    # Without a ridge three numbers of each column are free.
    assert prior_count == pytest.approx(3 * (noise / spread) ** 2 + 2)
    ridge = NMF(3, alpha_W=0.3, alpha_scale="observed", max_iter=500, random_state=0).fit(X)
    A, n = ridge.factors_[0], there.sum(axis=1)
    G = (A * n[:, None]).T @ A / n.sum()
    numbers = np.trace(np.linalg.solve(G + 0.3 * np.eye(3), G))
    assert 1 < numbers < 2.9
    k, tau, sigma, *_ = ridge.reliability_
    assert k == pytest.approx(numbers * (sigma / tau) ** 2 + numbers - 1)


def test_the_offset_of_a_column_is_one_of_its_numbers_that_of_a_row_is_not(ratings):
    k, tau, sigma, *_ = model(alpha_W=0.0).fit(ratings[0]).reliability_
    assert k == pytest.approx(4 * (sigma / tau) ** 2 + 3)


def test_the_reliability_of_an_average_is_that_of_its_models(ratings):
    fit = AutoNMF(max_candidates=3, random_state=0).fit(stored(ratings[0]))
    fit.models_ = [fit.models_[0], model(n_components=1, sparse_missing="absent").fit(stored(ratings[0]))]
    first, second = (each.reliability_ for each in fit.models_)
    assert fit.reliability_ == pytest.approx([(a + b) / 2 for a, b in zip(first, second, strict=True)])


@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
def test_data_that_leave_nothing_to_measure():
    """Constant data, an exact fit, more numbers than entries: finite, and ranked."""
    rng = np.random.default_rng(9)
    few = np.where(rng.random((8, 6)) < 0.4, rng.integers(1, 6, (8, 6)), np.nan)
    few[0] = 3
    for X in (np.full((6, 5), 2.0), low_rank(rng, (6, 5), 1), few, np.zeros((4, 3))):
        for fit in (NMF(1, max_iter=1000, tol=0, random_state=0), model(n_components=3, alpha_W=0.0)):
            fit.fit(X)
            assert np.isfinite(fit.reliability_).all()
            for by in ("lower_bound", "expected_hits"):
                assert (fit.recommend(n=3, exclude_seen=False, by=by)[0] >= 0).all()


def test_rankings_survive_a_file(ratings, tmp_path):
    for fit in (model(sparse_missing="absent"), AutoNMF(max_candidates=3, random_state=0)):
        fit.fit(stored(ratings[0]))
        save(fit, tmp_path / "model.advnmf")
        again = load(tmp_path / "model.advnmf")
        assert again.reliability_ == fit.reliability_
        np.testing.assert_array_equal(again.recommend(n=4)[0], fit.recommend(n=4)[0])


def test_labels_of_recommendations():
    ratings = Triplets.from_arrays(["ann", "bob", "ann"], ["A", "B", "C"], [5, 4, 3])
    assert ratings.labels([[2, 0], [1, -1], [-1, -1]]) == [["C", "A"], ["B"], []]
    assert ratings.labels(np.array([1, -1])) == ["B"]
    for bad in ([[3]], [[-2]], [[0.5]], 1, [[[0]]]):
        with pytest.raises(ValueError, match="columns"):
            ratings.labels(bad)


@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
@pytest.mark.parametrize("alpha", [{}, {"alpha_W": 0.1, "alpha_scale": "observed"}])
def test_movielens(data_dir, alpha):
    """At least item means shrunken by 20 ratings, .151; by expected hits more than the most rated films, .214."""
    base, test = (stored_fold(data_dir, name) for name in ("u1.base", "u1.test"))
    fit = NMF(8, biases=True, sparse_missing="absent", random_state=0, **alpha).fit(base)
    assert precision_at_k(test, fit.recommend(n=10)[0], liked=4) >= 0.151
    assert precision_at_k(test, fit.recommend(n=10, by="expected_hits")[0], liked=4) >= 0.214


def stored_fold(data_dir, name):
    users, items, stars, _ = np.loadtxt(data_dir / "ratings" / name, dtype=np.int64).T
    return sparse.csr_array((stars.astype(float), (users - 1, items - 1)), shape=(943, 1682))


def test_what_cannot_be_recommended(ratings):
    dense = model().fit(ratings[0])
    with pytest.raises(ValueError, match="exclude_seen=True needs"):
        dense.recommend(0)
    for bad, message in (
        ({"rows": [40], "exclude_seen": False}, "rows holds 40"),
        ({"n": 0, "exclude_seen": False}, "n=0"),
        ({"rows": [0], "codes": np.ones((1, 4))}, "rows and codes are both given"),
        ({"codes": np.ones((1, 3)), "exclude_seen": False}, "codes have 3 columns"),
        ({"rows": [0], "exclude_seen": np.ones((2, 30), bool)}, "exclude_seen has shape"),
        ({"rows": [0], "exclude_seen": np.ones((1, 30))}, "exclude_seen must be"),
        ({"by": "luck", "exclude_seen": False}, "by='luck' must be one of"),
        ({"confidence": 1.0, "exclude_seen": False}, "confidence=1 asks for"),
        ({"confidence": 0.2, "exclude_seen": False}, "confidence=0.2"),
        ({"min_ratings": -1, "exclude_seen": False}, "min_ratings=-1"),
        ({"min_ratings": 1.5, "exclude_seen": False}, "min_ratings=1.5"),
        ({"liked": 4, "exclude_seen": False}, "liked=4 has a meaning with by='expected_hits' only"),
        ({"liked": np.nan, "by": "expected_hits", "exclude_seen": False}, "liked=nan"),
    ):
        with pytest.raises(ValueError, match=message):
            dense.recommend(**bad)


@pytest.mark.parametrize(("value", "message"), [(-1.0, "Negative values"), (np.inf, "infinity")])
def test_bad_ratings_are_refused(ratings, value, message):
    X = stored(ratings[0])
    X.data[17] = value
    with pytest.raises(ValueError, match=message):
        model(sparse_missing="absent").fit(X)


@pytest.mark.parametrize("storage", ["dense", "absent"])
def test_offsets_complete_nonnegative_data_with_nothing_negative(storage):
    """A low row in a low column: the offsets add up to less than nothing."""
    rng = np.random.default_rng(0)
    X = np.clip(rng.gamma(0.3, 1.0, (30, 1)) + rng.gamma(0.3, 1.0, (1, 12)) - 0.8, 0, None)
    X[rng.random(X.shape) < 0.4] = np.nan
    given = X if storage == "dense" else stored(X)
    fit = NMF(1, biases=True, alpha_W=1e-3, sparse_missing="absent", max_iter=50, tol=0, random_state=0).fit(given)
    codes, components = fit.linear(fit.training_codes())
    assert (codes @ components).min() < -0.01  # the test can fail
    assert fit.reconstruct().min() == 0
    assert fit.complete(given).min() == 0
    rows, columns = np.divmod(np.arange(X.size), X.shape[1])
    assert fit.predict_pairs(rows, columns).min() == 0
