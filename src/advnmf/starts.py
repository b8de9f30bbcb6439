"""Where the factors start: random draws, layer-wise pre-training, codes of new samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .adversaries import NoAdversary
from .data import DenseData, ObservedData
from .factors import Factors, layer_shapes
from .loop import Limits, minimise
from .losses import Frobenius
from .penalties import NO_PENALTY
from .problem import Problem
from .solvers import Solver


def random_factors(
    data: ObservedData, n_components: Sequence[int], random_state: np.random.RandomState, share: float = 1.0
) -> Factors:
    """|N(0, 1)| draws in float64 on the host, scaled so that the product's mean is about a share of the data's.

    The mean of |z| is sqrt(2/pi), so a chain of L factors has mean  prod(r) (2/pi)^(L/2) s^L  with the scale s common
    to all.
    """
    shapes = layer_shapes(*data.shape, n_components)
    L = len(shapes)
    scale = (share * max(data.mean, 0.0) / np.prod([float(r) for r in n_components])) ** (1 / L) * np.sqrt(np.pi / 2)
    return [(scale * np.abs(random_state.standard_normal(shape))).astype(data.dtype) for shape in shapes]


def pretrained_factors(
    problem: Problem,
    n_components: Sequence[int],
    solver: Solver,
    limits: Limits,
    random_state: np.random.RandomState,
) -> tuple[Factors, str]:
    """A deep chain learnt layer by layer (EADNMF, section 3), and why it was cut short ("" if it was not).

    X ~ H_1 F_L on the mask with the chosen loss and no adversary; then H_1 ~ H_2 F_{L-1}, ..., complete and Frobenius.
    Once cut short, each layer left gets a single sweep, so that the chain is whole.
    """
    limits = replace(limits, attack_every=None, phase="pretrain")
    layer = replace(problem, adversary=NoAdversary(), penalties=(problem.penalties[0], problem.penalties[-1]))
    seen, chain, cut = problem.data.counts > 0, [], ""
    for size in n_components:
        result = minimise(layer, random_factors(layer.data, [size], random_state), solver, limits)
        if result.stopped_early:
            cut, limits = result.stop_reason, replace(limits, max_iter=1, callback=None)
        H, F = result.factors
        # The codes of samples with nothing observed are as they were drawn: no data for the next layer.
        H = H if chain else H[seen]
        chain.insert(0, F)
        layer = Problem(DenseData(H), Frobenius(), NoAdversary(), (NO_PENALTY, NO_PENALTY))
    codes = np.empty((len(seen), H.shape[1]), H.dtype)
    codes[seen], codes[~seen] = H, H.mean(axis=0)
    return [codes, *chain], cut


def flat_codes(data: ObservedData, B: np.ndarray) -> np.ndarray:
    """Codes of new samples to start from: the multiple of (1, ..., 1) that fits each sample best.

    a_i = <x_i, s> / <s, s> over the observed entries, s = sum of the components.  Each sample's start depends on
    nothing else.
    """
    s = B.sum(axis=0, keepdims=True)
    multiples = []
    for _, part in data.blocks():
        flat = part.predict(np.ones((part.shape[0], 1), data.dtype), s)
        top, norm = part.times(part.target(flat), s.T)[:, 0], part.times(flat, s.T)[:, 0]
        multiples.append(np.where(norm > 0, top / np.where(norm > 0, norm, 1), 0))
    return np.repeat(np.concatenate(multiples)[:, None], len(B), axis=1).astype(data.dtype)


def solve_codes(
    problem: Problem, codes: np.ndarray, B: np.ndarray, solver: Solver, max_iter: int, tol: float
) -> np.ndarray:
    """Codes of samples for fixed components, from a start on, in place.

    Each stops by itself, so none depends on the others in its batch: rows that are done leave it.
    """
    with solver.session(problem):
        _row_by_row(problem, codes, B, solver, max_iter, tol)
    return codes


def _row_by_row(problem: Problem, codes: np.ndarray, B: np.ndarray, solver: Solver, max_iter: int, tol: float) -> None:
    active = np.arange(len(codes))
    part, current, last = problem, codes.copy(), None
    for _ in range(max_iter):
        before = current.copy()
        values, _ = solver.update_codes(part, [current, B])
        values = values + part.penalties[0].row_values(before)
        if last is not None:
            going = np.abs(last - values) > tol * values
            codes[active[~going]] = current[~going]
            if not going.any():
                return
            if not going.all():
                active, current, values = active[going], current[going], values[going]
                codes_penalty, *others = part.penalties
                part = replace(part, data=part.data.take(going), penalties=(codes_penalty.take(going), *others))
        last = values
    codes[active] = current
