"""The models of the two studies: `NMF` with other defaults."""

from __future__ import annotations

import numpy as np

from ..adversaries import FrobeniusPenalty
from ..engine.loop import Callback
from ..losses import Elastic, Frobenius, Loss
from ..solvers import Solver
from .nmf import NMF, Layers


class ATNMF(NMF):
    """Adversarially trained NMF: `NMF` against ``FrobeniusPenalty(lam)`` under squares.

        min over W, H >= 0   max over R, X + R >= 0    sum over observed (i, j) of (X + R - W H)^2  -  lam R^2

    Source: AT-NMF (Cai, Tan and Fevotte, 2021).  With a correct mask this differs from plain NMF only through entries
    that are over-predicted by more than the factor `lam`.

    Parameters
    ----------
    n_components : int or tuple of int, default=10
        See `NMF`, like all parameters not listed here.
    lam : float, default=2.0
        Price of a perturbation, see `advnmf.adversaries.FrobeniusPenalty`.
    """

    def __init__(
        self,
        n_components: Layers = 10,
        *,
        lam: float = 2.0,
        attack: str = "exact",
        attack_every: int = 1,
        solver: str | Solver = "hals",
        init: str = "random",
        alpha_W: float | str = "auto",
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        max_iter: int = 200,
        pretrain_iter: int | None = None,
        tol: float = 1e-4,
        n_init: int = 1,
        sparse_missing: str = "zero",
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callback: Callback | None = None,
    ) -> None:
        super().__init__(
            n_components,
            attack=attack,
            attack_every=attack_every,
            solver=solver,
            init=init,
            alpha_W=alpha_W,
            alpha_H=alpha_H,
            l1_ratio=l1_ratio,
            max_iter=max_iter,
            pretrain_iter=pretrain_iter,
            tol=tol,
            n_init=n_init,
            sparse_missing=sparse_missing,
            time_limit=time_limit,
            random_state=random_state,
            verbose=verbose,
            callback=callback,
        )
        self.lam = lam

    def _make_adversary(self) -> FrobeniusPenalty:
        return FrobeniusPenalty(self.lam)

    def _make_loss(self) -> Loss:
        return Frobenius()


class DeepNMF(NMF):
    """Deep NMF: ``X ~ F_1 F_2 ... F_L``, pre-trained layer by layer, then trained jointly.

    Source: DNMF of Seyedi et al. (2023), with any loss of this package.

    Parameters
    ----------
    n_components : tuple of int or int, default=(20, 10)
        Layer sizes from the data side to the codes.
    loss : str or loss object, default="frobenius"
        See `NMF`, like all parameters not listed here.
    """

    def __init__(
        self,
        n_components: Layers = (20, 10),
        *,
        loss: str | Loss = "frobenius",
        solver: str | Solver = "hals",
        init: str = "random",
        alpha_W: float | str = "auto",
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        max_iter: int = 200,
        pretrain_iter: int | None = None,
        tol: float = 1e-4,
        n_init: int = 1,
        sparse_missing: str = "zero",
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callback: Callback | None = None,
    ) -> None:
        super().__init__(
            n_components,
            loss=loss,
            solver=solver,
            init=init,
            alpha_W=alpha_W,
            alpha_H=alpha_H,
            l1_ratio=l1_ratio,
            max_iter=max_iter,
            pretrain_iter=pretrain_iter,
            tol=tol,
            n_init=n_init,
            sparse_missing=sparse_missing,
            time_limit=time_limit,
            random_state=random_state,
            verbose=verbose,
            callback=callback,
        )


class ADNMF(NMF):
    """Adversarial deep NMF: `DeepNMF` against ``FrobeniusPenalty(lam)`` under squares.

    Source: ADNMF of Seyedi et al. (2023), without the unit ridge of its released code.

    Parameters
    ----------
    n_components : tuple of int or int, default=(20, 10)
        Layer sizes from the data side to the codes.  See `NMF` for all parameters not listed here.
    lam : float, default=2.0
        Price of a perturbation, see `advnmf.adversaries.FrobeniusPenalty`.
    """

    def __init__(
        self,
        n_components: Layers = (20, 10),
        *,
        lam: float = 2.0,
        attack: str = "exact",
        attack_every: int = 1,
        solver: str | Solver = "hals",
        init: str = "random",
        alpha_W: float | str = "auto",
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        max_iter: int = 200,
        pretrain_iter: int | None = None,
        tol: float = 1e-4,
        n_init: int = 1,
        sparse_missing: str = "zero",
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callback: Callback | None = None,
    ) -> None:
        super().__init__(
            n_components,
            attack=attack,
            attack_every=attack_every,
            solver=solver,
            init=init,
            alpha_W=alpha_W,
            alpha_H=alpha_H,
            l1_ratio=l1_ratio,
            max_iter=max_iter,
            pretrain_iter=pretrain_iter,
            tol=tol,
            n_init=n_init,
            sparse_missing=sparse_missing,
            time_limit=time_limit,
            random_state=random_state,
            verbose=verbose,
            callback=callback,
        )
        self.lam = lam

    def _make_adversary(self) -> FrobeniusPenalty:
        return FrobeniusPenalty(self.lam)

    def _make_loss(self) -> Loss:
        return Frobenius()


class EADNMF(NMF):
    """Elastic adversarial deep NMF: `ADNMF` under the elastic loss.

        min over F_l >= 0   max over R, X + R >= 0    sum_i rho(||x_i + r_i - p_i||)  -  lam ||R||_F^2,
        rho(x) = (1 + delta) x^2 / (delta + x)

    Source: EADNMF of Seyedi et al. (2023), without the unit ridge of its released code.

    Parameters
    ----------
    n_components : tuple of int or int, default=(20, 10)
        Layer sizes from the data side to the codes.  See `NMF` for all parameters not listed here.
    lam : float, default=2.0
        Price of a perturbation, see `advnmf.adversaries.FrobeniusPenalty`.  Must exceed ``1 + 1/delta``.
    delta : float, default=2.0
        Where the loss turns from quadratic to linear, in units of a sample's residual norm; see
        `advnmf.losses.Elastic`.  It scales with ``X``, the bound on `lam` does not: scale ``X`` first.
    """

    def __init__(
        self,
        n_components: Layers = (20, 10),
        *,
        lam: float = 2.0,
        delta: float = 2.0,
        attack: str = "exact",
        attack_every: int = 1,
        solver: str | Solver = "hals",
        init: str = "random",
        alpha_W: float | str = "auto",
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        max_iter: int = 200,
        pretrain_iter: int | None = None,
        tol: float = 1e-4,
        n_init: int = 1,
        sparse_missing: str = "zero",
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callback: Callback | None = None,
    ) -> None:
        super().__init__(
            n_components,
            attack=attack,
            attack_every=attack_every,
            solver=solver,
            init=init,
            alpha_W=alpha_W,
            alpha_H=alpha_H,
            l1_ratio=l1_ratio,
            max_iter=max_iter,
            pretrain_iter=pretrain_iter,
            tol=tol,
            n_init=n_init,
            sparse_missing=sparse_missing,
            time_limit=time_limit,
            random_state=random_state,
            verbose=verbose,
            callback=callback,
        )
        self.lam = lam
        self.delta = delta

    def _make_adversary(self) -> FrobeniusPenalty:
        return FrobeniusPenalty(self.lam)

    def _make_loss(self) -> Loss:
        return Elastic(self.delta)
