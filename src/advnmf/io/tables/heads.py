"""Which of the first rows of a text table name its columns, which give their units, and which are above all that."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...data.columns import Kind
from ..files import FileError
from .bounds import bound_of
from .columns import Column, ParsedColumn, is_date
from .lines import Lines, is_empty
from .numbers import Parser, is_marker, text_of, unquote

__all__ = ["Head", "find_head"]

# Rows by which it is judged whether the first one is a header, and how many there are above the numbers at most.
_SAMPLE, _MOST, _MOST_ABOVE = 1000, 6, 30
# Units that stand alone, though columns of text have such cells, too.
_UNIT = re.compile(r"[\[({].*[\])}]|[a-zµμ°%$€]{1,4}(?:[/ ^*].*|[-+]?\d)?|\d{1,3}[sndf]|-+|deg.*|.*/.*", re.IGNORECASE)


@dataclass(frozen=True)
class Head:
    """The rows of a table that are no data."""

    header: int | None  # the record that names the columns
    first: int  # rows before the data
    above: int = 0  # of these, rows above the header
    units: int = 0  # and rows of units below it


def find_head(path: str | os.PathLike[str], lines: Lines, parsed: Sequence[ParsedColumn], parse: Parser,
              told: bool | None) -> Head:  # fmt: skip
    """The header and what is around it: as told, or by what the first rows have above columns of numbers."""
    if lines.above is not None and told is not False:
        return Head(lines.above, (units := _n_units(lines, parsed, parse, 0)), 0, units)
    rows = [lines.cells(i) for i in lines.rows[: _SAMPLE + 1]]
    above = _n_above(rows, parse) if told is not False else 0
    header = _has_header(path, rows[above:], above, parsed, parse) if told is None else told
    if not header:
        return Head(None, 0)
    units = _n_units(lines, parsed, parse, above + 1)
    return Head(lines.rows[above], above + 1 + units, above, units)


def _n_above(rows: list[list[str]], parse: Parser) -> int:
    """How many rows above the header have few cells filled: titles, remarks, names of groups of columns."""
    width = len(rows[0])
    filled = [sum(bool(text_of(cell)) for cell in row) for row in rows[: _MOST_ABOVE + 1]]
    full = next((k for k, count in enumerate(filled) if 3 * count >= 2 * width), 0)
    if width < 3 or not full or any(2 * count > width for count in filled[:full]):
        return 0
    numbers = [any(map(parse.is_number, row)) for row in rows[: full + 1]]
    # Rows of data may have few cells filled, too; what stands above names of columns is none.
    return full if not numbers[full] or not any(numbers[:full]) else 0


def _n_units(lines: Lines, parsed: Sequence[ParsedColumn], parse: Parser, first: int) -> int:
    """How many rows from `first` on have text, and no number, above columns of numbers only."""
    n_units = 0
    while first + n_units < min(_MOST, len(lines.rows) - 1) and _are_units(
        lines.cells(lines.rows[first + n_units]),
        [column.classified(at, "", first + n_units + 1) for at, column in enumerate(parsed)],
        parse,
    ):
        n_units += 1
    return n_units


def _are_units(cells: list[str], below: Sequence[Column], parse: Parser) -> bool:
    if len(cells) > 2 and is_empty(cells):
        return True
    over = [cell for cell, column in zip(cells, below, strict=False) if _is_numeric(column)]
    words = [text_of(cell) for cell in over if _is_word(cell, parse)]
    if any(map(parse.is_number, over)) or not words:
        return False
    if any(any(map(str.isdecimal, text)) and not _UNIT.fullmatch(text) for text in words):
        return False
    # A single word could be a mistake in a row; what looks like a unit, or stands above several columns, is none.
    return len(words) > max(1, len(over) / 2) or all(map(_UNIT.fullmatch, words))


def _is_word(cell: str, parse: Parser) -> bool:
    """Whether a cell is text that neither marks a missing value nor gives a bound for one."""
    return parse.is_text(cell) and not is_marker(cell) and bound_of(cell, parse.signs) is None


def _is_numeric(column: Column) -> bool:
    return column.kind in (Kind.NUMBERS, Kind.IDENTIFIERS) and not column.texts


def _has_header(path: str | os.PathLike[str], rows: list[list[str]], above: int, parsed: Sequence[ParsedColumn],
                parse: Parser) -> bool:  # fmt: skip
    """Whether the first row names the columns, by what it has above columns of numbers and above others."""
    first, below = rows[0], rows[1:]
    text = [_is_word(cell, parse) for cell in first]
    if not below:
        return any(text)
    skipped = above + 1
    while skipped - above < min(_MOST, len(rows) - 1) and _are_units(
        rows[skipped - above],
        [column.classified(at, "", skipped + 1, _SAMPLE) for at, column in enumerate(parsed)],
        parse,
    ):
        skipped += 1
    kinds = [column.classified(at, "", skipped, _SAMPLE).kind for at, column in enumerate(parsed)]
    numeric = [kind in (Kind.NUMBERS, Kind.IDENTIFIERS, Kind.MIXED) for kind in kinds]
    if not any(text):
        labels = kinds[0] in (Kind.TEXT, Kind.DATES)
        return parse.is_missing(first[0]) and (labels or _numbered(rows, parse))
    if any(is_date(unquote(cell)) and kind is Kind.DATES for cell, kind in zip(first, kinds, strict=False)):
        return False
    is_name = any(t and n for t, n in zip(text, numeric, strict=False))
    is_value = any(
        n and (parse.is_number(cell) or bound_of(cell, parse.signs)) for cell, n in zip(first, numeric, strict=False)
    )
    if is_name and not is_value:
        return True
    if not all(text) and any(
        t and cell in [row[at] for row in below] for at, (t, cell) in enumerate(zip(text, first, strict=True))
    ):
        return False  # a label that comes again
    if _counts_on(first, parse) and not _counts_on(below[0], parse):
        return True
    if is_value and not is_name and _are_unsorted([parse.number(cell) for cell in first if parse.is_number(cell)]):
        return False  # columns that numbers name are sorted by them
    if is_value or (kinds[0] is Kind.TEXT and len(first) > 1 and not any(text[1:])):
        raise FileError(
            f"{path}: the first row holds both text and numbers, so it may be a header or data: "
            "say which with --header or --no-header (header=True or False)"
        )
    return True


def _counts_on(row: list[str], parse: Parser) -> bool:
    """Whether the numbers of a row are at least three integers in equal steps upwards: years, wavelengths, days."""
    numbers = np.array([parse.number(cell) for cell in row if parse.is_number(cell)])
    steps = np.diff(numbers)
    return len(steps) > 1 and steps[0] > 0 and bool((steps == steps[0]).all() and (numbers == np.rint(numbers)).all())


def _are_unsorted(numbers: list[float | None]) -> bool:
    """Whether at least three numbers neither only grow nor only fall."""
    steps = np.sign(np.diff(np.array(numbers, float)))
    return len(steps) > 1 and (steps[0] == 0 or bool((steps != steps[0]).any()))


def _numbered(rows: list[list[str]], parse: Parser) -> bool:
    """Whether header and index just count from 0, as pandas writes them."""
    across = [parse.number(cell) for cell in rows[0][1:]]
    down = [parse.number(row[0]) for row in rows[1:]]
    return across == list(range(len(across))) and down == list(range(len(down)))
