"""The candidates of `AutoNMF`: their hyper-parameters, and the models made from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...adversaries import FrobeniusPenalty
from ...engine.factors import Factors
from ...losses import Correntropy, Elastic
from ...models.nmf import NMF
from ...penalties import Smooth
from ..neighbours import Layout

Array = np.ndarray

# Most sweeps of a fit, and the relative change of the objective at which it has converged.
MAX_ITER, TOL = 2000, 1e-5
# Pre-training sweeps over each layer of a deep model.
_PRETRAIN_ITER = 50
# The first strength of smoothness.
_FIRST_STRENGTH = 0.03
#: The first ridge of a search, in units of the root mean square of the observed values.
FIRST_RIDGE = 3e-3
# Of factors of any sign: the first rank and ridge.
_SIGNED_RANK, _SIGNED_RIDGE = 3, 0.1
# The column means are exact from the start.
_SWEEPS_OF_MEANS = 3
# In the same unit: a ridge that keeps codes and row offsets at 0.
_HELD_AT_ZERO = 1e9


# Least and largest ridge; strength of smoothness.
_RIDGES, _STRENGTHS = (1e-7, 1.0), (1e-6, 100.0)
#: Names of the strengths of smoothness.
SMOOTH = ("smooth_samples", "smooth_features")


@dataclass(frozen=True)
class Candidate:
    """The hyper-parameters of a model.

    Rank 0 stands for the column means.  ``ridge`` is in units of the root mean square of the observed values, and
    counts once for each observed entry of a row or column.  ``delta`` is the shape of the elastic loss, in units of
    the typical residual of a sample.  ``smooth_samples`` and ``smooth_features`` are strengths of `Smooth` along the
    layout of the rows and columns, ``smooth_order`` is its order.
    """

    rank: int
    ridge: float
    biases: bool = False
    outer_rank: int | None = None
    lam: float | None = None
    delta: float | None = None
    correntropy: bool = False
    smooth_samples: float = 0.0
    smooth_features: float = 0.0
    smooth_order: int = 1
    signed: bool = False
    seed: int = 0

    def model(self, scales: Scales) -> NMF:
        """The estimator, not fitted."""
        loss = "frobenius"
        if self.correntropy:
            loss = Correntropy()
        elif self.delta is not None:
            loss = Elastic(self.delta * scales.residual)
        if self.rank == 0:
            return _column_means(loss, scales, self.signed)
        return NMF(
            self.rank if self.outer_rank is None else (self.outer_rank, self.rank),
            loss=loss,
            adversary=None if self.lam is None else FrobeniusPenalty(self.lam),
            alpha_W=self.ridge * scales.values,
            penalty_W=self._smooth(self.smooth_samples, scales.rows),
            penalty_H=self._smooth(self.smooth_features, scales.columns),
            alpha_scale="observed",
            biases=self.biases,
            signed=self.signed,
            max_iter=MAX_ITER,
            pretrain_iter=_PRETRAIN_ITER,
            tol=TOL,
            sparse_missing="absent",
            random_state=self.seed,
        )

    def _smooth(self, strength: float, layout: Layout | None) -> Smooth | None:
        return layout.smooth(strength, self.smooth_order) if strength else None

    def signed_one(self, shape: tuple[int, int], n_observed: int) -> Candidate:
        """A candidate with factors of any sign in the place of this one, for columns that are centred and scaled."""
        rank = min(_SIGNED_RANK, shape[1] - 1, highest_rank(shape, n_observed))
        return replace(self, rank=max(rank, 1), ridge=_SIGNED_RIDGE, biases=False, signed=True)

    def same_shape(self, other: Candidate) -> bool:
        """Whether both differ at most in penalties and loss, so that one can start from the factors of the other."""
        names = "ridge", "correntropy", "smooth_order", *SMOOTH
        return replace(self, **{name: getattr(other, name) for name in names}) == other

    def with_ridge(self, factor: float) -> Candidate:
        """A step of the ridge."""
        return replace(self, ridge=float(np.clip(self.ridge * factor, *_RIDGES)))

    def with_strength(self, factor: float, name: str) -> Candidate:
        """A step of one of the strengths of `SMOOTH`."""
        return replace(self, **{name: float(np.clip(getattr(self, name) * factor, *_STRENGTHS))})

    def with_rank(self, factor: float, highest: int) -> Candidate:
        """A step of the rank, by at least one."""
        rank = round(self.rank * factor)
        rank = rank + int(np.sign(factor - 1)) if rank == self.rank else rank
        return self.of_rank(int(np.clip(rank, 1, highest)))

    def of_rank(self, rank: int) -> Candidate:
        """With another rank; a layer before it has twice as many components."""
        return replace(self, rank=rank, outer_rank=None if self.outer_rank is None else 2 * rank)

    def extra_beside(self, plain: Candidate) -> str:
        """The part that this candidate has more than a plain one, in words."""
        if self.biases != plain.biases:
            return "offsets of rows and columns" if self.biases else "leaving out the offsets"
        if self.lam != plain.lam:
            return "an adversary"
        return "the elastic loss" if self.delta != plain.delta else "a second layer"

    def describe(self) -> str:
        """The candidate in words."""
        if self.rank == 0:
            return "column means"
        layers = f"rank {self.rank}" if self.outer_rank is None else f"layers ({self.outer_rank}, {self.rank})"
        layers += " of any sign" if self.signed else ""
        parts = [layers, f"ridge {self.ridge:.2g} of the data's root mean square"]
        for name, strength in (("samples", self.smooth_samples), ("features", self.smooth_features)):
            if strength:
                along = "along curves " if self.smooth_order == 2 else ""
                parts.append(f"smooth {along}over neighbouring {name} (strength {strength:.2g})")
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
class Scales:
    """The units of ``ridge`` and ``delta``, and where rows and columns lie, along which factors may be smooth.

    ``values`` is the root mean square of the values, ``residual`` the typical residual norm of a sample.
    """

    values: float
    residual: float = 1.0
    rows: Layout | None = None
    columns: Layout | None = None

    @classmethod
    def of(cls, values: Array, rows: Layout | None = None, columns: Layout | None = None) -> Scales:
        """The scales of these values."""
        return cls(float(np.sqrt(np.mean(np.square(values)))) or 1.0, 1.0, rows, columns)


def column_means(*, signed: bool = False) -> Candidate:
    """The baseline of a search."""
    return Candidate(0, 0.0, biases=True, signed=signed)


def factors_of_means(n_rows: int, means: Array, dtype: np.dtype) -> Factors:
    """Factors of the column means: (0, 0, 1) . (0, 1, mean)."""
    codes, components = np.zeros((n_rows, 3), dtype), np.zeros((3, len(means)), dtype)
    codes[:, 2] = components[1] = 1
    components[2] = means
    return [codes, components]


def _column_means(loss: object, scales: Scales, signed: bool) -> NMF:
    """A model of column offsets without a penalty; its codes and row offsets are kept at 0."""
    return NMF(
        1,
        loss=loss,
        alpha_W=_HELD_AT_ZERO * scales.values,
        alpha_H=0.0,
        alpha_scale="observed",
        biases=True,
        signed=signed,
        max_iter=_SWEEPS_OF_MEANS,
        tol=TOL,
        sparse_missing="absent",
        random_state=0,
    )


def first_candidate(
    shape: tuple[int, int], n_observed: int, *, biases: bool, seed: int, scales: Scales | None = None
) -> Candidate:
    """The first candidate: about eight observed entries for each parameter of the model; with offsets, about one.

    With offsets, few components gain little and many under a ridge gain more, so a search from a low rank stops early.
    """
    per_number = 1 if biases else 8
    rank = int(np.clip(n_observed // (per_number * sum(shape)), 1, min(20, *shape)))
    layouts = (None, None) if scales is None else (scales.rows, scales.columns)
    smooth = (_FIRST_STRENGTH if layout is not None else 0.0 for layout in layouts)
    return Candidate(rank, FIRST_RIDGE, biases, None, None, None, False, *smooth, seed=seed)


def highest_rank(shape: tuple[int, int], n_observed: int) -> int:
    """The rank at which a model has as many parameters as there are observed entries."""
    return int(np.clip(n_observed // sum(shape), 1, min(256, *shape)))


def variants(candidate: Candidate, *, small: bool) -> list[Candidate]:
    """The candidate with one more part each: offsets, an adversary, the elastic loss, a second layer.

    Small data, and columns that are centred, do not tell about more than offsets.
    """
    if candidate.signed or small:
        return [replace(candidate, biases=not candidate.biases)]
    found = [
        replace(candidate, biases=not candidate.biases),
        replace(candidate, lam=3.0),
        replace(candidate, delta=1.0),
    ]
    if not candidate.biases:
        found.append(replace(candidate, outer_rank=2 * candidate.rank))
    return found
