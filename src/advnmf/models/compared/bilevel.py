"""The bilevel problem of `ANMF` and its alternating direction method of multipliers (ADMM).

Written for X ~ H W with samples in rows: H is the transpose of the paper's X, W that of its A, the data those of its Y.

    follower:  B(H, W) = argmin_B ||H B - Z||^2 + lambda ||B - W||^2 = S (lambda W + H' Z),   S = (H' H + lambda I)^-1
    leader:    min over H, W >= 0   (1 - beta) ||H W - Y||^2 + beta ||H B(H, W) - Y||^2

Why it bites: H B = H W - Pi (H W - Z) with Pi = H S H', so the attack moves the prediction towards Z within the span
of the codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve

from ...data import DenseData
from ...engine.loop import IterativeProcess

Array = np.ndarray

# Residual balancing: rho changes by this factor where the residuals are further apart than that, every so often, and
# stays within this share of where it began.  Residuals that are near each other but do not fall are those of a cycle,
# which the problem, not being convex, has for low penalties: rho grows then too.
_FACTOR, _APART, _EVERY, _FARTHEST = 2.0, 2.0, 10, 2.0**13


@dataclass(frozen=True)
class Game:
    """The data of leader and follower, and what missing entries mean to them.

    "ignore": each loss is restricted to the observed entries, by filling its holes with its own prediction (a touching
    majoriser).  "complete": one completed matrix, (1 - beta) H W + beta H B in the holes, serves both.  "zero": holes
    are zeros.  The follower's target Z has no holes to aim at either: they are filled with H B, or zero.
    """

    data: DenseData
    target: Array
    missing: str
    beta: float
    attack_weight: float
    exact: bool

    def follow(self, H: Array, W: Array, HZ: Array) -> Array:
        """B = S (lambda W + H' Z), given H' Z."""
        return self._solve_attacked(H.T @ H, self.attack_weight * W + HZ)

    def aim(self, H: Array, B: Array) -> Array:
        """Z, its holes filled with the follower's prediction."""
        return self._fill(self.target, H @ B) if self._holes else self.target

    def complete(self, P: Array, Q: Array) -> tuple[Array, Array]:
        """The data that the clean prediction P = H W and the attacked one Q = H B are compared with."""
        X = self.data.values
        if not self._holes:
            return X, X
        if self.missing == "complete":
            Y = self._fill(X, (1 - self.beta) * P + self.beta * Q)
            return Y, Y
        return self._fill(X, P), self._fill(X, Q)

    def loss(self, P: Array, Q: Array) -> float:
        """The leader's objective."""
        clean, attacked = self.data.squared_norms(P).sum(), self.data.squared_norms(Q).sum()
        return float((1 - self.beta) * clean + self.beta * attacked)

    def best_W(self, H: Array, HY: Array, HY_attacked: Array, HZ: Array, rho: float, V: Array) -> Array:
        """argmin over W of the leader's objective + rho ||W - V||^2 / 2.

        The exact leader knows that B moves with W: dB/dW = lambda S.  In the Nash variant B is given.
        """
        G, lam, beta = H.T @ H, self.attack_weight, self.beta
        A = 2 * (1 - beta) * G
        b = 2 * (1 - beta) * HY + rho * V
        if self.exact:
            SG = self._solve_attacked(G, G)
            A += 2 * beta * lam**2 * self._solve_attacked(G, SG.T)
            b += 2 * beta * lam * self._solve_attacked(G, HY_attacked - SG.T @ HZ)
        return _solve_shifted(A, rho, b)

    def best_H(self, Y: Array, Y_attacked: Array, W: Array, B: Array, rho: float, V: Array) -> Array:
        """argmin over H of the leader's objective with B given + rho ||H - V||^2 / 2."""
        c, a = 2 * (1 - self.beta), 2 * self.beta
        A = c * (W @ W.T) + a * (B @ B.T)
        b = Y @ (c * W + a * B).T if Y is Y_attacked else Y @ (c * W).T + Y_attacked @ (a * B).T
        return _solve_shifted(A, rho, (b + rho * V).T).T

    def _solve_attacked(self, G: Array, R: Array) -> Array:
        """S R."""
        return _solve_shifted(G, self.attack_weight, R)

    @property
    def _holes(self) -> bool:
        return self.missing != "zero" and not self.data.complete

    def _fill(self, X: Array, P: Array) -> Array:
        """omega X + (1 - omega) P, with weights omega of at most 1."""
        omega = self.data.omega
        if omega.dtype == np.uint8:
            return np.where(omega, X, P)
        return P + omega * (X - P)


class ADMM(IterativeProcess):
    """The process of `ANMF`: splits W = P >= 0 and H = T >= 0, scaled duals.

    The feasible pair (T, P) is renewed in place.  `residuals` holds, after each iteration, the primal one, the larger
    of ||W - P|| / ||P|| and ||H - T|| / ||T||, and the dual one, the larger relative change of P and T.
    """

    def __init__(self, game: Game, T: Array, P: Array, rho: float, adapt: bool) -> None:
        self.game = game
        self.T, self.P = T, P
        self.H, self.W = T.copy(), P.copy()
        self.dual_H, self.dual_W = np.zeros_like(T), np.zeros_like(P)
        # On the scale of the quadratics that they are added to.
        self.rho_W = rho * float(np.square(T).sum(axis=0).mean())
        self.rho_H = rho * float(np.square(P).sum(axis=1).mean())
        self.adapt = adapt
        self._first = self.rho_W, self.rho_H
        # The larger residual of either split when the penalties were last looked at.
        self._before = np.inf, np.inf
        self.B = P.copy()
        self.residuals: list[tuple[float, float]] = []

    def step(self) -> float:
        """One iteration; the leader's objective on entry, with the follower's answer to it."""
        game, H = self.game, self.H
        Z = game.aim(H, self.B)
        HZ = H.T @ Z
        self.B = game.follow(H, self.W, HZ)
        P, Q = H @ self.W, H @ self.B
        objective = game.loss(P, Q)
        Y, Y_attacked = game.complete(P, Q)
        HY = H.T @ Y
        HY_attacked = HY if Y is Y_attacked else H.T @ Y_attacked
        self.W = game.best_W(H, HY, HY_attacked, HZ, self.rho_W, self.P - self.dual_W)
        self.B = game.follow(H, self.W, HZ)
        self.H = game.best_H(Y, Y_attacked, self.W, self.B, self.rho_H, self.T - self.dual_H)
        self._renew_splits()
        return objective

    def objective(self) -> float:
        """The leader's objective of the feasible pair (T, P), which is what the model keeps; `answer` is B there."""
        Z = self.game.aim(self.T, self.B)
        self.answer = self.game.follow(self.T, self.P, self.T.T @ Z)
        return self.game.loss(self.T @ self.P, self.T @ self.answer)

    def converged(self, history: Sequence[float], tol: float) -> bool:
        """Whether both residuals are below `tol`."""
        return max(self.residuals[-1]) < tol

    def _renew_splits(self) -> None:
        """P = max(W + dual, 0), T likewise; then the duals, the residuals, and the penalties by balancing these."""
        primal_W, change_W = _split(self.W, self.P, self.dual_W)
        primal_H, change_H = _split(self.H, self.T, self.dual_H)
        self.residuals.append((max(primal_W, primal_H), max(change_W, change_H)))
        if self.adapt and len(self.residuals) % _EVERY == 0:
            self.rho_W = _balance(self.rho_W, self._first[0], primal_W, change_W, self._before[0], self.dual_W)
            self.rho_H = _balance(self.rho_H, self._first[1], primal_H, change_H, self._before[1], self.dual_H)
            self._before = max(primal_W, change_W), max(primal_H, change_H)


def _split(F: Array, split: Array, dual: Array) -> tuple[float, float]:
    """Renew a split and its dual in place; the relative primal residual, and the relative change of the split."""
    new = np.maximum(F + dual, 0)
    change = np.linalg.norm(new - split)
    split[...] = new
    dual += F - split
    scale = max(float(np.linalg.norm(split)), float(np.linalg.norm(F)))
    return (float(np.linalg.norm(F - split)) / scale, float(change) / scale) if scale > 0 else (0.0, 0.0)


def _balance(rho: float, first: float, primal: float, change: float, before: float, dual: Array) -> float:
    """The penalty to go on with; the scaled dual is adapted to it in place."""
    if change > _APART * primal:
        new = rho / _FACTOR
    elif primal > _APART * change or max(primal, change) >= before:
        new = rho * _FACTOR
    else:
        return rho
    if not first / _FARTHEST <= new <= first * _FARTHEST:
        return rho
    dual *= rho / new
    return new


def _solve_shifted(A: Array, shift: float, b: Array) -> Array:
    """(A + shift I)^-1 b of a symmetric nonnegative definite A; a small shift is lifted above the level of rounding."""
    least = 100 * np.finfo(A.dtype).eps * float(np.trace(A)) or 1.0
    shifted = A + np.eye(len(A), dtype=A.dtype) * A.dtype.type(max(shift, least))
    return solve(shifted, b, assume_a="pos")
