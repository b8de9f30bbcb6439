"""The models of the two studies: `NMF` with other defaults, and with parameters of its own in place of some."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, TypeVar

from ..adversaries import FrobeniusPenalty
from ..losses import Elastic
from .nmf import NMF

Model = TypeVar("Model", bound=type[NMF])


class _Preset(NMF):
    if TYPE_CHECKING:  # the signature that `preset` makes is unknown to type checkers

        def __init__(self, *args: Any, **params: Any) -> None: ...


def preset(**defaults: Any) -> Callable[[Model], Model]:
    """Give a class the parameters of `NMF` with these defaults, and those of the defaults that `NMF` does not have.

    A parameter of `NMF` that the class computes, as a property, is none of its own.
    """

    def made(cls: Model) -> Model:
        cls.__init__ = _constructor(cls, _parameters(cls, defaults))
        return cls

    return made


def _parameters(cls: type[NMF], defaults: dict[str, Any]) -> list[Parameter]:
    """Self, n_components, the new ones, and all others of `NMF`."""
    known = signature(NMF.__init__).parameters
    new = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=value, annotation=type(value).__name__)
        for name, value in defaults.items()
        if name not in known
    ]
    kept = [
        each.replace(default=defaults.get(name, each.default))
        for name, each in known.items()
        if not isinstance(getattr(cls, name, None), property)
    ]
    return [*kept[:2], *new, *kept[2:]]


def _constructor(cls: type[NMF], parameters: list[Parameter]) -> Callable[..., None]:
    """`__init__` of a signature: it sets the parameters as they are given."""
    declared = Signature(parameters, return_annotation="None")

    def __init__(*args: Any, **params: Any) -> None:
        try:
            bound = declared.bind(*args, **params)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}() {error}") from None
        bound.apply_defaults()
        self, *values = bound.arguments.values()
        for name, value in zip(list(declared.parameters)[1:], values, strict=True):
            setattr(self, name, value)

    __init__.__signature__ = declared
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    return __init__


@preset(lam=2.0)
class ATNMF(_Preset):
    """Adversarially trained NMF: `NMF` against ``FrobeniusPenalty(lam)``, under squares unless another loss is given.

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

    @property
    def adversary(self) -> FrobeniusPenalty:
        """That of `lam`."""
        return FrobeniusPenalty(self.lam)


@preset(n_components=(20, 10))
class DeepNMF(_Preset):
    """Deep NMF: ``X ~ F_1 F_2 ... F_L``, pre-trained layer by layer, then trained jointly.

    Source: DNMF of Seyedi et al. (2023), with any loss of this package.

    Parameters
    ----------
    n_components : tuple of int or int, default=(20, 10)
        Layer sizes from the data side to the codes.  See `NMF` for all other parameters.
    """


@preset(n_components=(20, 10), lam=2.0)
class ADNMF(_Preset):
    """Adversarial deep NMF: `DeepNMF` against ``FrobeniusPenalty(lam)``, under squares unless another loss is given.

    Source: ADNMF of Seyedi et al. (2023), without the unit ridge of its released code.

    Parameters
    ----------
    n_components : tuple of int or int, default=(20, 10)
        Layer sizes from the data side to the codes.  See `NMF` for all parameters not listed here.
    lam : float, default=2.0
        Price of a perturbation, see `advnmf.adversaries.FrobeniusPenalty`.
    """

    @property
    def adversary(self) -> FrobeniusPenalty:
        """That of `lam`."""
        return FrobeniusPenalty(self.lam)


@preset(n_components=(20, 10), lam=2.0, delta=2.0)
class EADNMF(_Preset):
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

    @property
    def adversary(self) -> FrobeniusPenalty:
        """That of `lam`."""
        return FrobeniusPenalty(self.lam)

    @property
    def loss(self) -> Elastic:
        """That of `delta`."""
        return Elastic(self.delta)
