"""The estimators: parameters, masks, holes, restarts, interruption, bad input."""

from __future__ import annotations

import contextlib
import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import sklearn.decomposition
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from advnmf import ADNMF, ATNMF, EADNMF, L21, NMF, Correntropy, DataWarning, DeepNMF, Elastic, FrobeniusPenalty
from advnmf.arrays.robust import winsorised_rms
from advnmf.engine.factors import product
from problems import low_rank

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
MODELS = [
    NMF(3),
    NMF(3, solver="mu"),
    NMF(3, loss="l21"),
    NMF(3, loss=Correntropy(10.0), solver="mu"),
    NMF(3, loss=Correntropy(5.0), adversary=FrobeniusPenalty(2.0)),
    ATNMF(3),
    ATNMF(3, attack="alternating", attack_every=3, solver="mu"),
    DeepNMF((4, 3)),
    ADNMF((4, 3)),
    EADNMF((4, 3)),
    EADNMF((4, 3), attack="alternating"),
]
models = pytest.mark.parametrize("model", MODELS, ids=repr)


@pytest.fixture
def holes():
    rng = np.random.default_rng(0)
    X = low_rank(rng, (40, 25), 3)
    mask = rng.random(X.shape) > 0.3
    return X, mask


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
        quick(model).fit(X, mask=mask.astype(int)),
        quick(model).fit(np.ma.array(junk, mask=~mask)),
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(fits[0].reconstruct(), other.reconstruct())
        assert fits[0].loss_curve_[-1] == other.loss_curve_[-1]


@models
def test_fitted_attributes(model, holes):
    X, mask = holes
    model = quick(model).fit(X, mask=mask)
    layers = model.n_components_ if isinstance(model.n_components_, tuple) else (model.n_components_,)
    assert layers == (model.n_components if isinstance(model.n_components, tuple) else (model.n_components,))
    assert model.factors_[0].shape == (40, layers[-1])
    assert model.factors_[-1].shape == (layers[0], 25)
    assert model.components_.shape == (layers[-1], 25)
    np.testing.assert_allclose(model.components_, product(model.factors_[1:]))
    np.testing.assert_allclose(model.reconstruct(), product(model.factors_))
    assert len(model.loss_curve_) == model.n_iter_ + 1
    assert model.n_features_in_ == 25
    assert model.stop_reason_ in ("tol", "max_iter")
    assert model.reconstruction_err_ == pytest.approx(np.linalg.norm((model.reconstruct() - X)[mask]))
    assert model.transform(X, mask=mask).shape == (40, layers[-1])
    np.testing.assert_allclose(model.inverse_transform(model.factors_[0]), model.reconstruct())


@models
def test_completion_keeps_what_was_observed(model, holes):
    X, mask = holes
    model = quick(model, max_iter=200)
    filled = model.fit_complete(np.where(mask, X, np.nan))
    np.testing.assert_array_equal(filled[mask], X[mask])
    np.testing.assert_array_equal(filled[~mask], model.reconstruct()[~mask])
    again = model.complete(X, mask=mask)
    np.testing.assert_array_equal(again[mask], X[mask])
    # The printed alternation promises nothing: it over-shoots (see `attack`), so it is held to less.
    share = 0.2 if model.attack == "exact" else 0.5
    for Y in (filled, again):
        assert np.linalg.norm((Y - X)[~mask]) < share * np.linalg.norm(X[~mask])


@models
def test_same_seed_same_result_and_no_global_seed(model, holes):
    X, mask = holes
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - to see that it is left alone
    a, b = (quick(model).fit(X, mask=mask) for _ in range(2))
    np.testing.assert_array_equal(a.reconstruct(), b.reconstruct())
    assert not np.array_equal(a.reconstruct(), quick(model, random_state=1).fit(X, mask=mask).reconstruct())
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


