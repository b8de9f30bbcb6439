"""`docs/extending.md` is run, and what it writes keeps the contracts, in every estimator, in searches and in files."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import test_adversary_contract as of_adversaries
import test_loss_contract as of_losses
import test_solver_contract as of_solvers
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from advnmf import ADNMF, ATNMF, NMF, DeepNMF, FrobeniusPenalty, NMFImputer, load, save
from advnmf.losses import Frobenius
from advnmf.model_selection import CompletionSearchCV
from cases import ADVERSARY_CASES, LOSS_CASES, AdversaryCase, LossCase

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="there are no pages beside these tests")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What the page defines."""
    names: dict[str, object] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        for number, block in enumerate(blocks, 1):
            exec(compile(block, f"extending.md, block {number}", "exec", dont_inherit=True), names)
    assert (names["again"].transform(names["X"]) == names["model"].transform(names["X"])).all()
    return names


@pytest.fixture(scope="module")
def kinds(page):
    """Classes as a module would have them, so that they can be pickled."""
    for name in ("Huber", "KullbackLeibler", "Box", "ProjectedGradient"):
        page[name].__module__ = __name__
        globals()[name] = page[name]
    return page


def huber(delta):
    def value(X, P, omega):
        x = np.abs(X - P)
        return float((omega * np.where(x <= delta, x**2, 2 * delta * x - delta**2)).sum())

    return value


def kullback_leibler(X, P, omega):
    P = np.maximum(P, 1e-150)
    logs = np.log(np.where(X > 0, X, 1) / P)
    return float((omega * (X * logs - X + P)).sum())


def huber_case(page):
    return LossCase(page["Huber"](0.7), huber(0.7))


def divergence_case(page):
    return LossCase(page["KullbackLeibler"](), kullback_leibler)


def box_case(page):
    def nearest(U, X, omega):
        return np.where(omega > 0, np.clip(U, np.maximum(X - 0.3, 0), X + 0.3), X)

    return AdversaryCase(page["Box"](0.3), lambda R, omega: 0.0, nearest)


OF_HALF_QUADRATIC = [
    "test_weights_are_those_of_a_touching_quadratic",
    "test_weights_fall_from_their_largest",
    "test_a_loss_of_some_width_is_one_of_width_1_in_other_units",
    "test_posing_makes_a_loss_of_the_unit_of_the_data",
    "test_weights_beyond_the_precision_are_refused",
]

# Tensors are for losses that take their functions from the namespace.
STORAGES = [storage for storage in of_losses.STORAGES if "tensor" not in storage]


def run(module, monkeypatch, **arguments):
    """The contract tests of a module that take these arguments."""
    monkeypatch.setattr(module, "STORAGES", STORAGES)
    ran = 0
    for name, test in vars(module).items():
        if name.startswith("test_") and {*test.__code__.co_varnames[: test.__code__.co_argcount]} == {*arguments}:
            test(**arguments)
            ran += 1
    assert ran


@pytest.mark.parametrize("case", [huber_case, divergence_case], ids=["half-quadratic", "divergence"])
def test_losses_of_the_page_keep_the_contract(case, page, monkeypatch):
    if not case(page).loss.half_quadratic:
        for name in OF_HALF_QUADRATIC:
            monkeypatch.delattr(of_losses, name)
    run(of_losses, monkeypatch, case=case(page))
    for storage in ("mask", "weights"):
        of_losses.test_missing_entries_have_no_influence(case(page), storage)


def test_a_loss_of_half_its_weight_does_not(page, monkeypatch):
    class Wrong(page["Huber"]):
        def weight(self, x):
            return super().weight(x) / 2

    for test in (
        of_losses.test_gradient_parts_are_the_derivative_of_the_formula,
        of_losses.test_weights_are_those_of_a_touching_quadratic,
    ):
        monkeypatch.setattr(of_losses, "STORAGES", STORAGES)
        with pytest.raises(AssertionError):
            test(LossCase(Wrong(0.7), huber(0.7)))


def test_the_adversary_of_the_page_keeps_the_contract(page, monkeypatch):
    attacks = of_adversaries.attacks
    monkeypatch.setattr(
        of_adversaries, "attacks", lambda loss, adversary, storages=STORAGES: attacks(loss, adversary, storages)
    )
    monkeypatch.delattr(of_adversaries, "test_weights_that_are_kept_stay_a_bound")
    for cases in (LOSS_CASES.values(), [[huber_case(page)]]):
        for case in cases:
            run(of_adversaries, monkeypatch, loss=case[0] if isinstance(case, list) else case, adversary=box_case(page))


