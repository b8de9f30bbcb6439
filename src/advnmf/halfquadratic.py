"""Half-quadratic optimisation of the correntropy criterion: the two solvers of `HQASD`, and codes of new samples.

For a fixed width sigma each iteration maximises a touching lower bound, a weighted least squares problem with

    G = omega exp(-E^2 / (2 sigma^2)),      E = X - U V on the observed entries, 0 elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import eigh

from . import kernels
from .data import DenseData
from .factors import Factors
from .robust import interquartile_range

Array = np.ndarray

# Entries of the r x r matrices of a block of samples: what least squares takes of memory.
_BLOCK_ENTRIES = 2**22
# The published second threshold counts after this many iterations.
_SETTLED = 10
# The published limits of reweighted least squares.
_MAX_REWEIGHTINGS, _TOL_REWEIGHTINGS = 100, 1e-5


def residual(data: DenseData, factors: Factors) -> tuple[Array, float]:
    """E = X - U V, whose values off the mask are to be multiplied by G = 0; and J = sqrt( sum of omega E^2 )."""
    E, squares = data.residuals(factors[0] @ factors[1])
    return E, float(np.sqrt(squares.sum()))


def weights(data: DenseData, E: Array, sigma: float | Array) -> Array:
    """G = omega exp(-E^2 / (2 sigma^2)); omega itself for an infinite sigma."""
    if np.ndim(sigma) == 0 and np.isinf(sigma):
        return np.ones_like(E) if data.omega is None else data.omega.astype(E.dtype)
    G = np.square(E)
    G *= -0.5 / sigma**2
    np.exp(G, out=G)
    return G if data.omega is None else np.multiply(G, data.omega, out=G)


class HalfQuadratic:
    """The process of `HQASD`: its phases, its widths and one of its two steps (see `iterate` in `loop`)."""

    def __init__(
        self,
        data: DenseData,
        factors: Factors,
        advance: Callable[[DenseData, Factors, Array, float], None],
        eta: float,
        sigma_min: float,
        switch_tol: float,
    ) -> None:
        self.data = data
        self.factors = factors
        self.advance = advance
        self.eta = eta
        self.sigma_min = sigma_min
        self.switch_tol = switch_tol
        self.sigma = np.inf
        self._observed = slice(None) if data.omega is None else np.flatnonzero(data.omega)
        self._robust = False
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
        self.advance(self.data, self.factors, E, self.sigma)
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
        return interquartile_range(E.ravel()[self._observed])


# --- scaled alternating steepest descent -------------------------------------------------------------------------


def steepest_descent(data: DenseData, factors: Factors, E: Array, sigma: float) -> None:
    """One scaled step for U, one for V, with the same weights G and exact line searches; `E` is used up.

    With R = G E:  D = R V^T (V V^T)^+,  t = <R V^T, D> / sum G (D V)^2,  U <- U + t D;  then V likewise.
    """
    U, V = factors
    G = weights(data, E, sigma)
    N = (G * E) @ V.T
    D = N @ _pseudo_inverse(V @ V.T)
    move = D @ V
    t = _line_search(N, D, G, move)
    U += t * D
    kernels.over_rows(kernels.moved_residuals, len(E), E.size, G, E, t, move)
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
    kernels.over_rows(kernels.curvatures, len(move), move.size, G, move, sums)
    bottom = move.dtype.type(sums.sum())
    return np.vdot(N, D) / bottom if bottom > 0 else bottom


# --- alternating reweighted least squares ------------------------------------------------------------------------


def least_squares(data: DenseData, factors: Factors, E: Array, sigma: float) -> None:
    """Each row of U, then each column of V, by (reweighted) least squares.

    Rows and columns with no more observed entries than the rank stay as they are.
    """
    U, V = factors
    for rows, B, part in ((U, V, data), (V.T, U.T, data.T)):
        enough = np.flatnonzero(part.counts > len(B))
        rows[enough] = robust_codes(part.take(enough), B, sigma)


def robust_codes(data: DenseData, B: Array, sigma: float) -> Array:
    """argmax over u_i of  sum_j omega_ij exp(-(x_ij - u_i B_j)^2 / (2 sigma^2))  for each row, from least squares.

    The first reweighting takes sigma^2 as half of the row's mean square residual, if that is more than sigma^2.  Each
    row stops by itself, so none depends on the others.
    """
    n, r = data.shape[0], len(B)
    codes = np.empty((n, r), data.dtype)
    outer = (B[:, None, :] * B[None, :, :]).reshape(r * r, -1).T
    step = max(1, _BLOCK_ENTRIES // (r * r))
    for start in range(0, n, step):
        rows = slice(start, min(n, start + step))
        codes[rows] = _robust_block(data.take(rows), B, outer, sigma)
    return codes


def _robust_block(data: DenseData, B: Array, outer: Array, sigma: float) -> Array:
    """`robust_codes` of few rows; `outer` holds b_j b_j^T.

    The width starts at each row's own scale and halves until it is sigma: at once, a row that lies far off would lose
    all its weights, or follow a few entries that happen to be near.
    """
    codes = _solve(data, B, outer, weights(data, data.values, np.inf))
    if np.isinf(sigma):
        return codes
    scale = np.sqrt(data.squared_norms(codes @ B) / np.maximum(data.counts, 1) / 2)
    active, part, current = np.arange(len(codes)), data, codes.copy()
    for count in range(_MAX_REWEIGHTINGS):
        width = np.maximum(sigma, scale[active] * 0.5**count)
        G = weights(part, residual(part, [current, B])[0], width[:, None].astype(current.dtype))
        renewed = np.where(G.any(axis=1, keepdims=True), _solve(part, B, outer, G), current)
        change = np.linalg.norm(renewed - current, axis=1)
        going = (change > _TOL_REWEIGHTINGS * np.linalg.norm(current, axis=1)) | (width > sigma)
        codes[active] = renewed
        if not going.any():
            break
        active, part, current = active[going], part if going.all() else part.take(going), renewed[going]
    return codes


def _solve(data: DenseData, B: Array, outer: Array, G: Array) -> Array:
    """u_i = (sum_j g_ij b_j b_j^T)^-1 sum_j g_ij x_ij b_j for each row.

    A ridge at the level of rounding, relative to the trace, stands for a pseudo-inverse.
    """
    r = len(B)
    A = (G @ outer).reshape(-1, r, r).astype(np.float64)
    b = ((G * data.values) @ B.T).astype(np.float64)
    diagonal = np.einsum("ikk->ik", A)
    ridge = 10 * np.finfo(data.dtype).eps * diagonal.sum(axis=1, keepdims=True)
    diagonal += np.where(ridge > 0, ridge, 1.0)
    return np.linalg.solve(A, b[:, :, None])[:, :, 0].astype(data.dtype)
