"""`FrobeniusPenalty` beside its contract: closed forms, the printed one-step attack, the prices that it takes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from advnmf.adversaries import FrobeniusPenalty, NoAdversary
from advnmf.data import array_data
from advnmf.losses import L21, Correntropy, Elastic, EntryLoss, Frobenius
from problems import CLASHES, PAIRS, random_data

pairs = pytest.mark.parametrize(("loss", "adversary"), PAIRS, ids=repr)


def payoff(loss, adversary, data, P, U):
    """What each sample pays for the attacked values U = X + R."""
    omega = np.ones(data.shape) if data.omega is None else data.omega
    cost = getattr(adversary, "lam", 0.0) * (omega * (U - data.values) ** 2).sum(axis=1)
    if isinstance(loss, EntryLoss):
        return (omega * loss.rho(np.abs(U - P))).sum(axis=1) - cost
    return loss.rho(np.sqrt((omega * (U - P) ** 2).sum(axis=1))) - cost


def respond(loss, adversary, data, P):
    """Robust loss of each row, and the weights of the touching quadratic: of samples as a column, or of entries."""
    groups = loss.groups(data)
    values, d = adversary.respond(loss, groups, P)
    return groups.per_row(values), groups.per_sample(d)


def perturb(loss, adversary, data, P, **kwargs):
    return adversary.perturb(loss, loss.groups(data), P, **kwargs)


@pytest.fixture(params=[False, True], ids=["mask", "weights"])
def case(request):
    rng = np.random.default_rng(5)
    data = random_data(rng, weights=request.param)
    # Some predictions are far above their data, so that the bound X + R >= 0 binds.
    return rng, data, rng.gamma(1.0, 2.0, size=data.shape)


@pytest.mark.parametrize("loss", [Frobenius(), L21(0.5), Elastic(2.0), Elastic(0.2), Correntropy(1.0)], ids=repr)
def test_no_ascent_from_any_start_is_worse(loss):
    rng = np.random.default_rng(6)
    adversary = FrobeniusPenalty(1.02 * max(1, loss.max_weight))
    for _ in range(6):
        data = array_data(rng.gamma(1.0, size=(1, 4)))
        P = rng.gamma(1.0, 2.0, size=(1, 4))
        (value,), _ = respond(loss, adversary, data, P)
        for _ in range(4):
            found = minimize(
                lambda u, data=data, P=P: -payoff(loss, adversary, data, P, u[None])[0],
                rng.gamma(1.0, 3.0, size=4),
                bounds=[(0, None)] * 4,
            )
            assert -found.fun <= value + 1e-6


def test_frobenius_closed_form():
    # phi_lam(v, p) = lam/(lam-1) (v-p)^2 for p <= lam v, else p^2 - lam v^2; X + R* = max((lam v - p)/(lam - 1), 0).
    rng = np.random.default_rng(7)
    for lam in (1.001, 1.5, 2.0, 50.0):
        v, p = rng.gamma(1.0, size=(2, 500, 1))
        adversary = FrobeniusPenalty(lam)
        phi = np.where(p <= lam * v, lam / (lam - 1) * (v - p) ** 2, p**2 - lam * v**2)
        np.testing.assert_allclose(
            adversary.respond(Frobenius(), array_data(v), p)[0], phi[:, 0], rtol=1e-9, atol=1e-12
        )
        np.testing.assert_allclose(
            adversary.perturb(Frobenius(), array_data(v), p), np.maximum((lam * v - p) / (lam - 1), 0), atol=1e-12
        )


def test_one_step_is_equation_21_and_over_attacks():
    loss, adversary = Elastic(2.0), FrobeniusPenalty(2.0)
    data = array_data(np.full((3, 1), 100.0))
    x = np.array([[0.1], [1.0], [5.0]])
    exact = perturb(loss, adversary, data, data.values - x) - data.values
    printed = perturb(loss, adversary, data, data.values - x, one_step=True) - data.values
    d = loss.weight(x)
    np.testing.assert_allclose(printed, d / (2 - d) * x)
    np.testing.assert_allclose(exact[:, 0], [0.165, 0.506, 0.699], atol=1e-3)
    np.testing.assert_allclose(printed[:, 0], [0.230, 0.714, 0.799], atol=1e-3)


@pytest.mark.parametrize("loss", [Frobenius(), Elastic(2.0)], ids=repr)
def test_expensive_perturbations_leave_the_plain_loss(loss, case):
    _, data, P = case
    values, _ = respond(loss, FrobeniusPenalty(1e9), data, P)
    np.testing.assert_allclose(values, respond(loss, NoAdversary(), data, P)[0], rtol=1e-6)
    np.testing.assert_allclose(perturb(loss, FrobeniusPenalty(1e9), data, P), data.values, atol=1e-6)


@pytest.mark.parametrize(("loss", "adversary"), CLASHES, ids=repr)
def test_incompatible_pair_is_refused_with_its_bound(loss, adversary):
    with pytest.raises(ValueError, match=f"must exceed {loss.max_weight:.6g}".replace("+", r"\+")):
        adversary.check(loss)


@pytest.mark.parametrize("lam", [1.0, 0.5, -2, float("inf"), float("nan")])
def test_lam_at_most_one_is_refused(lam):
    with pytest.raises(ValueError, match="lam="):
        FrobeniusPenalty(lam)
