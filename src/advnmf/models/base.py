"""What all completion models share: the scikit-learn interface around a fit, some codes and a decoder.

A model derives from `CompletionModel`, sets ``components_`` or has its own `_decode`, and provides

    check_parameters()          refuse invalid parameters
    solve_codes(data)           codes of the samples of some data, each from its own row alone
    training_codes()            codes of the data of `fit`
    fitted_rules()              what the attributes are that `fit` sets, see `fitted`
    check_fitted()              refuse those that do not fit together

One that learns by iterations derives from `IterativeModel`, has the parameters max_iter, tol, n_init, time_limit,
verbose and callback, and provides

    begin_on(data)              a `FitInProgress` over checked data
    store(training, result)     set the fitted attributes
"""

from __future__ import annotations

import time
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ..arrays.namespaces import Array, as_like, namespace, returned
from ..arrays.typing import MatrixLike
from ..data import ObservedData
from ..data.boundary import read_observed
from ..data.check import MOST_STARTS, MOST_SWEEPS, check_codes, check_number, check_seed
from ..data.observed import Observed
from ..engine.factors import fill_rows
from ..engine.loop import Progress, Result, StoppingCriteria
from ..engine.problem import total
from .progress import FitInProgress, Interrupted, Training, blank_copy


class DataWarning(UserWarning):
    """The data leave something undetermined; the message says what was done about it."""


def finite(values: Array, what: str, fix: str = "X, or the factors of the model, are beyond {}: rescale X") -> Array:
    """What a fit or a method gives, an array or a list; a ValueError where an overflow has made it infinite or NaN."""
    for array in values if isinstance(values, list) else [values]:
        stored = array.data if sparse.issparse(array) else array
        xp = namespace(stored)
        if not xp.all(xp.isfinite(stored)):
            raise ValueError(f"{what} is not finite: {fix.format(stored.dtype)}")
    return values