@models
def test_float32_stays_float32(model, holes):
    X, mask = holes
    model = quick(model).fit(X.astype(np.float32), mask=mask)
    assert {F.dtype for F in model.factors_} == {np.dtype(np.float32)}
    assert model.transform(X.astype(np.float32), mask=mask).dtype == np.float32
    assert model.complete(X.astype(np.float32), mask=mask).dtype == np.float32


@models
def test_transform_does_not_look_at_the_other_rows(model, holes):
    X, mask = holes
    model = quick(model).fit(X, mask=mask)
    together = model.transform(X, mask=mask)
    for i in (0, 7, 39):
        np.testing.assert_allclose(model.transform(X[i : i + 1], mask=mask[i : i + 1])[0], together[i], rtol=1e-9)


def test_rows_of_more_weight_are_fitted_better(holes):
    X, _ = holes
    X = X + np.random.default_rng(1).gamma(1.0, size=X.shape)
    weights = np.ones((40, 1))
    weights[:5] = 100
    plain, heavy = quick(NMF(2), max_iter=200).fit(X), quick(NMF(2), max_iter=200).fit(X, weights=weights)
    assert np.linalg.norm((heavy.reconstruct() - X)[:5]) < 0.9 * np.linalg.norm((plain.reconstruct() - X)[:5])


def test_weight_zero_is_not_learnt_from(holes):
    X, mask = holes
    a = quick(NMF(3)).fit(np.where(mask, X, 1e3), weights=mask.astype(float))
    b = quick(NMF(3)).fit(X, mask=mask)
    np.testing.assert_allclose(a.reconstruct(), b.reconstruct(), rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.01])
def test_solvers_agree_on_an_easy_problem(alpha):
    rng = np.random.default_rng(2)
    X = low_rank(rng, (30, 20), 2) + rng.random((30, 20))
    fits = [NMF(2, solver=s, alpha_W=alpha, max_iter=3000, tol=0, random_state=0).fit(X) for s in ("hals", "mu")]
    assert fits[0].loss_curve_[-1] == pytest.approx(fits[1].loss_curve_[-1], rel=1e-4)


def test_n_init_keeps_the_best_observed_objective(holes):
    X, mask = holes
    X = X + np.random.default_rng(3).gamma(1.0, size=X.shape)
    rng = np.random.RandomState(5)
    singles = [NMF(4, max_iter=10, random_state=rng).fit(X, mask=mask).loss_curve_[-1] for _ in range(6)]
    best = NMF(4, max_iter=10, n_init=6, random_state=5).fit(X, mask=mask).loss_curve_[-1]
    assert best == min(singles)
    assert best < max(singles)


def test_custom_start_is_used_and_left_alone(holes):
    X, mask = holes
    start = [np.random.default_rng(4).random(s) for s in ((40, 3), (3, 4), (4, 25))]
    before = [F.copy() for F in start]
    fitted = DeepNMF((4, 3), alpha_W=0.0, init="custom", max_iter=1).fit(X, mask=mask, factors=start)
    assert fitted.loss_curve_[0] == pytest.approx(np.sum((product(before) - X)[mask] ** 2))
    for F, G in zip(start, before, strict=True):
        np.testing.assert_array_equal(F, G)


def test_presets_are_settings_of_nmf(holes):
    X, mask = holes
    common = {"max_iter": 10, "random_state": 0}
    pairs = [
        (ATNMF(3, lam=3.0, **common), NMF(3, adversary=FrobeniusPenalty(3.0), **common)),
        (DeepNMF((4, 3), **common), NMF((4, 3), **common)),
        (ADNMF((4, 3), lam=3.0, **common), NMF((4, 3), adversary=FrobeniusPenalty(3.0), **common)),
        (
            EADNMF((4, 3), lam=3.0, delta=1.0, **common),
            NMF((4, 3), loss=Elastic(1.0), adversary=FrobeniusPenalty(3.0), **common),
        ),
    ]
    for preset, general in pairs:
        np.testing.assert_array_equal(preset.fit(X, mask=mask).reconstruct(), general.fit(X, mask=mask).reconstruct())


