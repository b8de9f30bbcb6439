"""Half-quadratic optimisation of the correntropy criterion: the two solvers of `HQASD`, and codes of new samples.

For a fixed width sigma each iteration maximises a touching lower bound, a weighted least squares problem with

    G = omega exp(-E^2 / (2 sigma^2)),      E = X - U V on the observed entries, 0 elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import eigh, qr, svd

from ...arrays.robust import interquartile_range
from ...data import DenseData, array_data
from ...engine.factors import Factors
from ...engine.loop import IterativeProcess
from ...kernels import rows as kernels
from ...kernels.threads import over_rows

Array = np.ndarray

# Entries of the r x r matrices of a block of samples: what least squares takes of memory.
_BLOCK_ENTRIES = 2**22
# The published second threshold counts after this many iterations.
_SETTLED = 10
# A row's reweighting ends once its reconstruction changes by less than this share, or after so many times.
_MAX_REWEIGHTINGS, _TOL_REWEIGHTINGS = 150, 1e-5
# In each reweighting the width of the kernel shrinks by this factor at least, and to so many times the scale of the
# residuals that still count.
_SHRINK, _ABOVE_RESIDUALS = 0.5**0.5, 2.0
# Ridges that are tried, one after the other, where a reconstruction leaves the bounds; the least is always there, in
# place of a pseudo-inverse.
_LEAST_RIDGE = 1e-10
_RIDGES = 10.0 ** np.arange(-7, 2, 2)
# How much more than the strongest the weakest direction of B is penalised.
_WEAKEST = 1e4
_LARGEST = 1e140
# Passes of coordinate descent over nonnegative codes: first, after each reweighting; and the change at which they end.
_FIRST_PASSES, _MORE_PASSES, _TOL_PASSES = 200, 10, 1e-7


def residual(data: DenseData, factors: Factors) -> tuple[Array, float]:
    """E = X - U V, whose values off the mask are to be multiplied by G = 0; and J = sqrt( sum of omega E^2 )."""
    E, squares = data.residuals(factors[0] @ factors[1])
    return E, float(np.sqrt(squares.sum()))


def weights(data: DenseData, E: Array, sigma: float | Array) -> Array:
    """G = omega exp(-E^2 / (2 sigma^2)); omega itself for an infinite sigma."""
    if np.ndim(sigma) == 0 and np.isinf(sigma):
        return data.weighted(np.ones_like(E))
    G = np.square(E)
    G *= -0.5 / sigma**2
    np.exp(G, out=G)
    return data.weighted(G)


class HalfQuadratic(IterativeProcess):
    """The process of `HQASD`: its phases, its widths and one of its two steps."""

    def __init__(
        self,
        data: DenseData,
        factors: Factors,
        advance: Callable[[DenseData, Factors, Array, float, float], None],
        eta: float,
        sigma_min: float,
        switch_tol: float,
        limit: float = np.inf,
    ) -> None:
        self.data = data
        self.factors = factors
        self.advance = advance
        self.eta = eta
        self.sigma_min = sigma_min
        self.switch_tol = switch_tol
        self.limit = limit
        self.sigma = np.inf
        self._robust = np.isinf(switch_tol)
        # J before the first iteration counts as 0 in the published rule.
        self._last: float | None = None

    def step(self) -> float:
        """One iteration; J on entry."""
        E, J = residual(self.data, self.factors)
        if self._last is not None and abs(J - self._last) < self.switch_tol:
            self._robust = True
        self._last = 0.0 if self._last is None else J
        if self._robust:
            self.sigma = max(self.eta * self._spread(E), self.sigma_min)
        self.advance(self.data, self.factors, E, self.sigma, self.limit)
        return J

    def objective(self) -> float:
        """J = sqrt( sum over observed of omega (X - U V)^2 )."""
        return residual(self.data, self.factors)[1]

    def converged(self, history: Sequence[float], tol: float) -> bool:
        """Whether J has settled."""
        return len(history) > _SETTLED + 1 and abs(history[-1] - history[-2]) < tol

    def spread(self) -> float:
        """Interquartile range of the observed residuals."""
        return self._spread(residual(self.data, self.factors)[0])

    def _spread(self, E: Array) -> float:
        return interquartile_range(self.data.observed_entries(E))


# --- scaled alternating steepest descent -------------------------------------------------------------------------


def steepest_descent(data: DenseData, factors: Factors, E: Array, sigma: float, limit: float = np.inf) -> None:
    """One scaled step for U, one for V, with the same weights G and exact line searches; `E` is used up.

    Its steps are small where little is observed: `limit` is left to `bounded`.

    With R = G E:  D = R V^T (V V^T)^+,  t = <R V^T, D> / sum G (D V)^2,  U <- U + t D;  then V likewise.
    """
    U, V = factors
    G = weights(data, E, sigma)
    N = (G * E) @ V.T
    D = N @ _pseudo_inverse(V @ V.T)
    move = D @ V
    t = _line_search(N, D, G, move)
    U += t * D
    over_rows(kernels.moved_residuals, len(E), E.size, G, E, t, move)
    N = U.T @ E
    D = _pseudo_inverse(U.T @ U) @ N
    V += _line_search(N, D, G, np.matmul(U, D, out=move)) * D


def _pseudo_inverse(gram: Array) -> Array:
    """The inverse of a symmetric nonnegative definite matrix on its range, whose inverse can be represented."""
    info = np.finfo(gram.dtype)
    values, vectors = eigh(gram)
    good = values > max(len(gram) * info.eps * values[-1], 1e3 * info.tiny)
    return (vectors[:, good] / values[good]) @ vectors[:, good].T


def _line_search(N: Array, D: Array, G: Array, move: Array) -> Array:
    """t = <N, D> / sum G move^2; 0 where there is nowhere to go."""
    sums = np.empty(len(move))
    over_rows(kernels.curvatures, len(move), move.size, G, move, sums)
    bottom = move.dtype.type(sums.sum())
    return np.vdot(N, D) / bottom if bottom > 0 else bottom


# --- alternating reweighted least squares ------------------------------------------------------------------------


def least_squares(data: DenseData, factors: Factors, E: Array, sigma: float, limit: float = np.inf) -> None:
    """Each row of U, then each column of V, by (reweighted) least squares; what has no entry stays as it is."""
    for A, B, part, seen in _sides(data, factors):
        some = np.flatnonzero(part.counts)
        A[some] = robust_codes(part.take(some), B[:, seen], sigma, limit, columns=seen)


def bounded(data: DenseData, factors: Factors, sigma: float, limit: float, *, nonnegative: bool = False) -> None:
    """Keep the reconstruction of what has entries within -limit ... limit: columns by themselves, then rows."""
    for A, B, part, seen in reversed(_sides(data, factors)):
        wild = np.flatnonzero((_sizes(A @ B[:, seen]) > limit) & (part.counts > 0))
        if wild.size:
            A[wild] = robust_codes(part.take(wild), B[:, seen], sigma, limit, nonnegative=nonnegative, columns=seen)


def _sides(data: DenseData, factors: Factors) -> list[tuple[Array, Array, DenseData, Array]]:
    """For rows and for columns: what is to be found, what is given, the data, and which of them have entries."""
    U, V = factors
    rows, columns = np.flatnonzero(data.counts), np.flatnonzero(data.column_counts)
    return [(U, V, data, columns), (V.T, U.T, data.T, rows)]


def robust_codes(
    data: DenseData,
    B: Array,
    sigma: float,
    limit: float | Array = np.inf,
    *,
    nonnegative: bool = False,
    columns: Array | None = None,
) -> Array:
    """argmax over u_i of  sum_j omega_ij exp(-(x_ij - u_i B_j)^2 / (2 sigma^2))  for each row, from least squares.

    The width of the kernel begins at the scale of each row's own residuals, where all its entries count, and narrows
    until it is sigma: at once, a row with gross errors would lose all its weights, or follow a few entries that happen
    to be near.  Where entries do not determine a code it is the one of smallest reconstruction; where this leaves
    -limit ... limit (one number, or one a row) a ridge keeps it within.  Each row stops by itself, so none depends on
    the others.  ``B`` may be given at some `columns` of the data only.
    """
    n, m = data.shape
    columns = slice(None) if columns is None or len(columns) == m else columns
    basis, back, prior = _coordinates(B, nonnegative)
    if not len(basis):
        return np.zeros((n, len(B)), data.dtype)
    solve = _solve_nonnegative if nonnegative else _solve
    step = max(1, _BLOCK_ENTRIES // max(1, len(basis)) ** 2)
    limits = np.broadcast_to(np.asarray(limit, np.float64), n)
    codes = np.empty((n, len(B)), data.dtype)
    for start in range(0, n, step):
        rows = slice(start, min(n, start + step))
        codes[rows] = _bounded_block(_in_float64(data, rows, columns), basis, prior, solve, sigma, limits[rows]) @ back
    return codes


def _coordinates(B: Array, nonnegative: bool) -> tuple[Array, Array, Array]:
    """(Q, T, p) with rows of Q orthonormal and  t Q = (t T) B:  least squares for t are well conditioned whatever B is.

    The ridge ``sum_k p_k t_k^2`` is that of the code t T, relative to the strongest direction of B, but for directions
    that are very weak.
    B itself, with a mean square norm of 1, where codes are to be nonnegative.
    """
    eps, B = float(np.finfo(B.dtype).eps), B.astype(np.float64)
    if nonnegative:
        unit = np.linalg.norm(B) / len(B) ** 0.5 or 1.0
        return B / unit, np.eye(len(B)) / unit, np.ones(len(B))
    Q, R = qr(B.T, mode="economic")
    left, sizes, right = svd(R)
    # Weaker directions would ask codes that the precision of the data cannot multiply out.
    rank = int(np.sum(sizes > eps**0.5 * sizes[:1]))
    sizes = sizes[:rank]
    prior = np.minimum(np.square(sizes[:1] / sizes), _WEAKEST)
    return (Q @ left[:, :rank]).T, right[:rank] / sizes[:, None], prior


def _in_float64(data: DenseData, rows: slice, columns: slice | Array) -> DenseData:
    """Some rows and columns in float64; the weights of each row divided by the largest."""
    # What is larger is a gross error anyway, and has a square.
    values = np.clip(data.values[rows][:, columns].astype(np.float64), -_LARGEST, _LARGEST)
    if data.complete:
        return array_data(values)
    omega = data.omega[rows][:, columns]
    if omega.dtype == np.uint8:
        return array_data(values, omega)
    top = omega.max(axis=1, keepdims=True, initial=0).astype(np.float64)
    return array_data(values, omega / np.where(top > 0, top, 1.0))


def _bounded_block(data: DenseData, B: Array, prior: Array, solve: Callable, sigma: float, limit: Array) -> Array:
    """`robust_codes` of few rows: with the least of some ridges that keeps a row's reconstruction within its limit."""
    outer = (B[:, None, :] * B[None, :, :]).reshape(len(B) ** 2, -1).T
    codes = _robust_block(data, B, outer, solve, sigma, _LEAST_RIDGE * prior)
    wild = np.flatnonzero(_sizes(codes @ B) > limit)
    for ridge in _RIDGES:
        if not wild.size:
            return codes
        codes[wild] = _robust_block(data.take(wild), B, outer, solve, sigma, ridge * prior)
        wild = wild[_sizes(codes[wild] @ B) > limit[wild]]
    codes[wild] *= (limit[wild] / _sizes(codes[wild] @ B))[:, None]
    return codes