def test_every_solver_that_takes_them_descends(page, monkeypatch):
    monkeypatch.setattr(of_solvers, "STORAGES", STORAGES)
    none = next(iter(ADVERSARY_CASES.values()))[0]
    price = ADVERSARY_CASES[FrobeniusPenalty][1]
    solvers = [*of_solvers.KNOWN, page["ProjectedGradient"]()]
    for solver in solvers:
        for adversary in (none, price, box_case(page)):
            of_solvers.test_no_sweep_raises_the_objective(solver, huber_case(page), adversary)
    for solver in of_solvers.KNOWN[1:]:
        of_solvers.test_no_sweep_raises_the_objective(solver, divergence_case(page), none)
    for loss in (LOSS_CASES[Frobenius][0], huber_case(page)):
        of_solvers.test_no_sweep_raises_the_objective(page["ProjectedGradient"](), loss, price)


def test_a_divergence_ends_where_nothing_can_be_gained(page):
    of_solvers.test_sweeps_end_where_nothing_can_be_gained(of_solvers.MU(), divergence_case(page), "weights", (2,))


def test_kullback_leibler_is_scikit_learns_on_complete_data(page):
    from sklearn.decomposition import NMF as Reference

    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(1.0, size=(30, 3)) @ rng.gamma(2.0, size=(3, 12))).astype(float) + 0.1
    W, H = rng.gamma(1.0, size=(30, 3)), rng.gamma(1.0, size=(3, 12))
    peer = Reference(3, init="custom", solver="mu", beta_loss="kullback-leibler", max_iter=40, tol=0)
    W2 = peer.fit_transform(X, W=W.copy(), H=H.copy())
    ours = NMF(3, loss=page["KullbackLeibler"](), solver="mu", init="custom", max_iter=40, tol=0)
    ours.fit(X, factors=[W, H])
    np.testing.assert_allclose(ours.reconstruct(), W2 @ peer.components_, rtol=1e-6)


@pytest.mark.parametrize("storage", ["array", "absent"])
def test_a_divergence_sees_what_is_observed_alone(page, storage):
    rng = np.random.default_rng(0)
    truth = rng.gamma(1.0, size=(60, 3)) @ rng.gamma(2.0, size=(3, 20))
    X, seen = rng.poisson(20 * truth).astype(float), rng.random(truth.shape) > 0.3
    X = np.where(seen, X, np.nan) if storage == "array" else sparse.csr_array(seen * (X + 1e-3))
    model = NMF(
        3, loss=page["KullbackLeibler"](), solver="mu", sparse_missing="absent", max_iter=300, tol=0, random_state=0
    )
    assert (np.diff(model.fit(X).loss_curve_) <= 1e-10 * model.loss_curve_[:-1]).all()
    off = np.linalg.norm((model.reconstruct() - 20 * truth)[~seen]) / np.linalg.norm(20 * truth[~seen])
    assert off < 0.1
    np.testing.assert_allclose(model.transform(X), model.factors_[0], rtol=0.2, atol=0.2 * model.factors_[0].max())


def test_what_does_not_go_together_is_refused_in_one_line(page):
    X = np.ones((6, 5))
    divergence = page["KullbackLeibler"]()
    needs, plain = "needs a half-quadratic loss, which KullbackLeibler() is not", "such as 'frobenius'"
    refused = [
        ({"loss": divergence}, f"solver='hals' {needs}: set solver='mu'"),
        ({"loss": divergence, "solver": page["ProjectedGradient"]()}, f"solver='projected_gradient' {needs}"),
        (
            {"loss": divergence, "solver": "mu", "adversary": FrobeniusPenalty(2.0)},
            f"adversary=FrobeniusPenalty(lam=2.0) {needs}: set adversary=None, or a loss {plain}",
        ),
        ({"loss": divergence, "solver": "mu", "adversary": page["Box"]()}, f"adversary=Box(radius=0.1) {needs}"),
    ]
    for parameters, words in refused:
        calls = []
        model = NMF(2, **parameters, callback=calls.append)
        with pytest.raises(ValueError, match=re.escape(words)) as error:
            model.fit(X)
        assert "\n" not in str(error.value)
        assert not calls  # before any sweep
    with pytest.raises(ValueError, match="sparse_missing='absent'"):
        NMF(2, adversary=page["Box"]()).fit(sparse.csr_array(np.eye(6)))
    for parameters in ({"loss": object()}, {"adversary": "box"}, {"solver": page["ProjectedGradient"]}):
        with pytest.raises(ValueError, match="is unknown: give"):
            NMF(2, **parameters).fit(X)


