"""Where the factors start: random draws, layer-wise pre-training, codes of new samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..adversaries import NoAdversary
from ..arrays.namespaces import Array, as_like, cast, concat, host_dtype, namespace, to_numpy
from ..data import ObservedData, array_data
from ..losses import Frobenius
from ..penalties import NO_PENALTY, Penalty
from .factors import Factors, layer_shapes, take_rows
from .loop import StoppingCriteria, minimise
from .problem import Problem
from .ridges import typical_size

if TYPE_CHECKING:
    from ..solvers import Solver

# Numbers that are drawn at a time.
_DRAWN_AT_ONCE = 2**20


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
    return [_half_normal(shape, scale, data, random_state) for shape in shapes]


def signed_factors(
    data: ObservedData, n_components: Sequence[int], random_state: np.random.RandomState, share: float = 1.0
) -> Factors:
    """N(0, 1) draws in two factors, scaled so that the product is about a share of the size of the data."""
    shapes, (rank,) = layer_shapes(*data.shape, n_components), n_components
    scale = (share * typical_size(data) / rank**0.5) ** 0.5
    return [
        data.asarray((scale * random_state.standard_normal(shape)).astype(host_dtype(data.dtype))) for shape in shapes
    ]


def _half_normal(
    shape: tuple[int, int], scale: float, data: ObservedData, random_state: np.random.RandomState
) -> Array:
    """scale |N(0, 1)| in the precision of the data: drawn in pieces, as float64 takes twice the room of float32."""
    drawn = np.empty(shape, host_dtype(data.dtype))
    step = max(1, _DRAWN_AT_ONCE // shape[1])
    for start in range(0, shape[0], step):
        piece = drawn[start : start + step]
        np.multiply(scale, np.abs(random_state.standard_normal(piece.shape)), out=piece, casting="same_kind")
    return data.asarray(drawn)


def pretrained_factors(
    problem: Problem,
    n_components: Sequence[int],
    solver: Solver,
    criteria: StoppingCriteria,
    random_state: np.random.RandomState,
) -> tuple[Factors, str]:
    """A deep chain learnt layer by layer (EADNMF, section 3), and why it was cut short ("" if it was not).

    X ~ H_1 F_L on the mask with the chosen loss and no adversary; then H_1 ~ H_2 F_{L-1}, ..., complete and Frobenius.
    Once cut short, each layer left gets a single sweep, so that the chain is whole.
    """
    criteria = replace(criteria, phase="pretrain")
    layer = replace(problem, adversary=NoAdversary(), penalties=_of_two_factors(problem, len(n_components) + 1))
    seen, chain, cut = problem.data.counts > 0, [], ""
    for size in n_components:
        result = minimise(layer, random_factors(layer.data, [size], random_state), solver, criteria)
        if result.stopped_early:
            cut, criteria = result.stop_reason, replace(criteria, max_iter=1, callback=None)
        H, F = result.factors
        # The codes of samples with nothing observed are as they were drawn: no data for the next layer.
        H = H if chain else take_rows(H, np.flatnonzero(seen))
        chain.insert(0, F)
        layer = Problem(array_data(H), Frobenius(), NoAdversary(), (NO_PENALTY, NO_PENALTY))
    mean = namespace(H).mean(H, axis=0, keepdims=True)
    place = np.where(seen, np.cumsum(seen) - 1, H.shape[0])
    return balanced([take_rows(concat([H, mean]), place), *chain]), cut


def _of_two_factors(problem: Problem, n_factors: int) -> tuple[Penalty, Penalty]:
    """The first and the last penalty of a chain, as strong beside X ~ H F as they are beside X ~ F_1 ... F_L.

    Factors are about v^(1/L) there and v^(1/2) here, v the size of X: what has this as its unit changes with it.
    """
    unit = typical_size(problem.data) ** (1 / n_factors - 1 / 2) if problem.data.mean > 0 else 1.0
    return problem.penalties[0].rescaled(unit), problem.penalties[-1].rescaled(unit)


def balanced(factors: Factors) -> Factors:
    """The same product from factors of one size (root mean square), so that a penalty weighs all of them alike."""
    sizes = [_root_mean_square(F) for F in factors]
    if not min(sizes) > 0:
        return factors
    common = float(np.exp(np.mean(np.log(sizes))))
    return [F * (common / size) for F, size in zip(factors, sizes, strict=True)]


def _root_mean_square(F: Array) -> float:
    """In units of the largest entry, so that no square overflows or vanishes."""
    xp = namespace(F)
    top = float(xp.max(F))
    return top * float(xp.mean(xp.square(F / top))) ** 0.5 if top > 0 else 0.0


def narrowed(factors: Factors, n_before: int, n_components: int) -> Factors:
    """The largest of the first `n_before` codes and components (NumPy), in their order; offsets stay behind them.

    The size of component k is the norm of what it adds, |a_k| |b_k|.
    """
    codes, components = factors
    norms = np.linalg.norm(codes, axis=0) * np.linalg.norm(components, axis=1)
    strongest = np.argsort(-norms[:n_before], kind="stable")[:n_components]
    kept = np.append(np.sort(strongest), np.arange(n_before, len(components)))
    return [np.ascontiguousarray(codes[:, kept]), components[kept]]


def flat_codes(data: ObservedData, B: Array) -> Array:
    """Codes of new samples to start from: the multiple of (1, ..., 1) that fits each sample best.

    a_i = <x_i, s> / <s, s> over the observed entries, s = sum of the components.  Each sample's start depends on
    nothing else.
    """
    xp = namespace(B)
    s = xp.sum(B, axis=0, keepdims=True)
    multiples = []
    for _, part in data.blocks():
        flat = part.predict(part.constant((part.shape[0], 1), 1, data.dtype), s)
        top, norm = part.times(part.target(flat), s.T)[:, 0], part.times(flat, s.T)[:, 0]
        multiples.append(xp.where(norm > 0, top / xp.where(norm > 0, norm, 1), 0))
    return cast(xp.repeat(concat(multiples)[:, None], B.shape[0], axis=1), data.dtype)


def solve_codes(problem: Problem, codes: Array, B: Array, solver: Solver, max_iter: int, tol: float) -> Array:
    """Codes of samples for fixed components, from a start on.

    Each row stops by its own criterion, so none depends on the others in its batch (where no penalty couples them).  A
    loss of a finite width has local minima: there the width is narrowed on the way, as it is in a fit.
    """
    with solver.session(problem):
        if np.isfinite(problem.loss.width):
            codes = _narrowed_codes(problem, codes, B, solver)
        return _row_by_row(problem, codes, B, solver, max_iter, tol)


# The width of a sample's loss at first, in median residuals of that sample; what each step leaves of it; sweeps in one.
_FIRST_WIDTH, _NARROWING, _SWEEPS_A_WIDTH = 3.0, 0.7, 3


def _narrowed_codes(problem: Problem, codes: Array, B: Array, solver: Solver) -> Array:
    """Codes by way of widths that fall from a few median residuals of each sample to that of the loss.

    A loss of the width s on a sample x is, but for a factor, one of the width 1 on x / s.
    """
    data, width, xp = problem.data, problem.loss.width, namespace(B)
    codes = _resistant(problem, codes, B)
    measured = data.measured
    residuals = xp.abs(measured.values - _predicted(measured, codes, B))
    widths = np.maximum(_FIRST_WIDTH * _row_medians(measured, residuals), width)
    while (going := widths > width).any():
        unit = as_like(widths, codes, codes.dtype)
        values = data.values / data.per_sample(unit)
        scaled = replace(problem, data=data.with_values(values), loss=problem.loss.of_width(1.0))
        narrower = codes / unit[:, None]
        for _ in range(_SWEEPS_A_WIDTH):
            solver.update_codes(scaled, [narrower, B])
        codes = xp.where(as_like(going, codes)[:, None], narrower * unit[:, None], codes)
        widths = np.maximum(_NARROWING * widths, width)
    return codes


def _resistant(problem: Problem, codes: Array, B: Array) -> Array:
    """Codes moved to the median of a sample's entries: as a whole, or with offsets by these alone."""
    data, xp, free = problem.data.measured, namespace(B), problem.penalties[0].free
    P = _predicted(data, codes, B)
    if free is None:
        ratios = xp.where(P > 0, data.values / xp.where(P > 0, P, 1), 0)
        factors = as_like(_row_medians(data, ratios), codes, codes.dtype)[:, None]
        return xp.where(factors > 0, factors, 1) * codes
    moved = codes + 0
    moved[:, free] += as_like(_row_medians(data, data.values - P), codes, codes.dtype)
    return moved


