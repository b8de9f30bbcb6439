"""Real data under their released masks: test errors over entries that no fit has seen."""

from __future__ import annotations

import numpy as np
import pytest

from advnmf import ADNMF, EADNMF, NMF, Correntropy, DataWarning, datasets, metrics

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::advnmf.DataWarning"),  # two pixels of Moffet are dark in all bands
]


@pytest.fixture(scope="module")
def moffet(data_dir):
    """2500 pixels x 165 bands, and their masks by missing fraction."""
    data = datasets.fetch_moffet()
    return data.X, data.masks


def test_error(model, X, mask):
    """RMSE over the missing entries."""
    return metrics.rmse(X, model.fit(X, mask=mask).reconstruct(), mask=~mask)


test_error.__test__ = False


def test_moffet_three_in_ten_missing(moffet):
    X, masks = moffet
    assert test_error(NMF(12, max_iter=250, tol=1e-5, random_state=0), X, masks[0.3]) <= 0.0017


def test_moffet_nine_in_ten_missing(moffet):
    X, masks = moffet
    model = NMF(5, alpha_W=1e-5, max_iter=80, tol=1e-5, random_state=0)
    assert test_error(model, X, masks[0.9]) <= 0.0050


@pytest.mark.usefixtures("data_dir")
def test_synthetic_half_missing():
    data = datasets.fetch_synthetic()
    model = NMF(5, alpha_W=0.0, max_iter=1000, tol=1e-6, n_init=5, random_state=0)
    assert test_error(model, data.X, data.masks[0.5]) <= 0.02


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize(("model", "printed"), [(ADNMF, 0.0915), (EADNMF, 0.0824)])
def test_cbcl_half_missing_beats_what_was_printed(model, printed):
    # Layers and ridge were chosen on held-out observed entries; 60 sweeps reach 0.077.
    data = datasets.fetch_cbcl()
    model = model((150, 100), alpha_W=1e-3, max_iter=10, random_state=0)
    assert test_error(model, data.X.astype(np.float32), data.masks[0.5]) < printed


def test_correntropy_withstands_gross_outliers_on_moffet(moffet):
    X, mask = moffet[0], moffet[1][0.5]
    rng = np.random.default_rng(0)
    wrong = mask & (rng.random(X.shape) < 0.1)
    Y = np.where(wrong, 5 * X.max() * rng.random(X.shape), X)
    robust = NMF(3, loss=Correntropy(), max_iter=60, random_state=0).fit(Y, mask=mask)
    plain = NMF(3, max_iter=60, random_state=0).fit(Y, mask=mask)
    errors = [metrics.rmse(X, model.reconstruct(), mask=~mask) for model in (robust, plain)]
    assert errors[0] < errors[1] / 5


@pytest.mark.usefixtures("data_dir")
def test_movielens_with_offsets():
    """RMSE at most .935 from one fit; the settings were chosen on a tenth of the training fold held out."""
    data = datasets.fetch_movielens_100k()
    users, films, true = data.test
    model = NMF(50, biases=True, alpha_W=0.08, alpha_scale="observed", sparse_missing="absent", max_iter=30)
    with pytest.warns(DataWarning, match="columns of X have no observed entry"):
        model.set_params(random_state=0, tol=0).fit(data.X)
    assert metrics.rmse(true, model.predict_pairs(users, films)) < 0.935
    assert all((F >= 0).all() for F in model.factors_)
