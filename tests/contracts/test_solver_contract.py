"""The contract of every solver, over the losses and adversaries that it takes, all storages, shallow and deep."""

from __future__ import annotations

import numpy as np
import pytest

from advnmf.adversaries import NoAdversary
from advnmf.arrays.namespaces import to_numpy
from advnmf.data import array_data
from advnmf.engine.factors import product
from advnmf.engine.loop import StoppingCriteria, minimise
from advnmf.engine.problem import Problem
from advnmf.losses import Frobenius
from advnmf.penalties import NO_PENALTY, ElasticNet
from advnmf.solvers import MU, SOLVERS
from cases import LOSS_CASES, STORAGES, chain, numeric_gradient, pairs, stored, takes

# Every solver of the table, and what its parameters make of it.
KNOWN = [*SOLVERS.values(), MU(n_repeats=2)]
solvers = pytest.mark.parametrize("solver", KNOWN, ids=repr)
both = pytest.mark.parametrize(("loss", "adversary"), pairs())


def nets(shape, n_factors):
    """Penalties of l1 and l2 on each factor, for codes and components one for each row; and the same by a formula."""
    scales = [np.linspace(0.5, 2, shape[0]), *[None] * (n_factors - 2), np.linspace(2, 0.5, shape[1])]
    penalties = [ElasticNet(0.1 * (k + 1), 0.3, scale) for k, scale in enumerate(scales)]

    def formula(factors):
        total = 0.0
        for k, (F, scale) in enumerate(zip([*factors[:-1], factors[-1].T], scales, strict=True)):
            rows = 2 * 0.1 * (k + 1) * F.sum(axis=1) + 0.3 * (F**2).sum(axis=1)
            total += float((rows if scale is None else scale * rows).sum())
        return total

    return penalties, formula


def ran(problem, factors, solver, n_sweeps):
    return minimise(problem, factors, solver, StoppingCriteria(max_iter=n_sweeps, tol=0)).history


def supported(solver, storage, loss, adversary=None):
    if not takes(storage, loss, adversary):
        return False
    if "tensor" in storage and solver.numpy_only:
        return False
    return loss.half_quadratic or not solver.half_quadratic_only


