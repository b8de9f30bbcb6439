"""The unit in which a compared system sees its data, so that its constants mean the same in any unit of ``X``.

A model divides ``X`` by a number `unit`, learns, and multiplies what it gives by `unit` again.  Its components carry
the unit of ``X``; its codes have none.
"""

from __future__ import annotations

from dataclasses import replace
from numbers import Real

import numpy as np

from .data import DenseData
from .namespaces import Array, namespace, wide
from .validation import check_number

# How many times the largest observed size a reconstruction may reach.
REACH = 2.0
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


def mean_weight(data: DenseData) -> float:
    """The mean weight of the observed entries; 1 for a mask."""
    omega = data.omega
    if _is_mask(omega):
        return 1.0
    xp = namespace(omega)
    top = xp.max(omega)
    # Sums of the weights as they are might overflow.
    share = float(xp.sum(omega / top, dtype=wide(omega))) / max(1, int(data.counts.sum()))
    return float(top) * share or 1.0


def in_units(data: DenseData, unit: float, weight: float = 1.0) -> DenseData:
    """The data with values in multiples of `unit` and weights, if there are any, in multiples of `weight`."""
    if unit != 1:
        data = replace(data, values=data.values / unit)
    return data if weight == 1 or _is_mask(data.omega) else replace(data, omega=data.omega / weight)


def _is_mask(omega: Array | None) -> bool:
    """Whether nothing is weighted; a tensor's mask is told from weights by its values."""
    if omega is None or isinstance(omega, np.ndarray):
        return omega is None or omega.dtype == np.uint8
    return bool(namespace(omega).all((omega == 0) | (omega == 1)))


def check_finite(model: object, *arrays: object) -> None:
    """Refuse numbers that are not finite: what a fit, or coding new rows, must never hand on."""
    if not all(bool(namespace(a).all(namespace(a).isfinite(a))) for a in arrays):
        raise ValueError(
            f"{type(model).__name__} has come to numbers that are not finite: "
            "look for entries of X that are far larger than the others, and lower n_components"
        )