def test_exact_attack_never_lets_the_robust_objective_rise(holes):
    X, mask = holes
    for model in (ATNMF(3, lam=1.1), ADNMF((4, 3), lam=1.3), EADNMF((4, 3), delta=1.0, lam=2.2)):
        curve = quick(model, max_iter=60, tol=0).fit(X, mask=mask).loss_curve_
        assert (np.diff(curve) <= 1e-10 * curve[:-1]).all()


def test_callback_sees_each_sweep_and_may_stop(holes):
    X, mask = holes
    seen = []
    NMF(3, max_iter=7, tol=0, callback=seen.append).fit(X, mask=mask)
    assert [p.n_iter for p in seen] == list(range(8))  # the start, then each sweep
    assert all(p.max_iter == 7 for p in seen)
    assert seen[0].objective > seen[-1].objective
    model = NMF(3, n_init=5, tol=0, callback=lambda p: p.n_iter == 3).fit(X, mask=mask)
    assert model.stop_reason_ == "callback"
    assert model.n_iter_ == 4


def test_time_limit_ends_the_fit_with_a_result(holes):
    X, mask = holes
    model = NMF(3, time_limit=1e-9, max_iter=10**6, tol=0, n_init=3).fit(X, mask=mask)
    assert model.stop_reason_ == "time_limit"
    assert model.n_iter_ == 1
    assert np.isfinite(model.reconstruct()).all()


def test_interruption_keeps_the_model_and_goes_on(holes):
    X, mask = holes

    def interrupt(progress):
        if progress.n_iter == 3:
            raise KeyboardInterrupt

    model = NMF(3, tol=0, callback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, mask=mask)
    assert model.stop_reason_ == "interrupted"
    assert np.isfinite(model.complete(X, mask=mask)).all()


@pytest.mark.parametrize("reason", ["interrupted", "callback"])
def test_pretraining_can_be_cut_short(holes, reason):
    X, mask = holes
    phases = []

    def stop(progress):
        phases.append(progress.phase)
        if progress.n_iter == 2 and reason == "interrupted":
            raise KeyboardInterrupt
        return progress.n_iter == 2

    model = DeepNMF((4, 3, 3), tol=0, callback=stop, n_init=3)
    with pytest.raises(KeyboardInterrupt) if reason == "interrupted" else contextlib.nullcontext():
        model.fit(X, mask=mask)
    assert phases[:3] == ["pretrain"] * 3
    assert len(phases) <= 4  # the first layer's sweeps, and the last look at the whole chain
    assert model.stop_reason_ == reason
    assert model.n_iter_ == 0
    assert np.isfinite(model.reconstruct()).all()


@pytest.mark.parametrize("start", [0, 1, 3])
@pytest.mark.parametrize("at", [0, 2, 5])
def test_interruption_of_any_start_goes_on(holes, start, at):
    X, mask = holes

    def interrupt(progress):
        if (progress.start, progress.n_iter) == (start, at):
            raise KeyboardInterrupt

    model = NMF(3, tol=0, max_iter=5, n_init=5, callback=interrupt, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, mask=mask)
    assert model.stop_reason_ == "interrupted"
    assert len(model.loss_curve_) == model.n_iter_ + 1
    assert np.isfinite(model.reconstruct()).all()


def test_no_thread_writes_after_an_interruption(monkeypatch):
    import threading
    import time

    from advnmf.kernels import threads

    out = np.zeros(2)

    def slow(start, stop, out):
        if start > 0:
            time.sleep(0.2)
        out[start:stop] = 1

    joins = []
    join = threading.Thread.join

    def interrupted_join(thread, timeout=None):
        joins.append(thread)
        if len(joins) == 1:
            raise KeyboardInterrupt
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted_join)
    monkeypatch.setattr(threads.numba, "get_num_threads", lambda: 2)
    with pytest.raises(KeyboardInterrupt):
        threads.over_rows(slow, 2, 1e9, out)
    assert out.tolist() == [1, 1]


