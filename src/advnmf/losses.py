"""Losses: how far a prediction is from what was observed.

A loss sees the observed values of ``X`` and of the prediction ``P``, never a factor.  There are two kinds.

A half-quadratic loss (`HalfQuadratic`) is a function of residual sizes ``x``, of each sample (row of ``X``) or entry:

    sample:  loss(X, P) = sum_i rho(x_i),             x_i^2 = sum_j omega_ij (X_ij - P_ij)^2
    entry:   loss(X, P) = sum_ij omega_ij rho(x_ij),  x_ij  = |X_ij - P_ij|

with ``omega`` the mask times the entry weights.  No factor 1/2, as in both studies.  ``rho`` is half-quadratic:

    rho(x) = min_{0 < d <= D(0)}  d x^2 + psi(d),      attained at  d = D(x) = rho'(x) / (2 x),

so that ``D(x)`` are the weights of a quadratic that touches the loss from above.  Every solver and adversary takes it.

A divergence (`Divergence`) is any other sum over entries, ``sum_ij omega_ij cost(X_ij, P_ij)``, that states the two
parts of its gradient.  The multiplicative updates (``solver="mu"``) take it; no adversary does.

To add a loss: derive a frozen dataclass from `SampleLoss`, `EntryLoss` or `Divergence`; see ``docs/extending.md``.  One
that is to belong to the package gets a line in `LOSSES`, and cases in the contract tests, which run over that table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, ClassVar, Self, final

import numpy as np

from .arrays.namespaces import Array, cast, finfo, namespace, wide
from .arrays.robust import interquartile_range, winsorised_rms

if TYPE_CHECKING:
    from .data import ObservedData, ResidualView
    from .engine.problem import Moment


class Loss(ABC):
    """What the problem and the solvers ask of a loss."""

    # What users call it; a loss of the package has it as its key in `LOSSES`.
    name: ClassVar[str]
    # Whether a quadratic touches it from above: what `hals` and adversaries need.
    half_quadratic: ClassVar[bool] = False
    # Whether every entry counts by itself; else each sample does, by the norm of its residual.
    entrywise: ClassVar[bool] = True
    # (a, b): over t = F / F0, one entry of a factor by what it is now, the loss lies below
    #     F0 (Q t^b / b - N t^a / a) + a constant        (log t where a = 0)
    # and touches it at t = 1, where its derivative is F0 (Q - N).  So updates multiply F0 by (N / Q)^(1 / (b - a)).
    powers: ClassVar[tuple[float, float]]

    @abstractmethod
    def respond(self, groups: ResidualView, P: Array) -> tuple[Array, Array | None]:
        """The loss of each group, and the weights of the touching quadratic if there is one."""

    @abstractmethod
    def gradient_parts(self, data: ObservedData, P: Array) -> tuple[Array, Array]:
        """(N, Q), both >= 0, at the explicit entries:  d loss / d P = omega (Q - N)."""

    @abstractmethod
    def unit(self, size: float, counts: Array) -> float:
        """Mean loss of an entry of this size that is predicted as zero, or what comes near: ridges are measured in it.

        ``counts`` says how many entries were observed in each sample.
        """

    @final
    def groups(self, data: ResidualView) -> ResidualView:
        """The view of the data whose groups count."""
        return data.by_entry() if self.entrywise else data

    @final
    def value(self, data: ObservedData, P: Array) -> float:
        """The loss over the observed entries."""
        groups = self.groups(data)
        values = groups.per_row(self.respond(groups, P)[0])
        return float(namespace(values).sum(values))

    def posed(self, size: float, norm: float, eps: float) -> Loss:
        """The loss with constants that follow the data, once for each fit.

        ``size`` and ``norm`` are typical ones of an observed value and of a sample, ``eps`` is the precision.
        """
        return self

    @property
    def adaptive(self) -> bool:
        """Whether `adapted` is to be asked before each sweep."""
        return False

    def adapted(self, moment: Moment) -> Loss:
        """The loss with what follows the fit, such as a scale taken from the residuals."""
        return self

    @property
    def width(self) -> float:
        """Residuals far beyond it hardly count; infinite where all do (a loss without local minima)."""
        return np.inf

    def of_width(self, width: float) -> Loss:
        """The loss of another width; itself where it has none."""
        return self


class HalfQuadratic(Loss):
    """A half-quadratic function of residual sizes; derive from `SampleLoss` or `EntryLoss`, which say of what."""

    half_quadratic: ClassVar[bool] = True
    powers: ClassVar[tuple[float, float]] = (1.0, 2.0)
    # What else than raising lam helps where an adversary's lam does not exceed the largest weight.
    bound: ClassVar[str] = ""

    @abstractmethod
    def rho(self, x: Array) -> Array:
        """Loss of residual sizes ``x`` >= 0."""

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

    @property
    def narrowest(self) -> Self:
        """The loss at the smallest scale that it may take while it follows the residuals."""
        return self

    @final
    def respond(self, groups: ResidualView, P: Array) -> tuple[Array, Array]:
        """rho(x) and D(x) of each group."""
        x = _sizes(groups, P)
        return self.rho(x), self.weight(x)

    @final
    def weights(self, groups: ResidualView, P: Array) -> Array:
        """D(x), one weight a group."""
        return self.weight(_sizes(groups, P))

    @final
    def gradient_parts(self, data: ObservedData, P: Array) -> tuple[Array, Array]:
        """N = 2 D X,  Q = 2 D P."""
        groups = self.groups(data)
        D = 2 * groups.per_sample(cast(self.weights(groups, P), data.dtype))
        return D * data.values, D * data.entries(P)


def _sizes(groups: ResidualView, P: Array) -> Array:
    """Residual size of each group."""
    squares = groups.squared_norms(P)
    return namespace(squares).sqrt(squares)


class SampleLoss(HalfQuadratic):
    """sum_i rho(x_i): of each sample's residual norm."""

    entrywise: ClassVar[bool] = False

    @final
    def unit(self, size: float, counts: Array) -> float:
        """sum_i rho(sqrt(n_i) size) / sum_i n_i."""
        norms = np.sqrt(counts[counts > 0]) * size
        return float(np.sum(self.narrowest.rho(norms)) / counts.sum())


