"""DMF: nonlinear factorisation, samples as the outputs of a network whose inputs are trained with it.

    min over Z, W, b    1/(2 n) sum over observed of omega (X - net(Z))^2  +  alpha_weights/2 sum_l ||W_l||^2
                        +  alpha_latent/(2 n) ||Z||^2

Source: Fan and Cheng, "Matrix completion by deep matrix factorization", Neural Networks 98 (2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.utils import check_random_state

from ...arrays.namespaces import Array, as_like, concat, namespace
from ...arrays.typing import MatrixLike
from ...data import DenseData
from ...data.check import MOST_COMPONENTS, check_choice, check_layers, check_number, describe_empty
from ...engine.factors import fill_empty, mean_of_rows
from ...engine.loop import Callback, Result, StoppingCriteria
from ..base import RecodingModel, finite
from ..fitted import COURSE, Chain, Each, Ends, Floats, Number, Rule, Whole, Word
from ..progress import FitInProgress, Outcome, Training, at_once
from .descent import Descent, latent_codes, nearest_codes
from .network import ACTIVATIONS, Network, predict, random_network
from .scaling import REACH, WILD, check_unit, in_units, unit_of

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
    def fit(
        self, X: MatrixLike, y: object = None, *, mask: MatrixLike | None = None, weights: MatrixLike | None = None
    ) -> Self:
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
        return self._fit(X, mask, weights)

    def begin_on(self, data: DenseData) -> FitInProgress:
        """A fit of this model itself, with valid parameters, to checked data."""
        return FitInProgress(self, NetworkTraining(self, data), self._criteria(), self.n_init)

    def store(self, training: NetworkTraining, result: NetworkResult) -> None:
        """Set the fitted attributes; the last layer carries the unit of the data."""
        data, self.unit_, self.largest_ = training.original, training.unit, training.largest
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

    def training_codes(self) -> Array:
        """Z."""
        return self.latent_

    @property
    def activations(self) -> tuple[str, ...]:
        """The activation of each hidden layer."""
        depth = len(check_layers(self.hidden, "hidden"))
        return (self.activation,) * depth if isinstance(self.activation, str) else tuple(self.activation)

    @property
    def _net(self) -> Network:
        return Network(self.coefs_, self.intercepts_, tuple(self.activations_))

    def _decode(self, codes: Array, columns: MatrixLike | None = None) -> Array:
        P = predict(self._net.mapped(lambda a: as_like(a, codes, codes.dtype)), codes, columns)
        limit = REACH * self.largest_
        return namespace(P).clip(P, -limit, limit) if self.finish else P

    def solve_codes(self, data: DenseData) -> Array:
        """Codes by iRprop+ with the network fixed, see `latent_codes`."""
        net = self._net.mapped(data.asarray)
        net.coefs[-1], net.intercepts[-1] = net.coefs[-1] / self.unit_, net.intercepts[-1] / self.unit_
        data = in_units(data, self.unit_)
        candidates = data.asarray(self.latent_[:: max(1, self.latent_.shape[0] // _MOST_CANDIDATES), :])
        limits = self.alpha_latent, self.max_iter, self.tol, self.goal
        codes = concat(
            [latent_codes(part, net, nearest_codes(part, net, candidates), *limits) for _, part in data.blocks()]
        )
        return codes

    def fitted_rules(self) -> dict[str, Rule]:
        """What the fitted attributes are."""
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

    def check_fitted(self) -> None:
        """Refuse fitted attributes that do not fit together."""
        if not len(self.coefs_) == len(self.intercepts_) == len(self.activations_) + 1:
            raise ValueError("coefs_, intercepts_ and activations_ are not of as many layers")

    def check_parameters(self) -> None:
        """Refuse invalid parameters."""
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
        names = self.activations
        if len(names) != depth:
            raise ValueError(f"activation={self.activation!r} names {len(names)} layers, hidden has {depth}")
        for name in names:
            check_choice("activation", name, tuple(ACTIVATIONS))


class NetworkTraining(Training):
    """The iterations of `DMF`, over data in its unit."""

    def __init__(self, model: DMF, data: DenseData) -> None:
        self.model, self.original = model, data
        self.unit = unit_of(data, model.unit)
        self.largest = max(map(abs, data.value_range()))
        self.data = in_units(data, self.unit)
        self.random_state = check_random_state(model.random_state)

    def gaps(self) -> list[str]:
        """What the data leave open, in words."""
        return describe_empty(self.original)

    def start(self, criteria: StoppingCriteria) -> tuple[Descent, str]:
        """Descent from a random network."""
        model, data = self.model, self.data
        sizes = (model.n_components, *check_layers(model.hidden), data.shape[1])
        net = random_network(sizes, model.activations, self.random_state).mapped(data.asarray)
        return Descent(data, net, model.alpha_weights, model.alpha_latent, model.goal), ""

    def result(self, process: Descent, outcome: Outcome, take: Callable[[Array], Array]) -> NetworkResult:
        """The best iterate, or the last one."""
        value, net, Z = process.best
        if self.model.keep == "last":
            value, net, Z = outcome[-1][-1], process.net.mapped(take), take(process.Z)
        return NetworkResult([Z], *outcome, net, value)

    def key(self, result: NetworkResult) -> float:
        """The objective of the iterate that is kept."""
        return result.value
