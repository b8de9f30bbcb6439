"""Censored entries: a loss against all that the truth may be, in the problem, in the models, in what they fill in."""

from __future__ import annotations

import numpy as np
import pytest

from advnmf import ATNMF, DMF, EADNMF, NMF, AutoImputer, AutoNMF, DeepNMF, NMFImputer
from advnmf.arrays.namespaces import to_numpy
from advnmf.data import CensoredData, array_data
from advnmf.data.boundary import read_observed
from advnmf.engine.loop import StoppingCriteria, minimise
from advnmf.engine.problem import Moment, Problem
from advnmf.losses import Correntropy
from advnmf.model_selection import CompletionSearchCV, EntryKFold, cross_val_score_entries
from advnmf.model_selection.cross_validation import make_folds
from advnmf.penalties import NO_PENALTY, ElasticNet
from advnmf.solvers import SOLVERS
from cases import CENSORED, censored, chain, numeric_gradient, pairs

both = pytest.mark.parametrize(("loss", "adversary"), pairs())
solvers = pytest.mark.parametrize("solver", SOLVERS.values(), ids=repr)


def ran(problem, factors, solver, n_sweeps):
    return minimise(problem, factors, solver, StoppingCriteria(n_sweeps, 0.0)).history


# --- the problem -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", CENSORED)
@both
def test_the_loss_is_that_of_the_nearest_possible_truth(loss, adversary, storage):
    s = censored(storage)
    factors = chain(1, s.X.shape, 3)
    arrays = [s.data.asarray(F) for F in factors]
    problem = Problem(s.data, loss.loss, adversary.adversary, (NO_PENALTY,) * 2).adapted(arrays)
    if loss.follows is None:
        expected = s.objective(loss, adversary, factors[0] @ factors[1])
        assert problem.objective(arrays) == pytest.approx(expected, rel=1e-9)
    # Nothing that the truth may be is cheaper: tried one entry at a time, and all together.
    plain = array_data(s.X, s.omega)
    rng, lowest = np.random.default_rng(0), problem.objective(arrays)
    for trial in range(12):
        moved = np.where(s.sides < 0, s.X * rng.random(s.X.shape), s.X + (s.sides > 0) * rng.gamma(1.0, size=s.X.shape))
        if trial % 2:
            only = rng.random(s.X.shape) < 0.1
            moved = np.where(only, moved, s.X)
        other = Problem(plain.with_values(moved), problem.loss, problem.adversary, (NO_PENALTY,) * 2)
        assert other.objective(factors) >= lowest * (1 - 1e-9)


@both
def test_the_quadratic_touches_from_above(loss, adversary):
    rng = np.random.default_rng(0)
    s = censored("weights", shape=(5, 4))
    A, B = chain(1, s.X.shape, 3)
    problem = Problem(s.data, loss.loss, adversary.adversary, (NO_PENALTY,) * 2).adapted([A, B])
    P = A @ B
    data, T, w = problem.majorise(s.data, P, None)

    def robust(P):
        return problem.objective([P, np.eye(P.shape[1])])

    def quadratic(P):
        return float((w[:, None] * data.omega * (T - P) ** 2).sum())

    slope = numeric_gradient(robust, P)
    np.testing.assert_allclose(2 * w[:, None] * data.omega * (P - T), slope, rtol=1e-4, atol=1e-5 * np.abs(slope).max())
    for size in (1e-3, 0.1, 1.0, 5.0):
        for _ in range(5):
            other = np.maximum(P + size * rng.standard_normal(P.shape), 0)
            assert robust(other) - robust(P) <= quadratic(other) - quadratic(P) + 1e-9 * robust(P)


@solvers
@both
def test_no_sweep_raises_the_objective(solver, loss, adversary):
    first = len(repr(solver) + repr(loss) + repr(adversary))  # so that each meets all depths
    for turn, layers in [(turn % 3, [(3,), (4, 3), (4, 3, 2)][turn % 3]) for turn in (first, first + 1)]:
        s = censored(("mask", "weights")[turn % 2], seed=turn)
        penalties = (ElasticNet(0.05, 0.2) if turn == 1 else NO_PENALTY,) * (len(layers) + 1)
        problem = Problem(s.data, loss.loss, adversary.adversary, penalties)
        factors = chain(turn, s.X.shape, *layers)
        history = ran(problem, factors, solver, 4)
        assert loss.loss.adaptive or (np.diff(history) <= 1e-10 * np.abs(history[:-1])).all(), layers
        assert history[-1] < history[0]
        if not problem.adaptive:
            assert history[-1] == pytest.approx(problem.objective(factors), rel=1e-12)


