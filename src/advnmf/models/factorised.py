"""What a fit of `NMF` leaves behind, and how it is used: the factors, codes of new samples, attacks on them.

X ~ F_1 F_2 ... F_L      and, with offsets,      X_ij ~ (a_i, r_i, 1) . (b_j, 1, c_j + m)
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from ..adversaries import Adversary, get_adversary
from ..arrays.namespaces import Array, as_like, is_tensor, namespace, returned
from ..arrays.typing import MatrixLike
from ..data import ObservedData
from ..data.check import describe_gaps, describe_unknown
from ..engine import offsets
from ..engine.factors import Factors, fill_empty, fill_rows, mean_of_rows, product
from ..engine.loop import IterativeProcess, Result, StoppingCriteria, Sweeps
from ..engine.problem import Problem
from ..engine.starts import flat_codes, pretrained_factors, random_factors, signed_factors, solve_codes
from ..losses import Loss
from ..solvers import get_solver
from .base import IterativeModel, finite
from .fitted import (
    COURSE,
    Chain,
    Counts,
    Floats,
    Instance,
    LayerSizes,
    Number,
    Pattern,
    Perhaps,
    Record,
    Rule,
    Whole,
    check_product,
)
from .progress import FitInProgress, Outcome, Training
from .ranking import RankingMixin
from .reliability import Reliability, reliability

# Why a fit may leave the numbers, and what helps.
_OPEN = (
    "the parameters leave the scale of a factor open, or X spans too wide a range for its precision; "
    "set alpha_W and alpha_H to the same positive number, or give X as float64"
)


class Factorising(Training):
    """Sweeps over the problem of an `NMF`, from `given` factors or from random ones, deep chains pre-trained."""

    def __init__(self, model: Any, problem: Problem, layers: tuple[int, ...], given: Factors | None = None) -> None:
        self.problem, self.layers, self.given = problem, layers, given
        self.solver = get_solver(model.solver)
        self.biases, self.signed, self.pretrain_iter = model.biases, model.signed, model.pretrain_iter
        # Sweeps between two frozen attacks, where these are asked for and there is an adversary.
        frozen = model.attack == "alternating" and problem.adversary.attacks
        self.attack_every = model.attack_every if frozen else None
        self.random_state = check_random_state(model.random_state)
        # Tensors: fitted arrays go where the data are.
        self.like: Array | None = None

    def gaps(self) -> list[str]:
        """What the data leave open, in words."""
        empty = describe_unknown(*self.problem.known())
        return empty if self.biases else empty + describe_gaps(self.problem.data, self.layers)

    def start(self, criteria: StoppingCriteria) -> tuple[IterativeProcess, str]:
        """The sweeps from the next start, and why pre-training was cut short ("" if it was not)."""
        factors, cut = (self.given, "") if self.given else self._draw(criteria)
        return Sweeps(self.problem, factors, self.solver, self.attack_every), cut

    @cached_property
    def determined(self) -> bool:
        """Whether every row and every column has an observed entry."""
        data = self.problem.data
        return bool(np.all(data.counts) and np.all(data.column_counts))

    def completed(self, factors: Factors) -> Factors:
        """Factors with the rows and columns that the data do not determine: from their neighbours, or the mean."""
        if self.determined:
            return factors
        rows, columns = self.problem.known()
        return fill_empty(self.problem.extended(factors), rows, columns)

    def result(self, process: Sweeps, outcome: Outcome, take: Callable[[Array], Array]) -> Result:
        """The factors, and how they came about."""
        return Result([take(F) for F in process.factors], *outcome)

    def _draw(self, criteria: StoppingCriteria) -> tuple[Factors, str]:
        data = self.problem.data
        if self.biases or self.signed:
            share = offsets.START_SHARE if self.biases else 1.0
            draw = signed_factors if self.signed else random_factors
            chain = draw(data, self.layers, self.random_state, share=share)
            return offsets.start(chain, data) if self.biases else chain, ""
        if len(self.layers) == 1:
            return random_factors(data, self.layers, self.random_state), ""
        criteria = replace(criteria, max_iter=self.pretrain_iter or criteria.max_iter)
        return pretrained_factors(self.problem, self.layers, self.solver, criteria, self.random_state)


class FactorisedModel(RankingMixin, IterativeModel):
    """A model whose fit is a chain of factors, with offsets or without.

    A subclass has the parameters of `NMF`, and gives the problem of new samples by `coding_problem`.
    """

    starts_from_factors: ClassVar[bool] = True
    _takes_censored: ClassVar[bool] = True

    @abstractmethod
    def coding_problem(self, data: ObservedData) -> Problem:
        """The problem that samples pose to the fitted components."""

    def store(self, training: Factorising, result: Result) -> None:
        """Set the fitted attributes."""
        problem, layers = training.problem, training.layers
        data = problem.data
        finite(result.factors, "the fit", _OPEN)
        rows, _ = problem.known()
        self.factors_ = training.completed(result.factors)
        if self.biases:
            self.factors_, found = offsets.parts(self.factors_, data.column_counts)
            self.row_bias_, self.column_bias_, self.global_bias_ = found
        self.components_ = product(self.factors_[1:])
        self.n_components_ = layers[0] if len(layers) == 1 else layers
        ended = problem.adapted(result.factors)
        self.loss_, self.adversary_ = ended.loss, ended.adversary
        self.alpha_W_, self.alpha_H_, self.offset_spread_, unit = problem.ridges
        if self.penalty_W is not None:
            self.penalty_unit_ = unit * float(np.mean(data.counts))
        self.n_iter_ = result.n_iter
        self.loss_curve_ = result.history
        self.stop_reason_ = result.stop_reason
        self.seen_ = data.pattern
        self.column_counts_ = np.array(data.column_counts, np.int64)
        self.reliability_ = tuple(reliability(problem, result.factors))
        codes = self.training_codes()
        self.mean_code_ = mean_of_rows(codes, rows)
        self.reconstruction_err_ = self._residual_norm(data, codes)
        if training.like is not None:
            self._give_back(training.like)

    def _give_back(self, X: Array) -> None:
        """Fitted arrays where the user has the data."""
        self.factors_ = [as_like(F, X) for F in self.factors_]
        names = ("components_", "mean_code_", *(("row_bias_", "column_bias_") if self.biases else ()))
        for name in names:
            setattr(self, name, as_like(getattr(self, name), X))

    def _begin(
        self,
        X: MatrixLike,
        mask: MatrixLike,
        weights: MatrixLike,
        censored: MatrixLike | None = None,
        **start: Any,
    ) -> FitInProgress:
        fit = super()._begin(X, mask, weights, censored, **start)
        fit.training.like = X if is_tensor(X) else None
        return fit

    # --- using ---------------------------------------------------------------------------------------------------

    def fit_transform(self, X: MatrixLike, y: object = None, **fit_params: object) -> Array:
        """Learn the model; the codes of the training data (see `fit` for the arguments).

        Where a code has more numbers than there are features, many codes say the same: then those of `transform`.
        """
        self.fit(X, y, **fit_params)
        if self._n_features_out <= self.n_features_in_:
            return self.training_codes()
        return self._encode(X, *(fit_params.get(name) for name in ("mask", "weights", "censored")))

    def perturbation(
        self, X: MatrixLike, *, mask: MatrixLike | None = None, censored: MatrixLike | None = None
    ) -> Array | sparse.csr_array:
        """What the adversary adds to samples that are coded by `transform`; zero without an adversary.

            R = argmax over R, X + R >= 0, R = 0 off the mask, of  sum of loss(X + R, W H)  -  its cost

        Of the shape of ``X``; sparse where that is, with the observed entries that it stores (all others stay as they
        are).  It is the exact adversary's answer for either `attack`.  A censored entry is perturbed only where the
        prediction lies beyond its bound.
        """
        check_is_fitted(self)
        data = self.read_data(X, mask, censored=censored, reset=False)
        attacked = self.coding_problem(data).attacked(self.linear(self._encode_data(data)))
        R = attacked.data.values - data.values
        if sparse.issparse(X):
            return sparse.csr_array((R, data.indices, data.indptr), shape=data.shape)
        return returned(R, X)

    def training_codes(self) -> Array:
        """Codes of the data of `fit`, with the offset of each sample as their last number if there are any."""
        return offsets.beside(self.factors_[0], self.row_bias_) if self.biases else self.factors_[0]

    def solve_codes(self, data: ObservedData) -> Array:
        """With an adversary the codes minimise the robust objective, as in training."""
        problem = self.coding_problem(data)
        if not self.biases:
            components = data.asarray(self.components_)
            # Multiplicative updates would leave a code of zeros, where nothing was observed, for neighbours to raise.
            empty = np.asarray(data.counts) == 0
            start = fill_rows(flat_codes(data, components), empty, data.asarray(self.mean_code_))
        else:
            average = np.tile(as_like(self.mean_code_, data.values, data.dtype), (data.shape[0], 1))
            start, components = self.linear(average)
        codes = solve_codes(problem, start, components, get_solver(self.solver), self.max_iter, self.tol)
        codes = problem.penalties[0].extended(codes, np.asarray(data.counts) > 0)
        return codes[:, : self._n_features_out]

    def known_rows(self, data: ObservedData) -> np.ndarray:
        """Which samples are determined, by what was observed in them or by their neighbours."""
        observed = super().known_rows(data)
        return (
            observed
            if self.penalty_W is None
            else self.penalty_W.posed(data.shape[0], self.penalty_unit_).known(observed)
        )

    def linear(self, codes: Array, columns: MatrixLike | None = None) -> tuple[Array, Array]:
        """(A, B) whose product is the reconstruction of codes at some columns, in the precision of the codes."""
        columns = slice(None) if columns is None else columns
        components = as_like(self.components_[:, columns], codes, codes.dtype)
        if not self.biases:
            return codes, components
        column_offsets = as_like((self.column_bias_ + self.global_bias_)[columns], codes, codes.dtype)
        return offsets.with_ones(codes), offsets.with_offsets(components, column_offsets)

    def _decode(self, codes: Array, columns: MatrixLike | None = None) -> Array:
        A, B = self.linear(codes, columns)
        return self._clipped(A @ B)

    def _clipped(self, values: Array, columns: MatrixLike | None = None) -> Array:
        """Offsets of any sign do not complete nonnegative data with negative values."""
        return namespace(values).clip(values, 0, None) if self.biases and not self.signed else values

    @property
    def _positive_only(self) -> bool:
        return not self.signed

    def _predict(self, data: ObservedData, codes: Array) -> object:
        return data.predict(*self.linear(codes))

    @property
    def _sparse(self) -> str:
        return self.sparse_missing

    @property
    def _tensors(self) -> str:
        return "numpy" if get_solver(self.solver).numpy_only else "keep"

    # --- what a file may hold ------------------------------------------------------------------------------------

    def fitted_rules(self) -> dict[str, Rule]:
        """What the fitted attributes are."""
        low = -math.inf if self.signed else 0.0
        rules: dict[str, Rule] = {
            "n_features_in_": Whole("features"),
            "factors_": Chain("samples", "features", low=low),
            "components_": Floats("size 1", "features", low=low),
            "mean_code_": Floats(("size 1", int(self.biases))),
            "n_components_": LayerSizes(),
            "loss_": Instance(Loss),
            "adversary_": Instance(Adversary, default=lambda: get_adversary(self.adversary)),
            "alpha_W_": Number(low=0.0),
            "alpha_H_": Number(low=0.0),
            "offset_spread_": Number(low=np.finfo(float).tiny),
            **({} if self.penalty_W is None else {"penalty_unit_": Number(low=0.0)}),
            "seen_": Perhaps(Pattern("samples", "features")),
            "column_counts_": Counts("features"),
            "reliability_": Record(*[Number()] * len(Reliability._fields)),
        }
        if self.biases:
            rules |= {
                "row_bias_": Floats("samples"),
                "column_bias_": Floats("features"),
                "global_bias_": Number(),
            }
        return rules | COURSE

    def check_fitted(self) -> None:
        """Refuse fitted attributes that do not fit together."""
        layers = tuple(len(F) for F in reversed(self.factors_[1:]))
        if self.n_components_ != (layers[0] if len(layers) == 1 else layers):
            raise ValueError(f"n_components_ is {self.n_components_}, expected {layers}, the sizes of factors_")
        if self.loss_.adaptive:
            raise ValueError("loss_ has no scale")
        if self.adversary_.adaptive:
            raise ValueError("adversary_ has no price")
        self.adversary_.check(self.loss_)
        Reliability(*self.reliability_).check()
        biases = (self.row_bias_, self.column_bias_, self.global_bias_) if self.biases else ()
        check_product(self.factors_[0], self.components_, *biases)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
