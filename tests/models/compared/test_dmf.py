"""DMF: gradients, iRprop+, what is kept, recovery."""

from __future__ import annotations

import numpy as np
import pytest

from advnmf import DMF
from advnmf.data import array_data
from advnmf.models.compared.dmf import Descent, latent_codes, nearest_codes
from advnmf.models.compared.irprop import IRprop
from advnmf.models.compared.network import (
    ACTIVATIONS,
    Network,
    latent_gradient,
    predict,
    random_network,
    sample_losses,
    value_and_gradients,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def random_problem(activations, sizes=(2, 4, 3, 7), weighted=True):
    rng = np.random.RandomState(0)
    net = random_network(sizes, activations, rng)
    X, Z = rng.standard_normal((6, sizes[-1])), rng.standard_normal((6, sizes[0]))
    omega = (rng.uniform(size=X.shape) < 0.7) * (rng.uniform(0.5, 2, X.shape) if weighted else np.uint8(1))
    return array_data(X, omega), net, Z


def differences(value, arrays, h=1e-6):
    """Central differences of a function without arguments with respect to arrays that it reads."""
    gradients = []
    for a in arrays:
        g = np.zeros_like(a)
        for index in np.ndindex(a.shape):
            old = a[index]
            a[index] = old + h
            up = value()
            a[index] = old - h
            g[index] = (up - value()) / (2 * h)
            a[index] = old
        gradients.append(g)
    return gradients


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_against_finite_differences(name, weighted):
    data, net, Z = random_problem((name, "tanh"), weighted=weighted)
    _, gradients, G = value_and_gradients(data, net, Z, 0.3, 0.2, 5)
    expected = differences(lambda: value_and_gradients(data, net, Z, 0.3, 0.2, 5)[0], [*net.parameters, Z])
    for g, e in zip([*gradients, G], expected, strict=True):
        np.testing.assert_allclose(g, e, atol=1e-7)


def test_latent_gradient_against_finite_differences():
    data, net, Z = random_problem(("tanh", "logistic"))
    losses, D, A = sample_losses(data, net, Z, 0.2)
    (expected,) = differences(lambda: sample_losses(data, net, Z, 0.2)[0].sum(), [Z])
    np.testing.assert_allclose(latent_gradient(net, Z, A, D, 0.2), expected, atol=1e-7)
    assert losses[3] == pytest.approx(
        0.5 * np.sum(data.omega[3] * (data.values[3] - predict(net, Z)[3]) ** 2) + 0.1 * np.sum(Z[3] ** 2)
    )


def test_activations():
    x = np.linspace(-3, 3, 13)
    expected = {"tanh": 1.7159 * np.tanh(2 * x / 3), "logistic": 1 / (1 + np.exp(-x)), "identity": x}
    for name, activation in ACTIVATIONS.items():
        np.testing.assert_allclose(activation.value(x), expected[name])


def test_objective_is_as_published():
    data, net, Z = random_problem(("tanh", "tanh"), weighted=False)
    f = value_and_gradients(data, net, Z, 0.3, 0.2, 6)[0]
    E = data.omega * (data.values - predict(net, Z))
    squares = sum(np.sum(W**2) for W in net.coefs)
    assert f == pytest.approx(np.sum(E**2) / 12 + 0.15 * squares + 0.2 / 12 * np.sum(Z**2))


def irprop_by_coordinates(f, x, n_steps):
    """The rule, one coordinate after the other."""
    path = [list(x)]
    step, stored, move, last = [0.0123] * len(x), [0.0] * len(x), [0.0] * len(x), np.inf
    backtracked = 0
    for _ in range(n_steps):
        value, g = f(np.array(x))
        for k in range(len(x)):
            agreement = g[k] * stored[k]
            if agreement < 0:
                step[k] *= 0.5
                backtracked += value > last
                move[k] = -move[k] if value > last else 0.0
                stored[k] = 0.0
            else:
                step[k] = min(1.2 * step[k], 50.0) if agreement > 0 else step[k]
                move[k] = -np.sign(g[k]) * step[k]
                stored[k] = g[k]
            x[k] += move[k]
        last = value
        path.append(list(x))
    return np.array(path), backtracked


def rosenbrock(x):
    a, b = x
    return (1 - a) ** 2 + 100 * (b - a * a) ** 2, np.array([-2 * (1 - a) - 400 * a * (b - a * a), 200 * (b - a * a)])


def test_irprop_follows_its_rule():
    expected, backtracked = irprop_by_coordinates(rosenbrock, [-1.2, 1.0], 200)
    assert backtracked > 5
    xs = [np.array([[-1.2], [1.0]])]
    rprop = IRprop(xs)
    for point in expected[1:]:
        value, g = rosenbrock(xs[0][:, 0])
        rprop.move(xs, [g[:, None]], value)
        np.testing.assert_array_equal(xs[0][:, 0], point)


def test_irprop_by_rows_treats_each_row_alone():
    starts = np.array([[-1.2, 1.0], [2.0, -1.0], [0.5, 0.5]])
    xs = [starts.copy()]
    rprop = IRprop(xs)
    for _ in range(100):
        values, gradients = zip(*map(rosenbrock, xs[0]), strict=True)
        rprop.move(xs, [np.array(gradients)], np.array(values)[:, None])
    for row, start in zip(xs[0], starts, strict=True):
        np.testing.assert_array_equal(row, irprop_by_coordinates(rosenbrock, list(start), 100)[0][-1])


def test_best_iterate_or_last():
    rng = np.random.default_rng(0)
    X = 30 * rng.standard_normal((20, 8))
    mask = rng.random(X.shape) > 0.3
    whole = DMF(2, (4,), unit=1.0, max_iter=300, tol=0, random_state=0).fit(X, mask=mask).loss_curve_
    rise = int(np.argmax(np.diff(whole) > 0)) + 1  # the fit ends just after f has risen
    assert whole[rise] > whole[rise - 1]
    fits = {keep: DMF(2, (4,), unit=1.0, keep=keep, max_iter=rise, tol=0, random_state=0) for keep in ("best", "last")}
    curve = fits["last"].fit(X, mask=mask).loss_curve_
    np.testing.assert_array_equal(fits["best"].fit(X, mask=mask).loss_curve_, curve)
    assert curve.min() < curve[-1]
    for keep, reached in (("best", curve.min()), ("last", curve[-1])):
        fit = fits[keep]
        net = Network(fit.coefs_, fit.intercepts_, fit.activations_)
        data = array_data(np.where(mask, X, 0), mask.view(np.uint8))
        f = value_and_gradients(data, net, fit.latent_, 0.01, 0.01, 20)[0]
        assert f == pytest.approx(reached, rel=1e-12)


def test_starts_are_as_published():
    net = random_network((2, 10, 20), ("tanh",), np.random.RandomState(0))
    for W, b, bound in zip(net.coefs, net.intercepts, (4 * np.sqrt(6 / 12), 4 * np.sqrt(6 / 30)), strict=True):
        drawn = np.abs(np.append(W.ravel(), b))
        assert 0.8 * bound < drawn.max() < bound
    descent = Descent(array_data(np.ones((5, 20))), net, 0.0, 0.0, 0.0)
    assert not descent.Z.any()


def test_planted_affine_matrix_is_recovered():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2)) @ rng.standard_normal((2, 20)) + 5 * rng.standard_normal(20)
    mask = rng.random(X.shape) > 0.3
    model = DMF(2, (4,), activation="identity", alpha_weights=1e-6, alpha_latent=1e-6, max_iter=2000, random_state=0)
    P = model.fit(X, mask=mask).reconstruct()
    assert np.linalg.norm((P - X)[~mask]) < 0.02 * np.linalg.norm(X[~mask])


