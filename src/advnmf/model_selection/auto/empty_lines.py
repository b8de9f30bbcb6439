"""Rows and columns without observed entries: left out of the search, and put back into the fitted model.

The search must not depend on them, neither the ranks that are tried nor the random starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...data.observed import Observed
from ...engine.factors import fill_empty
from ...models.nmf import NMF

Array = np.ndarray


@dataclass(frozen=True)
class ObservedLines:
    """Flags of the rows and columns with an observed entry."""

    rows: Array
    columns: Array

    @classmethod
    def of(cls, entries: Observed) -> ObservedLines:
        """The flags for these entries."""
        return cls(*(np.bincount(at, minlength=n) > 0 for at, n in zip(entries.pairs(), entries.shape, strict=True)))

    @property
    def all(self) -> bool:
        """Whether no row and no column is empty."""
        return bool(self.rows.all() and self.columns.all())

    def columns_back(self, numbers: Array) -> Array:
        """Values of shape (k, n) for all columns from those of the observed ones; empty columns get the mean."""
        full = np.repeat(numbers.mean(axis=1, keepdims=True), len(self.columns), axis=1)
        full[:, self.columns] = numbers
        return full

    def put_back(self, model: NMF, pattern: tuple[Array, Array] | None) -> None:
        """Add empty rows and columns to a model of the others, with the mean code and the mean component column.

        `pattern` holds the observed entries of a sparse X.
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
    """The index of each line among the observed ones; arbitrary for an empty one."""
    return np.maximum(np.cumsum(seen) - 1, 0)


def _with_mean(offsets: Array, seen: Array) -> Array:
    """Offsets of all lines; empty lines get the mean."""
    full = np.full(len(seen), offsets.mean(), offsets.dtype)
    full[seen] = offsets
    return full