def test_every_estimator_takes_them(kinds):
    X, Huber, Box = kinds["X"], kinds["Huber"], kinds["Box"]
    common = {"max_iter": 30, "tol": 0, "random_state": 0}
    models = [
        NMF(3, loss=Huber(0.5), adversary=Box(0.05), **common),
        NMF((6, 3), loss=Huber(0.5), adversary=Box(0.05), solver="mu", **common),
        ATNMF(3, solver=kinds["ProjectedGradient"](), **common),
        DeepNMF((6, 3), solver=kinds["ProjectedGradient"](), **common),
        ADNMF((6, 3), solver=kinds["ProjectedGradient"](), **common),
        NMF(3, loss=Huber(0.5), biases=True, **common),
        NMF(3, loss=kinds["FollowingHuber"](), penalty_W=kinds["Near"](), **common),
    ]
    for model in models:
        model.fit(X)
        assert model.loss_curve_[-1] < model.loss_curve_[0]
        assert np.isfinite(model.complete(X)).all()
        assert clone(model).fit(X).loss_curve_.tolist() == model.loss_curve_.tolist()
        assert isinstance(repr(model), str)
    attack = models[0].perturbation(X)
    assert np.nanmax(np.abs(attack)) == pytest.approx(0.05)
    assert models[-1].loss_.delta > 0
    again = pickle.loads(pickle.dumps(models[0]))
    np.testing.assert_array_equal(again.transform(X), models[0].transform(X))
    filled = NMFImputer(NMF(3, loss=Huber(0.5), **common)).fit_transform(X)
    assert np.isfinite(filled).all()


def test_searches_take_them(kinds):
    X, Huber = kinds["X"], kinds["Huber"]
    grid = {"loss": [Huber(0.2), Huber(2.0)], "n_components": [2, 4]}
    model = NMF(max_iter=30, tol=0, random_state=0)
    assert isinstance(GridSearchCV(model, grid, cv=2).fit(X).best_estimator_.loss_, Huber)
    assert isinstance(CompletionSearchCV(model, grid, random_state=0).fit(X).best_estimator_.loss_, Huber)
    solver = kinds["ProjectedGradient"]()
    search = CompletionSearchCV(
        ATNMF(3, solver=solver, max_iter=30, tol=0, random_state=0), {"lam": [1.5, 3.0]}, random_state=0
    )
    assert search.fit(X).best_estimator_.adversary_.lam == search.best_params_["lam"]


def test_files_hold_them_and_name_no_code(kinds, tmp_path):
    X, path = kinds["X"], tmp_path / "model"
    model = NMF(3, loss=kinds["Huber"](0.5), adversary=kinds["Box"](0.05), max_iter=20, tol=0, random_state=0).fit(X)
    save(model, path)
    for classes in ([], [kinds["Huber"]], [kinds["Box"]], [kinds["KullbackLeibler"], kinds["Box"]]):
        with pytest.raises(
            ValueError, match=r"is not part of advnmf: load\(\.\.\., classes=\[its class\]\) reads it"
        ) as error:
            load(path, classes=classes)
        assert "\n" not in str(error.value)
    again = load(path, classes=[kinds["Huber"], kinds["Box"]])
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    np.testing.assert_array_equal(again.perturbation(X), model.perturbation(X))

    class Plain(kinds["Huber"]):
        name = "plain"

    class Nameless(kinds["Huber"]):
        pass

    for wrong, words in ((Plain(), "@dataclass"), (Nameless(), "a name of its own")):
        with pytest.raises(TypeError, match=words):
            save(NMF(3, loss=wrong), path)
        with pytest.raises(TypeError, match=words):
            load(path, classes=[type(wrong)])
    with pytest.raises(TypeError, match="no class of"):
        load(path, classes=[int])
    taken = type("Taken", (kinds["Huber"],), {"name": "frobenius", "__dataclass_fields__": {}})
    with pytest.raises(TypeError, match="a name of its own"):
        load(path, classes=[taken])
