"""A matrix of CBCL's size for every benchmark: 2429 x 361, 30 % missing, float32, rank 100."""

from __future__ import annotations

import numpy as np
import pytest

SHAPE, RANK = (2429, 361), 100


@pytest.fixture(scope="session")
def cbcl_like():
    rng = np.random.default_rng(0)
    X = (rng.gamma(1.0, size=(SHAPE[0], 20)) @ rng.gamma(0.2, size=(20, SHAPE[1]))).astype(np.float32)
    X /= X.max()
    return X, rng.random(SHAPE) > 0.3
