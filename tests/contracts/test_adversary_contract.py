"""The contract of every adversary with every loss that it takes, against the prices and sets of its cases."""

from __future__ import annotations

import numpy as np
import pytest

from advnmf.arrays.namespaces import to_numpy
from advnmf.data import sparse_data
from cases import STORAGES, chain, numeric_gradient, pairs, stored, takes

both = pytest.mark.parametrize(("loss", "adversary"), pairs())


def attacks(loss, adversary, storages=STORAGES):
    """The attack in each storage that has what they look at."""
    return [Attack(loss, adversary, each) for each in storages if takes(each, loss.loss, adversary.adversary)]


class Attack:
    """One problem, its factors, and what the adversary of this moment answers."""

    def __init__(self, loss, adversary, storage, seed=0):
        self.s = stored(storage, seed)
        self.loss, self.adversary = loss, adversary
        self.factors = chain(seed + 1, self.s.X.shape, 3)
        asarray = self.s.data.asarray
        self.problem = self.s.problem(loss.loss, adversary.adversary).adapted([asarray(F) for F in self.factors])
        self.P = self.factors[0] @ self.factors[1]

    def value(self, problem, P, U):
        """The loss of attacked values, by its formula."""
        following = problem.loss if self.loss.follows is not None else None
        if following is None:
            return self.loss.value(U, P, self.s.omega)
        return float((self.s.omega * following.rho(np.abs(U - P))).sum())

    def payoff(self, U):
        return self.value(self.problem, self.P, U) - self.adversary.price(U - self.s.X, self.s.omega)

    def perturbed(self, **kwargs):
        """X + R as a whole array; a zero that is not stored stays one."""
        groups = self.problem.loss.groups(self.s.data)
        U = self.problem.adversary.perturb(self.problem.loss, groups, self.s.predict(*self.factors), **kwargs)
        assert str(U.dtype).endswith("float64")
        return self.s.full(U)

    def robust(self, factors=None):
        factors = self.factors if factors is None else factors
        return self.problem.objective([self.s.data.asarray(F) for F in factors])


@both
def test_perturbation_is_feasible(loss, adversary):
    for attack in attacks(loss, adversary):
        s = attack.s
        before = to_numpy(s.data.values).copy()
        for one_step in (False, True):
            U = attack.perturbed(one_step=one_step)
            assert (U >= 0).all()
            assert (U[s.omega == 0] == 0).all()
            if not one_step:
                np.testing.assert_allclose(adversary.nearest(U, s.X, s.omega), U, atol=1e-9)
        np.testing.assert_array_equal(to_numpy(s.data.values), before)


@both
def test_values_of_weight_0_are_not_attacked_but_left_out(loss, adversary):
    """A stored value may have the weight 0: off the mask X + R is zero, and X itself without an attack."""
    data = sparse_data(np.array([1.0, 5.0]), np.array([0, 1]), np.array([0, 2]), 2, omega=np.array([1.0, 0.0]))
    P = np.array([0.3, 0.2])
    U = adversary.adversary.perturb(loss.loss, loss.loss.groups(data), P)
    assert U[0] >= 0
    assert U[1] == (0 if adversary.adversary.attacks else 5)


@both
def test_robust_loss_is_what_the_perturbation_pays(loss, adversary):
    for attack in attacks(loss, adversary):
        assert attack.robust() == pytest.approx(attack.payoff(attack.perturbed()), rel=1e-8)


@both
def test_no_other_perturbation_is_worse(loss, adversary):
    rng = np.random.default_rng(0)
    for attack in attacks(loss, adversary, ["mask", "weights"]):
        s, top = attack.s, attack.robust()
        for start in (attack.perturbed(), s.X, attack.P):
            for size in (1e-3, 0.1, 3.0):
                for _ in range(8):
                    U = adversary.nearest(start + size * rng.standard_normal(s.X.shape), s.X, s.omega)
                    assert attack.payoff(U) <= top + 1e-9 * abs(top)


