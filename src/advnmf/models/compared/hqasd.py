"""HQASD: completion by correntropy, which does not believe entries that lie far off.

    max over U, V    sum over observed (i, j) of  omega_ij exp(-(X - U V)^2 / (2 sigma^2)),      U: n x r,  V: r x m

by half-quadratic weights and scaled alternating steepest descent (HQ-ASD), or by alternating reweighted least squares
(HQ-PF).  Source: He, Wang, Li, Qin and Chen, "Robust matrix completion via maximum correntropy criterion and
half-quadratic optimization", IEEE TSP 68 (2020).  Neither needs a singular value decomposition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.utils import check_random_state

from ...adversaries import NoAdversary
from ...arrays.robust import interquartile_range
from ...data import DenseData
from ...data.check import MOST_COMPONENTS, check_choice, check_number, describe_empty
from ...engine.factors import Factors, check_factors, fill_empty
from ...engine.loop import Callback, Limits, Result, iterate, minimise
from ...engine.problem import Problem
from ...engine.starts import random_factors
from ...losses import Correntropy
from ...penalties import NO_PENALTY
from ...solvers import HALS
from ..base import RecodingModel, at_once, finite
from ..fitted import COURSE, Chain, Floats, Number, Rule, Whole, check_product
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
        U, V >= 0, by coordinate descent on the same half-quadratic weights (as ``NMF(loss=Correntropy("iqr"))``).  Then
        `solver` and `switch_tol` are not used, negative data are refused, `tol` is relative to the objective and
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
        X: object,
        y: object = None,
        *,
        mask: object = None,
        weights: object = None,
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
        self._check_parameters()
        original = self._check_data(X, mask, weights)
        self._warn(describe_empty(original))
        unit = unit_of(original, self.unit)
        data = in_units(original, unit)
        given = None
        if self.init == "custom":
            given = check_factors(factors, data, (self.n_components,), nonnegative=self.nonnegative)
            given[1] /= data.dtype.type(unit)
        random_state = check_random_state(self.random_state)
        largest = float(np.abs(data.values).max())

        def run(limits: Limits) -> RobustResult:
            result = self._run(data, given, random_state, REACH * largest, limits)
            if self.finish:
                bounded(data, result.factors, result.sigma, REACH * largest, nonnegative=self.nonnegative)
            return result

        result = self._best_of(run, 1 if given else self.n_init, key=lambda result: result.spread)
        self._store(original, unit, largest, result)
        self._end_fit(result)
        return self

    def _run(
        self,
        data: DenseData,
        given: Factors | None,
        random_state: np.random.RandomState,
        limit: float,
        limits: Limits,
    ) -> RobustResult:
        """One start."""
        if self.nonnegative:
            return self._run_nonnegative(data, given or random_factors(data, [self.n_components], random_state), limits)
        factors = given or small_uniform(data, self.n_components, random_state)
        advance = _SOLVERS[self.solver]
        switch_tol = _SWITCH_TOL[self.solver] if self.switch_tol is None else self.switch_tol
        process = HalfQuadratic(data, factors, advance, self.eta, self.sigma_min, switch_tol, limit)
        return RobustResult(factors, *iterate(process, limits), process.sigma, process.spread())

    def _run_nonnegative(self, data: DenseData, factors: Factors, limits: Limits) -> RobustResult:
        """Coordinate descent on the same criterion over U, V >= 0: `NMF` with the loss `Correntropy`."""
        values = data.observed_entries(data.values)
        loss = Correntropy("iqr", eta=self.eta, sigma_min=1.0, size=self.sigma_min)
        problem = Problem(data, loss, NoAdversary(), (NO_PENALTY, NO_PENALTY))
        result = minimise(problem, factors, HALS(), limits)
        residuals = data.observed_entries(data.values - factors[0] @ factors[1])
        sigma = problem.loss.adapted(residuals, values).sigma
        return RobustResult(
            factors, result.n_iter, result.stop_reason, result.history, sigma, interquartile_range(residuals)
        )

    @property
    def _positive_only(self) -> bool:
        return self.nonnegative

    def _store(self, data: DenseData, unit: float, largest: float, result: RobustResult) -> None:
        """Set the fitted attributes, in the unit of the data."""
        U, V = result.factors
        self.components_ = V * data.dtype.type(unit)
        self.n_components_ = self.n_components
        self.unit_ = unit
        self.sigma_ = result.sigma * unit
        self.largest_ = largest * unit
        U = self._solve_codes(data) if self.finish else U
        self.factors_ = fill_empty([U, self.components_], data.counts, data.column_counts)
        finite(self.factors_, "the fit", WILD)
        self.components_ = self.factors_[1]
        self.n_iter_ = result.n_iter
        self.loss_curve_ = result.history
        self.stop_reason_ = result.stop_reason
        self.mean_code_ = U[data.counts > 0].mean(axis=0)
        self.reconstruction_err_ = self._residual_norm(data, U)

    def _solve_codes(self, data: DenseData) -> Array:
        data = in_units(data, self.unit_)
        components = self.components_.astype(data.dtype, copy=False) / data.dtype.type(self.unit_)
        limit = REACH * np.maximum(self.largest_ / self.unit_, np.abs(data.values).max(axis=1))
        codes = robust_codes(data, components, self.sigma_ / self.unit_, limit, nonnegative=self.nonnegative)
        return codes

    def _fitted_rules(self) -> dict[str, Rule]:
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

    def _check_fitted(self) -> None:
        if self.sigma_ == 0:
            raise ValueError("sigma_ is 0, expected a positive number")
        check_product(self.factors_[0], self.components_)

    def _check_parameters(self) -> None:
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
