"""Losses: how far a prediction is from what was observed.

A loss sees the observed values of ``X`` and of the prediction, never a factor.  Every loss of this module measures
each sample (row of ``X``) by the norm of its residual over the observed entries,

    loss(X, P) = sum_i rho(x_i),      x_i = sqrt( sum_j omega_ij (X_ij - P_ij)^2 ),

with ``omega`` the mask times the entry weights.  There is no factor 1/2, as in both studies.  ``rho`` is
half-quadratic:

    rho(x) = min_{0 < d <= D(0)}  d x^2 + psi(d),      attained at  d = D(x) = rho'(x) / (2 x),

so that ``D(x)`` are the weights of a quadratic that touches the loss from above: what a solver needs.

To add a loss: derive from `SampleLoss`, write ``rho`` and ``weight``, put one line into `LOSSES`.  The contract tests
run over that table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from .data import ObservedData

Array = np.ndarray


class SampleLoss(ABC):
    """sum_i rho(x_i): a half-quadratic function of each sample's residual norm ``x_i``."""

    name: ClassVar[str]

    @abstractmethod
    def rho(self, x: Array) -> Array:
        """Loss of samples with residual norms ``x`` >= 0."""

    @abstractmethod
    def weight(self, x: Array) -> Array:
        """D(x) = rho'(x) / (2 x), positive and nonincreasing."""

    @property
    def max_weight(self) -> float:
        """D(0), the largest weight: an adversary's lambda must exceed it."""
        return float(self.weight(np.zeros(1))[0])

    @property
    def constant_weight(self) -> bool:
        """True where the loss is quadratic: D does not depend on the residual."""
        return False

    def value(self, data: ObservedData, P: Array) -> float:
        """sum_i rho(x_i) over the observed entries."""
        return float(np.sum(self.rho(np.sqrt(data.squared_norms(P)))))

    def weights(self, data: ObservedData, P: Array) -> Array:
        """D(x_i), one weight a sample."""
        return self.weight(np.sqrt(data.squared_norms(P)))

    def gradient_parts(self, data: ObservedData, P: Array) -> tuple[Array, Array]:
        """(N, Q), both >= 0, with d loss / d P = Q - N:  N = 2 D omega X,  Q = 2 D omega P."""
        D = 2 * data.per_sample(self.weights(data, P).astype(data.dtype))
        return D * data.weighted(data.values), D * data.weighted(data.entries(P))


@dataclass(frozen=True)
class Frobenius(SampleLoss):
    """sum_ij omega_ij (X_ij - P_ij)^2: squares, the loss of plain NMF."""

    name: ClassVar[str] = "frobenius"

    def rho(self, x: Array) -> Array:
        """x^2."""
        return np.square(x)

    def weight(self, x: Array) -> Array:
        """1."""
        return np.ones_like(x)

    @property
    def constant_weight(self) -> bool:
        """Squares are quadratic."""
        return True


@dataclass(frozen=True)
class L21(SampleLoss):
    """sum_i x_i: the l2,1 norm of the residual, robust against samples that are wrong as a whole.

    ``x_i`` is the residual norm of sample ``i``.  Below `floor` it is continued by the quadratic of the same value
    and slope, ``x^2 / (2 floor) + floor / 2``, so that the weight ``1 / (2 max(x, floor))`` stays finite.

    Parameters
    ----------
    floor : float, default=1e-10
        In the units of a sample's residual norm.  With an adversary ``lam`` must exceed ``1 / (2 floor)``:
        ``floor=0.5`` admits every ``lam > 1``.
    """

    floor: float = 1e-10
    name: ClassVar[str] = "l21"

    def __post_init__(self) -> None:
        if not isinstance(self.floor, Real) or not 0 < self.floor < np.inf:
            raise ValueError(f"floor={self.floor!r} of the l2,1 loss must be positive and finite")

    def rho(self, x: Array) -> Array:
        """x, and x^2/(2 floor) + floor/2 below the floor."""
        return np.where(x < self.floor, np.square(x) / (2 * self.floor) + self.floor / 2, x)

    def weight(self, x: Array) -> Array:
        """1 / (2 max(x, floor))."""
        return 0.5 / np.maximum(x, self.floor)


@dataclass(frozen=True)
class Elastic(SampleLoss):
    """sum_i (1 + delta) x_i^2 / (delta + x_i): squares for small residuals, l2,1 for large ones.

    ``x_i`` is the residual norm of sample ``i``.  ``delta=inf`` is Frobenius, ``delta=0`` is l2,1 (floored like it).
    Source: EADNMF, equations 15 and 18 (with the unsquared residual norm in the denominators: only this form has the
    weights of 18).

    Parameters
    ----------
    delta : float, default=2.0
        Where the loss turns from quadratic to linear, in the units of a sample's residual norm, so it scales with
        ``X``.
    """

    delta: float = 2.0
    name: ClassVar[str] = "elastic"

    def __post_init__(self) -> None:
        if not isinstance(self.delta, Real) or not self.delta >= 0:
            raise ValueError(f"delta={self.delta!r} must not be negative: 0 is l2,1, inf is Frobenius")

    @property
    def _limit(self) -> SampleLoss | None:
        """The loss at either end of the scale."""
        return L21() if self.delta == 0 else Frobenius() if np.isinf(self.delta) else None

    def rho(self, x: Array) -> Array:
        """(1 + delta) x^2 / (delta + x)."""
        if self._limit:
            return self._limit.rho(x)
        return (1 + self.delta) / (self.delta + x) * np.square(x)

    def weight(self, x: Array) -> Array:
        """(1 + delta) (2 delta + x) / (2 (delta + x)^2)."""
        if self._limit:
            return self._limit.weight(x)
        return (1 + self.delta) / (self.delta + x) * ((2 * self.delta + x) / (2 * (self.delta + x)))

    @property
    def constant_weight(self) -> bool:
        """Only in the limit of squares."""
        return bool(np.isinf(self.delta))


LOSSES: dict[str, type[SampleLoss]] = {cls.name: cls for cls in (Frobenius, L21, Elastic)}


def get_loss(loss: str | SampleLoss) -> SampleLoss:
    """Return the loss that a name or an object stands for."""
    if isinstance(loss, SampleLoss):
        return loss
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]()
    raise ValueError(
        f"loss={loss!r} is unknown: give one of {', '.join(map(repr, LOSSES))} or an object of advnmf.losses"
    )
