"""Offsets of rows and columns beside a nonnegative factorisation, as two more coordinates of its factors.

    X_ij ~ a_i . b_j + r_i + c_j + m      <=>      (a_i, r_i, 1) . (b_j, 1, c_j + m)

Offsets have any sign; the ones are held.  Solvers and data see a product of two factors, as ever.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays.namespaces import Array, concat, namespace
from ..data import ObservedData
from ..penalties import Penalty, WithOffset
from .factors import Factors

# The share of the data's mean that a random nonnegative part starts with: the offsets of columns carry the rest.
START_SHARE = 0.25


class Offsets(NamedTuple):
    """r, c and m, where the c of the training data have mean 0 (weighted by the number of observed entries)."""

    rows: Array
    columns: Array
    level: float


def beside(codes: Array, offsets: Array) -> Array:
    """(a_i, r_i)."""
    return concat([codes.T, offsets[None, :]]).T


def with_ones(codes: Array) -> Array:
    """(a_i, r_i) -> (a_i, r_i, 1)."""
    return beside(codes, namespace(codes).ones_like(codes[:, 0]))


def with_offsets(components: Array, offsets: Array) -> Array:
    """The columns (b_j, 1, c_j + m)."""
    return concat([components, namespace(offsets).ones_like(offsets)[None, :], offsets[None, :]])


def start(factors: Factors, data: ObservedData) -> Factors:
    """Factors with offsets to start from: none of the rows, one common to all columns that brings the mean to X's."""
    codes, components = factors
    mean = float(codes.mean(axis=0, dtype=np.float64) @ components.mean(axis=1, dtype=np.float64))
    level = np.full(components.shape[1], data.mean - mean, components.dtype)
    codes = with_ones(beside(codes, np.zeros_like(codes[:, 0])))
    return [np.ascontiguousarray(codes), with_offsets(components, level)]


def parts(factors: Factors, column_counts: Array) -> tuple[Factors, Offsets]:
    """The nonnegative factors and the offsets."""
    codes, components = factors
    offsets = components[-1].astype(np.float64)
    level = float(np.average(offsets, weights=column_counts))
    found = Offsets(codes[:, -2].copy(), (offsets - level).astype(codes.dtype), level)
    return [np.ascontiguousarray(codes[:, :-2]), np.ascontiguousarray(components[:-2])], found


def penalties(
    codes: Penalty, components: Penalty, rank: int, spread: float, column_weights: Array | None
) -> tuple[WithOffset, ...]:
    """Offsets of rows are drawn to 0, those of columns to their own mean, weighted so."""
    return (
        WithOffset(codes, codes.of_offsets(spread), offset=rank, held=rank + 1),
        WithOffset(
            components, components.of_offsets(spread), offset=rank + 1, held=rank, centred=True, scale=column_weights
        ),
    )
