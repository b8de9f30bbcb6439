"""Cells that give a bound for a number: "<0.05" below a limit of detection, ">200" where a detector was saturated."""

from __future__ import annotations

import re
from typing import NamedTuple

from ...data.censored import ABOVE, BELOW
from .numbers import Signs, text_of

__all__ = ["Bound", "bare_number", "bound_of"]

_SIGNS = {"<": BELOW, "≤": BELOW, ">": ABOVE, "≥": ABOVE}
# What laboratories put before or behind the sign: not detected, limits of detection, quantification and reporting.
_WORDS = r"(?:n\.?d\.?|bdl|bql|dl|ql|lod|loq|mdl|mrl|rl|pql|lq|ld)?"
_BOUND = re.compile(rf"{_WORDS}\s*([<>≤≥])=?\s*{_WORDS}\s*(\(?)\s*([-+]?[\d.,][^()]*?)\s*(\)?)", re.IGNORECASE)
# The first characters by which it is seen at once that a cell is something else.
_MARKS = frozenset(_SIGNS)


class Bound(NamedTuple):
    """The truth is at most (side -1) or at least (side 1) the value."""

    value: float
    side: int


def bound_of(raw: str, signs: Signs) -> Bound | None:
    """The bound that a raw cell gives; None where it is anything else."""
    found = _parts(raw)
    if found is None:
        return None
    sign, number = found
    value = signs.value(number)
    return None if value is None else Bound(value, _SIGNS[sign])


def bare_number(text: str) -> str:
    """The number of a text that gives a bound, as it is written; any other text as it is."""
    found = _parts(text)
    return text if found is None else found[1]


def _parts(raw: str) -> tuple[str, str] | None:
    """The sign and the number of a text that looks like a bound."""
    if _MARKS.isdisjoint(raw):
        return None
    found = _BOUND.fullmatch(text_of(raw))
    if found is None or bool(found[2]) != bool(found[4]):
        return None
    return found[1], found[3].strip()
