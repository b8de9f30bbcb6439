"""Estimators: scikit-learn models over the one loop.  Presets change defaults, never the algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np
from scipy import sparse
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from .adversaries import FrobeniusPenalty, NoAdversary, get_adversary
from .completion import CompletionModel, DataWarning
from .data import ObservedData
from .factors import Factors, fill_empty, mean_of_rows, product, take_rows
from .loop import Callback, Limits, Result, minimise
from .losses import Loss, get_loss
from .namespaces import Array, as_like, is_tensor, namespace
from .penalties import ElasticNet
from .problem import Problem
from .solvers import Solver, get_solver
from .sparse_input import check_sparse_data, fill_sparse
from .starts import pretrained_factors, random_factors, solve_codes
from .validation import check_choice, check_factors, check_indices, check_layers, check_number, describe_gaps

__all__ = ["NMF", "DataWarning", "Layers"]

Layers = int | Sequence[int]


class NMF(CompletionModel):
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
    alpha_W, alpha_H : float, default=0.0 and "same"
        Penalties as in `sklearn.decomposition.NMF`: alpha_W (times n_features) on the codes, alpha_H (times
        n_samples) on every other factor.
    l1_ratio : float, default=0.0
        0 for squares (l2), 1 for sums (l1), between for both.
    max_iter : int, default=200
        Most sweeps over all factors (as many again for each pre-trained layer).
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
        Log every `verbose`-th sweep to the logger "advnmf" at level INFO.
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
        alpha_W: float = 0.0,
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        max_iter: int = 200,
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
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.sparse_missing = sparse_missing
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    # --- fitting -------------------------------------------------------------------------------------------------

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
            Weight of each entry in the loss; 0 is not learnt from (but is no hole to fill either).  Sparse like X
            where X is sparse.
        factors : list of arrays [F_1, ..., F_L], optional
            The start for ``init="custom"``.
        """
        self._check_parameters()
        data = self._check_data(X, mask, weights, reset=True)
        layers = check_layers(self.n_components)
        problem = self._problem(data, len(layers) + 1)
        given = self._check_start(problem, layers, factors)
        self._warn(describe_gaps(data, layers))
        result = self._best_start(problem, layers, given)
        self._store(problem, layers, result)
        self._give_back(X)
        self._end_fit(result)
        return self

    def _check_start(self, problem: Problem, layers: tuple[int, ...], factors: object) -> Factors | None:
        """The start that the user gives, if `init` says so."""
        if self.init != "custom":
            if factors is not None:
                raise ValueError(f"factors are given, but init={self.init!r}: set init='custom' to start from them")
            return None
        given = check_factors(factors, problem.data, layers)
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isfinite(problem.objective(given)):
                raise ValueError("factors are too large: the objective at the start is not finite")
        return given

    def _best_start(self, problem: Problem, layers: tuple[int, ...], given: Factors | None) -> Result:
        """The result of the lowest objective among `n_init` random starts, or that of the given one."""
        random_state, solver = check_random_state(self.random_state), get_solver(self.solver)
        attack_every = self.attack_every if self._alternates(problem) else None

        def run(limits: Limits) -> Result:
            limits, cut = replace(limits, attack_every=attack_every), ""
            if given:
                chain = given
            elif len(layers) == 1:
                chain = random_factors(problem.data, layers, random_state)
            else:
                chain, cut = pretrained_factors(problem, layers, solver, limits, random_state)
            result = minimise(problem, chain, solver, replace(limits, max_iter=0) if cut else limits)
            return replace(result, stop_reason=cut or result.stop_reason)

        return self._best_of(run, 1 if given else self.n_init)

    def _store(self, problem: Problem, layers: tuple[int, ...], result: Result) -> None:
        """Set the fitted attributes."""
        self.factors_ = fill_empty(result.factors, problem.data.counts, problem.data.column_counts)
        self.components_ = product(self.factors_[1:])
        self.n_components_ = layers[0] if len(layers) == 1 else layers
        self.loss_ = problem.adapted(self.factors_).loss if problem.loss.adaptive else problem.loss
        self.n_iter_ = result.n_iter
        self.loss_curve_ = result.history
        self.stop_reason_ = result.stop_reason
        self.mean_code_ = mean_of_rows(self.factors_[0], problem.data.counts > 0)
        self.reconstruction_err_ = self._residual_norm(problem.data, self.factors_[0])

    def _give_back(self, X: object) -> None:
        """Factors where the user has the data."""
        if is_tensor(X):
            self.factors_ = [as_like(F, X) for F in self.factors_]
            self.components_, self.mean_code_ = as_like(self.components_, X), as_like(self.mean_code_, X)

    def predict_pairs(self, rows: object, columns: object) -> Array:
        """The reconstruction at pairs ``(rows[n], columns[n])`` of the training data; nothing else is built."""
        check_is_fitted(self)
        rows = check_indices("rows", rows, self.factors_[0].shape[0])
        columns = check_indices("columns", columns, self.n_features_in_)
        products = take_rows(self.factors_[0], rows) * take_rows(self.components_.T, columns)
        return namespace(products).sum(products, axis=1)

    # --- parts ---------------------------------------------------------------------------------------------------

    def _solve_codes(self, data: ObservedData) -> Array:
        """With an adversary the codes minimise the robust objective, as in training."""
        problem = replace(self._problem(data, 2), loss=self.loss_)
        return solve_codes(problem, data.asarray(self.components_), get_solver(self.solver), self.max_iter, self.tol)

    def _predict(self, data: ObservedData, codes: Array) -> object:
        return data.predict(codes, data.asarray(self.components_))

    def _check_data(self, X: object, mask: object, weights: object = None, *, reset: bool) -> ObservedData:
        if sparse.issparse(X):
            return check_sparse_data(self, X, mask, weights, reset=reset, missing=self.sparse_missing)
        return super()._check_data(X, mask, weights, reset=reset)

    def _fill(self, X: object, mask: object, codes: Array) -> np.ndarray | sparse.csr_array:
        if sparse.issparse(X):
            return fill_sparse(X, self.sparse_missing, codes, self.components_.astype(codes.dtype, copy=False))
        return super()._fill(X, mask, codes)

    @property
    def _tensors(self) -> str:
        return "numpy" if get_solver(self.solver).numpy_only else "keep"

    def _make_loss(self) -> Loss:
        return get_loss(self.loss)

    def _make_adversary(self) -> NoAdversary | FrobeniusPenalty:
        return get_adversary(self.adversary)

    def _problem(self, data: ObservedData, n_factors: int) -> Problem:
        """The problem that the parameters pose over some data."""
        alpha_H = self.alpha_W if isinstance(self.alpha_H, str) else self.alpha_H
        codes = _elastic_net(self.alpha_W * data.shape[1], self.l1_ratio)
        others = _elastic_net(alpha_H * data.shape[0], self.l1_ratio)
        return Problem(data, self._make_loss(), self._make_adversary(), (codes, *[others] * (n_factors - 1)))

    def _alternates(self, problem: Problem) -> bool:
        """Whether frozen attacks are asked for and there is somebody to attack."""
        return self.attack == "alternating" and problem.adversary.attacks

    def _check_parameters(self) -> None:
        self._check_common_parameters()
        get_solver(self.solver)
        check_number("attack_every", self.attack_every, low=1, integer=True)
        check_number("alpha_W", self.alpha_W)
        check_number("l1_ratio", self.l1_ratio, high=1.0)
        if self.alpha_H != "same":
            check_number("alpha_H", self.alpha_H)
        check_choice("attack", self.attack, ("exact", "alternating"))
        check_choice("init", self.init, ("random", "custom"))
        check_choice("sparse_missing", self.sparse_missing, ("zero", "absent"))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _elastic_net(alpha: float, l1_ratio: float) -> ElasticNet:
    return ElasticNet(l1=alpha * l1_ratio, l2=alpha * (1 - l1_ratio))
