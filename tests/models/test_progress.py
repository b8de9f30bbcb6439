"""A fit in progress: begun, stepped, looked at and finished by its owner, it is the fit that `fit` makes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from advnmf import ANMF, DMF, EADNMF, HQASD, NMF, DataWarning
from advnmf.adversaries import FrobeniusPenalty
from advnmf.engine.loop import Sweeps

MODELS = [
    NMF(3, max_iter=7),
    NMF(2, biases=True, loss="correntropy", max_iter=7),
    NMF(3, adversary=FrobeniusPenalty(2.5), attack="alternating", attack_every=2, max_iter=7),
    EADNMF((4, 2), lam=2.0, max_iter=7, pretrain_iter=3),
    HQASD(2, max_iter=7),
    HQASD(2, nonnegative=True, max_iter=7),
    DMF(2, (3,), max_iter=7),
    DMF(2, (3,), keep="last", max_iter=7),
    ANMF(2, max_iter=7),
]
models = pytest.mark.parametrize("model", MODELS, ids=repr)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = rng.random((15, 3)) @ rng.random((3, 9))
    X[rng.random(X.shape) < 0.25] = np.nan
    return X


def fitted(model, X, **params):
    return model.__class__(**{**model.get_params(deep=False), "random_state": 0, **params}).fit(X)


def same(first, second):
    """Every fitted attribute, bit for bit."""
    assert vars(first).keys() == vars(second).keys()
    for name, value in vars(first).items():
        if name.endswith("_") and name not in ("loss_", "adversary_"):
            np.testing.assert_equal(getattr(second, name), value, err_msg=name)
    np.testing.assert_array_equal(second.reconstruct(), first.reconstruct())


@models
def test_steps_and_looks_are_those_of_fits(model, X):
    """A look after k steps is a fit of k iterations, and disturbs nothing."""
    fit = model.set_params(random_state=0).begin(X)
    looks = {}
    while fit.step():
        if fit.n_iter in (1, 4):
            looks[fit.n_iter] = fit.look()
    finished = fit.finish()
    assert finished is not model
    assert not hasattr(model, "n_features_in_")
    same(fitted(model, X), finished)
    for n_iter, look in looks.items():
        # A layer is pre-trained for `max_iter` sweeps unless told otherwise.
        short = fitted(model, X, max_iter=n_iter)
        short.max_iter = model.max_iter
        same(short, look)


@models
def test_a_run_is_a_fit_with_restarts(model, X):
    run = model.set_params(random_state=0, n_init=3).begin(X).run().finish()
    model.set_params(n_init=1)
    same(fitted(model, X, n_init=3), run)


def test_an_interrupted_step_goes_through_and_a_run_ends_in_order(X, monkeypatch):
    model, calls = NMF(2, max_iter=9, random_state=0), []
    step = Sweeps.step

    def interrupted(process):
        calls.append(process)
        if len(calls) % 4 == 0:
            raise KeyboardInterrupt
        return step(process)

    monkeypatch.setattr(Sweeps, "step", interrupted)
    fit = model.begin(X)
    assert all(fit.step() for _ in range(3))
    with pytest.raises(KeyboardInterrupt):
        fit.step()
    assert fit.n_iter == 3
    assert fit.look().n_iter_ == 3
    run = model.begin(X).run().finish()
    assert (run.stop_reason_, run.n_iter_) == ("interrupted", 3)
    assert np.isfinite(run.complete(X)).all()


def test_a_fit_from_factors_goes_on_where_they_are(X):
    first = NMF(3, max_iter=5, tol=0, random_state=0).fit(X)
    model = NMF(3, max_iter=4, tol=0)
    on = model.begin(X, start=[F.copy() for F in first.factors_]).run().finish()
    whole = NMF(3, max_iter=9, tol=0, random_state=0).fit(X)
    np.testing.assert_array_equal(on.components_, whole.components_)
    assert on.n_iter_ == 4


def test_begin_checks_and_warns_at_the_line_that_calls_it(X):
    X[3] = np.nan
    with pytest.warns(DataWarning, match="row") as caught:
        NMF(2).begin(X)
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns((DataWarning, ConvergenceWarning)) as caught:
        NMF(2, max_iter=2, tol=1e-9).fit(X)
    assert [warning.filename for warning in caught] == [__file__] * 2
    with pytest.raises(ValueError, match="max_iter=0"):
        NMF(2, max_iter=0).begin(X)
