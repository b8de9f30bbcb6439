"""Every penalty: its formula, the quadratic that touches it from above, blocks of rows, other units."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from scipy import sparse

from advnmf import penalties
from advnmf.penalties import Coupling, ElasticNet, Penalty, Smooth, Together, WithOffset
from advnmf.penalties.differences import of_graph

SCALE = np.array([1.0, 2, 0.5, 3, 1, 4])
GRAPH = sparse.csr_array(
    np.array([[0, 2, 0, 0, 0, 0], [2, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0] * 6] + [[0] * 6] * 2)
)
CHAIN = sparse.csr_array(np.eye(6, k=1) + np.eye(6, k=-1))
ALONG_GRAPH, ALONG_CHAIN = of_graph(GRAPH, 1), of_graph(CHAIN, 1)


def net(F, l1, l2, scale=1):
    return np.sum(scale * (2 * l1 * F.sum(axis=1) + l2 * np.square(F).sum(axis=1)))


def pairs(F, W, strength):
    return strength * sum(W[i, j] * np.sum((F[i] - F[j]) ** 2) for i in range(6) for j in range(i))


def bent(F, W, strength):
    """Squares of the second differences of 6 points in a row, and a thousandth of those of first ones."""
    return strength * np.sum((F[:-2] - 2 * F[1:-1] + F[2:]) ** 2) + pairs(F, W, strength / 1000)


def plate(F, strength):
    """Of 2 x 3 points: no f_yy, f_xx of either line, f_xy of two squares."""
    G = F.reshape(2, 3, -1)
    square = np.sum((G[:, 0] - 2 * G[:, 1] + G[:, 2]) ** 2) + 2 * np.sum(np.diff(np.diff(G, axis=0), axis=1) ** 2)
    return strength * square + pairs(F, GRID, strength / 1000)


def apart(F, strength, power=1):
    """Along POSITIONS, whose median gap is 2."""
    G, h = F[np.argsort(POSITIONS)], np.diff(sorted(POSITIONS)) / 2
    slopes = np.diff(G, axis=0) / h[:, None]
    first = np.sum(h[:, None] * slopes**2)
    if power == 1:
        return strength * first
    return strength * (np.sum(np.diff(slopes, axis=0) ** 2 / ((h[:-1] + h[1:]) / 2)[:, None]) + first / 1000)


def neighbours_mean(F, strength):
    """(D - W) F of the graph."""
    W = GRAPH.toarray()
    return strength * np.sum((W.sum(axis=1)[:, None] * F - W @ F) ** 2) + pairs(F, GRAPH, strength / 1000)


POSITIONS = [3.0, 1.0, 2.0, 5.0, 8.0, 10.0]


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
        (Smooth(0.7, chain=POSITIONS), lambda F: apart(F, 0.7)),
        (Smooth(0.7, chain=True, order=2), lambda F: bent(F, CHAIN, 0.7)),
        (Smooth(0.7, chain=POSITIONS, order=2), lambda F: apart(F, 0.7, 2)),
        (Smooth(0.7, grid=(2, 3), order=2), lambda F: plate(F, 0.7)),
        (Smooth(0.7, graph=GRAPH, order=2), lambda F: neighbours_mean(F, 0.7)),
    ],
    Coupling: [(Coupling(ALONG_GRAPH, 0.4), lambda F: pairs(F, GRAPH, 0.4))],
    Together: [
        (Together(ElasticNet(0.3, 0.2), Coupling(ALONG_CHAIN, 2.0)), lambda F: net(F, 0.3, 0.2) + pairs(F, CHAIN, 2.0)),
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
            WithOffset(Coupling(ALONG_CHAIN, 2.0), Coupling(ALONG_CHAIN, 0.5), offset=2, held=3),
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
    assert (Coupling(ALONG_GRAPH, 1.0).known(observed) == [True, True, True, False, True, False]).all()
    assert (ElasticNet().known(observed) == observed).all()
    assert (Together(ElasticNet(), Coupling(ALONG_CHAIN, 1.0)).known(observed)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give one of"),
        ({"chain": True, "grid": (2, 3)}, "give one of"),
        ({"grid": (2, 0)}, "grid=.2, 0."),
        ({"strength": -1.0, "chain": True}, "strength=-1.0"),
        ({"strength": np.nan, "chain": True}, "strength=nan"),
        ({"chain": [1.0, np.nan]}, "position of each row: finite"),
        ({"chain": "time"}, "chain of Smooth must be True, or the position"),
        ({"chain": True, "order": 3}, "order=3"),
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
    found = Coupling(ALONG_CHAIN, 0.3).extended(F, observed)
    np.testing.assert_array_equal(found[observed], F[observed])
    np.testing.assert_allclose(found[1:3], [(2 * F[0] + F[3]) / 3, (F[0] + 2 * F[3]) / 3])
    np.testing.assert_allclose(found[4], (F[3] + F[5]) / 2)
    parts = Coupling(ALONG_GRAPH, 0.3).extended(F, observed)
    np.testing.assert_allclose(parts[[1, 2]], F[[0, 0]])
    np.testing.assert_array_equal(parts[4], F[4])
    assert ElasticNet().extended(F, observed) is F


@pytest.mark.parametrize(
    ("net", "in_other"),
    [
        (ElasticNet(0.3, 0.2), ElasticNet(0.3 * 9**1.5, 0.2 * 9)),
        (Coupling(ALONG_CHAIN, 0.4), Coupling(ALONG_CHAIN, 0.4 * 9)),
    ],
)
def test_offsets_beside_data_of_other_units(net, in_other):
    """Of 9 X factors are 3 times as large and offsets 9 times; a penalty, in the unit of X^2, is 81 times."""
    F, b = np.random.default_rng(0).random((6, 2)), np.random.default_rng(1).normal(size=(6, 1))
    assert in_other.value(3 * F) == pytest.approx(81 * net.value(F))
    assert in_other.of_offsets(9 * 5.0).value(9 * b) == pytest.approx(81 * net.of_offsets(5.0).value(b))


@pytest.mark.parametrize(("penalty", "formula"), EACH)
def test_what_is_said_to_shrink_does(penalty, formula):
    assert not penalty.shrinks or (penalty.quadratic(factor(penalty)).l1 >= 0).all()


@pytest.mark.parametrize("smooth", [Smooth(1.0, chain=True, order=2), Smooth(1.0, grid=(7, 6), order=2)], ids=repr)
def test_second_order_goes_on_along_curves(smooth):
    y, x = np.mgrid[:7, :6]
    F = np.stack([(x - 2.5) ** 2 + 0.1 * y, np.cos(x / 2 + y / 3) + 2], axis=2).reshape(42, 2)
    if smooth.chain:
        F = np.stack([np.sin(np.arange(42) / 5) + 2], axis=1)
    observed = np.ones(42, bool)
    observed[[8, 9, 14, 15]] = False
    errors = [
        np.abs((each.posed(42, 1.0).extended(F, observed) - F)[~observed]).max()
        for each in (smooth, Smooth(1.0, chain=smooth.chain, grid=smooth.grid))
    ]
    assert errors[0] < 0.3 * errors[1]


@pytest.mark.parametrize("order", [1, 2])
def test_an_extension_far_from_all_that_is_observed_levels_off(order):
    F = np.zeros((4000, 1))
    F[:3, 0] = [1, 2, 3]
    found = Smooth(1.0, chain=True, order=order).posed(4000, 1.0).extended(F, np.arange(4000) < 3)
    assert np.isfinite(found).all()
    assert found[-1, 0] == pytest.approx(3, abs=1e-6)
