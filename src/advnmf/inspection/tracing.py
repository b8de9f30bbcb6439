"""Errors on the way: a fit that is looked at every few iterations."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from ..data.boundary import read_observed
from ..data.check import check_number
from ..engine.loop import Callback
from ..metrics import rmse
from ..models.base import CompletionModel
from ..models.nmf import NMF, DataWarning

Array = np.ndarray


def trace(estimator: Any, X: object, *, mask: object = None, X_true: object = None, every: int = 1) -> dict[str, Array]:
    """Objective, observed error and held-out error of a model every so many iterations of its fit.

    A clone of `estimator` is fitted as `fit` would, from one start (`n_init`, `callback` and `time_limit` play no
    part), and looked at on the way and at the end.

    Parameters
    ----------
    estimator : NMF, ATNMF, DeepNMF, ADNMF, EADNMF, HQASD, DMF or ANMF
        The model, fitted or not, with ``init="random"``.
    X, mask
        As in `fit`.
    X_true : array-like of the shape of X, optional
        The truth; NaN where it is not known.  It is compared with, and has no influence on the fit.
    every : int, default=1
        Iterations between two looks.

    Returns
    -------
    dict of arrays of one length
        "n_iter"; "objective", the last of `loss_curve_` of a fit that ends there; "observed_rmse", between ``X`` and
        the reconstruction over the observed entries; with `X_true`, "held_out_rmse" over those not observed.

    Notes
    -----
    `NMF` and its presets go on from where the last look left them.  Where the factors do not say how a fit goes on (the
    other models, ``biases=True``, and ``attack="alternating"`` unless `every` is a multiple of `attack_every`), each
    look costs a fit up to that point: choose `every` large.

    Examples
    --------
    >>> course = trace(model, X, mask=observed, X_true=truth, every=5)  # doctest: +SKIP
    >>> errors = {"observed": course["observed_rmse"], "held out": course["held_out_rmse"]}  # doctest: +SKIP
    >>> ConvergenceDisplay(errors, iterations=course["n_iter"], ylabel="RMSE").plot()  # doctest: +SKIP
    """
    if not isinstance(estimator, CompletionModel):
        raise ValueError(f"{type(estimator).__name__} cannot be traced: give a model such as NMF, not what wraps one")
    check_number("every", every, low=1, integer=True)
    estimator._check_parameters()
    observed = read_observed(X, mask, estimator=clone(estimator), tensors=None, sparse_missing=None)
    # Looks that begin anew must begin alike.
    seed = int(np.random.default_rng().integers(2**31)) if estimator.random_state is None else estimator.random_state
    model = clone(estimator).set_params(time_limit=None, n_init=1, random_state=seed)
    looks = _resumed if _memoryless(model, every) else _refitted
    rows: dict[int, dict[str, float]] = {}
    for n_iter, fitted in looks(model, X, mask, every):
        P = fitted.reconstruct()
        errors = {"observed_rmse": rmse(observed.X, P, mask=observed.known)}
        if X_true is not None:
            errors["held_out_rmse"] = rmse(X_true, P, mask=~observed.known)
        rows[n_iter] = {"n_iter": n_iter, "objective": fitted.loss_curve_[-1], **errors}
    return {name: np.array([row[name] for row in rows.values()]) for name in ("n_iter", "objective", *errors)}


def _memoryless(model: Any, every: int) -> bool:
    """Whether a fit goes on after `every` sweeps as one that starts from its factors does; offsets are none."""
    return isinstance(model, NMF) and not model.biases and (model.attack == "exact" or every % model.attack_every == 0)


def _resumed(model: NMF, X: object, mask: object, every: int) -> Iterator[tuple[int, NMF]]:
    """Iterations, and the model after them: one that is fitted a piece further each time."""
    total = model.max_iter
    # max_iter stays as it is in the first piece, for the pre-training of deep chains.
    _fit(model.set_params(callback=_stop_after(every)), X, mask)
    n_iter = model.n_iter_
    yield n_iter, model
    while n_iter < total and model.stop_reason_ in ("callback", "max_iter"):
        model.set_params(init="custom", callback=None, max_iter=min(every, total - n_iter))
        _fit(model, X, mask, DataWarning, factors=model.factors_)
        n_iter += model.n_iter_
        yield n_iter, model


def _refitted(model: Any, X: object, mask: object, every: int) -> Iterator[tuple[int, Any]]:
    """Iterations, and the model after them: each fitted from the start."""
    said: tuple[type[Warning], ...] = ()
    for n_iter in range(every, model.max_iter + every, every):
        # A clone has a random state of its own, as it was.
        fitted = _fit(clone(model).set_params(callback=_stop_after(n_iter)), X, mask, *said)
        yield fitted.n_iter_, fitted
        if fitted.stop_reason_ != "callback":
            return
        said = (DataWarning,)


def _stop_after(n_iter: int) -> Callback:
    """A callback that ends the training after so many iterations: it is asked before that number is told."""
    return lambda progress: progress.phase == "train" and progress.n_iter + 1 >= n_iter


def _fit(model: Any, X: object, mask: object, *said: type[Warning], **arguments: object) -> Any:
    """Fit without a word on convergence, nor on what has been `said` before."""
    with warnings.catch_warnings():
        for category in (ConvergenceWarning, *said):
            warnings.simplefilter("ignore", category)
        return model.fit(X, mask=mask, **arguments)
