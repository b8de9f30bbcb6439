"""What the three compared systems have in common: seeds, limits, interruption, holes, bad input."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from advnmf import ANMF, DMF, HQASD, DataWarning
from advnmf.models.compared import hqasd
from interruptions import InterruptAt, valid_state
from problems import low_rank

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MODELS = [
    HQASD(3),
    HQASD(3, solver="asd"),
    HQASD(3, nonnegative=True),
    DMF(2, (5,)),
    DMF(2, (5, 4), activation=("logistic", "tanh"), keep="last"),
    ANMF(3),
    ANMF(3, missing="complete", target="mirror", leader="nash"),
    ANMF(3, missing="zero", target="zero"),
]
models = pytest.mark.parametrize("model", MODELS, ids=repr)


@pytest.fixture(scope="module")
def holes():
    rng = np.random.default_rng(0)
    X = low_rank(rng, (40, 25), 3)
    return X, rng.random(X.shape) > 0.3


def quick(model, **parameters):
    return clone(model).set_params(**{"max_iter": 30, "random_state": 0, **parameters})


@models
def test_nan_mask_and_masked_array_mean_the_same(model, holes):
    X, mask = holes
    junk = np.where(mask, X, np.inf)
    junk[~mask & (np.arange(25) % 2 == 0)] = -7
    fits = [
        quick(model).fit(np.where(mask, X, np.nan)),
        quick(model).fit(junk, mask=mask),
        quick(model).fit(np.ma.array(junk, mask=~mask)),
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(fits[0].reconstruct(), other.reconstruct())
        np.testing.assert_array_equal(fits[0].loss_curve_, other.loss_curve_)


@models
def test_fitted_attributes_belong_together(model, holes):
    X, mask = holes
    model = quick(model).fit(X, mask=mask)
    codes = model.transform(X, mask=mask)
    assert codes.shape == (40, model.n_components)
    assert model.n_components_ == model.n_components
    assert model.inverse_transform(codes).shape == X.shape
    assert model.loss_curve_.shape == (model.n_iter_ + 1,)
    assert model.reconstruction_err_ == pytest.approx(np.linalg.norm((model.reconstruct() - X)[mask]))
    np.testing.assert_array_equal(
        quick(model).fit_transform(X, mask=mask), quick(model).fit(X, mask=mask).transform(X, mask=mask)
    )
    P = model.inverse_transform(codes)
    assert model.score(X, mask=mask) == pytest.approx(-np.sqrt(np.mean((P - X)[mask] ** 2)))
    np.testing.assert_allclose(model.reconstruct([3, 1], slice(4)), model.reconstruct()[[3, 1], :4], rtol=1e-12)


@models
def test_completion_keeps_what_was_observed(model, holes):
    X, mask = holes
    model = quick(model)
    filled = model.fit_complete(np.where(mask, X, np.nan))
    np.testing.assert_array_equal(filled[mask], X[mask])
    np.testing.assert_array_equal(filled[~mask], model.reconstruct()[~mask])
    np.testing.assert_array_equal(model.complete(X, mask=mask)[mask], X[mask])


@models
def test_a_seed_is_a_result(model, holes):
    X, mask = holes
    a, b, c = (quick(model, random_state=seed).fit(X, mask=mask).reconstruct() for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@models
def test_weights_of_zero_are_holes_and_others_matter(model, holes):
    X, mask = holes
    if getattr(model, "missing", "ignore") != "ignore":
        with pytest.raises(ValueError, match="missing='ignore' only"):
            quick(model).fit(X, weights=mask + 1.0)
        return
    a = quick(model).fit(np.where(mask, X, 50.0), weights=mask.astype(float))
    b = quick(model).fit(X, mask=mask)
    np.testing.assert_allclose(a.reconstruct(), b.reconstruct(), rtol=1e-4, atol=1e-4)
    weights = np.where(np.arange(40) < 5, 20.0, 1.0)[:, None]
    rng = np.random.default_rng(1)
    noisy = X + rng.gamma(1.0, size=X.shape)
    plain, heavy = (quick(model, max_iter=150).fit(noisy, mask=mask, **w) for w in ({}, {"weights": weights}))
    first = [np.linalg.norm((fit.reconstruct() - noisy)[:5][mask[:5]]) for fit in (plain, heavy)]
    assert first[1] < 0.9 * first[0]


@models
def test_callback_time_limit_and_interruption(model, holes):
    X, mask = holes
    seen = []
    fitted = quick(model, max_iter=7, tol=0, callback=seen.append).fit(X, mask=mask)
    assert [p.n_iter for p in seen] == list(range(8))
    assert [p.objective for p in seen] == list(fitted.loss_curve_)
    assert quick(model, callback=lambda p: p.n_iter == 3, n_init=5).fit(X, mask=mask).stop_reason_ == "callback"
    assert quick(model, tol=0, time_limit=1e-9, n_init=3).fit(X, mask=mask).n_iter_ == 1

    def interrupt(progress):
        if progress.n_iter == 3:
            raise KeyboardInterrupt

    model = quick(model, tol=0, callback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, mask=mask)
    assert model.stop_reason_ == "interrupted"
    assert np.isfinite(model.complete(X, mask=mask)).all()


@models
def test_more_starts_are_not_worse(model, holes):
    X, mask = holes
    rng = np.random.RandomState(5)
    singles = [quick(model, max_iter=10, tol=0, random_state=rng).fit(X, mask=mask) for _ in range(3)]
    best = quick(model, max_iter=10, tol=0, n_init=3, random_state=5).fit(X, mask=mask)
    assert any(np.array_equal(best.reconstruct(), single.reconstruct()) for single in singles)


@models
def test_not_converged_is_said(model, holes):
    X, mask = holes
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        quick(model, max_iter=2).fit(X, mask=mask)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick(model, max_iter=2, tol=0).fit(X, mask=mask)


@models
def test_empty_rows_and_columns_get_the_mean(model, holes):
    X, mask = holes
    mask = mask.copy()
    mask[4], mask[:, 7] = False, False
    with pytest.warns(DataWarning, match="no observed entry"):
        fitted = quick(model).fit(X, mask=mask)
    codes = fitted.training_codes()
    np.testing.assert_allclose(codes[4], np.delete(codes, 4, axis=0).mean(axis=0))
    others = np.delete(fitted.reconstruct(), 7, axis=1)
    np.testing.assert_allclose(fitted.reconstruct()[:, 7], others.mean(axis=1))


@models
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
def test_odd_data_never_give_nan(model, dtype):
    nan = np.nan
    cases = [
        np.zeros((5, 4)),
        np.full((5, 4), 3.0),
        np.array([[1.0, nan], [nan, nan]]),
        np.array([[nan, 2.0, nan]]),
        np.array([[nan], [2.0]]),
        np.diag([1.0, 2, 3, 4]),
        np.array([[1e-6, 1e6, nan], [1e5, nan, 0], [0, 0, 0]]),
    ]
    for X in cases:
        model = quick(model)
        filled = model.fit_complete(X.astype(dtype))
        assert filled.dtype == dtype
        assert np.isfinite(filled).all()
        assert np.isfinite(model.transform(X.astype(dtype))).all()


# --- units -------------------------------------------------------------------------------------------------------


def same(found, expected, tolerance):
    """Whether no entry differs by more than a share of the largest."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@models
