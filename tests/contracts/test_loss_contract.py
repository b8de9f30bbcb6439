"""The contract of every loss, against the formula of its cases, in every storage."""

from __future__ import annotations

import numpy as np
import pytest

from advnmf.arrays.namespaces import to_numpy
from advnmf.data import array_data
from advnmf.losses import HalfQuadratic
from cases import STORAGES, all_losses, chain, numeric_gradient, stored, takes

losses = pytest.mark.parametrize("case", all_losses(), ids=repr)
half_quadratic = pytest.mark.parametrize("case", [c for c in all_losses() if c.loss.half_quadratic], ids=repr)


@losses
def test_value_is_the_formula(case):
    for storage in STORAGES:
        s = stored(storage)
        if not takes(storage, case.loss):
            with pytest.raises(ValueError, match="sparse_missing='absent'"):
                s.problem(case.loss)
            continue
        A, B = chain(1, s.X.shape, 3)
        formula = case.value(s.X, A @ B, s.omega)
        assert case.loss.value(s.data, s.predict(A, B)) == pytest.approx(formula, rel=1e-11), storage
        problem = s.problem(case.loss)
        assert problem.objective([s.data.asarray(F) for F in (A, B)]) == pytest.approx(formula, rel=1e-11), storage
        rows, _ = problem.respond(s.data, s.predict(A, B))
        each = [case.value(s.X[i : i + 1], (A @ B)[i : i + 1], s.omega[i : i + 1]) for i in range(len(A))]
        np.testing.assert_allclose(to_numpy(rows), each, rtol=1e-10, atol=1e-12)


@losses
def test_gradient_parts_are_the_derivative_of_the_formula(case):
    for storage in STORAGES:
        if not takes(storage, case.loss):
            continue
        s = stored(storage)
        A, B = chain(1, s.X.shape, 3)
        N, Q = (s.full(part) for part in case.loss.gradient_parts(s.data, s.predict(A, B)))
        assert (N[s.explicit] >= 0).all()
        assert (Q[s.explicit] >= 0).all()
        expected = numeric_gradient(lambda Y, s=s: case.value(s.X, Y, s.omega), A @ B)
        found = np.where(s.explicit, s.omega * (Q - N), expected)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7 * np.abs(expected).max())


@losses
@pytest.mark.parametrize("storage", ["mask", "weights"])
def test_missing_entries_have_no_influence(case, storage):
    s = stored(storage)
    A, B = chain(1, s.X.shape, 3)
    P, N, Q = A @ B, *case.loss.gradient_parts(s.data, A @ B)
    junk = np.where(s.omega > 0, P, 1e6)
    assert case.loss.value(s.data, junk) == case.loss.value(s.data, P)
    for part, other in zip((N, Q), case.loss.gradient_parts(s.data, junk), strict=True):
        np.testing.assert_array_equal(part[s.omega > 0], other[s.omega > 0])


@losses
def test_weights_are_repetitions(case):
    # Weight 3 on a feature is that feature observed three times.
    s = stored("complete")
    A, B = chain(1, s.X.shape, 3)
    weights = np.ones(s.X.shape)
    weights[:, 0] = 3
    thrice = array_data(np.hstack([s.X, s.X[:, :1], s.X[:, :1]]))
    C = np.hstack([B, B[:, :1], B[:, :1]])
    weighted = array_data(s.X, weights)
    assert case.loss.value(weighted, A @ B) == pytest.approx(case.loss.value(thrice, thrice.predict(A, C)), rel=1e-11)


@losses
def test_the_surrogate_touches_from_above(case):
    # cost(x, p t) <= cost(x, p) + p (Q (t^b - 1) / b - N (t^a - 1) / a): what lets a multiplicative step descend.
    a, b = case.loss.powers
    assert a < b
    x, p, t = (
        g.ravel() for g in np.meshgrid([0.0, 0.3, 2.0], np.geomspace(1e-2, 1e2, 15), np.geomspace(1e-3, 1e3, 21))
    )
    data = array_data(x[:, None])  # one entry a row

    def costs(prediction):
        groups = case.loss.groups(data)
        return np.ravel(groups.per_row(case.loss.respond(groups, prediction[:, None])[0]))

    def power(e):
        return np.log(t) if e == 0 else (t**e - 1) / e

    N, Q = (np.ravel(part) for part in case.loss.gradient_parts(data, p[:, None]))
    gap = costs(p) + p * (Q * power(b) - N * power(a)) - costs(p * t)
    assert (gap >= -1e-9 * (1 + np.abs(costs(p * t)) + p * (Q + N))).all()


@losses
def test_precision_is_kept(case):
    s = stored("mask", dtype=np.float32)
    A, B = (F.astype(np.float32) for F in chain(1, s.X.shape, 3))
    parts = case.loss.gradient_parts(s.data, s.data.predict(A, B))
    assert all(part.dtype == np.float32 for part in parts)
    assert case.loss.respond(case.loss.groups(s.data), s.data.predict(A, B))[0].dtype == np.float64
    assert case.loss.value(s.data, s.data.predict(A, B)) == pytest.approx(case.value(s.X, A @ B, s.omega), rel=1e-5)


