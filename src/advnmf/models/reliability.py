"""How far the predictions of a column can be trusted, by how many of its entries were observed.

    k = d sigma^2 / tau^2 + d - 1,    w = n / (n + k),    m = u + w (p - u),    s = tau sqrt(1 - w)

p is a prediction in a column of which n entries were observed, u the level of its row (the mean of the row's
predictions, each column counted n times).  The fit gives the column d numbers, so it knows p - u up to a variance of
d sigma^2 / n, and a single entry, however exact, fixes one number of d.  Predictions spread around the level of their
row by tau^2.  Under normal laws the truth then has mean m and standard deviation s.  All of it is measured in `fit`, on
the observed entries (weighted by their weights):

    sigma^2    squared residuals, summed, over the number of entries less that of the fit's numbers (d for each row and
               column); at most the variance of the values
    tau^2      variance of the fitted values around the means of their rows
    d          trace of (G + L)^-1 G: G the mean of c c' over the entries, c what the column's numbers multiply, L their
               ridge for one entry; at least 1
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays.namespaces import Array, namespace, to_numpy
from ..data import ObservedData
from ..engine.factors import Factors, product
from ..engine.problem import Problem, total
from ..kernels.coordinates import FIXED

# A prediction beyond the range of the observed values counts as beyond it by less than this many sigma.
_BEYOND = 0.02
# tau is at least this share of sigma: where predictions do not differ at all, nothing tells columns apart.
_LEAST_SPREAD = 1e-6
_LARGEST = float(np.finfo(np.float64).max) ** 0.5


class Reliability(NamedTuple):
    """k, tau, sigma, and the smallest, mean and largest observed value."""

    prior_count: float
    spread: float
    noise: float
    lowest: float
    mean: float
    highest: float

    def shrunken(self, P: Array, counts: Array) -> tuple[Array, Array]:
        """(m, s) of predictions of whole rows: shapes (n_rows, n_columns) and (n_columns,).

        Predictions beyond the range of the observed values are drawn to its ends, in their order.
        """
        P = self._within_range(P)
        level = (P @ (counts / max(counts.sum(), 1)))[:, None]
        trust = np.divide(counts, counts + self.prior_count, out=np.zeros(len(counts)), where=counts > 0)
        return level + trust * (P - level), self.spread * np.sqrt(1 - trust)

    def check(self) -> None:
        """ValueError for numbers that no fit leaves behind."""
        if not max(map(abs, self)) < _LARGEST:
            raise ValueError(f"reliability_ holds {max(self, key=abs):g}, which is too large to be squared")
        if not min(self.prior_count, self.spread, self.noise) >= 0:
            raise ValueError("reliability_ holds a negative count or deviation")
        if not self.lowest <= self.mean <= self.highest:
            raise ValueError(f"reliability_ has a mean of {self.mean:g} outside {self.lowest:g} .. {self.highest:g}")

    def _within_range(self, P: Array) -> Array:
        inside = np.clip(P, self.lowest, self.highest)
        beyond, most = P - inside, _BEYOND * self.noise
        return inside + most * beyond / (np.abs(beyond) + most) if most > 0 else P


def reliability(problem: Problem, factors: Factors) -> Reliability:
    """That of a fit, measured on the observed entries of its data that are not censored."""
    data = problem.data.measured
    codes, rest = factors[0], product(factors[1:])
    n_entries = float(data.counts.sum())
    parts = [_sums(block, block.predict(codes[rows, :], rest)) for rows, block in data.blocks()]
    squares, fitted, weight = (total(part) for part in zip(*parts, strict=True))
    numbers = _numbers_of_a_column(problem, data, factors, weight / n_entries)
    free = n_entries - numbers * (np.count_nonzero(data.counts) + np.count_nonzero(data.column_counts))
    variance = _variance(data) / weight
    noise = np.sqrt(min(squares / weight * n_entries / free, variance) if free > 0 else variance)
    spread = float(max(np.sqrt(max(fitted, 0.0) / weight), _LEAST_SPREAD * noise))
    prior_count = float(numbers * (noise / spread) ** 2 if noise > 0 else 0.0) + numbers - 1
    low, high = data.value_range()
    return Reliability(prior_count, spread, float(noise), low, min(max(data.mean, low), high), high)


def _sums(data: ObservedData, P: object) -> tuple[Array, Array, Array]:
    """Of each row: squared residuals, squares of the prediction around its mean, and weights."""
    ones = [data.constant(shape, 1, data.dtype) for shape in ((data.shape[0], 1), (1, data.shape[1]))]
    weights = data.energies(data.predict(*ones))
    sums = data.times(P, ones[1].T)[:, 0]
    # Rows without entries have sums of zero.
    divisors = namespace(weights).where(weights > 0, weights, namespace(weights).ones_like(weights))
    return data.squared_norms(P), data.energies(P) - sums**2 / divisors, weights


def _variance(data: ObservedData) -> float:
    """Squares of the observed values around their mean, summed."""
    n, m = data.shape
    level = data.constant((n, 1), data.mean, data.dtype), data.constant((1, m), 1, data.dtype)
    return total([block.squared_norms(block.predict(level[0][rows, :], level[1])) for rows, block in data.blocks()])


def _numbers_of_a_column(problem: Problem, data: ObservedData, factors: Factors, mean_weight: float) -> float:
    """d: how many numbers of a column the data decide, not its ridge."""
    *others, last = factors
    last = to_numpy(last)
    coordinates = problem.penalties[-1].coordinates(np.ascontiguousarray(last.T))
    free = coordinates.kinds != FIXED
    A = np.asarray(to_numpy(product(others)), np.float64)[:, free]
    gram = (A * data.counts[:, None]).T @ A / data.counts.sum()
    ridge = np.broadcast_to(coordinates.l2, (len(coordinates.l2), len(free)))[:, free].mean(axis=0) / (
        data.column_counts.mean() * mean_weight
    )
    # A component that has vanished decides nothing, and would make the matrix singular.
    kept = np.diag(gram) > 0
    gram = gram[np.ix_(kept, kept)]
    numbers = np.trace(np.linalg.lstsq(gram + np.diag(ridge[kept]), gram, rcond=None)[0])
    return max(float(numbers), 1.0)
