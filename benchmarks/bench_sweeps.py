"""Time of one sweep: each solver with and without adversary and elastic loss, beside the bare matrix products.

pytest benchmarks/bench_sweeps.py --benchmark-only
"""

from __future__ import annotations

import numpy as np
import pytest

from advnmf.adversaries import FrobeniusPenalty, NoAdversary
from advnmf.data import array_data
from advnmf.engine.problem import Problem
from advnmf.losses import Elastic, Frobenius
from advnmf.penalties import NO_PENALTY
from advnmf.solvers import SOLVERS
from conftest import RANK

CASES = {
    "plain": (Frobenius(), NoAdversary()),
    "adversary": (Frobenius(), FrobeniusPenalty(2.0)),
    "elastic": (Elastic(2.0), NoAdversary()),
    "elastic+adversary": (Elastic(2.0), FrobeniusPenalty(2.0)),
}


def chain(shape):
    rng = np.random.default_rng(1)
    return [(0.05 * rng.random(s)).astype(np.float32) for s in ((shape[0], RANK), (RANK, shape[1]))]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_sweep(benchmark, cbcl_like, solver, case):
    X, mask = cbcl_like
    data = array_data(np.where(mask, X, 0).astype(np.float32), mask.view(np.uint8))
    loss, adversary = CASES[case]
    problem = Problem(data, loss, adversary, (NO_PENALTY, NO_PENALTY))
    factors = chain(X.shape)
    with SOLVERS[solver].session(problem):
        for _ in range(5):  # beyond the first sweeps, where everything is clipped
            SOLVERS[solver].sweep(problem, factors)
        benchmark.pedantic(SOLVERS[solver].sweep, (problem, factors), rounds=30, warmup_rounds=3)


def test_bare_products_of_mu(benchmark, cbcl_like):
    """Two predictions, and two products with the other factor for each factor: what no `mu` sweep can avoid."""
    X, _ = cbcl_like
    A, B = chain(X.shape)

    def products():
        P = A @ B
        P @ B.T, P @ B.T
        P = A @ B
        return A.T @ P, A.T @ P

    benchmark.pedantic(products, rounds=30, warmup_rounds=3)
