"""Every penalty: its formula, the quadratic that touches it from above, blocks of rows, other units."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from scipy import sparse

from advnmf import penalties
from advnmf.penalties import Coupling, ElasticNet, Penalty, Smooth, Together, WithOffset

SCALE = np.array([1.0, 2, 0.5, 3, 1, 4])
GRAPH = sparse.csr_array(
    np.array([[0, 2, 0, 0, 0, 0], [2, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0] * 6] + [[0] * 6] * 2)
)
CHAIN = sparse.csr_array(np.eye(6, k=1) + np.eye(6, k=-1))


def net(F, l1, l2, scale=1):
    return np.sum(scale * (2 * l1 * F.sum(axis=1) + l2 * np.square(F).sum(axis=1)))


def pairs(F, W, strength):
    return strength * sum(W[i, j] * np.sum((F[i] - F[j]) ** 2) for i in range(6) for j in range(i))


def from_mean(b, scale=None):
    return b - np.average(b, weights=scale)


GRID = np.zeros((6, 6))  # of 2 x 3 points
for i, j in [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)]:
    GRID[i, j] = GRID[j, i] = 1

# Of each class: a penalty, and its formula written out.
CASES = {
    ElasticNet: [
        (ElasticNet(), lambda F: 0.0),
        (ElasticNet(0.3, 0.2), lambda F: net(F, 0.3, 0.2)),
        (ElasticNet(0.3, 0.2, SCALE), lambda F: net(F, 0.3, 0.2, SCALE)),
    ],
    Smooth: [
        (Smooth(0.7, chain=True), lambda F: pairs(F, CHAIN, 0.7)),
        (Smooth(0.7, grid=(2, 3)), lambda F: pairs(F, GRID, 0.7)),
        (Smooth(0.7, graph=GRAPH), lambda F: pairs(F, GRAPH, 0.7)),
    ],
    Coupling: [(Coupling(GRAPH, 0.4), lambda F: pairs(F, GRAPH, 0.4))],
    Together: [
        (Together(ElasticNet(0.3, 0.2), Coupling(CHAIN, 2.0)), lambda F: net(F, 0.3, 0.2) + pairs(F, CHAIN, 2.0)),
    ],
    WithOffset: [
        (
            WithOffset(ElasticNet(0.3, 0.2), ElasticNet(0, 0.7), offset=2, held=3),
            lambda F: net(F[:, :2], 0.3, 0.2) + 0.7 * np.sum(F[:, 2] ** 2),
        ),
        (
            WithOffset(ElasticNet(0.3, 0.2), ElasticNet(0, 0.7), offset=3, held=2, centred=True),
            lambda F: net(F[:, :2], 0.3, 0.2) + 0.7 * np.sum(from_mean(F[:, 3]) ** 2),
        ),
        (
            WithOffset(ElasticNet(0.3, 0.2, SCALE), ElasticNet(0, 0.7, SCALE), 3, 2, centred=True, scale=SCALE),
            lambda F: net(F[:, :2], 0.3, 0.2, SCALE) + 0.7 * np.sum(SCALE * from_mean(F[:, 3], SCALE) ** 2),
        ),
        (
            WithOffset(Coupling(CHAIN, 2.0), Coupling(CHAIN, 0.5), offset=2, held=3),
            lambda F: pairs(F[:, :2], CHAIN, 2.0) + pairs(F[:, 2:3], CHAIN, 0.5),
        ),
    ],
}
EACH = [pytest.param(*case, id=f"{cls.__name__}-{n}") for cls, cases in CASES.items() for n, case in enumerate(cases)]


def factor(penalty, seed=0):
    rng = np.random.default_rng(seed)
    F = rng.random((6, 4))
    if isinstance(penalty, WithOffset):
        F[:, penalty.offset], F[:, penalty.held] = rng.normal(size=6), 1
    return F


def test_every_penalty_has_cases():
    found = [c for _, c in inspect.getmembers(penalties, inspect.isclass) if issubclass(c, Penalty) and c != Penalty]
    assert {*found} == {*CASES}


@pytest.mark.parametrize(("penalty", "formula"), EACH)
def test_formula(penalty, formula):
    F = factor(penalty)
    assert penalty.value(F) == pytest.approx(formula(F))
    assert penalty.counts or penalty.value(F) == 0
    assert np.asarray(penalty.row_values(F)).shape == (6,)
    assert np.sum(penalty.row_values(F)) == pytest.approx(formula(F))


@pytest.mark.parametrize(("penalty", "formula"), EACH)
def test_touched_from_above(penalty, formula):
    F = factor(penalty)
    coordinates = penalty.coordinates(F)
    moving = coordinates.kinds != 2

    def bound(G):
        return np.sum((2 * coordinates.l1 * G + coordinates.l2 * G**2) * moving)

    shift = penalty.value(F) - bound(F)
    rng = np.random.default_rng(1)
    for size in (1e-3, 0.1, 3.0):
        for _ in range(60):
            G = F + size * rng.normal(size=F.shape) * moving
            G[:, coordinates.kinds == 0] = np.abs(G[:, coordinates.kinds == 0])
            assert penalty.value(G) <= bound(G) + shift + 1e-9
    slopes = 2 * (coordinates.l1 + coordinates.l2 * F) * np.ones_like(F)
    for i, k in np.argwhere(np.broadcast_to(moving, F.shape)):
        E = np.zeros_like(F)
        E[i, k] = 1e-5
        assert slopes[i, k] == pytest.approx((formula(F + E) - formula(F - E)) / 2e-5, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("penalty", "formula"), EACH)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_rows(penalty, formula, dtype):
    F = factor(penalty).astype(dtype)
    every, some = penalty.coordinates(F), penalty.coordinates(F, slice(2, 5))
    for all_rows, block in zip(every[:2], some[:2], strict=True):
        assert block.dtype == dtype
        np.testing.assert_allclose(np.broadcast_to(block, (3, 4)), np.broadcast_to(all_rows, (6, 4))[2:5])
    if not penalty.coupled and not getattr(penalty, "centred", False):
        taken = penalty.take(np.array([1, 4])).row_values(F[[1, 4]])
        np.testing.assert_allclose(taken, penalty.row_values(F)[[1, 4]])


@pytest.mark.parametrize(("penalty", "formula"), [c for c in EACH if not c.id.startswith(("With", "Smooth"))])
def test_other_units(penalty, formula):
    F = factor(penalty)
    assert penalty.rescaled(3.0).value(F) == pytest.approx(formula(3 * F))


def test_rows_that_neighbours_lead_to_are_known():
    observed = np.array([True, False, False, False, True, False])
    assert (Coupling(GRAPH, 1.0).known(observed) == [True, True, True, False, True, False]).all()
    assert (ElasticNet().known(observed) == observed).all()
    assert (Together(ElasticNet(), Coupling(CHAIN, 1.0)).known(observed)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give one of"),
        ({"chain": True, "grid": (2, 3)}, "give one of"),
        ({"grid": (2, 0)}, "grid=.2, 0."),
        ({"strength": -1.0, "chain": True}, "strength=-1.0"),
        ({"strength": np.nan, "chain": True}, "strength=nan"),
        ({"graph": np.eye(3)}, "square sparse"),
        ({"graph": sparse.csr_array(np.triu(np.ones((3, 3))))}, "symmetric"),
        ({"graph": sparse.csr_array(-np.ones((3, 3)))}, "nonnegative"),
    ],
)
def test_bad_neighbours_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Smooth(**arguments)


def test_the_extension_is_the_mean_of_the_neighbours():
    F = np.random.default_rng(0).random((6, 3))
    observed = np.array([True, False, False, True, False, True])
    found = Coupling(CHAIN, 0.3).extended(F, observed)
    np.testing.assert_array_equal(found[observed], F[observed])
    np.testing.assert_allclose(found[1:3], [(2 * F[0] + F[3]) / 3, (F[0] + 2 * F[3]) / 3])
    np.testing.assert_allclose(found[4], (F[3] + F[5]) / 2)
    apart = Coupling(GRAPH, 0.3).extended(F, observed)
    np.testing.assert_allclose(apart[[1, 2]], F[[0, 0]])
    np.testing.assert_array_equal(apart[4], F[4])
    assert ElasticNet().extended(F, observed) is F


@pytest.mark.parametrize(
    ("net", "in_other"),
    [(ElasticNet(0.3, 0.2), ElasticNet(0.3 * 9**1.5, 0.2 * 9)), (Coupling(CHAIN, 0.4), Coupling(CHAIN, 0.4 * 9))],
)
def test_offsets_beside_data_of_other_units(net, in_other):
    """Of 9 X factors are 3 times as large and offsets 9 times; a penalty, in the unit of X^2, is 81 times."""
    F, b = np.random.default_rng(0).random((6, 2)), np.random.default_rng(1).normal(size=(6, 1))
    assert in_other.value(3 * F) == pytest.approx(81 * net.value(F))
    assert in_other.of_offsets(9 * 5.0).value(9 * b) == pytest.approx(81 * net.of_offsets(5.0).value(b))


@pytest.mark.parametrize(("penalty", "formula"), EACH)
def test_what_is_said_to_shrink_does(penalty, formula):
    assert not penalty.shrinks or (penalty.quadratic(factor(penalty)).l1 >= 0).all()
