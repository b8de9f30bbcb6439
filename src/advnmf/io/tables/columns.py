"""What the columns of a text table are: numbers to be completed, or text, dates and identifiers to be left alone.

A column without numbers cannot be completed. A column of numbers that only count or name the rows could be, and would
spoil the fit of all others: so what a person sees at a glance is looked for, wherever the column stands. Who reads
the table is told what was left alone, and can overrule it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..files import printable
from .numbers import Parser, is_marker, unquote

#: Rows from which on integers that only grow are taken for identifiers, whatever the column is called.
_ENOUGH_ROWS = 8
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
_IDS = frozenset(
    (
        *(
            "id",
            "ids",
            "uid",
            "uuid",
            "guid",
            "key",
            "rowid",
            "rowname",
            "rownames",
            "row.names",
            "row names",
            "row name",
        ),
        *("row", "row number", "row no", "row no.", "index", "idx", "unnamed: 0", "#", "record", "serial", "serial no"),
    )
)
#: Names that mean a number of the row if the numbers all differ, and else perhaps nitric oxide.
_NUMBERS = frozenset({"no", "no.", "nr", "nr.", "num", "number", "n°", "nº", "s.no", "s.no.", "sno", "sl no", "sl.no"})
_TIMES = frozenset({"date", "datetime", "date time", "timestamp", "time", "epoch", "period", "day of year", "doy"})
#: Names of parts of a date, and the integers that these can be.
_PARTS = {"year": (0, 3000), "yr": (0, 3000), "month": (1, 12), "mon": (1, 12), "day": (1, 366), "week": (0, 53)}
_PARTS |= {"hour": (0, 24), "hr": (0, 24), "minute": (0, 60), "weekday": (0, 7), "quarter": (1, 4), "julian": (1, 366)}


class Kind(StrEnum):
    """What a column is."""

    NUMBERS = "numbers"
    TEXT = "text"
    DATES = "dates or times"
    IDENTIFIERS = "identifiers"
    LABELS = "labels"
    EMPTY = "empty"
    MIXED = "numbers and text"


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
    if kind is Kind.NUMBERS and (_is_time(name, values) or are_calendar_days(values)):
        kind = Kind.DATES
    elif kind is Kind.NUMBERS:
        by_pattern = is_counter(values, raw)
        kind = Kind.IDENTIFIERS if by_pattern or _is_identifier(name, values) else kind
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
    if _called_identifier(name):
        return Kind.IDENTIFIERS
    return Kind.TEXT if n_numbers < len(text) else Kind.MIXED


def _integers(values: Sequence[float | None]) -> np.ndarray | None:
    """The numbers of a column that has integers only."""
    numbers = np.array(values, float)
    numbers = numbers[~np.isnan(numbers)]
    return numbers if np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all() else None


def is_counter(values: Sequence[float | None], raw: Sequence[str]) -> bool:
    """Whether a column of some length has integers, one in each row, that only grow: row numbers, keys, years."""
    if len(values) < _ENOUGH_ROWS or values[0] != values[0] or not all(_bare(cell) for cell in raw):
        return False
    return bool((np.diff(np.array(values, float)) > 0).all())


def _bare(cell: str) -> bool:
    return unquote(cell).strip().isdecimal()


def are_calendar_days(values: Sequence[float | None]) -> bool:
    """Whether all numbers are days as YYYYMMDD, with or without hours and minutes."""
    numbers = _integers(values)
    if numbers is None or len(numbers) < 2:
        return False
    for digits in (14, 12, 10):  # YYYYMMDDhhmmss, ...hhmm, ...hh
        if (numbers >= 10 ** (digits - 1)).all() and (numbers < 10**digits).all():
            numbers = numbers // 10 ** (digits - 8)
            break
    year, month, day = numbers // 10**4, numbers // 100 % 100, numbers % 100
    ranges = ((year, 1500, 2300), (month, 1, 12), (day, 1, 31))
    return all(bool(((low <= part) & (part <= high)).all()) for part, low, high in ranges)


def _called_identifier(name: str) -> bool:
    name = name.strip()
    plain = name.lower()
    return plain in _IDS or bool(re.search(r"[_ .-]id$|^id[_ .-]", plain)) or bool(re.search(r"[a-z](ID|Id)$", name))


def _is_identifier(name: str, values: Sequence[float | None]) -> bool:
    """Whether a column of numbers is called an identifier, and can be one."""
    numbers = _integers(values)
    if numbers is None:
        return False
    unique = len(numbers) == len(values) and len(np.unique(numbers)) == len(numbers)
    return _called_identifier(name) or (name.strip().lower() in _NUMBERS and unique)


def _is_time(name: str, values: Sequence[float | None]) -> bool:
    """Whether a column of numbers is called a time or a part of a date, and can be one."""
    plain = re.sub(r"[_ ]+", " ", name.strip().lower())
    numbers = _integers(values)
    if plain in _PARTS:
        low, high = _PARTS[plain]
        return numbers is not None and bool(((low <= numbers) & (numbers <= high)).all())
    there = np.array(values, float)
    there = there[~np.isnan(there)]
    return plain in _TIMES and (numbers is not None or bool((np.diff(there) >= 0).all()))
