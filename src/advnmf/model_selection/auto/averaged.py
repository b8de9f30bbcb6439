"""The models that `AutoNMF` has chosen, and how they are used together.

Their predictions are averaged, in units of the columns if these were standardised, and clipped:

    clip( offset + factor h( shift + scale * mean over models of (A_k B_k) ) )      (see `column_scales`)
"""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ...arrays.typing import MatrixLike
from ...data import ObservedData
from ...data.observed import Observed
from ...engine.factors import fill_rows
from ...engine.offsets import with_ones
from ...engine.problem import total
from ...models.base import CompletionModel
from ...models.fitted import (
    Bounds,
    Each,
    Fitted,
    Flag,
    Floats,
    LayerSizes,
    Number,
    Perhaps,
    Record,
    Rule,
    Sizes,
    Whole,
    Word,
)
from ...models.nmf import NMF
from ...models.ranking import RankingMixin
from .column_scales import FACTOR, LOGGED, OFFSET, SCALE, SHIFT, UNIT, identity, standardised_data, uncurved
from .uncertainty import Spread, spread_terms

Array = np.ndarray


class HeldOutEntries(NamedTuple):
    """Held-out entries of ``X``, and what was predicted for each by models that have not seen it.

    Rows, columns, true values, predictions in the unit of ``X``, and the fold in which each was held out.  An entry
    may be held out in several folds.
    """

    rows: Array
    columns: Array
    truth: Array
    prediction: Array
    fold: Array