class EntryLoss(HalfQuadratic):
    """sum_ij omega_ij rho(|e_ij|): of each entry's residual."""

    @final
    def unit(self, size: float, counts: Array) -> float:
        """rho(size)."""
        return float(np.sum(self.narrowest.rho(np.array([size]))))


class Divergence(Loss):
    """sum_ij omega_ij cost(X_ij, P_ij): of each entry, by the two parts of its derivative.

    A class states `name`, `powers`, `cost`, `parts` and `unit`.  Predictions are kept from zero.
    """

    @abstractmethod
    def cost(self, x: Array, p: Array) -> Array:
        """Cost of values ``x`` >= 0 that are predicted as ``p`` > 0."""

    @abstractmethod
    def parts(self, x: Array, p: Array) -> tuple[Array, Array]:
        """(N, Q), both >= 0, with  d cost / d p = Q - N."""

    @final
    def respond(self, groups: ResidualView, P: Array) -> tuple[Array, None]:
        """The cost of each entry, in float64."""
        x, p = groups.values, _positive(groups.entries(P))
        return self.cost(cast(x, wide(x)), cast(p, wide(p))), None

    @final
    def gradient_parts(self, data: ObservedData, P: Array) -> tuple[Array, Array]:
        """The parts of each entry."""
        return self.parts(data.values, _positive(data.entries(P)))


def _positive(p: Array) -> Array:
    """max(p, sqrt of the smallest number): a quotient by less would leave the numbers."""
    return namespace(p).clip(p, float(finfo(p).smallest_normal) ** 0.5, None)