def test_tolerance_is_a_share_of_the_objective_reached(holes):
    X, mask = holes
    X = X + np.random.default_rng(6).gamma(1.0, size=X.shape)
    curve = NMF(3, tol=1e-3, random_state=0).fit(X, mask=mask).loss_curve_
    falls = -np.diff(curve) / curve[1:]
    assert (falls[:-2] > 1e-3).all()
    assert falls[-2:].min() <= 1e-3


@pytest.mark.parametrize("loss", ["frobenius", "correntropy"])
@pytest.mark.parametrize("solver", ["hals", "mu"])
@pytest.mark.parametrize("scale", [1e-25, 1e-10, 1e12])
def test_scale_of_the_data_does_not_matter(holes, loss, solver, scale):
    X, mask = holes
    one, other = (
        NMF(3, loss=loss, solver=solver, max_iter=50, random_state=0).fit(X * s, mask=mask) for s in (1.0, scale)
    )
    np.testing.assert_allclose(other.reconstruct() / scale, one.reconstruct(), rtol=1e-6)


@pytest.mark.parametrize(("alpha_W", "alpha_H", "l1_ratio"), [(0.01, 0.03, 0.5), (0.02, "same", 0.0), (0.0, 0.02, 1.0)])
def test_penalties_mean_what_they_mean_in_scikit_learn(alpha_W, alpha_H, l1_ratio):
    rng = np.random.default_rng(7)
    X = low_rank(rng, (30, 20), 4) + rng.random((30, 20))
    start = [rng.random((30, 5)), rng.random((5, 20))]
    common = {"init": "custom", "solver": "mu", "max_iter": 200, "tol": 0, "l1_ratio": l1_ratio}
    ours = NMF(5, alpha_W=alpha_W, alpha_H=alpha_H, **common).fit(X, factors=start)
    theirs = sklearn.decomposition.NMF(5, alpha_W=alpha_W, alpha_H=alpha_H, **common)
    W = theirs.fit_transform(X, W=start[0].copy(), H=start[1].copy())
    np.testing.assert_allclose(ours.factors_[0], W, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.components_, theirs.components_, rtol=1e-6, atol=1e-9)
    exact = NMF(5, alpha_W=alpha_W, alpha_H=alpha_H, init="custom", max_iter=3000, tol=1e-13, l1_ratio=l1_ratio)
    exact.fit(X, factors=[W, theirs.components_])
    theirs.components_ = exact.components_
    theirs.set_params(max_iter=20000, tol=0)
    # New codes minimise scikit-learn's objective: no worse than its own transform.
    codes = [exact.transform(X), theirs.transform(X)]

    def objective(C):
        penalty = l1_ratio * np.abs(C).sum() + (1 - l1_ratio) / 2 * (C**2).sum()
        return 0.5 * ((X - C @ exact.components_) ** 2).sum() + alpha_W * 20 * penalty

    assert objective(codes[0]) <= objective(codes[1]) * (1 + 1e-6)