class AveragedModels(RankingMixin, CompletionModel):
    """What a fit of `AutoNMF` leaves behind: ``models_`` and how to put their predictions together.

    ``scaling_`` are the units of the columns, ``clip_`` the range of each, ``spread_`` how far off predictions may be.
    """

    _positive_only = False
    _takes_censored = True

    def complete(
        self,
        X: MatrixLike,
        *,
        mask: MatrixLike | None = None,
        weights: MatrixLike | None = None,
        censored: MatrixLike | None = None,
        return_std: bool = False,
    ) -> Array | tuple[Array, Array]:
        """``X`` with its holes filled by the reconstruction from its own codes; observed entries stay as they are.

        A censored entry becomes the possible value that is nearest to the reconstruction.

        With ``return_std=True`` also the standard deviation of each filled entry (0 for observed ones):
        ``prediction +- 1.645 std`` covers 90 % of the held-out entries of each kind of hole.  It is infinite in columns
        in which nothing was observed in `fit`, unless such columns could be held out (`features_order`).
        """
        check_is_fitted(self)
        observed = self._read(X, mask, weights, censored=censored)
        codes = self._encode_data(self._data(observed))
        filled = self._completed(observed, codes)
        return (filled, self._std(observed, codes)) if return_std else filled

    @property
    def held_out_(self) -> HeldOutEntries | None:
        """The held-out entries of `fit` with their predictions; None if none were held out, or after `load`."""
        return getattr(self, "_held_out_", None)

    @property
    def components_(self) -> Array:
        """Components of all models, each over their number."""
        components = np.vstack([model.components_ for model in self.models_]) / len(self.models_)
        return components if self.scaling_ is None else (components * self._lines[1]).astype(components.dtype)

    # --- parts ----------------------------------------------------------------------------------------------------

    def _std(self, observed: Observed, codes: Array) -> Array:
        if sparse.issparse(observed.X):
            raise ValueError("return_std=True needs a dense X: it fills an array of its shape")
        if self.spread_ is None:
            raise ValueError("return_std=True needs held-out entries, of which X had too few in fit")
        # In the units of the columns if these have some of their own.
        unit = 1 if self.scaling_ is None else self.scaling_[UNIT].astype(codes.dtype)
        lines = [A @ B for A, B in self._pairs(codes)]
        each = np.array([self._curved(line) / unit for line in lines])
        mean = self._clipped(np.mean(lines, axis=0)) / unit
        n_observed = np.count_nonzero(observed.observed, axis=1)[:, None]
        std = unit * Spread(*self.spread_).std(spread_terms(each, mean, self.column_levels_, n_observed))
        std = np.where(n_observed == 0, self.row_std_, std)
        std = np.where(self.column_counts_ == 0, unit * self.column_std_, std)
        return np.where(observed.exact, 0, std).astype(codes.dtype)

    def _parts(self, codes: Array) -> list[Array]:
        """The codes of each model."""
        edges = np.cumsum([len(model.mean_code_) for model in self.models_])[:-1]
        return np.split(codes, edges, axis=1)

    def training_codes(self) -> Array:
        """Codes of the data of `fit`, those of all models side by side."""
        return np.hstack([model.training_codes() for model in self.models_])

    def solve_codes(self, data: ObservedData) -> Array:
        """Codes of samples, those of all models side by side."""
        if self.scaling_ is not None:
            data = standardised_data(data, self.scaling_)
        models = [_suited(model, data.shape[0]) for model in self.models_]
        return np.hstack(
            [fill_rows(model.solve_codes(data), ~model.known_rows(data), model.mean_code_) for model in models]
        )

    def known_rows(self, data: ObservedData) -> Array:
        """Which samples a model determines."""
        return np.any([_suited(model, data.shape[0]).known_rows(data) for model in self.models_], axis=0)

    @property
    def mean_code_(self) -> Array:
        """The mean code of the training data."""
        return np.hstack([model.mean_code_ for model in self.models_])

    @property
    def seen_(self) -> tuple[Array, Array] | None:
        """The pattern of observed entries of a sparse ``X``."""
        return self.models_[0].seen_

    @property
    def column_counts_(self) -> Array:
        """Number of observed entries of each column."""
        return self.models_[0].column_counts_

    @property
    def reliability_(self) -> tuple[float, ...]:
        """The mean over the models of `NMF.reliability_`."""
        return tuple(np.mean([model.reliability_ for model in self.models_], axis=0).tolist())

    def _decode(self, codes: Array, columns: MatrixLike | None = None) -> Array:
        A, B = self.linear(codes, columns)
        return self._clipped(A @ B, columns)

    def _clipped(self, values: Array, columns: MatrixLike | None = None) -> Array:
        """Predictions of some columns, from what is linear in the codes, clipped to `clip_`."""
        values = self._curved(values, columns)
        if self.clip_ is None:
            return np.maximum(values, 0)
        clip = self.clip_.astype(values.dtype)
        if columns is None:
            return np.clip(values, *clip)
        clip = np.hstack([clip, [[clip[0].min()], [clip[1].max()]]])  # index -1: a column unknown to the model
        return np.clip(values, *clip[:, columns])

    def _curved(self, values: Array, columns: MatrixLike | None = None) -> Array:
        """Predictions from what is linear in the codes: the same, unless a column was fitted by its logarithm."""
        if self.scaling_ is None or not self.scaling_[LOGGED].any():
            return values
        columns = slice(None) if columns is None else columns
        straight = self.scaling_.copy()
        straight[:, self.scaling_[LOGGED] == 0] = identity(1)
        return uncurved(values, straight[:, columns]).astype(values.dtype)

    @property
    def _lines(self) -> tuple[Array, Array]:
        """Offset and factor of each column in what is linear in the codes."""
        scaling = self.scaling_
        offset, factor = scaling[OFFSET] + scaling[FACTOR] * scaling[SHIFT], scaling[FACTOR] * scaling[SCALE]
        logged = scaling[LOGGED] > 0
        return np.where(logged, scaling[SHIFT], offset), np.where(logged, scaling[SCALE], factor)

    def _residual_norm(self, data: ObservedData, codes: Array) -> float:
        curved = (
            d.squared_norms(self._curved(self._predict(d, codes[rows, :]), d.columns)) for rows, d in data.blocks()
        )
        return total(list(curved)) ** 0.5

    def _predict(self, data: ObservedData, codes: Array) -> object:
        A, B = self.linear(codes)
        return data.predict(A, B)

    def linear(self, codes: Array, columns: MatrixLike | None = None) -> tuple[Array, Array]:
        """(A, B) whose product is the reconstruction at some columns, before it is clipped."""
        pairs = self._pairs(codes, columns)
        share = codes.dtype.type(1 / len(pairs))
        return np.hstack([share * A for A, _ in pairs]), np.vstack([B for _, B in pairs])

    def _pairs(self, codes: Array, columns: MatrixLike | None = None) -> list[tuple[Array, Array]]:
        """(A, B) of each model."""
        parts = zip(self.models_, self._parts(codes), strict=True)
        pairs = [model.linear(np.ascontiguousarray(part), columns) for model, part in parts]
        if self.scaling_ is None:
            return pairs
        columns = slice(None) if columns is None else columns
        offset, factor = (line[columns].astype(codes.dtype) for line in self._lines)
        return [(with_ones(A), np.vstack([factor * B, offset])) for A, B in pairs]

    @property
    def _sparse(self) -> str:
        return self.sparse_missing

    def fitted_rules(self) -> dict[str, Rule]:
        """What the fitted attributes are."""
        error, seconds = Number(low=0.0, finite=False, nan=True), Number(low=0.0)
        return {
            "n_features_in_": Whole("features"),
            "models_": Each(Fitted(NMF, "features")),
            "n_components_": _LayerSizesOrNone(),
            "clip_": Perhaps(Bounds("features")),
            "scaling_": Perhaps(Floats(7, "features", alone=True)),
            "best_score_": Number(finite=False, nan=True),
            "spread_": Perhaps(Record(*[Number(low=0.0)] * 4)),
            "column_levels_": Perhaps(Floats("features", low=0.0, alone=True)),
            "row_std_": Perhaps(Floats("features", low=0.0, alone=True)),
            "column_std_": Number(low=0.0, finite=False),
            "stop_reason_": Word(),
            "candidates_": Each(Record(Word(), error, Whole(), seconds, Flag())),
            "explanation_": Word(),
        }

    def check_fitted(self) -> None:
        """Refuse fitted attributes that do not fit together."""
        if len({len(model.factors_[0]) for model in self.models_}) > 1:
            raise ValueError("models_ are fitted to different numbers of samples")
        if self.n_components_ not in (0, self.models_[0].n_components_):
            raise ValueError(f"n_components_ is not {self.models_[0].n_components_}, that of the first of models_")
        if self.scaling_ is not None and not (self.scaling_[[SCALE, UNIT]] > 0).all():
            raise ValueError("scaling_ holds a scale that is not positive")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _suited(model: NMF, n_rows: int) -> NMF:
    """The model; without smoothness of the codes if that is over a grid or positions of another number of rows."""
    if model.penalty_W is None or model.penalty_W.n_rows in (None, n_rows):
        return model
    plain = copy(model)
    plain.penalty_W = None
    return plain


class _LayerSizesOrNone(LayerSizes):
    """The sizes of layers; 0 for the column means, which have none."""

    def check(self, value: object, sizes: Sizes) -> None:
        """0, or positive integers."""
        if value != 0:
            super().check(value, sizes)
