"""DMF: nonlinear factorisation, samples as the outputs of a network whose inputs are trained with it.

    min over Z, W, b    1/(2 n) sum over observed of omega (X - net(Z))^2  +  alpha_weights/2 sum_l ||W_l||^2
                        +  alpha_latent/(2 n) ||Z||^2

Source: Fan and Cheng, "Matrix completion by deep matrix factorization", Neural Networks 98 (2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.utils import check_random_state

from ...arrays.namespaces import Array, as_like, concat, namespace
from ...data import DenseData
from ...data.check import MOST_COMPONENTS, check_choice, check_layers, check_number, describe_empty
from ...engine.factors import fill_empty, mean_of_rows
from ...engine.loop import Callback, Limits, Result, iterate
from ..base import RecodingModel, at_once, finite
from ..fitted import COURSE, Chain, Each, Ends, Floats, Number, Rule, Whole, Word
from .irprop import IRprop
from .network import ACTIVATIONS, Network, latent_gradient, predict, random_network, sample_losses, value_and_gradients
from .scaling import REACH, WILD, check_unit, in_units, unit_of

# The published least gradient.
_FLAT = 1e-8
# How many codes of training data a new row is compared with, for a start.
_MOST_CANDIDATES = 1000


@dataclass(frozen=True)
class NetworkResult(Result):
    """A result whose `factors` are [Z], with the network; both at the best iterate or the last one."""

    net: Network
    value: float


class DMF(RecodingModel):
    """Deep matrix factorisation: ``X ~ net(Z)``, a nonlinear decoder with trained inputs; no nonnegativity.

        A_0 = Z,    A_l = g(A_{l-1} W_l + b_l),    X ~ A_{L-1} W_L + b_L

        f = 1/(2 n) sum over observed of omega (X - net(Z))^2
            + alpha_weights/2 sum_l ||W_l||^2 + alpha_latent/(2 n) ||Z||^2

    Rows of ``X`` are samples, as in the paper; the rows of ``Z`` are their codes.  The objective is minimised by iRprop
    with backtracking (`advnmf.models.compared.irprop`) over the network and ``Z`` together.

    Parameters
    ----------
    n_components : int, default=2
        Columns of ``Z``: the dimension of what the samples vary along.
    hidden : tuple of int, default=(10,)
        Sizes of the hidden layers, from the codes to the data.
    activation : {"tanh", "logistic", "identity"} or tuple of these, default="tanh"
        g of all hidden layers, or of each: 1.7159 tanh(2 x / 3), 1 / (1 + exp(-x)), x.
    alpha_weights : float, default=0.01
        Penalty of the weights; biases are free.
    alpha_latent : float, default=0.01
        Penalty of the codes.
    unit : "rms" or float, default="rms"
        What ``X`` is divided by for the fit, so that no constant here depends on its unit: the root mean square of its
        observed entries, or a number (1.0: ``X`` as it comes, as published).  Weights are divided by their mean.
    finish : bool, default=True
        Cut reconstructions at twice the largest observed size, which weights that little is known of may leave far
        behind.  False: the output of the network as it is, as published.
    keep : {"best", "last"}, default="best"
        Which iterate makes the model: that of the lowest objective, or the last one, as published.
    max_iter : int, default=1000
        Most iterations.
    tol : float, default=1e-8
        Stop once an iteration lowers f by less than this.  f is that of the divided ``X``, see `unit`.
    goal : float, default=1e-5
        Stop once f is less than this.
    n_init : int, default=1
        Random starts, of which the one with the lowest objective is kept.
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
    latent_ : ndarray or tensor of shape (n_samples, n_components)
        Z: the codes of the training data.
    coefs_, intercepts_ : list of ndarray or tensor
        W_l of shape (s_{l-1}, s_l) and b_l of shape (s_l,).
    activations_ : tuple of str
        Activation of each hidden layer.
    unit_, largest_ : float
        What ``X`` and the weights were divided by, and the largest observed size of ``X``.
    n_components_, n_iter_, stop_reason_, n_features_in_, feature_names_in_
        As in `NMF`.
    loss_curve_ : ndarray of shape (n_iter_ + 1,)
        f of the divided ``X`` at the start and after each iteration.  It may rise; the model is taken where it is
        lowest, or last.
    reconstruction_err_ : float
        Frobenius norm of the residual over the observed entries (weighted by ``weights``).

    Notes
    -----
    `transform` minimises the loss of each row over its code by iRprop+, the network fixed, from the training code (of
    a thousand at most) whose output is nearest to the row; the test for backtracking is made for each row by itself, so
    that no row depends on the others.  Training starts at Z = 0, weights and biases uniform on (-b, b),
    b = 4 sqrt(6 / (s_{l-1} + s_l)), in the divided ``X``; the last layer is multiplied by `unit_` at the end.

    A PyTorch tensor ``X`` is computed on its device, and gives tensors, as in `NMF`.
    """

    _positive_only = False
    _tensors = "keep"

    def __init__(
        self,
        n_components: int = 2,
        hidden: Sequence[int] = (10,),
        *,
        activation: str | Sequence[str] = "tanh",
        alpha_weights: float = 0.01,
        alpha_latent: float = 0.01,
        unit: str | float = "rms",
        finish: bool = True,
        keep: str = "best",
        max_iter: int = 1000,
        tol: float = 1e-8,
        goal: float = 1e-5,
        n_init: int = 1,
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callback: Callback | None = None,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.activation = activation
        self.alpha_weights = alpha_weights
        self.alpha_latent = alpha_latent
        self.unit = unit
        self.finish = finish
        self.keep = keep
        self.max_iter = max_iter
        self.tol = tol
        self.goal = goal
        self.n_init = n_init
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    @at_once
    def fit(self, X: object, y: object = None, *, mask: object = None, weights: object = None) -> Self:
        """Learn the network and the codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of either sign; NaN (and the hidden entries of a `numpy.ma` array) are missing.
        y : ignored
        mask : array-like of bool of the shape of X, optional
            True = observed.
        weights : array-like broadcastable to the shape of X, optional
            Weight omega of each entry in the loss; 0 is missing.
        """
        activations = self._check_parameters()
        original = self._check_data(X, mask, weights)
        self._warn(describe_empty(original))
        self.unit_ = unit_of(original, self.unit)
        self.largest_ = max(map(abs, original.value_range()))
        data = in_units(original, self.unit_)
        random_state = check_random_state(self.random_state)
        sizes = (self.n_components, *check_layers(self.hidden), data.shape[1])

        def run(limits: Limits) -> NetworkResult:
            net = random_network(sizes, activations, random_state).mapped(data.asarray)
            training = Training(data, net, self.alpha_weights, self.alpha_latent, self.goal)
            outcome = iterate(training, limits)
            if self.keep == "last":
                return NetworkResult([training.Z], *outcome, net, outcome[-1][-1])
            value, net, Z = training.best
            return NetworkResult([Z], *outcome, net, value)

        result = self._best_of(run, self.n_init, key=lambda result: result.value)
        self._store(original, result)
        self._end_fit(result)
        return self

    def _store(self, data: DenseData, result: NetworkResult) -> None:
        """Set the fitted attributes; the last layer carries the unit of the data."""
        (Z,), net = result.factors, result.net
        # A column of the last layer is a feature's, its bias on top.
        layer = concat([net.intercepts[-1][None, :], net.coefs[-1]]) * self.unit_
        finite([Z, layer, *net.parameters], "the fit", WILD)
        self.latent_, layer = fill_empty([Z, layer], data.counts, data.column_counts)
        self.mean_code_ = mean_of_rows(Z, data.counts > 0)
        self.coefs_, self.intercepts_ = [*net.coefs[:-1], layer[1:, :]], [*net.intercepts[:-1], layer[0, :]]
        self.activations_ = net.activations
        self.n_components_ = self.n_components
        self.n_iter_ = result.n_iter
        self.loss_curve_ = result.history
        self.stop_reason_ = result.stop_reason
        self.reconstruction_err_ = self._residual_norm(data, self.latent_)

    # --- parts ---------------------------------------------------------------------------------------------------

    def _training_codes(self) -> Array:
        return self.latent_

    @property
    def _net(self) -> Network:
        return Network(self.coefs_, self.intercepts_, tuple(self.activations_))

    def _decode(self, codes: Array, columns: object = None) -> Array:
        P = predict(self._net.mapped(lambda a: as_like(a, codes, codes.dtype)), codes, columns)
        limit = REACH * self.largest_
        return namespace(P).clip(P, -limit, limit) if self.finish else P

    def _solve_codes(self, data: DenseData) -> Array:
        net = self._net.mapped(data.asarray)
        net.coefs[-1], net.intercepts[-1] = net.coefs[-1] / self.unit_, net.intercepts[-1] / self.unit_
        data = in_units(data, self.unit_)
        candidates = data.asarray(self.latent_[:: max(1, self.latent_.shape[0] // _MOST_CANDIDATES), :])
        limits = self.alpha_latent, self.max_iter, self.tol, self.goal
        codes = concat(
            [latent_codes(part, net, nearest_codes(part, net, candidates), *limits) for _, part in data.blocks()]
        )
        return codes

    def _fitted_rules(self) -> dict[str, Rule]:
        return {
            "n_features_in_": Whole("features"),
            "n_components_": Whole("codes"),
            "latent_": Floats("samples", "codes"),
            "mean_code_": Floats("codes"),
            "coefs_": Chain("codes", "features"),
            "intercepts_": Ends("features"),
            "activations_": Each(Word(*ACTIVATIONS), tuple),
            "unit_": Number(low=1e-150),
            "largest_": Number(low=0.0),
            **COURSE,
        }

    def _check_fitted(self) -> None:
        if not len(self.coefs_) == len(self.intercepts_) == len(self.activations_) + 1:
            raise ValueError("coefs_, intercepts_ and activations_ are not of as many layers")

    def _check_parameters(self) -> tuple[str, ...]:
        """Refuse parameters that mean nothing; the activation of each hidden layer."""
        self._check_common_parameters()
        check_number("n_components", self.n_components, low=1, high=MOST_COMPONENTS, integer=True)
        check_number("alpha_weights", self.alpha_weights)
        check_number("alpha_latent", self.alpha_latent)
        check_number("goal", self.goal)
        check_unit(self.unit, "rms")
        check_choice("finish", self.finish, (True, False))
        check_choice("keep", self.keep, ("best", "last"))
        depth = len(check_layers(self.hidden, "hidden"))
        if not isinstance(self.activation, str | tuple | list):
            raise ValueError(f"activation={self.activation!r} must be a name, or one for each hidden layer")
        names = (self.activation,) * depth if isinstance(self.activation, str) else tuple(self.activation)
        if len(names) != depth:
            raise ValueError(f"activation={self.activation!r} names {len(names)} layers, hidden has {depth}")
        for name in names:
            check_choice("activation", name, tuple(ACTIVATIONS))
        return names


class Training:
    """The process of `DMF` (see `iterate` in `loop`): iRprop+ over network and codes, and the best iterate so far."""

    def __init__(self, data: DenseData, net: Network, alpha_weights: float, alpha_latent: float, goal: float) -> None:
        self.data = data
        self.net = net
        self.Z = data.constant((data.shape[0], net.coefs[0].shape[0]), 0.0, data.dtype)
        self.penalties = alpha_weights, alpha_latent
        # Samples without an observed entry have no influence.
        self.n = max(1, int(np.count_nonzero(data.counts)))
        self.goal = goal
        self.best: tuple[float, Network, Array] = (np.inf, net, self.Z)
        self._rprop = IRprop([*net.parameters, self.Z])
        self._largest = np.inf

    def step(self) -> float:
        """One move; f on entry."""
        f, gradients = self._look()
        xp = namespace(self.Z)
        self._largest = float(xp.max(xp.stack([xp.max(xp.abs(g)) for g in gradients])))
        self._rprop.move([*self.net.parameters, self.Z], gradients, f)
        return f

    def objective(self) -> float:
        """F as things stand."""
        return self._look()[0]

    def converged(self, history: Sequence[float], tol: float) -> bool:
        """The published rules: low enough, hardly lower, or flat."""
        gain = history[-2] - history[-1] if len(history) > 1 else np.inf
        return history[-1] < self.goal or 0 < gain < tol or self._largest < _FLAT

    def _look(self) -> tuple[float, list[Array]]:
        """F with its gradients, remembered if it is the lowest so far."""
        f, gradients, G = value_and_gradients(self.data, self.net, self.Z, *self.penalties, self.n)
        if f < self.best[0]:
            self.best = f, self.net.copy(), self.Z + 0
        return f, [*gradients, G]


def nearest_codes(data: DenseData, net: Network, candidates: Array) -> Array:
    """For each row the candidate whose output is nearest to it: argmin over k of sum_j omega_ij (x_ij - p_kj)^2."""
    xp, P = namespace(candidates), predict(net, candidates)
    distances = data.weighted(xp.ones_like(data.values)) @ (P * P).T - 2 * data.weighted(data.values) @ P.T
    return xp.take(candidates, xp.argmin(distances, axis=1), axis=0)


def latent_codes(
    data: DenseData, net: Network, start: Array, alpha_latent: float, max_iter: int, tol: float, goal: float
) -> Array:
    """argmin over z_i of 1/2 sum_j omega (x_ij - net(z_i)_j)^2 + alpha_latent/2 ||z_i||^2, each row by itself.

    Rows that are done leave the batch, and are put in order at the end.
    """
    xp, Z = namespace(start), start + 0
    best, lowest, before = Z, data.full(np.inf), data.full(np.inf)
    rows, done, rprop = as_like(np.arange(Z.shape[0]), Z), [], IRprop([Z])
    for _ in range(max_iter + 1):
        f, D, A = sample_losses(data, net, Z, alpha_latent)
        G = latent_gradient(net, Z, A, D, alpha_latent)
        better = f < lowest
        best, lowest = xp.where(better[:, None], Z, best), xp.where(better, f, lowest)
        gain = before - f
        going = ~((f < goal) | ((gain > 0) & (gain < tol)) | (xp.max(xp.abs(G), axis=1) < _FLAT))
        if not xp.any(going):
            break
        if not xp.all(going):
            ended, going = xp.nonzero(~going)[0], xp.nonzero(going)[0]
            done.append((xp.take(rows, ended), xp.take(best, ended, axis=0)))
            rows, f, lowest = (xp.take(a, going) for a in (rows, f, lowest))
            Z, G, best = (xp.take(a, going, axis=0) for a in (Z, G, best))
            data = data.take(going)
            rprop.keep(going)
        rprop.move([Z], [G], f[:, None])
        before = f
    rows, codes = (concat(pieces) for pieces in zip(*done, (rows, best), strict=True))
    return xp.take(codes, xp.argsort(rows), axis=0)
