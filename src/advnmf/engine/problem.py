"""The problem: data, loss, adversary and penalties put together.

minimise over F_1, ..., F_L >= 0    max over R    sum over observed (i, j) of  loss(X + R, F_1 ... F_L)  +  penalties
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..adversaries import Adversary, NoAdversary
from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, cast, concat, finfo, namespace
from ..data import Block, ObservedData, Prediction, ResidualView
from ..losses import Loss
from ..penalties import Penalty
from .factors import Factors, right
from .ridges import NO_RIDGES, Ridges


@dataclass(frozen=True)
class Problem:
    """What is minimised: one penalty for each factor of the chain, the codes' first."""

    data: ObservedData
    loss: Loss
    adversary: Adversary
    penalties: tuple[Penalty, ...]
    # What the penalties were made of, where a model made them.
    ridges: Ridges = NO_RIDGES

    def __post_init__(self) -> None:
        self.adversary.check(self.loss)
        if self.entrywise and not self.data.entries_are_all:
            raise ValueError(
                f"loss={self.loss!r} with adversary={self.adversary!r} looks at single entries: "
                "it needs sparse_missing='absent' or dense X, as it would weigh every zero by itself"
            )
        if self.loss.half_quadratic and not self.loss.max_weight < float(finfo(self.data.values).max) ** 0.5:
            raise ValueError(f"{self.loss!r} has weights up to {self.loss.max_weight:.3g}, beyond {self.data.dtype}")

    @property
    def entrywise(self) -> bool:
        """Whether entries of one sample have different weights in the touching quadratic."""
        return self.loss.entrywise or self.adversary.entrywise

    def respond(self, data: Block, P: Prediction) -> tuple[Array, Array | None]:
        """Robust loss of each row of a block, and the half-quadratic weight d of each group (None: it has none)."""
        groups = self.loss.groups(data.nearest(P))
        values, d = self.adversary.respond(self.loss, groups, P)
        return groups.per_row(values), d

    def majorise(self, data: Block, P: Prediction, d: Array | None) -> tuple[Block, Prediction, Array]:
        """The quadratic touching the robust loss at P: (data with entry weights, target T, weights of samples).

        ``d`` are weights of the groups, of this moment or (samples only) of an earlier one; None takes them anew.
        """
        data = data.nearest(P)
        groups = self.loss.groups(data)
        if d is None:
            d = self.adversary.respond(self.loss, groups, P)[1]
        T, w = self.adversary.target(groups, P, d), cast(self.adversary.curvature(groups, P, d), data.dtype)
        if not self.entrywise:
            return data, T, w
        return data.reweighted(w), T, self._all_alike(data, 1)

    def gradient_parts(
        self, data: Block, P: Prediction, d: Array | None
    ) -> tuple[Block, Prediction, Prediction, Array]:
        """(data with entry weights, N, Q, w):  w omega (Q - N)  is half the gradient of the robust loss at P.

        For a half-quadratic loss that of `majorise`, with N = T and Q = P.
        """
        if self.loss.half_quadratic:
            data, T, w = self.majorise(data, P, d)
            return data, T, P, w
        data = data.nearest(P)
        return data, *self.loss.gradient_parts(data, P), self._all_alike(data, 0.5)

    @staticmethod
    def _all_alike(data: ObservedData, w: float) -> Array:
        """The same weight for every sample."""
        return data.constant((data.shape[data.sample_axis],), w, data.dtype)

    def kept(self, d: list[Array]) -> Array | None:
        """Weights of all blocks for the rest of a sweep: of samples, or None for entries (taken anew each time)."""
        return None if self.loss.entrywise else concat(d)

    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """Which samples and which features are determined, by what was observed in them or by a penalty."""
        codes, last = self.penalties[0], self.penalties[-1]
        return codes.known(np.asarray(self.data.counts) > 0), last.known(np.asarray(self.data.column_counts) > 0)

    def extended(self, factors: Factors) -> Factors:
        """Factors with the rows of samples and the columns of features that only a penalty determines."""
        codes, *others = factors
        seen, column_seen = np.asarray(self.data.counts) > 0, np.asarray(self.data.column_counts) > 0
        codes = self.penalties[0].extended(codes, seen)
        *inner, last = others
        return [codes, *inner, self.penalties[-1].extended(last.T, column_seen).T]

    def penalty(self, factors: Sequence[Array]) -> float:
        """Sum of the penalties, and what the adversary adds beside its sum over the data."""
        *others, last = factors
        values = [penalty.value(F) for penalty, F in zip(self.penalties, [*others, last.T], strict=True)]
        return sum(values) + self.adversary.constant

    def objective(self, factors: Sequence[Array]) -> float:
        """Robust loss plus penalties; this is what never rises."""
        B = right(factors, 0)
        losses = [self.respond(data, data.predict(factors[0][rows, :], B))[0] for rows, data in self.data.blocks()]
        return total(losses) + self.penalty(factors)

    def attacked(self, factors: Sequence[Array], *, one_step: bool = False) -> Problem:
        """The learner's problem against this moment's perturbation, frozen: data X + R*, no adversary.

        Bounds of censored entries move with them.
        """
        B, filled = right(factors, 0), 0
        values = namespace(B).empty_like(self.data.values)
        for rows, data in self.data.blocks():
            P = data.predict(factors[0][rows, :], B)
            nearest = data.nearest(P)
            part = self.adversary.perturb(self.loss, self.loss.groups(nearest), P, one_step=one_step)
            n = part.shape[0]  # rows of a dense array, entries of a sparse one
            values[filled : filled + n, ...] = part if nearest is data else data.values + (part - nearest.values)
            filled += n
        return replace(self, data=self.data.with_values(values), adversary=NoAdversary())

    @property
    def adaptive(self) -> bool:
        """Whether loss or adversary follow the fit."""
        return self.loss.adaptive or self.adversary.adaptive

    def adapted(self, factors: Sequence[Array]) -> Problem:
        """The problem with a loss and an adversary that have looked at these factors; first the loss."""
        if not self.adaptive:
            return self
        loss = self.loss.adapted(Moment(self.data, self.loss, factors))
        return replace(self, loss=loss, adversary=self.adversary.adapted(Moment(self.data, loss, factors)))


@dataclass(frozen=True)
class Moment:
    """Where a fit stands: what a loss or an adversary that is `adapted` looks at."""

    data: ObservedData
    # As it is at this moment.
    loss: Loss
    factors: Sequence[Array]

    def blocks(self) -> Iterator[tuple[ResidualView, Prediction]]:
        """Runs of samples in the groups of the loss, each with its prediction."""
        for data, P in self._predicted(self.data):
            yield self.loss.groups(data.nearest(P)), P

    @cached_property
    def residuals(self) -> Array:
        """X - P at the entries that were measured (observed and not censored), in one vector."""
        seen = self._predicted(self.data.measured)
        return concat([data.observed_entries(data.values - data.entries(P)) for data, P in seen])

    @cached_property
    def values(self) -> Array:
        """X at the entries that were measured, in one vector."""
        data = self.data.measured
        return data.observed_entries(data.values)

    def _predicted(self, observed: ObservedData) -> Iterator[tuple[Block, Prediction]]:
        B = right(self.factors, 0)
        for rows, data in observed.blocks():
            yield data, data.predict(self.factors[0][rows, :], B)


def total(losses: Sequence[Array]) -> float:
    """The sum of the losses of all rows, given block by block: the one number that leaves the device."""
    values = concat(losses)
    return float(namespace(values).sum(values))
