"""The problem: data, loss, adversary and penalties put together.

minimise over F_1, ..., F_L >= 0    max over R    sum over observed (i, j) of  loss(X + R, F_1 ... F_L)  +  penalties
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..adversaries import FrobeniusPenalty, NoAdversary
from ..arrays.namespaces import Array, cast, concat, finfo, namespace
from ..data import ObservedData, Prediction
from ..losses import Loss
from ..penalties import Penalty
from .factors import right
from .ridges import NO_RIDGES, Ridges


@dataclass(frozen=True)
class Problem:
    """What is minimised: one penalty for each factor of the chain, the codes' first."""

    data: ObservedData
    loss: Loss
    adversary: NoAdversary | FrobeniusPenalty
    penalties: tuple[Penalty, ...]
    # What the penalties were made of, where a model made them.
    ridges: Ridges = NO_RIDGES

    def __post_init__(self) -> None:
        self.adversary.check(self.loss)
        if not self.loss.max_weight < float(finfo(self.data.values).max) ** 0.5:
            raise ValueError(f"{self.loss!r} has weights up to {self.loss.max_weight:.3g}, beyond {self.data.dtype}")

    def respond(self, data: ObservedData, P: Prediction) -> tuple[Array, Array]:
        """Robust loss of each row of a block, and the half-quadratic weight d of each group of the loss."""
        groups = self.loss.groups(data)
        values, d = self.adversary.respond(self.loss, groups, P)
        return groups.per_row(values), d

    def majorise(self, data: ObservedData, P: Prediction, d: Array | None) -> tuple[ObservedData, Prediction, Array]:
        """The quadratic touching the robust loss at P: (data with entry weights, target T, weights of samples).

        ``d`` are weights of the groups, of this moment or (samples only) of an earlier one; None takes them anew.
        """
        groups = self.loss.groups(data)
        if d is None:
            d = self.adversary.respond(self.loss, groups, P)[1]
        T, w = self.adversary.target(groups, P, d), cast(self.adversary.curvature(d), data.dtype)
        if groups is data:
            return data, T, w
        return data.reweighted(w), T, data.constant((data.shape[data.sample_axis],), 1, data.dtype)

    def kept(self, d: list[Array]) -> Array | None:
        """Weights of all blocks for the rest of a sweep: of samples, or None for entries (taken anew each time)."""
        return concat(d) if self.loss.groups(self.data) is self.data else None

    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """Which samples and which features are determined, by what was observed in them or by a penalty."""
        codes, last = self.penalties[0], self.penalties[-1]
        return codes.known(np.asarray(self.data.counts) > 0), last.known(np.asarray(self.data.column_counts) > 0)

    def penalty(self, factors: Sequence[Array]) -> float:
        """Sum of the penalties."""
        *others, last = factors
        values = [penalty.value(F) for penalty, F in zip(self.penalties, [*others, last.T], strict=True)]
        return sum(values)

    def objective(self, factors: Sequence[Array]) -> float:
        """Robust loss plus penalties; this is what never rises."""
        B = right(factors, 0)
        losses = [self.respond(data, data.predict(factors[0][rows, :], B))[0] for rows, data in self.data.blocks()]
        return total(losses) + self.penalty(factors)

    def attacked(self, factors: Sequence[Array], *, one_step: bool = False) -> Problem:
        """The learner's problem against this moment's perturbation, frozen: data X + R*, no adversary."""
        B, filled = right(factors, 0), 0
        values = namespace(B).empty_like(self.data.values)
        for rows, data in self.data.blocks():
            P = data.predict(factors[0][rows, :], B)
            part = self.adversary.perturb(self.loss, self.loss.groups(data), P, one_step=one_step)
            n = part.shape[0]  # rows of a dense array, entries of a sparse one
            values[filled : filled + n, ...] = part
            filled += n
        return replace(self, data=self.data.with_values(values), adversary=NoAdversary())

    def adapted(self, factors: Sequence[Array]) -> Problem:
        """The problem with a loss whose scale follows the residuals of these factors."""
        B = right(factors, 0)
        residuals = [
            data.observed_entries(data.values - data.entries(data.predict(factors[0][rows, :], B)))
            for rows, data in self.data.blocks()
        ]
        values = self.data.observed_entries(self.data.values)
        return replace(self, loss=self.loss.adapted(concat(residuals), values))


def total(losses: Sequence[Array]) -> float:
    """The sum of the losses of all rows, given block by block: the one number that leaves the device."""
    values = concat(losses)
    return float(namespace(values).sum(values))
