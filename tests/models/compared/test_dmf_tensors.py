"""DMF on arrays of other libraries: NumPy's numbers, in the namespace, on the device and in the precision given."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from advnmf import DMF, DataWarning, load, save
from advnmf.arrays.namespaces import is_tensor, to_numpy
from advnmf.data import array_data
from advnmf.models.compared.irprop import IRprop
from advnmf.models.compared.network import latent_gradient, random_network, sample_losses, value_and_gradients

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Signs of gradients decide the way: rounding may turn one near zero, so the fits are short.
MODELS = [
    DMF(2, (5,)),
    DMF(2, (5, 4), activation=("logistic", "tanh"), keep="last"),
    DMF(3, (4,), activation="identity", n_init=2, alpha_latent=0.0),
]
models = pytest.mark.parametrize("model", [m.set_params(max_iter=8, random_state=0) for m in MODELS], ids=repr)


def fresh(model):
    return type(model)(**model.get_params(deep=False))


def same(x, y, rtol=1e-7):
    np.testing.assert_allclose(to_numpy(x), to_numpy(y), rtol=rtol, atol=1e-9)


@pytest.fixture
def holes(planted):
    """Data of either sign, with holes."""
    return planted[1] - 1.0


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_gradients_and_steps_agree(library, weighted):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((6, 7))
    omega = (rng.uniform(size=X.shape) < 0.7) * (rng.uniform(0.5, 2, X.shape) if weighted else np.uint8(1))
    nets = [random_network((2, 4, 3, 7), ("tanh", "logistic"), np.random.RandomState(1))]
    nets.append(nets[0].copy().mapped(library.asarray))
    Z = rng.standard_normal((6, 2))
    found = []
    for data, net, z in (
        (array_data(X, omega), nets[0], Z.copy()),
        (array_data(library.asarray(X), library.asarray(omega.astype(float))), nets[1], library.asarray(Z.copy())),
    ):
        rprop, values = IRprop([*net.parameters, z]), []
        for _ in range(4):
            f, gradients, G = value_and_gradients(data, net, z, 0.3, 0.2, 5)
            rprop.move([*net.parameters, z], [*gradients, G], f)
            values.append(f)
        losses, D, A = sample_losses(data, net, z, 0.2)
        found.append([values, *net.parameters, z, losses, latent_gradient(net, z, A, D, 0.2)])
    for ours, theirs in zip(*found, strict=True):
        same(theirs, ours, rtol=1e-9)


@models
def test_a_tensor_in_is_a_tensor_out(library, model, holes):
    T = library.asarray(holes.copy())
    plain, fitted = fresh(model).fit(holes), fresh(model).fit(T)
    results = [
        *zip(fitted.coefs_, plain.coefs_, strict=True),
        *zip(fitted.intercepts_, plain.intercepts_, strict=True),
        (fitted.latent_, plain.latent_),
        (fitted.mean_code_, plain.mean_code_),
        (fitted.transform(T), plain.transform(holes)),
        (fresh(model).fit_transform(T), fresh(model).fit_transform(holes)),
        (fitted.complete(T), plain.complete(holes)),
        (fresh(model).fit_complete(T), fresh(model).fit_complete(holes)),
        (fitted.inverse_transform(fitted.latent_), plain.inverse_transform(plain.latent_)),
        (fitted.reconstruct(), plain.reconstruct()),
        (fitted.reconstruct(slice(3, 9), slice(4)), plain.reconstruct(slice(3, 9), slice(4))),
    ]
    for ours, theirs in results:
        assert type(ours) is type(T)
        assert ours.dtype == T.dtype
        same(ours, theirs)
    np.testing.assert_array_equal(to_numpy(T), holes)  # input is left alone
    same(fitted.loss_curve_, plain.loss_curve_)
    assert fitted.reconstruction_err_ == pytest.approx(plain.reconstruction_err_)
    assert fitted.score(T) == pytest.approx(plain.score(holes))
    seen = ~np.isnan(holes)
    np.testing.assert_array_equal(to_numpy(fitted.complete(T))[seen], holes[seen])


def test_nothing_leaves_the_device(array_api_strict):
    # Arrays of this device refuse others, and NumPy.
    device = array_api_strict.Device("device1")
    X = np.random.default_rng(0).standard_normal((12, 6))
    T = array_api_strict.asarray(X, device=device)
    plain, fitted = (DMF(2, (4,), max_iter=25, random_state=0).fit(data) for data in (X, T))
    codes = fitted.transform(T)
    results = codes, fitted.complete(T), fitted.reconstruct(), fitted.inverse_transform(codes), *fitted.coefs_
    assert {a.device for a in results} == {device}
    same(fitted.loss_curve_, plain.loss_curve_)
    assert fitted.score(T) == pytest.approx(plain.score(X))


@models
def test_rows_and_columns_with_nothing_observed(library, model, holes):
    X = holes.copy()
    X[4], X[:, 7] = np.nan, np.nan
    with pytest.warns(DataWarning, match="no observed entry"):
        plain, fitted = fresh(model).fit(X), fresh(model).fit(library.asarray(X.copy()))
    same(fitted.reconstruct(), plain.reconstruct())
    with pytest.warns(DataWarning, match="1 rows of X"):
        same(fitted.transform(library.asarray(X[3:6, :].copy())), plain.transform(X[3:6]))


@models
def test_float32_tensors_stay_so(torch, model, holes):
    X = holes.astype(np.float32)
    T = torch.asarray(X.copy())
    plain, fitted = fresh(model).set_params(max_iter=8).fit(X), fresh(model).set_params(max_iter=8).fit(T)
    assert {a.dtype for a in (*fitted.coefs_, *fitted.intercepts_, fitted.latent_)} == {torch.float32}
    assert fitted.transform(T).dtype == fitted.complete(T).dtype == fitted.reconstruct().dtype == torch.float32
    assert fitted.transform(T.to(torch.float64)).dtype == torch.float64
    same(fitted.loss_curve_, plain.loss_curve_, rtol=1e-3)


@models
def test_mask_and_weights_of_any_library(torch, model, holes):
    mask = ~np.isnan(holes)
    weights = 1.0 + (np.arange(holes.shape[1]) % 3)[None, :]
    # What the mask hides may be anything.
    junk = torch.asarray(np.where(mask, holes, np.resize([np.inf, -np.inf, np.nan, 7.0], holes.shape)))
    expected = fresh(model).fit(holes)
    for m in (torch.asarray(mask), mask.astype(int).tolist()):
        fitted = fresh(model).fit(junk, mask=m)
        assert is_tensor(fitted.latent_)
        same(fitted.latent_, expected.latent_)
        same(fitted.transform(junk, mask=m), expected.transform(holes))
        same(fitted.complete(junk, mask=m), expected.complete(holes))
    expected = fresh(model).fit(holes, weights=weights)
    fitted = fresh(model).fit(junk, mask=torch.asarray(mask), weights=torch.asarray(weights))
    same(fitted.latent_, expected.latent_)
    # And the other way: a tensor as mask of a NumPy array.
    same(fresh(model).fit(to_numpy(junk), mask=torch.asarray(mask), weights=weights).latent_, expected.latent_)


@models
def test_a_model_serves_both_libraries(torch, model, holes):
    T = torch.asarray(holes.copy())
    plain, fitted = fresh(model).fit(holes), fresh(model).fit(T)
    assert isinstance(fitted.transform(holes), np.ndarray)
    assert is_tensor(plain.transform(T))
    same(fitted.transform(holes), plain.transform(holes))
    same(plain.complete(T), plain.complete(holes))
    codes = np.ones((1, model.n_components))
    same(plain.inverse_transform(torch.asarray(codes)), plain.inverse_transform(codes))


@models
def test_models_of_tensors_can_be_kept(torch, model, holes, tmp_path):
    T = torch.asarray(holes.copy())
    fitted = fresh(model).fit(T)
    again = pickle.loads(pickle.dumps(fitted))
    assert is_tensor(again.latent_)
    save(fitted, tmp_path / "model.advnmf")
    loaded = load(tmp_path / "model.advnmf")
    assert isinstance(loaded.latent_, np.ndarray)
    for other in (again, loaded):
        np.testing.assert_array_equal(to_numpy(other.transform(T)), to_numpy(fitted.transform(T)))
        assert is_tensor(other.transform(T))


def test_codes_of_tensors_do_not_depend_on_the_batch(torch, holes):
    T = torch.asarray(holes.copy())
    model = DMF(2, (5,), max_iter=200, random_state=0).fit(T)
    together = model.transform(T)
    for i in (0, 13, 39):
        np.testing.assert_allclose(model.transform(T[i : i + 1, :])[0], together[i], rtol=1e-6, atol=1e-8)


def test_gradients_are_not_kept(torch, holes):
    leaf = torch.asarray(holes.copy()).requires_grad_()
    model = DMF(2, (5,), max_iter=5, random_state=0).fit(leaf * 1.0)
    assert not any(a.requires_grad for a in (*model.coefs_, model.latent_, model.complete(leaf)))


def test_bad_tensors_are_refused(torch):
    with pytest.raises(ValueError, match="infinity: inf at row 0, column 0"):
        DMF().fit(torch.full((3, 3), float("inf")))
    with pytest.raises(ValueError, match="no observed entry"):
        DMF().fit(torch.full((3, 3), float("nan")))
    with pytest.raises(ValueError, match="a code has 2 entries"):
        DMF(max_iter=2).fit(torch.eye(4)).inverse_transform(torch.ones((1, 3)))
