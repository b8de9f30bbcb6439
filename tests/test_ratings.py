"""Offsets, penalties by the number of entries, predictions for pairs, recommendations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from advnmf import NMF, FrobeniusPenalty, load, save
from advnmf.penalties import ElasticNet, WithOffset
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


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_the_penalty_of_offsets_is_touched_from_above(centred, scaled):
    """What kernels minimise differs from the penalty by a constant at F, and is nowhere less."""
    rng = np.random.default_rng(1)
    scale = rng.uniform(1, 5, 6) if scaled else None
    penalty = WithOffset(ElasticNet(0.2, 0.3, scale), 0.7, offset=2, held=3, centred=centred)

    def bound(F):
        s = np.ones(6) if scale is None else scale
        return np.sum(s[:, None] * (2 * c.l1 * F + c.l2 * F**2) * (c.kinds < 2))

    F = np.column_stack([rng.random((6, 2)), rng.normal(size=6), np.ones(6)])
    c = penalty.coordinates(F)
    shift = penalty.value(F) - bound(F)
    for _ in range(200):
        G = F.copy()
        G[:, :3] += rng.normal(0, 1, (6, 3)) * [1, 1, 3]
        G[:, :2] = np.abs(G[:, :2])
        assert penalty.value(G) <= bound(G) + shift + 1e-10
    if centred:
        G = F.copy()
        G[:, 2] += 5  # a common level costs nothing
        assert penalty.value(G) == pytest.approx(penalty.value(F))


def test_scaled_penalties_have_the_right_gradient():
    rng = np.random.default_rng(2)
    F, penalty = rng.random((5, 3)), ElasticNet(0.4, 0.6, rng.uniform(1, 9, 5))
    gained, lost = penalty.gradient_parts(F)
    for i, k in np.ndindex(F.shape):
        E = np.zeros_like(F)
        E[i, k] = 1e-6
        slope = (penalty.value(F + E) - penalty.value(F - E)) / 2e-6
        assert slope == pytest.approx((lost - gained)[i, k], rel=1e-6)


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
    np.testing.assert_allclose(fit.reconstruct(), expected, atol=1e-5)
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
    np.testing.assert_allclose(fit.inverse_transform(codes), expected)
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
    whole = fit.reconstruct()
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
def test_recommendations(ratings, monkeypatch, block):
    monkeypatch.setattr("advnmf.ranking._BLOCK_ENTRIES", block)
    X = ratings[0]
    fit = model(sparse_missing="absent").fit(stored(X))
    scores = np.where(np.isnan(X), fit.reconstruct(), -np.inf)
    columns, predictions = fit.recommend(n=5)
    np.testing.assert_array_equal(columns, np.argsort(-scores, axis=1)[:, :5])
    np.testing.assert_allclose(predictions, np.sort(scores, axis=1)[:, :-6:-1])
    np.testing.assert_array_equal(fit.recommend([4, 2], 5)[0], columns[[4, 2]])
    np.testing.assert_array_equal(fit.recommend(4, 5)[0], columns[4])
    # More than are left: a single row ends, several are filled up.
    left = np.isnan(X[4]).sum()
    assert len(fit.recommend(4, 100)[0]) == left
    assert (fit.recommend([4], 100)[0][0, left:] == -1).all()
    assert len(fit.recommend(4, 100, exclude_seen=False)[0]) == 30
    mask = ~np.isnan(X)
    np.testing.assert_array_equal(fit.recommend(n=5, exclude_seen=mask)[0], columns)
    codes = fit.transform(stored(X)[[4, 2]])
    new = fit.recommend(codes=codes, n=3, exclude_seen=stored(X)[[4, 2]])
    expected = np.where(np.isnan(X[[4, 2]]), fit.inverse_transform(codes), -np.inf)
    np.testing.assert_array_equal(new[0], np.argsort(-expected, axis=1)[:, :3])


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
    ):
        with pytest.raises(ValueError, match=message):
            dense.recommend(**bad)


@pytest.mark.parametrize(("value", "message"), [(-1.0, "Negative values"), (np.inf, "infinity")])
def test_bad_ratings_are_refused(ratings, value, message):
    X = stored(ratings[0])
    X.data[17] = value
    with pytest.raises(ValueError, match=message):
        model(sparse_missing="absent").fit(X)