class CompletionModel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A model of matrices with holes: codes of samples, and a decoder that turns codes into whole samples."""

    # Whether observed negative values are refused.
    _positive_only = True
    # What becomes of tensors and of sparse matrices, see `read_observed`.
    _tensors: str | None = None
    _sparse: str | None = None
    # Whether entries may be censored: known only to lie below or above a bound.
    _takes_censored: ClassVar[bool] = False

    # --- fitting -------------------------------------------------------------------------------------------------

    def fit_transform(self, X: MatrixLike, y: object = None, **fit_params: object) -> Array:
        """Learn the model; the codes of the training data (see `fit` for the arguments)."""
        return self.fit(X, y, **fit_params).training_codes()

    def fit_complete(self, X: MatrixLike, y: object = None, **fit_params: object) -> Array:
        """Learn the model, then ``X`` with its holes filled by it; observed entries are kept as they are.

        Censored entries are filled as in `complete`.
        """
        self.fit(X, y, **fit_params)
        observed = self._read(X, fit_params.get("mask"), censored=fit_params.get("censored"))
        return self._completed(observed, self.training_codes())

    def _warn(self, messages: Sequence[str], stacklevel: int = 4) -> None:
        """Say what the data leave open; by default for a line of a `fit` under `at_once`."""
        for message in messages:
            warnings.warn(message, DataWarning, stacklevel=stacklevel)

    # --- using ---------------------------------------------------------------------------------------------------

    def transform(
        self,
        X: MatrixLike,
        *,
        mask: MatrixLike | None = None,
        weights: MatrixLike | None = None,
        censored: MatrixLike | None = None,
    ) -> Array:
        """Codes of samples, each from its own observed entries, the model fixed.

        A sample with nothing observed gets the mean code of the training data.
        """
        return self._encode(X, mask, weights, censored)

    def _encode(
        self,
        X: MatrixLike,
        mask: MatrixLike,
        weights: MatrixLike | None = None,
        censored: MatrixLike | None = None,
    ) -> Array:
        """`transform` as an array, whatever container `set_output` asks for."""
        check_is_fitted(self)
        return returned(self._encode_data(self.read_data(X, mask, weights, censored=censored, reset=False)), X)

    def _encode_data(self, data: ObservedData) -> Array:
        codes = self.solve_codes(data)
        empty = ~self.known_rows(data)
        if empty.any():
            warnings.warn(
                f"{empty.sum()} rows of X have no observed entry: they get the mean code of the training data",
                DataWarning,
                stacklevel=3,
            )
            codes = fill_rows(codes, empty, data.asarray(self.mean_code_))
        return finite(codes, "a code")

    def inverse_transform(self, X: MatrixLike) -> Array:
        """The reconstruction that codes ``X`` stand for."""
        check_is_fitted(self)
        codes = check_codes(X, self._n_features_out, tensors=self._tensors is not None)
        return finite(self._decode(codes), "the reconstruction")

    def complete(
        self,
        X: MatrixLike,
        *,
        mask: MatrixLike | None = None,
        weights: MatrixLike | None = None,
        censored: MatrixLike | None = None,
    ) -> Array:
        """``X`` with its holes filled by the reconstruction from its own codes; observed entries stay as they are.

        A censored entry becomes the possible value that is nearest to the reconstruction: below a limit of detection
        min(limit, reconstruction).
        """
        check_is_fitted(self)
        observed = self._read(X, mask, weights, censored=censored)
        return self._completed(observed, returned(self._encode_data(self._data(observed)), X))

    def reconstruct(self, rows: MatrixLike | None = None, columns: MatrixLike | None = None) -> Array:
        """The fitted matrix at some rows and columns (all unless given), built no larger than asked."""
        check_is_fitted(self)
        codes = self.training_codes()
        return finite(self._decode(codes if rows is None else codes[rows, :], columns), "the reconstruction")

    def score(
        self, X: MatrixLike, y: object = None, *, mask: MatrixLike | None = None, censored: MatrixLike | None = None
    ) -> float:
        """Minus the root mean square error over the observed entries of ``X``, coded by `transform`.

        Censored entries count for the codes only.
        """
        check_is_fitted(self)
        data = self.read_data(X, mask, censored=censored, reset=False)
        measured = data.measured
        if not measured.counts.any():
            raise ValueError("X has no observed entry: there is nothing to score")
        codes = self._encode_data(data)
        return -self._residual_norm(measured, codes) / float(np.sqrt(measured.counts.sum()))

    # --- parts ---------------------------------------------------------------------------------------------------

    def _check_course(self) -> None:
        """Refuse values of the parameters that say how a fit begins, is watched and ends."""
        check_seed(self.random_state)
        check_number("verbose", int(self.verbose) if isinstance(self.verbose, bool) else self.verbose, integer=True)
        if self.time_limit is not None:
            check_number("time_limit", self.time_limit, strict=True, finite=False)
        if self.callback is not None and not callable(self.callback):
            raise ValueError(f"callback={self.callback!r} must be callable or None")

    def known_rows(self, data: ObservedData) -> np.ndarray:
        """Which samples have a code of their own."""
        return np.asarray(data.counts) > 0

    def training_codes(self) -> Array:
        """Codes of the data of `fit`."""
        return self.factors_[0]

    def _decode(self, codes: Array, columns: MatrixLike | None = None) -> Array:
        """The reconstruction ``codes @ components_``, at some columns, in the precision of the codes."""
        components = self.components_ if columns is None else self.components_[:, columns]
        return codes @ as_like(components, codes, codes.dtype)

    def _predict(self, data: ObservedData, codes: Array) -> object:
        """The reconstruction as the data take it."""
        return self._decode(codes)

    def _clipped(self, values: Array, columns: MatrixLike | None = None) -> Array:
        """Predictions within the range that they are held in: any."""
        return values

    def _completed(self, observed: Observed, codes: Array) -> Array:
        """``X`` with its holes filled from the codes of its samples."""
        filled = observed.filled(
            lambda: self._decode(codes), lambda data: self._clipped(self._predict(data, codes), data.columns)
        )
        return finite(filled, "the completion")

    def _residual_norm(self, data: ObservedData, codes: Array) -> float:
        """Frobenius norm of the (weighted) residual over the observed entries; of a censored one beyond its bound."""
        predicted = [(d, self._predict(d, codes[rows, :])) for rows, d in data.blocks()]
        return total([d.nearest(P).squared_norms(P) for d, P in predicted]) ** 0.5

    def read_data(
        self,
        X: MatrixLike,
        mask: MatrixLike,
        weights: MatrixLike | None = None,
        *,
        censored: MatrixLike | None = None,
        reset: bool,
    ) -> ObservedData:
        """Checked data; `reset` says whether they are those of a fit, or must have its features."""
        return self._data(self._read(X, mask, weights, censored=censored, reset=reset), fitting=reset)

    def _read(
        self,
        X: MatrixLike,
        mask: MatrixLike,
        weights: MatrixLike | None = None,
        *,
        censored: MatrixLike | None = None,
        reset: bool = False,
    ) -> Observed:
        """What a user gives, read once; with `reset` its features and the scale of its weights become the model's."""
        if censored is not None and not self._takes_censored:
            raise TypeError(f"{type(self).__name__} takes no censored entries: use NMF, one of its presets, or AutoNMF")
        observed = read_observed(
            X,
            mask,
            weights,
            censored=censored,
            estimator=self,
            reset=reset,
            tensors=self._tensors,
            sparse_missing=self._sparse,
        )
        if reset and weights is not None:
            self.weight_scale_ = observed.mean_weight
        return observed

    def _data(self, observed: Observed, *, fitting: bool = False) -> ObservedData:
        """What the model computes with."""
        scale = getattr(self, "weight_scale_", 1.0)
        return observed.data(scale, nonnegative=self._positive_only, fitting=fitting)

    @property
    def _n_features_out(self) -> int:
        return self.training_codes().shape[1]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = self._positive_only
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class IterativeModel(CompletionModel):
    """A model that learns by iterations."""

    #: Whether a fit may begin with the factors of another one (``start``), whose product is the reconstruction.
    starts_from_factors: ClassVar[bool] = False

    def begin(
        self,
        X: MatrixLike,
        *,
        mask: MatrixLike | None = None,
        weights: MatrixLike | None = None,
        censored: MatrixLike | None = None,
        **start: Any,
    ) -> FitInProgress:
        """`fit` in progress, with the arguments of `fit`: to be stepped, looked at and finished.

        It is that of a copy; this model is left as it is.
        """
        fit = blank_copy(self)._begin(X, mask, weights, censored, **start)
        self._warn(fit.training.gaps(), stacklevel=3)
        return fit

    @abstractmethod
    def begin_on(self, data: ObservedData) -> FitInProgress:
        """A fit of this model itself, with valid parameters, to checked data."""

    @abstractmethod
    def store(self, training: Training, result: Result) -> None:
        """Set the fitted attributes."""

    def _begin(
        self,
        X: MatrixLike,
        mask: MatrixLike,
        weights: MatrixLike,
        censored: MatrixLike | None = None,
        **start: Any,
    ) -> FitInProgress:
        self.check_parameters()
        return self.begin_on(self.read_data(X, mask, weights, censored=censored, reset=True), **start)

    def _fit(
        self,
        X: MatrixLike,
        mask: MatrixLike,
        weights: MatrixLike,
        censored: MatrixLike | None = None,
        **start: Any,
    ) -> Self:
        """`fit` on a blank copy of the model: the only line of a `fit` under `at_once`.

        An interruption goes on once everything is stored; a fit that has not converged is warned of.
        """
        fit = self._begin(X, mask, weights, censored, **start)
        self._warn(fit.training.gaps(), stacklevel=5)
        fit.run().finish()
        if self.stop_reason_ == "interrupted":
            raise Interrupted
        self.warn_unless_converged(stacklevel=5)
        return self

    def warn_unless_converged(self, stacklevel: int = 2) -> None:
        """Say so if `max_iter` has ended the fit before `tol` did."""
        if self.stop_reason_ == "max_iter" and self.tol > 0:
            warnings.warn(
                f"The fit has not converged to tol={self.tol:g} within max_iter={self.max_iter} iterations: "
                "raise max_iter, or tol if the fit is good enough",
                ConvergenceWarning,
                stacklevel=stacklevel,
            )

    def _criteria(self) -> StoppingCriteria:
        """Those of a fit that begins now."""
        deadline = np.inf if self.time_limit is None else time.monotonic() + self.time_limit
        return StoppingCriteria(self.max_iter, self.tol, deadline, self._report)

    def _check_common_parameters(self) -> None:
        """Refuse values of the parameters that all models have, by name and value."""
        check_number("max_iter", self.max_iter, low=1, high=MOST_SWEEPS, integer=True)
        check_number("n_init", self.n_init, low=1, high=MOST_STARTS, integer=True)
        check_number("tol", self.tol)
        self._check_course()

    def _report(self, progress: Progress) -> bool:
        """Print, and ask the user's callback whether to stop."""
        if self.verbose and progress.n_iter % int(self.verbose) == 0:
            print(
                f"start {progress.start + 1}/{progress.n_init} {progress.phase} sweep {progress.n_iter}/"
                f"{progress.max_iter}: objective {progress.objective:.8g} ({progress.seconds:.1f} s)",
                flush=True,
            )
        return bool(self.callback and self.callback(progress))


class RecodingModel(IterativeModel):
    """A model whose fit need not end at the codes that `transform` finds: `fit_transform` gives the latter."""

    def fit_transform(self, X: MatrixLike, y: object = None, **fit_params: object) -> Array:
        """Learn the model, then `transform` the training data (see `fit` for the arguments)."""
        self.fit(X, y, **fit_params)
        return self._encode(X, fit_params.get("mask"), fit_params.get("weights"))