def test_a_scale_that_follows_the_residuals_follows_those_of_measured_entries():
    s = censored("mask")
    factors = chain(1, s.X.shape, 3)
    kept = (s.omega > 0) & (s.sides == 0)
    moment = Moment(s.data, Correntropy(), factors)
    np.testing.assert_array_equal(np.sort(moment.values), np.sort(s.X[kept]))
    np.testing.assert_array_equal(np.sort(moment.residuals), np.sort((s.X - factors[0] @ factors[1])[kept]))


def test_parts_and_the_transposed_data_keep_their_bounds():
    s = censored("weights")
    P = s.X + 0.1
    whole = s.data.nearest(P).values
    np.testing.assert_array_equal(s.data.T.nearest(P.T).values, whole.T)
    np.testing.assert_array_equal(s.data.take(slice(2, 5)).nearest(P[2:5]).values, whole[2:5])
    moved = s.data.with_values(2 * s.X)
    np.testing.assert_array_equal(moved.T.nearest(2 * P.T).values, 2 * whole.T)
    np.testing.assert_array_equal(whole == s.X, (s.sides <= 0))


# --- models ------------------------------------------------------------------------------------------------------


def planted(seed=0, shape=(120, 16), rank=3, noise=0.05, limit=0.4, missing=0.2, every=2):
    """Lognormal factors of low rank; every other column has a limit of detection; some entries are missing."""
    rng = np.random.default_rng(seed)
    truth = rng.lognormal(0, 0.7, (shape[0], rank)) @ rng.lognormal(0, 0.7, (rank, shape[1]))
    X = truth * rng.lognormal(0, noise, shape)
    bounds = np.where(np.arange(shape[1]) % every == every - 1, np.quantile(X, limit, axis=0), 0)
    below = bounds > X
    X = np.where(below, bounds, X)
    X[rng.random(shape) < missing] = np.nan
    return truth, X, below & ~np.isnan(X)


def error(truth, filled, where):
    return float(np.sqrt(np.mean((truth - filled)[where] ** 2)))


MODEL = NMF(3, max_iter=150, tol=0, random_state=0)


@pytest.mark.filterwarnings("ignore:.*rows of X have no observed entry")
def test_bounds_beat_half_of_them_ignoring_them_and_taking_them_for_values():
    errors = []
    for seed in range(3):
        truth, X, below = planted(seed, rank=4, noise=0.1, limit=0.6, every=1)
        missing, model = np.isnan(X), NMF(4, max_iter=150, tol=0, random_state=0)
        filled = model.fit_complete(X, censored=below)
        assert (filled[below] <= X[below]).all()
        half, ignored = np.where(below, X / 2, X), np.where(below, np.nan, X)
        others = [model.fit_complete(given) for given in (half, ignored, X)]
        errors.append([[error(truth, each, where) for each in (filled, *others)] for where in (missing, below)])
    of_missing, of_censored = np.mean(errors, axis=0)
    assert of_missing[0] < 0.9 * of_missing[1:].min()
    assert of_censored[0] < 0.8 * of_censored[1:].min()


def test_what_lies_above_a_bound_is_held_by_a_ridge():
    # Complete but for bounds without an upper end: no ridge would leave them open.
    truth, X, _ = planted(16, (30, 8), missing=0.0)
    above = truth > np.quantile(truth, 0.6, axis=0)
    X = np.where(above, np.quantile(truth, 0.6, axis=0), X)
    model = NMF(5, max_iter=150, tol=0, random_state=0)
    filled = model.fit_complete(X, censored=np.where(above, ">", ""))
    assert model.alpha_W_ > 0
    assert NMF(5, max_iter=1, tol=0).fit(X).alpha_W_ == 0
    assert (filled >= X).all()
    assert filled.max() < 30 * X.max()


