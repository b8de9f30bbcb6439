"""ANMF: the follower, the leader's steps, the treatments of missing entries, the residuals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from advnmf import ANMF, NMF, datasets
from advnmf.data import array_data
from advnmf.models.compared.bilevel import ADMM, Game, _balance

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def random_game(missing="zero", exact=True, seed=0, beta=0.4, attack_weight=1.7):
    """A game over random data, with codes and components."""
    rng = np.random.default_rng(seed)
    X, Z, H, W = (rng.random(shape) for shape in ((8, 6), (8, 6), (8, 3), (3, 6)))
    omega = None if missing == "zero" else (rng.random(X.shape) < 0.7).astype(np.uint8)
    if omega is not None:
        X, Z = X * omega, Z * omega
    return Game(array_data(X, omega), Z, missing, beta, attack_weight, exact), H, W


def gradient(value, a, h=1e-6):
    g = np.zeros_like(a)
    for index in np.ndindex(a.shape):
        step = np.zeros_like(a)
        step[index] = h
        g[index] = (value(a + step) - value(a - step)) / (2 * h)
    return g


def test_the_follower_answers_best():
    game, H, W = random_game()
    B = game.follow(H, W, H.T @ game.target)

    def cost(B):
        return np.sum((H @ B - game.target) ** 2) + 1.7 * np.sum((B - W) ** 2)

    np.testing.assert_allclose(gradient(cost, B), 0, atol=1e-7)


def test_the_attack_moves_the_prediction_towards_the_target():
    """H B = H W - Pi (H W - Z), Pi = H S H': along the codes, all the way for an attack that costs nothing."""
    game, H, W = random_game()
    B = game.follow(H, W, H.T @ game.target)
    Pi = H @ np.linalg.inv(H.T @ H + 1.7 * np.eye(3)) @ H.T
    np.testing.assert_allclose(H @ B, H @ W - Pi @ (H @ W - game.target), atol=1e-12)
    assert np.linalg.norm(H @ B - game.target) < np.linalg.norm(H @ W - game.target)
    dear = random_game(attack_weight=1e12)[0]
    np.testing.assert_allclose(dear.follow(H, W, H.T @ game.target), W, atol=1e-10)


@pytest.mark.parametrize("exact", [True, False])
def test_the_step_in_the_components_is_exact(exact):
    """Stationary for the leader's objective with the answer of the follower (exact), or with B as it is (Nash)."""
    game, H, W = random_game(exact=exact)
    X, HZ, V, rho = game.data.values, H.T @ game.target, W - 0.3, 0.6
    frozen = game.follow(H, W, HZ)
    new = game.best_W(H, H.T @ X, H.T @ X, HZ, rho, V)

    def cost(W):
        B = game.follow(H, W, HZ) if exact else frozen
        return game.loss(H @ W, H @ B) + rho / 2 * np.sum((W - V) ** 2)

    np.testing.assert_allclose(gradient(cost, new), 0, atol=1e-7)