def _sizes(P: Array) -> Array:
    """The largest absolute value of each row."""
    return np.abs(P).max(axis=1, initial=0)


def _robust_block(data: DenseData, B: Array, outer: Array, solve: Callable, sigma: float, ridge: Array) -> Array:
    """`robust_codes` of few rows with one ridge; `outer` holds b_j b_j^T."""
    G = weights(data, data.values, np.inf)
    codes = solve(data, B, outer, G, ridge)
    if np.isinf(sigma):
        return codes
    active, part, P = np.arange(len(codes)), data, codes @ B
    width = _scale(G, data.values - P)
    for _ in range(_MAX_REWEIGHTINGS):
        G = weights(part, part.values - P, np.maximum(sigma, width)[:, None])
        some = G.any(axis=1)
        codes[active[some]] = solve(part, B, outer, G, ridge, codes[active])[some]
        before, P = P, codes[active] @ B
        moved = np.linalg.norm(P - before, axis=1) > _TOL_REWEIGHTINGS * np.linalg.norm(before, axis=1)
        going = moved | (width > sigma)
        if not going.any():
            break
        width = np.minimum(_SHRINK * width, _ABOVE_RESIDUALS * _scale(G, part.values - P))[going]
        active, P, part = active[going], P[going], part if going.all() else part.take(going)
    return codes