def _predicted(data: ObservedData, codes: Array, B: Array) -> Array:
    """The explicit entries of the prediction."""
    return concat([part.entries(part.predict(codes[rows, :], B)) for rows, part in data.blocks()])


def _row_medians(data: ObservedData, E: Array) -> np.ndarray:
    """Median of the explicit entries of each row that were observed (the lower of two); 0 where none were."""
    values, counts = to_numpy(data.observed_entries(E)), np.asarray(data.counts)
    rows = np.repeat(np.arange(len(counts)), counts)
    ordered = np.append(values[np.lexsort((values, rows))], 0)
    first = np.cumsum(counts) - counts
    return np.where(counts > 0, ordered[first + np.maximum(counts - 1, 0) // 2], 0).astype(np.float64)


def _row_by_row(problem: Problem, codes: Array, B: Array, solver: Solver, max_iter: int, tol: float) -> Array:
    """`solve_codes`: converged rows are removed from the batch; the order is restored at the end."""
    xp, part, current, last = namespace(B), problem, codes, None
    rows, done = as_like(np.arange(current.shape[0]), current), []
    for _ in range(max_iter):
        before = current + 0
        values, _ = solver.update_codes(part, [current, B])
        values = values + part.penalties[0].row_values(before)
        if last is not None:
            going = xp.abs(last - values) > tol * values
            if not xp.any(going):
                break
            if not (part.penalties[0].coupled or xp.all(going)):
                ended, going = xp.nonzero(~going)[0], xp.nonzero(going)[0]
                done.append((xp.take(rows, ended), xp.take(current, ended, axis=0)))
                rows, values, current = xp.take(rows, going), xp.take(values, going), xp.take(current, going, axis=0)
                codes_penalty, *others = part.penalties
                left = codes_penalty.take(to_numpy(going))
                part = replace(part, data=part.data.take(going), penalties=(left, *others))
        last = values
    rows, codes = (concat(pieces) for pieces in zip(*done, (rows, current), strict=True))
    return xp.take(codes, xp.argsort(rows), axis=0)
