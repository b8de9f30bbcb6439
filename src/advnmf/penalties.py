"""Penalties: what a factor costs by itself."""

from __future__ import annotations

from dataclasses import dataclass

from .namespaces import Array, cast, namespace, wide


@dataclass(frozen=True)
class ElasticNet:
    """2 l1 sum(F) + l2 sum(F^2): twice scikit-learn's, as the losses have no factor 1/2."""

    l1: float = 0.0
    l2: float = 0.0

    def value(self, F: Array) -> float:
        """2 l1 sum(F) + l2 sum(F^2), summed in float64."""
        return float(namespace(F).sum(self.row_values(F))) if self._counts else 0.0

    def row_values(self, F: Array) -> Array:
        """The value of each row of ``F`` by itself."""
        xp, dtype = namespace(F), wide(F)
        if not self._counts:
            return xp.zeros_like(F[:, 0], dtype=dtype)
        return 2 * self.l1 * xp.sum(F, axis=1, dtype=dtype) + self.l2 * xp.sum(xp.square(cast(F, dtype)), axis=1)

    def gradient_parts(self, F: Array) -> tuple[Array, Array]:
        """(N, Q), both >= 0, with d value / d F = Q - N:  N = 0,  Q = 2 l1 + 2 l2 F."""
        return namespace(F).zeros_like(F), 2 * self.l1 + 2 * self.l2 * F

    @property
    def _counts(self) -> bool:
        return bool(self.l1 or self.l2)


NO_PENALTY = ElasticNet()
