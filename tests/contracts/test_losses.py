"""The contract of every loss, over the table of losses."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from advnmf.data import array_data
from advnmf.losses import L21, LOSSES, Correntropy, Elastic, Frobenius, get_loss
from problems import LOSS_CASES, complete_data, random_data

pytestmark = pytest.mark.parametrize("loss", LOSS_CASES, ids=repr)


def prediction(rng, data):
    return rng.gamma(1.0, size=data.shape).astype(data.dtype)


def numeric_gradient(f, P, step=1e-6):
    G = np.zeros_like(P)
    for index in np.ndindex(*P.shape):
        up, down = P.copy(), P.copy()
        up[index] += step
        down[index] -= step
        G[index] = (f(up) - f(down)) / (2 * step)
    return G


@pytest.mark.parametrize("weights", [False, True])
def test_gradient_parts_against_finite_differences(loss, weights):
    rng = np.random.default_rng(0)
    data = random_data(rng, weights=weights)
    P = prediction(rng, data)
    N, Q = loss.gradient_parts(data, P)
    assert (N >= 0).all()
    assert (Q >= 0).all()
    np.testing.assert_allclose(data.weighted(Q - N), numeric_gradient(lambda Y: loss.value(data, Y), P), atol=2e-6)


def test_junk_in_missing_entries_changes_nothing(loss):
    rng = np.random.default_rng(1)
    data = random_data(rng)
    P = prediction(rng, data)
    junk = np.where(data.omega > 0, P, 1e6)
    assert loss.value(data, P) == loss.value(data, junk)
    for part, other in zip(loss.gradient_parts(data, P), loss.gradient_parts(data, junk), strict=True):
        np.testing.assert_array_equal(data.weighted(part), data.weighted(other))


def test_mask_of_ones_is_the_plain_formula(loss):
    rng = np.random.default_rng(2)
    data = complete_data(rng)
    masked = array_data(data.values, np.ones(data.shape, np.uint8))
    P = prediction(rng, data)
    E = data.values - P
    x = np.linalg.norm(E, axis=1)
    formulas = {
        Frobenius: lambda: x**2,
        L21: lambda: x,
        Elastic: lambda: (
            x if loss.delta == 0 else x**2 if np.isinf(loss.delta) else (1 + loss.delta) * x**2 / (loss.delta + x)
        ),
        Correntropy: lambda: 2 * loss.sigma**2 * (1 - np.exp(-(E**2) / (2 * loss.sigma**2))),
    }
    assert x.min() > 0.5  # above every floor, so that the formulas hold as they stand
    assert loss.value(data, P) == pytest.approx(formulas[type(loss)]().sum(), rel=1e-12)
    assert loss.value(masked, P) == pytest.approx(loss.value(data, P), rel=1e-12)


def test_weights_are_those_of_a_touching_quadratic(loss):
    # rho(y) <= rho(x) + D(x) (y^2 - x^2): what makes every weighted least-squares step a descent step.
    x = np.geomspace(1e-6, 1e3, 200)
    x, y = np.meshgrid(x, np.append(0, x))
    gap = loss.rho(x) + loss.weight(x) * (y**2 - x**2) - loss.rho(y)
    assert (gap >= -1e-9 * (loss.rho(x) + loss.rho(y))).all()


def test_weights_fall_from_their_largest(loss):
    D = loss.weight(np.linspace(0, 10, 1000))
    assert (D > 0).all()
    assert (np.diff(D) <= 0).all()
    assert D[0] == loss.max_weight
    assert loss.constant_weight == (D[0] == D[-1])


def test_dtype_is_kept(loss):
    rng = np.random.default_rng(3)
    data = random_data(rng, dtype=np.float32)
    N, Q = loss.gradient_parts(data, prediction(rng, data))
    assert N.dtype == Q.dtype == np.float32


def test_pickle_and_equality(loss):
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert get_loss(loss) is loss


def test_entry_weights_are_repetitions(loss):
    # Weight 2 on a feature is that feature observed twice.
    rng = np.random.default_rng(4)
    data = complete_data(rng)
    P = prediction(rng, data)
    twice = array_data(np.hstack([data.values, data.values[:, :1]]))
    weights = np.ones(data.shape)
    weights[:, 0] = 2
    assert loss.value(array_data(data.values, weights), P) == pytest.approx(
        loss.value(twice, np.hstack([P, P[:, :1]])), rel=1e-12
    )


def test_table_lists_the_class(loss):
    assert LOSSES[loss.name] is type(loss)
    assert isinstance(get_loss(loss.name), type(loss))
