"""Weights of a blend of predictions, by nonnegative least squares on held-out entries.

    minimise over w    sum over entries e of  c_e (t_e - sum_k w_k p_ke)^2,        w >= 0,  sum_k w_k <= 1

Truth t and predictions p are in standard deviations of a column, measured from its mean: what the weights lack of 1 is
that of the column mean.  c_e is the weight of an entry over that of all entries of its column, so that each column
counts alike.

A column has weights of its own where it has many held-out entries: those of its entries and of `prior` more, which
look like the average entry of all columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

Array = np.ndarray

#: Numbers of entries of all columns that are added to those of a column; infinity: the same weights for all.
PRIORS = (np.inf, 100.0, 25.0)
# Groups of rows, each predicted with the weights that the others give.
_GROUPS = 5
# A ridge in units of the mean square of the predictions: members that are alike share their weight.
_RIDGE = 1e-3
# How strictly the sum of the weights is kept at 1, once it would be larger.
_STRICT = 1e4
# More weights per column pay if they lower the cross-fitted error by this share.
_GAIN = 0.995


@dataclass(frozen=True)
class Moments:
    """Weighted sums over the held-out entries of each column: p p', p t, and 1."""

    squares: Array  # (..., n_columns, n_members, n_members)
    products: Array  # (..., n_columns, n_members)
    counts: Array  # (..., n_columns)

    @classmethod
    def of(cls, predictions: Array, truth: Array, weights: Array, places: Array, shape: tuple[int, ...]) -> Moments:
        """From predictions of shape (members, entries); `places` are flat indices into `shape`."""
        size, k = int(np.prod(shape)), len(predictions)

        def sums(values: Array) -> Array:
            return np.bincount(places, weights * values, size).reshape(shape)

        squares = np.empty((*shape, k, k))
        for a in range(k):
            for b in range(a + 1):
                squares[..., a, b] = squares[..., b, a] = sums(predictions[a] * predictions[b])
        products = np.empty((*shape, k))
        for a in range(k):
            products[..., a] = sums(predictions[a] * truth)
        return cls(squares, products, sums(np.ones(len(truth))))

    def without(self, group: int) -> Moments:
        """The sums over all groups but one."""
        return Moments(*(each.sum(axis=0) - each[group] for each in (self.squares, self.products, self.counts)))

    def weights(self, prior: float) -> Array:
        """The weights of each column, of shape (n_columns, n_members)."""
        there = self.counts > 0
        share = 1 / self.counts[there]
        square = np.einsum("j,jab->ab", share, self.squares[there]) / there.sum()
        product = share @ self.products[there] / there.sum()
        overall = _nonnegative(square, product)
        if np.isinf(prior):
            return np.tile(overall, (len(self.counts), 1))
        columns = zip(self.squares + prior * square, self.products + prior * product, there, strict=True)
        return np.array([_nonnegative(*each) if seen else overall for *each, seen in columns])


@dataclass(frozen=True)
class Blend:
    """Weights of shape (n_columns, n_members), and predictions by weights that did not see the entry."""

    weights: Array
    prior: float
    cross_fitted: Array


def blend(
    predictions: Array,
    truth: Array,
    rows: Array,
    columns: Array,
    weights: Array,
    n_columns: int,
    priors: Sequence[float] = PRIORS,
) -> Blend:
    """The blend whose cross-fitted error is least; further weights of columns have to lower it clearly.

    Parameters
    ----------
    predictions : ndarray of shape (n_members, n_entries)
    truth : ndarray of shape (n_entries,)
    rows, columns, weights : ndarray of shape (n_entries,)
    n_columns : int
    priors : sequence of float
        What is tried, the simplest first.
    """
    groups = rows % _GROUPS if len(np.unique(rows)) >= _GROUPS else np.arange(len(rows)) % _GROUPS
    moments = Moments.of(predictions, truth, weights, groups * n_columns + columns, (_GROUPS, n_columns))
    best, least = None, np.inf
    for prior in priors:
        fitted = _cross_fitted(moments, prior, predictions, groups, columns)
        loss = column_error(truth - fitted, columns, weights)
        if loss < _GAIN * least:
            best, least = (prior, fitted), loss
    total = Moments(*(each.sum(axis=0) for each in (moments.squares, moments.products, moments.counts)))
    return Blend(total.weights(best[0]), *best)


def column_error(residuals: Array, columns: Array, weights: Array) -> float:
    """Mean over columns of the root of the weighted mean of squared residuals."""
    return float(np.nanmean(column_errors(residuals, columns, weights, columns.max(initial=-1) + 1)))


def column_errors(residuals: Array, columns: Array, weights: Array, n_columns: int) -> Array:
    """Root of the weighted mean of squared residuals in each column; NaN where there are none."""
    squares, sums = (np.bincount(columns, weights * each, n_columns) for each in (residuals**2, np.ones(len(columns))))
    return np.sqrt(np.divide(squares, sums, out=np.full(n_columns, np.nan), where=sums > 0))


def _cross_fitted(moments: Moments, prior: float, predictions: Array, groups: Array, columns: Array) -> Array:
    """At each entry, the blend by weights of the other groups."""
    weights = np.array([moments.without(group).weights(prior) for group in range(_GROUPS)])
    return np.einsum("ek,ke->e", weights[groups, columns], predictions)


def _nonnegative(square: Array, product: Array) -> Array:
    """The w >= 0 with sum at most 1 that minimises w' square w - 2 w' product."""
    k = len(product)
    if k == 0:
        return product
    scale = max(float(np.trace(square)) / k, np.finfo(float).tiny)
    root = np.linalg.cholesky(square / scale + _RIDGE * np.eye(k)).T
    target = solve_triangular(root, product / scale, trans=1)
    weights, _ = nnls(root, target)
    if weights.sum() <= 1:
        return weights
    weights, _ = nnls(np.vstack([root, np.full(k, _STRICT)]), np.append(target, _STRICT))
    return weights / weights.sum()