def test_codes_of_new_rows_solve_nonnegative_least_squares(holes):
    X, mask = holes
    model = NMF(3, alpha_W=0.0, max_iter=100, tol=1e-10, random_state=0).fit(X + 0.1, mask=mask)
    codes = model.transform(X, mask=mask)
    for i in range(10):
        expected = nnls(model.components_[:, mask[i]].T, X[i, mask[i]])[0]
        np.testing.assert_allclose(codes[i], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("every", [1, 3])
def test_alternating_attack_is_that_of_the_study(holes, every):
    # Equations 21, 25 and 27 of EADNMF, in its orientation (columns are instances), written out.
    X, mask = holes
    rng = np.random.default_rng(8)
    start = [rng.random(s) + 0.1 for s in ((40, 3), (3, 5), (5, 25))]
    lam = delta = 2.0
    H, W2, W1 = (F.T.copy() for F in start)
    V, M = X.T, mask.T.astype(float)

    def D(E):
        x = np.linalg.norm(M * E, axis=0)
        return (1 + delta) * (2 * delta + x) / (2 * (delta + x) ** 2)

    for n in range(6):
        if n % every == 0:
            E = V - W1 @ W2 @ H
            R = np.maximum(M * E * D(E) / (lam - D(E)), -M * V)
        A = M * (V + R)
        d = D(A - W1 @ W2 @ H)
        H = H * ((W1 @ W2).T @ (A * d)) / ((W1 @ W2).T @ (M * (W1 @ W2 @ H) * d))
        W2 = W2 * (W1.T @ (A * d) @ H.T) / (W1.T @ (M * (W1 @ W2 @ H) * d) @ H.T)
        W1 = W1 * ((A * d) @ (W2 @ H).T) / ((M * (W1 @ W2 @ H) * d) @ (W2 @ H).T)
    model = EADNMF((5, 3), alpha_W=0.0, attack="alternating", attack_every=every, solver="mu", init="custom")
    model.set_params(max_iter=6, tol=0).fit(X, mask=mask, factors=start)
    np.testing.assert_allclose(model.reconstruct().T, W1 @ W2 @ H, rtol=1e-10)


def test_pretraining_has_its_own_limit(holes):
    X, mask = holes
    seen = []
    model = DeepNMF((4, 3, 2), max_iter=5, pretrain_iter=2, tol=0, random_state=0, callback=seen.append)
    model.fit(X, mask=mask)
    phases = [progress.phase for progress in seen]
    assert phases.count("train") - 1 == model.n_iter_ == 5
    assert phases.count("pretrain") == 3 * (1 + 2)
    with pytest.raises(ValueError, match="pretrain_iter=0"):
        model.set_params(pretrain_iter=0).fit(X, mask=mask)


def test_pretraining_begins_with_the_chosen_loss(holes):
    X, mask = holes
    seen = []
    model = EADNMF((4, 3), delta=1.5, lam=3.0, alpha_W=0.01, callback=seen.append, max_iter=3, tol=0, random_state=0)
    model.fit(X, mask=mask)
    # Of two factors instead of three: the ridge is in another unit.
    ridge = 0.01 * winsorised_rms(X[mask]) ** (2 / 3 - 1)
    shallow = NMF(4, loss=Elastic(1.5), alpha_W=ridge, max_iter=3, tol=0, random_state=0).fit(X, mask=mask)
    assert [p.objective for p in seen if p.phase == "pretrain"][:4] == pytest.approx(list(shallow.loss_curve_))


@pytest.mark.parametrize("preset", [ATNMF, DeepNMF, ADNMF, EADNMF])
def test_presets_pass_on_every_parameter(preset):
    marks = {name: object() for name in preset().get_params() if name != "n_components"}
    model = preset(n_components=(7, 5), **marks)
    assert model.n_components == (7, 5)
    for name, mark in marks.items():
        assert getattr(model, name) is mark


def test_correntropy_ignores_gross_outliers(holes):
    X, mask = holes
    wrong = np.random.default_rng(9).random(X.shape) < 0.05
    Y = np.where(wrong, 10 * X.max(), X)
    errors = {}
    for loss in ("frobenius", "correntropy"):
        P = NMF(3, loss=loss, max_iter=500, random_state=0).fit(Y, mask=mask).reconstruct()
        errors[loss] = np.linalg.norm((P - X)[~mask])
    assert errors["correntropy"] < 0.1 * errors["frobenius"]


def test_width_of_correntropy_follows_the_residuals(holes):
    X, mask = holes
    model = NMF(3, loss=Correntropy("iqr", eta=1.5, sigma_min=1e-3), max_iter=50, tol=0, random_state=0).fit(
        X, mask=mask
    )
    low, high = np.quantile((X - model.reconstruct())[mask], [0.25, 0.75], method="hazen")
    assert model.loss_.sigma == pytest.approx(max(1.5 * (high - low), 1e-3 * X[mask].mean()))
    assert model.loss == Correntropy("iqr", eta=1.5, sigma_min=1e-3)


@pytest.mark.parametrize("width", [0.02, 0.5, 5.0])
def test_codes_under_entry_weights_do_not_look_at_other_rows(holes, width):
    X, mask = holes
    wrong = np.where(np.random.default_rng(10).random(X.shape) < 0.1, 50.0, X)
    model = NMF(3, loss=Correntropy(width), adversary=FrobeniusPenalty(2.0), max_iter=50, random_state=0)
    model.fit(wrong, mask=mask)
    together = model.transform(wrong, mask=mask)
    for i in range(0, 40, 7):
        alone = model.transform(wrong[i : i + 1], mask=mask[i : i + 1])[0]
        np.testing.assert_allclose(alone, together[i], rtol=1e-6, atol=1e-9)


def test_narrow_correntropy_does_not_kill_rows(holes):
    X, mask = holes
    model = NMF(3, loss=Correntropy(1e-3), solver="mu", alpha_W=0.0, max_iter=20, random_state=0).fit(X, mask=mask)
    assert (model.factors_[0].sum(axis=1) > 0).all()


def test_factors_without_custom_start_are_refused(holes):
    X, mask = holes
    with pytest.raises(ValueError, match="init='random': set init='custom'"):
        NMF(3).fit(X, mask=mask, factors=[np.ones((40, 3)), np.ones((3, 25))])
    with pytest.raises(ValueError, match="not finite"):
        NMF(3, init="custom").fit(X, mask=mask, factors=[np.full((40, 3), 1e200), np.full((3, 25), 1e200)])


def test_nothing_to_score_is_an_error(holes):
    X, mask = holes
    with pytest.raises(ValueError, match="nothing to score"):
        quick(NMF(3)).fit(X, mask=mask).score(np.full((2, 25), np.nan))


def test_loss_weights_beyond_the_precision_are_refused(holes):
    X, mask = holes
    with pytest.raises(ValueError, match="beyond float32"):
        NMF(3, loss=L21(1e-45)).fit(X.astype(np.float32), mask=mask)


def test_not_converged_is_said(holes):
    X, mask = holes
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        NMF(3, max_iter=2).fit(X, mask=mask)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NMF(3, max_iter=2, tol=0).fit(X, mask=mask)


def test_verbose_prints_and_nothing_else_does(holes, capsys):
    X, mask = holes
    NMF(3, max_iter=10, tol=0, verbose=5).fit(X, mask=mask)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed] == [f"start 1/1 train sweep {n}/10" for n in (0, 5, 10)]
    NMF(3, max_iter=10, tol=0).fit(X, mask=mask)
    assert capsys.readouterr() == ("", "")


