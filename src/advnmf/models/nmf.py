"""Estimators: scikit-learn models over the one loop.  Presets change defaults, never the algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np
from scipy import sparse
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from ..adversaries import FrobeniusPenalty, NoAdversary, get_adversary
from ..arrays.namespaces import Array, as_like, finfo, is_tensor, namespace, returned
from ..data import ObservedData
from ..data.check import (
    MOST_SWEEPS,
    check_choice,
    check_layers,
    check_number,
    check_strength,
    describe_empty,
    describe_gaps,
)
from ..engine import offsets
from ..engine.factors import Factors, check_factors, fill_empty, mean_of_rows, product
from ..engine.loop import Callback, Limits, Result, Sweeps, iterate, minimise
from ..engine.problem import Problem
from ..engine.ridges import Ridges, auto_ridge, spread, typical_size
from ..engine.starts import flat_codes, pretrained_factors, random_factors, solve_codes
from ..losses import Loss, get_loss
from ..penalties import ElasticNet
from ..solvers import Solver, get_solver
from .base import CompletionModel, DataWarning, at_once, finite
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
from .ranking import RankingMixin
from .reliability import Reliability, reliability

__all__ = ["NMF", "DataWarning", "Layers"]

Layers = int | Sequence[int]

# Why a fit may leave the numbers, and what helps.
_OPEN = (
    "the parameters leave the scale of a factor open, or X spans too wide a range for its precision; "
    "set alpha_W and alpha_H to the same positive number, or give X as float64"
)


class NMF(RankingMixin, CompletionModel):
    """Nonnegative matrix factorisation of a matrix that has holes.

        min over F_1, ..., F_L >= 0   max over R    sum over observed (i, j) of loss(X + R, F_1 ... F_L)  +  penalties

    Rows of ``X`` are samples.  NaN is missing, and so is what ``mask`` (True = observed) leaves out: missing entries
    have no influence whatever.  ``n_components=r`` gives ``X ~ W H``; a tuple ``(r_1, ..., r_p)`` gives a chain of
    ``p + 1`` factors.

    Parameters
    ----------
    n_components : int or tuple of int, default=10
        Rank; or the sizes of the layers, from the data side to the codes.
    loss : {"frobenius", "l21", "elastic", "correntropy"} or object of `advnmf.losses`, default="frobenius"
        What is summed over the observed entries (no factor 1/2).
    adversary : None or object of `advnmf.adversaries`, default=None
        Who perturbs the data during training, such as ``FrobeniusPenalty(lam=2.0)``.  To search over lam use `ATNMF`.
    attack : {"exact", "alternating"}, default="exact"
        "exact" minimises the robust objective itself and never lets it rise; "alternating" freezes the perturbation for
        `attack_every` sweeps, as in the studies (elastic weights from the attacked data and the codes first, as in the
        released code of EADNMF).  That promises nothing: with ``lam < 2`` and the fast "hals" it may diverge.
    attack_every : int, default=1
        Sweeps between two attacks of ``attack="alternating"``.
    solver : {"hals", "mu"} or solver object, default="hals"
        Row-wise coordinate descent, or multiplicative updates (which take tensors on any device).
    init : {"random", "custom"}, default="random"
        Half-normal draws on the scale of the data, with layer-wise pre-training of deep chains; or the ``factors``
        given to `fit`.
    alpha_W : "auto" or float, default="auto"
        Penalty of the codes, times n_features, as in `sklearn.decomposition.NMF`.  It has a unit: that of ``X`` under
        squares.  "auto" is 0 on complete data; where entries are missing, a small ridge (squares, whatever l1_ratio
        says) in the unit of the data and of the loss, see `advnmf.engine.ridges`: without any, what is hardly observed
        may be completed with anything.
    alpha_H : "same", "auto" or float, default="same"
        Penalty of every other factor, times n_samples; that of the codes unless given.
    l1_ratio : float, default=0.0
        0 for squares (l2), 1 for sums (l1), between for both.
    alpha_scale : {"shape", "observed"}, default="shape"
        What the penalty of a row of a factor is multiplied by: n_features or n_samples as said above, or the number of
        entries observed in that sample or feature, so that one strength serves those of few entries and of many.
        The same on complete data; "observed" suits ratings.
    biases : bool, default=False
        Offsets of samples and features of any sign beside the nonnegative part (one layer, solver "hals" only):
        ``X_ij ~ a_i . b_j + row_bias_i + column_bias_j + global_bias``, fitted jointly; alpha_W draws those of samples
        to 0, alpha_H those of features to their mean, by squares (over the standard deviation of ``X``, so that their
        ridge changes with the unit of ``X`` as the others do).  Codes get one column more: the sample's offset.  What
        comes out below 0 is completed with 0.
    max_iter : int, default=200
        Most sweeps over all factors.
    pretrain_iter : int or None, default=None
        Most sweeps over each layer of a deep chain before that; None stands for `max_iter`.
    tol : float, default=1e-4
        Stop once a sweep changes the objective by less than this share of it.
    n_init : int, default=1
        Random starts, of which the one with the lowest objective is kept.
    sparse_missing : {"zero", "absent"}, default="zero"
        Meaning of what a sparse matrix does not store: an observed zero, or a missing entry.  A stored NaN is missing
        and a stored zero is a zero in either case.
    time_limit : float or None, default=None
        Seconds after which the fit ends with what it has (each sweep and at least one is finished).
    random_state : int, RandomState instance or None, default=None
        Seed of the random starts; the same number gives the same result.
    verbose : int, default=0
        Print every `verbose`-th sweep.
    callback : callable or None, default=None
        Called after each sweep with a `Progress`; a true answer ends the fit.

    Attributes
    ----------
    components_ : ndarray or tensor of shape (r_p, n_features)
        What a code multiplies: F_2 ... F_L.
    factors_ : list of ndarray or tensor
        F_1 (the codes of the training data), ..., F_L.
    loss_ : object of `advnmf.losses`
        The loss, with the scale that it ended with where that follows the residuals.
    seen_ : tuple of ndarray or None
        Row pointers and columns of the observed entries, after a fit to sparse ``X`` with ``sparse_missing="absent"``.
    column_counts_ : ndarray of int
        How many entries of each column were observed.
    reliability_ : tuple of float
        What `recommend` weighs predictions by, see `advnmf.models.reliability.Reliability`.
    row_bias_, column_bias_, global_bias_ : ndarray, ndarray, float
        The offsets, with ``biases=True``.
    alpha_W_, alpha_H_ : float
        The penalties used.
    n_components_ : int or tuple of int
        Layer sizes used.
    n_iter_ : int
        Sweeps made from the start that was kept (without pre-training).
    loss_curve_ : ndarray of shape (n_iter_ + 1,)
        Robust objective, penalties included, at the start and after each sweep.
    reconstruction_err_ : float
        Frobenius norm of the residual over the observed entries (weighted by ``weights``), without adversary.
    stop_reason_ : {"tol", "max_iter", "time_limit", "callback", "interrupted"}
        Why the fit ended.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    A sample (feature) with nothing observed gets the mean code (component column) of the others, with a
    `DataWarning`; one that is zero wherever observed is completed with zeros.  Ctrl-C during `fit` keeps the factors
    reached so far: the model is fitted, and the `KeyboardInterrupt` goes on.

    A PyTorch tensor ``X`` is not converted: "mu" computes on its device, "hals" on the CPU only, and what a method
    returns is a tensor of the device and precision of what it was given, whatever the model was fitted to (so this
    needs no ``array_api_dispatch`` of scikit-learn, whose tag ``array_api_support`` stays false: it would promise to
    refuse data of another library than that of `fit`).  A seed means the same start on every device; sums are in
    float64 where the device has it.  Tensors are taken without their gradients, sparse ones are refused.
    `advnmf.save` stores NumPy arrays.
    """

    def __init__(
        self,
        n_components: Layers = 10,
        *,
        loss: str | Loss = "frobenius",
        adversary: FrobeniusPenalty | None = None,
        attack: str = "exact",
        attack_every: int = 1,
        solver: str | Solver = "hals",
        init: str = "random",
        alpha_W: float | str = "auto",
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        alpha_scale: str = "shape",
        biases: bool = False,
        max_iter: int = 200,
        pretrain_iter: int | None = None,
        tol: float = 1e-4,
        n_init: int = 1,
        sparse_missing: str = "zero",
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callback: Callback | None = None,
    ) -> None:
        self.n_components = n_components
        self.loss = loss
        self.adversary = adversary
        self.attack = attack
        self.attack_every = attack_every
        self.solver = solver
        self.init = init
        self.alpha_W = alpha_W
        self.alpha_H = alpha_H
        self.l1_ratio = l1_ratio
        self.alpha_scale = alpha_scale
        self.biases = biases
        self.max_iter = max_iter
        self.pretrain_iter = pretrain_iter
        self.tol = tol
        self.n_init = n_init
        self.sparse_missing = sparse_missing
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    # --- fitting -------------------------------------------------------------------------------------------------

    @at_once
    def fit(
        self,
        X: object,
        y: object = None,
        *,
        mask: object = None,
        weights: object = None,
        factors: Sequence[Array] | None = None,
    ) -> Self:
        """Learn the factors.

        Parameters
        ----------
        X : array-like, tensor or sparse matrix of shape (n_samples, n_features)
            Nonnegative where observed; NaN (and the hidden entries of a `numpy.ma` array) are missing.  What a sparse
            matrix does not store is zero or missing, see `sparse_missing`; it is never made dense.
        y : ignored
        mask : array-like of bool of the shape of X, optional
            True = observed.
        weights : array-like broadcastable to the shape of X, optional
            Weight of each entry in the loss, relative to their mean over the observed entries (so their unit does not
            matter); 0 is not learnt from (but is no hole to fill either).  Sparse like X where X is sparse.
        factors : list of arrays [F_1, ..., F_L], optional
            The start for ``init="custom"``.
        """
        problem, layers = self._pose(X, mask, weights)
        given = self._check_start(problem, layers, factors)
        self._warn(self._gaps(problem.data, layers))
        self._end_fit(self._learn(X, problem, layers, given))
        return self

    def fit_transform(self, X: object, y: object = None, **fit_params: object) -> Array:
        """Learn the model; the codes of the training data (see `fit` for the arguments).

        Where a code has more numbers than there are features, many codes say the same: then those of `transform`.
        """
        self.fit(X, y, **fit_params)
        if self._n_features_out <= self.n_features_in_:
            return self._training_codes()
        return self._encode(X, fit_params.get("mask"), fit_params.get("weights"))

    def _fit_from(self, start: Factors, X: object, mask: object, weights: object) -> Self:
        """`fit` from factors of another fit, offsets included, which are updated in place."""
        problem, layers = self._pose(X, mask, weights)
        self._warn(self._gaps(problem.data, layers))
        self._end_fit(self._learn(X, problem, layers, start))
        return self

    def _pose(self, X: object, mask: object, weights: object) -> tuple[Problem, tuple[int, ...]]:
        """What is to be solved, once everything is checked, and the sizes of the layers."""
        self._check_parameters()
        data = self._check_data(X, mask, weights)
        layers = check_layers(self.n_components)
        return self._pose_data(data, layers), layers

    def _learn(self, X: object, problem: Problem, layers: tuple[int, ...], start: Factors | None) -> Result:
        """Solve it, and set the fitted attributes."""
        result = self._best_start(problem, layers, start)
        self._store(problem, layers, result)
        self._give_back(X)
        return result

    def _gaps(self, data: ObservedData, layers: tuple[int, ...]) -> list[str]:
        """What the data leave open, in words."""
        return describe_empty(data) if self.biases else describe_gaps(data, layers)

    def _check_start(self, problem: Problem, layers: tuple[int, ...], factors: object) -> Factors | None:
        """The start that the user gives, if `init` says so."""
        if self.init != "custom":
            if factors is not None:
                raise ValueError(f"factors are given, but init={self.init!r}: set init='custom' to start from them")
            return None
        given = check_factors(factors, problem.data, layers)
        given = offsets.start(given, problem.data) if self.biases else given
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isfinite(problem.objective(given)):
                raise ValueError("factors are too large: the objective at the start is not finite")
        return given

    def _best_start(self, problem: Problem, layers: tuple[int, ...], given: Factors | None) -> Result:
        """The result of the lowest objective among `n_init` random starts, or that of the given one."""
        random_state, solver = check_random_state(self.random_state), get_solver(self.solver)

        def run(limits: Limits) -> Result:
            limits, cut = replace(limits, attack_every=self._attack_interval(problem)), ""
            chain = given
            if chain is None:
                chain, cut = self._draw_start(problem, layers, solver, limits, random_state)
            result = minimise(problem, chain, solver, replace(limits, max_iter=0) if cut else limits)
            return replace(result, stop_reason=cut or result.stop_reason)

        return self._best_of(run, 1 if given else self.n_init)

    def _draw_start(
        self,
        problem: Problem,
        layers: tuple[int, ...],
        solver: Solver,
        limits: Limits,
        random_state: np.random.RandomState,
    ) -> tuple[Factors, str]:
        """A random start, and why it was cut short ("" if it was not)."""
        if self.biases:
            chain = random_factors(problem.data, layers, random_state, share=offsets.START_SHARE)
            return offsets.start(chain, problem.data), ""
        if len(layers) == 1:
            return random_factors(problem.data, layers, random_state), ""
        limits = replace(limits, max_iter=self.pretrain_iter or limits.max_iter)
        return pretrained_factors(problem, layers, solver, limits, random_state)

    def _sweeps(self, data: ObservedData, factors: Factors | None = None) -> Sweeps:
        """What `fit` does after its first start, for a caller who steps, looks and stops by himself.

        `factors` to begin with, which are updated in place; drawn as in `fit` unless given.
        """
        self._check_parameters()
        layers, solver = check_layers(self.n_components), get_solver(self.solver)
        problem = self._pose_data(data, layers)
        if factors is None:
            limits, random_state = Limits(self.max_iter, self.tol), check_random_state(self.random_state)
            factors, cut = self._draw_start(problem, layers, solver, limits, random_state)
            if cut == "interrupted":  # pre-training ends in order, as `fit` does; here nobody is told otherwise
                raise KeyboardInterrupt
        return Sweeps(problem, factors, solver, self._attack_interval(problem))

    def _fit_data(self, data: ObservedData, factors: Factors | None, limits: Limits) -> None:
        """`fit` to checked data, from given factors on (offsets included) or from a random start."""
        process = self._sweeps(data, factors and [F.copy() for F in factors])
        with process.solver.session(process.posed):
            n_iter, reason, history = iterate(process, limits)
        layers = check_layers(self.n_components)
        self._store(process.posed, layers, Result(process.factors, n_iter, reason, history))

    def _store(self, problem: Problem, layers: tuple[int, ...], result: Result) -> None:
        """Set the fitted attributes."""
        data = problem.data
        finite(result.factors, "the fit", _OPEN)
        self.factors_ = fill_empty(result.factors, data.counts, data.column_counts)
        if self.biases:
            self.factors_, found = offsets.parts(self.factors_, data.column_counts)
            self.row_bias_, self.column_bias_, self.global_bias_ = found
        self.components_ = product(self.factors_[1:])
        self.n_components_ = layers[0] if len(layers) == 1 else layers
        self.loss_ = problem.adapted(result.factors).loss if problem.loss.adaptive else problem.loss
        self.alpha_W_, self.alpha_H_, self.offset_spread_ = problem.ridges
        self.n_iter_ = result.n_iter
        self.loss_curve_ = result.history
        self.stop_reason_ = result.stop_reason
        self.seen_ = data.pattern
        self.column_counts_ = np.array(data.column_counts, np.int64)
        self.reliability_ = tuple(reliability(problem, result.factors))
        codes = self._training_codes()
        self.mean_code_ = mean_of_rows(codes, data.counts > 0)
        self.reconstruction_err_ = self._residual_norm(data, codes)

    def _give_back(self, X: object) -> None:
        """Fitted arrays where the user has the data."""
        if is_tensor(X):
            self.factors_ = [as_like(F, X) for F in self.factors_]
            names = ("components_", "mean_code_", *(("row_bias_", "column_bias_") if self.biases else ()))
            for name in names:
                setattr(self, name, as_like(getattr(self, name), X))

    def perturbation(self, X: object, *, mask: object = None) -> Array | sparse.csr_array:
        """What the adversary adds to samples that are coded by `transform`; zero without an adversary.

            R = argmax over R, X + R >= 0, R = 0 off the mask, of  sum of loss(X + R, W H)  -  its cost

        Of the shape of ``X``; sparse where that is, with the observed entries that it stores (all others stay as they
        are).  It is the exact adversary's answer for either `attack`.
        """
        check_is_fitted(self)
        data = self._data(self._read(X, mask))
        attacked = self._coding_problem(data).attacked(self._linear(self._encode_data(data)))
        R = attacked.data.values - data.values
        if sparse.issparse(X):
            return sparse.csr_array((R, data.indices, data.indptr), shape=data.shape)
        return returned(R, X)

    # --- parts ---------------------------------------------------------------------------------------------------

    def _solve_codes(self, data: ObservedData) -> Array:
        """With an adversary the codes minimise the robust objective, as in training."""
        problem = self._coding_problem(data)
        if not self.biases:
            components = data.asarray(self.components_)
            start = flat_codes(data, components)
        else:
            average = np.tile(as_like(self.mean_code_, data.values, data.dtype), (data.shape[0], 1))
            start, components = self._linear(average)
        codes = solve_codes(problem, start, components, get_solver(self.solver), self.max_iter, self.tol)
        return codes[:, : self._n_features_out]

    def _coding_problem(self, data: ObservedData) -> Problem:
        """The problem that samples pose to the fitted components."""
        ridges = Ridges(self.alpha_W_, self.alpha_H_, self.offset_spread_)
        return self._problem(data, (self.components_.shape[0],), self.loss_, ridges)

    def _training_codes(self) -> Array:
        return offsets.beside(self.factors_[0], self.row_bias_) if self.biases else self.factors_[0]

    def _linear(self, codes: Array, columns: object = None) -> tuple[Array, Array]:
        """(A, B) whose product is the reconstruction of codes at some columns, in the precision of the codes."""
        columns = slice(None) if columns is None else columns
        components = as_like(self.components_[:, columns], codes, codes.dtype)
        if not self.biases:
            return codes, components
        column_offsets = as_like((self.column_bias_ + self.global_bias_)[columns], codes, codes.dtype)
        return offsets.with_ones(codes), offsets.with_offsets(components, column_offsets)

    def _decode(self, codes: Array, columns: object = None) -> Array:
        A, B = self._linear(codes, columns)
        return self._clipped(A @ B)

    def _clipped(self, values: Array, columns: object = None) -> Array:
        """Offsets of any sign do not complete nonnegative data with negative values."""
        return namespace(values).clip(values, 0, None) if self.biases else values

    def _predict(self, data: ObservedData, codes: Array) -> object:
        return data.predict(*self._linear(codes))

    @property
    def _sparse(self) -> str:
        return self.sparse_missing

    @property
    def _tensors(self) -> str:
        return "numpy" if get_solver(self.solver).numpy_only else "keep"

    def _make_loss(self) -> Loss:
        return get_loss(self.loss)

    def _make_adversary(self) -> NoAdversary | FrobeniusPenalty:
        return get_adversary(self.adversary)

    def _pose_data(self, data: ObservedData, layers: tuple[int, ...]) -> Problem:
        """The problem that the parameters pose over the data of a fit: what is relative to data is so to these."""
        rows = data.counts[data.counts > 0]
        size = typical_size(data)
        norm = size * float(np.sqrt(rows.mean())) if len(rows) else 0.0
        loss = self._make_loss().posed(size, norm, float(finfo(data.values).eps))
        codes, others = self.alpha_W, self.alpha_W if self.alpha_H == "same" else self.alpha_H
        if "auto" in (codes, others):
            ridge = auto_ridge(data, loss, len(layers) + 1)
            codes, others = (ridge if alpha == "auto" else alpha for alpha in (codes, others))
        return self._problem(data, layers, loss, Ridges(codes, others, spread(data) if self.biases else 1.0))

    def _problem(self, data: ObservedData, layers: tuple[int, ...], loss: Loss, ridges: Ridges) -> Problem:
        """The problem with strengths that are known."""
        codes, inner, last = self._penalties(data, ridges)
        penalties = (codes, *[inner] * (len(layers) - 1), last)
        if self.biases:
            penalties = offsets.penalties(codes, last, layers[0], ridges.spread)
        return Problem(data, loss, self._make_adversary(), penalties, ridges)

    def _penalties(self, data: ObservedData, ridges: Ridges) -> tuple[ElasticNet, ElasticNet, ElasticNet]:
        """Those of the codes, of inner factors and of the last one."""
        if self.alpha_scale == "observed":
            numbers = 1.0, float(data.column_counts.mean()), 1.0
            scales = data.counts, None, data.column_counts
        else:
            numbers = data.shape[1], data.shape[0], data.shape[0]
            scales = None, None, None
        alphas = ridges.codes, ridges.others, ridges.others
        shares = [0.0 if auto else self.l1_ratio for auto in self._auto]
        return tuple(
            ElasticNet(alpha * number * l1, alpha * number * (1 - l1), scale)
            for alpha, number, l1, scale in zip(alphas, numbers, shares, scales, strict=True)
        )

    @property
    def _auto(self) -> tuple[bool, bool, bool]:
        """Whether the ridge of the codes, of inner factors and of the last one is chosen here."""
        others = self.alpha_W if self.alpha_H == "same" else self.alpha_H
        return self.alpha_W == "auto", others == "auto", others == "auto"

    def _attack_interval(self, problem: Problem) -> int | None:
        """Sweeps between two frozen attacks, where these are asked for and there is somebody to attack."""
        return self.attack_every if self.attack == "alternating" and problem.adversary.attacks else None

    def _check_parameters(self) -> None:
        self._check_common_parameters()
        get_solver(self.solver)
        check_layers(self.n_components)
        self._make_adversary().check(self._make_loss())
        check_number("attack_every", self.attack_every, low=1, high=MOST_SWEEPS, integer=True)
        if self.pretrain_iter is not None:
            check_number("pretrain_iter", self.pretrain_iter, low=1, high=MOST_SWEEPS, integer=True)
        check_strength("alpha_W", self.alpha_W, ("auto",))
        check_number("l1_ratio", self.l1_ratio, high=1.0)
        check_strength("alpha_H", self.alpha_H, ("same", "auto"))
        check_choice("attack", self.attack, ("exact", "alternating"))
        check_choice("alpha_scale", self.alpha_scale, ("shape", "observed"))
        check_choice("biases", self.biases, (False, True))
        if self.biases:
            self._check_biases()
        check_choice("init", self.init, ("random", "custom"))
        check_choice("sparse_missing", self.sparse_missing, ("zero", "absent"))

    def _check_biases(self) -> None:
        if len(check_layers(self.n_components)) > 1:
            raise ValueError(f"biases=True needs a single layer, got n_components={self.n_components!r}")
        if not get_solver(self.solver).signed:
            raise ValueError(f"biases=True needs solver='hals': offsets of any sign are beyond {self.solver!r}")

    def _fitted_rules(self) -> dict[str, Rule]:
        rules: dict[str, Rule] = {
            "n_features_in_": Whole("features"),
            "factors_": Chain("samples", "features", low=0.0),
            "components_": Floats("size 1", "features", low=0.0),
            "mean_code_": Floats(("size 1", int(self.biases))),
            "n_components_": LayerSizes(),
            "loss_": Instance(Loss),
            "alpha_W_": Number(low=0.0),
            "alpha_H_": Number(low=0.0),
            "offset_spread_": Number(low=np.finfo(float).tiny),
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

    def _check_fitted(self) -> None:
        layers = tuple(len(F) for F in reversed(self.factors_[1:]))
        if self.n_components_ != (layers[0] if len(layers) == 1 else layers):
            raise ValueError(f"n_components_ is {self.n_components_}, expected {layers}, the sizes of factors_")
        if self.loss_.adaptive:
            raise ValueError("loss_ has no scale")
        self._make_adversary().check(self.loss_)
        Reliability(*self.reliability_).check()
        biases = (self.row_bias_, self.column_bias_, self.global_bias_) if self.biases else ()
        check_product(self.factors_[0], self.components_, *biases)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
