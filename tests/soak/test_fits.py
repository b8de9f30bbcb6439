"""Random fits over the whole product: no rise, nothing that is not finite, no dependence on units."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse

from advnmf import NMF
from random_fits import RandomFit, draw

pytestmark = [pytest.mark.soak, pytest.mark.filterwarnings("ignore")]


def fitted(problem: RandomFit):
    """The model, or None where it is refused in words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return problem.fit()
    except ValueError:
        return None


def test_random_fits(budget):
    seed, fits, refused = budget.seed, 0, 0
    while budget.left() > 0:
        seed += 1
        problem = draw(np.random.default_rng(seed))
        model = fitted(problem)
        if model is None:
            refused += 1
            continue
        fits += 1
        curve, eps = model.loss_curve_, np.finfo(problem.X.dtype).eps
        assert np.isfinite(curve).all(), (seed, problem.params)
        rises = np.diff(curve)
        if problem.exact:
            rounding = (200 if eps > 1e-10 else 1e4) * eps * max(curve[0], problem.loss_of_zero())
            assert (rises <= rounding).all(), (seed, rises.max() / curve[0], problem.params)
        completed = model.complete(problem.X)
        completed = completed.toarray() if sparse.issparse(completed) else completed
        assert np.isfinite(completed).all(), (seed, problem.params)
        assert np.isfinite(problem.predictions(model)).all(), (seed, problem.params)
    print(f"{fits} fits, {refused} refused")


def test_random_units(budget):
    """c X has c times the completion, and c times the weights change nothing."""
    seed, fits = budget.seed, 0
    while budget.left() > 0:
        seed += 1
        rng = np.random.default_rng(seed)
        problem = draw(rng, units=True)
        model = fitted(problem)
        if model is None:
            continue
        fits += 1
        c = 2.0 ** int(rng.choice([-36, -24, -12, 12, 24, 36]))  # exact, as are its roots
        other = fitted(problem.times(c))
        assert other is not None, (seed, c, problem.params)
        check(problem, model, problem.times(c).predictions(other) / c, seed)
        if problem.weights is not None:
            weighted = problem.weighted(c)
            check(problem, model, weighted.predictions(fitted(weighted)), seed)
    print(f"{fits} fits, and as many in other units")


def check(problem: RandomFit, model: NMF, found: np.ndarray, seed: int) -> None:
    """Equal to a millionth of the largest entry, or as near as the fit stays under a change of the 13th digit.

    A fit that is all but perfect leaves open what was not observed: rounding decides there.
    """
    where = problem.observed if model.loss_curve_[-1] < 1e-6 * problem.loss_of_zero() else np.s_[:]
    expected = problem.predictions(model)
    far = distance(found, expected, where)
    if far > 1e-6:
        shaken = [problem.shaken(np.random.default_rng(n), 1e-13) for n in range(5)]
        chance = max(distance(other.predictions(fitted(other)), expected, where) for other in shaken)
        assert far <= 100 * chance, (seed, far, chance, problem.params)


def distance(found: np.ndarray, expected: np.ndarray, where: object) -> float:
    """The largest difference, in units of the largest entry."""
    return float(np.abs(found - expected)[where].max() / np.abs(expected).max())
