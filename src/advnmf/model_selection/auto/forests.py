"""Holes filled by a forest for each column, which sees all other columns.

It begins where another imputer ended, so that a single round does, where missForest takes many.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.tree import ExtraTreeRegressor

Array = np.ndarray

# Least entries in a leaf; trees that are grown further fit noise.
_LEAST_IN_LEAF = 2


class ForestImputer(TransformerMixin, BaseEstimator):
    """Fill the holes of each column by extremely randomised trees on all other columns, filled by `first`.

    Parameters
    ----------
    first : imputer
        Fills the holes before; it is fitted too.
    n_trees : int, default=30
        Trees for each column.
    random_state : int, default=0
        Seed of the trees.

    Attributes
    ----------
    trees_ : list of list of ExtraTreeRegressor
        Those of each column.
    """

    def __init__(self, first: Any, n_trees: int = 30, random_state: int = 0) -> None:
        self.first = first
        self.n_trees = n_trees
        self.random_state = random_state

    def fit(self, X: Array, y: object = None) -> ForestImputer:
        """Learn `first` and the trees."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Array, y: object = None) -> Array:
        """Learn, and fill the holes of X."""
        before = self.first.fit_transform(X).astype(np.float32)
        seen = ~np.isnan(X)
        self.trees_ = [self._grown(_others(before[seen[:, j]], j), X[seen[:, j], j], j) for j in range(X.shape[1])]
        return self._filled(X, before)

    def transform(self, X: Array) -> Array:
        """Fill the holes of new rows."""
        return self._filled(X, self.first.transform(X).astype(np.float32))

    def _grown(self, others: Array, y: Array, column: int) -> list[ExtraTreeRegressor]:
        """The trees of a column.

        They are built one by one: a forest of scikit-learn spends most of its time on small tables with checks.
        """
        y = np.ascontiguousarray(y)[:, None]
        seeds = np.random.RandomState(self.random_state + column).randint(2**31 - 1, size=self.n_trees)
        trees = [ExtraTreeRegressor(min_samples_leaf=_LEAST_IN_LEAF, random_state=seed) for seed in seeds]
        return [tree.fit(others, y, check_input=False) for tree in trees]

    def _filled(self, X: Array, before: Array) -> Array:
        filled = np.array(X, np.float64)
        for j, trees in enumerate(self.trees_):
            rows = np.isnan(X[:, j])
            if rows.any():
                others = _others(before[rows], j)
                filled[rows, j] = np.mean([tree.predict(others, check_input=False) for tree in trees], axis=0)
        return filled


def _others(X: Array, column: int) -> Array:
    """All columns but one, contiguous."""
    return np.ascontiguousarray(np.delete(X, column, axis=1))