def test_reconstruct_builds_what_is_asked(holes):
    X, mask = holes
    model = quick(NMF(3)).fit(X, mask=mask)
    whole = model.reconstruct()
    np.testing.assert_allclose(model.reconstruct(rows=[3, 1]), whole[[3, 1]])
    np.testing.assert_allclose(model.reconstruct(rows=slice(5), columns=[2]), whole[:5, [2]])


def test_score_is_minus_the_rmse(holes):
    X, mask = holes
    model = quick(NMF(3)).fit(X, mask=mask)
    P = model.inverse_transform(model.transform(X, mask=mask))
    assert model.score(X, mask=mask) == pytest.approx(-np.sqrt(np.mean((P - X)[mask] ** 2)))


# --- what the data leave open --------------------------------------------------------------------------------------


@models
def test_empty_rows_and_columns_get_the_mean(model, holes):
    X, mask = holes
    mask = mask.copy()
    mask[4], mask[:, 7] = False, False
    with pytest.warns(DataWarning, match="no observed entry"):
        fitted = quick(model).fit(X, mask=mask)
    others = np.delete(np.arange(40), 4)
    np.testing.assert_allclose(fitted.factors_[0][4], fitted.factors_[0][others].mean(axis=0))
    last = fitted.factors_[-1]
    np.testing.assert_allclose(last[:, 7], np.delete(last, 7, axis=1).mean(axis=1))
    assert np.isfinite(fitted.reconstruct()).all()
    with pytest.warns(DataWarning, match="mean code"):
        np.testing.assert_allclose(fitted.transform(X, mask=mask)[4], fitted.factors_[0][others].mean(axis=0))


