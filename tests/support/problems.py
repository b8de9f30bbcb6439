"""Small problems that the contract tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advnmf.adversaries import FrobeniusPenalty, NoAdversary
from advnmf.data import array_data, sparse_data, zero_filled_data
from advnmf.losses import L21, Correntropy, Elastic, Frobenius

# One or more of each kind; an adversary needs bounded weights.
LOSS_CASES = [
    *[Frobenius(), L21(), L21(floor=0.5), Elastic(0.2), Elastic(2.0), Elastic(0.0), Elastic(np.inf)],
    *[Correntropy(0.5), Correntropy(3.0)],
]
ADVERSARY_CASES = [NoAdversary(), FrobeniusPenalty(1.2), FrobeniusPenalty(2.0), FrobeniusPenalty(7.0)]


def compatible(loss, adversary):
    return isinstance(adversary, NoAdversary) or adversary.lam > loss.max_weight


PAIRS = [(loss, adversary) for loss in LOSS_CASES for adversary in ADVERSARY_CASES if compatible(loss, adversary)]
CLASHES = [(loss, adversary) for loss in LOSS_CASES for adversary in ADVERSARY_CASES if not compatible(loss, adversary)]


def random_data(rng, shape=(9, 7), observed=0.6, weights=False, dtype=np.float64, zeros=0.1):
    """Data with holes, some observed zeros, an empty row and an empty column."""
    X = rng.gamma(1.0, size=shape) * (rng.random(shape) > zeros)
    omega = (rng.random(shape) < observed).astype(np.uint8)
    omega[1], omega[:, 2] = 0, 0
    X = np.where(omega > 0, X, 0).astype(dtype)
    if weights:
        omega = (omega * rng.uniform(0.2, 3, shape)).astype(dtype)
    return array_data(X, omega)


def complete_data(rng, shape=(9, 7), dtype=np.float64):
    return array_data(rng.gamma(1.0, size=shape).astype(dtype))


def as_sparse(data):
    """Masked dense data in compressed rows: what is off the mask is not stored."""
    indptr = np.append(0, np.cumsum(np.count_nonzero(data.omega, axis=1)))
    kept = data.omega > 0
    omega = None if data.omega.dtype == np.uint8 else data.omega[kept]
    return sparse_data(data.values[kept], np.nonzero(kept)[1].astype(np.int32), indptr, data.shape[1], omega)


def zero_filled(rng, shape=(9, 7), missing=0.0, dtype=np.float64):
    """A sparse matrix whose absent entries are zeros, and the same as dense data; a few stored entries missing."""
    X = rng.gamma(1.0, size=shape) * (rng.random(shape) < 0.4)
    gone = (X > 0) & (rng.random(shape) < missing)
    X = np.where(gone, 0, X).astype(dtype)
    stored = (X > 0) | gone
    indptr = np.append(0, np.cumsum(stored.sum(axis=1)))
    omega = (~gone)[stored].astype(np.uint8) if missing else None
    data = zero_filled_data(X[stored], np.nonzero(stored)[1].astype(np.int32), indptr, shape[1], omega)
    return data, array_data(X, (~gone).astype(np.uint8) if missing else None)


STORAGES = ["mask", "weights", "complete", "sparse", "sparse weights", "zeros", "zeros with holes"]


def data_in(storage, rng, shape=(9, 7), dtype=np.float64):
    """Random data in one of the storages."""
    if storage == "complete":
        return complete_data(rng, shape, dtype)
    if storage.startswith("zeros"):
        return zero_filled(rng, shape, 0.3 if storage.endswith("holes") else 0.0, dtype)[0]
    data = random_data(rng, shape, weights="weights" in storage, dtype=dtype)
    return as_sparse(data) if storage.startswith("sparse") else data


def low_rank(rng, shape=(60, 40), rank=3, scale=1.0):
    return scale * rng.gamma(1.0, size=(shape[0], rank)) @ rng.gamma(1.0, size=(rank, shape[1]))


def random_chain(rng, shape, layers, dtype=np.float64):
    from advnmf.engine.factors import layer_shapes

    return [rng.gamma(1.0, 0.5, size=s).astype(dtype) for s in layer_shapes(*shape, layers)]


class Lazily:
    """A module that is imported when a test uses it; the test skips where it is not installed."""

    def __init__(self, name: str, extra: str) -> None:
        self._name, self._extra = name, extra

    def __getattr__(self, attribute: str) -> Any:
        reason = f"{self._name} is not installed: see the extra {self._extra}"
        return getattr(pytest.importorskip(self._name, reason=reason), attribute)
