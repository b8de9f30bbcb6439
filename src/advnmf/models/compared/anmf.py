"""ANMF: adversarial NMF as a game between a leader, and a follower that responds optimally.

    min over H, W >= 0   (1 - beta) ||H W - X||^2 + beta ||H B - X||^2,
    B = argmin_B ||H B - Z||^2 + attack_weight ||B - W||^2

After Luo, Zhang and Huang, "Adversarial nonnegative matrix factorization", ICML 2020; a reconstruction, see `ANMF`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Self

import numpy as np
from sklearn.utils import check_random_state

from ...adversaries import NoAdversary
from ...arrays.typing import MatrixLike
from ...data import DenseData, array_data
from ...data.check import MOST_COMPONENTS, check_choice, check_number, describe_empty
from ...engine.factors import fill_empty
from ...engine.loop import Callback, Result, StoppingCriteria
from ...engine.problem import Problem
from ...engine.starts import flat_codes, random_factors, solve_codes
from ...losses import Frobenius
from ...penalties import NO_PENALTY
from ...solvers import HALS
from ..base import RecodingModel, finite
from ..fitted import COURSE, Chain, Floats, Number, Rule, Whole, check_product
from ..progress import FitInProgress, Outcome, Training, at_once
from .bilevel import ADMM, Game
from .halfquadratic import bounded, robust_codes
from .scaling import REACH, WILD, check_unit, in_units, unit_of

Array = np.ndarray

_TARGETS = ("zero", "mean", "mirror")


@dataclass(frozen=True)
class GameResult(Result):
    """A result with the attacked components and the residuals after each iteration."""

    attacked: Array
    residuals: Array


class Playing(Training):
    """The iterations of `ANMF`, over data in its unit."""

    def __init__(self, model: ANMF, data: DenseData) -> None:
        self.model, self.original = model, data
        self.unit = unit_of(data, model.unit)
        self.data = in_units(data, self.unit)
        self.game = model.game(self.data, self.unit)
        self.random_state = check_random_state(model.random_state)
        self.largest = float(self.data.values.max())

    def gaps(self) -> list[str]:
        """What the data leave open, in words."""
        return describe_empty(self.original)

    def start(self, criteria: StoppingCriteria) -> tuple[ADMM, str]:
        """ADMM from random factors."""
        factors = random_factors(self.data, [self.model.n_components], self.random_state)
        return ADMM(self.game, *factors, self.model.rho, self.model.adapt), ""

    def result(self, process: ADMM, outcome: Outcome, take: Callable[[Array], Array]) -> GameResult:
        """The feasible pair, within bounds if these are asked for, and the attacker's answer before that."""
        factors = [take(process.T), take(process.P)]
        if self.model.finish:
            bounded(self.data, factors, np.inf, REACH * self.largest, nonnegative=True)
        return GameResult(factors, *outcome, process.answer, np.array(process.residuals).reshape(-1, 2))


