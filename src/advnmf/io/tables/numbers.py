"""What a cell of a text table means: a number, missing, or text; and which signs its numbers are written with."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

#: What marks a missing cell of a text table, whatever its case and the blanks around it.
MISSING = ("", "na", "nan", "n/a", "#n/a", "null")
#: What marks one in a column that holds numbers otherwise: pandas, R, SAS, spreadsheets, instruments.
MARKERS = frozenset(
    (
        *("?", "??", "-", "--", "---", "–", "—", ".", "..", "...", "*", "**", "***", "nat", "nil", "none", "<na>"),
        *(":", "m", "mm", "\\n", "/", "//", "nan.", "(na)", "(null)", "[null]", "#n/a n/a"),
        *("nd", "n.d.", "n.d", "n/d", "n.a.", "n.a", "missing", "unknown", "nodata", "no data", "not available"),
        *("not applicable", "not detected", "#na", "#div/0!", "#value!", "#ref!", "#null!", "#num!", "#name?"),
        *("-nan", "+nan", "nan()", "-nan(ind)", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind"),
    )
)

#: What people put between thousands.
THOUSANDS = (",", ".", " ", "\u00a0", "\u202f", "'", "\u2019")
_SIGNED = re.compile(r"[+-]?\d[\d.,' \u00a0\u202f\u2019]*(?:[eE][+-]?\d{1,4})?")
_ANY_NUMBER = re.compile(
    r"(?=.?[.,]?\d)[+-]?(?:\d{1,3}(?:[' \u00a0\u202f\u2019]\d{3})+|\d*)(?:[.,]\d*)*(?:[eE][+-]?\d{1,4})?"
)
_PLAIN = re.compile(r"[+-]?\d+")
# Cells of a column that may be text above numbers.
_HEAD = 8
# More than these come from a computation, and say nothing of how a number was measured.
_MOST_DECIMALS = 8
_UNSEPARATED = re.compile(r"[+-]?\d{4,}(?:\D.*)?")


class AmbiguousSigns(ValueError):
    """A text of a table may be two numbers."""

    def __init__(self, text: str, low: float, high: float) -> None:
        super().__init__(f"{text!r} may be {low:g} or {high:g}")
        self.text, self.low, self.high = text, low, high


@dataclass(frozen=True)
class Signs:
    """The decimal sign of a table, and what stands between the thousands, if anything does."""

    decimal: str = "."
    thousands: str = ""

    def value(self, text: str) -> float | None:
        """The number that a text is; None where it is none."""
        if self.thousands and self.thousands in text:
            text = self._without_thousands(text)
        if self.decimal == ",":
            if "." in text:
                return None
            text = text.replace(",", ".")
        if "_" in text:  # 1_000 is a number to Python only
            return None
        try:
            return float(text)
        except ValueError:
            return None

    def _without_thousands(self, text: str) -> str:
        whole, sign, fraction = text.partition(self.decimal)
        # Three digits in each group but the first: 1,5 or 12,34 are no thousands.
        if not re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(self.thousands)}\d{{3}})+", whole):
            return "_"
        return whole.replace(self.thousands, "") + sign + fraction


class Parser:
    """What a raw cell means: missing, a number, or text."""

    def __init__(self, na: Iterable[str], signs: Signs | str = ".") -> None:
        self.na = tuple(na)
        self.signs = Signs(signs) if isinstance(signs, str) else signs
        self.markers = {*MISSING, *(text.strip().lower() for text in self.na)}
        # The spellings met most often, looked up before any string is changed.
        self.common = {*MISSING, "NA", "NaN", *self.na}
        self.numeric = [value for text in self.na if (value := self.signs.value(text)) is not None]

    def with_signs(self, signs: Signs) -> Parser:
        """The same for numbers that are written with other signs."""
        return Parser(self.na, signs)

    def number(self, raw: str) -> float | None:
        """The value of a raw cell, NaN where missing, None where it is text."""
        text = unquote(raw).strip()
        if text.lower() in self.markers:
            return math.nan
        value = self.signs.value(text)
        return math.nan if value in self.numeric else value

    def column(self, raw: Sequence[str]) -> list[float | None]:
        """The values of raw cells, as `number` gives them."""
        if '"' in "".join(raw):
            raw = [unquote(cell) for cell in raw]
        if not self.numeric and not self.signs.thousands:
            # Perhaps only the first cells are text, a name and a unit.
            for first in (0, _HEAD):
                with contextlib.suppress(ValueError):
                    return [*map(self.number, raw[:first]), *self._plain_column(raw[first:])]
        return [self.number(cell) for cell in raw]

    def _plain_column(self, raw: Sequence[str]) -> list[float | None]:
        """The values of plain numbers, the fast way; ValueError where there is anything else."""
        joined = "".join(raw)
        if "_" in joined or (self.signs.decimal == "," and "." in joined):
            raise ValueError("no plain numbers")
        common = self.common
        if self.signs.decimal == ".":
            return [math.nan if cell in common else float(cell) for cell in raw]
        return [math.nan if cell in common else float(cell.replace(",", ".")) for cell in raw]

    def is_text(self, raw: str) -> bool:
        """Whether a raw cell is neither missing nor a number."""
        return self.number(raw) is None

    def is_number(self, raw: str) -> bool:
        """Whether a raw cell is a number, and not missing."""
        value = self.number(raw)
        return value is not None and not math.isnan(value)

    def is_missing(self, raw: str) -> bool:
        """Whether a raw cell is missing."""
        value = self.number(raw)
        return value is not None and math.isnan(value)


def unquote(raw: str) -> str:
    """The content of a raw cell."""
    if not raw.startswith('"'):
        return raw
    inside, _, after = raw[1:].rpartition('"')
    return inside.replace('""', '"') + after


def is_marker(raw: str) -> bool:
    """Whether a cell marks a missing value in a column of numbers."""
    return unquote(raw).strip().lower() in MARKERS


def is_signed_number(text: str) -> bool:
    """Whether a text looks like a number, whatever its decimal sign and its thousands."""
    return _ANY_NUMBER.fullmatch(text) is not None


@dataclass(frozen=True)
class Digits:
    """How the numbers of a column are written."""

    decimals: int | None = None  # to which they are rounded; None: to eight digits
    least: int = 0  # decimals that each has, 41.0 among integers

    def text(self, value: float, decimal: str = ".", delimiter: str = "\t") -> str:
        """An estimate as a cell of the column."""
        if self.decimals is None or not math.isfinite(value):
            return number_text(value, decimal, delimiter)
        whole, _, fraction = f"{value:.{self.decimals}f}".partition(".")
        fraction = fraction.rstrip("0").ljust(self.least, "0")
        text = f"{whole}{decimal}{fraction}" if fraction else whole
        text = text.removeprefix("-") if not text.strip("-0.,") else text
        return f'"{text}"' if delimiter in text else text

    def rounded(self, value: float) -> float | int:
        """An estimate rounded as the column is."""
        if self.decimals is None or not math.isfinite(value):
            return float(f"{value:.8g}")
        return round(value) if self.decimals == 0 else round(float(value), self.decimals)


def find_digits(values: np.ndarray, cells: Sequence[str], decimal: str) -> Digits:
    """How numbers are written: by their values, and by some of their cells.

    Integers have no decimals. Others have as many as the cells, or more where the values need them, up to eight.
    """
    texts = [text for text in map(text_of, cells) if any(map(str.isdecimal, text))]
    if not len(values) or not texts or any("e" in text or "E" in text for text in texts):
        return Digits()
    shown = [len(text.rpartition(decimal)[2]) if decimal in text else 0 for text in texts]
    if (values == np.rint(values)).all():
        return Digits(0, min(shown))
    for decimals in range(max(shown), _MOST_DECIMALS + 1):
        if np.allclose(values, np.round(values, decimals), rtol=1e-12, atol=0):
            return Digits(decimals, min(shown))
    return Digits()


def text_of(raw: str) -> str:
    """The content of a raw cell without the blanks around it."""
    return unquote(raw).strip()


def number_text(value: float, decimal: str, delimiter: str) -> str:
    """An estimate as a cell of eight digits: it has no more, and 0.1 is not to be 0.10000000000000001."""
    text = f"{value:.8g}".replace(".", decimal)
    return f'"{text}"' if delimiter in text else text


def find_signs(columns: Iterable[Sequence[str]], parse: Parser, decimal: str | None, thousands: str | None) -> Signs:
    """The signs under which columns of raw cells are numbers, and all the cells that look like numbers with them.

    What was told (`decimal`, `thousands`) is not looked for. Plain numbers such as 1.5 are the rule. Else the cells
    tell: 1,5 and 0,123 have a decimal comma; 1,234,567 and 1,234.5 have thousands. AmbiguousSigns where they do not:
    all commas have one to three digits before and three after them, as in 41,000 beside 7,400.
    """
    told = [pair for pair in _possible() if decimal in (None, pair.decimal) and thousands in (None, pair.thousands)]
    if decimal is not None:
        told = [pair for pair in told if pair.thousands == (thousands or "")]
    told = told or [Signs(decimal or ".", thousands or "")]
    if len(told) == 1:
        return told[0]
    cells = [column for column in (_telling(raw, parse) for raw in columns) if column]
    counts = [sum(_fits(column, signs) for column in cells) for signs in told]
    fitting = [signs for signs, count in zip(told, counts, strict=True) if count == max(counts)]
    if fitting[0] == Signs() or not max(counts):
        return told[0]
    cells = [column for column in cells if all(_fits(column, signs) for signs in fitting)]
    return _the_one(cells, [signs for signs in fitting if not _contradicted(cells, signs)] or fitting)


def _possible() -> list[Signs]:
    """All pairs of signs, plain numbers first."""
    return [Signs(d, t) for t, d in product(("", *THOUSANDS), (".", ",")) if d != t]


def _telling(raw: Sequence[str], parse: Parser) -> list[str]:
    """The texts with signs, or with four digits or more, of a column whose cells all look like numbers; else none."""
    texts = {unquote(cell).strip() for cell in raw}
    texts = {text for text in texts if text.lower() not in parse.markers and text.lower() not in MARKERS}
    return sorted(texts) if all(map(_SIGNED.fullmatch, texts)) else []


def _fits(texts: list[str], signs: Signs) -> bool:
    return all(signs.value(text) is not None for text in texts)


def _contradicted(columns: list[list[str]], signs: Signs) -> bool:
    """Whether signs that fit are still not how people, or programs, write numbers."""
    return any(_mixes_thousands(texts, signs) or _mixes_decimals(texts, signs) for texts in columns)


def _mixes_thousands(texts: list[str], signs: Signs) -> bool:
    """1,234 beside 1234: who separates thousands separates all of a column."""
    separated = signs.thousands and any(signs.thousands in text for text in texts)
    return bool(separated) and any(map(_UNSEPARATED.fullmatch, texts))


def _mixes_decimals(texts: list[str], signs: Signs) -> bool:
    """1,200 beside 950: trailing zeros come with a fixed number of decimals, and then every number has them."""
    zeros = any(signs.decimal in text and text.endswith("0") for text in texts)
    return signs.decimal == "," and zeros and any(map(_PLAIN.fullmatch, texts))


def _the_one(columns: list[list[str]], fitting: list[Signs]) -> Signs:
    """The first of the pairs of signs, if all read the same numbers."""
    first = fitting[0]
    for texts in columns:
        for text in texts:
            # All of them read it as a number.
            values = [value for signs in fitting if (value := signs.value(text)) is not None]
            if not np.all(np.array(values) == values[0]):
                raise AmbiguousSigns(text, min(values), max(values))
    return first