def test_the_step_in_the_codes_is_exact_with_the_answer_frozen():
    game, H, W = random_game()
    X, B, V, rho = game.data.values, W - 0.2, H + 0.1, 0.6
    new = game.best_H(X, X.copy(), W, B, rho, V)

    def cost(H):
        return game.loss(H @ W, H @ B) + rho / 2 * np.sum((H - V) ** 2)

    np.testing.assert_allclose(gradient(cost, new), 0, atol=1e-7)
    np.testing.assert_allclose(game.best_H(X, X, W, B, rho, V), new, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_filled_data_touch_the_masked_loss_from_above(weighted):
    game, H, W = random_game("ignore")
    rng = np.random.default_rng(1)
    omega = game.data.omega * rng.uniform(0.2, 1, game.data.shape) if weighted else game.data.omega
    data = array_data(game.data.values, omega)
    game = Game(data, game.target, "ignore", 0.0, 1.0, True)
    P = H @ W
    Y = game.complete(P, P)[0]
    gap = np.sum((Y - P) ** 2) - data.squared_norms(P).sum()
    for _ in range(20):
        Q = P + rng.standard_normal(P.shape)
        assert np.sum((Y - Q) ** 2) - data.squared_norms(Q).sum() >= gap - 1e-12
    g = gradient(lambda Q: np.sum((Y - Q) ** 2) - data.squared_norms(Q).sum(), P.copy())
    np.testing.assert_allclose(g, 0, atol=1e-7)


def test_one_completed_matrix_for_both_terms():
    game, H, W = random_game("complete")
    P, Q = H @ W, H @ (W - 0.2)
    Y, same = game.complete(P, Q)
    there = game.data.omega > 0
    assert Y is same
    np.testing.assert_array_equal(Y[there], game.data.values[there])
    np.testing.assert_allclose(Y[~there], (0.6 * P + 0.4 * Q)[~there])


def test_treatments_agree_where_nothing_is_missing():
    X = np.random.default_rng(0).random((20, 10))
    fits = [
        ANMF(3, missing=m, max_iter=20, random_state=0).fit(X).reconstruct() for m in ("ignore", "complete", "zero")
    ]
    np.testing.assert_array_equal(fits[0], fits[1])
    np.testing.assert_array_equal(fits[0], fits[2])


@pytest.fixture(scope="module")
def holes():
    rng = np.random.default_rng(0)
    X = rng.gamma(1.0, size=(60, 3)) @ rng.gamma(1.0, size=(3, 40))
    return X, rng.random(X.shape) > 0.3


# Each treatment of holes with each leader, each target with each leader.
CASES = [
    *itertools.product(("ignore", "complete", "zero"), ("mean",), ("exact", "nash")),
    *itertools.product(("ignore",), ("zero", "mirror"), ("exact", "nash")),
]


@pytest.mark.parametrize(("missing", "target", "leader"), CASES)
def test_residuals_fall_and_factors_stay_feasible(holes, missing, target, leader):
    X, mask = holes
    model = ANMF(3, missing=missing, target=target, leader=leader, max_iter=3000, random_state=0).fit(X, mask=mask)
    assert model.stop_reason_ == "tol"
    assert model.residuals_.shape == (model.n_iter_, 2)
    assert model.residuals_[-2:].max() < 2e-3
    assert all((F >= 0).all() for F in model.factors_)
    assert (model.transform(X, mask=mask) >= 0).all()


@pytest.mark.parametrize("missing", ["ignore", "complete"])
def test_planted_matrix_is_recovered(holes, missing):
    X, mask = holes
    model = ANMF(3, missing=missing, attack_weight=1000.0, tol=1e-4, max_iter=3000, random_state=0)
    P = model.fit(X, mask=mask).reconstruct()
    assert np.linalg.norm((P - X)[~mask]) < 0.05 * np.linalg.norm(X[~mask])


def test_zeros_for_holes_shrink_what_is_completed(holes):
    X, mask = holes
    P = {m: ANMF(3, missing=m, random_state=0).fit(X, mask=mask).reconstruct()[~mask] for m in ("zero", "ignore")}
    assert P["zero"].sum() < 0.8 * X[~mask].sum()
    assert 0.9 * X[~mask].sum() < P["ignore"].sum() < 1.1 * X[~mask].sum()


def test_without_attack_it_is_nmf(holes):
    X, mask = holes
    X = X + np.random.default_rng(1).gamma(0.3, size=X.shape)
    model = ANMF(3, beta=0.0, tol=1e-6, max_iter=5000, random_state=0).fit(X, mask=mask)
    plain = NMF(3, tol=1e-9, max_iter=5000, random_state=0).fit(X, mask=mask)
    assert model.reconstruction_err_ == pytest.approx(plain.reconstruction_err_, rel=0.01)


def test_the_attack_is_felt(holes):
    """The learner pays for standing up to the attack by a worse fit of clean data."""
    X, mask = holes
    errors = [
        ANMF(3, beta=beta, attack_weight=10.0, random_state=0).fit(X, mask=mask).reconstruction_err_
        for beta in (0.0, 0.5)
    ]
    assert errors[0] < errors[1]
    model = ANMF(3, beta=0.5, attack_weight=10.0, random_state=0).fit(X, mask=mask)
    Z, codes = X + X[mask].mean(), model.factors_[0]
    towards = [np.linalg.norm((codes @ B - Z)[mask]) for B in (model.attacked_components_, model.components_)]
    assert towards[0] < towards[1]


def test_penalties_change_only_if_they_may():
    for adapt in (False, True):
        game, H, W = random_game()
        process = ADMM(game, H, W, 1.0, adapt)
        before = process.rho_W, process.rho_H
        for _ in range(100):
            process.step()
        assert ((process.rho_W, process.rho_H) != before) == adapt


@pytest.mark.parametrize(
    ("primal", "change", "before", "factor"),
    [(0.3, 0.1, 0.9, 2), (0.1, 0.3, 0.9, 0.5), (0.3, 0.2, 0.4, 1), (0.3, 0.2, 0.3, 2), (0.1, 0.3, 0.3, 0.5)],
)
def test_penalties_balance_residuals_and_grow_where_these_do_not_fall(primal, change, before, factor):
    dual = np.ones((2, 2))
    assert _balance(4.0, 4.0, primal, change, before, dual) == 4.0 * factor
    # What is scaled is the dual times rho, which stays.
    np.testing.assert_array_equal(dual, 1 / factor)


@pytest.mark.slow
@pytest.mark.usefixtures("data_dir")
def test_no_cycle_on_faces():
    data = datasets.fetch_cbcl()
    model = ANMF(49, missing="complete", random_state=1).fit(data.X, mask=data.masks[0.3])
    assert model.residuals_[-1].max() < 1e-3


def test_a_lost_game_does_not_leave_what_was_observed():
    """With beta = 1 nothing holds the clean prediction, which a strong attack then drives away."""
    rng = np.random.default_rng(0)
    X = rng.gamma(1.0, size=(20, 3)) @ rng.gamma(1.0, size=(3, 20))
    X[rng.random(X.shape) < 0.6] = np.nan
    lost = {"beta": 1.0, "attack_weight": 0.05, "target": "zero", "max_iter": 200, "random_state": 0}
    free, kept = (ANMF(7, finish=finish, **lost).fit(X) for finish in (False, True))
    assert free.reconstruct().max() > 10 * np.nanmax(X)
    for P in (kept.reconstruct(), kept.complete(X)):
        assert P.max() <= 2 * np.nanmax(X) * (1 + 1e-9)
        assert P.min() >= 0


def test_a_number_as_target_is_a_shift(holes):
    X, mask = holes
    given = ANMF(3, target=float(X[mask].mean()), max_iter=20, random_state=0).fit(X, mask=mask)
    named = ANMF(3, target="mean", max_iter=20, random_state=0).fit(X, mask=mask)
    np.testing.assert_allclose(given.reconstruct(), named.reconstruct(), rtol=1e-9)


@pytest.mark.usefixtures("data_dir")
def test_residuals_fall_on_the_data_of_the_study():
    data = datasets.fetch_synthetic()
    model = ANMF(5, random_state=0).fit(data.X, mask=data.masks[0.6])
    assert model.residuals_[-1].max() < 1e-3
