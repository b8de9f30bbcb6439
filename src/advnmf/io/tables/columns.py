"""What the columns of a text table are: numbers to be completed, or text, dates and identifiers to be left alone.

A column without numbers cannot be completed; what a column of numbers is, `advnmf.data.columns` tells. Who reads the
table is told what was left alone, and can overrule it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...data.columns import Kind, called_identifier, is_counter, kind_of_numbers
from ..files import printable
from .numbers import Parser, is_marker, unquote

_DATE = re.compile(
    "|".join(
        (
            r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ].*)?",  # 2020-01-31, with or without a time
            r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?: .*)?",  # 31.01.2020
            r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[ap]\.?m\.?)?",  # 12:30:05, 12:30 pm
            r"\d{4}[-/]\d{1,2}",  # 2020-01
            r"\d{4}-?[QW]\d{1,2}",  # 2020Q1
            r"(?:\d{1,2}[- ])?[a-z]{3,9}[- .,]+(?:\d{1,2},? )?\d{4}",  # January 31, 2020
            r"\d{1,2}[- ][a-z]{3,9}[- ]\d{2,4}(?: .*)?",  # 31-Jan-20
            r"\d{8}T\d{4,6}Z?",  # 20200131T1230
        )
    ),
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Column:
    """A column of a text table."""

    at: int  # its place in the file, from 0
    name: str  # in the header; nothing without one
    kind: Kind
    values: Sequence[float | None] = ()  # NaN where missing, None where text
    markers: int = 0  # cells such as "?" that were taken for missing
    by_pattern: bool = False  # its numbers alone tell that they are identifiers

    @property
    def label(self) -> str:
        """How to call it in a message."""
        return shown(self.name) if self.name else f"column {self.at + 1}"


def classify(at: int, name: str, raw: Sequence[str], parse: Parser) -> Column:
    """A column by its name and its cells."""
    values = parse.column(raw)
    values, n_markers = without_markers(raw, values)
    kind = _kind(name, raw, values)
    by_pattern = False
    if kind is Kind.NUMBERS:
        numbers = np.array(values, float)
        by_pattern = is_counter(numbers) and all(map(_bare, raw))
        kind = kind_of_numbers(name, numbers, whole=by_pattern)
    return Column(at, name, kind, values, n_markers, by_pattern)


def shown(text: str, longest: int = 40) -> str:
    """A text of a file, quoted for a message: one short line that a terminal can be shown."""
    return f"'{printable(text, longest)}'"


def is_date(text: str) -> bool:
    """Whether a text is a date or a time."""
    return _DATE.fullmatch(text.strip()) is not None


def without_markers(raw: Sequence[str], values: list[float | None]) -> tuple[list[float | None], int]:
    """Values with NaN at the markers of a column that has no other text, and how many these are."""
    text = [i for i, value in enumerate(values) if value is None]
    if not text or not all(is_marker(raw[i]) for i in text):
        return values, 0
    for i in text:
        values[i] = math.nan
    return values, len(text)


def _kind(name: str, raw: Sequence[str], values: list[float | None]) -> Kind:
    """Whether a column holds numbers, text, both or nothing."""
    text = [unquote(cell) for cell, value in zip(raw, values, strict=True) if value is None]
    n_numbers = sum(value is not None and value == value for value in values)
    if not text:
        return Kind.NUMBERS if n_numbers else Kind.EMPTY
    if all(map(is_date, text)):
        return Kind.DATES
    if called_identifier(name):
        return Kind.IDENTIFIERS
    return Kind.TEXT if n_numbers < len(text) else Kind.MIXED


def _bare(cell: str) -> bool:
    return unquote(cell).strip().isdecimal()