@losses
def test_the_unit_of_ridges_is_what_zeros_cost(case):
    # Mean loss of an entry of the typical size that is predicted as zero; of a divergence, what scales like it.
    s = stored("mask")
    counts = np.asarray(s.data.counts)
    for size in (0.5, 3.0):
        if case.loss.half_quadratic and not case.loss.adaptive:
            X = np.full((np.count_nonzero(counts), s.X.shape[1]), size)
            expected = case.value(X, np.zeros_like(X), s.omega[counts > 0]) / counts.sum()
            assert case.loss.unit(size, counts) == pytest.approx(expected, rel=1e-10)
    if not case.loss.half_quadratic:
        A, B = chain(1, s.X.shape, 3)
        grown = case.value(9 * s.X, 9 * A @ B, s.omega) / case.value(s.X, A @ B, s.omega)
        assert case.loss.unit(9.0, counts) / case.loss.unit(1.0, counts) == pytest.approx(grown)


@half_quadratic
def test_weights_are_those_of_a_touching_quadratic(case):
    # rho(y) <= rho(x) + D(x) (y^2 - x^2): what makes every weighted least-squares step a descent step.
    loss = case.loss
    x = np.geomspace(1e-6, 1e3, 200)
    x, y = np.meshgrid(x, np.append(0, x))
    gap = loss.rho(x) + loss.weight(x) * (y**2 - x**2) - loss.rho(y)
    assert (gap >= -1e-9 * (loss.rho(x) + loss.rho(y))).all()


@half_quadratic
def test_weights_fall_from_their_largest(case):
    D = case.loss.weight(np.linspace(0, 10, 1000))
    assert (D > 0).all()
    assert (np.diff(D) <= 0).all()
    assert D[0] == case.loss.max_weight
    assert case.loss.adaptive or case.loss.constant_weight == (D[0] == D[-1])


@losses
def test_a_loss_that_follows_the_fit_is_the_formula_of_its_moment(case):
    s = stored("weights")
    factors = chain(1, s.X.shape, 3)
    problem = s.problem(case.loss)
    assert problem.adaptive == case.loss.adaptive == (case.follows is not None)
    loss = problem.adapted(factors).loss
    assert not loss.adaptive
    if case.follows is None:
        assert loss is case.loss
        return
    seen = s.omega > 0
    expected = case.follows((s.X - factors[0] @ factors[1])[seen], s.X[seen])
    x = np.linspace(0, 4, 50)
    np.testing.assert_allclose(loss.rho(x), expected.rho(x), rtol=1e-12)
    posed = case.loss.posed(2.0, 6.0, 1e-16)
    assert posed.unit(2.0, s.data.counts) == pytest.approx(posed.narrowest.rho(np.array([2.0]))[0])
    assert posed.narrowest.width == pytest.approx(0.1 * 2.0)  # the least share of a typical size


@half_quadratic
def test_a_loss_of_some_width_is_one_of_width_1_in_other_units(case):
    if not np.isfinite(case.loss.width):
        assert case.loss.of_width(1.0) == case.loss or case.loss.adaptive
        return
    x = np.linspace(0.1, 5, 20) * case.loss.width
    ratios = case.loss.rho(x) / case.loss.of_width(1.0).rho(x / case.loss.width)
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-12)
    # Five widths away an entry hardly counts.
    assert case.loss.weight(np.array([5 * case.loss.width]))[0] < 1e-3 * case.loss.max_weight


@half_quadratic
def test_posing_makes_a_loss_of_the_unit_of_the_data(case):
    # The loss of c X is that of X in other units: with constants from data c times as large.
    s = stored("mask")
    A, B = chain(1, s.X.shape, 3)
    for size in (1e-3, 1.0):
        posed = case.loss.posed(size, 3 * size, 1e-16)
        assert isinstance(posed, HalfQuadratic)
        floor = 0.5 / posed.max_weight if case.loss.max_weight > 1e8 else None
        if floor is not None:
            assert floor == pytest.approx(1e-10 * 3 * size)
        assert posed.value(s.data, A @ B) == pytest.approx(case.loss.value(s.data, A @ B), rel=1e-6)
    coarse = case.loss.posed(1.0, 3.0, 1e-7)
    if case.loss.max_weight > 1e8:
        assert 0.5 / coarse.max_weight == pytest.approx(3e-7)


@half_quadratic
def test_weights_beyond_the_precision_are_refused(case):
    s = stored("mask", dtype=np.float32)
    if case.loss.max_weight < 1e9:
        assert s.problem(case.loss).loss is case.loss
    elif case.loss.max_weight > 1e19:
        with pytest.raises(ValueError, match="beyond float32"):
            s.problem(case.loss)
