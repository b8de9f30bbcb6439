"""Arrays of other libraries: NumPy's numbers, in the namespace, on the device and in the precision given."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

from advnmf import (
    ADNMF,
    ANMF,
    ATNMF,
    EADNMF,
    HQASD,
    NMF,
    DataWarning,
    DeepNMF,
    FrobeniusPenalty,
    NMFImputer,
    load,
    save,
)
from advnmf.adversaries import NoAdversary
from advnmf.arrays.namespaces import as_like, is_tensor, to_numpy, wide
from advnmf.data import ArrayData, CompleteTensor, MaskedData, MaskedTensor, ObservedData, array_data
from advnmf.engine.factors import product
from advnmf.engine.loop import StoppingCriteria, minimise
from advnmf.engine.problem import Problem
from advnmf.engine.starts import flat_codes, pretrained_factors, solve_codes
from advnmf.losses import Correntropy, Elastic
from advnmf.penalties import ElasticNet
from advnmf.solvers import MU
from problems import PAIRS, complete_data, random_chain, random_data

# The fits are short, some data have empty rows: neither is the question here.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::advnmf.DataWarning")


def data_of(kind: str, rng: np.random.Generator, dtype: type = np.float64) -> ArrayData:
    return (
        complete_data(rng, dtype=dtype)
        if kind == "complete"
        else random_data(rng, (9, 7), 0.6, kind == "weights", dtype)
    )


def moved(data: ArrayData, library) -> ArrayData:
    """The same data in another library."""
    omega = None if data.omega is None else library.asarray(data.omega.astype(data.dtype))
    return array_data(library.asarray(data.values), omega)


# All storages for some pairs, and the mask for all.
SOME = [(Elastic(2.0), FrobeniusPenalty(2.0)), (Correntropy(0.5), NoAdversary())]
storages = pytest.mark.parametrize(
    ("kind", "loss", "adversary"),
    [("mask", *pair) for pair in PAIRS] + [(kind, *pair) for kind in ("weights", "complete") for pair in SOME],
    ids=str,
)


# --- losses, adversaries, sweeps ---------------------------------------------------------------------------------


@storages
def test_losses_and_adversaries_agree(library, kind, loss, adversary):
    rng = np.random.default_rng(0)
    data = data_of(kind, rng)
    tensors = moved(data, library)
    A, B = random_chain(rng, data.shape, (3,))
    A *= 2  # some predictions far above their data, so that perturbations are clipped
    P, Q = data.predict(A, B), tensors.predict(library.asarray(A), library.asarray(B))
    assert loss.value(tensors, Q) == pytest.approx(loss.value(data, P), rel=1e-10)
    ours = [*loss.gradient_parts(tensors, Q), *adversary.respond(loss, loss.groups(tensors), Q)]
    theirs = [*loss.gradient_parts(data, P), *adversary.respond(loss, loss.groups(data), P)]
    for one_step in (False, True):
        ours.append(adversary.perturb(loss, loss.groups(tensors), Q, one_step=one_step))
        theirs.append(adversary.perturb(loss, loss.groups(data), P, one_step=one_step))
    for x, y in zip(ours, theirs, strict=True):
        assert is_tensor(x)
        np.testing.assert_allclose(to_numpy(x), y, rtol=1e-8, atol=1e-10)


@storages
def test_mu_takes_the_same_way(library, kind, loss, adversary):
    rng = np.random.default_rng(1)
    layers = (4, 3) if kind == "mask" else (3,)
    penalties = (ElasticNet(0.01, 0.05),) * (len(layers) + 1)
    for dtype, tolerance, n in ((np.float64, 1e-8, 2), (np.float32, 1e-3, 1)):
        data = data_of(kind, rng, dtype)
        start = random_chain(rng, data.shape, layers, dtype)
        tensors = [library.asarray(F.copy()) for F in start]
        results = [
            minimise(Problem(part, loss, adversary, penalties), factors, MU(), StoppingCriteria(max_iter=n, tol=0))
            for part, factors in ((data, start), (moved(data, library), tensors))
        ]
        np.testing.assert_allclose(results[1].history, results[0].history, rtol=tolerance)
        P, Q = (to_numpy(product(result.factors)) for result in results)
        np.testing.assert_allclose(Q, P, rtol=tolerance, atol=tolerance)
        assert {F.dtype for F in results[1].factors} == {getattr(library, np.dtype(dtype).name)}


@pytest.mark.parametrize("loss", [Elastic(2.0), Correntropy()], ids=repr)
def test_pretraining_and_frozen_attacks_agree(library, loss):
    data = random_data(np.random.default_rng(2), (12, 9))  # with an empty row and an empty column
    chains = []
    for part in (data, moved(data, library)):
        problem = Problem(part, loss, FrobeniusPenalty(3.0), (ElasticNet(),) * 3)
        chain, _ = pretrained_factors(
            problem, (4, 2), MU(), StoppingCriteria(max_iter=5, tol=0), np.random.RandomState(0)
        )
        minimise(problem, chain, MU(), StoppingCriteria(max_iter=5, tol=0), attack_every=2)
        chains.append(chain)
    for F, G in zip(*chains, strict=True):
        np.testing.assert_allclose(to_numpy(G), F, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("max_iter", [1, 20])
def test_codes_of_new_samples_agree(library, max_iter):
    rng = np.random.default_rng(3)
    data, B = random_data(rng, (30, 9)), rng.random((3, 9))
    # Loose enough that the rows end at different sweeps, and are put in order again.
    codes = [
        solve_codes(
            Problem(part, Elastic(1.0), FrobeniusPenalty(3.0), (ElasticNet(),) * 2),
            flat_codes(part, x),
            x,
            MU(),
            max_iter,
            1e-3,
        )
        for part, x in ((data, B), (moved(data, library), library.asarray(B)))
    ]
    np.testing.assert_allclose(to_numpy(codes[1]), codes[0], rtol=1e-8, atol=1e-12)


def test_blocks_make_no_difference(library, monkeypatch):
    rng = np.random.default_rng(4)
    data, results = random_data(rng, (23, 11)), []
    start = random_chain(rng, data.shape, (4, 3))
    for block in (10**6, 90):
        monkeypatch.setattr(ArrayData, "block_entries", block)
        factors = [library.asarray(F.copy()) for F in start]
        problem = Problem(moved(data, library), Elastic(1.0), FrobeniusPenalty(3.0), (ElasticNet(),) * 3)
        minimise(problem, factors, MU(), StoppingCriteria(max_iter=5, tol=0))
        results.append(to_numpy(product(factors)))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-9)


def test_what_the_data_say_of_themselves_agrees(library):
    for kind in ("mask", "weights", "complete"):
        data = data_of(kind, np.random.default_rng(5))
        tensors = moved(data, library)
        for d, t in ((data, tensors), (data.T, tensors.T)):
            for name in ("counts", "column_counts"):
                np.testing.assert_array_equal(getattr(t, name), getattr(d, name))
            np.testing.assert_array_equal(t.positive(0), d.positive(0))
            np.testing.assert_array_equal(t.positive(1), d.positive(1))
            assert t.shape == d.shape
            assert t.n_entries == d.n_entries
        assert tensors.mean == pytest.approx(data.mean, rel=1e-12)
        assert tensors.value_range() == data.value_range()
        rows = np.array([5, 0, 3])
        taken = tensors.take(library.asarray(rows))
        np.testing.assert_array_equal(to_numpy(taken.values), data.take(rows).values)
        A, B = random_chain(np.random.default_rng(6), data.shape, (2,))
        P, Q = data.predict(A, B), tensors.predict(library.asarray(A), library.asarray(B))
        np.testing.assert_allclose(to_numpy(tensors.energies(Q)), data.energies(P), rtol=1e-12)


def test_sums_are_as_wide_as_the_device_allows(array_api_strict):
    strict = array_api_strict
    narrow = strict.Device("no_float64")
    X = strict.asarray([[1.0, 2.0], [3.0, 4.0]], dtype=strict.float32)
    assert wide(X) == strict.float64
    X = strict.asarray([[1.0, 2.0], [3.0, 4.5]], dtype=strict.float32, device=narrow)
    assert wide(X) == strict.float32
    problem = Problem(array_data(X), Elastic(1.0), FrobeniusPenalty(3.0), (ElasticNet(0.1, 0.1),) * 2)
    factors = [strict.ones((2, 1), dtype=strict.float32, device=narrow) for _ in range(2)]
    factors[1] = factors[1].T
    history = minimise(problem, factors, MU(), StoppingCriteria(max_iter=20, tol=0)).history
    assert (np.diff(history) <= 1e-5 * history[:-1]).all()
    assert history[-1] < 0.5 * history[0]


def test_a_mask_reaches_the_storage_of_its_namespace(library):
    X, seen = np.ones((2, 3)), np.eye(2, 3, dtype=bool)
    assert type(array_data(X, seen)) is MaskedData
    assert array_data(X, seen).omega.dtype == np.uint8
    assert type(array_data(library.asarray(X), library.asarray(seen))) is MaskedTensor


def test_coordinate_descent_is_refused_without_numpy(library):
    with pytest.raises(TypeError, match="solver='mu'"):
        array_data(library.asarray(np.ones((2, 3)))).descend()


# --- estimators --------------------------------------------------------------------------------------------------

MODELS = [
    NMF(2, solver="mu", alpha_W=1e-3),
    NMF(2, solver="mu", loss="correntropy", n_init=2),
    NMF((4, 2), solver="mu", loss="l21", attack="alternating", adversary=None),
    ATNMF(2, solver="mu", attack="alternating"),
    ATNMF(2),
    DeepNMF((4, 2), solver="mu"),
    ADNMF((4, 2), solver="mu"),
    EADNMF((4, 2), solver="mu"),
    EADNMF((4, 2)),
]
models = pytest.mark.parametrize("model", [m.set_params(max_iter=6, random_state=0) for m in MODELS], ids=repr)


def fresh(model):
    return type(model)(**model.get_params(deep=False))


def same(x, y, rtol=1e-7):
    np.testing.assert_allclose(to_numpy(x), to_numpy(y), rtol=rtol, atol=1e-9)


@models
def test_a_tensor_in_is_a_tensor_out(library, model, planted):
    X = planted[1].copy()
    X[4] = np.nan  # this row gets the mean code
    T = library.asarray(X.copy())
    plain, fitted = fresh(model).fit(X), fresh(model).fit(T)
    results = [
        (fitted.components_, plain.components_),
        (fitted.mean_code_, plain.mean_code_),
        *zip(fitted.factors_, plain.factors_, strict=True),
        (fitted.transform(T), plain.transform(X)),
        (fresh(model).fit_transform(T), fresh(model).fit_transform(X)),
        (fitted.complete(T), plain.complete(X)),
        (fresh(model).fit_complete(T), fresh(model).fit_complete(X)),
        (fitted.inverse_transform(fitted.factors_[0]), plain.inverse_transform(plain.factors_[0])),
        (fitted.reconstruct(), plain.reconstruct()),
        (fitted.predict_pairs([0, 7], [3, 1]), plain.predict_pairs([0, 7], [3, 1])),
    ]
    for ours, theirs in results:
        assert type(ours) is type(T)
        assert ours.dtype == T.dtype
        same(ours, theirs)
    np.testing.assert_array_equal(to_numpy(T), X)  # input is left alone
    same(fitted.loss_curve_, plain.loss_curve_)
    assert fitted.reconstruction_err_ == pytest.approx(plain.reconstruction_err_)
    assert fitted.score(T) == pytest.approx(plain.score(X))
    seen = ~np.isnan(X)
    np.testing.assert_array_equal(to_numpy(fitted.complete(T))[seen], X[seen])


@models
def test_float32_tensors_stay_so(torch, model, planted):
    X = planted[1].astype(np.float32)
    T = torch.asarray(X.copy())
    plain, fitted = fresh(model).fit(X), fresh(model).fit(T)
    assert {F.dtype for F in [*fitted.factors_, fitted.components_]} == {torch.float32}
    assert fitted.transform(T).dtype == fitted.complete(T).dtype == torch.float32
    assert fitted.transform(T.to(torch.float64)).dtype == torch.float64
    same(fitted.loss_curve_, plain.loss_curve_, rtol=1e-3)


@models
def test_mask_and_weights_of_any_library(torch, model, planted):
    X = planted[1]
    mask = ~np.isnan(X)
    weights = 1.0 + (np.arange(X.shape[1]) % 3)[None, :]
    expected = fresh(model).fit(X, weights=weights)
    # What the mask hides may be anything.
    junk = torch.asarray(np.where(mask, X, np.resize([-1.0, np.inf, -np.inf, np.nan], X.shape)))
    for m, w in (
        (torch.asarray(mask), torch.asarray(weights)),
        (mask.astype(int).tolist(), weights.tolist()),
        (torch.asarray(mask.astype(np.uint8)), weights.astype(np.float32)),
    ):
        fitted = fresh(model).fit(junk, mask=m, weights=w)
        same(fitted.components_, expected.components_)
        same(fitted.transform(junk, mask=m, weights=w), expected.transform(X, weights=weights))
        same(fitted.complete(junk, mask=m, weights=w), expected.complete(X, weights=weights))
    # And the other way: tensors beside a NumPy array.
    same(fresh(model).fit(to_numpy(junk), mask=torch.asarray(mask), weights=torch.asarray(weights)).components_,
         expected.components_)  # fmt: skip


@models
def test_a_model_serves_both_libraries(torch, model, planted):
    X, T = planted[1], torch.asarray(planted[1].copy())
    plain, fitted = fresh(model).fit(X), fresh(model).fit(T)
    assert isinstance(fitted.transform(X), np.ndarray)
    assert is_tensor(plain.transform(T))
    same(fitted.transform(X), plain.transform(X))
    same(plain.complete(T), plain.complete(X))
    same(plain.inverse_transform(torch.ones((1, 2))), plain.inverse_transform(np.ones((1, 2))))


@models
def test_models_of_tensors_can_be_kept(torch, model, planted, tmp_path):
    T = torch.asarray(planted[1].copy())
    fitted = fresh(model).fit(T)
    again = pickle.loads(pickle.dumps(fitted))
    assert is_tensor(again.components_)
    save(fitted, tmp_path / "model.advnmf")
    loaded = load(tmp_path / "model.advnmf")
    assert isinstance(loaded.components_, np.ndarray)
    for other in (again, loaded):
        np.testing.assert_array_equal(to_numpy(other.transform(T)), to_numpy(fitted.transform(T)))
        assert is_tensor(other.transform(T))


@pytest.mark.parametrize("solver", ["mu", "hals"])
def test_other_tensors_are_converted(torch, solver, planted):
    whole = np.rint(planted[0])
    expected = NMF(2, solver=solver, random_state=0, max_iter=20).fit(whole).components_
    for dtype in (torch.int32, torch.uint8, torch.float16, torch.bfloat16):
        fitted = NMF(2, solver=solver, random_state=0, max_iter=20).fit(torch.asarray(whole).to(dtype))
        assert fitted.components_.dtype == torch.float64
        if dtype != torch.bfloat16:  # that one rounds
            same(fitted.components_, expected)
    # A tensor with gradients is one without; one of other strides is read as it stands.
    leaf = torch.asarray(whole.copy()).requires_grad_()
    fitted = NMF(2, solver=solver, random_state=0, max_iter=20).fit(leaf * 1.0)
    assert not fitted.components_.requires_grad
    assert not fitted.complete(leaf).requires_grad
    same(fitted.components_, expected)
    same(NMF(2, solver=solver, random_state=0, max_iter=20).fit(torch.asarray(whole.T.copy()).T).components_, expected)
    same(
        NMF(2, solver=solver, random_state=0, max_iter=20).fit(torch.nn.Parameter(leaf.detach())).components_, expected
    )


@pytest.mark.parametrize("solver", ["mu", "hals"])
def test_a_start_of_ones_own(torch, solver, planted):
    X = planted[0]
    rng = np.random.default_rng(0)
    start = [rng.random((40, 2)), rng.random((2, 12))]
    before = [F.copy() for F in start]
    plain = NMF(2, solver=solver, init="custom", max_iter=5).fit(X, factors=start)
    for given in (start, [torch.asarray(F) for F in start]):
        same(NMF(2, solver=solver, init="custom", max_iter=5).fit(torch.asarray(X.copy()), factors=given).components_,
             plain.components_)  # fmt: skip
    for F, G in zip(start, before, strict=True):
        np.testing.assert_array_equal(F, G)
    with pytest.raises(ValueError, match="F_1 has negative or non-finite"):
        NMF(2, solver=solver, init="custom").fit(torch.asarray(X.copy()), factors=[-start[0], start[1]])


def test_read_only_and_reversed_arrays_reach_tensors(torch):
    like = torch.zeros((2, 2))
    x = np.arange(4.0)[::-1]
    x.flags.writeable = False
    np.testing.assert_array_equal(as_like(x, like).numpy(), x)


# --- refusals ----------------------------------------------------------------------------------------------------

BAD = [
    (lambda torch: -torch.ones((3, 3)), "Negative values in data passed to X: -1.0 at row 0, column 0"),
    (lambda torch: torch.full((3, 3), float("inf")), "infinity: inf at row 0, column 0"),
    (lambda torch: torch.full((3, 3), float("nan")), "no observed entry"),
    (lambda torch: torch.ones(3), r"shape \(3,\): give one of shape \(n_samples, n_features\)"),
    (lambda torch: torch.ones((0, 3)), "not empty"),
    (lambda torch: torch.ones((3, 3), dtype=torch.complex64), "Complex data not supported"),
    (lambda torch: torch.full((3, 3), 1e-30), "rescale X"),
]


@pytest.mark.parametrize("solver", ["mu", "hals"])
@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_tensors_are_refused(torch, solver, make, message):
    with pytest.raises(ValueError, match=message):
        NMF(2, solver=solver).fit(make(torch))


def test_bad_company_is_refused(torch):
    X = torch.ones((4, 3))
    model = NMF(1, solver="mu")
    with pytest.raises(ValueError, match=r"mask has shape \(4, 2\), X has \(4, 3\)"):
        model.fit(X, mask=torch.ones((4, 2)))
    with pytest.raises(ValueError, match=r"mask holds .*2.* at row 0, column 0"):
        model.fit(X, mask=2 * torch.ones((4, 3)))
    with pytest.raises(ValueError, match="do not fit X of shape"):
        model.fit(X, weights=torch.ones((4, 2)))
    with pytest.raises(ValueError, match="weights holds -1"):
        model.fit(X, weights=-torch.ones((4, 3)))
    model.fit(X)
    with pytest.raises(ValueError, match="2 features"):
        model.transform(torch.ones((4, 2)))
    with pytest.raises(ValueError, match="a code has 1 entries"):
        model.inverse_transform(torch.ones((4, 2)))
    with pytest.raises(ValueError, match="codes must be finite"):
        model.inverse_transform(torch.full((4, 1), float("nan")))


@pytest.mark.parametrize("model", [HQASD(1), ANMF(1), NMFImputer()], ids=repr)
def test_models_that_know_numpy_alone_say_so(torch, model):
    with pytest.raises(TypeError, match=f"{type(model).__name__} takes no tensors"):
        model.fit(torch.ones((4, 3)))


def test_sparse_tensors_are_refused(torch):
    with pytest.raises(TypeError, match="to_dense"):
        NMF(1, solver="mu").fit(torch.eye(3).to_sparse())


def test_hals_is_refused_off_the_cpu(torch):
    # A device without memory behind it stands for an accelerator.
    with pytest.raises(ValueError, match=r"device meta.*set solver='mu'"):
        NMF(1).fit(torch.ones((3, 3), device="meta"))


def test_without_array_api_compat_the_extra_is_named(torch, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_api_compat", None)
    with pytest.raises(ImportError, match=r"advnmf\[torch\]"):
        NMF(1, solver="mu").fit(torch.ones((3, 3)))
    NMF(1, solver="mu").fit(np.ones((3, 3)))


def test_gaps_are_told_as_for_numpy(torch, planted):
    X = planted[1].copy()
    X[4], X[:, 2] = np.nan, np.nan
    told = []
    for given in (X, torch.asarray(X)):
        with pytest.warns(DataWarning) as caught:
            NMF(2, solver="mu", random_state=0, max_iter=1000).fit(given)
        told.append([str(w.message) for w in caught])
    assert told[0] == told[1]
    assert len(told[0]) == 2


def test_blocks_are_larger_off_the_cpu(torch):
    assert CompleteTensor(torch.ones((2, 2))).block_entries == ObservedData.block_entries
    assert CompleteTensor(torch.ones((2, 2), device="meta")).block_entries > ObservedData.block_entries
