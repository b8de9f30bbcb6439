"""The synthetic data of the AT-NMF study."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch, check_random_state

from . import matfiles

_LOADED = """Nonnegative data of exact rank {n_components}, drawn as in the AT-NMF study (Cai, Tan, Févotte
2021): X = W H without noise, scales[k] from the inverse gamma distribution of shape {shape} and scale {scale},
and column k of W and row k of H half-normal with standard deviation scales[k]. Computed here; free of any
licence."""
_FETCHED = """The synthetic matrix of the AT-NMF study (Cai, Tan, Févotte 2021): 50 x 100, of rank 5, without
noise, with seven masks that miss 30 % to 90 % at random. The study writes the transpose: its 50 instances are
the rows here.
Source: https://github.com/caiting123321/AT_NMF (no licence is stated there, so nothing of it is redistributed)."""


def load_synthetic(
    n_samples: int = 50,
    n_features: int = 100,
    n_components: int = 5,
    *,
    shape: float = 50.0,
    scale: float = 70.0,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Draw data as the AT-NMF study did: X = W H, W[:, k] and H[k, :] ~ |N(0, s_k²)|, s_k ~ InvGamma(shape, scale).

    Parameters
    ----------
    n_samples, n_features, n_components : int
        X is n_samples x n_features, of rank n_components.
    shape, scale : float
        Of the inverse gamma distribution; its mean is scale / (shape - 1).
    random_state : int, RandomState or None
        The same number gives the same data.

    Returns
    -------
    Bunch
        ``X``, ``W`` (n_samples x n_components), ``H`` (n_components x n_features), ``scales``, ``masks`` (empty),
        ``DESCR``.
    """
    rng = check_random_state(random_state)
    scales = scale / rng.gamma(shape, size=n_components)
    W = np.abs(rng.normal(scale=scales, size=(n_samples, n_components)))
    H = np.abs(rng.normal(scale=scales[:, None], size=(n_components, n_features)))
    descr = _LOADED.format(n_components=n_components, shape=shape, scale=scale)
    return Bunch(X=W @ H, W=W, H=H, scales=scales, masks={}, DESCR=descr)


def fetch_synthetic() -> Bunch:
    """The matrix that the AT-NMF study released, 50 x 100 and of rank 5, and its masks."""
    X = matfiles.matrix("synthetic/X.mat").astype(np.float64)
    return Bunch(X=X, masks=matfiles.masks("synthetic"), DESCR=_FETCHED)
