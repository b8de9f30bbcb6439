"""Differences between neighbours: sparse matrices C of which |C F|^2 is how rough the columns of F are.

first order:    (C F) = F_j - F_i,                      for neighbours i, j;   a constant costs nothing
second order:   (C F) = F_i - 2 F_j + F_k and so on,    as of a bent plate;    nor does a line or a plane
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy import sparse

Array = np.ndarray

# Beside second differences, this share of first ones: far from all that was observed an extension levels off, where a
# line would go on for ever.
_TENSION = 1e-3
# Two positions are at least this share of the median gap apart.
_CLOSEST = 1e-2


def of_grid(shape: tuple[int, ...], order: int) -> sparse.csr_array:
    """Between points next to each other along each axis; second order: f_xx, f_yy and sqrt(2) f_xy."""
    points = np.arange(np.prod(shape)).reshape(shape)
    axes = range(points.ndim)
    first = [_stencil([(_part(points, {a: 0}, 1), -1), (_part(points, {a: 1}, 1), 1)], points.size) for a in axes]
    if order == 1:
        return _stacked(first)
    bent = [
        _stencil([(_part(points, {a: k}, 2), weight) for k, weight in enumerate((1, -2, 1))], points.size) for a in axes
    ]
    twisted = [
        _stencil(
            [
                (_part(points, {a: i, b: j}, 1), np.sqrt(2) * (-1) ** (i + j))
                for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))
            ],
            points.size,
        )
        for a, b in combinations(axes, 2)
    ]
    return _stacked([*bent, *twisted, *(np.sqrt(_TENSION) * each for each in first)])


def of_positions(positions: Sequence[float], order: int) -> sparse.csr_array:
    """Between neighbours along a line, in units of the median gap h: (F_j - F_i) / sqrt(h_ij), or of slopes."""
    at = np.asarray(positions, np.float64)
    rows, n = np.argsort(at, kind="stable"), len(at)
    gaps = np.diff(at[rows])
    typical = np.median(gaps[gaps > 0]) if (gaps > 0).any() else 1.0
    gaps = np.maximum(gaps / typical, _CLOSEST)
    first = _stencil([(rows[:-1], -1 / np.sqrt(gaps)), (rows[1:], 1 / np.sqrt(gaps))], n)
    if order == 1:
        return first
    before, after = gaps[:-1], gaps[1:]
    size = 1 / np.sqrt((before + after) / 2)
    ends = [(rows[:-2], size / before), (rows[1:-1], -size * (1 / before + 1 / after)), (rows[2:], size / after)]
    return _stacked([_stencil(ends, n), np.sqrt(_TENSION) * first])


def of_graph(weights: sparse.csr_array, order: int) -> sparse.csr_array:
    """sqrt(w_ij) (F_j - F_i), or what a row differs from the weighted sum of its neighbours by."""
    upper = sparse.triu(weights, k=1, format="coo")
    first = _stencil(
        [(upper.coords[0], -np.sqrt(upper.data)), (upper.coords[1], np.sqrt(upper.data))], weights.shape[0]
    )
    if order == 1:
        return first
    return _stacked([sparse.csr_array(first.T @ first), np.sqrt(_TENSION) * first])


def _part(points: Array, begins: dict[int, int], less: int) -> Array:
    """The points from `begins` along some axes, as many as there are but for `less`."""
    cut = [
        slice(begins[a], points.shape[a] - less + begins[a]) if a in begins else slice(None) for a in range(points.ndim)
    ]
    return points[tuple(cut)].ravel()


def _stencil(ends: Sequence[tuple[Array, Array | float]], n: int) -> sparse.csr_array:
    """Rows with these weights at these columns."""
    m = len(ends[0][0])
    rows = np.tile(np.arange(m), len(ends))
    columns = np.concatenate([at for at, _ in ends])
    weights = np.concatenate([np.broadcast_to(np.asarray(weight, np.float64), m) for _, weight in ends])
    return sparse.csr_array((weights, (rows, columns)), shape=(m, n))


def _stacked(parts: Sequence[sparse.sparray]) -> sparse.csr_array:
    return sparse.csr_array(sparse.vstack(parts))
