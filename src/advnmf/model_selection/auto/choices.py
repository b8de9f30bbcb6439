"""Choices: what `AutoNMF` decides about a model, and the models that they stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...adversaries import FrobeniusPenalty
from ...engine.factors import Factors
from ...losses import Correntropy, Elastic
from ...models.nmf import NMF

Array = np.ndarray

# Sweeps of a fit that is carried to its end, and the change of the objective that ends it.
MAX_ITER, TOL = 2000, 1e-5
# Sweeps over each layer of a deep chain, before it is looked at for the first time.
_PRETRAIN_ITER = 50
#: A small ridge, in units of the root mean square of the observed values: where the search for a better one begins.
FIRST_RIDGE = 3e-3
# In the same unit: what holds codes and the offsets of rows at 0.
_HELD_AT_ZERO = 1e9


@dataclass(frozen=True)
class Choice:
    """A model, up to its random start.

    Rank 0 stands for the column means: the offsets of columns alone, drawn to nothing.  ``ridge`` is in units of the
    root mean square of the observed values, and counts once for each observed entry of a row or column.  ``delta`` is
    the shape of the elastic loss, in units of the typical residual of a sample.
    """

    rank: int
    ridge: float
    biases: bool = False
    outer_rank: int | None = None
    lam: float | None = None
    delta: float | None = None
    correntropy: bool = False
    seed: int = 0

    def model(self, units: Units) -> NMF:
        """The estimator, not fitted."""
        loss = "frobenius"
        if self.correntropy:
            loss = Correntropy()
        elif self.delta is not None:
            loss = Elastic(self.delta * units.residual)
        if self.rank == 0:
            return _column_means(loss, units)
        return NMF(
            self.rank if self.outer_rank is None else (self.outer_rank, self.rank),
            loss=loss,
            adversary=None if self.lam is None else FrobeniusPenalty(self.lam),
            alpha_W=self.ridge * units.values,
            alpha_scale="observed",
            biases=self.biases,
            max_iter=MAX_ITER,
            pretrain_iter=_PRETRAIN_ITER,
            tol=TOL,
            sparse_missing="absent",
            random_state=self.seed,
        )

    def same_shape(self, other: Choice) -> bool:
        """Whether both differ at most in the ridge and in the loss: one may begin where the other has ended."""
        return replace(self, ridge=other.ridge, correntropy=other.correntropy) == other

    def describe(self) -> str:
        """In words."""
        if self.rank == 0:
            return "column means" + (" under the correntropy loss" if self.correntropy else "")
        layers = f"rank {self.rank}" if self.outer_rank is None else f"layers ({self.outer_rank}, {self.rank})"
        parts = [layers, f"ridge {self.ridge:.2g} of the data's root mean square"]
        if self.biases:
            parts.append("offsets of rows and columns")
        if self.delta is not None:
            parts.append(f"elastic loss (delta {self.delta:g} times the typical residual)")
        if self.correntropy:
            parts.append("correntropy loss")
        if self.lam is not None:
            parts.append(f"an adversary (lambda {self.lam:g})")
        return ", ".join(parts)


@dataclass(frozen=True)
class Units:
    """What relative numbers of a choice refer to: the root mean square of the values, the typical residual norm."""

    values: float
    residual: float = 1.0

    @classmethod
    def of(cls, values: Array) -> Units:
        """Those of some values."""
        return cls(float(np.sqrt(np.mean(np.square(values)))) or 1.0)


def column_means(*, correntropy: bool = False) -> Choice:
    """The yardstick of a search."""
    return Choice(0, 0.0, biases=True, correntropy=correntropy)


def factors_of_means(shape: tuple[int, int], level: float, dtype: np.dtype) -> Factors:
    """Where a fit of the column means begins, and but for this level stays: (0, 0, 1) . (0, 1, level)."""
    codes, components = np.zeros((shape[0], 3), dtype), np.zeros((3, shape[1]), dtype)
    codes[:, 2] = components[1] = 1
    components[2] = level
    return [codes, components]


def _column_means(loss: object, units: Units) -> NMF:
    """Offsets of columns that nothing draws anywhere, beside codes and offsets of rows that are held at 0."""
    return NMF(
        1,
        loss=loss,
        alpha_W=_HELD_AT_ZERO * units.values,
        alpha_H=0.0,
        alpha_scale="observed",
        biases=True,
        max_iter=MAX_ITER,
        tol=TOL,
        sparse_missing="absent",
        random_state=0,
    )


def first_choice(shape: tuple[int, int], n_observed: int, *, biases: bool, seed: int) -> Choice:
    """Where the search begins: about eight observed entries for each number of the model; with offsets, about one.

    Beside offsets a few components gain little, many of them under a ridge more: from below, the search stops short.
    """
    per_number = 1 if biases else 8
    rank = int(np.clip(n_observed // (per_number * sum(shape)), 1, min(20, *shape)))
    return Choice(rank, FIRST_RIDGE, biases=biases, seed=seed)


def highest_rank(shape: tuple[int, int], n_observed: int) -> int:
    """A model of this rank has as many numbers as there are observed entries."""
    return int(np.clip(n_observed // sum(shape), 1, min(256, *shape)))


def variants(choice: Choice) -> list[Choice]:
    """One extra each, the other things equal."""
    found = [
        replace(choice, biases=not choice.biases),
        replace(choice, lam=3.0),
        replace(choice, delta=1.0),
    ]
    if not choice.biases:
        found.append(replace(choice, outer_rank=2 * choice.rank))
    return found
