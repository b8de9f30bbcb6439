"""Rows and columns in which nothing is observed: left out of the search, and put back into what was learnt.

They teach nothing, so nothing of the search may depend on them: not the rank, not the draws of a start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...data.boundary import Observed
from ...engine.factors import fill_empty
from ...models.nmf import NMF

Array = np.ndarray


@dataclass(frozen=True)
class Seen:
    """Flags of the rows and columns with an observed entry."""

    rows: Array
    columns: Array

    @classmethod
    def of(cls, entries: Observed) -> Seen:
        """Those of some entries."""
        return cls(*(np.bincount(at, minlength=n) > 0 for at, n in zip(entries.pairs(), entries.shape, strict=True)))

    @property
    def all(self) -> bool:
        """Whether nothing is empty."""
        return bool(self.rows.all() and self.columns.all())

    def columns_back(self, numbers: Array) -> Array:
        """Numbers of each column, of shape (k, n); an empty one gets their means."""
        full = np.repeat(numbers.mean(axis=1, keepdims=True), len(self.columns), axis=1)
        full[:, self.columns] = numbers
        return full

    def put_back(self, model: NMF, pattern: tuple[Array, Array] | None) -> None:
        """Empty samples and features in a model of the others: the mean code, the mean component column.

        `pattern` is what was observed of a sparse X.
        """
        model.seen_ = pattern
        if self.all:
            return
        rows, columns = _places(self.rows), _places(self.columns)
        codes, *inner, last = model.factors_
        factors = [codes[rows], *inner, np.ascontiguousarray(last[:, columns])]
        model.factors_ = fill_empty(factors, self.rows, self.columns)
        last = fill_empty([factors[0], model.components_[:, columns]], self.rows, self.columns)[-1]
        model.components_ = np.ascontiguousarray(last)
        if model.biases:
            model.row_bias_ = _with_mean(model.row_bias_, self.rows)
            model.column_bias_ = _with_mean(model.column_bias_, self.columns)
        counts = np.zeros(len(self.columns), model.column_counts_.dtype)
        counts[self.columns] = model.column_counts_
        model.column_counts_ = counts
        model.n_features_in_ = len(self.columns)


def _places(seen: Array) -> Array:
    """Where each line is among those that are seen; an empty one anywhere."""
    return np.maximum(np.cumsum(seen) - 1, 0)


def _with_mean(offsets: Array, seen: Array) -> Array:
    """Offsets of all lines; those of empty ones are the mean."""
    full = np.full(len(seen), offsets.mean(), offsets.dtype)
    full[seen] = offsets
    return full
