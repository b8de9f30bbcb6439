"""Random problems over the whole product of what can be chosen, and what the same problem is in other units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from advnmf import L21, NMF, Correntropy, Elastic, Frobenius, FrobeniusPenalty
from advnmf.data import ObservedData
from advnmf.losses import Loss
from advnmf.penalties import Smooth
from advnmf.solvers import MU

Array = np.ndarray


@dataclass(frozen=True)
class RandomFit:
    """Data, parameters of `NMF` and arguments of `fit`; ``X`` is an array with NaN or a sparse matrix."""

    X: Any
    params: dict[str, Any]
    weights: Any = None

    def fit(self) -> NMF:
        return NMF(**self.params).fit(self.X, **({} if self.weights is None else {"weights": self.weights}))

    def predictions(self, model: NMF) -> Array:
        """What the model says of everything."""
        return np.asarray(model.reconstruct(), np.float64)

    @property
    def observed(self) -> Array:
        """Where something was observed, of the shape of ``X``."""
        if not sparse.issparse(self.X):
            return ~np.isnan(self.X)
        stored = np.full(self.X.shape, self.params["sparse_missing"] == "zero")
        rows, columns = self.X.tocoo().coords
        stored[rows, columns] = ~np.isnan(self.X.tocoo().data)
        return stored

    def loss_of_zero(self) -> float:
        """What predicting zeros everywhere costs: the size beside which rounding counts."""
        data = check(self.X, self.weights, self.params["sparse_missing"])
        return self.params["loss"].value(data, data.predict(*(np.zeros(s, data.dtype) for s in _shapes(data))))

    @property
    def exact(self) -> bool:
        """Whether the objective must not rise."""
        loss = self.params["loss"]
        return self.params["attack"] == "exact" and not getattr(loss, "adaptive", False)

    def times(self, c: float) -> RandomFit:
        """The same problem with c X for X: what has a unit is multiplied along."""
        p = dict(self.params)
        loss, factor = _times(p["loss"], c)
        L = 2 if isinstance(p["n_components"], int) else len(p["n_components"]) + 1
        power = 1 if p["l1_ratio"] == 1 else 2
        for name in ("alpha_W", "alpha_H"):
            if not isinstance(p[name], str):
                p[name] *= factor * c ** (-power / L)
        if p["adversary"] is not None:
            p["adversary"] = FrobeniusPenalty(p["adversary"].lam * factor / c**2)
        return replace(self, X=self.X * self._dtype(c), params={**p, "loss": loss})

    def shaken(self, rng: np.random.Generator, share: float) -> RandomFit:
        """The same problem, each value changed by about a share of itself."""
        if sparse.issparse(self.X):
            X = self.X.copy()
            X.data *= 1 + share * rng.standard_normal(X.nnz)
            return replace(self, X=X)
        return replace(self, X=self.X * (1 + share * rng.standard_normal(self.X.shape)))

    @property
    def _dtype(self) -> type:
        return self.X.dtype.type

    def weighted(self, c: float) -> RandomFit:
        """The same problem with c times the weights."""
        return replace(self, weights=self.weights * c)


def check(X: Any, weights: Any, missing: str) -> ObservedData:
    model = NMF(sparse_missing=missing)
    return model.read_data(X, None, weights, reset=True)


def _shapes(data: ObservedData) -> tuple[tuple[int, int], tuple[int, int]]:
    return (data.shape[0], 1), (1, data.shape[1])


def _times(loss: Loss, c: float) -> tuple[Loss, float]:
    """The loss of c X, and how much larger it is."""
    if isinstance(loss, L21):
        return (loss if loss.floor is None else L21(loss.floor * c)), c
    if isinstance(loss, Elastic):
        if loss.delta == 0:
            return loss, c
        return Elastic(loss.delta * c), c * (1 + c * loss.delta) / (1 + loss.delta)
    if isinstance(loss, Correntropy) and loss.sigma != "iqr":
        return Correntropy(loss.sigma * c), c**2
    return loss, c**2


def draw(rng: np.random.Generator, *, units: bool = False) -> RandomFit:
    """A random problem; with `units` one whose every constant can be multiplied along, and whose start is its own."""
    n, m = (int(k) for k in rng.integers(2, 16, 2))
    dtype = np.float64 if units else rng.choice([np.float64, np.float32])
    values = _values(rng, (n, m))
    top = values.max() or 1.0
    if not units:
        values = values / top * 10.0 ** rng.uniform(-6, 6)
    layers = [int(k) for k in rng.integers(1, 7, int(rng.choice([1, 1, 1, 2, 3])))]
    if units:  # a layer that is fitted perfectly is one of many: which one, rounding decides
        layers = sorted({min(k, n - 1, m - 1) for k in layers}, reverse=True)
    biases = len(layers) == 1 and rng.random() < 0.15
    storage = rng.choice(["array", "array", "absent", "zero"])
    size = float(np.sqrt(np.mean(np.square(values)))) or 1.0
    loss = _loss(rng, size)
    if storage == "zero" and isinstance(loss, Correntropy):
        loss = Frobenius()
    adversary = None
    if rng.random() < 0.4 and not (units and isinstance(loss, L21 | Elastic)):
        adversary = FrobeniusPenalty(float(max(1.0, loss.max_weight) * (1 + 10 ** rng.uniform(-1, 1))))
        if not 1 < adversary.lam < 1e8:
            adversary = None
    hals = biases or rng.random() < 0.5
    ridge = float(rng.choice([0, 0, 1e-4, 1e-2])) * size ** (2 - 2 / (len(layers) + 1))
    params = {
        "n_components": layers[0] if len(layers) == 1 else tuple(layers),
        "loss": loss,
        "adversary": adversary,
        "attack": "alternating" if adversary is not None and rng.random() < 0.2 and not units else "exact",
        "solver": "hals" if hals else MU(int(rng.choice([0, 0, 2]))),
        "alpha_W": "auto" if rng.random() < 0.4 else ridge,
        "alpha_H": "same",
        "l1_ratio": float(rng.choice([0, 0, 1] if units else [0, 0, 0.3, 1])),
        "alpha_scale": str(rng.choice(["shape", "observed"])),
        "biases": biases,
        "max_iter": int(rng.integers(1, 12 if units else 30)),
        "tol": 0.0,
        "sparse_missing": "zero" if storage == "zero" else "absent",
        "random_state": int(rng.integers(2**31)),
    }
    if rng.random() < 0.15:
        params["penalty_W"] = Smooth(10 ** rng.uniform(-4, 1), chain=True)
    if rng.random() < 0.1:
        params["penalty_H"] = Smooth(10 ** rng.uniform(-4, 1), chain=True)
    if not units and rng.random() < 0.1:
        params["alpha_H"] = 0.0 if rng.random() < 0.5 else 0.1 * size
    holes = rng.random((n, m)) < rng.choice([0, 0.2, 0.5, 0.9])
    holes.flat[rng.integers(n * m)] = False
    values = values.astype(dtype)
    if storage == "array":
        X = np.where(holes, dtype(np.nan), values)
        weights = 10 ** rng.uniform(-1, 1, (n, m)) if rng.random() < 0.25 else None
        return RandomFit(X, params, weights)
    rows, columns = np.nonzero(~holes if storage == "absent" else (values > 0) & (rng.random((n, m)) < 0.6))
    stored = values[rows, columns]
    if storage == "zero" and len(stored) > 2 and rng.random() < 0.5:
        stored[rng.integers(len(stored))] = np.nan
    X = sparse.csr_array((stored, (rows, columns)), shape=(n, m))
    weights = None
    if storage == "absent" and rng.random() < 0.25:
        weights = sparse.csr_array((10 ** rng.uniform(-1, 1, X.nnz), X.indices, X.indptr), shape=X.shape)
    return RandomFit(X, params, weights)


def _values(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Nonnegative, of many kinds: low rank, counts, heavy tails, zeros, rows of very different size."""
    kind, r = rng.integers(7), int(rng.integers(1, 5))
    low = rng.gamma(1.0, 1.0, (shape[0], r)) @ rng.gamma(1.0, 1.0, (r, shape[1]))
    if kind == 0:
        return low
    if kind == 1:
        return low * rng.uniform(0.9, 1.1, shape)
    if kind == 2:
        return rng.poisson(low).astype(float)
    if kind == 3:
        return np.exp(rng.normal(0, 3, shape))
    if kind == 4:
        return low * 10.0 ** rng.uniform(-4, 4, (shape[0], 1))
    if kind == 5:
        return low * (rng.random(shape) < 0.4)
    return np.where(rng.random(shape) < 0.05, 1e3 * low, low)


def _loss(rng: np.random.Generator, size: float) -> Loss:
    kind = rng.integers(8)
    scale = size * 10 ** rng.uniform(-2, 1)
    if kind < 3:
        return Frobenius()
    if kind == 3:
        return L21() if rng.random() < 0.7 else L21(scale)
    if kind < 6:
        return Elastic(float(rng.choice([0.0, scale, scale])))
    return Correntropy() if kind == 6 else Correntropy(scale)