class ANMF(RecodingModel):
    """Adversarial NMF: components that serve both as they are and after an attacker has bent them.

        min over H, W >= 0   (1 - beta) ||H W - X||^2 + beta ||H B - X||^2,
        B = argmin_B ||H B - Z||^2 + attack_weight ||B - W||^2

    The attacker (follower) sees codes ``H`` and components ``W`` and moves these to ``B``, so that the prediction comes
    close to his target ``Z``; the learner (leader) knows the response.  Solved by ADMM with the splits W = P >= 0
    and H = T >= 0; the feasible pair (T, P) is the model.  Rows of ``X`` are samples: H is the transpose of the paper's
    X, W of its A, ``X`` of its Y.

    This is a reconstruction of the published model, for which no code was found.  What no text at hand settles, and
    what is done here: the weight `beta` of the two terms and the price `attack_weight` (parameters); the target (three
    choices, or a constant); the splitting, the penalties and the stopping rule (the usual ones); how missing entries
    were treated (three choices); whether ``B`` must be nonnegative (it need not); whether the learner, in the step
    for ``H``, also foresees how ``B`` follows (it does not: ``B`` is frozen in that step).  The model does not fix the
    scale of ``H`` against ``W``, but the attack depends on it: in long runs H shrinks (targets "mean", "mirror") until
    the attack is out of power and what is left is plain NMF, or grows ("zero") until it is beyond defence.  Numbers of
    iterations are therefore part of the method.

    Parameters
    ----------
    n_components : int, default=10
        Rank.
    beta : float, default=0.5
        Share of the attacked prediction in the learner's objective, from 0 (plain NMF) to 1.
    attack_weight : float, default=100.0
        Price of moving the components, in units of the squared norm of a column of ``H``.
    target : {"zero", "mean", "mirror"} or float, default="mean"
        Z: 0; X plus the mean of X; the largest value minus X; X plus this number, which is in the unit of ``X``.  It is
        aimed at in observed entries.
    missing : {"ignore", "complete", "zero"}, default="ignore"
        Missing entries have no influence on either term; or one completed matrix serves both terms, filled with
        (1 - beta) H W + beta H B, which couples the terms in the holes; or they are zeros, as the published figures
        suggest (which shrinks all that is completed, for comparison only).
    leader : {"exact", "nash"}, default="exact"
        Whether the learner, in the step for ``W``, knows how ``B`` follows, or takes it as given.
    unit : "rms" or float, default="rms"
        What ``X`` is divided by for the fit, so that `attack_weight` means the same in any unit: the root mean square
        of its observed entries, or a number (1.0: ``X`` as it comes).
    finish : bool, default=True
        Keep rows and columns that the game leaves beyond twice the largest observed value within it, by plain
        nonnegative least squares with the least ridge that does.  False: the last iterate as it is.
    rho : float, default=10.0
        First penalty of the splits, relative to the mean diagonal of the squared factors at the start.  Strong attacks
        (a low `attack_weight`) can make the iterations cycle; a larger `rho` then helps, at the cost of speed.
    adapt : bool, default=True
        Whether the penalties are adapted: by balancing the residuals, and upwards where these do not fall.
    max_iter : int, default=1000
        Most iterations.
    tol : float, default=1e-3
        Stop once both residuals are below this.
    n_init : int, default=1
        Random starts, of which the one with the lowest objective of the learner is kept.
    time_limit : float or None, default=None
        Seconds after which the fit ends with what it has.
    random_state : int, RandomState instance or None, default=None
        Seed of the random starts.
    verbose : int, default=0
        Print every `verbose`-th iteration.
    callback : callable or None, default=None
        Called after each iteration with a `Progress`; a true answer ends the fit.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        P.
    attacked_components_ : ndarray of shape (n_components, n_features)
        B, the attacker's answer in the last iteration; of either sign.
    factors_ : list of ndarray
        T (the codes of the training data) and P.
    residuals_ : ndarray of shape (n_iter_, 2)
        Primal (distance of H, W from T, P) and dual (change of T, P) residual of each iteration, relative.
    unit_, largest_ : float
        What ``X`` was divided by, and its largest observed value.
    n_components_, n_iter_, stop_reason_, n_features_in_, feature_names_in_
        As in `NMF`.
    loss_curve_ : ndarray of shape (n_iter_ + 1,)
        The learner's objective over the divided ``X`` with the attacker's answer, at the start and after each
        iteration: of the unsplit factors on the way, of the nonnegative ones at the end.  It may rise.
    reconstruction_err_ : float
        Frobenius norm of the residual of T P over the observed entries (weighted by ``weights``).

    Notes
    -----
    `transform` gives the codes h >= 0 of each row that minimise the learner's objective with W and B fixed.
    """

    def __init__(
        self,
        n_components: int = 10,
        *,
        beta: float = 0.5,
        attack_weight: float = 100.0,
        target: str | float = "mean",
        missing: str = "ignore",
        leader: str = "exact",
        unit: str | float = "rms",
        finish: bool = True,
        rho: float = 10.0,
        adapt: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-3,
        n_init: int = 1,
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callback: Callback | None = None,
    ) -> None:
        self.n_components = n_components
        self.beta = beta
        self.attack_weight = attack_weight
        self.target = target
        self.missing = missing
        self.leader = leader
        self.unit = unit
        self.finish = finish
        self.rho = rho
        self.adapt = adapt
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    @at_once
    def fit(
        self, X: MatrixLike, y: object = None, *, mask: MatrixLike | None = None, weights: MatrixLike | None = None
    ) -> Self:
        """Learn codes and components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Nonnegative where observed; NaN (and the hidden entries of a `numpy.ma` array) are missing.
        y : ignored
        mask : array-like of bool of the shape of X, optional
            True = observed.
        weights : array-like broadcastable to the shape of X, optional
            Weight of each entry in the learner's objective, relative to the largest; 0 is missing.  Only with
            ``missing="ignore"``.
        """
        return self._fit(X, mask, weights)

    def begin_on(self, data: DenseData) -> FitInProgress:
        """A fit of this model itself, with valid parameters, to checked data."""
        return FitInProgress(self, Playing(self, data), self._criteria(), self.n_init)

    def store(self, training: Playing, result: GameResult) -> None:
        """Set the fitted attributes; the components carry the unit of the data."""
        data, self.unit_ = training.original, training.unit
        counts, unit = (data.counts, data.column_counts), data.dtype.type(self.unit_)
        T, P = result.factors
        self.factors_ = fill_empty([T, P * unit], *counts)
        self.components_ = self.factors_[1]
        self.attacked_components_ = fill_empty([T, result.attacked * unit], *counts)[1]
        finite([*self.factors_, self.attacked_components_], "the fit", WILD)
        self.largest_ = training.largest * self.unit_
        self.n_components_ = self.n_components
        self.n_iter_ = result.n_iter
        self.residuals_ = result.residuals
        self.loss_curve_ = result.history
        self.stop_reason_ = result.stop_reason
        self.mean_code_ = self.factors_[0][data.counts > 0].mean(axis=0)
        self.reconstruction_err_ = self._residual_norm(data, self.factors_[0])

    # --- parts ---------------------------------------------------------------------------------------------------

    def game(self, data: DenseData, unit: float = 1.0) -> Game:
        """The game over some data, with the target that the parameters describe in a unit."""
        omega, X = self._omega(data), data.values
        if self.target == "zero":
            Z = np.zeros_like(X)
        elif self.target == "mirror":
            Z = data.restrict(X.max() - X)
        else:
            shift = data.mean if self.target == "mean" else self.target / unit
            Z = data.restrict(X + X.dtype.type(shift))
        return Game(array_data(X, omega), Z, self.missing, self.beta, self.attack_weight, self.leader == "exact")

    def _omega(self, data: DenseData) -> Array | None:
        """Weights of at most 1 of the entries in the losses; None if all count once."""
        weighted = data.omega is not None and data.omega.dtype != np.uint8
        if weighted and self.missing != "ignore":
            raise ValueError(f"weights go with missing='ignore' only, not with {self.missing!r}: give a mask")
        if self.missing == "zero":
            return None
        return data.omega / data.dtype.type(data.top_weight or 1) if weighted else data.omega

    def solve_codes(self, data: DenseData) -> Array:
        """(1 - beta) omega (x - h W)^2 + beta omega (x - h B)^2 as one least squares problem with twice the columns."""
        omega = self._omega(data)
        omega = np.ones_like(data.values) if omega is None else omega.astype(data.dtype)
        share = data.dtype.type(self.beta)
        both = array_data(np.hstack([data.values] * 2), np.hstack([(1 - share) * omega, share * omega]))
        B = np.hstack([self.components_, self.attacked_components_]).astype(data.dtype)
        problem = Problem(both, Frobenius(), NoAdversary(), (NO_PENALTY, NO_PENALTY))
        start = flat_codes(problem.data, B)
        codes = np.maximum(solve_codes(problem, start, B, HALS(), self.max_iter, min(self.tol, 1e-4)), 0)
        if self.finish:
            codes = self._within_bounds(data, codes)
        return codes

    def _within_bounds(self, data: DenseData, codes: Array) -> Array:
        """Codes whose reconstruction leaves twice what was seen give way to those of the clean term with a ridge."""
        components = self.components_.astype(data.dtype, copy=False)
        limit = REACH * np.maximum(self.largest_, data.values.max(axis=1))
        wild = np.flatnonzero(~((codes @ components).max(axis=1) <= limit))
        if wild.size:
            part = array_data(data.values, self._omega(data)).take(wild)
            codes[wild] = robust_codes(part, components, np.inf, limit[wild], nonnegative=True)
        return codes

    def fitted_rules(self) -> dict[str, Rule]:
        """What the fitted attributes are."""
        return {
            "n_features_in_": Whole("features"),
            "n_components_": Whole("size 1"),
            "factors_": Chain("samples", "features", low=0.0),
            "components_": Floats("size 1", "features", low=0.0),
            "attacked_components_": Floats("size 1", "features"),
            "mean_code_": Floats("size 1"),
            "residuals_": Floats("looks", 2, alone=True),
            "unit_": Number(low=1e-150),
            "largest_": Number(low=0.0),
            **COURSE,
        }

    def check_fitted(self) -> None:
        """Refuse fitted attributes that do not fit together."""
        for components in (self.components_, self.attacked_components_):
            check_product(self.factors_[0], components)

    def check_parameters(self) -> None:
        """Refuse invalid parameters."""
        self._check_common_parameters()
        check_number("n_components", self.n_components, low=1, high=MOST_COMPONENTS, integer=True)
        check_number("beta", self.beta, high=1.0)
        check_number("attack_weight", self.attack_weight, strict=True, high=1e100)
        check_number("rho", self.rho, strict=True)
        check_unit(self.unit, "rms")
        check_choice("finish", self.finish, (True, False))
        check_choice("missing", self.missing, ("ignore", "complete", "zero"))
        check_choice("leader", self.leader, ("exact", "nash"))
        check_choice("adapt", self.adapt, (True, False))
        if isinstance(self.target, Real):
            check_number("target", self.target, low=-1e100, high=1e100)
        else:
            check_choice("target", self.target, _TARGETS)
        if self.leader == "nash" and self.beta == 1:
            raise ValueError("beta=1 leaves the components without a term of their own: leader='nash' needs beta < 1")
