"""`NMF`: parameters, the problem that they pose, and the fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from ..adversaries import Adversary, get_adversary
from ..arrays.namespaces import Array, finfo
from ..arrays.typing import MatrixLike
from ..data import ObservedData
from ..data.check import MOST_SWEEPS, check_choice, check_layers, check_number, check_strength
from ..engine import offsets
from ..engine.factors import Factors, check_factors
from ..engine.loop import Callback, StoppingCriteria
from ..engine.problem import Problem
from ..engine.ridges import Ridges, auto_ridge, spread, strength_in_units, typical_size
from ..losses import Loss, get_loss
from ..penalties import NO_PENALTY, ElasticNet, Penalty, Together, check_penalty
from ..solvers import Solver, get_solver
from .factorised import FactorisedModel, Factorising
from .progress import FitInProgress, at_once

__all__ = ["NMF", "Layers"]

Layers = int | Sequence[int]


class NMF(FactorisedModel):
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
    penalty_W, penalty_H : None or object of `advnmf.penalties`, default=None
        Beside these a penalty of the codes, and of the last factor's columns, such as ``Smooth(0.1, grid=(50, 50))``:
        samples or features that are neighbours are alike.  Rows or columns of ``X`` without any entry are then filled
        from their neighbours.
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
    signed : bool, default=False
        Factors of any sign (one layer, solver "hals", no adversary and no l1), and ``X`` may be negative: a
        factorisation of low rank for columns of which some fall where others rise, best centred and of one scale.
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
    adversary_ : object of `advnmf.adversaries`
        The adversary, with the price that it ended with where that follows the fit.
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
    `DataWarning`, unless ``penalty_W`` (``penalty_H``) makes it follow its neighbours; one that is zero wherever
    observed is completed with zeros.  Codes of samples that ``penalty_W`` couples depend on each other: `transform`
    takes its rows as neighbours too.  Ctrl-C during `fit` keeps the factors reached so far: the model is fitted, and
    the `KeyboardInterrupt` goes on.

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
        adversary: Adversary | None = None,
        attack: str = "exact",
        attack_every: int = 1,
        solver: str | Solver = "hals",
        init: str = "random",
        alpha_W: float | str = "auto",
        alpha_H: float | str = "same",
        penalty_W: Penalty | None = None,
        penalty_H: Penalty | None = None,
        l1_ratio: float = 0.0,
        alpha_scale: str = "shape",
        biases: bool = False,
        signed: bool = False,
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
        self.penalty_W = penalty_W
        self.penalty_H = penalty_H
        self.l1_ratio = l1_ratio
        self.alpha_scale = alpha_scale
        self.biases = biases
        self.signed = signed
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
        X: MatrixLike,
        y: object = None,
        *,
        mask: MatrixLike | None = None,
        weights: MatrixLike | None = None,
        censored: MatrixLike | None = None,
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
        censored : array-like of bool, or of "<", ">" and "", of the shape of X, optional
            True or "<": the truth is at most the value in X, a limit of detection; ">": it is at least that, where a
            detector was saturated.  Such an entry costs nothing as long as its prediction is possible, and else as much
            as the bound would.  Dense X only.
        factors : list of arrays [F_1, ..., F_L], optional
            The start for ``init="custom"``.
        """
        return self._fit(X, mask, weights, censored, factors=factors)

    def begin_on(
        self,
        data: ObservedData,
        *,
        factors: Sequence[Array] | None = None,
        start: Factors | None = None,
        criteria: StoppingCriteria | None = None,
    ) -> FitInProgress:
        """A fit of this model itself, with valid parameters, to checked data.

        It begins with random factors, with `factors` as `fit` takes them, or where another fit has come to: with the
        ones of `start`, offsets included, which are updated in place.  `criteria` replace those of the parameters.
        """
        layers = check_layers(self.n_components)
        problem = self._pose_data(data, layers)
        given = start or self._check_start(problem, layers, factors)
        training = Factorising(self, problem, layers, given)
        return FitInProgress(self, training, criteria or self._criteria(), 1 if given else self.n_init)

    def _check_start(self, problem: Problem, layers: tuple[int, ...], factors: object) -> Factors | None:
        """The start that the user gives, if `init` says so."""
        if self.init != "custom":
            if factors is not None:
                raise ValueError(f"factors are given, but init={self.init!r}: set init='custom' to start from them")
            return None
        given = check_factors(factors, problem.data, layers, nonnegative=not self.signed)
        given = offsets.start(given, problem.data) if self.biases else given
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isfinite(problem.objective(given)):
                raise ValueError("factors are too large: the objective at the start is not finite")
        return given

    def coding_problem(self, data: ObservedData) -> Problem:
        """The problem that samples pose to the fitted components."""
        ridges = Ridges(self.alpha_W_, self.alpha_H_, self.offset_spread_)
        codes = self._penalties(data, ridges)[0]
        if self.penalty_W is not None:
            codes = Together(codes, self.penalty_W.posed(data.shape[0], self.penalty_unit_))
        penalties = codes, NO_PENALTY, NO_PENALTY
        return self._problem(data, (self.components_.shape[0],), (self.loss_, self.adversary_), penalties, ridges)

    # --- the problem ---------------------------------------------------------------------------------------------

    def _pose_data(self, data: ObservedData, layers: tuple[int, ...]) -> Problem:
        """The problem that the parameters pose over the data of a fit: what is relative to data is so to these."""
        rows = data.counts[data.counts > 0]
        size = typical_size(data)
        norm = size * float(np.sqrt(rows.mean())) if len(rows) else 0.0
        loss = get_loss(self.loss).posed(size, norm, float(finfo(data.values).eps))
        codes, others = self.alpha_W, self.alpha_W if self.alpha_H == "same" else self.alpha_H
        if "auto" in (codes, others):
            ridge = auto_ridge(data, loss, len(layers) + 1)
            codes, others = (ridge if alpha == "auto" else alpha for alpha in (codes, others))
        unit = strength_in_units(1.0, data, loss, len(layers) + 1)
        ridges = Ridges(codes, others, spread(data) if self.biases else 1.0, unit)
        codes, inner, last = self._penalties(data, ridges)
        codes = _beside(codes, self.penalty_W, data.counts, unit)
        last = _beside(last, self.penalty_H, data.column_counts, unit)
        return self._problem(data, layers, (loss, get_adversary(self.adversary)), (codes, inner, last), ridges)

    def _problem(
        self,
        data: ObservedData,
        layers: tuple[int, ...],
        game: tuple[Loss, Adversary],
        penalties: tuple[Penalty, Penalty, Penalty],
        ridges: Ridges,
    ) -> Problem:
        """The problem with penalties that are known: of the codes, of inner factors, of the last one."""
        codes, inner, last = penalties
        chain = (codes, *[inner] * (len(layers) - 1), last)
        if self.biases:
            weights = data.column_counts if self.alpha_scale == "observed" else None
            chain = offsets.penalties(codes, last, layers[0], ridges.spread, weights)
        return Problem(data, *game, chain, ridges)

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
            ElasticNet(alpha * number * l1, alpha * number * (1 - l1), scale, self.signed)
            for alpha, number, l1, scale in zip(alphas, numbers, shares, scales, strict=True)
        )

    @property
    def _auto(self) -> tuple[bool, bool, bool]:
        """Whether the ridge of the codes, of inner factors and of the last one is chosen here."""
        others = self.alpha_W if self.alpha_H == "same" else self.alpha_H
        return self.alpha_W == "auto", others == "auto", others == "auto"

    # --- valid parameters ----------------------------------------------------------------------------------------

    def check_parameters(self) -> None:
        """Refuse invalid parameters."""
        self._check_common_parameters()
        get_solver(self.solver).check(get_loss(self.loss))
        check_layers(self.n_components)
        get_adversary(self.adversary).check(get_loss(self.loss))
        for name in ("penalty_W", "penalty_H"):
            check_penalty(name, getattr(self, name))
        check_number("attack_every", self.attack_every, low=1, high=MOST_SWEEPS, integer=True)
        if self.pretrain_iter is not None:
            check_number("pretrain_iter", self.pretrain_iter, low=1, high=MOST_SWEEPS, integer=True)
        check_strength("alpha_W", self.alpha_W, ("auto",))
        check_number("l1_ratio", self.l1_ratio, high=1.0)
        check_strength("alpha_H", self.alpha_H, ("same", "auto"))
        check_choice("attack", self.attack, ("exact", "alternating"))
        check_choice("alpha_scale", self.alpha_scale, ("shape", "observed"))
        check_choice("biases", self.biases, (False, True))
        check_choice("signed", self.signed, (False, True))
        if self.biases:
            self._check_of_any_sign("biases=True", "offsets")
        if self.signed:
            self._check_of_any_sign("signed=True", "factors")
            if self.l1_ratio or get_adversary(self.adversary).attacks:
                raise ValueError(
                    f"signed=True needs l1_ratio=0 and adversary=None, got {self.l1_ratio!r} and {self.adversary!r}"
                )
        check_choice("init", self.init, ("random", "custom"))
        check_choice("sparse_missing", self.sparse_missing, ("zero", "absent"))

    def _check_of_any_sign(self, given: str, parts: str) -> None:
        if len(check_layers(self.n_components)) > 1:
            raise ValueError(f"{given} needs a single layer, got n_components={self.n_components!r}")
        if not get_solver(self.solver).signed:
            raise ValueError(f"{given} needs solver='hals': {parts} of any sign are beyond {self.solver!r}")


def _beside(net: ElasticNet, penalty: Penalty | None, counts: Array, unit: float) -> Penalty:
    """Both penalties of a factor whose rows have so many observed entries; `unit` is for each entry."""
    if penalty is None:
        return net
    return Together(net, penalty.posed(len(counts), unit * float(np.mean(counts))))
