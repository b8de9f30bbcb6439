"""Adversaries: who perturbs the observed values before the learner sees them.

    max over R,  X + R >= 0,  R = 0 off the mask,   of   sum_i rho(||x_i + r_i - p_i||)  -  what the perturbation costs.

An adversary sees the observed values of ``X`` and of the prediction ``P``, in the groups of the loss (samples or
entries).  What a solver needs of it is a quadratic that touches the robust loss from above at the present prediction:

    robust loss(P)  <=  sum_ij omega_ij w_i (T_ij - P_ij)^2 + const,

with ``w = curvature(X, P, d)``, ``T = target(X, P, d)`` and the half-quadratic weights ``d`` that `respond` finds.  For
every *fixed* ``d`` it stays an upper bound, so one sweep may use one ``d`` for all factors and renew ``T`` with each.

To add an adversary: derive a frozen dataclass from `Adversary`; see ``docs/extending.md``.  One that is to belong to
the package gets a line in `ADVERSARIES`, and cases in the contract tests, which run over that table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from .arrays.namespaces import Array, cast, finfo, namespace

if TYPE_CHECKING:
    from .data import ResidualView
    from .engine.problem import Moment
    from .losses import HalfQuadratic, Loss


class Adversary(ABC):
    """What the problem and the solvers ask of an adversary."""

    # What files call it; an adversary of the package has it as its key in `ADVERSARIES`.
    name: ClassVar[str]
    # Whether it perturbs anything: then it needs a half-quadratic loss.
    attacks: ClassVar[bool] = True
    # Whether `curvature` differs between the entries of a sample.
    entrywise: ClassVar[bool] = False

    @abstractmethod
    def respond(self, loss: HalfQuadratic, data: ResidualView, P: Array) -> tuple[Array, Array]:
        """Robust loss of each group, and its half-quadratic weight d, in float64."""

    @abstractmethod
    def curvature(self, data: ResidualView, P: Array, d: Array) -> Array:
        """w, one number a group; one an entry where `entrywise`."""

    @abstractmethod
    def target(self, data: ResidualView, P: Array, d: Array) -> Array:
        """T, as `data.target` and `data.raised_to` give it."""

    @abstractmethod
    def perturb(self, loss: HalfQuadratic, data: ResidualView, P: Array, *, one_step: bool = False) -> Array:
        """X + R for the worst R, zero off the mask.

        `one_step` allows a cheaper R that is nearly as bad: what ``attack="alternating"`` asks for.
        """

    def check(self, loss: Loss) -> None:
        """Refuse, by a ValueError of one line, a loss that it cannot attack."""
        if self.attacks and not loss.half_quadratic:
            raise ValueError(
                f"adversary={self!r} needs a half-quadratic loss, which {loss!r} is not: set adversary=None, or a loss "
                "such as 'frobenius'"
            )

    @property
    def adaptive(self) -> bool:
        """Whether `adapted` is to be asked before each sweep."""
        return False

    def adapted(self, moment: Moment) -> Self:
        """The adversary with what follows the fit, such as a price that is a root over the whole data."""
        return self

    @property
    def constant(self) -> float:
        """What the robust loss has beside the sum over the groups, such as price times squared radius of a ball."""
        return 0.0


@dataclass(frozen=True)
class NoAdversary(Adversary):
    """R = 0: the plain loss."""

    name: ClassVar[str] = "none"
    attacks: ClassVar[bool] = False

    def respond(self, loss: Loss, data: ResidualView, P: Array) -> tuple[Array, Array | None]:
        """The loss of each group and its half-quadratic weight d = D(x), where it has one."""
        return loss.respond(data, P)

    def curvature(self, data: ResidualView, P: Array, d: Array) -> Array:
        """w = d."""
        return d

    def target(self, data: ResidualView, P: Array, d: Array) -> Array:
        """T = X."""
        return data.target(P)

    def perturb(self, loss: Loss, data: ResidualView, P: Array, *, one_step: bool = False) -> Array:
        """X."""
        return data.values


@dataclass(frozen=True)
class FrobeniusPenalty(Adversary):
    """max over R of  loss(X + R, P) - lam ||R||_F^2,   X + R >= 0.

    With a sample's half-quadratic weight ``d`` (1 for squares) the maximiser is

        R* = max( d (X - P) / (lam - d), -X ),

    and the robust value of a sample is  min_d [ sum_j d phi_{lam/d}(X_ij, P_ij) + psi(d) ]  at the root of
    ``D(||x + r(d) - p||) = d``, where  phi_lam(v, p) = lam/(lam - 1) (v - p)^2  if p <= lam v, else  p^2 - lam v^2.
    It is touched from above by weights  w = d lam / (lam - d)  on the target  T = max(X, P d / lam).
    With entry weights omega the penalty is weighted alike: lam sum omega R^2.

    Sources: AT-NMF (relaxed problem and its closed form), EADNMF equation 21; the exact counterpart and its majoriser
    are this project's.

    Parameters
    ----------
    lam : float, default=2.0
        Price of a perturbation, above 1 (and above the loss's largest weight: ``1 + 1/delta`` for the elastic loss).
        Large values leave nothing to the adversary.
    """

    lam: float = 2.0
    name: ClassVar[str] = "frobenius_penalty"

    def __post_init__(self) -> None:
        if not isinstance(self.lam, Real) or not 1 < self.lam < np.inf:
            raise ValueError(f"lam={self.lam!r} must exceed 1 and be finite: below, the adversary is unbounded")

    def check(self, loss: Loss) -> None:
        """Refuse a loss whose weights reach lam: there the adversary is unbounded."""
        super().check(loss)
        if not self.lam > loss.max_weight:
            raise ValueError(
                f"lam={self.lam!r} must exceed {loss.max_weight:.6g}, the largest weight of the loss {loss!r}: "
                f"raise lam{loss.bound}"
            )

    def respond(self, loss: HalfQuadratic, data: ResidualView, P: Array) -> tuple[Array, Array]:
        """Robust loss of each sample and its weight d, the root of D(||e + r(d)||) = d."""
        d, (A, B, C) = self._weights(loss, data, P)
        xp = namespace(d)
        stretched = xp.sqrt(xp.square(self.lam / (self.lam - d)) * A + B)
        return loss.rho(stretched) - self.lam * (xp.square(d / (self.lam - d)) * A + C), d

    def curvature(self, data: ResidualView, P: Array, d: Array) -> Array:
        """w = d lam / (lam - d)."""
        return d * self.lam / (self.lam - d)

    def target(self, data: ResidualView, P: Array, d: Array) -> Array:
        """T = max(X, P d / lam)."""
        return data.raised_to(P, d / self.lam)

    def perturb(self, loss: HalfQuadratic, data: ResidualView, P: Array, *, one_step: bool = False) -> Array:
        """X + R* = max((lam X - d P) / (lam - d), 0), zero off the mask.

        `one_step` takes ``d`` from the clean residual, as EADNMF prints it: the first step of the exact fixed point,
        which over-attacks.
        """
        d = loss.weights(data, P) if one_step else self._weights(loss, data, P)[0]
        scale = data.per_sample(cast(self.lam / (self.lam - d), data.dtype))
        shrink = data.per_sample(cast(d / (self.lam - d), data.dtype))
        return data.restrict(namespace(d).clip(scale * data.values - shrink * data.entries(P), 0, None))

    def _weights(self, loss: HalfQuadratic, data: ResidualView, P: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        """D at the attacked residual of each sample, and the sums (A, B, C) over its free and clipped entries there.

        ||e + r(d)||^2 = q A + B with q = (lam / (lam - d))^2 is concave and piecewise linear in q.  Its tangents lie
        above it, so solving with the tangent at the last d climbs to the root and ends once no entry changes sides.
        """
        if loss.constant_weight:
            d = data.full(loss.max_weight)
            return d, _three(data.clipped_sums(P, d / self.lam))
        d = data.full(0.0)
        xp, active, step = namespace(d), d == 0, 1 + 5e3 * float(finfo(d).eps)
        sums = xp.stack([data.squared_norms(P), d, d])
        for _ in range(_MAX_TANGENTS):
            previous = d + 0
            A, B, _ = _three(sums)
            d[active] = self._tangent_root(loss, A[active], B[active])
            active &= d > previous * step
            if not xp.any(active):
                break
            sums = data.clipped_sums(P, d / self.lam, sums, active)
        return d, _three(sums)

    def _tangent_root(self, loss: HalfQuadratic, A: Array, B: Array) -> Array:
        """The d in (0, D(0)] with  D( sqrt((lam / (lam - d))^2 A + B) ) = d."""
        xp = namespace(A)
        return _decreasing_root(
            lambda d: loss.weight(xp.sqrt(xp.square(self.lam / (self.lam - d)) * A + B)) - d,
            xp.zeros_like(A),
            xp.full_like(A, loss.max_weight),
        )


def _three(sums: Array) -> tuple[Array, Array, Array]:
    """(A, B, C)."""
    return sums[0, ...], sums[1, ...], sums[2, ...]


_MAX_TANGENTS, _MAX_NEWTON = 100, 100


def _decreasing_root(g: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Roots of decreasing functions with g(low) >= 0 >= g(high), elementwise, to about 1e-13 of the root (500 eps).

    Newton steps with a difference for the slope; one that leaves the bracket is replaced by its middle.  Each root goes
    its own way and rests once it is found: what the others do does not show in it.
    """
    xp, eps = namespace(low), float(finfo(low).eps)
    x, h = (low + high) / 2, 7 * eps**0.5 * high
    for _ in range(_MAX_NEWTON):
        value = g(x)
        going = xp.abs(value) > 500 * eps * x
        if not xp.any(going):
            break
        low, high = xp.where(value > 0, x, low), xp.where(value > 0, high, x)
        slope = (value - g(x - h)) / h
        newton = x - value / xp.clip(slope, None, -0.5)
        step = xp.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        x = xp.where(going, step, x)
    return x


ADVERSARIES: dict[str, type[Adversary]] = {cls.name: cls for cls in (NoAdversary, FrobeniusPenalty)}


def get_adversary(adversary: Adversary | None) -> Adversary:
    """Return the adversary that None or an object stands for."""
    if adversary is None:
        return NoAdversary()
    if isinstance(adversary, Adversary):
        return adversary
    raise ValueError(f"adversary={adversary!r} is unknown: give None or an object such as FrobeniusPenalty(lam=2.0)")
