"""`NMFImputer`: a model whose `transform` returns the completed matrix instead of the codes."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.impute import MissingIndicator
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from ...arrays.typing import MatrixLike
from ...data.boundary import read_observed
from ...data.check import check_choice
from ...data.observed import Observed
from ...models.base import CompletionModel
from ...models.fitted import Bounds, Fitted, Indicator, Perhaps, Rule, Truths, Whole
from ...models.progress import Interrupted, at_once
from . import AutoNMF

Array = np.ndarray

# Of the default model: enough to find rank and ridge, not enough to try all optional parts.
_MAX_CANDIDATES = 20


class NMFImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fill the missing entries of nonnegative data by a factorisation fitted to the observed ones.

        transform(X) = X where observed,  the reconstruction (W H) elsewhere

    Observed entries come back bit for bit, float32 stays float32.  Each row is completed from its own observed
    entries and the components learnt in `fit`, so new rows need no refit and no row depends on the others of its batch.

    Parameters
    ----------
    estimator : NMF, ATNMF, DeepNMF, ADNMF, EADNMF, AutoNMF, ... or None, default=None
        The model; it is cloned.  None stands for ``AutoNMF(max_candidates=20, random_state=0)``: rank and ridge are
        searched by held-out observed entries, the same way each time, which takes seconds for 500 x 100 entries.
        Where that is too long, as in a search over other steps of a pipeline, name a model, such as
        ``NMF(10, alpha_W=0.01, random_state=0)``: a single fit (``alpha_W`` is in the unit of the data).  Where more
        is wanted, ``AutoNMF(random_state=0)`` also tries every extra and averages models.
    add_indicator : bool, default=False
        Append the columns of `sklearn.impute.MissingIndicator`: which entries were missing, for the features that had
        missing entries in `fit`.
    keep_empty_features : bool, default=False
        Features without observed entries in `fit` are dropped; with True they are kept, their missing entries filled
        with 0.
    clip : None, "observed" or (low, high), default=None
        Range that filled entries are clipped to: none (they are nonnegative anyway), that of the feature's observed
        values in `fit`, or the given one: numbers for all features, or arrays with one for each.  Observed entries are
        never changed.

    Attributes
    ----------
    estimator_ : estimator
        The fitted model.
    learnt_features_ : ndarray of bool of shape (n_features_in_,)
        Features with an observed entry in `fit`.
    indicator_ : MissingIndicator or None
        The fitted indicator.
    clip_range_ : ndarray of shape (2, n_features_in_) or None
        Lower and upper end for each feature.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    To search a grid over the rank, give an estimator: ``NMFImputer(NMF())`` has the parameter
    ``estimator__n_components``.
    """

    def __init__(
        self,
        estimator: CompletionModel | None = None,
        *,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        clip: str | tuple[float | Array, float | Array] | None = None,
    ) -> None:
        self.estimator = estimator
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.clip = clip

    @at_once
    def fit(
        self,
        X: MatrixLike,
        y: object = None,
        *,
        mask: MatrixLike | None = None,
        weights: MatrixLike | None = None,
        censored: MatrixLike | None = None,
    ) -> Self:
        """Learn the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Nonnegative where observed; NaN (and the hidden entries of a `numpy.ma` array) are missing.
        y : ignored
        mask : array-like of bool of the shape of X, optional
            True = observed.
        weights : array-like broadcastable to the shape of X, optional
            Weight of each entry in the loss.  An entry of weight 0 has no influence, but is not filled either: only
            missing ones are.
        censored : array-like, optional
            Which entries are bounds, such as limits of detection, as `NMF.fit` takes it.  `transform` fills these too,
            with the possible value that is nearest to the reconstruction.
        """
        self.check_parameters()
        observed = self._read(X, mask, weights, censored, reset=True)
        learnt = observed.observed.any(axis=0)
        self.learnt_features_ = learnt
        self.indicator_ = _fit_indicator(~observed.known) if self.add_indicator else None
        self.clip_range_ = _clip_range(self.clip, observed)
        model = _default() if self.estimator is None else clone(self.estimator)
        self.estimator_ = model
        try:
            holes = observed.training(observed.known)
            model.fit(holes[:, learnt], **_beside(observed, np.s_[:, learnt]))
        except KeyboardInterrupt:
            if hasattr(model, "stop_reason_"):  # the fit ended early, but is complete
                raise Interrupted from None
            raise
        return self

    def transform(
        self,
        X: MatrixLike,
        *,
        mask: MatrixLike | None = None,
        weights: MatrixLike | None = None,
        censored: MatrixLike | None = None,
    ) -> Array:
        """``X`` completed: of shape (n_samples, n_features_out).  Arguments as in `fit`."""
        check_is_fitted(self)
        observed = self._read(X, mask, weights, censored, reset=False)
        values, missing = observed.X, ~observed.known
        filled = np.where(missing, values.dtype.type(0), values)
        learnt = np.flatnonzero(self.learnt_features_)
        rows = np.flatnonzero(~observed.exact[:, learnt].all(axis=1))
        if rows.size:
            part = np.ix_(rows, learnt)
            holes = observed.training(observed.known)[part]
            filled[part] = self.estimator_.complete(holes, **_beside(observed, part))
        if self.clip_range_ is not None:
            low, high = self.clip_range_.astype(values.dtype)
            filled = np.where(observed.exact, filled, np.clip(filled, low, high))
        if not self.keep_empty_features:
            filled = filled[:, learnt]
        if self.indicator_ is None:
            return filled
        return np.hstack([filled, self.indicator_.transform(_as_nan(missing)).astype(filled.dtype)])

    def fit_transform(
        self,
        X: MatrixLike,
        y: object = None,
        *,
        mask: MatrixLike | None = None,
        weights: MatrixLike | None = None,
        censored: MatrixLike | None = None,
    ) -> Array:
        """``fit(X).transform(X)`` with the same mask, weights and censored entries."""
        every = {"mask": mask, "weights": weights, "censored": censored}
        given = {name: value for name, value in every.items() if value is not None}
        return self.fit(X, y, **given).transform(X, **given)

    def get_feature_names_out(self, input_features: object = None) -> Array:
        """Names of the columns of `transform`: the features kept, then "missingindicator_" and a feature's name."""
        check_is_fitted(self)
        names = super().get_feature_names_out(input_features)
        kept = names if self.keep_empty_features else names[self.learnt_features_]
        if self.indicator_ is None:
            return kept
        return np.concatenate([kept, self.indicator_.get_feature_names_out(names)])

    def _read(
        self, X: MatrixLike, mask: MatrixLike, weights: MatrixLike, censored: MatrixLike, *, reset: bool
    ) -> Observed:
        """What was observed; refuses what the models refuse, in the rows and columns of ``X``."""
        observed = read_observed(
            X, mask, weights, censored=censored, estimator=self, reset=reset, tensors=None, sparse_missing=None
        )
        observed.data(nonnegative=self._positive_only, fitting=reset)
        return observed

    @property
    def _positive_only(self) -> bool:
        """Whether the model refuses negative values."""
        return get_tags(_default() if self.estimator is None else self.estimator).input_tags.positive_only

    def check_parameters(self) -> None:
        """Refuse invalid parameters."""
        _check_estimator(self.estimator)
        _check_clip(self.clip)
        check_choice("add_indicator", self.add_indicator, (False, True))
        check_choice("keep_empty_features", self.keep_empty_features, (False, True))

    def fitted_rules(self) -> dict[str, Rule]:
        """What the fitted attributes are."""
        return {
            "n_features_in_": Whole("features"),
            "learnt_features_": Truths("features"),
            "indicator_": Perhaps(Indicator("features")),
            "clip_range_": Perhaps(Bounds("features")),
            "estimator_": Fitted(CompletionModel),
        }

    def check_fitted(self) -> None:
        """Refuse fitted attributes that do not fit together."""
        learnt, known = int(self.learnt_features_.sum()), self.estimator_.n_features_in_
        if learnt != known:
            raise ValueError(f"learnt_features_ are {learnt}, but the model inside knows {known}")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = self._positive_only
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_estimator(estimator: object) -> None:
    """Refuse an estimator that cannot complete a matrix."""
    if estimator is not None and not (hasattr(estimator, "fit") and hasattr(estimator, "complete")):
        raise TypeError(
            f"estimator={estimator!r} has no fit and complete: give a model of advnmf such as NMF(), or None"
        )


