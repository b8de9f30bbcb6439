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

from .adversaries import NoAdversary
from .completion import RecodingModel
from .data import DenseData
from .factors import Factors, fill_empty
from .fitted import COURSE, Chain, Floats, Number, Rule, Whole, check_product
from .halfquadratic import HalfQuadratic, least_squares, robust_codes, steepest_descent
from .loop import Callback, Limits, Result, iterate, minimise
from .losses import Correntropy
from .penalties import NO_PENALTY
from .problem import Problem
from .robust import interquartile_range
from .solvers import HALS
from .starts import flat_codes, random_factors, solve_codes
from .validation import MOST_COMPONENTS, check_choice, check_factors, check_number, describe_empty

Array = np.ndarray

_SOLVERS = {"asd": steepest_descent, "pf": least_squares}


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
    solver : {"asd", "pf"}, default="asd"
        One scaled steepest descent step for each factor with exact line search, or (reweighted) least squares for each
        row and each column, which costs r times as much.
    eta : float, default=2.0
        Width of the kernel in interquartile ranges of the residuals.
    sigma_min : float, default=0.01
        Least width of the kernel, in units of ``X``.
    nonnegative : bool, default=False
        U, V >= 0, by coordinate descent on the same half-quadratic weights (as ``NMF(loss=Correntropy("iqr"))``).  Then
        `solver` and `switch_tol` are not used, negative data are refused, `tol` is relative to the objective and
        `loss_curve_` holds the criterion ``sum 2 sigma^2 (1 - exp(-e^2 / (2 sigma^2)))`` with the sigma of the moment.
    init : {"random", "custom"}, default="random"
        Uniform draws from (0, 0.001 sqrt(root mean square of ``X``)), or the ``factors`` given to `fit`.
    max_iter : int, default=500
        Most iterations.
    tol : float, default=1e-5
        Stop once an iteration after the tenth changes J by less than this, in units of ``X``.
    switch_tol : float, default=1e-3
        Change of J that begins phase 2, in units of ``X``.  The small default lets least squares converge first,
        which completes clean data best; with many gross errors ``switch_tol=inf``, robust from the second
        iteration on, is far better (the authors' code does so on images, by 1e6 and ``tol=1e-7``).
    n_init : int, default=1
        Random starts, of which the one with the smallest interquartile range of the residuals is kept.
    time_limit : float or None, default=None
        Seconds after which the fit ends with what it has.
    random_state : int, RandomState instance or None, default=None
        Seed of the random starts.
    verbose : int, default=0
        Log every `verbose`-th iteration to the logger "advnmf" at level INFO.
    callback : callable or None, default=None
        Called after each iteration with a `Progress`; a true answer ends the fit.

    Attributes
    ----------
    components_ : ndarray of shape (r, n_features)
        V.
    factors_ : list of ndarray
        U (the codes of the training data) and V.
    sigma_ : float
        Width of the kernel in the last iteration; infinite if phase 2 never began.
    n_components_, n_iter_, stop_reason_, n_features_in_, feature_names_in_
        As in `NMF`.
    loss_curve_ : ndarray of shape (n_iter_ + 1,)
        J at the start and after each iteration.  It may rise in phase 2, which does not minimise it.
    reconstruction_err_ : float
        The last J: Frobenius norm of the residual over the observed entries (weighted by ``weights``).

    Notes
    -----
    `transform` gives each row the code that solves the correntropy problem with ``V`` and ``sigma_`` fixed, by
    reweighted least squares from the least squares code.  Samples and features with nothing observed get the mean of
    the others, with a `DataWarning`.  Dependent
    columns of ``U`` or rows of ``V`` do no harm: pseudo-inverses stand for the inverses of the paper.
    """

    def __init__(
        self,
        n_components: int = 10,
        *,
        solver: str = "asd",
        eta: float = 2.0,
        sigma_min: float = 0.01,
        nonnegative: bool = False,
        init: str = "random",
        max_iter: int = 500,
        tol: float = 1e-5,
        switch_tol: float = 1e-3,
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
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.switch_tol = switch_tol
        self.n_init = n_init
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

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
        data = self._check_data(X, mask, weights, reset=True)
        given = None
        if self.init == "custom":
            given = check_factors(factors, data, (self.n_components,), nonnegative=self.nonnegative)
        self._warn(describe_empty(data))
        random_state = check_random_state(self.random_state)

        def run(limits: Limits) -> RobustResult:
            if self.nonnegative:
                return self._run_nonnegative(
                    data, given or random_factors(data, [self.n_components], random_state), limits
                )
            factors = given or small_uniform(data, self.n_components, random_state)
            process = HalfQuadratic(data, factors, _SOLVERS[self.solver], self.eta, self.sigma_min, self.switch_tol)
            return RobustResult(factors, *iterate(process, limits), process.sigma, process.spread())

        result = self._best_of(run, 1 if given else self.n_init, key=lambda result: result.spread)
        self._store(data, result)
        self._end_fit(result)
        return self

    def _run_nonnegative(self, data: DenseData, factors: Factors, limits: Limits) -> RobustResult:
        """Coordinate descent on the same criterion over U, V >= 0: `NMF` with the loss `Correntropy`."""
        values = data.observed_entries(data.values)
        # The loss states its smallest width as a share of the mean of |X|, this class in the units of X.
        share = self.sigma_min / max(float(np.mean(np.abs(values), dtype=np.float64)), np.finfo(np.float64).tiny)
        problem = self._nonnegative_problem(data, Correntropy("iqr", eta=self.eta, sigma_min=share))
        result = minimise(problem, factors, HALS(), limits)
        residuals = data.observed_entries(data.values - factors[0] @ factors[1])
        sigma = problem.loss.adapted(residuals, values).sigma
        return RobustResult(
            factors, result.n_iter, result.stop_reason, result.history, sigma, interquartile_range(residuals)
        )

    def _nonnegative_problem(self, data: DenseData, loss: Correntropy) -> Problem:
        return Problem(data, loss, NoAdversary(), (NO_PENALTY, NO_PENALTY))

    @property
    def _positive_only(self) -> bool:
        return self.nonnegative

    def _store(self, data: DenseData, result: RobustResult) -> None:
        """Set the fitted attributes."""
        self.factors_ = fill_empty(result.factors, data.counts, data.column_counts)
        self.components_ = self.factors_[1]
        self.n_components_ = self.n_components
        self.sigma_ = result.sigma
        self.n_iter_ = result.n_iter
        self.loss_curve_ = result.history
        self.stop_reason_ = result.stop_reason
        self.mean_code_ = self.factors_[0][data.counts > 0].mean(axis=0)
        self.reconstruction_err_ = self._residual_norm(data, self.factors_[0])

    def _solve_codes(self, data: DenseData) -> Array:
        components = self.components_.astype(data.dtype, copy=False)
        if self.nonnegative:
            problem = self._nonnegative_problem(data, Correntropy(self.sigma_))
            return solve_codes(problem, flat_codes(data, components), components, HALS(), self.max_iter, 1e-6)
        return robust_codes(data, components, self.sigma_)

    def _fitted_rules(self) -> dict[str, Rule]:
        low = 0.0 if self.nonnegative else -np.inf
        return {
            "n_features_in_": Whole("features"),
            "n_components_": Whole("size 1"),
            "factors_": Chain("samples", "features", low=low),
            "components_": Floats("size 1", "features", low=low),
            "mean_code_": Floats("size 1"),
            "sigma_": Number(low=0.0, finite=False),
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
