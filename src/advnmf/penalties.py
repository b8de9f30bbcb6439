"""Penalties: what a factor costs by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ElasticNet:
    """2 l1 sum(F) + l2 sum(F^2): twice scikit-learn's, as the losses have no factor 1/2."""

    l1: float = 0.0
    l2: float = 0.0

    def value(self, F: np.ndarray) -> float:
        """2 l1 sum(F) + l2 sum(F^2), summed in float64."""
        return float(np.sum(self.row_values(F)))

    def row_values(self, F: np.ndarray) -> np.ndarray:
        """The value of each row of ``F`` by itself."""
        if not (self.l1 or self.l2):
            return np.zeros(len(F))
        return 2 * self.l1 * F.sum(axis=1, dtype=np.float64) + self.l2 * np.square(F, dtype=np.float64).sum(axis=1)

    def gradient_parts(self, F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, Q), both >= 0, with d value / d F = Q - N:  N = 0,  Q = 2 l1 + 2 l2 F."""
        return np.zeros_like(F), 2 * self.l1 + 2 * self.l2 * F


NO_PENALTY = ElasticNet()