@models
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            filled = quick(model).fit_complete(X.astype(dtype))
        assert np.isfinite(filled).all()
        assert (filled >= 0).all()


@settings(max_examples=60, deadline=None)
@given(
    X=hnp.arrays(
        np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.floats(0, 100, width=32)
    ),
    seed=st.integers(0, 2**16),
    share=st.floats(0.1, 1.0),
    model=st.sampled_from(MODELS),
    single=st.booleans(),
)
def test_any_matrix_with_any_holes_is_completed(X, seed, share, model, single):
    mask = np.random.default_rng(seed).random(X.shape) < share
    mask.flat[seed % mask.size] = True
    X = np.where(mask, X, np.nan).astype(np.float32 if single else np.float64)
    if 0 < np.nanmax(X) < 1e-9:
        return  # refused: cannot be squared in float32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        filled = quick(model, max_iter=5).fit_complete(X)
    np.testing.assert_array_equal(filled[mask], X[mask])
    assert np.isfinite(filled).all()
    assert (filled >= 0).all()


def test_warnings_name_what_is_open():
    with pytest.warns(DataWarning, match="2 rows of X are zero"):
        NMF(1, tol=0).fit([[0.0, 0], [1, 2], [0, 0]])
    with pytest.warns(DataWarning, match="all observed entries of X equal 2"):
        NMF(1, tol=0).fit(np.full((4, 4), 2.0))
    with pytest.warns(DataWarning, match="n_components=5 asks 40 numbers of 16"):
        NMF(5, tol=0).fit(np.arange(1.0, 17).reshape(4, 4))


# --- bad input -----------------------------------------------------------------------------------------------------

GOOD = np.arange(1.0, 13).reshape(4, 3)


def changed(value, i=1, j=2):
    X = GOOD.copy()
    X[i, j] = value
    return X


