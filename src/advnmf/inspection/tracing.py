"""`trace`: objective and errors during a fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import clone

from ..arrays.typing import MatrixLike
from ..data.boundary import read_observed
from ..data.check import check_number
from ..metrics import rmse
from ..models.progress import FitInProgress

Array = np.ndarray


def trace(
    estimator: Any, X: MatrixLike, *, mask: MatrixLike | None = None, X_true: MatrixLike | None = None, every: int = 1
) -> dict[str, Array]:
    """Objective, observed error and held-out error of a model, every few iterations of its fit.

    A clone of `estimator` is fitted as by `fit`, from one start (`n_init`, `callback` and `time_limit` are ignored),
    and evaluated every few iterations and at the end.

    Parameters
    ----------
    estimator : estimator
        `NMF` or another model that learns by iterations, fitted or not, with ``init="random"``.
    X, mask
        As in `fit`.
    X_true : array-like of the shape of X, optional
        The truth, NaN where it is unknown; it has no influence on the fit.
    every : int, default=1
        Iterations between two evaluations.

    Returns
    -------
    dict of arrays of one length
        "n_iter"; "objective", the last of `loss_curve_` of a fit that ends there; "observed_rmse", between ``X`` and
        the reconstruction over the observed entries; with `X_true`, "held_out_rmse" over those not observed.

    Examples
    --------
    >>> course = trace(model, X, mask=observed, X_true=truth, every=5)  # doctest: +SKIP
    >>> errors = {"observed": course["observed_rmse"], "held out": course["held_out_rmse"]}  # doctest: +SKIP
    >>> ConvergenceDisplay(errors, iterations=course["n_iter"], ylabel="RMSE").plot()  # doctest: +SKIP
    """
    if not hasattr(estimator, "begin"):
        raise ValueError(f"{type(estimator).__name__} cannot be traced: give a model such as NMF, not what wraps one")
    check_number("every", every, low=1, integer=True)
    given = read_observed(X, mask, estimator=clone(estimator), tensors=None, sparse_missing=None)
    rows = []
    for look in _looks(clone(estimator).set_params(time_limit=None, callback=None).begin(X, mask=mask), every):
        P = look.reconstruct()
        rows.append([look.n_iter_, look.loss_curve_[-1], rmse(given.X, P, mask=given.known)])
        if X_true is not None:
            rows[-1].append(rmse(X_true, P, mask=~given.known))
    names = ("n_iter", "objective", "observed_rmse", "held_out_rmse")
    return {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=False)}


def _looks(fit: FitInProgress, every: int) -> Iterator[Any]:
    """The model after every `every` iterations, and at the end."""
    fit.begin()
    while not fit.ended:
        with fit.session():
            while fit.step() and fit.n_iter % every:
                pass
        yield fit.look()