@pytest.mark.parametrize("model", [NMF(3), ATNMF(3), DeepNMF((5, 3)), EADNMF((5, 3)), NMF(3, biases=True)], ids=repr)
def test_every_model_fills_what_is_possible(model):
    _, X, below = planted(2, (40, 10))
    high = np.nanquantile(X, 0.9)
    above = ~np.isnan(X) & ~below & (high < X)
    X[above] *= 0.8
    signs = np.where(below, "<", np.where(above, ">", ""))
    model = model.set_params(max_iter=60, tol=0, random_state=0)
    filled = model.fit_complete(X, censored=signs)
    assert (np.diff(model.loss_curve_) <= 1e-9 * model.loss_curve_[:-1]).all()
    measured = ~np.isnan(X) & ~below & ~above
    np.testing.assert_array_equal(filled[measured], X[measured])
    assert ((filled >= 0) & (filled <= X))[below].all()
    assert (filled >= X)[above].all()
    assert (filled < X)[below].mean() > 0.5
    assert np.isfinite(filled).all()


def test_new_rows_are_coded_by_their_bounds():
    truth, X, below = planted(3)
    model = NMF(3, max_iter=150, tol=0, random_state=0).fit(X[:100], censored=below[:100])
    new, flags, missing = X[100:], below[100:], np.isnan(X[100:])
    filled = model.complete(new, censored=flags)
    assert error(truth[100:], filled, missing) < 0.8 * error(truth[100:], model.complete(new), missing)
    # A row stays the same in any batch, and codes are those that complete it.
    np.testing.assert_allclose(model.transform(new, censored=flags)[:3], model.transform(new[:3], censored=flags[:3]))
    expected = np.where(missing, model.transform(new, censored=flags) @ model.components_, filled)
    np.testing.assert_allclose(filled, expected)


def test_scores_are_of_measured_entries():
    _, X, below = planted(4)
    model = NMF(3, max_iter=50, tol=0, random_state=0).fit(X, censored=below)
    P = model.transform(X, censored=below) @ model.components_
    measured = ~np.isnan(X) & ~below
    assert model.score(X, censored=below) == pytest.approx(-error(X, P, measured), rel=1e-9)


def test_the_residual_of_a_censored_entry_is_what_lies_beyond_its_bound():
    _, X, below = planted(5)
    model = NMF(2, max_iter=100, tol=0, random_state=0).fit(X, censored=below)
    E = np.where(below, np.maximum(model.reconstruct() - X, 0), model.reconstruct() - X)
    assert model.reconstruction_err_ == pytest.approx(np.sqrt(np.nansum(E**2)), rel=1e-9)
    # What recommend weighs predictions by is measured where a truth is known.
    assert model.reliability_[3] == pytest.approx(X[~below & ~np.isnan(X)].min())


def test_an_adversary_perturbs_no_possible_entry():
    _, X, below = planted(6)
    model = ATNMF(2, lam=1.5, max_iter=50, tol=0, random_state=0).fit(X, censored=below)
    R = model.perturbation(X, censored=below)
    P = model.transform(X, censored=below) @ model.components_
    possible = below & (P <= X)
    assert possible.any()
    np.testing.assert_allclose(R[possible], 0, atol=1e-12)
    beyond = below & (P > X)
    np.testing.assert_allclose((X + R)[beyond], np.maximum((1.5 * X - P) / 0.5, 0)[beyond])
    assert (X + R >= 0)[~np.isnan(X)].all()
    # Frozen, the bounds move with what is added to them.
    frozen = ATNMF(2, lam=8.0, attack="alternating", max_iter=30, tol=0, random_state=0).fit(X, censored=below)
    exact = ATNMF(2, lam=8.0, max_iter=30, tol=0, random_state=0).fit(X, censored=below)
    assert frozen.loss_curve_[-1] == pytest.approx(exact.loss_curve_[-1], rel=0.05)


def test_without_censored_entries_nothing_changes():
    _, X, below = planted(7)
    for complete in (False, True):
        given = np.nan_to_num(X) if complete else X
        for model in (NMF(3), EADNMF((4, 3)), NMF(3, solver="mu", loss="correntropy")):
            model.set_params(max_iter=20, tol=0, random_state=0)
            expected = model.fit_complete(given)
            np.testing.assert_array_equal(model.fit_complete(given, censored=np.zeros(X.shape, bool)), expected)
    # What is missing has no bound, whatever is said of it.
    mask = ~below
    expected = MODEL.fit(X, mask=mask).reconstruct()
    np.testing.assert_array_equal(MODEL.fit(X, mask=mask, censored=below).reconstruct(), expected)