def polynomial(seed):
    """The toy of the paper: 100 samples of 20 cubic functions of 2 variables, half of each sample missing."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (2, 100))
    X = sum(rng.standard_normal((20, 2)) @ x**power for power in (1, 2, 3)).T
    return X, np.argsort(rng.random(X.shape), axis=1) < 10


def relative_errors(seeds):
    for seed in seeds:
        X, mask = polynomial(seed)
        P = DMF(2, (10,), random_state=seed).fit(X, mask=mask).reconstruct()
        yield np.linalg.norm((P - X)[~mask]) / np.linalg.norm(X[~mask])


def test_what_is_not_linear_is_completed():
    assert np.median(list(relative_errors(range(3)))) < 0.15


@pytest.mark.slow
def test_polynomial_toy_over_twenty_seeds():
    errors = list(relative_errors(range(20)))
    assert np.median(errors) < 0.1
    assert np.mean(errors) < 0.13


def test_codes_of_training_rows_are_found_again():
    X, mask = polynomial(0)
    model = DMF(2, (10,), random_state=0).fit(X, mask=mask)
    train = np.sqrt(np.mean((model.reconstruct() - X)[mask] ** 2))
    assert -model.score(X, mask=mask) < 1.2 * train


def test_codes_do_not_depend_on_the_batch():
    X, mask = polynomial(1)
    model = DMF(2, (10,), random_state=0, max_iter=200).fit(X, mask=mask)
    data = array_data(np.where(mask, X, 0), mask.astype(np.uint8))
    net = Network(model.coefs_, model.intercepts_, model.activations_)
    together = latent_codes(data, net, nearest_codes(data, net, model.latent_), 0.01, 200, 1e-8, 1e-5)
    for i in (0, 13, 99):
        row = data.take(slice(i, i + 1))
        alone = latent_codes(row, net, nearest_codes(row, net, model.latent_), 0.01, 200, 1e-8, 1e-5)[0]
        np.testing.assert_allclose(alone, together[i], rtol=1e-6, atol=1e-8)


def test_reconstructions_are_cut_at_twice_what_was_observed():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((25, 5)) @ rng.standard_normal((5, 30))
    X[rng.random(X.shape) < 0.85] = np.nan
    parameters = {"activation": "identity", "alpha_weights": 0.0, "alpha_latent": 0.0, "max_iter": 300}
    free, cut = (DMF(6, (6,), finish=f, random_state=0, **parameters).fit(X) for f in (False, True))
    limit = 2 * np.nanmax(np.abs(X))
    assert np.abs(free.reconstruct()).max() > limit
    np.testing.assert_array_equal(cut.reconstruct(), np.clip(free.reconstruct(), -limit, limit))