@dataclass(frozen=True)
class Frobenius(SampleLoss):
    """sum_ij omega_ij (X_ij - P_ij)^2: squares, the loss of plain NMF."""

    name: ClassVar[str] = "frobenius"

    def rho(self, x: Array) -> Array:
        """x^2."""
        return namespace(x).square(x)

    def weight(self, x: Array) -> Array:
        """1."""
        return namespace(x).ones_like(x)

    @property
    def constant_weight(self) -> bool:
        """Squares are quadratic."""
        return True


# Of the typical norm of a sample: where the l2,1 norm becomes quadratic.
_L21_FLOOR = 1e-10


@dataclass(frozen=True)
class L21(SampleLoss):
    """sum_i x_i: the l2,1 norm of the residual, robust against samples that are wrong as a whole.

    ``x_i`` is the residual norm of sample ``i``.  Below `floor` it is continued by the quadratic of the same value
    and slope, ``x^2 / (2 floor) + floor / 2``, so that the weight ``1 / (2 max(x, floor))`` stays finite.

    Parameters
    ----------
    floor : float or None, default=None
        In the units of a sample's residual norm, so it scales with ``X``.  None: 1e-10 (or the precision of the data,
        if that is coarser) of the typical norm of a sample, on every scale of ``X``.  With an adversary ``lam`` must
        exceed ``1 / (2 floor)``: ``floor=0.5`` admits every ``lam > 1``.
    """

    floor: float | None = None
    name: ClassVar[str] = "l21"
    bound: ClassVar[str] = " or the floor (the bound is 1/(2 floor)), as in L21(floor=0.5)"

    def __post_init__(self) -> None:
        if self.floor is not None and (not isinstance(self.floor, Real) or not 0 < self.floor < np.inf):
            raise ValueError(f"floor={self.floor!r} of the l2,1 loss must be positive and finite")

    def posed(self, size: float, norm: float, eps: float) -> L21:
        """With the floor of these data."""
        return self if self.floor is not None or norm == 0 else L21(max(_L21_FLOOR, eps) * norm)

    @property
    def _floor(self) -> float:
        return _L21_FLOOR if self.floor is None else self.floor

    def rho(self, x: Array) -> Array:
        """x, and x^2/(2 floor) + floor/2 below the floor."""
        xp, floor = namespace(x), self._floor
        return xp.where(x < floor, xp.square(x) / (2 * floor) + floor / 2, x)

    def weight(self, x: Array) -> Array:
        """1 / (2 max(x, floor))."""
        return 0.5 / namespace(x).clip(x, self._floor, None)


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
    bound: ClassVar[str] = " or delta (the bound is 1 + 1/delta)"

    def __post_init__(self) -> None:
        if not isinstance(self.delta, Real) or not self.delta >= 0:
            raise ValueError(f"delta={self.delta!r} must not be negative: 0 is l2,1, inf is Frobenius")

    def posed(self, size: float, norm: float, eps: float) -> HalfQuadratic:
        """With the floor of these data, where it is l2,1."""
        return L21().posed(size, norm, eps) if self.delta == 0 else self

    @property
    def _limit(self) -> HalfQuadratic | None:
        """The loss at either end of the scale."""
        return L21() if self.delta == 0 else Frobenius() if np.isinf(self.delta) else None

    def rho(self, x: Array) -> Array:
        """(1 + delta) x^2 / (delta + x)."""
        if self._limit:
            return self._limit.rho(x)
        return (1 + self.delta) / (self.delta + x) * namespace(x).square(x)

    def weight(self, x: Array) -> Array:
        """(1 + delta) (2 delta + x) / (2 (delta + x)^2)."""
        if self._limit:
            return self._limit.weight(x)
        return (1 + self.delta) / (self.delta + x) * ((2 * self.delta + x) / (2 * (self.delta + x)))

    @property
    def constant_weight(self) -> bool:
        """Only in the limit of squares."""
        return bool(np.isinf(self.delta))