@pytest.mark.parametrize("scale", [2.0**-40, 1e-12, 1e12])
def test_the_unit_of_the_data_changes_nothing(model, holes, scale):
    X, mask = holes
    here, there = (quick(model).fit(c * X, mask=mask) for c in (1.0, scale))
    exact = np.log2(scale).is_integer()
    tolerance = 1e-12 if exact else 1e-6
    same(there.reconstruct() / scale, here.reconstruct(), tolerance)
    same(there.complete(scale * X, mask=mask) / scale, here.complete(X, mask=mask), tolerance)
    assert there.n_iter_ == here.n_iter_
    same(there.loss_curve_, here.loss_curve_, tolerance)
    assert there.unit_ == pytest.approx(here.unit_ * scale, rel=1e-12)


@models
@pytest.mark.parametrize("scale", [1e-5, 1e6])
def test_the_unit_of_single_precision_data_changes_nothing(model, holes, scale):
    X, mask = holes
    scale = 2.0 ** round(np.log2(scale))
    here, there = (quick(model).fit((c * X).astype(np.float32), mask=mask) for c in (1.0, scale))
    same(there.reconstruct() / np.float32(scale), here.reconstruct(), 1e-6)


@models
@pytest.mark.parametrize("scale", [1e-12, 2.0**30])
def test_the_unit_of_the_weights_changes_nothing(model, holes, scale):
    if getattr(model, "missing", "ignore") != "ignore":
        pytest.skip("takes no weights")
    X, mask = holes
    weights = np.random.default_rng(3).uniform(0.5, 2, X.shape)
    here, there = (quick(model).fit(X, mask=mask, weights=c * weights) for c in (1.0, scale))
    tolerance = 1e-12 if np.log2(scale).is_integer() else 1e-6
    same(there.reconstruct(), here.reconstruct(), tolerance)
    filled = [fit.complete(X, mask=mask, weights=c * weights) for fit, c in ((here, 1.0), (there, scale))]
    same(filled[1], filled[0], tolerance)
    # New data without weights: each entry counts as an average one did.
    same(there.complete(X, mask=mask), here.complete(X, mask=mask), tolerance)
    same(there.transform(X), here.transform(X), tolerance)


@pytest.mark.parametrize("model", [HQASD(3, solver="asd"), DMF(2, (5,)), ANMF(3, target=2.0)], ids=repr)
def test_constants_with_a_unit_are_multiplied_along(model, holes):
    """`unit` as a number, and a number as the target of an attack, are in the unit of X."""
    X, mask = holes
    scale = 2.0**20
    other = clone(model).set_params(unit=scale)
    if isinstance(model, ANMF):
        other.set_params(target=2.0 * scale)
    here, there = quick(model, unit=1.0).fit(X, mask=mask), quick(other).fit(scale * X, mask=mask)
    same(there.reconstruct() / scale, here.reconstruct(), 1e-12)


