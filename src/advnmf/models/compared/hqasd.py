"""HQASD: completion by correntropy, which does not believe entries that lie far off.

    max over U, V    sum over observed (i, j) of  omega_ij exp(-(X - U V)^2 / (2 sigma^2)),      U: n x r,  V: r x m

by half-quadratic weights and scaled alternating steepest descent (HQ-ASD), or by alternating reweighted least squares
(HQ-PF).  Source: He, Wang, Li, Qin and Chen, "Robust matrix completion via maximum correntropy criterion and
half-quadratic optimization", IEEE TSP 68 (2020).  Neither needs a singular value decomposition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.utils import check_random_state

from ...adversaries import NoAdversary
from ...arrays.robust import interquartile_range
from ...arrays.typing import MatrixLike
from ...data import DenseData
from ...data.check import MOST_COMPONENTS, check_choice, check_number, describe_empty
from ...engine.factors import Factors, check_factors, fill_empty
from ...engine.loop import Callback, IterativeProcess, Result, StoppingCriteria, Sweeps
from ...engine.problem import Problem
from ...engine.starts import random_factors
from ...losses import Correntropy
from ...penalties import NO_PENALTY
from ...solvers import HALS
from ..base import RecodingModel, finite
from ..fitted import COURSE, Chain, Floats, Number, Rule, Whole, check_product
from ..progress import FitInProgress, Outcome, Training, at_once
from .halfquadratic import HalfQuadratic, bounded, least_squares, robust_codes, steepest_descent
from .scaling import REACH, WILD, check_unit, in_units, unit_of

Array = np.ndarray

_SOLVERS = {"asd": steepest_descent, "pf": least_squares}
# Steepest descent that is robust from the start ends too early.
_SWITCH_TOL = {"asd": 1e-3, "pf": np.inf}


@dataclass(frozen=True)
class RobustResult(Result):
    """A result with the last width of the kernel and the interquartile range of the residuals."""

    sigma: float
    spread: float


class Robust(Training):
    """The iterations of `HQASD` over factors of either sign."""

    def __init__(self, model: HQASD, data: DenseData, factors: Sequence[Array] | None) -> None:
        self.model, self.original = model, data
        self.unit = unit_of(data, model.unit)
        self.data = in_units(data, self.unit)
        self.given: Factors | None = None
        if model.init == "custom":
            self.given = check_factors(factors, self.data, (model.n_components,), nonnegative=model.nonnegative)
            self.given[1] /= data.dtype.type(self.unit)
        self.random_state = check_random_state(model.random_state)
        self.largest = float(np.abs(self.data.values).max())

    def gaps(self) -> list[str]:
        """What the data leave open, in words."""
        return describe_empty(self.original)

    def start(self, criteria: StoppingCriteria) -> tuple[IterativeProcess, str]:
        """Half-quadratic iterations from small factors, or from given ones."""
        model = self.model
        factors = self.given or small_uniform(self.data, model.n_components, self.random_state)
        switch_tol = _SWITCH_TOL[model.solver] if model.switch_tol is None else model.switch_tol
        advance, limit = _SOLVERS[model.solver], REACH * self.largest
        return HalfQuadratic(self.data, factors, advance, model.eta, model.sigma_min, switch_tol, limit), ""

    def result(self, process: IterativeProcess, outcome: Outcome, take: Callable[[Array], Array]) -> RobustResult:
        """Factors within bounds, if these are asked for, with the width and the spread before that."""
        factors = [take(F) for F in process.factors]
        result = RobustResult(factors, *outcome, *self.scales(process))
        if self.model.finish:
            limit = REACH * self.largest
            bounded(self.data, factors, result.sigma, limit, nonnegative=self.model.nonnegative)
        return result

    def scales(self, process: HalfQuadratic) -> tuple[float, float]:
        """Sigma, and the interquartile range of the residuals."""
        return process.sigma, process.spread()

    def key(self, result: RobustResult) -> float:
        """The interquartile range: a few gross errors do not choose the start."""
        return result.spread


class Nonnegative(Robust):
    """Coordinate descent on the same criterion over U, V >= 0: `NMF` with the loss `Correntropy`."""

    def start(self, criteria: StoppingCriteria) -> tuple[IterativeProcess, str]:
        """Sweeps from random factors, or from given ones."""
        model = self.model
        factors = self.given or random_factors(self.data, [model.n_components], self.random_state)
        loss = Correntropy("iqr", eta=model.eta, sigma_min=1.0, size=model.sigma_min)
        problem = Problem(self.data, loss, NoAdversary(), (NO_PENALTY, NO_PENALTY))
        return Sweeps(problem, factors, HALS()), ""

    def scales(self, process: Sweeps) -> tuple[float, float]:
        """Sigma, and the interquartile range of the residuals."""
        data, (U, V) = self.data, process.factors
        residuals = data.observed_entries(data.values - U @ V)
        sigma = process.posed.adapted(process.factors).loss.sigma
        return sigma, interquartile_range(residuals)


class HQASD(RecodingModel):
    """Robust completion of a matrix by the correntropy criterion, with factors of either sign unless `nonnegative`.

        max over U, V   sum over observed (i, j) of exp(-(X - U V)^2 / (2 sigma^2))

    An entry that the model misses by several sigma has next to no weight, so gross errors in single entries do not
    spoil the fit.  Phase 1 is least squares; phase 2 begins once an iteration changes ``J``, the norm of the residual
    over the observed entries, by less than `switch_tol`, and renews sigma in each iteration,

        sigma = max(eta (q_0.75 - q_0.25), sigma_min),      q: quantiles of the observed residuals.

    Rows of ``X`` are samples, so ``U`` holds their codes and ``V`` is ``components_``; the paper and its code have the
    same order of factors.

    Parameters
    ----------
    n_components : int, default=10
        Rank r.
    solver : {"pf", "asd"}, default="pf"
        Reweighted least squares for each row and each column, or one scaled steepest descent step for each factor with
        exact line search, which costs a fraction but ends in poor optima where entries are grossly wrong.
    eta : float, default=2.0
        Width of the kernel in interquartile ranges of the residuals.
    sigma_min : float, default=0.01
        Least width of the kernel, in `unit`.
    nonnegative : bool, default=False
        The same criterion over U, V >= 0, by coordinate descent: the factors of ``NMF(loss=Correntropy("iqr"),
        alpha_W=0)``, with the codes and bounds of this class.  `solver` and `switch_tol` belong to factors of either
        sign and have no influence then; negative data are refused, `tol` is relative to the objective, and
        `loss_curve_` holds the criterion ``sum 2 sigma^2 (1 - exp(-e^2 / (2 sigma^2)))`` with the sigma of the moment.
    unit : "median" or float, default="median"
        What ``X`` is divided by for the fit, so that no constant here depends on its unit: the median size of its
        observed entries that are not zero, or a number (1.0: ``X`` as it comes, as published).  Weights are divided by
        their mean.
    finish : bool, default=True
        End with the codes that `transform` gives, and keep rows and columns that their entries do not determine from
        leaving twice the largest observed size, by the least ridge that does.  False: the last iterate, as published.
    init : {"random", "custom"}, default="random"
        Uniform draws from (0, 0.001 sqrt(root mean square of ``X`` in `unit`)), or the ``factors`` given to `fit`.
    max_iter : int, default=500
        Most iterations.
    tol : float, default=1e-5
        Stop once an iteration after the tenth changes J by less than this, in `unit`.
    switch_tol : float or None, default=None
        Change of J that begins phase 2, in `unit`.  None: infinity for "pf", which is robust from the second iteration
        on, and 1e-3 for "asd", which lets least squares converge first, best on clean data (the authors' code begins at
        once on images, by 1e6 and ``tol=1e-7``).
    n_init : int, default=1
        Random starts, of which the one with the smallest interquartile range of the residuals is kept.
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
    components_ : ndarray of shape (r, n_features)
        V.
    factors_ : list of ndarray
        U (the codes of the training data) and V.
    sigma_ : float
        Width of the kernel in the last iteration, in the unit of ``X``; infinite if phase 2 never began.
    unit_, largest_ : float
        What ``X`` was divided by, and its largest observed size.
    n_components_, n_iter_, stop_reason_, n_features_in_, feature_names_in_
        As in `NMF`.
    loss_curve_ : ndarray of shape (n_iter_ + 1,)
        J over the divided ``X``, at the start and after each iteration.  It may rise in phase 2, which does not
        minimise it.
    reconstruction_err_ : float
        Frobenius norm of the residual over the observed entries (weighted by ``weights``).

    Notes
    -----
    `transform` gives each row the code that solves the correntropy problem with ``V`` and ``sigma_`` fixed: from least
    squares, by reweighted least squares with a width that narrows from the scale of the row's own residuals to
    ``sigma_``, so that gross errors of any size are left out one after the other.  Of codes that fit equally well it
    takes the smallest.  Samples and features with nothing observed get the mean of the others, with a `DataWarning`.
    Dependent columns of ``U`` or rows of ``V`` do no harm.
    """

    def __init__(
        self,
        n_components: int = 10,
        *,
        solver: str = "pf",
        eta: float = 2.0,
        sigma_min: float = 0.01,
        nonnegative: bool = False,
        unit: str | float = "median",
        finish: bool = True,
        init: str = "random",
        max_iter: int = 500,
        tol: float = 1e-5,
        switch_tol: float | None = None,
        n_init: int = 1,
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callback: Callback | None = None,
    ) -> None:
        self.n_components = n_components
        self.solver = solver
        self.eta = eta
        self.sigma_min = sigma_min
        self.nonnegative = nonnegative
        self.unit = unit
        self.finish = finish
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.switch_tol = switch_tol
        self.n_init = n_init
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    @at_once
    def fit(
        self,
        X: MatrixLike,
        y: object = None,
        *,
        mask: MatrixLike | None = None,
        weights: MatrixLike | None = None,
        factors: Sequence[Array] | None = None,
    ) -> Self:
        """Learn U and V.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of either sign; NaN (and the hidden entries of a `numpy.ma` array) are missing.
        y : ignored
        mask : array-like of bool of the shape of X, optional
            True = observed.
        weights : array-like broadcastable to the shape of X, optional
            Weight omega of each entry in the criterion; 0 is missing.
        factors : [U, V], optional
            The start for ``init="custom"``.
        """
        return self._fit(X, mask, weights, factors=factors)

    def begin_on(self, data: DenseData, *, factors: Sequence[Array] | None = None) -> FitInProgress:
        """A fit of this model itself, with valid parameters, to checked data."""
        training = (Nonnegative if self.nonnegative else Robust)(self, data, factors)
        return FitInProgress(self, training, self._criteria(), 1 if training.given else self.n_init)

    @property
    def _positive_only(self) -> bool:
        return self.nonnegative

    def store(self, training: Robust, result: RobustResult) -> None:
        """Set the fitted attributes, in the unit of the data."""
        data, unit, largest = training.original, training.unit, training.largest
        U, V = result.factors
        self.components_ = V * data.dtype.type(unit)
        self.n_components_ = self.n_components
        self.unit_ = unit
        self.sigma_ = result.sigma * unit
        self.largest_ = largest * unit
        U = self.solve_codes(data) if self.finish else U
        self.factors_ = fill_empty([U, self.components_], data.counts, data.column_counts)
        finite(self.factors_, "the fit", WILD)
        self.components_ = self.factors_[1]
        self.n_iter_ = result.n_iter
        self.loss_curve_ = result.history
        self.stop_reason_ = result.stop_reason
        self.mean_code_ = U[data.counts > 0].mean(axis=0)
        self.reconstruction_err_ = self._residual_norm(data, U)

    def solve_codes(self, data: DenseData) -> Array:
        """Codes by reweighted least squares within bounds, see `robust_codes`."""
        data = in_units(data, self.unit_)
        components = self.components_.astype(data.dtype, copy=False) / data.dtype.type(self.unit_)
        limit = REACH * np.maximum(self.largest_ / self.unit_, np.abs(data.values).max(axis=1))
        codes = robust_codes(data, components, self.sigma_ / self.unit_, limit, nonnegative=self.nonnegative)
        return codes

    def fitted_rules(self) -> dict[str, Rule]:
        """What the fitted attributes are."""
        low = 0.0 if self.nonnegative else -np.inf
        return {
            "n_features_in_": Whole("features"),
            "n_components_": Whole("size 1"),
            "factors_": Chain("samples", "features", low=low),
            "components_": Floats("size 1", "features", low=low),
            "mean_code_": Floats("size 1"),
            "sigma_": Number(low=0.0, finite=False),
            "unit_": Number(low=1e-150),
            "largest_": Number(low=0.0),
            **COURSE,
        }

    def check_fitted(self) -> None:
        """Refuse fitted attributes that do not fit together."""
        if self.sigma_ == 0:
            raise ValueError("sigma_ is 0, expected a positive number")
        check_product(self.factors_[0], self.components_)

    def check_parameters(self) -> None:
        """Refuse invalid parameters."""
        self._check_common_parameters()
        check_number("n_components", self.n_components, low=1, high=MOST_COMPONENTS, integer=True)
        check_number("eta", self.eta, strict=True)
        check_number("sigma_min", self.sigma_min, strict=True)
        check_unit(self.unit, "median")
        check_choice("finish", self.finish, (False, True))
        if self.switch_tol is not None:
            check_number("switch_tol", self.switch_tol, finite=False)
        check_choice("solver", self.solver, tuple(_SOLVERS))
        check_choice("nonnegative", self.nonnegative, (False, True))
        check_choice("init", self.init, ("random", "custom"))


def small_uniform(data: DenseData, r: int, random_state: np.random.RandomState) -> Factors:
    """[U, V], uniform on (0, 0.001 sqrt(root mean square of the observed values)): products are next to nothing."""
    squares = data.squared_norms(np.zeros(data.shape, data.dtype)).sum()
    scale = 1e-3 * (squares / data.counts.sum()) ** 0.25 or 1e-3
    shapes = (data.shape[0], r), (r, data.shape[1])
    return [(scale * random_state.uniform(size=shape)).astype(data.dtype) for shape in shapes]
