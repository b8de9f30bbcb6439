"""Multiplicative updates.

Each factor minimises the quadratic  sum_ij omega_ij w_i (T_ij - P_ij)^2  that touches the robust loss, by

    F <- F * [ L' (w omega T) R' + max(-l1, 0) ] / [ L' (w omega P) R' + max(l1, 0) + l2 F ],        P = L F R,

with the quadratic  2 l1 F + l2 F^2  that touches the penalty; the minimiser of a separable quadratic above it.
Sources: Lee and Seung's rule; AT-NMF; EADNMF equations 25 and 27 with its attacked data replaced by the target T.
Entries that reach zero stay there.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

from ..arrays.namespaces import Array, cast, concat, finfo, namespace
from ..data.check import MOST_PASSES, check_number
from ..engine.factors import Factors, left, right
from ..engine.problem import Problem, total
from ..kernels.coordinates import Rows
from ..penalties import Penalty

_ALL = slice(None)


@dataclass(frozen=True)
class MU:
    """One multiplicative sweep, F_1 first.

    On complete data the updates of F_1 and F_L may be repeated at little cost, as only their denominators change, and
    these by a product of small matrices: `n_repeats` times in a sweep (0: the rule as the studies state it).  Each
    lowers the same quadratic.  Source: the acceleration of Gillis and Glineur (2012).
    """

    n_repeats: int = 0
    name: ClassVar[str] = "mu"
    signed: ClassVar[bool] = False
    numpy_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_number("n_repeats", self.n_repeats, high=MOST_PASSES, integer=True)

    def session(self, problem: Problem) -> AbstractContextManager:
        """Nothing to prepare: BLAS does the work, on all its threads."""
        return nullcontext()

    def update_codes(self, problem: Problem, factors: Factors) -> tuple[Array, Array | None]:
        """Renew F_1 in place, once: whether a batch has holes must not show in its codes."""
        return self._update_codes(problem, factors, 0)

    def _update_codes(self, problem: Problem, factors: Factors, n_repeats: int) -> tuple[Array, Array | None]:
        """Renew F_1 in place, a block of samples at a time."""
        codes, B = factors[0], right(factors, 0)
        values, weights = [], []
        for rows, data in problem.data.blocks():
            P = data.predict(codes[rows, :], B)
            value, d = problem.respond(data, P)
            data, T, w = problem.majorise(data, P, d)
            numerator, denominator = data.code_gradients(T, P, B)
            penalty = problem.penalties[0]
            numerator, denominator = w[:, None] * numerator, w[:, None] * denominator
            _multiply(codes, rows, numerator, denominator, penalty)
            if n_repeats and data.complete:
                gram = B @ B.T
                for _ in range(n_repeats):
                    _multiply(codes, rows, numerator, w[:, None] * (codes[rows, :] @ gram), penalty)
            values.append(value)
            weights.append(d)
        return concat(values), problem.kept(weights)

    def sweep(self, problem: Problem, factors: Factors) -> float:
        """Renew F_1, ..., F_L in turn; the objective on entry."""
        penalty = problem.penalty(factors)
        values, d = self._update_codes(problem, factors, self.n_repeats)
        for index in range(1, len(factors)):
            numerator, denominator = _gradient_parts(problem, factors, index, d)
            _multiply(factors[index].T, _ALL, numerator.T, denominator.T, problem.penalties[index])
        if self.n_repeats and problem.data.complete and d is not None:
            L, w = left(factors, len(factors) - 1), problem.adversary.curvature(d)
            gram = (cast(w, L.dtype)[:, None] * L).T @ L
            for _ in range(self.n_repeats):
                _multiply(factors[-1].T, _ALL, numerator.T, (gram @ factors[-1]).T, problem.penalties[-1])
        return total([values]) + penalty


def _gradient_parts(problem: Problem, factors: Factors, index: int, d: Array | None) -> tuple[Array, Array]:
    """L' (w omega T) R'  and  L' (w omega P) R'  for the factor at `index` > 0, summed over blocks of samples."""
    L, R = left(factors, index), right(factors, index)
    B = factors[index] if R is None else factors[index] @ R
    xp = namespace(B)
    numerator, denominator = xp.zeros_like(B), xp.zeros_like(B)
    for rows, data in problem.data.blocks():
        P = data.predict(L[rows, :], B)
        data, T, w = problem.majorise(data, P, None if d is None else d[rows])
        wL = w[:, None] * L[rows, :]
        numerator += data.rtimes(wL, T)
        denominator += data.rtimes(wL, P)
    return (numerator, denominator) if R is None else (numerator @ R.T, denominator @ R.T)


def _multiply(F: Array, rows: Rows, numerator: Array, denominator: Array, penalty: Penalty) -> None:
    """F <- F * (numerator + max(-l1, 0)) / (denominator + max(l1, 0) + l2 F) for some rows, in place.

    Each entry minimises a convex function of its own, so a shorter step of any of them is safe: ratios above eps^-2 are
    cut.  (A floor under the denominator is not: it turns a rise into a fall where numbers are small.)
    """
    xp, info = namespace(F), finfo(F)
    # Python's numbers leave the arrays their precision.
    eps, tiny = float(info.eps), float(info.smallest_normal)
    part = F[rows, :]
    if penalty.counts:
        l1, l2 = penalty.quadratic(F, rows)
        numerator = numerator + xp.clip(-l1, 0, None)
        denominator = denominator + (xp.clip(l1, 0, None) + l2 * part)
    # Where both vanish all weights did, or are too small for numbers: nothing is known there, so nothing moves.
    known = denominator > tiny
    ratio = xp.where(known, numerator / xp.where(known, denominator, 1), 1)
    part *= xp.clip(ratio, None, eps**-2)
    # Subnormal numbers are a hundred times slower and mean zero.
    part[tiny > part] = 0