@pytest.mark.parametrize(
    ("X", "fit", "message"),
    [
        (changed(-1), {}, "Negative values in data passed to X.*-1.0 at row 1, column 2"),
        (np.where(np.eye(4, 3) > 0, np.nan, -GOOD), {}, "Negative values in data"),
        (changed(np.inf), {}, "infinity.*inf at row 1, column 2"),
        (changed(-np.inf), {}, "infinity"),
        (np.ma.array(changed(-1), mask=np.eye(4, 3)), {}, "Negative values"),
        (np.full((4, 3), np.nan), {}, "no observed entry"),
        (GOOD, {"mask": np.zeros((4, 3))}, "no observed entry"),
        (GOOD, {"mask": np.ones((3, 4))}, r"mask has shape \(3, 4\)"),
        (GOOD, {"mask": np.full((4, 3), 2)}, "mask holds .*2.* at row 0, column 0"),
        (GOOD, {"mask": np.full((4, 3), np.nan)}, "mask holds"),
        (GOOD, {"mask": np.full((4, 3), "yes")}, "mask holds"),
        (GOOD, {"weights": -np.ones((4, 3))}, "weights holds -1.0"),
        (GOOD, {"weights": np.full((4, 3), np.nan)}, "weights holds nan"),
        (GOOD, {"weights": np.ma.array(np.ones((4, 3)), mask=np.eye(4, 3))}, "must not be masked"),
        (changed(-1), {"weights": 1 - np.eye(4, 3)[::-1]}, "Negative values"),
        (GOOD, {"mask": np.array([[True, None, True]] * 4)}, "mask holds None at row 0, column 1"),
        (GOOD, {"weights": np.ones(4)}, r"weights of shape \(4,\)"),
        (GOOD, {"weights": "heavy"}, "weights of shape"),
        (GOOD * 1e200, {}, "rescale X"),
        ((GOOD * 1e-20).astype(np.float32), {}, "rescale X"),
        (GOOD[0], {}, "Expected 2D array"),
        (GOOD[None], {}, "dim 3"),
        ([["a", "b"]], {}, "could not convert|dtype"),
        (GOOD * 1j, {}, "Complex data"),
        (GOOD, {"factors": None}, None),
    ],
)
def test_bad_data_is_refused(X, fit, message):
    if message is None:
        NMF(1, max_iter=1, tol=0).fit(X, **fit)
        return
    with pytest.raises(ValueError, match=message) as caught:
        NMF(1).fit(X, **fit)
    if message not in ("Expected 2D array", "Complex data"):  # scikit-learn's own texts
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components=0"),
        ({"n_components": -2}, "n_components=-2"),
        ({"n_components": 2.5}, "n_components=2.5"),
        ({"n_components": ()}, r"n_components=\(\)"),
        ({"n_components": (3, 0)}, r"n_components=\(3, 0\)"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"tol": -1}, "tol=-1"),
        ({"tol": np.nan}, "tol=nan"),
        ({"n_init": 0}, "n_init=0"),
        ({"alpha_W": -0.1}, "alpha_W=-0.1"),
        ({"alpha_W": np.inf}, "alpha_W=inf must be a finite number"),
        ({"verbose": "x"}, "verbose='x'"),
        ({"alpha_H": "half"}, "alpha_H='half'"),
        ({"l1_ratio": 1.5}, "l1_ratio=1.5"),
        ({"attack": "both"}, "attack='both'"),
        ({"attack_every": 0}, "attack_every=0"),
        ({"solver": "cd"}, "solver='cd'"),
        ({"init": "nndsvd"}, "init='nndsvd'"),
        ({"loss": "huber"}, "loss='huber'"),
        ({"loss": Correntropy, "n_components": 1}, "loss="),
        ({"adversary": "penalty"}, "adversary='penalty'"),
        ({"time_limit": 0}, "time_limit=0"),
        ({"callback": 3}, "callback=3"),
        ({"sparse_missing": "nan"}, "sparse_missing='nan'"),
        ({"init": "custom"}, "needs fit"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        NMF(**parameters).fit(GOOD)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ATNMF(1, lam=1.0), "lam=1.0 must exceed 1"),
        (ATNMF(1, lam="2"), "lam='2' must exceed 1"),
        (EADNMF((2, 1), delta=None), "delta=None"),
        (ADNMF((2, 1), lam=0), "lam=0 must exceed 1"),
        (EADNMF((2, 1), delta=-1), "delta=-1"),
        (EADNMF((2, 1), lam=2.0, delta=1.0), r"lam=2.0 must exceed 2, .*1 \+ 1/delta"),
        (NMF(1, loss="l21", adversary=FrobeniusPenalty(2.0)), r"L21\(floor=0.5\)"),
    ],
)
def test_adversaries_without_a_bound_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(GOOD)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([np.ones((4, 1))], "factors=.F_1, ..., F_2"),
        ([np.ones((4, 1)), np.ones((1, 4))], r"F_2 has shape \(1, 4\), expected \(1, 3\)"),
        ([np.ones((4, 1)), -np.ones((1, 3))], "F_2 has negative"),
        ([np.ones((4, 1)), np.full((1, 3), np.nan)], "F_2 has negative or non-finite"),
    ],
)
def test_bad_starts_are_refused(factors, message):
    with pytest.raises(ValueError, match=message):
        NMF(1, init="custom").fit(GOOD, factors=factors)
