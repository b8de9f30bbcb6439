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
    seed, fits, refused, faults = budget.seed, 0, 0, []
    while budget.left() > 0:
        seed += 1
        problem = draw(np.random.default_rng(seed))
        model = fitted(problem)
        if model is None:
            refused += 1
            continue
        fits += 1
        fault = fault_of(problem, model)
        if fault:
            faults.append((seed, fault, problem.params))
            print(faults[-1], flush=True)
    print(f"{fits} fits, {refused} refused")
    assert not faults


def fault_of(problem: RandomFit, model: NMF) -> str:
    """What is wrong with a fit, in words; nothing if nothing is."""
    curve, eps = model.loss_curve_, np.finfo(problem.X.dtype).eps
    if not np.isfinite(curve).all():
        return "a loss that is not finite"
    rises = np.diff(curve)
    digits = 2e3 if eps > 1e-10 else 1e4
    if not isinstance(problem.params["n_components"], int) and problem.params["loss"].max_weight > 1e8:
        digits = 1e7  # weights of samples differ by ten orders there, and inner factors see all of them at once
    rounding = digits * eps * max(curve[0], problem.loss_of_zero())
    if problem.exact and not (rises <= rounding).all():
        return f"a rise of {rises.max() / curve[0]}"
    completed = model.complete(problem.X)
    completed = completed.toarray() if sparse.issparse(completed) else completed
    if not (np.isfinite(completed).all() and np.isfinite(problem.predictions(model)).all()):
        return "a completion that is not finite"
    return ""


def test_random_units(budget):
    """c X has c times the completion, and c times the weights change nothing."""
    seed, fits, faults = budget.seed, 0, []
    while budget.left() > 0:
        seed += 1
        rng = np.random.default_rng(seed)
        problem = draw(rng, units=True)
        model = fitted(problem)
        if model is None:
            continue
        fits += 1
        c = 2.0 ** int(rng.choice([-36, -24, -12, 12, 24, 36]))  # exact, as are its roots
        scaled = problem.times(c)
        found = [("X", predictions(scaled) / c)]
        if problem.weights is not None:
            found.append(("weights", predictions(problem.weighted(c))))
        for what, predicted in found:
            far, chance = distances(problem, model, predicted)
            # What rounding decides, by a ten thousandth of its size or more, says nothing of units.
            if chance < 1e-4 and not far <= max(1e-6, 100 * chance):
                faults.append((seed, what, c, far, chance, problem.params))
                print(faults[-1], flush=True)
    print(f"{fits} fits, and as many in other units")
    assert not faults


def predictions(problem: RandomFit) -> np.ndarray:
    """What a fit says of everything; NaN where it is refused."""
    model = fitted(problem)
    return np.array(np.nan) if model is None else problem.predictions(model)


def distances(problem: RandomFit, model: NMF, found: np.ndarray) -> tuple[float, float]:
    """How far from the fit, and how far a change of the 13th digit of the data takes it, if that matters.

    A fit that is all but perfect leaves open what was not observed: rounding decides there.
    """
    where = problem.observed if model.loss_curve_[-1] < 1e-6 * problem.loss_of_zero() else np.s_[:]
    expected = problem.predictions(model)
    far = distance(found, expected, where)
    if far <= 1e-6:
        return far, 0.0
    shaken = (problem.shaken(np.random.default_rng(n), 1e-13) for n in range(5))
    return far, max(distance(predictions(other), expected, where) for other in shaken)


def distance(found: np.ndarray, expected: np.ndarray, where: object) -> float:
    """The largest difference, in units of the largest entry; of a fit that has vanished, in units of 1e-100."""
    size = max(float(np.abs(expected).max()), 1e-100)
    return float(np.abs(np.broadcast_to(found, expected.shape) - expected)[where].max() / size)
