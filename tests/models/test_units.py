"""The unit of X, and that of the weights, change nothing but the unit of the answer; one of the formula goes along."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import sparse

from advnmf import ADNMF, ATNMF, EADNMF, NMF, Correntropy, DeepNMF, Elastic, FrobeniusPenalty
from advnmf.solvers import MU
from problems import low_rank

SCALES = [1e-12, 1e12]
FEW = {"max_iter": 15, "random_state": 0}
MODELS = {
    "plain": lambda c: NMF(3, **FEW),
    "mu": lambda c: NMF(3, solver=MU(2), **FEW),
    "ridge": lambda c: NMF(3, alpha_W=0.01 * c, **FEW),
    "ridge by counts": lambda c: NMF(3, alpha_W=0.01 * c, alpha_scale="observed", **FEW),
    "lasso": lambda c: NMF(3, alpha_W=0.01 * c**1.5, l1_ratio=1.0, **FEW),
    "offsets": lambda c: NMF(2, biases=True, alpha_W=0.01 * c, **FEW),
    "offsets, auto": lambda c: NMF(2, biases=True, **FEW),
    "l21": lambda c: NMF(3, loss="l21", **FEW),
    "l21 mu": lambda c: NMF(3, loss="l21", solver="mu", **FEW),
    "elastic": lambda c: NMF(3, loss=Elastic(2.0 * c), **FEW),
    "elastic 0": lambda c: NMF(3, loss=Elastic(0.0), **FEW),
    "correntropy": lambda c: NMF(3, loss="correntropy", **FEW),
    "correntropy of a width": lambda c: NMF(3, loss=Correntropy(0.5 * c), **FEW),
    "attacked": lambda c: NMF(3, adversary=FrobeniusPenalty(2.0), **FEW),
    "ATNMF": lambda c: ATNMF(3, **FEW),
    "DeepNMF": lambda c: DeepNMF((4, 3), **FEW),
    "deep ridge": lambda c: DeepNMF((4, 3), alpha_W=0.01 * c ** (4 / 3), **FEW),
    "deep lasso": lambda c: DeepNMF((4, 3), alpha_W=0.01 * c ** (5 / 3), l1_ratio=1.0, **FEW),
    "ADNMF": lambda c: ADNMF((4, 3), **FEW),
    # lambda ||R||^2 beside a loss that grows by c (1 + c delta) / (1 + delta)
    "EADNMF": lambda c: EADNMF((4, 3), delta=2.0 * c, lam=2.0 * (1 + 2 * c) / (3 * c), **FEW),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::advnmf.DataWarning")


def data(storage: str) -> object:
    rng = np.random.default_rng(0)
    X = low_rank(rng, (30, 14), 3) * rng.uniform(0.9, 1.1, (30, 14))
    X[rng.random(X.shape) < 0.3] = np.nan
    if storage == "dense":
        return X
    rows, columns = np.nonzero(~np.isnan(X))
    return sparse.csr_array((X[rows, columns], (rows, columns)), shape=X.shape)


@functools.cache
def in_one(name: str, storage: str) -> np.ndarray:
    """What each scale is compared with."""
    return completed(MODELS[name](1.0), data(storage))


def completed(model: NMF, X: object, **weights: object) -> np.ndarray:
    fill = model.set_params(sparse_missing="absent").fit(X, **weights).complete(X)
    return fill.toarray() if sparse.issparse(fill) else fill


@pytest.mark.parametrize("storage", ["dense", "absent"])
@pytest.mark.parametrize("c", SCALES)
@pytest.mark.parametrize("name", MODELS)
def test_completion_has_the_unit_of_the_data(name, c, storage):
    expected = in_one(name, storage)
    np.testing.assert_allclose(
        completed(MODELS[name](c), data(storage) * c) / c, expected, rtol=1e-5, atol=1e-6 * expected.max()
    )


@pytest.mark.parametrize("c", SCALES)
@pytest.mark.parametrize("name", MODELS)
def test_weights_count_by_their_ratios(name, c):
    X, make = data("dense"), MODELS[name]
    weights = np.random.default_rng(1).uniform(0.1, 10, (30, 1))
    expected = completed(make(1.0), X, weights=weights)
    again = completed(make(1.0), X, weights=c * weights)
    np.testing.assert_allclose(again, expected, rtol=1e-5, atol=1e-6 * expected.max())


@pytest.mark.parametrize("c", [1e-6, 1e6])
def test_single_precision_too(c):
    X = data("dense").astype(np.float32)
    for loss in ("frobenius", "l21", "correntropy"):
        model = NMF(3, loss=loss, max_iter=10, random_state=0)
        expected = completed(model, X)
        np.testing.assert_allclose(completed(model, X * np.float32(c)) / c, expected, atol=0.02 * expected.max())
