"""Multiplicative updates.

With half the gradient of the robust loss  w omega (Q - N)  with respect to the prediction  P = L F R,

    F <- F * ( [ L' (w omega N) R' + max(-l1, 0) ] / [ L' (w omega Q) R' + max(l1, 0) + l2 F ] )^(1 / (b - a)),

with the quadratic  2 l1 F + l2 F^2  that touches the penalty: the minimiser of a separable function above the sum,
whose powers (a, b) the loss states.  For a half-quadratic loss N = T, Q = P and (a, b) = (1, 2): the quadratic
sum_ij omega_ij w_i (T_ij - P_ij)^2  that touches it.  Beside a penalty b is at least 2.  Sources: Lee and Seung's rule;
AT-NMF; EADNMF equations 25 and 27 with its attacked data replaced by the target T; Fevotte and Idier (2011) for the
powers of divergences.  Entries that reach zero stay there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..arrays.namespaces import Array, concat, finfo, namespace
from ..data.check import MOST_PASSES, check_number
from ..engine.factors import Factors, left, right
from ..engine.problem import Problem, total
from ..kernels.coordinates import Rows
from ..losses import Loss
from ..penalties import Penalty
from .base import Solver

_ALL = slice(None)


@dataclass(frozen=True)
class MU(Solver):
    """One multiplicative sweep, F_1 first.

    On complete data the updates of F_1 and F_L may be repeated at little cost, as only their denominators change, and
    these by a product of small matrices: `n_repeats` times in a sweep (0: the rule as the studies state it).  Each
    lowers the same quadratic.  Source: the acceleration of Gillis and Glineur (2012).
    """

    n_repeats: int = 0
    name: ClassVar[str] = "mu"
    half_quadratic_only: ClassVar[bool] = False
    numpy_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_number("n_repeats", self.n_repeats, high=MOST_PASSES, integer=True)

    def update_codes(self, problem: Problem, factors: Factors) -> tuple[Array, Array | None]:
        """Renew F_1 in place, once: whether a batch has holes must not show in its codes."""
        return self._update_codes(problem, factors, 0)

    def _update_codes(self, problem: Problem, factors: Factors, n_repeats: int) -> tuple[Array, Array | None]:
        """Renew F_1 in place, a block of samples at a time."""
        codes, B, loss = factors[0], right(factors, 0), problem.loss
        values, weights = [], []
        for rows, data in problem.data.blocks():
            P = data.predict(codes[rows, :], B)
            value, d = problem.respond(data, P)
            data, N, Q, w = problem.gradient_parts(data, P, d)
            numerator, denominator = data.code_gradients(N, Q, B)
            penalty = problem.penalties[0]
            numerator, denominator = w[:, None] * numerator, w[:, None] * denominator
            _multiply(codes, rows, numerator, denominator, penalty, loss)
            if n_repeats and data.complete and loss.half_quadratic:
                gram = B @ B.T
                for _ in range(n_repeats):
                    _multiply(codes, rows, numerator, w[:, None] * (codes[rows, :] @ gram), penalty, loss)
            values.append(value)
            weights.append(d)
        return concat(values), problem.kept(weights)

    def sweep(self, problem: Problem, factors: Factors) -> float:
        """Renew F_1, ..., F_L in turn; the objective on entry."""
        penalty = problem.penalty(factors)
        values, d = self._update_codes(problem, factors, self.n_repeats)
        for index in range(1, len(factors)):
            numerator, denominator, w = _gradient_parts(problem, factors, index, d)
            _multiply(factors[index].T, _ALL, numerator.T, denominator.T, problem.penalties[index], problem.loss)
        if self.n_repeats and problem.data.complete and not problem.entrywise:
            L, last = left(factors, len(factors) - 1), factors[-1]
            gram = (w[:, None] * L).T @ L
            for _ in range(self.n_repeats):
                _multiply(last.T, _ALL, numerator.T, (gram @ last).T, problem.penalties[-1], problem.loss)
        return total([values]) + penalty


def _gradient_parts(problem: Problem, factors: Factors, index: int, d: Array | None) -> tuple[Array, Array, Array]:
    """L' (w omega N) R'  and  L' (w omega Q) R'  for the factor at `index` > 0, over blocks of samples; and w."""
    L, R = left(factors, index), right(factors, index)
    B = factors[index] if R is None else factors[index] @ R
    xp = namespace(B)
    numerator, denominator, weights = xp.zeros_like(B), xp.zeros_like(B), []
    for rows, data in problem.data.blocks():
        P = data.predict(L[rows, :], B)
        data, N, Q, w = problem.gradient_parts(data, P, None if d is None else d[rows])
        wL = w[:, None] * L[rows, :]
        numerator += data.rtimes(wL, N)
        denominator += data.rtimes(wL, Q)
        weights.append(w)
    w = concat(weights)
    return (numerator, denominator, w) if R is None else (numerator @ R.T, denominator @ R.T, w)


def _multiply(F: Array, rows: Rows, numerator: Array, denominator: Array, penalty: Penalty, loss: Loss) -> None:
    """F <- F * ((numerator + max(-l1, 0)) / (denominator + max(l1, 0) + l2 F))^(1 / (b - a)) for some rows, in place.

    Each entry minimises a convex function of its own, so a shorter step of any of them is safe: ratios above eps^-2 are
    cut.  (A floor under the denominator is not: it turns a rise into a fall where numbers are small.)
    """
    xp, info = namespace(F), finfo(F)
    # Python's numbers leave the arrays their precision.
    eps, tiny = float(info.eps), float(info.smallest_normal)
    part, (a, b) = F[rows, :], loss.powers
    if penalty.counts:
        l1, l2 = penalty.quadratic(F, rows)
        if not penalty.shrinks:
            numerator, l1 = numerator + xp.clip(-l1, 0, None), xp.clip(l1, 0, None)
        denominator += l1 + l2 * part
        b = max(b, 2)
    # Where both vanish all weights did, or are too small for numbers: nothing is known there, so nothing moves.
    known = denominator > tiny
    ratio = xp.where(known, numerator / xp.where(known, denominator, 1), 1)
    ratio = xp.clip(ratio, None, eps**-2)
    part *= ratio if b - a == 1 else ratio ** (1 / (b - a))
    # Subnormal numbers are a hundred times slower and mean zero.
    part[tiny > part] = 0
