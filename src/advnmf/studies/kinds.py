"""What is recorded of a run beside its error: nothing, curves, components, or the steps of a restoration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .. import metrics
from .fitting import Fitted, fit, model_of, prepared, start_of
from .tasks import Task

__all__ = ["KINDS", "Record"]

Array = np.ndarray


@dataclass(frozen=True)
class Record:
    """What a run gives: its fit, short curves, and arrays that go into a file."""

    fitted: Fitted
    n_iter: int
    curves: dict[str, list[float]] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)


def completion(task: Task, X: Array, mask: Array) -> Record:
    """The error alone."""
    fitted = fit(task.recipe, X, mask, task.run)
    return Record(fitted, fitted.model.n_iter_)


def components(task: Task, X: Array, mask: Array) -> Record:
    """The components, one a row: parts of faces, or spectra."""
    record = completion(task, X, mask)
    return replace(record, arrays={"components": record.fitted.model.components_})


def restoration(task: Task, X: Array, mask: Array) -> Record:
    """Some samples on their way: original, masked, the perturbation R*, the attacked data X + R*, and completed.

    R* = max((X - P) / (lam - 1), -X) on observed entries, 0 elsewhere; only where there is an adversary.
    """
    record = completion(task, X, mask)
    rows = np.asarray(task.options["samples"])
    x, observed, p = X[rows], mask[rows], record.fitted.prediction[rows]
    arrays = {"original": x, "observed": observed, "completed": p}
    lam = task.recipe.params.get("lam")
    if lam is not None:
        R = np.where(observed, np.maximum((x - p) / (lam - 1), -x), 0)
        arrays |= {"perturbation": R, "attacked": np.where(observed, x + R, 0)}
    return replace(record, arrays=arrays)


def convergence(task: Task, X: Array, mask: Array) -> Record:
    """Objective and errors on observed and on missing entries, each ``options["every"]`` iterations.

    The fit is made in pieces of that length, each from the factors of the one before; that is the same fit where an
    attack stands at the beginning of each piece.  Nobody acts on the test error.
    """
    recipe, every = task.recipe, task.options["every"]
    data, scale = prepared(recipe, X, mask)
    params = {**recipe.params, "max_iter": every, "tol": 0.0}
    factors = start_of(recipe, data, task.run)
    curves: dict[str, list[float]] = {"iteration": [], "objective": [], "train_rmse": [], "test_rmse": []}
    for n_iter in range(every, recipe.params["max_iter"] + 1, every):
        model = model_of(recipe.model, params, task.run, init="custom").fit(data, factors=factors)
        factors, P = model.factors_, model.reconstruct() * scale
        measured: dict[str, Any] = {
            "iteration": n_iter,
            "objective": float(model.loss_curve_[-1]),
            "train_rmse": metrics.rmse(X, P, mask=mask),
            "test_rmse": metrics.rmse(X, P, mask=~mask),
        }
        for name, value in measured.items():
            curves[name].append(value)
    return Record(Fitted(model, P, {}), n_iter, curves)


KINDS: dict[str, Callable[[Task, Array, Array], Record]] = {
    "completion": completion,
    "components": components,
    "convergence": convergence,
    "restoration": restoration,
}