# --- interruptions -----------------------------------------------------------------------------------------------

EVERY = [HQASD(2), HQASD(2, solver="asd"), HQASD(2, nonnegative=True), DMF(2, (3,)), ANMF(2)]


@pytest.mark.parametrize("model", EVERY, ids=repr)
def test_an_interrupted_fit_is_whole_or_none(model):
    rng = np.random.default_rng(0)
    first, second = low_rank(rng, (9, 7), 2), low_rank(rng, (12, 5), 2)
    second[0, 0] = np.nan
    with InterruptAt(-1) as counted:
        quick(model, max_iter=3).fit(second)
    for at in np.unique(np.linspace(1, counted.lines, 15).astype(int)):
        fresh, used = quick(model, max_iter=3), quick(model, max_iter=3).fit(first)
        for each in (fresh, used):
            interrupted = False
            with InterruptAt(at) as tracer:
                try:
                    each.fit(second)
                except KeyboardInterrupt:
                    interrupted = True
            # A line is run once and no more where a warning is given for the first time.
            assert interrupted or tracer.lines < at
        fitted = [name for name in vars(fresh) if name.endswith("_")]
        if fitted:
            valid_state(fresh, second)
        valid_state(used, second if used.n_features_in_ == 5 else first)


def test_what_is_not_finite_does_not_leave_a_fit(monkeypatch, holes):
    X, mask = holes

    def broken(data, factors, E, sigma, limit):
        factors[1][0, 0] = np.nan

    monkeypatch.setitem(hqasd._SOLVERS, "asd", broken)
    model = HQASD(3, solver="asd", finish=False, max_iter=2)
    with pytest.raises(ValueError, match="the fit is not finite: look for entries of X that are far larger"):
        model.fit(X, mask=mask)
    assert not any(name.endswith("_") for name in vars(model))


@pytest.mark.parametrize("model", [HQASD(2), HQASD(2, solver="asd"), DMF(2)], ids=repr)
def test_negative_data_are_welcome(model):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 2)) @ rng.standard_normal((2, 20))
    mask = rng.random(X.shape) > 0.3
    P = clone(model).set_params(random_state=0).fit(X, mask=mask).reconstruct()
    assert np.linalg.norm((P - X)[~mask]) < 0.3 * np.linalg.norm(X[~mask])


@pytest.mark.parametrize("model", [ANMF(2), ANMF(2, missing="zero")], ids=repr)
def test_negative_data_are_refused(model):
    with pytest.raises(ValueError, match="Negative values in data"):
        model.fit([[1.0, -1.0], [2.0, 3.0]])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (HQASD(0), "n_components=0"),
        (HQASD((2, 3)), r"n_components=\(2, 3\)"),
        (HQASD(2, solver="hals"), "solver='hals' must be one of 'asd', 'pf'"),
        (HQASD(2, eta=0), "eta=0"),
        (HQASD(2, sigma_min=-1), "sigma_min=-1"),
        (HQASD(2, switch_tol=-1), "switch_tol=-1"),
        (HQASD(2, unit="rms"), "unit='rms' must be 'median' or a positive number"),
        (HQASD(2, unit=0.0), "unit=0.0"),
        (HQASD(2, finish="yes"), "finish='yes'"),
        (DMF(2, unit=np.nan), "unit=nan"),
        (DMF(2, finish=2), "finish=2"),
        (ANMF(2, unit=True), "unit=True"),
        (HQASD(2, init="custom"), "needs fit"),
        (HQASD(2, max_iter=0), "max_iter=0"),
        (DMF(1.5), "n_components=1.5"),
        (DMF(2, (3, 0)), r"\(3, 0\)"),
        (DMF(2, ()), r"\(\)"),
        (DMF(2, activation="relu"), "activation='relu' must be one of"),
        (DMF(2, (3, 3), activation=("tanh",)), "names 1 layers, hidden has 2"),
        (DMF(2, alpha_weights=-1), "alpha_weights=-1"),
        (DMF(2, alpha_latent=np.nan), "alpha_latent=nan"),
        (DMF(2, keep="first"), "keep='first'"),
        (DMF(2, goal=-1), "goal=-1"),
        (ANMF(2, beta=1.5), "beta=1.5"),
        (ANMF(2, beta=1, leader="nash"), "needs beta < 1"),
        (ANMF(2, attack_weight=0), "attack_weight=0"),
        (ANMF(2, target="max"), "target='max'"),
        (ANMF(2, target=np.inf), "target=inf"),
        (ANMF(2, missing="mean"), "missing='mean'"),
        (ANMF(2, leader="first"), "leader='first'"),
        (ANMF(2, rho=0), "rho=0"),
        (ANMF(2, adapt="often"), "adapt='often'"),
        (ANMF(2, tol=-1), "tol=-1"),
        (ANMF(2, callback=3), "callback=3"),
    ],
    ids=repr,
)
def test_bad_parameters_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(np.arange(1.0, 13).reshape(4, 3))
