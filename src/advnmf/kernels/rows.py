"""Compiled kernels: sums over rows, and coordinate descent on rows."""

from __future__ import annotations

import numpy as np

from .coordinates import FIXED, FREE, NONNEGATIVE
from .prefetch import prefetch
from .threads import compiled


@compiled
def _norm(x, p, w):
    """sum_j w_j (x_j - p_j)^2 in float64; a single weight serves all."""
    total = 0.0
    if len(w) == 1:
        for j in range(len(x)):
            e = np.float64(x[j] - p[j])
            total += e * e
        return total * w[0]
    for j in range(len(x)):
        e = np.float64(x[j] - p[j])
        total += e * e * w[j]
    return total


@compiled
def _split(x, p, w, c):
    """Sums of w (x - p)^2 where c p <= x, of w p^2 and of w x^2 elsewhere, in float64.

    Selecting the weight, not the sum, is what lets the loop vectorise.  A square may be beyond float32, and where the
    weight is 0 that must not count.
    """
    a, b, q = 0.0, 0.0, 0.0
    shared = len(w) == 1
    for j in range(len(x)):
        u = np.float64(w[0 if shared else j])
        clipped = u if c * p[j] > x[j] else 0.0
        kept = u - clipped
        e, predicted, value = np.float64(x[j] - p[j]), np.float64(p[j]), np.float64(x[j])
        a += kept * e * e
        b += clipped * predicted * predicted
        q += clipped * value * value
    return a, b, q


@compiled
def _at(numbers, i, k):
    """The number of an array of which a single row or column serves all."""
    return numbers[i if numbers.shape[0] > 1 else 0, k if numbers.shape[1] > 1 else 0]


@compiled
def _moved(old, slope, own, l1, l2, kind):
    """The minimiser of  own (x - old)^2 - 2 slope (x - old) + 2 l1 x + l2 x^2,  x >= 0 unless free.

    A coordinate that is held, or on which nothing depends (own + l2 = 0), stays.
    """
    curvature = own + l2
    if kind == FIXED or not curvature > 0:
        return old
    new = (own * old + slope - l1) / curvature
    return new if kind == FREE else max(old * 0, new)


@compiled
def _descend_row(a, B, w, e, h, c, i, l1, l2, kinds, n_passes):
    """Coordinate descent on one row ``a``:  c sum_j w_j (t_j - (a B)_j)^2 + sum_k (2 l1_ik a_k + l2_ik a_k^2).

    ``e = w (t - a B)`` is kept up to date; ``h`` is scratch.  With  g = sum_j e_j B_kj,  h_k = sum_j w_j B_kj^2  the
    minimiser of a nonnegative coordinate is  a_k <- max(0, (c (h_k a_k + g) - l1_ik) / (c h_k + l2_ik)).
    """
    K, m = B.shape
    zero = a.dtype.type(0)
    for n in range(n_passes):
        for k in range(K):
            g = zero
            if n == 0:
                square = zero
                for j in range(m):
                    g += e[j] * B[k, j]
                    square += w[j] * B[k, j] * B[k, j]
                h[k] = square
            else:
                for j in range(m):
                    g += e[j] * B[k, j]
            new = _moved(a[k], c * g, c * h[k], _at(l1, i, k), _at(l2, i, k), kinds[k])
            step = new - a[k]
            if step != 0:
                a[k] = new
                for j in range(m):
                    e[j] -= step * w[j] * B[k, j]


@compiled
def squared_norms(start, stop, X, P, omega, out):
    """out_i = sum_j omega_ij (X_ij - P_ij)^2; a single row of omega serves all."""
    shared = len(omega) == 1
    for i in range(start, stop):
        out[i] = _norm(X[i], P[i], omega[0 if shared else i])


@compiled
def clipped_sums(start, stop, X, P, omega, c, active, out):
    """out = (A, B, C) of `ResidualView.clipped_sums`; rows that are not active are left alone."""
    shared = len(omega) == 1
    for i in range(start, stop):
        if active[i]:
            out[0, i], out[1, i], out[2, i] = _split(X[i], P[i], omega[0 if shared else i], c[i])


@compiled
def weighted(start, stop, E, omega, out):
    """out = omega E."""
    for i in range(start, stop):
        for j in range(E.shape[1]):
            out[i, j] = E.dtype.type(omega[i, j]) * E[i, j]


@compiled
def errors(start, stop, X, P, b, omega, out):
    """P <- omega (P + b - X)  and  out_i = sum_j omega_ij (P_ij + b_j - X_ij)^2; a single row of omega serves all."""
    shared = len(omega) == 1
    for i in range(start, stop):
        w, total = omega[0 if shared else i], 0.0
        for j in range(P.shape[1]):
            e = P[i, j] + b[j] - X[i, j]
            P[i, j] = P.dtype.type(w[j]) * e
            total += np.float64(P[i, j]) * np.float64(e)
        out[i] = total


@compiled
def residuals(start, stop, X, P, omega, out):
    """P <- X - P  and  out_i = sum_j omega_ij (X_ij - P_ij)^2; a single row of omega serves all."""
    shared = len(omega) == 1
    for i in range(start, stop):
        w, total = omega[0 if shared else i], 0.0
        for j in range(P.shape[1]):
            e = np.float64(X[i, j] - P[i, j])
            P[i, j] = e
            total += w[j] * e * e
        out[i] = total


