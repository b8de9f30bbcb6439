"""Row-wise coordinate descent (HALS) on the masked, weighted quadratic.

The quadratic  sum_ij omega_ij w_i (T_ij - P_ij)^2  that touches the robust loss falls apart into the rows of F_1 and
into the columns of F_L: each is a small nonnegative least-squares problem with its own mask, and is improved
coordinate by coordinate.  On complete data all rows share one Gram matrix.  An inner factor of a deep chain moves by
coordinate descent on a surrogate without mask, followed by an exact line search on the masked quadratic.
"""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from threadpoolctl import ThreadpoolController

from ..data.check import MOST_PASSES, check_number
from ..engine.factors import Factors, left, right
from ..engine.problem import Problem
from ..kernels import rows as kernels
from .base import Solver

Array = np.ndarray


@dataclass(frozen=True)
class HALS(Solver):
    """One sweep of coordinate descent, F_1 first, `n_passes` over the coordinates of each row."""

    n_passes: int = 2
    name: ClassVar[str] = "hals"
    signed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number("n_passes", self.n_passes, low=1, high=MOST_PASSES, integer=True)

    def session(self, problem: Problem) -> AbstractContextManager:
        """BLAS on one thread while the rows of masked data are shared among ours.

        Its idle threads spin, and would take from ours the cores that they wait for: twice the time of a sweep.
        """
        if problem.data.omega is None:
            return nullcontext()
        return OneBlasThread()

    def update_codes(self, problem: Problem, factors: Factors) -> tuple[Array, Array | None]:
        """Renew F_1 in place, a block of samples at a time."""
        codes, B = factors[0], np.ascontiguousarray(right(factors, 0))
        ones = np.ones(B.shape[1], B.dtype)
        values, weights = [], []
        for rows, data in problem.data.blocks():
            P = data.predict(codes[rows], B)
            value, d = problem.respond(data, P)
            data, T, w = problem.majorise(data, P, d)
            penalty = problem.penalties[0].coordinates(codes, rows)
            data.descend(codes[rows], B, T, P, w, ones, penalty, self.n_passes)
            values.append(value)
            weights.append(d)
        return np.concatenate(values), problem.kept(weights)

    def sweep(self, problem: Problem, factors: Factors) -> float:
        """Renew F_1, ..., F_L in turn; the objective on entry."""
        penalty = problem.penalty(factors)
        values, d = self.update_codes(problem, factors)
        for index in range(1, len(factors) - 1):
            self._update_inner(problem, factors, index, d)
        self._update_last(problem, factors, d)
        return float(values.sum()) + penalty

    def _update_last(self, problem: Problem, factors: Factors, d: Array | None) -> None:
        """Renew F_L in place, a block of features at a time: the rows of its transpose."""
        B = np.ascontiguousarray(left(factors, len(factors) - 1).T)
        columns = np.ascontiguousarray(factors[-1].T)
        for rows, data in problem.data.T.blocks():
            P = data.predict(columns[rows], B)
            data, T, w = problem.majorise(data, P, d)
            ones = np.ones(len(columns[rows]), B.dtype)
            penalty = problem.penalties[-1].coordinates(columns, rows)
            data.descend(columns[rows], B, T, P, ones, w, penalty, self.n_passes)
        factors[-1][...] = columns.T

    def _update_inner(self, problem: Problem, factors: Factors, index: int, d: Array | None) -> None:
        """Renew an inner factor F of  P = L F R  in place.

        Direction: coordinate descent on  omega_max tr((F - F0)' G_L (F - F0) G_R) - 2 <G, F - F0>  with G_L = L' w L,
        G_R = R R' and half the descent direction G = L' (w omega (T - P)) R'; this is the masked quadratic with its
        holes filled by the prediction.  Step: the exact minimiser of the masked quadratic along it, as far as F stays
        nonnegative.
        """
        F, L, R = factors[index], left(factors, index), right(factors, index)
        penalty = problem.penalties[index]
        G, G_L, top, quadratic = np.zeros_like(F), np.zeros((len(F), len(F)), F.dtype), 0.0, []
        for rows, data in problem.data.blocks():
            P = data.predict(L[rows], F @ R)
            data, T, w = problem.majorise(data, P, None if d is None else d[rows])
            wL = w[:, None] * L[rows]
            G += wL.T @ (data.times(T, R.T) - data.times(P, R.T))
            G_L += wL.T @ L[rows]
            top = max(top, data.top_weight)
            quadratic.append((rows, data, w))
        D = F.copy()
        l1, l2 = F.dtype.type(penalty.l1), F.dtype.type(penalty.l2)
        kernels.descend_matrix(D, F.dtype.type(top) * G_L, R @ R.T, G.copy(), l1, l2, self.n_passes)
        D -= F
        curvature = penalty.l2 * float(np.vdot(D, D))
        for rows, data, w in quadratic:
            energies = data.energies(data.predict(L[rows], D @ R))
            curvature += float(np.sum(w * energies, dtype=np.float64))
        slope = float(np.vdot(D, G)) - penalty.l1 * float(D.sum()) - penalty.l2 * float(np.vdot(F, D))
        if curvature > 0 and slope > 0:
            shrinking = D < 0
            limit = float(np.min(F[shrinking] / -D[shrinking])) if shrinking.any() else np.inf
            D *= F.dtype.type(min(slope / curvature, limit))
            # What is left of an entry that reaches zero is rounding, and would bound the next step at 1.
            F[...] = np.where(10 * np.finfo(F.dtype).eps * F < F + D, F + D, 0)


class _BlasThreads:
    """The threads of the BLAS libraries of this process: one each while any fit is within, as before otherwise.

    Fits that run side by side share the limit, and the last to leave lifts it.  Entering and leaving may be interrupted
    anywhere and done again: `leave` after half an `enter`, or after half a `leave`, puts everything back.
    """

    def __init__(self) -> None:
        self.libraries = ThreadpoolController().select(user_api="blas").lib_controllers  # takes milliseconds
        self.before: list[int] = []
        self.within: set[object] = set()
        self.lock = threading.RLock()
        if hasattr(os, "register_at_fork"):  # in a child nobody but the forking thread is within
            os.register_at_fork(after_in_child=self._forked)

    def enter(self, fit: object) -> None:
        with self.lock:
            if not self.within:
                self.before = [library.num_threads for library in self.libraries]
            self.within.add(fit)
            for library in self.libraries:
                library.set_num_threads(1)

    def leave(self, fit: object) -> None:
        with self.lock:
            if fit in self.within and len(self.within) == 1:
                for library, n_threads in zip(self.libraries, self.before, strict=True):
                    library.set_num_threads(n_threads)
            self.within.discard(fit)

    def _forked(self) -> None:
        self.lock = threading.RLock()


@cache
def _blas_threads() -> _BlasThreads:
    return _BlasThreads()


class OneBlasThread:
    """One thread for BLAS within; put back whatever interrupts the way in or out."""

    def __init__(self) -> None:
        self.threads = _blas_threads()

    def __enter__(self) -> None:
        try:
            self.threads.enter(self)
        except BaseException:
            self.threads.leave(self)
            raise

    def __exit__(self, *error: object) -> None:
        try:
            self.threads.leave(self)
        except BaseException:
            self.threads.leave(self)
            raise
