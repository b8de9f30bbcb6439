"""What the contract tests try: cases of each class in the tables, with formulas that owe nothing to these classes.

A class that is put into `LOSSES` or `ADVERSARIES` without a line here fails `test_registries.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from advnmf.adversaries import Adversary, FrobeniusPenalty, NoAdversary
from advnmf.arrays.namespaces import to_numpy
from advnmf.data import ObservedData, array_data
from advnmf.engine.problem import Problem
from advnmf.losses import L21, Correntropy, Elastic, Frobenius, Loss
from advnmf.penalties import NO_PENALTY
from problems import STORAGES as NUMPY_STORAGES
from problems import as_sparse, complete_data, random_data, zero_filled

Array = np.ndarray

# --- losses ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LossCase:
    """A loss, and the same by a formula: value(X, P, omega) over whole arrays, where P is positive.

    A loss that follows the fit is said by another: follows(residuals, values), both vectors.
    """

    loss: Loss
    value: Callable[[Array, Array, Array], float]
    follows: Callable[[Array, Array], Loss] | None = None

    def __repr__(self) -> str:
        return repr(self.loss)


def norms(X: Array, P: Array, omega: Array) -> Array:
    """Of the rows of X - P."""
    return np.sqrt((omega * (X - P) ** 2).sum(axis=1))


def _l21(floor: float) -> Callable[[Array, Array, Array], float]:
    def value(X: Array, P: Array, omega: Array) -> float:
        x = norms(X, P, omega)
        return float(np.where(x < floor, x**2 / (2 * floor) + floor / 2, x).sum())

    return value


def _elastic(delta: float) -> Callable[[Array, Array, Array], float]:
    def value(X: Array, P: Array, omega: Array) -> float:
        x = norms(X, P, omega)
        return float(((1 + delta) * x**2 / (delta + x)).sum())

    return value


def _squares(X: Array, P: Array, omega: Array) -> float:
    return float((omega * (X - P) ** 2).sum())


def _correntropy(sigma: float) -> Callable[[Array, Array, Array], float]:
    def value(X: Array, P: Array, omega: Array) -> float:
        return float((omega * 2 * sigma**2 * (1 - np.exp(-((X - P) ** 2) / (2 * sigma**2)))).sum())

    return value


def _correntropy_follows(residuals: Array, values: Array) -> Loss:
    quarter, three = np.quantile(residuals, [0.25, 0.75], method="hazen")
    sizes = np.sort(values[values > 0])
    capped = np.minimum(values, sizes[int(0.75 * (len(sizes) - 1))])
    return Correntropy(max(1.5 * (three - quarter), 0.1 * float(np.sqrt(np.mean(capped**2)))), 1.5, 0.1)


LOSS_CASES: dict[type[Loss], list[LossCase]] = {
    Frobenius: [LossCase(Frobenius(), _squares)],
    # Without a floor of its own it is 1e-10: below what the tests come to.
    L21: [LossCase(L21(), _l21(1e-10)), LossCase(L21(2.0), _l21(2.0))],
    Elastic: [
        *[LossCase(Elastic(delta), _elastic(delta)) for delta in (0.2, 2.0)],
        *[LossCase(Elastic(0.0), _l21(1e-10)), LossCase(Elastic(np.inf), _squares)],
    ],
    Correntropy: [
        *[LossCase(Correntropy(sigma), _correntropy(sigma)) for sigma in (0.5, 3.0)],
        LossCase(Correntropy("iqr", eta=1.5, sigma_min=0.1), _squares, _correntropy_follows),
    ],
}

# --- adversaries -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AdversaryCase:
    """An adversary, what R costs it, price(R, omega), and the attacked data nearest to U that it may choose."""

    adversary: Adversary
    price: Callable[[Array, Array], float]
    nearest: Callable[[Array, Array, Array], Array]

    def __repr__(self) -> str:
        return repr(self.adversary)


def _nonnegative(U: Array, X: Array, omega: Array) -> Array:
    return np.where(omega > 0, np.maximum(U, 0), X)


def _penalty(lam: float) -> AdversaryCase:
    return AdversaryCase(FrobeniusPenalty(lam), lambda R, omega: lam * float((omega * R**2).sum()), _nonnegative)


ADVERSARY_CASES: dict[type[Adversary], list[AdversaryCase]] = {
    NoAdversary: [AdversaryCase(NoAdversary(), lambda R, omega: 0.0, lambda U, X, omega: X)],
    FrobeniusPenalty: [_penalty(1.2), _penalty(2.0), _penalty(7.0)],
}

# --- both --------------------------------------------------------------------------------------------------------


def all_losses() -> list[LossCase]:
    return [case for cases in LOSS_CASES.values() for case in cases]


def all_adversaries() -> list[AdversaryCase]:
    return [case for cases in ADVERSARY_CASES.values() for case in cases]


def goes_together(loss: Loss, adversary: Adversary) -> bool:
    try:
        adversary.check(loss)
    except ValueError:
        return False
    return True


def pairs(*, refused: bool = False) -> list[Any]:
    """Pairs of cases that go together; or that do not."""
    return [
        pytest.param(loss, adversary, id=f"{loss}-{adversary}")
        for loss in all_losses()
        for adversary in all_adversaries()
        if goes_together(loss.loss, adversary.adversary) != refused
    ]


# --- data --------------------------------------------------------------------------------------------------------

STORAGES = [*NUMPY_STORAGES, "tensor", "complete tensor"]


@dataclass(frozen=True)
class Stored:
    """Data in one of the storages, and the same as whole arrays: omega is 0 where an entry is missing."""

    data: ObservedData
    X: Array
    omega: Array

    def problem(self, loss: Loss, adversary: Adversary | None = None, penalties: Any = (NO_PENALTY,) * 2) -> Problem:
        return Problem(self.data, loss, adversary or NoAdversary(), tuple(penalties))

    def predict(self, A: Array, B: Array) -> Any:
        return self.data.predict(self.data.asarray(A), self.data.asarray(B))

    def full(self, E: Any) -> Array:
        """Explicit entries as a whole array, 0 elsewhere (as numbers of observed zeros are, too)."""
        if E.ndim == 2:
            return np.array(to_numpy(E))
        return np.asarray(self.data._matrix(E).toarray())

    @property
    def explicit(self) -> Array:
        """Where `full` is told what it says."""
        if self.data.entries_are_all:
            return self.omega > 0
        return (self.full(np.ones_like(self.data.values)) > 0) & (self.omega > 0)


def stored(storage: str, seed: int = 0, shape: tuple[int, int] = (9, 7), dtype: Any = np.float64) -> Stored:
    """Data with holes, zeros, and (but in complete and zero-filled ones) a row and a column that are empty."""
    rng = np.random.default_rng(seed)
    if storage.startswith("complete"):
        data = complete_data(rng, shape, dtype)
        return Stored(_tensor(data.values) if "tensor" in storage else data, data.values, np.ones(shape))
    if storage.startswith("zeros"):
        data, dense = zero_filled(rng, shape, 0.3 if storage.endswith("holes") else 0.0, dtype)
        return Stored(data, dense.values, np.ones(shape) if dense.omega is None else dense.omega.astype(float))
    dense = random_data(rng, shape, weights="weights" in storage or storage == "tensor", dtype=dtype)
    if storage == "tensor":
        return Stored(_tensor(dense.values, dense.omega), dense.values, dense.omega)
    data = as_sparse(dense) if storage.startswith("sparse") else dense
    return Stored(data, dense.values, dense.omega.astype(float))


def _tensor(*arrays: Array) -> ObservedData:
    xp = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed: see the extra test")
    return array_data(*map(xp.asarray, arrays))


CENSORED = ["mask", "weights", "tensor"]


@dataclass(frozen=True)
class Bounded:
    """Data with bounds in some entries, and the same as whole arrays."""

    data: ObservedData
    X: Array
    omega: Array
    sides: Array

    def objective(self, loss: LossCase, adversary: AdversaryCase, P: Array) -> float:
        """By the formulas of the cases: the truth that is nearest to P, then the worst perturbation of it."""
        lowest = np.where(self.sides > 0, self.X, np.where(self.sides < 0, 0, self.X))
        highest = np.where(self.sides < 0, self.X, np.where(self.sides > 0, np.inf, self.X))
        nearest = np.clip(P, lowest, highest)
        if not adversary.adversary.attacks:
            return loss.value(nearest, P, self.omega)
        problem = Problem(array_data(nearest, self.omega), loss.loss, adversary.adversary, (NO_PENALTY,) * 2)
        return problem.objective([P, np.eye(P.shape[1])])


def censored(storage: str = "mask", seed: int = 0, shape: tuple[int, int] = (9, 7)) -> Bounded:
    """Gamma values with holes, zeros, a third below and a tenth above a bound, an empty row and an empty column."""
    rng = np.random.default_rng(seed)
    omega = (rng.random(shape) < 0.8).astype(np.uint8)
    omega[1], omega[:, 2] = 0, 0
    X = np.where(omega > 0, rng.gamma(1.0, size=shape) * (rng.random(shape) > 0.1), 0)
    kind = rng.random(shape)
    sides = np.where(omega == 0, 0, np.where(kind < 0.33, -1, np.where(kind > 0.9, 1, 0))).astype(np.int8)
    if storage != "mask":
        omega = omega * rng.uniform(0.2, 3, shape)
    if storage == "tensor":
        return Bounded(_tensor(X, omega, sides), X, omega, sides)
    return Bounded(array_data(X, omega, sides), X, omega.astype(float), sides)


def takes(storage: str, loss: Loss, adversary: Adversary | None = None) -> bool:
    """Whether the storage has what they look at: single zeros are not to be had of zero-filled data."""
    return not storage.startswith("zeros") or not (loss.entrywise or (adversary is not None and adversary.entrywise))


def chain(seed: int, shape: tuple[int, int], *layers: int) -> list[Array]:
    """Factors whose product is now above, now below data of `stored`."""
    rng = np.random.default_rng(seed)
    sizes = [shape[0], *layers, shape[1]]
    return [rng.gamma(1.0, 0.8, size=s) + 0.01 for s in pairwise(sizes)]


def numeric_gradient(f: Callable[[Array], float], F: Array, step: float = 1e-6) -> Array:
    """By central differences."""
    G = np.zeros(F.shape)
    for index in np.ndindex(*F.shape):
        up, down = F.copy(), F.copy()
        up[index] += step
        down[index] -= step
        G[index] = (f(up) - f(down)) / (2 * step)
    return G