@compiled
def curvatures(start, stop, G, D, out):
    """out_i = sum_j G_ij D_ij^2."""
    for i in range(start, stop):
        total = 0.0
        for j in range(D.shape[1]):
            d = np.float64(D[i, j])
            total += G[i, j] * d * d
        out[i] = total


@compiled
def moved_residuals(start, stop, G, E, t, D):
    """E <- G (E - t D)."""
    for i in range(start, stop):
        for j in range(E.shape[1]):
            E[i, j] = G[i, j] * (E[i, j] - t * D[i, j])


@compiled
def descend_rows(start, stop, A, B, T, P, omega, row_weight, column_weight, l1, l2, kinds, n_passes):
    """`_descend_row` on each row of ``A``, with weights omega_ij c'_j and P = A B on entry."""
    K, m = B.shape
    w, e, h = np.empty(m, A.dtype), np.empty(m, A.dtype), np.empty(K, A.dtype)
    for i in range(start, stop):
        for j in range(m):
            w[j] = omega[i, j] * column_weight[j]
            e[j] = w[j] * (T[i, j] - P[i, j])
        _descend_row(A[i], B, w, e, h, row_weight[i], i, l1, l2, kinds, n_passes)


@compiled
def descend_gram(start, stop, A, G, C, row_weight, l1, l2, kinds, n_passes):
    """Coordinate descent on each row ``a`` of ``A``, in place:

    c_i (a G a' - 2 a C_i') + sum_k (2 l1_ik a_k + l2_ik a_k^2).

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
                new = _moved(A[i, k], c * g[k], c * G[k, k], _at(l1, i, k), _at(l2, i, k), kinds[k])
                step = new - A[i, k]
                if step != 0:
                    A[i, k] = new
                    for q in range(K):
                        g[q] -= step * G[k, q]


@compiled
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
                new = _moved(F[a, k], g[a, k], G_L[a, a] * G_R[k, k], l1, l2, NONNEGATIVE)
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


# --- stored entries of compressed rows: row i owns indptr[i]:indptr[i + 1] -----------------------------------------


# How many entries before it is needed a row is fetched, and the numbers in a line of the cache.
_AHEAD, _LINE = 12, 16
# Numbers in a vector of the processor.
_LANES = 8


@compiled
def _fetch(columns, indices, n):
    """Ask for the row of ``columns`` that the entry n + _AHEAD is going to need."""
    j = indices[min(n + _AHEAD, len(indices) - 1)]
    for k in range(0, columns.shape[1], _LINE):
        prefetch(columns, j, k)


@compiled
def sampled_product(start, stop, A, columns, indptr, indices, out):
    """out_n = sum_k A_ik B_kj at each stored entry (i, j); ``columns`` is B transposed."""
    K = A.shape[1]
    for i in range(start, stop):
        for n in range(indptr[i], indptr[i + 1]):
            j = indices[n]
            total = A.dtype.type(0)
            for k in range(K):
                total += A[i, k] * columns[j, k]
            out[n] = total


@compiled
def sparse_squared_norms(start, stop, X, P, omega, indptr, out):
    """out_i = sum over row i of omega (X - P)^2; a single omega serves all."""
    shared = len(omega) == 1
    for i in range(start, stop):
        first, last = indptr[i], indptr[i + 1]
        w = omega if shared else omega[first:last]
        # A row of one entry has one weight too, which is then its own.
        out[i] = _norm(X[first:last], P[first:last], w)


@compiled
def sparse_clipped_sums(start, stop, X, P, omega, indptr, c, active, out):
    """out = (A, B, C) of `ResidualView.clipped_sums`; rows that are not active are left alone."""
    shared = len(omega) == 1
    for i in range(start, stop):
        if active[i]:
            first, last = indptr[i], indptr[i + 1]
            w = omega if shared else omega[first:last]
            out[0, i], out[1, i], out[2, i] = _split(X[first:last], P[first:last], w, c[i])


@compiled
def sparse_descend_rows(
    start, stop, A, columns, T, P, omega, indptr, indices, row_weight, column_weight, l1, l2, kinds, n_passes
):
    """`_descend_row` on each row of ``A`` over its stored entries; ``columns`` is B transposed.

    The components at a row's entries are gathered once, transposed, so that the passes run along contiguous memory.
    """
    K, shared = A.shape[1], len(omega) == 1
    longest = 0
    for i in range(start, stop):
        longest = max(longest, indptr[i + 1] - indptr[i])
    longest += -longest % _LANES
    w_all, e_all, h = np.empty(longest, A.dtype), np.empty(longest, A.dtype), np.empty(K, A.dtype)
    gathered = np.empty(K * longest, A.dtype)
    for i in range(start, stop):
        first, m = indptr[i], indptr[i + 1] - indptr[i]
        # Zeros fill the last lanes of the processor's vectors: what is left over is handled one by one, and slowly.
        full = m + -m % _LANES
        w, e, B = w_all[:full], e_all[:full], gathered[: K * full].reshape(K, full)
        w[m:], e[m:], B[:, m:] = 0, 0, 0
        for q in range(m):
            n = first + q
            _fetch(columns, indices, n)
            j = indices[n]
            w[q] = omega[0 if shared else n] * column_weight[j]
            e[q] = w[q] * (T[n] - P[n])
            for k in range(K):
                B[k, q] = columns[j, k]
        _descend_row(A[i], B, w, e, h, row_weight[i], i, l1, l2, kinds, n_passes)
