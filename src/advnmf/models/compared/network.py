"""The network of `DMF`: a multilayer perceptron whose inputs are trained, its objective and gradients, written out.

    A_0 = Z,    A_l = g_l(A_{l-1} W_l + b_l),    X_hat = A_L (g_L linear)

    f = 1/(2 n) sum over observed of omega (X - X_hat)^2  +  w/2 sum_l ||W_l||^2  +  z/(2 n) ||Z||^2

n is the number of samples, rows of ``Z`` and ``X``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...arrays.namespaces import Array, namespace, wide
from ...data import DenseData


@dataclass(frozen=True)
class Activation:
    """g and g' as a function of the value a = g(x)."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


# 1.7159 tanh(2 x / 3) keeps values of unit variance about where they are.
_HEIGHT, _RATE = 1.7159, 2 / 3

ACTIVATIONS = {
    "tanh": Activation(
        lambda x: _HEIGHT * namespace(x).tanh(_RATE * x),
        lambda a: (_HEIGHT * _RATE) * (1 - (a / _HEIGHT) ** 2),
    ),
    # (1 + tanh(x / 2)) / 2 is the logistic function and never overflows.
    "logistic": Activation(lambda x: 0.5 + 0.5 * namespace(x).tanh(0.5 * x), lambda a: a * (1 - a)),
    "identity": Activation(lambda x: x, lambda a: a * 0 + 1),
}


@dataclass
class Network:
    """Weights W_l, of shape (s_{l-1}, s_l), biases b_l, and the activations of the hidden layers."""

    coefs: list[Array]
    intercepts: list[Array]
    activations: tuple[str, ...]

    @property
    def parameters(self) -> list[Array]:
        """All arrays, to be changed in place."""
        return [*self.coefs, *self.intercepts]

    def mapped(self, function: Callable[[Array], Array]) -> Network:
        """The network whose arrays are a function of these."""
        return Network([function(W) for W in self.coefs], [function(b) for b in self.intercepts], self.activations)

    def copy(self) -> Network:
        """The same numbers in new arrays."""
        return self.mapped(lambda a: a + 0)


def random_network(sizes: Sequence[int], activations: tuple[str, ...], random_state: np.random.RandomState) -> Network:
    """Weights and biases uniform on (-b, b) with b = 4 sqrt(6 / (s_{l-1} + s_l)), drawn in float64 on the host."""
    coefs, intercepts = [], []
    for before, after in pairwise(sizes):
        b = 4 * np.sqrt(6 / (before + after))
        drawn = random_state.uniform(-b, b, (before + 1, after))
        coefs.append(drawn[1:])
        intercepts.append(drawn[0])
    return Network(coefs, intercepts, activations)


def activate(net: Network, Z: Array) -> list[Array]:
    """A_0, ..., A_{L-1}: the latent inputs and the hidden layers."""
    values = [Z]
    for W, b, name in zip(net.coefs, net.intercepts, net.activations, strict=False):
        values.append(ACTIVATIONS[name].value(values[-1] @ W + b))
    return values


def predict(net: Network, Z: Array, columns: object = None) -> Array:
    """X_hat, at some columns."""
    W, b = net.coefs[-1], net.intercepts[-1]
    if columns is not None:
        W, b = W[:, columns], b[columns]
    return activate(net, Z)[-1] @ W + b


def sample_losses(data: DenseData, net: Network, Z: Array, z: float) -> tuple[Array, Array, list[Array]]:
    """(f_i, Delta, A): loss 1/2 (sum_j omega (x - x_hat)^2 + z ||z_i||^2) of each row, omega (X_hat - X), and A."""
    A = activate(net, Z)
    D, squares = data.errors(A[-1] @ net.coefs[-1], net.intercepts[-1])
    return (squares + z * namespace(Z).sum(Z * Z, axis=1, dtype=wide(Z))) / 2, D, A


def value_and_gradients(
    data: DenseData, net: Network, Z: Array, w: float, z: float, n: int
) -> tuple[float, list[Array], Array]:
    """f, its gradients with respect to `net.parameters`, and that with respect to ``Z``."""
    xp = namespace(Z)
    losses, D, A = sample_losses(data, net, Z, z)
    f = xp.sum(losses) / n + w / 2 * sum(xp.sum(W * W, dtype=wide(W)) for W in net.coefs)
    # 1/n goes to the gradients, not to the much larger residuals.
    coefs, intercepts = [], []
    for level in range(len(net.coefs) - 1, -1, -1):
        coefs.insert(0, (A[level].T @ D) / n + w * net.coefs[level])
        intercepts.insert(0, xp.sum(D, axis=0) / n)
        D = _back(net, A, level, D)
    return float(f), [*coefs, *intercepts], (D + z * Z) / n


def latent_gradient(net: Network, Z: Array, A: list[Array], D: Array, z: float) -> Array:
    """Gradient of the losses of `sample_losses` with respect to ``Z``, row by row."""
    for level in range(len(net.coefs) - 1, -1, -1):
        D = _back(net, A, level, D)
    return D + z * Z


def _back(net: Network, A: list[Array], level: int, D: Array) -> Array:
    """The derivative with respect to what enters layer `level` - 1's activation, from that with respect to layer's."""
    D = D @ net.coefs[level].T
    return D if level == 0 else D * ACTIVATIONS[net.activations[level - 1]].slope(A[level])
