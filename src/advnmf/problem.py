"""The problem: data, loss, adversary and penalties put together.

minimise over F_1, ..., F_L >= 0    max over R    sum over observed (i, j) of  loss(X + R, F_1 ... F_L)  +  penalties
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .adversaries import FrobeniusPenalty, NoAdversary
from .data import ObservedData
from .factors import right
from .losses import SampleLoss
from .penalties import ElasticNet

Array = np.ndarray


@dataclass(frozen=True)
class Problem:
    """What is minimised: one penalty for each factor of the chain, the codes' first."""

    data: ObservedData
    loss: SampleLoss
    adversary: NoAdversary | FrobeniusPenalty
    penalties: tuple[ElasticNet, ...]

    def __post_init__(self) -> None:
        self.adversary.check(self.loss)
        if not self.loss.max_weight < float(np.finfo(self.data.dtype).max) ** 0.5:
            raise ValueError(f"{self.loss!r} has weights up to {self.loss.max_weight:.3g}, beyond {self.data.dtype}")

    def respond(self, data: ObservedData, P: Array) -> tuple[Array, Array]:
        """Robust loss and half-quadratic weight d of each sample of a block."""
        return self.adversary.respond(self.loss, data, P)

    def majorise(self, data: ObservedData, P: Array, d: Array) -> Array:
        """The target T of the touching quadratic; its weights are omega times `curvature`."""
        return self.adversary.target(data, P, d)

    def curvature(self, d: Array) -> Array:
        """Weight of each sample in the touching quadratic, in the data's precision."""
        return self.adversary.curvature(d).astype(self.data.dtype)

    def penalty(self, factors: Sequence[Array]) -> float:
        """Sum of the penalties."""
        return sum(penalty.value(F) for penalty, F in zip(self.penalties, factors, strict=True))

    def objective(self, factors: Sequence[Array]) -> float:
        """Robust loss plus penalties; this is what never rises."""
        B = right(factors, 0)
        losses = (self.respond(data, data.predict(factors[0][rows], B))[0].sum() for rows, data in self.data.blocks())
        return float(sum(losses)) + self.penalty(factors)

    def attacked(self, factors: Sequence[Array], *, one_step: bool = False) -> Problem:
        """The learner's problem against this moment's perturbation, frozen: data X + R*, no adversary."""
        B, values, filled = right(factors, 0), np.empty_like(self.data.values), 0
        for rows, data in self.data.blocks():
            P = data.predict(factors[0][rows], B)
            part = self.adversary.perturb(self.loss, data, P, one_step=one_step)
            values[filled : filled + len(part)] = part  # rows of a dense array, entries of a sparse one
            filled += len(part)
        return replace(self, data=self.data.with_values(values), adversary=NoAdversary())