@both
def test_the_quadratic_has_the_gradient_of_the_robust_loss(loss, adversary):
    # Danskin: that of the loss at the attacked data, held fixed.  Seen through the products that solvers form of it.
    for attack in attacks(loss, adversary):
        s, problem, (L, R), U = attack.s, attack.problem, attack.factors, attack.perturbed()
        by_codes = numeric_gradient(lambda F, a=attack, U=U: a.value(a.problem, F @ a.factors[1], U), L)
        by_components = numeric_gradient(lambda F, a=attack, U=U: a.value(a.problem, a.factors[0] @ F, U), R)
        A, B = s.data.asarray(L), s.data.asarray(R)
        P = s.data.predict(A, B)
        d = problem.respond(s.data, P)[1]
        for given in (d,) if problem.loss.entrywise else (d, None):
            data, N, Q, w = problem.gradient_parts(s.data, P, given)
            wA = w[:, None] * A
            found = 2 * w[:, None] * (data.times(Q, B.T) - data.times(N, B.T))
            np.testing.assert_allclose(to_numpy(found), by_codes, rtol=1e-5, atol=1e-6 * np.abs(by_codes).max())
            found = 2 * (data.rtimes(wA, Q) - data.rtimes(wA, N))
            np.testing.assert_allclose(
                to_numpy(found), by_components, rtol=1e-5, atol=1e-6 * np.abs(by_components).max()
            )


@both
def test_the_quadratic_touches_from_above(loss, adversary):
    rng = np.random.default_rng(0)
    for attack in attacks(loss, adversary, ["mask", "weights", "complete"] if loss.loss.half_quadratic else []):
        s, problem = attack.s, attack.problem
        P = s.data.predict(*attack.factors)
        data, T, w = problem.majorise(s.data, P, problem.respond(s.data, P)[1])
        omega = s.omega if data is s.data else data.omega
        T = s.data.entries(T)

        def quadratic(Y, w=w, omega=omega, T=T):
            return float((w[:, None] * omega * (T - Y) ** 2).sum())

        for size in (1e-3, 0.1, 1.0, 5.0):
            for _ in range(4):
                A = np.maximum(attack.factors[0] + size * rng.standard_normal(attack.factors[0].shape), 0)
                above = attack.robust() + quadratic(A @ attack.factors[1]) - quadratic(attack.P)
                assert attack.robust([A, attack.factors[1]]) <= above + 1e-9 * abs(above)


@both
def test_weights_that_are_kept_stay_a_bound(loss, adversary):
    # A sweep takes d once: with d of another moment the quadratic still lies above, with one constant for all.
    attack = Attack(loss, adversary, "mask")
    s, problem, rng = attack.s, attack.problem, np.random.default_rng(1)
    if problem.entrywise:
        pytest.skip("weights of entries are taken anew")
    d = problem.respond(s.data, s.data.predict(*attack.factors))[1]
    A, B = attack.factors[0] * rng.uniform(0.7, 1.4, attack.factors[0].shape), attack.factors[1]
    rows = problem.objective(attack.factors)
    # Renewing T for this d from P to A B and on to C B must not lower what bounds them.
    _, T, w = problem.majorise(s.data, s.data.predict(A, B), d)
    C = A * rng.uniform(0.7, 1.4, A.shape)
    first = problem.majorise(s.data, s.data.predict(*attack.factors), d)[1]
    step = (w[:, None] * s.omega * ((first - A @ B) ** 2 - (first - attack.P) ** 2)).sum()
    step += (w[:, None] * s.omega * ((T - C @ B) ** 2 - (T - A @ B) ** 2)).sum()
    assert problem.objective([C, B]) <= rows + step + 1e-9 * abs(rows)


@both
def test_frozen_attacks_are_the_data_of_a_plain_problem(loss, adversary):
    attack = Attack(loss, adversary, "sparse weights")
    frozen = attack.problem.attacked(attack.factors)
    assert not frozen.adversary.attacks
    U = attack.s.full(frozen.data.values)
    np.testing.assert_allclose(U, attack.perturbed(), atol=1e-12)
    assert frozen.objective(attack.factors) == pytest.approx(attack.value(attack.problem, attack.P, U), rel=1e-10)