def _default() -> AutoNMF:
    """The model of ``estimator=None``: without a time limit, so that it is the same each time."""
    return AutoNMF(max_candidates=_MAX_CANDIDATES, random_state=0)


def _beside(observed: Observed, part: object) -> dict[str, Array]:
    """The keyword arguments for a part of the weights and of what is censored; none where there are none."""
    given = {"weights": observed.weights, "censored": observed.given_censored(observed.known)}
    return {name: values[part] for name, values in given.items() if values is not None}


def _as_nan(missing: Array) -> Array:
    """The array that `MissingIndicator` takes: NaN where missing, 0 elsewhere."""
    return np.where(missing, np.nan, 0.0)


def _fit_indicator(missing: Array) -> MissingIndicator:
    """The fitted indicator; like scikit-learn's imputers it accepts missing entries in further features later."""
    return MissingIndicator(error_on_new=False).fit(_as_nan(missing))


def _check_clip(clip: object) -> None:
    """Refuse an invalid range."""
    if clip is None or (isinstance(clip, str) and clip == "observed"):
        return
    wrong = f'clip={clip!r} must be None, "observed" or a pair (low, high) with low <= high'
    if not isinstance(clip, (tuple, list)) or len(clip) != 2:
        raise ValueError(wrong)
    try:
        low, high = np.broadcast_arrays(*(np.asarray(end, dtype=np.float64) for end in clip))
    except (TypeError, ValueError):
        raise ValueError(f"{wrong}, numbers or arrays of one for each feature") from None
    if low.ndim > 1 or not ((low <= high) & (low < np.inf) & (high > -np.inf)).all():
        raise ValueError(wrong)


def _clip_range(clip: object, observed: Observed) -> Array | None:
    """Lower and upper end for each feature: of the observed values, or as given.  Features without any get [0, 0].

    Where a bound is among the values, there is no end on its other side (nonnegative values end at 0).
    """
    if clip is None:
        return None
    used, n = observed.observed, observed.shape[1]
    if isinstance(clip, str):
        ends = np.empty((2, *observed.shape))
        ends[:, used] = observed.reach(used)
        low = np.min(ends[0], axis=0, where=used, initial=np.inf)
        high = np.max(ends[1], axis=0, where=used, initial=-np.inf)
        return np.where(used.any(axis=0), [low, high], 0).astype(observed.X.dtype)
    given = [np.asarray(end, dtype=observed.X.dtype) for end in clip]
    if any(end.shape not in ((), (n,)) for end in given):
        raise ValueError(f"clip has ends of shape {[end.shape for end in given]}: give numbers, or {n} of them each")
    return np.array([np.broadcast_to(end, n) for end in given])
