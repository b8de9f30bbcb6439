"""What the losses refuse, and how they turn into each other."""

from __future__ import annotations

import numpy as np
import pytest

from advnmf.losses import L21, Correntropy, Elastic, Frobenius, get_loss

X = np.geomspace(1e-3, 1e3, 50)


def test_elastic_turns_into_squares_and_into_l21():
    np.testing.assert_allclose(Elastic(1e12).rho(X), Frobenius().rho(X), rtol=1e-8)
    np.testing.assert_allclose(Elastic(1e-12).rho(X), L21().rho(X), rtol=1e-8)
    assert np.isfinite(Elastic(1e300).weight(X)).all()


def test_elastic_weights_are_equation_18():
    delta = 2.0
    np.testing.assert_allclose(Elastic(delta).weight(X), (1 + delta) * (2 * delta + X) / (2 * (delta + X) ** 2))


@pytest.mark.parametrize("delta", [-1.0, float("nan")])
def test_negative_delta_is_refused(delta):
    with pytest.raises(ValueError, match="delta="):
        Elastic(delta)


@pytest.mark.parametrize("floor", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_floor_is_refused(floor):
    with pytest.raises(ValueError, match="floor="):
        L21(floor)


@pytest.mark.parametrize("bad", [{"sigma": 0.0}, {"sigma": "mad"}, {"eta": -1.0}, {"sigma_min": 0.0}, {"eta": np.inf}])
def test_bad_widths_are_refused(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))}="):
        Correntropy(**bad)


def test_wide_correntropy_is_squares():
    np.testing.assert_allclose(Correntropy(1e9).rho(X), Frobenius().rho(X), rtol=1e-6)
    np.testing.assert_array_equal(Correntropy(np.inf).rho(X), X**2)


@pytest.mark.parametrize("name", ["huber", None, 3])
def test_unknown_loss_lists_the_known(name):
    with pytest.raises(ValueError, match="'frobenius', 'l21', 'elastic', 'correntropy'"):
        get_loss(name)
