"""What all completion models share: the scikit-learn interface around a fit, some codes and a decoder.

A model derives from `CompletionModel`, sets ``components_`` or has its own `_decode`, and provides

    _check_parameters()         refuse parameters that mean nothing
    _solve_codes(data)          codes of the samples of some data, each from its own row alone
    _training_codes()           codes of the data of `fit`
    _fitted_rules()             what the attributes are that `fit` sets, see `fitted`
    _check_fitted()             refuse those that do not fit together

and the parameters max_iter, tol, n_init, time_limit, verbose and callback.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import wraps

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ..arrays.namespaces import Array, as_like, namespace, returned
from ..data import ObservedData
from ..data.boundary import Observed, read_observed
from ..data.check import MOST_STARTS, MOST_SWEEPS, check_codes, check_number, check_seed
from ..engine.factors import fill_rows
from ..engine.loop import Limits, Progress, Result
from ..engine.problem import total

logger = logging.getLogger("advnmf")


class DataWarning(UserWarning):
    """The data leave something undetermined; the message says what was done about it."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a fit that has ended in order: what it has learnt is whole."""


def at_once(fit: Callable) -> Callable:
    """A `fit` that learns on a blank copy of the model, which takes over what was learnt in a single step.

    So a model is never half fitted, whatever interrupts it: it is what it was before, or wholly new.  Nothing of an
    earlier fit outlives a new one.
    """

    @wraps(fit)
    def fit_at_once(self: BaseEstimator, *args: object, **kwargs: object) -> BaseEstimator:
        blank = object.__new__(type(self))
        vars(blank).update({name: value for name, value in vars(self).items() if not name.endswith("_")})
        try:
            fit(blank, *args, **kwargs)
        except Interrupted:
            self.__dict__ = vars(blank)
            raise KeyboardInterrupt from None
        self.__dict__ = vars(blank)
        return self

    return fit_at_once


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

    # --- fitting -------------------------------------------------------------------------------------------------

    def fit_transform(self, X: object, y: object = None, **fit_params: object) -> Array:
        """Learn the model; the codes of the training data (see `fit` for the arguments)."""
        return self.fit(X, y, **fit_params)._training_codes()

    def fit_complete(self, X: object, y: object = None, **fit_params: object) -> Array:
        """Learn the model, then ``X`` with its holes filled by it; observed entries are kept as they are."""
        self.fit(X, y, **fit_params)
        return self._completed(self._read(X, fit_params.get("mask")), self._training_codes())

    def _best_of(
        self,
        run: Callable[[Limits], Result],
        n_init: int,
        key: Callable[[Result], float] = lambda result: result.objective,
    ) -> Result:
        """The result of smallest `key` among `n_init` runs, each from its own start."""
        deadline = np.inf if self.time_limit is None else time.monotonic() + self.time_limit
        best = None
        for start in range(n_init):
            limits = Limits(
                max_iter=self.max_iter,
                tol=self.tol,
                deadline=deadline,
                callback=self._report,
                start=start,
                n_init=n_init,
            )
            try:
                result = run(limits)
            except KeyboardInterrupt:  # outside the loop, which catches its own
                if best is None:
                    raise
                return replace(best, stop_reason="interrupted")
            if best is None or key(result) < key(best):
                best = result
            if result.stopped_early:
                # Why it ended is told even where an earlier start was better.
                return replace(best, stop_reason=result.stop_reason)
        return best

    def _warn(self, messages: list[str]) -> None:
        """Say what the data leave open; for a line of `fit`."""
        for message in messages:
            warnings.warn(message, DataWarning, stacklevel=4)

    def _end_fit(self, result: Result) -> None:
        """Let an interruption go on, and say so if the fit has not converged; for the last line of `fit`."""
        if result.stop_reason == "interrupted":
            raise Interrupted
        if result.stop_reason == "max_iter" and self.tol > 0:
            warnings.warn(
                f"The fit has not converged to tol={self.tol:g} within max_iter={self.max_iter} iterations: "
                "raise max_iter, or tol if the fit is good enough",
                ConvergenceWarning,
                stacklevel=4,
            )

    # --- using ---------------------------------------------------------------------------------------------------

    def transform(self, X: object, *, mask: object = None, weights: object = None) -> Array:
        """Codes of samples, each from its own observed entries, the model fixed.

        A sample with nothing observed gets the mean code of the training data.
        """
        return self._encode(X, mask, weights)

    def _encode(self, X: object, mask: object, weights: object = None) -> Array:
        """`transform` as an array, whatever container `set_output` asks for."""
        check_is_fitted(self)
        return returned(self._encode_data(self._data(self._read(X, mask, weights))), X)

    def _encode_data(self, data: ObservedData) -> Array:
        codes = self._solve_codes(data)
        empty = data.counts == 0
        if empty.any():
            warnings.warn(
                f"{empty.sum()} rows of X have no observed entry: they get the mean code of the training data",
                DataWarning,
                stacklevel=3,
            )
            codes = fill_rows(codes, empty, data.asarray(self.mean_code_))
        return finite(codes, "a code")

    def inverse_transform(self, X: object) -> Array:
        """The reconstruction that codes ``X`` stand for."""
        check_is_fitted(self)
        codes = check_codes(X, self._n_features_out, tensors=self._tensors is not None)
        return finite(self._decode(codes), "the reconstruction")

    def complete(self, X: object, *, mask: object = None, weights: object = None) -> Array:
        """``X`` with its holes filled by the reconstruction from its own codes; observed entries stay as they are."""
        check_is_fitted(self)
        observed = self._read(X, mask, weights)
        return self._completed(observed, returned(self._encode_data(self._data(observed)), X))

    def reconstruct(self, rows: object = None, columns: object = None) -> Array:
        """The fitted matrix at some rows and columns (all unless given), built no larger than asked."""
        check_is_fitted(self)
        codes = self._training_codes()
        return finite(self._decode(codes if rows is None else codes[rows, :], columns), "the reconstruction")

    def score(self, X: object, y: object = None, *, mask: object = None) -> float:
        """Minus the root mean square error over the observed entries of ``X``, coded by `transform`."""
        check_is_fitted(self)
        data = self._data(self._read(X, mask))
        if not data.counts.any():
            raise ValueError("X has no observed entry: there is nothing to score")
        codes = self._encode_data(data)
        return -self._residual_norm(data, codes) / float(np.sqrt(data.counts.sum()))

    # --- parts ---------------------------------------------------------------------------------------------------

    def _training_codes(self) -> Array:
        return self.factors_[0]

    def _decode(self, codes: Array, columns: object = None) -> Array:
        """The reconstruction ``codes @ components_``, at some columns, in the precision of the codes."""
        components = self.components_ if columns is None else self.components_[:, columns]
        return codes @ as_like(components, codes, codes.dtype)

    def _predict(self, data: ObservedData, codes: Array) -> object:
        """The reconstruction as the data take it."""
        return self._decode(codes)

    def _clipped(self, values: Array, columns: object = None) -> Array:
        """Predictions within the range that they are held in: any."""
        return values

    def _completed(self, observed: Observed, codes: Array) -> Array:
        """``X`` with its holes filled from the codes of its samples."""
        filled = observed.filled(
            lambda: self._decode(codes), lambda data: self._clipped(self._predict(data, codes), data.columns)
        )
        return finite(filled, "the completion")

    def _residual_norm(self, data: ObservedData, codes: Array) -> float:
        """Frobenius norm of the (weighted) residual over the observed entries."""
        squares = [d.squared_norms(self._predict(d, codes[rows, :])) for rows, d in data.blocks()]
        return total(squares) ** 0.5

    def _read(self, X: object, mask: object, weights: object = None, *, reset: bool = False) -> Observed:
        """What a user gives, read once; with `reset` its features and the scale of its weights become the model's."""
        observed = read_observed(
            X, mask, weights, estimator=self, reset=reset, tensors=self._tensors, sparse_missing=self._sparse
        )
        if reset and weights is not None:
            self.weight_scale_ = observed.mean_weight
        return observed

    def _data(self, observed: Observed, *, fitting: bool = False) -> ObservedData:
        """What the model computes with."""
        scale = getattr(self, "weight_scale_", 1.0)
        return observed.data(scale, nonnegative=self._positive_only, fitting=fitting)

    def _check_data(self, X: object, mask: object, weights: object = None) -> ObservedData:
        """The data of a fit."""
        return self._data(self._read(X, mask, weights, reset=True), fitting=True)

    def _check_common_parameters(self) -> None:
        """Refuse values of the parameters that all models have, by name and value."""
        check_number("max_iter", self.max_iter, low=1, high=MOST_SWEEPS, integer=True)
        check_number("n_init", self.n_init, low=1, high=MOST_STARTS, integer=True)
        check_seed(self.random_state)
        check_number("tol", self.tol)
        check_number("verbose", int(self.verbose) if isinstance(self.verbose, bool) else self.verbose, integer=True)
        if self.time_limit is not None:
            check_number("time_limit", self.time_limit, strict=True, finite=False)
        if self.callback is not None and not callable(self.callback):
            raise ValueError(f"callback={self.callback!r} must be callable or None")

    def _report(self, progress: Progress) -> bool:
        """Print, and ask the user's callback whether to stop."""
        if self.verbose and progress.n_iter % int(self.verbose) == 0:
            print(
                f"start {progress.start + 1}/{progress.n_init} {progress.phase} sweep {progress.n_iter}/"
                f"{progress.max_iter}: objective {progress.objective:.8g} ({progress.seconds:.1f} s)",
                flush=True,
            )
        return bool(self.callback and self.callback(progress))

    @property
    def _n_features_out(self) -> int:
        return self._training_codes().shape[1]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = self._positive_only
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class RecodingModel(CompletionModel):
    """A model whose fit need not end at the codes that `transform` finds: `fit_transform` gives the latter."""

    def fit_transform(self, X: object, y: object = None, **fit_params: object) -> Array:
        """Learn the model, then `transform` the training data (see `fit` for the arguments)."""
        self.fit(X, y, **fit_params)
        return self._encode(X, fit_params.get("mask"), fit_params.get("weights"))
