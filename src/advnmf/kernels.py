"""Compiled kernels over rows, and the sharing of rows among threads.

A kernel handles rows ``start..stop`` and releases the interpreter lock; `over_rows` gives each thread a run of rows.
Rows do not depend on each other, so the result is the same for every number of threads (set with
``numba.set_num_threads``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

import numba
import numpy as np

# Sums may be reordered (that is what vectorises them); NaN and infinities keep their meaning.
_FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
# Below this many multiply-adds a thread costs more than it saves (about 100 us to start one).
_SERIAL_WORK = 1_000_000


def _kernel(function: Callable) -> Callable:
    try:
        return numba.njit(function, nogil=True, cache=True, fastmath=_FASTMATH)
    except RuntimeError:  # no folder to cache in: compile anew in each process
        return numba.njit(function, nogil=True, fastmath=_FASTMATH)


def over_rows(kernel: Callable, n_rows: int, work: float, *args: object) -> None:
    """Run ``kernel(start, stop, *args)`` over all rows, on as many threads as `work` multiply-adds are worth."""
    n_threads = max(1, min(numba.get_num_threads(), n_rows, int(work // _SERIAL_WORK)))
    edges = np.linspace(0, n_rows, n_threads + 1).astype(np.int64)
    failures: list[BaseException] = []

    def run(start: int, stop: int) -> None:
        try:
            kernel(start, stop, *args)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in pairwise(edges[1:])]
    for thread in threads:
        thread.start()
    try:
        kernel(edges[0], edges[1], *args)
    finally:
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


@_kernel
def squared_norms(start, stop, X, P, omega, out):
    """out_i = sum_j omega_ij (X_ij - P_ij)^2, accumulated in float64; a single row of omega serves all."""
    shared = len(omega) == 1
    for i in range(start, stop):
        w = omega[0 if shared else i]
        total = 0.0
        for j in range(X.shape[1]):
            e = np.float64(X[i, j] - P[i, j])
            total += e * e * w[j]
        out[i] = total


@_kernel
def clipped_sums(start, stop, X, P, omega, c, active, out):
    """out = (A, B, C): sums of omega (X - P)^2 where c_i P <= X, of omega P^2 and of omega X^2 elsewhere, in float64.

    Rows that are not active are left alone.  Selecting the weight, not the sum, is what lets the loop vectorise.
    """
    shared = len(omega) == 1
    zero = X.dtype.type(0)
    for i in range(start, stop):
        if active[i]:
            w = omega[0 if shared else i]
            a, b, q = 0.0, 0.0, 0.0
            for j in range(X.shape[1]):
                x, p, u = X[i, j], P[i, j], X.dtype.type(w[j])
                clipped = u if c[i] * p > x else zero
                kept = u - clipped
                a += np.float64(kept * (x - p) * (x - p))
                b += np.float64(clipped * p * p)
                q += np.float64(clipped * x * x)
            out[0, i], out[1, i], out[2, i] = a, b, q


@_kernel
def weighted(start, stop, E, omega, out):
    """Out = omega E."""
    for i in range(start, stop):
        for j in range(E.shape[1]):
            out[i, j] = E.dtype.type(omega[i, j]) * E[i, j]


@_kernel
def descend_rows(start, stop, A, B, T, P, omega, row_weight, column_weight, l1, l2, n_passes):
    """Coordinate descent on each row ``a`` of ``A``, in place:

    min_{a >= 0}  c_i sum_j omega_ij c'_j (T_ij - (a B)_j)^2 + 2 l1 sum(a) + l2 sum(a^2),

    starting with ``P = A B``.  The coordinate minimiser is  a_k <- max(0, (c (h a_k + g) - l1) / (c h + l2))  with
    g = sum_j omega c' (T - aB)_j B_kj  and  h = sum_j omega c' B_kj^2.  A coordinate on which nothing depends (c h +
    l2 = 0) stays.
    """
    K, m = B.shape
    w = np.empty(m, A.dtype)
    e = np.empty(m, A.dtype)
    h = np.empty(K, A.dtype)
    for i in range(start, stop):
        for j in range(m):
            w[j] = omega[i, j] * column_weight[j]
            e[j] = w[j] * (T[i, j] - P[i, j])
        c = row_weight[i]
        for n in range(n_passes):
            for k in range(K):
                g = A.dtype.type(0)
                if n == 0:
                    square = A.dtype.type(0)
                    for j in range(m):
                        g += e[j] * B[k, j]
                        square += w[j] * B[k, j] * B[k, j]
                    h[k] = square
                else:
                    for j in range(m):
                        g += e[j] * B[k, j]
                curvature = c * h[k] + l2
                if curvature > 0:
                    old = A[i, k]
                    new = max(A.dtype.type(0), (c * (h[k] * old + g) - l1) / curvature)
                    step = new - old
                    if step != 0:
                        A[i, k] = new
                        for j in range(m):
                            e[j] -= step * w[j] * B[k, j]


@_kernel
def descend_gram(start, stop, A, G, C, row_weight, l1, l2, n_passes):
    """Coordinate descent on each row ``a`` of ``A``, in place:

    min_{a >= 0}  c_i (a G a' - 2 a C_i') + 2 l1 sum(a) + l2 sum(a^2).

    The quadratic of complete data, where all rows share ``G = B B'`` and ``C = T B'``.
    """
    K = G.shape[0]
    g = np.empty(K, A.dtype)
    for i in range(start, stop):
        for k in range(K):
            g[k] = C[i, k]
        for k in range(K):
            if A[i, k] != 0:
                for q in range(K):
                    g[q] -= A[i, k] * G[k, q]
        c = row_weight[i]
        for _ in range(n_passes):
            for k in range(K):
                curvature = c * G[k, k] + l2
                if curvature > 0:
                    old = A[i, k]
                    new = max(A.dtype.type(0), (c * (G[k, k] * old + g[k]) - l1) / curvature)
                    step = new - old
                    if step != 0:
                        A[i, k] = new
                        for q in range(K):
                            g[q] -= step * G[k, q]


@_kernel
def descend_matrix(F, G_L, G_R, g, l1, l2, n_passes):
    """Coordinate descent on a whole matrix, row by row and in place, from F0 = F:

    min_{F >= 0}  tr((F - F0)' G_L (F - F0) G_R) - 2 <g, F - F0> + 2 l1 sum(F) + l2 sum(F^2);  g is used up.
    """
    r, s = F.shape
    moved = np.empty(s, F.dtype)
    for a in range(r):
        moved[:] = 0
        for _ in range(n_passes):
            for k in range(s):
                own = G_L[a, a] * G_R[k, k]
                if own + l2 > 0:
                    new = max(F.dtype.type(0), (own * F[a, k] + g[a, k] - l1) / (own + l2))
                    step = new - F[a, k]
                    if step != 0:
                        F[a, k] = new
                        for q in range(s):
                            change = step * G_R[k, q]
                            moved[q] += change
                            g[a, q] -= G_L[a, a] * change
        for b in range(a + 1, r):  # rows before have had their turn
            for q in range(s):
                g[b, q] -= G_L[b, a] * moved[q]
