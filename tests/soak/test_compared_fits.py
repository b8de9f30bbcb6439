"""Random fits of the compared systems: finite, within what the data could hold, the same in any unit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.base import clone

from advnmf import ANMF, DMF, HQASD
from interruptions import InterruptAt, valid_state

pytestmark = pytest.mark.soak

# Beyond so many times the largest observed size a prediction counts as exploded.
FAR = 3.0


def draw_model(rng: np.random.Generator) -> HQASD | DMF | ANMF:
    """A model with parameters that a user might choose, the careless among them."""
    common = {"n_components": int(rng.integers(1, 12)), "random_state": int(rng.integers(1000))}
    kind = rng.choice(["hqasd", "dmf", "anmf"])
    if kind == "hqasd":
        return HQASD(
            **common,
            solver=str(rng.choice(["pf", "asd"])),
            eta=float(rng.choice([0.5, 2.0, 8.0])),
            switch_tol=rng.choice([None, 0.0, 1e-3, np.inf]),
            nonnegative=bool(rng.random() < 0.2),
            max_iter=int(rng.choice([5, 60])),
        )
    if kind == "dmf":
        return DMF(
            **common,
            hidden=tuple(int(size) for size in rng.integers(1, 12, rng.integers(1, 3))),
            activation=str(rng.choice(["tanh", "logistic", "identity"])),
            alpha_weights=float(rng.choice([0.0, 1e-4, 0.01])),
            alpha_latent=float(rng.choice([0.0, 1e-4, 0.01])),
            keep=str(rng.choice(["best", "last"])),
            max_iter=int(rng.choice([5, 200])),
        )
    return ANMF(
        **common,
        beta=float(rng.choice([0.0, 0.5, 0.9, 1.0])),
        attack_weight=float(10 ** rng.uniform(-2, 3)),
        target=str(rng.choice(["zero", "mean", "mirror"])),
        missing=str(rng.choice(["ignore", "complete", "zero"])),
        adapt=bool(rng.random() < 0.8),
        rho=float(10 ** rng.uniform(-1, 2)),
        max_iter=int(rng.choice([5, 200])),
    )


def draw_data(rng: np.random.Generator, model: object) -> tuple[np.ndarray, np.ndarray | None]:
    """A small matrix of low rank with noise, holes and now and then gross errors; weights, or None."""
    n, m = (int(k) for k in rng.integers(1, 30, 2))
    r = int(rng.integers(1, 6))
    signed = not isinstance(model, ANMF) and not getattr(model, "nonnegative", False) and rng.random() < 0.5
    draw = rng.standard_normal if signed else rng.standard_exponential
    X = draw((n, r)) @ draw((r, m))
    X = X * (1 + rng.choice([0, 0.05]) * rng.standard_normal(X.shape))
    if rng.random() < 0.2:
        X = X * np.exp(rng.standard_normal(m))
    if rng.random() < 0.2:
        X = np.where(rng.random(X.shape) < 0.05, X * 10 ** rng.uniform(1, 6), X)
    X = X if signed else np.abs(X)
    hidden = rng.random(X.shape) < rng.choice([0, 0.3, 0.7, 0.95])
    hidden.flat[rng.integers(X.size)] = False
    weighted = getattr(model, "missing", "ignore") == "ignore" and rng.random() < 0.3
    weights = rng.uniform(0.1, 10, X.shape) if weighted else None
    return np.where(hidden, np.nan, X).astype(rng.choice(["float32", "float64"])), weights


def describe(seed: int, model: object, X: np.ndarray) -> str:
    return f"seed {seed}: {model!r} on {X.shape} {X.dtype}"


def same_in_any_unit(model: object, X: np.ndarray, weights: np.ndarray | None, rng: np.random.Generator) -> bool:
    """Powers of two are exact, so only rounding of what they multiply is left to differ: next to nothing."""
    far = 40 if X.dtype == np.float64 else 12
    c, d = 2.0 ** rng.integers(-far, far), 2.0 ** rng.integers(-20, 20)
    scaled = {} if weights is None else {"weights": weights * d}
    other = clone(model).fit(X * X.dtype.type(c), **scaled)
    here, there = model.reconstruct(), other.reconstruct() / X.dtype.type(c)
    size = np.nanmax(np.abs(X))
    return np.allclose(here, there, rtol=0, atol=size * (1e-9 if X.dtype == np.float64 else 1e-4))


def test_random_fits(budget):
    """No fit that ends without an error is wrong in a way that needs no truth to see."""
    trials, refused = 0, 0
    while budget.left() > 0:
        seed = budget.seed + trials
        rng = np.random.default_rng(seed)
        trials += 1
        model = draw_model(rng)
        X, weights = draw_data(rng, model)
        given = {} if weights is None else {"weights": weights}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model.fit(X, **given)
            except ValueError:
                refused += 1
                continue
            P, F = model.reconstruct(), model.complete(X, **given)
            for result in (P, F, model.transform(X[::-1])):
                assert np.isfinite(result).all(), describe(seed, model, X)
            limit = FAR * np.nanmax(np.abs(X))
            assert max(np.abs(P).max(), np.abs(F).max()) <= limit, describe(seed, model, X)
            assert same_in_any_unit(model, X, weights, rng), describe(seed, model, X)
    print(f"{trials} random fits, {refused} refused")


def test_random_interruptions(budget):
    """A fit that is interrupted at any line leaves the model as it was, or with all of one fit."""
    trials = 0
    while budget.left() > 0:
        rng = np.random.default_rng(budget.seed + trials)
        trials += 1
        model = draw_model(rng).set_params(max_iter=int(rng.integers(1, 6)))
        first, second = rng.random((9, 7)), rng.random((12, 5))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with InterruptAt(-1) as counted:
                clone(model).fit(second)
            used = rng.random() < 0.5
            if used:
                model.fit(first)
            at, interrupted = int(rng.integers(1, counted.lines + 1)), False
            with InterruptAt(at) as tracer:
                try:
                    model.fit(second)
                except KeyboardInterrupt:
                    interrupted = True
            assert interrupted or tracer.lines < at, f"seed {budget.seed + trials - 1}: swallowed"
            if any(name.endswith("_") for name in vars(model)):
                valid_state(model, second if model.n_features_in_ == 5 else first)
            assert not used or hasattr(model, "components_") or hasattr(model, "latent_")
    print(f"{trials} interruptions")