def test_flags_signs_and_numbers_say_the_same():
    _, X, below = planted(8, (20, 6))
    model = NMF(2, max_iter=20, tol=0, random_state=0)
    expected = model.fit_complete(X, censored=below)
    for same in (below.astype(int), np.where(below, "<", ""), np.where(below, "<", None), below.tolist()):
        np.testing.assert_array_equal(model.fit_complete(X, censored=same), expected)
    assert (model.fit_complete(X, censored=np.where(below, ">", ""))[below] >= X[below]).all()


def test_float32_stays_and_wide_data_go_block_by_block(monkeypatch):
    from advnmf.data import ObservedData

    _, X, below = planted(9, (40, 10))
    model = NMF(3, max_iter=30, tol=0, random_state=0)
    whole = model.fit_complete(X, censored=below)
    assert model.fit_complete(X.astype(np.float32), censored=below).dtype == np.float32
    monkeypatch.setattr(ObservedData, "block_entries", 50)
    np.testing.assert_allclose(model.fit_complete(X, censored=below), whole, rtol=1e-6)


def test_tensors_are_censored_where_they_are():
    torch = pytest.importorskip("torch", reason="torch is not installed: see the extra test-large")
    _, X, below = planted(10, (30, 8))
    model = NMF(3, solver="mu", max_iter=30, tol=0, random_state=0)
    expected = model.fit_complete(X, censored=below)
    filled = model.fit_complete(torch.asarray(X), censored=torch.asarray(below))
    np.testing.assert_allclose(to_numpy(filled), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (np.zeros((3, 2), bool), r"censored has shape \(3, 2\), X has \(3, 4\)"),
        (np.full((3, 4), 2), "censored holds 2 at row 0, column 0: only True or '<'"),
        (np.full((3, 4), "LOD"), "censored holds 'LOD'|censored holds np.str_"),
        (np.full((3, 4), -1), "censored holds -1"),
        (np.eye(3, 4, k=1) > 0, "censored marks row 0, column 1, where X is missing: X must hold the bound"),
    ],
)
def test_what_is_no_sign_is_refused_in_one_line(flags, message):
    X = np.arange(12.0).reshape(3, 4)
    X[0, 1] = np.nan
    with pytest.raises(ValueError, match=message) as caught:
        NMF(1).fit(X, censored=flags)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_censored_is_refused():
    from scipy import sparse

    X = np.arange(12.0).reshape(3, 4)
    with pytest.raises(ValueError, match="X has no measured entry: all that are observed are censored"):
        NMF(1).fit(X, censored=np.ones(X.shape, bool))
    with pytest.raises(ValueError, match=r"censored goes with dense X only: use X\.toarray"):
        NMF(1).fit(sparse.csr_array(X), censored=np.ones(X.shape, bool))
    with pytest.raises(TypeError, match="DMF takes no censored entries: use NMF"):
        DMF(1, max_iter=1, tol=0).fit(X).complete(X, censored=np.ones(X.shape, bool))


# --- choosing ----------------------------------------------------------------------------------------------------


def test_bounds_are_trained_on_and_never_held_out():
    _, X, below = planted(11, (40, 8))
    entries = read_observed(X, censored=below)
    folds = make_folds(entries, EntryKFold(3, random_state=0), 0)
    held_out = np.sum([fold.test for fold in folds], axis=0)
    assert not (held_out > 0)[below].any()
    assert held_out[entries.measured].sum() > 0.9 * entries.measured.sum()
    for fold in folds:
        assert fold.train[below].any()
        given = fold.fit_params["censored"]
        np.testing.assert_array_equal(given == "<", below & fold.train)
        assert isinstance(fold.data(NMF()), CensoredData)
        np.testing.assert_array_equal(fold.held_out.values, X[fold.test])
    weighted = [(fold.train, fold.test | (below & ~fold.train), np.arange(1.0, 1 + 400)) for fold in folds[:1]]
    (fold,) = make_folds(entries, [(a, b, w[: b.sum()]) for a, b, w in weighted], 0)
    assert len(fold.held_out.omega) == fold.test.sum()
    with pytest.raises(ValueError, match="cv gave test with censored entries alone"):
        make_folds(entries, [(entries.measured, below)], 0)


