"""Arrays of which some entries are known only to lie below or above a bound, such as a limit of detection.

The value of a censored entry is its bound b, its side -1 (the truth x is at most b) or 1 (at least b); the side of a
measured entry is 0.  The cost of a censored entry is the least of all that it may be,

    min over x <= b  of  rho(|x - p|)  =  rho(max(p - b, 0)),        attained at  x = min(b, p),

or with max(b, p) above a bound: nothing as long as the prediction p is possible.  So the loss of censored data is that
of ordinary data, `nearest(P)`, whose values are these x.  With x held it lies above the former for any other P, and
touches it at this one; so does each quadratic that touches it from above.  Solvers renew x whenever they look at the
prediction, and no update raises the objective.  An adversary perturbs x, so not where p is possible.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, namespace
from .base import Prediction
from .masked import MaskedData, MaskedTensor

# Sides of a bound that the truth may be on.
BELOW, MEASURED, ABOVE = -1, 0, 1


def nearest_possible(values: Array, sides: Array, P: Array) -> Array:
    """The possible value nearest to the prediction: min(b, p) below a bound, max(b, p) above one, else the value."""
    possible = ((sides < 0) & (values > P)) | ((sides > 0) & (values < P))
    return namespace(values).where(possible, P, values)


@dataclass(frozen=True)
class CensoredTensor(MaskedTensor):
    """An array of any namespace; ``sides`` are small integers."""

    sides: Array = field(kw_only=True)
    _beside: ClassVar[tuple[str, ...]] = ("omega", "sides")
    _plain: ClassVar[type[MaskedTensor]] = MaskedTensor

    def nearest(self, P: Prediction) -> MaskedTensor:
        """Ordinary data: censored entries have the possible value nearest to the prediction."""
        return self._plain(nearest_possible(self.values, self.sides, self.entries(P)), self.omega, self.sample_axis)

    @cached_property
    def measured(self) -> MaskedTensor:
        """Without the censored entries."""
        xp, measured = namespace(self.values), self.sides == MEASURED
        kept = [xp.where(measured, x, xp.zeros_like(x)) for x in (self.values, self.omega)]
        return self._plain(*kept, self.sample_axis)


@dataclass(frozen=True)
class CensoredData(CensoredTensor, MaskedData):
    """A NumPy array."""

    _plain: ClassVar[type[MaskedData]] = MaskedData