@dataclass(frozen=True)
class Correntropy(EntryLoss):
    """sum_ij omega_ij 2 sigma^2 (1 - exp(-e_ij^2 / (2 sigma^2))): squares near 0, indifferent to gross outliers.

    The weight of an entry is ``exp(-e^2 / (2 sigma^2))``.  ``sigma="iqr"`` takes sigma before each sweep from the
    residuals, ``max(eta (q_75 - q_25), sigma_min v)`` with ``v`` the root mean square of ``X``, its largest quarter cut
    off: the loss follows the fit on every scale of the data, and the objectives of two sweeps do not compare.
    Source: HQ-ASD (He et al., 2020), with the scale that makes it squares for large sigma.

    Parameters
    ----------
    sigma : float or "iqr", default="iqr"
        In units of ``X``; residuals beyond about 2 sigma hardly count.
    eta, sigma_min : float, default=2.0 and 3e-2
        Of ``sigma="iqr"``: multiple of the interquartile range, and smallest share of the size of ``X``.
    size : float or None, default=None
        This size ``v``; taken from the data of `fit` unless given.
    """

    sigma: float | str = "iqr"
    eta: float = 2.0
    sigma_min: float = 3e-2
    size: float | None = None
    name: ClassVar[str] = "correntropy"

    def __post_init__(self) -> None:
        if self.sigma != "iqr" and not (isinstance(self.sigma, Real) and 0 < self.sigma <= np.inf):
            raise ValueError(f"sigma={self.sigma!r} of the correntropy loss must be positive, or 'iqr'")
        for name in ("eta", "sigma_min"):
            given = getattr(self, name)
            if not isinstance(given, Real) or not 0 < given < np.inf:
                raise ValueError(f"{name}={given!r} of the correntropy loss must be positive and finite")

    @property
    def adaptive(self) -> bool:
        """Whether sigma follows the residuals."""
        return self.sigma == "iqr"

    def adapted(self, moment: Moment) -> Correntropy:
        """The loss with  sigma = max(eta (q_75 - q_25), sigma_min v); squares where all is zero."""
        size = winsorised_rms(moment.values) if self.size is None else self.size
        sigma = max(self.eta * interquartile_range(moment.residuals), self.sigma_min * size)
        return replace(self, sigma=sigma if sigma > 0 else np.inf)

    def posed(self, size: float, norm: float, eps: float) -> Correntropy:
        """With the size of these data."""
        return replace(self, size=size) if self.adaptive and self.size is None else self

    @property
    def narrowest(self) -> Correntropy:
        """With the smallest sigma."""
        return self.of_width(self.sigma_min * self.size) if self.adaptive and self.size else self

    def rho(self, x: Array) -> Array:
        """2 sigma^2 (1 - exp(-x^2 / (2 sigma^2)))."""
        if not np.isfinite(self.width):
            return namespace(x).square(x)
        xp = namespace(x)
        return -2 * self.width**2 * xp.expm1(-xp.square(x / self.width) / 2)

    def weight(self, x: Array) -> Array:
        """exp(-x^2 / (2 sigma^2))."""
        xp = namespace(x)
        return xp.exp(-xp.square(x / self.width) / 2)

    @property
    def width(self) -> float:
        """Sigma; infinite before the first residuals are known, and beyond any residual that can be squared."""
        return np.inf if self.adaptive or self.sigma > 1e75 else float(self.sigma)

    def of_width(self, width: float) -> Correntropy:
        """With this sigma."""
        return replace(self, sigma=width)


LOSSES: dict[str, type[Loss]] = {cls.name: cls for cls in (Frobenius, L21, Elastic, Correntropy)}


def get_loss(loss: str | Loss) -> Loss:
    """Return the loss that a name or an object stands for."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]()
    raise ValueError(
        f"loss={loss!r} is unknown: give one of {', '.join(map(repr, LOSSES))} or an object of advnmf.losses"
    )
