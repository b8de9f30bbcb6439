"""Tables of text: read as cells that keep their text, and written back as the very same text but for the holes.

The lines of the file are kept as they stand, and only those with holes are changed. No csv reader at hand does so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...data.columns import Kind
from ..files import FileError
from .bounds import bare_number
from .choosing import choose
from .columns import Column, ParsedColumn, shown
from .cutting import check_delimiter, cut, join, replaced
from .encodings import decode_text, encode_text
from .heads import find_head
from .lines import Lines, arrange, without_end
from .numbers import (
    THOUSANDS,
    AmbiguousSigns,
    Digits,
    Parser,
    Signs,
    find_digits,
    find_signs,
    is_signed_number,
    text_of,
    unquote,
)
from .source import Source

# Cells that are parsed at a time.
_CELLS = 1 << 19


@dataclass(frozen=True)
class TextLayout:
    """The lines of a text table as they stand in the file, and where its numbers are."""

    lines: Lines
    header: bool = False
    first: int = 0  # rows before the data
    names: tuple[str, ...] = ()  # of all columns
    columns: tuple[int, ...] = ()  # those that hold the matrix, from 0
    left_alone: tuple[Column, ...] = ()
    markers: int = 0  # cells such as "?" that were taken for missing
    decimal: str = "."
    digits: tuple[Digits, ...] = ()  # of the columns that hold the matrix
    na: tuple[float, ...] = ()  # numbers that mark missing cells
    sides: np.ndarray | None = None  # of the values that are bounds (-1 at most, 1 at least), if there are any
    encoding: str = "utf-8"
    mark: str = ""  # a byte order mark, if the file begins with one
    skipped: dict[str, int] = field(default_factory=dict)  # lines that are no rows

    @property
    def delimiter(self) -> str:
        """What separates the cells."""
        return self.lines.sign

    @property
    def n_rows(self) -> int:
        """How many rows of data there are."""
        return len(self.lines.rows) - self.first

    def record(self, i: int) -> int:
        """The place of data row `i` among the records of the file."""
        return self.lines.rows[self.first + i]

    def line(self, i: int) -> int:
        """The line, from 1, on which data row `i` begins."""
        return self.lines.line(self.record(i))

    def cells(self, i: int) -> list[str]:
        """The raw cells of data row `i`."""
        return self.lines.cells(self.record(i))

    def contents(self, values: np.ndarray, holes: np.ndarray, digits: Sequence[Digits]) -> Iterator[list[str | float]]:
        """The names of the columns, and the rows: texts of the columns left alone, numbers of the others."""
        if self.header:
            yield list(self.names)
        for i in range(self.n_rows):
            row: list[str | float] = [text_of(cell) for cell in self.cells(i)]
            for j, at in enumerate(self.columns):
                row[at] = digits[j].rounded(values[i, j]) if holes[i, j] else float(values[i, j])
            yield row


@dataclass(frozen=True)
class TextOptions:
    """What a user says of a text table; None is found out."""

    header: bool | None = None
    index_columns: int | None = None
    na: tuple[str, ...] = ()
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    columns: tuple[str | int, ...] = ()  # to be completed, all others left alone
    ignore_columns: tuple[str | int, ...] = ()  # to be left alone
    skip_rows: int = 0
    comment: str | None = None

    def given(self) -> list[str]:
        """The names of the options that were given, but for `na`, which other formats have, too."""
        return [name for name, value in vars(self).items() if name != "na" and value not in (None, (), 0)]


def read(source: Source, options: TextOptions) -> tuple[np.ndarray, TextLayout]:
    """The numbers of a text table, NaN at its holes, and the table as it stands in the file."""
    text, encoding, mark = decode_text(source.path, source.data)
    _check_options(source.path, text, options)
    values, layout = read_text(source.path, text, options, options.delimiter, options.comment)
    return values, replace(layout, encoding=encoding, mark=mark)


def read_text(
    path: str, text: str, options: TextOptions, delimiter: str | None, comment: str | None
) -> tuple[np.ndarray, TextLayout]:
    """The same of a text."""
    lines = arrange(path, text, delimiter, options.skip_rows, comment)
    parsed, parse = _parsed(path, lines, options)
    head = find_head(path, lines, parsed, parse, options.header)
    if head.first >= len(lines.rows):
        raise FileError(f"{path}: there is no row below the header")
    skipped = dict(lines.skipped)
    for what, count in (("preamble", head.above), ("units", head.units)):
        if count:
            skipped[what] = skipped.get(what, 0) + count
    header = head.header is not None
    layout = TextLayout(lines, header, head.first, skipped=skipped)
    layout = replace(layout, names=_names(layout, head.header), decimal=parse.signs.decimal)
    return _chosen(path, layout, _columns(layout, parsed, options.index_columns), parse, options)


def _chosen(
    path: str, layout: TextLayout, columns: list[Column], parse: Parser, options: TextOptions
) -> tuple[np.ndarray, TextLayout]:
    """The matrix of the columns to be completed, and the layout with all that is to be said of them."""
    chosen = choose(
        path,
        columns,
        options.columns,
        options.ignore_columns,
        lambda i, at: f"line {layout.line(i)}, column {at + 1}",
    )
    at = {column.at for column in chosen}
    layout = replace(
        layout,
        columns=tuple(sorted(at)),
        left_alone=tuple(column for column in columns if column.at not in at),
        markers=sum(column.markers for column in chosen),
        digits=tuple(_digits(column, parse) for column in chosen),
        na=tuple(parse.numeric),
        sides=_sides(chosen),
    )
    return np.ascontiguousarray(np.array([column.values for column in chosen]).T), layout


def render(
    layout: TextLayout, values: np.ndarray, holes: np.ndarray, delimiter: str, digits: Sequence[Digits] | None = None
) -> bytes:
    """The bytes of a text table with numbers in its holes and all else as it was."""
    sign = layout.delimiter
    digits = layout.digits if digits is None else digits
    records = list(layout.lines.records)
    for i in np.flatnonzero(holes.any(axis=1)).tolist():
        texts = {
            layout.columns[j]: _number(values[i, j], digits[j], layout, delimiter)
            for j in np.flatnonzero(holes[i]).tolist()
        }
        body, end = _halves(records[layout.record(i)])
        records[layout.record(i)] = replaced(body, sign, texts) + end
    if delimiter != sign:
        for k in {*layout.lines.rows, *([] if layout.lines.above is None else [layout.lines.above])}:
            body, end = _halves(records[k])
            records[k] = join(cut(body, sign), delimiter) + end
    return encode_text(layout.mark + "".join(records), layout.encoding)


def render_plain(values: np.ndarray, delimiter: str) -> bytes:
    """The bytes of a text table without header and labels, each number in its shortest exact form."""
    lines = (delimiter.join(row.astype(str).tolist()) + "\n" for row in values)
    return "".join(lines).encode()


def render_rows(rows: Iterable[Sequence[Any]], delimiter: str) -> bytes:
    """The bytes of a text table of rows of any values; None is an empty cell."""
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()


def _halves(record: str) -> tuple[str, str]:
    body = without_end(record)
    return body, record[len(body) :]


def _number(value: float, digits: Digits, layout: TextLayout, delimiter: str) -> str:
    """An estimate as a cell, which must not read as a mark of a missing one."""
    text = digits.text(value, layout.decimal, delimiter)
    rounded = float(unquote(text).replace(",", "."))
    return text if rounded not in layout.na else Digits().text(np.nextafter(value, np.inf), layout.decimal, delimiter)


def _check_options(path: str, text: str, options: TextOptions) -> None:
    if options.delimiter is not None:
        # In quotes a cell can hold the delimiter.
        quoted = '"' in text and options.decimal == ","
        check_delimiter(path, options.delimiter, "." if quoted else options.decimal or ".")
    if options.thousands is not None and options.thousands not in THOUSANDS:
        raise FileError(f"thousands must be one of {' '.join(map(ascii, THOUSANDS))}, not {options.thousands!r}")


def _parsed(path: str, lines: Lines, options: TextOptions) -> tuple[list[ParsedColumn], Parser]:
    """All columns parsed, with the signs with which their numbers are written."""
    parse = Parser(options.na)
    if options.decimal is None and options.thousands is None:
        parsed = _all_columns(lines, parse)
        if not any(_has_signs(column) for column in parsed):
            return parsed, parse
    below = _below_words(lines)
    try:
        signs = find_signs(_raw_columns(lines, below), parse, options.decimal, options.thousands)
    except AmbiguousSigns as error:
        raise _ambiguous(path, lines, error) from None
    if signs != Signs() or options.decimal is not None or options.thousands is not None:
        parse = parse.with_signs(signs)
        parsed = _all_columns(lines, parse)
    return parsed, parse


def _has_signs(column: ParsedColumn) -> bool:
    """Whether some text of a column looks like a number that is written with other signs."""
    others = (text for i, text in column.texts.items() if i not in column.bounds)
    return any(is_signed_number(bare_number(text_of(text))) for text in others)


def _all_columns(lines: Lines, parse: Parser) -> list[ParsedColumn]:
    n_rows = len(lines.rows)
    parsed = [ParsedColumn(n_rows) for _ in range(lines.width)]
    step = max(_CELLS // lines.width, 64)
    for first in range(0, n_rows, step):
        block = [lines.cells(i) for i in lines.rows[first : first + step]]
        for column, raw in zip(parsed, zip(*block, strict=True), strict=True):
            column.add(first, raw, parse)
    return parsed


def _below_words(lines: Lines) -> list[int]:
    """The rows below what may be a header and units, which tell nothing of how numbers are written."""
    first = 1 if len(lines.rows) > 1 and lines.above is None else 0
    while first < min(6, len(lines.rows) - 1) and not any(
        is_signed_number(text_of(cell)) for cell in lines.cells(lines.rows[first])
    ):
        first += 1
    return lines.rows[first:]


def _raw_columns(lines: Lines, rows: list[int]) -> list[tuple[str, ...]]:
    return list(zip(*(map(bare_number, lines.cells(i)) for i in rows), strict=True))


def _ambiguous(path: str, lines: Lines, error: AmbiguousSigns) -> FileError:
    """The refusal of a table whose numbers may mean two things, with the first place where that shows."""
    cells = ((i, j, text_of(bare_number(cell))) for i in lines.rows for j, cell in enumerate(lines.cells(i)))
    i, j = next((i, j) for i, j, text in cells if text == error.text)
    return FileError(
        f"{path}: line {lines.line(i)}, column {j + 1}: {shown(error.text)} may be {error.low:g} or {error.high:g}, "
        "and no cell tells which: say --decimal , or --thousands , (decimal=, thousands=)"
    )


def _names(layout: TextLayout, header: int | None) -> tuple[str, ...]:
    """The names of the columns, from the header; nothing where there is none."""
    width = layout.lines.width
    if header is None:
        return ("",) * width
    names = [text_of(cell) for cell in layout.lines.cells(header)]
    return tuple((["", *names] if len(names) < width and not _ends_rows(layout) else [*names, ""])[:width])


def _ends_rows(layout: TextLayout) -> bool:
    """Whether every row below the header just ends by one delimiter more than that."""
    return not any(text_of(layout.cells(i)[-1]) for i in range(layout.n_rows))


def _columns(layout: TextLayout, parsed: list[ParsedColumn], index_columns: int | None) -> list[Column]:
    """What each column of the file is."""
    columns = [column.classified(at, layout.names[at], layout.first) for at, column in enumerate(parsed)]
    if index_columns is None:
        unnamed = layout.header and not layout.names[0] and columns[0].kind is not Kind.EMPTY
        return [replace(columns[0], kind=Kind.LABELS), *columns[1:]] if unnamed else columns
    labels = [replace(column, kind=Kind.LABELS) for column in columns[:index_columns]]
    rest = columns[len(labels) :]
    if index_columns == 0 and rest[0].kind is Kind.IDENTIFIERS and rest[0].by_pattern:
        rest[0] = replace(rest[0], kind=Kind.NUMBERS)
    return [*labels, *rest]


def _sides(chosen: Sequence[Column]) -> np.ndarray | None:
    """Of the values of a matrix; None where none is a bound."""
    if not any(column.sides for column in chosen):
        return None
    sides = np.zeros((len(chosen[0].values), len(chosen)), np.int8)
    for j, column in enumerate(chosen):
        sides[list(column.sides), j] = list(column.sides.values())
    return sides


def _digits(column: Column, parse: Parser) -> Digits:
    there = ~np.isnan(column.values)
    cells = [cell for cell, is_number in zip(column.sample, there.tolist(), strict=False) if is_number]
    return find_digits(column.values[there], cells, parse.signs.decimal)
