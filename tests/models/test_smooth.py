"""Smooth penalties in estimators: rows and columns that are missing as a whole, every loss, storage and solver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from advnmf import NMF, DataWarning, FrobeniusPenalty, load, save
from advnmf.losses import L21, Correntropy, Elastic
from advnmf.penalties import Smooth

CHAIN = Smooth(0.1, chain=True)
PATH = sparse.eye_array(60, k=1) + sparse.eye_array(60, k=-1)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def waves(n=60, m=12):
    """A table of two factors that change slowly from row to row and from column to column."""
    t, f = np.arange(n)[:, None] / n, np.arange(m)[None, :] / m
    return (1.2 + np.sin(6 * t)) @ (1.1 + np.cos(3 * f)) + (1.1 + np.cos(9 * t)) @ (0.2 + f)


def without_rows(X):
    holes = np.zeros(X.shape, bool)
    holes[[7, 8, 9, 10, 30, 31, 32, 50]] = True
    return np.where(holes, np.nan, X), holes


def error(P, X, holes):
    return np.sqrt(np.mean(np.square(P - X)[holes]))


@pytest.mark.filterwarnings("error::advnmf.DataWarning")
@pytest.mark.parametrize("solver", ["hals", "mu"])
@pytest.mark.parametrize("side", ["rows", "columns"])
def test_what_is_missing_as_a_whole_follows_its_neighbours(solver, side):
    X = waves()
    holed, holes = without_rows(X)
    mean = error(np.broadcast_to(np.nanmean(holed, axis=0), X.shape), X, holes)
    model = NMF(3, solver=solver, max_iter=400, tol=1e-7, random_state=0)
    if side == "rows":
        filled = model.set_params(penalty_W=CHAIN).fit_complete(holed)
        again = model.complete(holed)
    else:
        filled = model.set_params(penalty_H=CHAIN).fit_complete(holed.T).T
        again = model.complete(holed.T).T
    assert error(filled, X, holes) < mean / 20
    assert error(again, X, holes) < mean / 20


def test_a_part_that_no_neighbour_leads_to_gets_the_mean():
    X = waves()
    apart = sparse.lil_array(np.eye(60, k=1) + np.eye(60, k=-1))
    apart[49, 50] = apart[50, 49] = apart[50, 51] = apart[51, 50] = 0
    model = NMF(2, penalty_W=Smooth(0.1, graph=apart.tocsr()), random_state=0)
    with pytest.warns(DataWarning, match="1 rows of X have no observed entry"):
        model.fit(without_rows(X)[0])
    np.testing.assert_allclose(model.factors_[0][50], model.mean_code_)


@pytest.mark.parametrize("solver", ["hals", "mu"])
@pytest.mark.parametrize("storage", ["dense", "absent", "zero", "float32", "weights"])
@pytest.mark.parametrize(
    ("loss", "adversary"),
    [
        ("frobenius", None),
        ("frobenius", FrobeniusPenalty(2.0)),
        (L21(0.5), FrobeniusPenalty(3.0)),
        (Elastic(1.0), None),
        (Correntropy(2.0), None),
    ],
)
@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
def test_the_objective_never_rises(solver, storage, loss, adversary):
    if storage == "zero" and isinstance(loss, Correntropy):
        pytest.skip("a loss of entries does not take zeros that are not stored")
    X = waves(20, 9)
    seen = np.random.default_rng(0).random(X.shape) < 0.6
    seen[4:7] = False
    X, fitting = np.where(seen, X, np.nan), {}
    if storage in ("absent", "zero"):
        X = sparse.csr_array(np.nan_to_num(X))
    elif storage == "float32":
        X = X.astype(np.float32)
    elif storage == "weights":
        fitting["weights"] = np.random.default_rng(1).uniform(0.5, 2, X.shape)
    missing = "absent" if storage == "absent" else "zero"
    model = NMF(
        (5, 3) if storage in ("weights", "zero") else 3,
        loss=loss,
        adversary=adversary,
        solver=solver,
        penalty_W=CHAIN,
        penalty_H=Smooth(0.3, grid=(3, 3)),
        sparse_missing=missing,
        max_iter=15,
        tol=0,
        random_state=0,
    )
    curve = model.fit(X, **fitting).loss_curve_
    assert (np.diff(curve) <= (1e-5 if storage == "float32" else 1e-11) * curve[0]).all()
    assert curve[-1] < curve[0]


@pytest.mark.parametrize("c", [1e-9, 1e6])
@pytest.mark.parametrize("biases", [False, True])
def test_the_unit_of_the_data_does_not_matter(c, biases):
    X, _ = without_rows(waves())
    model = NMF(2, penalty_W=CHAIN, penalty_H=Smooth(0.01, chain=True), biases=biases, max_iter=30, random_state=0)
    expected = model.fit_complete(X)
    np.testing.assert_allclose(clone(model).fit_complete(c * X), c * expected, rtol=1e-6)
    np.testing.assert_allclose(clone(model).fit(c * X).complete(c * X), c * model.complete(X), rtol=1e-6)


def test_offsets_are_smooth_too():
    X, holes = without_rows(waves() + 5 * np.sin(np.arange(60) / 8)[:, None] + 10)
    truth = waves() + 5 * np.sin(np.arange(60) / 8)[:, None] + 10
    mean = error(np.broadcast_to(np.nanmean(X, axis=0), X.shape), truth, holes)
    filled = NMF(3, penalty_W=CHAIN, biases=True, max_iter=500, random_state=0).fit_complete(X)
    assert error(filled, truth, holes) < mean / 10


def test_deep_chains_have_it_on_either_end():
    X, holes = without_rows(waves())
    model = NMF((6, 3), penalty_W=CHAIN, max_iter=300, random_state=0)
    filled = model.fit_complete(X)
    assert error(filled, waves(), holes) < error(np.broadcast_to(np.nanmean(X, axis=0), X.shape), waves(), holes) / 5


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"penalty_W": Smooth(grid=(5, 5))}, r"grid=\(5, 5\), that is 25 rows, but this factor has 60"),
        ({"penalty_H": Smooth(graph=sparse.eye_array(3))}, "graph of shape .3, 3.* has 12"),
        ({"penalty_H": "smooth"}, "penalty_H='smooth' must be None or one of advnmf.penalties"),
    ],
)
def test_a_penalty_that_does_not_fit_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        NMF(2, **parameters).fit(waves())


@pytest.mark.parametrize("penalty", [CHAIN, Smooth(0.2, grid=(6, 10)), Smooth(graph=PATH)])
def test_save_and_load(tmp_path, penalty):
    X, _ = without_rows(waves())
    model = NMF(2, penalty_W=penalty, random_state=0, max_iter=20).fit(X)
    save(model, tmp_path / "model.advnmf")
    np.testing.assert_array_equal(load(tmp_path / "model.advnmf").complete(X), model.complete(X))


def test_tensors():
    torch = pytest.importorskip("torch")
    X, _ = without_rows(waves())
    model = NMF(2, solver="mu", penalty_W=CHAIN, penalty_H=CHAIN, random_state=0, max_iter=20)
    expected = model.fit_complete(X)
    found = clone(model).fit_complete(torch.asarray(X))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-8)
