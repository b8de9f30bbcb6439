"""What `hals` and `mu` do beside the contract of solvers: each against its reference, and their corners."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import non_negative_factorization

from advnmf.adversaries import FrobeniusPenalty, NoAdversary
from advnmf.data import ObservedData, array_data
from advnmf.engine.factors import layer_shapes, left, product, right
from advnmf.engine.loop import StoppingCriteria, minimise
from advnmf.engine.problem import Problem
from advnmf.losses import Elastic, Frobenius
from advnmf.penalties import NO_PENALTY, ElasticNet
from advnmf.solvers import HALS, MU, SOLVERS, get_solver
from problems import complete_data, data_in, low_rank, random_chain, random_data

solvers = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
LAYERS = [(3,), (4, 3), (5, 4, 2)]
PENALTIES = [NO_PENALTY, ElasticNet(0.05, 0.2)]


def problem_of(data, loss=None, adversary=None, n_factors=2, penalty=NO_PENALTY):
    return Problem(data, loss or Frobenius(), adversary or NoAdversary(), (penalty,) * n_factors)


@solvers
@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_float32_is_kept_and_descends(solver, layers):
    rng = np.random.default_rng(0)
    data = random_data(rng, (30, 20), dtype=np.float32)
    problem = problem_of(data, Elastic(1.0), FrobeniusPenalty(3.0), len(layers) + 1)
    factors = random_chain(rng, data.shape, layers, np.float32)
    history = minimise(problem, factors, solver, StoppingCriteria(max_iter=50, tol=0)).history
    assert all(F.dtype == np.float32 for F in factors)
    assert (np.diff(history) <= 1e-5 * history[:-1]).all()
    assert history[-1] < 0.5 * history[0]


@pytest.mark.parametrize("penalty", [(0.0, 0.0), (0.02, 0.0), (0.02, 0.5), (0.02, 1.0)], ids=str)
def test_mu_is_scikit_learns_on_complete_data(penalty):
    alpha, l1_ratio = penalty
    rng = np.random.default_rng(4)
    X = low_rank(rng, (30, 20), 4) + rng.random((30, 20))
    W, H = random_chain(rng, X.shape, (5,))
    expected = non_negative_factorization(
        X,
        W=W.copy(),
        H=H.copy(),
        n_components=5,
        init="custom",
        solver="mu",
        max_iter=60,
        tol=0,
        alpha_W=alpha,
        alpha_H=alpha,
        l1_ratio=l1_ratio,
    )
    penalties = tuple(ElasticNet(alpha * size * l1_ratio, alpha * size * (1 - l1_ratio)) for size in (20, 30))
    problem = Problem(array_data(X), Frobenius(), NoAdversary(), penalties)
    minimise(problem, [W, H], get_solver("mu"), StoppingCriteria(max_iter=60, tol=0))
    np.testing.assert_allclose(W, expected[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(H, expected[1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("weights", [False, True])
def test_hals_rows_solve_nonnegative_least_squares(weights):
    from scipy.optimize import nnls

    rng = np.random.default_rng(5)
    data = random_data(rng, (6, 30), observed=0.8, weights=weights)
    B = rng.gamma(1.0, size=(4, 30))
    codes = np.ones((6, 4))
    for _ in range(500):
        HALS().update_codes(problem_of(data), [codes, B])
    for i in range(6):
        root = np.sqrt(data.omega[i].astype(float))
        if i != 1:  # nothing observed there
            np.testing.assert_allclose(codes[i], nnls((B * root).T, data.values[i] * root)[0], atol=1e-8)


@pytest.mark.parametrize("index", [1, 2])
def test_hals_inner_factor_reaches_the_masked_minimum(index):
    # With the others fixed the inner problem is convex: compare with a long run of projected gradients.
    rng = np.random.default_rng(6)
    data = random_data(rng, (12, 10), weights=True)
    factors = random_chain(rng, data.shape, (4, 3, 3))
    problem = problem_of(data, n_factors=4, penalty=ElasticNet(0.01, 0.03))
    d = np.ones(12)
    for _ in range(3000):
        HALS()._update_inner(problem, factors, index, d)
    F, L, R = factors[index], left(factors, index), right(factors, index)
    half = L.T @ (data.omega * (L @ F @ R - data.values)) @ R.T + 0.01 + 0.03 * F
    assert np.abs(np.minimum(F, half)).max() < 1e-5 * np.abs(L.T @ data.values @ R.T).max()  # KKT


@solvers
def test_no_nan_from_zero_factors_or_zero_data(solver):
    rng = np.random.default_rng(7)
    for data in (
        random_data(rng),
        array_data(np.zeros((4, 5))),
        array_data(np.zeros((4, 5)), np.eye(4, 5, dtype=np.uint8)),
    ):
        for layers in LAYERS:
            factors = [np.zeros(s) for s in layer_shapes(*data.shape, layers)]
            history = minimise(
                problem_of(data, n_factors=len(factors)), factors, solver, StoppingCriteria(max_iter=5)
            ).history
            assert np.isfinite(history).all()
            assert all(np.isfinite(F).all() for F in factors)


@solvers
def test_alternating_attack_reports_the_robust_objective(solver):
    rng = np.random.default_rng(8)
    data = random_data(rng, (20, 15))
    problem = problem_of(data, Elastic(2.0), FrobeniusPenalty(2.0))
    factors = random_chain(rng, data.shape, (3,))
    start = problem.objective(factors)
    result = minimise(problem, factors, solver, StoppingCriteria(max_iter=30, tol=0), attack_every=5)
    assert result.history[0] == pytest.approx(start)
    assert result.history[-1] == pytest.approx(problem.objective(factors))
    assert result.objective < start


def test_large_data_go_block_by_block(monkeypatch):
    rng = np.random.default_rng(9)
    data = random_data(rng, (23, 11))
    start = random_chain(rng, data.shape, (4, 3))
    results = []
    for block in (2**20, 30):
        monkeypatch.setattr(ObservedData, "block_entries", block)
        for solver in SOLVERS.values():
            factors = [F.copy() for F in start]
            minimise(
                problem_of(data, Elastic(1.0), FrobeniusPenalty(3.0), 3),
                factors,
                solver,
                StoppingCriteria(max_iter=5, tol=0),
            )
            results.append(product(factors))
    np.testing.assert_allclose(results[0], results[2], rtol=1e-9)
    np.testing.assert_allclose(results[1], results[3], rtol=1e-9)


def test_blas_threads_are_given_back_after_overlapping_fits():
    from threadpoolctl import threadpool_info

    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    rng = np.random.default_rng(10)
    problem = problem_of(random_data(rng))
    before = threads()
    first, second = HALS().session(problem), HALS().session(problem)
    first.__enter__()
    second.__enter__()
    assert set(threads()) <= {1}
    first.__exit__(None, None, None)
    assert set(threads()) <= {1}
    second.__exit__(None, None, None)
    assert threads() == before
    with HALS().session(problem_of(complete_data(rng))):
        assert threads() == before


@pytest.mark.parametrize("layers", [(3,), (4, 3)], ids=str)
def test_repeated_updates_descend_faster_where_they_are_cheap(layers):
    """On complete data a repetition costs no new product with X; with a mask it would, and none is made."""
    for storage in ("complete", "zeros", "mask"):
        histories = []
        for n_repeats in (0, 2):
            rng = np.random.default_rng(0)
            data = data_in(storage, rng)
            problem = problem_of(data, n_factors=len(layers) + 1, penalty=ElasticNet(0.05, 0.2))
            factors = random_chain(rng, data.shape, layers)
            histories.append(minimise(problem, factors, MU(n_repeats), StoppingCriteria(max_iter=6, tol=0)).history)
        if storage == "mask":
            np.testing.assert_array_equal(*histories)
        else:
            assert histories[1][5] < histories[0][5]