def _scale(G: Array, E: Array) -> Array:
    """Root of the mean square of each row's residuals, as far as they count."""
    total = G.sum(axis=1)
    return np.sqrt((G * np.square(E)).sum(axis=1) / np.where(total > 0, total, 1.0))


def _normal_equations(data: DenseData, B: Array, outer: Array, G: Array, ridge: Array) -> tuple[Array, Array]:
    """(sum_j g_ij b_j b_j^T + diag(ridge), sum_j g_ij x_ij b_j) for each row."""
    r = len(B)
    A = (G @ outer).reshape(-1, r, r)
    np.einsum("ikk->ik", A)[...] += ridge
    return A, (G * data.values) @ B.T


def _solve(data: DenseData, B: Array, outer: Array, G: Array, ridge: Array, start: Array | None = None) -> Array:
    """u_i = (sum_j g_ij b_j b_j^T + diag(ridge))^-1 sum_j g_ij x_ij b_j for each row."""
    A, b = _normal_equations(data, B, outer, G, ridge)
    return np.linalg.solve(A, b[:, :, None])[:, :, 0]


def _solve_nonnegative(
    data: DenseData, B: Array, outer: Array, G: Array, ridge: Array, start: Array | None = None
) -> Array:
    """The same over u_i >= 0, by coordinate descent on all rows at once from some codes; rows that are done leave."""
    A, b = _normal_equations(data, B, outer, G, ridge)
    codes = np.maximum(np.linalg.solve(A, b[:, :, None])[:, :, 0], 0) if start is None else start.copy()
    rows = np.arange(len(b))
    for _ in range(_FIRST_PASSES if start is None else _MORE_PASSES):
        before, A_rows, b_rows = codes[rows], A[rows], b[rows]
        current = before.copy()
        for k in range(len(B)):
            slope = b_rows[:, k] - np.einsum("ik,ik->i", A_rows[:, k], current)
            current[:, k] = np.maximum(current[:, k] + slope / A_rows[:, k, k], 0)
        codes[rows] = current
        rows = rows[np.abs(current - before).sum(axis=1) > _TOL_PASSES * current.sum(axis=1)]
        if not rows.size:
            break
    return codes