@pytest.mark.filterwarnings("ignore:.*rows of X have no observed entry")
def test_searches_use_bounds():
    truth, X, below = planted(12, (60, 10), limit=0.5, every=1)
    missing = np.isnan(X)
    model = NMF(3, max_iter=60, tol=0, random_state=0)
    search = CompletionSearchCV(model, {"alpha_W": [1e-2, 1e-1]}, cv=2).fit(X, censored=below)
    assert error(truth, search.complete(X, censored=below), missing) < 0.8 * error(
        truth, model.fit_complete(np.where(below, np.nan, X)), missing
    )
    scores = cross_val_score_entries(model, X, censored=below, cv=2)
    ((train, test), *_) = EntryKFold(2, random_state=0).split_observed(read_observed(X, censored=below))
    model.fit(np.where(train, X, np.nan), censored=below & train)
    assert scores[0] == pytest.approx(-error(X, model.reconstruct(), test & ~below), rel=1e-6)


def test_auto_fills_what_is_possible():
    _, X, below = planted(13, (60, 10))
    X[0, 1], below[0, 1] = 1e4, True  # a bound is no outlier, and does not give the scale
    auto = AutoNMF(max_candidates=4, random_state=0).fit(X, censored=below)
    filled, std = auto.complete(X, censored=below, return_std=True)
    assert ((filled >= 0) & (filled <= X))[below].all()
    assert (filled < X)[below].mean() > 0.3
    assert filled[0, 1] < 100
    exact = ~np.isnan(X) & ~below
    np.testing.assert_array_equal(filled[exact], X[exact])
    np.testing.assert_array_equal(std > 0, ~exact)
    assert auto.clip_ is None or (auto.clip_[0][below.any(axis=0)] == 0).all()
    assert len(auto.held_out_.truth) <= exact.sum()


def test_the_imputer_passes_bounds_on_and_clips_each_feature():
    _, X, below = planted(14, (40, 8))
    model = NMF(3, max_iter=60, tol=0, random_state=0)
    exact = ~np.isnan(X) & ~below
    filled = NMFImputer(model).fit_transform(X, censored=below)
    np.testing.assert_array_equal(filled, model.fit(X, censored=below).complete(X, censored=below))
    low, high = np.linspace(0.1, 0.5, 8), np.full(8, 2.0)
    for clip in ((low, high), (0.1, high), (low, 2.0)):
        clipped = NMFImputer(model, clip=clip).fit_transform(X, censored=below)
        np.testing.assert_array_equal(clipped, np.where(exact, X, np.clip(filled, *clip)))
    seen = NMFImputer(model, clip="observed").fit(X, censored=below)
    np.testing.assert_array_equal(np.isneginf(seen.clip_range_[0]), below.any(axis=0))
    np.testing.assert_array_equal(seen.clip_range_[1], np.nanmax(X, axis=0))
    with pytest.raises(ValueError, match=r"clip has ends of shape \[\(3,\), \(\)\]: give numbers, or 8 of them each"):
        NMFImputer(model, clip=([0, 0, 0], 1)).fit(X)
    with pytest.raises(ValueError, match="must be None"):
        NMFImputer(model, clip=(np.full(8, 2.0), low)).fit(X)


def test_the_blend_fills_bounds_by_nmf():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: see the extra test")
    _, X, below = planted(15, (40, 6))
    model = AutoImputer(2, candidates=["AutoNMF", "KNN"], random_state=0).fit(X, censored=below)
    filled, std = model.complete(X, censored=below, return_std=True)
    exact = ~np.isnan(X) & ~below
    np.testing.assert_array_equal(filled[exact], X[exact])
    assert ((filled >= 0) & (filled <= X))[below].all()
    assert (filled < X)[below].mean() > 0.3
    np.testing.assert_array_equal(std > 0, ~exact)
    assert not below[model.held_out_.rows, model.held_out_.columns].any()
    frame = pandas.DataFrame(X, columns=list("abcdef")).assign(name="x")
    flags = np.hstack([below, np.zeros((len(X), 1), bool)])
    np.testing.assert_allclose(model.complete(X, censored=below), filled)
    framed = AutoImputer(2, candidates=["KNN"], random_state=0).fit(frame, censored=flags)
    np.testing.assert_array_equal(framed.complete(frame, censored=flags)[list("abcdef")].to_numpy()[below], X[below])
    with pytest.raises(ValueError, match="censored marks row"):
        model.fit(X, censored=below | np.isnan(X))
