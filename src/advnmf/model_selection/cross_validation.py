"""`cross_val_score_entries`: the score of one estimator on held-out entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import signature
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator

from ..arrays.typing import MatrixLike
from ..data.boundary import read_observed
from ..data.observed import Observed
from .scoring import get_scoring
from .splits import EntryKFold, check_split
from .trials import Fold, advance_all, make_trial

Array = np.ndarray


def cross_val_score_entries(
    estimator: BaseEstimator,
    X: MatrixLike,
    *,
    mask: MatrixLike | None = None,
    weights: MatrixLike | None = None,
    censored: MatrixLike | None = None,
    cv: object = None,
    scoring: str | Callable[..., float] = "neg_root_mean_squared_error",
    n_jobs: int | None = None,
) -> Array:
    """Score of the completion of held-out observed entries, for each split.

    Parameters
    ----------
    estimator : estimator
        A model or imputer of this package, or any imputer whose `fit_transform` completes data with NaN, such as those
        of scikit-learn.  It is cloned.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        NaN (and the hidden entries of a `numpy.ma` array) are missing.
    mask : array-like of bool, optional
        True = observed.
    weights : array-like or sparse matrix, optional
        Weights of the entries, in the fit and in the score; those of weight 0 are not held out.
    censored : array-like, optional
        Which entries are bounds, as `NMF.fit` takes it.  They are trained on, but never held out.
    cv : int, splitter, iterable of (train, test) or None, default=None
        An integer k stands for ``EntryKFold(k, random_state=0)``, None for 5 folds: the same split in each call.
    scoring : {"neg_root_mean_squared_error", "neg_mean_absolute_error"} or callable
        Greater is better.  A callable is called with (truth, prediction) of the held-out entries of a split, and
        ``sample_weight=`` if there are weights, like the metrics of scikit-learn.
    n_jobs : int or None, default=None
        Splits at a time, as threads; None means 1 unless `joblib.parallel_config` says otherwise.

    Returns
    -------
    ndarray of shape (n_splits,)

    Examples
    --------
    >>> import numpy as np
    >>> from advnmf import NMF
    >>> from advnmf.model_selection import cross_val_score_entries
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((30, 2)) @ rng.random((2, 20))
    >>> model = NMF(2, max_iter=1000, tol=1e-6, random_state=0)
    >>> bool(cross_val_score_entries(model, X).mean() > -0.01)
    True
    """
    folds = make_folds(read_observed(X, mask, weights, censored=censored), cv, random_state=0)
    trials = [make_trial(estimator, fold, get_scoring(scoring)) for fold in folds]
    advance_all([[(trial, None)] for trial in trials], n_jobs)
    for trial in trials:
        if trial.error is not None:
            raise trial.error
    return np.array([trial.score for trial in trials])


def make_folds(entries: Observed, cv: object, random_state: object) -> list[Fold]:
    """The folds that `cv` stands for, shared by all candidates."""
    if cv is None or isinstance(cv, Integral):
        cv = EntryKFold(5 if cv is None else cv, random_state=random_state)
    folds = [Fold(entries, *_measured(entries, *split)) for split in make_splits(entries, cv)]
    if not folds:
        raise ValueError(f"cv={cv!r} gave no split")
    return folds


def _measured(entries: Observed, train: object, test: object, weights: Array | None = None) -> tuple[Array, ...]:
    """A checked split without censored entries among those held out: there is no truth to compare with."""
    train, test = check_split(entries, train, test)
    kept, test = entries.measured[test], test & entries.measured
    if not test.any():
        raise ValueError("cv gave test with censored entries alone: hold out entries that were measured")
    return (train, test) if weights is None else (train, test, weights[kept])


def make_splits(entries: Observed, cv: object) -> Iterable[tuple[Array, ...]]:
    """Pairs (train, test) from a splitter, or as given; triples with weights if the splitter weighs entries."""
    if hasattr(cv, "weighted_observed"):
        return cv.weighted_observed(entries)
    if hasattr(cv, "split_observed"):
        return cv.split_observed(entries)
    if hasattr(cv, "split") and "mask" in signature(cv.split).parameters:
        return cv.split(entries.X, mask=entries.observed)
    if isinstance(cv, Iterable) and not isinstance(cv, str):
        return cv
    raise ValueError(
        f"cv={cv!r} must be a number of folds, a splitter of entries such as EntryKFold, or pairs (train, test)"
    )
