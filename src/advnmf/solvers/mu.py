"""Multiplicative updates.

Each factor minimises the quadratic  sum_ij omega_ij w_i (T_ij - P_ij)^2  that touches the robust loss, by

    F <- F * [ L' (w omega T) R' ] / [ L' (w omega P) R' + s (l1 + l2 F) ],        P = L F R,

the minimiser of a separable quadratic above it.  Sources: Lee and Seung's rule; AT-NMF; EADNMF equations 25 and 27
with its attacked data replaced by the target T.  Entries that reach zero stay there.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..factors import Factors, left, right
from ..penalties import ElasticNet
from ..problem import Problem

Array = np.ndarray


@dataclass(frozen=True)
class MU:
    """One multiplicative sweep, F_1 first."""

    name: ClassVar[str] = "mu"
    signed: ClassVar[bool] = False

    def session(self, problem: Problem) -> AbstractContextManager:
        """Nothing to prepare: BLAS does the work, on all its threads."""
        return nullcontext()

    def update_codes(self, problem: Problem, factors: Factors) -> tuple[Array, Array | None]:
        """Renew F_1 in place, a block of samples at a time."""
        codes, B = factors[0], right(factors, 0)
        values, weights = [], []
        for rows, data in problem.data.blocks():
            P = data.predict(codes[rows], B)
            value, d = problem.respond(data, P)
            data, T, w = problem.majorise(data, P, d)
            numerator, denominator = data.code_gradients(T, P, B)
            _multiply(
                codes[rows], w[:, None] * numerator, w[:, None] * denominator, problem.penalties[0].take(rows), axis=1
            )
            values.append(value)
            weights.append(d)
        return np.concatenate(values), problem.kept(weights)

    def sweep(self, problem: Problem, factors: Factors) -> float:
        """Renew F_1, ..., F_L in turn; the objective on entry."""
        penalty = problem.penalty(factors)
        values, d = self.update_codes(problem, factors)
        for index in range(1, len(factors)):
            numerator, denominator = _gradient_parts(problem, factors, index, d)
            _multiply(factors[index].T, numerator.T, denominator.T, problem.penalties[index])
        return float(values.sum()) + penalty


def _gradient_parts(problem: Problem, factors: Factors, index: int, d: Array | None) -> tuple[Array, Array]:
    """L' (w omega T) R'  and  L' (w omega P) R'  for the factor at `index` > 0, summed over blocks of samples."""
    L, R = left(factors, index), right(factors, index)
    B = factors[index] if R is None else factors[index] @ R
    numerator, denominator = np.zeros((2, L.shape[1], B.shape[1]), B.dtype)
    for rows, data in problem.data.blocks():
        P = data.predict(L[rows], B)
        data, T, w = problem.majorise(data, P, None if d is None else d[rows])
        wL = w[:, None] * L[rows]
        numerator += data.rtimes(wL, T)
        denominator += data.rtimes(wL, P)
    return (numerator, denominator) if R is None else (numerator @ R.T, denominator @ R.T)


def _multiply(F: Array, numerator: Array, denominator: Array, penalty: ElasticNet, axis: int | None = None) -> None:
    """F <- F * numerator / (denominator + s (l1 + l2 F)), in place.

    The denominator vanishes only where the prediction does: eps^2 of the largest (along `axis`: codes must not look at
    other samples) bounds the ratio by eps^-2 on every scale of the data.
    """
    info = np.finfo(F.dtype)
    if penalty.l1 or penalty.l2:
        denominator += penalty.gradient_parts(F)[1] / 2
    largest = np.maximum(numerator, denominator).max(axis=axis, keepdims=True)
    floor = np.maximum(info.eps**2 * largest, info.tiny)
    # Both vanish where all weights did: nothing is known there, so nothing moves.
    F *= np.where(largest > 0, numerator / np.maximum(denominator, floor), 1)
    # Subnormal numbers are a hundred times slower and mean zero.
    F[info.tiny > F] = 0
