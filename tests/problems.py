"""Small problems that the contract tests share."""

from __future__ import annotations

import numpy as np

from advnmf.adversaries import FrobeniusPenalty, NoAdversary
from advnmf.data import DenseData
from advnmf.losses import L21, Elastic, Frobenius

# One or more of each kind; an adversary needs bounded weights.
LOSS_CASES = [Frobenius(), L21(), L21(floor=0.5), Elastic(0.2), Elastic(2.0), Elastic(0.0), Elastic(np.inf)]
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
    return DenseData(X, omega)


def complete_data(rng, shape=(9, 7), dtype=np.float64):
    return DenseData(rng.gamma(1.0, size=shape).astype(dtype))


def low_rank(rng, shape=(60, 40), rank=3, scale=1.0):
    return scale * rng.gamma(1.0, size=(shape[0], rank)) @ rng.gamma(1.0, size=(rank, shape[1]))


def random_chain(rng, shape, layers, dtype=np.float64):
    from advnmf.factors import layer_shapes

    return [rng.gamma(1.0, 0.5, size=s).astype(dtype) for s in layer_shapes(*shape, layers)]
