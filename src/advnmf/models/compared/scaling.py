"""The unit in which a compared system sees its data, so that its constants mean the same in any unit of ``X``.

A model divides ``X`` by a number `unit`, learns, and multiplies what it gives by `unit` again.  Its components carry
the unit of ``X``; its codes have none.
"""

from __future__ import annotations

from dataclasses import replace
from numbers import Real

import numpy as np

from ...arrays.namespaces import namespace, wide
from ...data import DenseData
from ...data.check import check_number

# How many times the largest observed size a reconstruction may reach.
REACH = 2.0
# What helps where a fit has come to numbers that are not finite.
WILD = "look for entries of X that are far larger than the others, and lower n_components"
# The largest and the smallest unit that may be asked for: squares of it are finite.
_LARGEST = 1e150


def check_unit(unit: object, name: str) -> None:
    """Refuse `unit` unless it is `name`, the scale that is measured, or a positive number."""
    if isinstance(unit, Real) and not isinstance(unit, bool):
        check_number("unit", unit, low=1 / _LARGEST, high=_LARGEST)
    elif not isinstance(unit, str) or unit != name:
        raise ValueError(f"unit={unit!r} must be {name!r} or a positive number (1.0 takes X as it comes)")


def unit_of(data: DenseData, unit: str | float) -> float:
    """The number that stands for one unit: given, or measured over the observed entries.

    "rms": root of the weighted mean square.  "median": median of the sizes |x| of entries that are not zero, which a
    few gross errors do not change.  1 where all is zero.
    """
    if not isinstance(unit, str):
        return float(unit)
    return (_rms(data) if unit == "rms" else _median_size(data)) or 1.0


def _rms(data: DenseData) -> float:
    xp = namespace(data.values)
    zeros, ones = xp.zeros_like(data.values), xp.ones_like(data.values)
    squares = xp.sum(data.squared_norms(zeros))
    return float(xp.sqrt(squares / xp.sum(data.weighted(ones), dtype=wide(ones))))


def _median_size(data: DenseData) -> float:
    sizes = np.abs(data.observed_entries(data.values))
    sizes = sizes[sizes > 0]
    return float(np.median(sizes)) if sizes.size else 0.0


def in_units(data: DenseData, unit: float) -> DenseData:
    """The data with values in multiples of `unit`."""
    return data if unit == 1 else replace(data, values=data.values / unit)
