"""Real data under their released masks: test errors over entries that no fit has seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.io import loadmat

from advnmf import ADNMF, EADNMF, NMF, Correntropy, DataWarning, metrics

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::advnmf.DataWarning"),  # two pixels of Moffet are dark in all bands
]


def matrix(path):
    return next(value for name, value in loadmat(path).items() if not name.startswith("_"))


@pytest.fixture(scope="module")
def moffet(data_dir):
    """2500 pixels x 165 bands, and the mask of a missing fraction."""
    X = matrix(data_dir / "moffet" / "clean_Moffet.mat").astype(float).T
    return X, lambda number: matrix(data_dir / "moffet" / f"mask{number}.mat").astype(bool).T


@pytest.fixture(scope="module")
def cbcl(data_dir):
    """2429 faces x 361 pixels in the preparation of the AT-NMF study, half missing."""
    x = 1 - matrix(data_dir / "cbcl" / "CBCL_Face.mat").astype(float)
    V = np.clip(0.25 + 0.25 * (x - x.mean(axis=0)) / x.std(axis=0, ddof=1), 0, 1)
    return V.T.astype(np.float32), matrix(data_dir / "cbcl" / "mask3.mat").astype(bool)


def test_error(model, X, mask):
    """RMSE over the missing entries."""
    return metrics.rmse(X, model.fit(X, mask=mask).reconstruct(), mask=~mask)


test_error.__test__ = False


def test_moffet_three_in_ten_missing(moffet):
    X, mask = moffet
    assert test_error(NMF(12, max_iter=500, tol=1e-5, random_state=0), X, mask(1)) <= 0.0017


def test_moffet_nine_in_ten_missing(moffet):
    X, mask = moffet
    model = NMF(5, alpha_W=1e-5, max_iter=500, tol=1e-5, random_state=0)
    assert test_error(model, X, mask(7)) <= 0.0050


def test_synthetic_half_missing(data_dir):
    X = matrix(data_dir / "synthetic" / "X.mat").astype(float)
    mask = matrix(data_dir / "synthetic" / "mask3.mat").astype(bool)
    assert test_error(NMF(5, max_iter=1000, tol=1e-6, n_init=5, random_state=0), X, mask) <= 0.02


@pytest.mark.parametrize(("model", "printed"), [(ADNMF, 0.0915), (EADNMF, 0.0824)])
def test_cbcl_half_missing_beats_what_was_printed(cbcl, model, printed):
    # Layers and ridge were chosen on held-out observed entries.
    V, mask = cbcl
    assert test_error(model((150, 100), alpha_W=1e-3, max_iter=60, random_state=0), V, mask) < printed


def test_correntropy_withstands_gross_outliers_on_moffet(moffet):
    X, mask = moffet
    rng = np.random.default_rng(0)
    wrong = mask(3) & (rng.random(X.shape) < 0.1)
    Y = np.where(wrong, 5 * X.max() * rng.random(X.shape), X)
    robust = NMF(3, loss=Correntropy(), max_iter=60, random_state=0).fit(Y, mask=mask(3))
    plain = NMF(3, max_iter=60, random_state=0).fit(Y, mask=mask(3))
    errors = [metrics.rmse(X, model.reconstruct(), mask=~mask(3)) for model in (robust, plain)]
    assert errors[0] < errors[1] / 5


def test_movielens_with_offsets(data_dir):
    """RMSE at most .935 from one fit; the settings were chosen on a tenth of the training fold held out."""
    (u, i, r), (users, items, true) = (
        np.loadtxt(data_dir / "ratings" / name, dtype=np.int64)[:, :3].T for name in ("u1.base", "u1.test")
    )
    X = sparse.csr_array((r.astype(float), (u - 1, i - 1)), shape=(943, 1682))
    model = NMF(50, biases=True, alpha_W=0.08, alpha_scale="observed", sparse_missing="absent", max_iter=30)
    with pytest.warns(DataWarning, match="columns of X have no observed entry"):
        model.set_params(random_state=0, tol=0).fit(X)
    assert np.sqrt(np.mean((model.predict_pairs(users - 1, items - 1) - true) ** 2)) < 0.935
    assert all((F >= 0).all() for F in model.factors_)
