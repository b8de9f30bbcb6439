"""What the columns of a text table are: numbers to be completed, or text, dates and identifiers to be left alone.

A column without numbers cannot be completed; what a column of numbers is, `advnmf.data.columns` tells. Who reads the
table is told what was left alone, and can overrule it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...data.columns import Kind, called_identifier, is_counter, kind_of_numbers
from ..files import printable
from .bounds import Bound, bound_of
from .numbers import Parser, is_marker, text_of, unquote

# Cells by which it is seen how the numbers of a column are written.
_SAMPLE = 300
# Numbers that a column of numbers has beside cells such as "<0.05".
_FEWEST_BESIDE_BOUNDS = 2
# Different texts that may be marks of missing cells in a column of numbers.
_MOST_MARKS = 5
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
            r"\d{1,2}\.\d{2}\.\d{2}",  # 18.00.00
            r"\d{1,2}[a-z]{3}\d{2,4}(?:[: ]\d{1,2}:.*)?",  # 31JAN2020, as SAS writes it
            r"\d{4}[- ]?(?:M\d{1,2}|[a-z]{3,9})",  # 1960M01, 2020 Jan
            r"[a-z]{3}[-']\d{2}",  # Jan-60
            r"[QH]\d[- /]?\d{4}|\d{4}[ /-]?[QH]\d",  # Q1 2020
        )
    ),
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Column:
    """A column of a table of text."""

    at: int  # its place in the file, from 0
    name: str  # in the header; nothing without one
    kind: Kind
    values: np.ndarray  # NaN where missing, and where text
    texts: Mapping[int, str]  # raw cells that are text, by row
    markers: int = 0  # cells such as "?" that were taken for missing
    by_pattern: bool = False  # its numbers alone tell that they are identifiers
    sample: Sequence[str] = ()  # some of its raw cells
    sides: Mapping[int, int] = field(default_factory=dict)  # of the values that are bounds, by row

    @property
    def label(self) -> str:
        """How to call it in a message."""
        return shown(self.name) if self.name else f"column {self.at + 1}"


class ParsedColumn:
    """The cells of a column, parsed piece by piece: numbers, and what is text among them."""

    def __init__(self, n_rows: int) -> None:
        self.values = np.full(n_rows, np.nan)
        self.texts: dict[int, str] = {}
        self.bounds: dict[int, Bound] = {}  # of the texts that give one
        self.sample: list[str] = []
        self.last_other = -1  # the last row that is no bare integer

    def add(self, first: int, raw: Sequence[str], parse: Parser) -> None:
        """Take the raw cells of the rows from `first` on."""
        values = parse.column(raw)
        self.values[first : first + len(raw)] = values  # None becomes NaN
        if None in values:
            texts = {first + i: raw[i] for i, value in enumerate(values) if value is None}
            self.texts.update(texts)
            self.bounds.update((i, bound) for i, text in texts.items() if (bound := bound_of(text, parse.signs)))
        others = (i for i in range(len(raw) - 1, -1, -1) if not raw[i].isdecimal() and not text_of(raw[i]).isdecimal())
        self.last_other = max(self.last_other, first + next(others, -1 - first))
        if len(self.sample) < _SAMPLE:
            self.sample += raw[:_SAMPLE]

    def classified(self, at: int, name: str, first: int, end: int | None = None) -> Column:
        """The column from row `first` on (up to `end`), and what it is by its name and its cells."""
        values = self.values[first:end]
        texts = {i - first: text for i, text in self.texts.items() if first <= i and (end is None or i < end)}
        bounds = {i - first: self.bounds[i] for i in self.bounds if i - first in texts}
        # By themselves "<5" and ">5" are groups.
        bounds = bounds if np.count_nonzero(~np.isnan(values)) >= _FEWEST_BESIDE_BOUNDS else {}
        if bounds:
            values = values.copy()
            values[list(bounds)] = [bound.value for bound in bounds.values()]
            texts = {i: text for i, text in texts.items() if i not in bounds}
        marks = len(texts) if all(map(is_marker, texts.values())) else 0
        texts = {} if marks else texts
        kind = _kind(name, values, texts)
        by_pattern = False
        if kind is Kind.NUMBERS:
            by_pattern = self.last_other < first and is_counter(values)
            kind = kind_of_numbers(name, values, whole=by_pattern)
        sides = {i: bound.side for i, bound in bounds.items()}
        return Column(at, name, kind, values, texts, marks, by_pattern, self.sample[first:], sides)


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


def _kind(name: str, values: np.ndarray, raw: Mapping[int, str]) -> Kind:
    """Whether a column holds numbers, text, both or nothing."""
    n_numbers = int(np.count_nonzero(~np.isnan(values)))
    if not raw:
        return Kind.NUMBERS if n_numbers else Kind.EMPTY
    texts = [unquote(text) for text in raw.values()]
    if all(map(is_date, texts)):
        return Kind.DATES
    if called_identifier(name):
        return Kind.IDENTIFIERS
    return Kind.TEXT if n_numbers < len(texts) or _are_labels(texts, n_numbers) else Kind.MIXED


def _are_labels(texts: list[str], n_numbers: int) -> bool:
    """Whether texts among numbers are too many, and too different, to be marks or mistakes: tickets, codes, names."""
    different = {text.strip() for text in texts if not text.strip().startswith(("<", ">"))}
    return len(different) > _MOST_MARKS and len(different) > 0.1 * (n_numbers + len(texts))