@solvers
@both
def test_no_sweep_raises_the_objective(solver, loss, adversary):
    for number, storage in enumerate(STORAGES):
        # In turn, so that each storage meets all depths and both kinds of penalties.
        turn = number + len(repr(loss)) + len(repr(adversary))
        slow = "tensor" in storage and adversary.adversary.attacks  # its steps are those of arrays
        if turn % 2 or slow or not supported(solver, storage, loss.loss, adversary.adversary):
            continue
        layers = [(3,), (4, 3), (4, 3, 2)][turn // 2 % 3]
        s = stored(storage, seed=number)
        penalties, penalty = nets(s.X.shape, len(layers) + 1)
        if turn % 4 == 0:
            penalties, penalty = [NO_PENALTY] * len(penalties), lambda factors: 0.0
        problem = s.problem(loss.loss, adversary.adversary, penalties)
        start = chain(number, s.X.shape, *layers)
        factors = [s.data.asarray(F.copy()) for F in start]
        history = ran(problem, factors, solver, 4)
        assert np.isfinite(history).all()
        assert loss.loss.adaptive or (np.diff(history) <= 1e-10 * np.abs(history[:-1])).all(), (storage, layers)
        assert history[-1] < history[0]
        if not problem.adaptive:
            assert history[-1] == pytest.approx(problem.objective(factors), rel=1e-12)
        ended = [to_numpy(F) for F in factors]
        assert all((F >= 0).all() for F in ended)
        if not (problem.adaptive or adversary.adversary.attacks):
            for reported, at in ((history[0], start), (history[-1], ended)):
                assert reported == pytest.approx(loss.value(s.X, product(at), s.omega) + penalty(at), rel=1e-9)


# One of each class that has a single minimum for one factor, each in a storage and depth of its own; squares in more.
ENDS = [
    *[
        (case, storage, layers)
        for cases in LOSS_CASES.values()
        for case in cases[1:2] or cases[:1]
        for storage, layers in (("weights", (2,)), ("sparse", (3, 2)))
    ],
    *[(LOSS_CASES[Frobenius][0], storage, layers) for storage, layers in (("complete", (2,)), ("zeros", (3, 2)))],
]


@solvers
@pytest.mark.parametrize(("case", "storage", "layers"), ENDS, ids=str)
def test_sweeps_end_where_nothing_can_be_gained(solver, case, storage, layers):
    # KKT, by the formulas of loss and penalty: F >= 0, G >= 0, F G = 0.
    if not supported(solver, storage, case.loss):
        pytest.skip("not taken")
    s = stored(storage, seed=3)
    penalties, penalty = nets(s.X.shape, len(layers) + 1)
    problem = s.problem(case.loss, None, penalties)
    factors = chain(3, s.X.shape, *layers)
    # Multiplicative updates take long to get there: they begin where coordinate descent has ended, and must stay.
    if case.loss.half_quadratic:
        ran(problem, factors, SOLVERS["hals"], 120)
        ran(problem, factors, solver, 40)
    else:
        ran(problem, factors, solver, 1000)
    for index, F in enumerate(factors):

        def objective(changed, index=index):
            others = [*factors[:index], changed, *factors[index + 1 :]]
            return case.value(s.X, product(others), s.omega) + penalty(others)

        G = numeric_gradient(objective, F)
        size = np.abs(numeric_gradient(objective, 1.5 * F + 0.1)).max()
        assert np.abs(F * G).max() < (3e-4 if len(layers) == 1 else 5e-3) * size
        assert G.min() > -5e-3 * size


@solvers
@both
def test_codes_are_renewed_alone(solver, loss, adversary):
    storage = "zeros" if takes("zeros", loss.loss, adversary.adversary) else "sparse weights"
    if not supported(solver, storage, loss.loss, adversary.adversary):
        pytest.skip("not taken")
    s = stored(storage)
    problem = s.problem(loss.loss, adversary.adversary, nets(s.X.shape, 2)[0])
    A, B = chain(1, s.X.shape, 3)
    problem = problem.adapted([A, B])
    factors = [A.copy(), B.copy()]
    values, d = solver.update_codes(problem, factors)
    np.testing.assert_array_equal(factors[1], B)
    on_entry, weights = problem.respond(s.data, s.data.predict(A, B))
    np.testing.assert_allclose(values, on_entry, rtol=1e-12)
    if problem.loss.entrywise:
        assert d is None
    else:
        np.testing.assert_allclose(d, weights, rtol=1e-12)
    # Each row from its own sample.
    alone = [A[3:4].copy(), B.copy()]
    part = Problem(
        s.data.take(slice(3, 4)), problem.loss, problem.adversary, (problem.penalties[0].take(slice(3, 4)),) * 2
    )
    solver.update_codes(part, alone)
    np.testing.assert_allclose(alone[0], factors[0][3:4], rtol=1e-9, atol=1e-12)


@solvers
def test_missing_entries_have_no_influence(solver):
    s = stored("weights")
    junk = array_data(np.where(s.omega > 0, s.X, 1e3), s.omega)
    ends = []
    for data in (s.data, junk):
        factors = chain(2, s.X.shape, 4, 3)
        minimise(
            Problem(data, Frobenius(), NoAdversary(), (NO_PENALTY,) * 3),
            factors,
            solver,
            StoppingCriteria(max_iter=5, tol=0),
        )
        ends.append(product(factors))
    np.testing.assert_array_equal(*ends)


@solvers
def test_a_mask_of_ones_is_complete_data_and_weights_are_repetitions(solver):
    s = stored("complete")
    twice = array_data(np.vstack([s.X, s.X]))
    doubled = array_data(s.X, np.full(s.X.shape, 2.0))
    masked = array_data(s.X, np.ones(s.X.shape, bool))
    plain = MU() if solver.name == "mu" else solver  # repetitions are for complete data alone
    ends = []
    for data, times in ((s.data, 1), (masked, 1), (doubled, 2), (twice, 2)):
        A, B = chain(2, s.X.shape, 3)
        factors = [np.vstack([A] * (data.shape[0] // len(A))), B]
        history = ran(Problem(data, Frobenius(), NoAdversary(), (NO_PENALTY,) * 2), factors, plain, 5)
        ends.append((factors[1], history / times))
    for B, history in ends[1:]:
        np.testing.assert_allclose(B, ends[0][0], rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(history, ends[0][1], rtol=1e-8)


@solvers
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_planted_matrix_is_recovered(solver, dtype):
    rng = np.random.default_rng(1)
    truth = (rng.gamma(1.0, size=(40, 3)) @ rng.gamma(1.0, size=(3, 30))).astype(dtype)
    observed = rng.random(truth.shape) > 0.3
    data = array_data(np.where(observed, truth, 0).astype(dtype), observed)
    factors = [F.astype(dtype) for F in chain(1, truth.shape, 3)]
    problem = Problem(data, Frobenius(), NoAdversary(), (NO_PENALTY,) * 2)
    ran(problem, factors, solver, 100 if solver.name == "hals" else 600)
    assert all(F.dtype == dtype for F in factors)
    off = np.linalg.norm((product(factors) - truth)[~observed]) / np.linalg.norm(truth[~observed])
    assert off < (2e-2 if solver.name == "hals" else 0.1)


@solvers
def test_tolerance_limits_and_reports_are_respected(solver):
    s = stored("mask")
    problem = s.problem(Frobenius())
    seen = []
    factors = chain(1, s.X.shape, 3)
    objectives = [problem.objective(factors)]
    for _ in range(4):
        assert solver.sweep(problem, factors) == pytest.approx(objectives[-1], rel=1e-12)
        objectives.append(problem.objective(factors))
    result = minimise(problem, chain(1, s.X.shape, 3), solver, StoppingCriteria(4, 0.0, callback=seen.append))
    np.testing.assert_allclose(result.history, objectives, rtol=1e-12)
    assert (result.n_iter, result.stop_reason) == (4, "max_iter")
    assert [p.objective for p in seen] == result.history.tolist()
    falls = -np.diff(objectives) / objectives[1:]
    between = float(np.sqrt(falls[1] * falls[2]))
    result = minimise(problem, chain(1, s.X.shape, 3), solver, StoppingCriteria(50, between))
    # The fall in the third sweep is known once the fourth looks at what it begins with.
    assert (result.n_iter, result.stop_reason) == (4, "tol")
    result = minimise(
        problem, chain(1, s.X.shape, 3), solver, StoppingCriteria(50, 0.0, callback=lambda p: p.n_iter == 2)
    )
    assert (result.n_iter, result.stop_reason) == (3, "callback")
