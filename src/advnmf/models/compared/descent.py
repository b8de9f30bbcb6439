"""Descent of `DMF` by iRprop+: over network and codes together, and over the codes of new samples alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...arrays.namespaces import Array, as_like, concat, namespace
from ...data import DenseData
from ...engine.loop import IterativeProcess
from .irprop import IRprop
from .network import Network, latent_gradient, predict, sample_losses, value_and_gradients

# The published least gradient.
_FLAT = 1e-8


class Descent(IterativeProcess):
    """The process of `DMF`: iRprop+ over network and codes, and the best iterate so far."""

    def __init__(self, data: DenseData, net: Network, alpha_weights: float, alpha_latent: float, goal: float) -> None:
        self.data = data
        self.net = net
        self.Z = data.constant((data.shape[0], net.coefs[0].shape[0]), 0.0, data.dtype)
        self.penalties = alpha_weights, alpha_latent
        # Samples without an observed entry have no influence.
        self.n = max(1, int(np.count_nonzero(data.counts)))
        self.goal = goal
        self.best: tuple[float, Network, Array] = (np.inf, net, self.Z)
        self._rprop = IRprop([*net.parameters, self.Z])
        self._largest = np.inf

    def step(self) -> float:
        """One move; f on entry."""
        f, gradients = self._look()
        xp = namespace(self.Z)
        self._largest = float(xp.max(xp.stack([xp.max(xp.abs(g)) for g in gradients])))
        self._rprop.move([*self.net.parameters, self.Z], gradients, f)
        return f

    def objective(self) -> float:
        """F as things stand."""
        return self._look()[0]

    def converged(self, history: Sequence[float], tol: float) -> bool:
        """The published rules: low enough, hardly lower, or flat."""
        gain = history[-2] - history[-1] if len(history) > 1 else np.inf
        return history[-1] < self.goal or 0 < gain < tol or self._largest < _FLAT

    def _look(self) -> tuple[float, list[Array]]:
        """F with its gradients, remembered if it is the lowest so far."""
        f, gradients, G = value_and_gradients(self.data, self.net, self.Z, *self.penalties, self.n)
        if f < self.best[0]:
            self.best = f, self.net.copy(), self.Z + 0
        return f, [*gradients, G]


def nearest_codes(data: DenseData, net: Network, candidates: Array) -> Array:
    """For each row the candidate whose output is nearest to it: argmin over k of sum_j omega_ij (x_ij - p_kj)^2."""
    xp, P = namespace(candidates), predict(net, candidates)
    distances = data.weighted(xp.ones_like(data.values)) @ (P * P).T - 2 * data.weighted(data.values) @ P.T
    return xp.take(candidates, xp.argmin(distances, axis=1), axis=0)


def latent_codes(
    data: DenseData, net: Network, start: Array, alpha_latent: float, max_iter: int, tol: float, goal: float
) -> Array:
    """argmin over z_i of 1/2 sum_j omega (x_ij - net(z_i)_j)^2 + alpha_latent/2 ||z_i||^2, each row by itself.

    Converged rows are removed from the batch; the order is restored at the end.
    """
    xp, Z = namespace(start), start + 0
    best, lowest, before = Z, data.full(np.inf), data.full(np.inf)
    rows, done, rprop = as_like(np.arange(Z.shape[0]), Z), [], IRprop([Z])
    for _ in range(max_iter + 1):
        f, D, A = sample_losses(data, net, Z, alpha_latent)
        G = latent_gradient(net, Z, A, D, alpha_latent)
        better = f < lowest
        best, lowest = xp.where(better[:, None], Z, best), xp.where(better, f, lowest)
        gain = before - f
        going = ~((f < goal) | ((gain > 0) & (gain < tol)) | (xp.max(xp.abs(G), axis=1) < _FLAT))
        if not xp.any(going):
            break
        if not xp.all(going):
            ended, going = xp.nonzero(~going)[0], xp.nonzero(going)[0]
            done.append((xp.take(rows, ended), xp.take(best, ended, axis=0)))
            rows, f, lowest = (xp.take(a, going) for a in (rows, f, lowest))
            Z, G, best = (xp.take(a, going, axis=0) for a in (Z, G, best))
            data = data.take(going)
            rprop.keep(going)
        rprop.move([Z], [G], f[:, None])
        before = f
    rows, codes = (concat(pieces) for pieces in zip(*done, (rows, best), strict=True))
    return xp.take(codes, xp.argsort(rows), axis=0)
