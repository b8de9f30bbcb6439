"""Text tables, cut into cells that keep their text: csv and tsv.

The cells are kept raw, quotes and blanks included, so that a table is written back as the very same bytes but
for its holes. No csv reader at hand keeps them so.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..files import FileError, describe, read_bytes, suffix
from .columns import Column, Kind, classify, is_date, shown
from .numbers import THOUSANDS, AmbiguousSigns, Parser, find_signs, is_marker, number_text, unquote

BOM = b"\xef\xbb\xbf"
_LINE_ENDS = re.compile(r"(\r\n|\n|\r)")
# What a table must hold to have numbers other than 1.5.
_SIGNS = re.compile(r"\d[,' \u00a0\u202f\u2019]\d|\d\.\d{3}\.\d{3}")
_SIGNS_BUT_COMMAS = re.compile(r"\d[' \u00a0\u202f\u2019]\d|\d\.\d{3}\.\d{3}")
# Rows by which it is judged whether the first one is a header.
_SAMPLE = 1000


@dataclass(frozen=True)
class TextLayout:
    """All cells of a text table as they stand in the file, and where its numbers begin."""

    rows: list[list[str]]  # raw cells, quotes included
    ends: list[str]  # what ends each row
    delimiter: str
    header: bool = False
    columns: tuple[int, ...] = ()  # those that hold the matrix, from 0
    left_alone: tuple[Column, ...] = ()
    markers: int = 0  # cells such as "?" that were taken for missing
    decimal: str = "."
    mark: str = ""  # a byte order mark, if the file begins with one
    tail: str = ""  # blank lines after the last row

    def line(self, i: int) -> int:
        """The line, from 1, on which row `i` of the file begins; a quoted cell may span several."""
        inside = (len(_LINE_ENDS.findall(cell)) for row in self.rows[:i] for cell in row if '"' in cell)
        return 1 + i + sum(inside)


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

    def given(self) -> list[str]:
        """The names of the options that were given, but for `na`, which other formats have, too."""
        return [name for name, value in vars(self).items() if name != "na" and value not in (None, ())]


def read(path: str | os.PathLike[str], options: TextOptions) -> tuple[np.ndarray, TextLayout]:
    """The numbers of a text table, NaN at its holes, and the table as it stands in the file."""
    text = decode(read_text(path))
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix(mark)
    delimiter = options.delimiter or ("\t" if suffix(path) == "tsv" else sniff(text))
    # In quotes a cell can hold the delimiter.
    check_delimiter(path, delimiter, "." if '"' in text and options.decimal == "," else options.decimal or ".")
    if options.thousands is not None and options.thousands not in THOUSANDS:
        raise FileError(f"thousands must be one of {' '.join(map(ascii, THOUSANDS))}, not {options.thousands!r}")
    rows, ends, tail = _split(path, text, delimiter)
    layout = TextLayout(rows, ends, delimiter, mark=mark, tail=tail)
    _check_lengths(path, layout)
    parse = _parser(path, text, layout, options)
    header = _has_header(path, rows, parse) if options.header is None else options.header
    layout = replace(layout, header=header, decimal=parse.signs.decimal)
    columns = _classified(path, layout, parse, options.index_columns)
    chosen = _chosen(path, layout, columns, options)
    at = {column.at for column in chosen}
    layout = replace(
        layout,
        columns=tuple(sorted(at)),
        left_alone=tuple(column for column in columns if column.at not in at),
        markers=sum(column.markers for column in chosen),
    )
    return np.ascontiguousarray(np.array([column.values for column in chosen], np.float64).T), layout


def render(layout: TextLayout, values: np.ndarray, holes: np.ndarray, delimiter: str) -> bytes:
    """The bytes of a text table with numbers in its holes and all else as it was."""
    rows = layout.rows
    if delimiter != layout.delimiter:
        rows = [[_quote(cell, delimiter) for cell in row] for row in rows]
    lines = [delimiter.join(row) + end for row, end in zip(rows, layout.ends, strict=True)]
    for i in np.flatnonzero(holes.any(axis=1)):
        row = list(rows[i + layout.header])
        for j in np.flatnonzero(holes[i]):
            row[layout.columns[j]] = number_text(values[i, j], layout.decimal, delimiter)
        lines[i + layout.header] = delimiter.join(row) + layout.ends[i + layout.header]
    text = layout.mark + "".join(lines) + layout.tail
    return text.encode("utf-8", "surrogateescape")


def render_plain(values: np.ndarray, delimiter: str) -> bytes:
    """The bytes of a text table without header and labels, each number in its shortest exact form."""
    lines = (delimiter.join(row.astype(str).tolist()) + "\n" for row in values)
    return "".join(lines).encode()


def read_text(path: str | os.PathLike[str]) -> bytes:
    """The content of a text file; FileError where it is something else or blank."""
    data = read_bytes(path)
    found = describe(data)
    if found is None and b"\0" in data:
        found = "a binary file"
    if found is not None:
        raise FileError(f"{path} is no {suffix(path) or 'text'} file: it is {found}")
    if not data.removeprefix(BOM).strip():
        raise FileError(f"{path} is empty")
    return data


def decode(data: bytes) -> str:
    """Text in which bytes that are not UTF-8 (labels in an older encoding) pass unchanged to the written file."""
    return data.decode("utf-8", "surrogateescape")


def check_delimiter(path: str | os.PathLike[str], delimiter: str, decimal: str = ".") -> None:
    """FileError where cells and numbers could not be told apart with this delimiter and decimal sign."""
    if decimal not in (".", ","):
        raise FileError(f"the decimal sign must be '.' or ',', not {decimal!r}")
    if len(delimiter) != 1 or delimiter in '"\r\n.' or delimiter.isalnum():
        raise FileError(f"{path}: {delimiter!r} cannot be a delimiter")
    if delimiter == decimal:
        raise FileError(f"{path}: {delimiter!r} cannot be both delimiter and decimal sign")


def sniff(text: str) -> str:
    """The delimiter that cuts the first lines into equally many cells."""
    lines = [line for line in re.split(r"\r\n|\n|\r", text[:65536])[:20] if line]
    if len(text) > 65536 and len(lines) > 1:
        lines = lines[:-1]  # perhaps cut in its middle
    bare = [re.sub(r'"[^"]*"', "", line) for line in lines]
    for delimiter in ";\t,":
        counts = [line.count(delimiter) for line in bare]
        # In a file from R the first line is one cell short.
        if counts[-1] > 0 and set(counts[1:]) <= {counts[-1]} and counts[0] in (counts[-1], counts[-1] - 1):
            return delimiter
    return ","


def _split(path: str | os.PathLike[str], text: str, delimiter: str) -> tuple[list[list[str]], list[str], str]:
    """The raw cells of every row, what ends the rows, and the blank lines at the end."""
    if '"' in text:
        rows, ends = _split_quoted(path, text, delimiter)
    else:
        pieces = _LINE_ENDS.split(text)
        rows, ends = [line.split(delimiter) for line in pieces[::2]], [*pieces[1::2], ""]
    tail: list[str] = []
    while len(rows) > 1 and rows[-1] == [""]:
        rows.pop()
        tail.insert(0, ends.pop())
    return rows, ends, "".join(tail)


def _split_quoted(path: str | os.PathLike[str], text: str, delimiter: str) -> tuple[list[list[str]], list[str]]:
    sign = re.escape(delimiter)
    cell = re.compile(rf'("[^"]*(?:""[^"]*)*"[^{sign}\r\n]*|[^{sign}"\r\n][^{sign}\r\n]*|)({sign}|\r\n|\n|\r|\Z)')
    rows: list[list[str]] = [[]]
    ends: list[str] = []
    at = 0
    while found := cell.match(text, at):
        rows[-1].append(found[1])
        at = found.end()
        if found[2] != delimiter:
            ends.append(found[2])
            if not found[2]:
                return rows, ends
            rows.append([])
    line = 1 + len(_LINE_ENDS.findall(text[:at]))
    raise FileError(f"{path}: the quote that opens a cell in line {line} is never closed")


def _check_lengths(path: str | os.PathLike[str], layout: TextLayout) -> None:
    rows = layout.rows
    # What most rows have; the header's length where two lengths are as frequent.
    width = Counter(map(len, rows)).most_common(1)[0][0]
    for i, row in enumerate(rows):
        # R writes no name above its row names, so there the first row is one cell short; others end it by a delimiter.
        short = len(row) == width - 1 and len(rows) > 2
        long = len(row) == width + 1 and not unquote(row[-1]).strip()
        if len(row) != width and not (i == 0 and (short or long)):
            raise FileError(
                f"{path}: line {layout.line(i)} has {len(row)} cells where {width} are expected "
                f"(delimiter {layout.delimiter!r})"
            )


def _parser(path: str | os.PathLike[str], text: str, layout: TextLayout, options: TextOptions) -> Parser:
    """A parser for the signs with which the numbers of a table are written."""
    parse = Parser(options.na)
    seen = _SIGNS if layout.delimiter != "," or '"' in text else _SIGNS_BUT_COMMAS
    if options.decimal is None and options.thousands is None and not seen.search(text):
        return parse
    below = layout.rows[1:] or layout.rows  # the first row may be a header, and tells nothing
    try:
        signs = find_signs(zip(*below, strict=True), parse, options.decimal, options.thousands)
    except AmbiguousSigns as error:
        raise _ambiguous(path, layout, error) from None
    return parse.with_signs(signs)


def _ambiguous(path: str | os.PathLike[str], layout: TextLayout, error: AmbiguousSigns) -> FileError:
    """The refusal of a table whose numbers may mean two things, with the first place where that shows."""
    cells = ((i, j, unquote(cell).strip()) for i, row in enumerate(layout.rows) for j, cell in enumerate(row))
    i, j = next((i, j) for i, j, text in cells if text == error.text)
    return FileError(
        f"{path}: line {layout.line(i)}, column {j + 1}: {shown(error.text)} may be {error.low:g} or {error.high:g}, "
        "and no cell tells which: say --decimal , or --thousands , (decimal=, thousands=)"
    )


def _has_header(path: str | os.PathLike[str], rows: list[list[str]], parse: Parser) -> bool:
    """Whether the first row names the columns, by what it has above columns of numbers and above others."""
    first, below = rows[0], rows[1 : _SAMPLE + 1]
    text = [parse.is_text(cell) and not is_marker(cell) for cell in first]
    if not below or len(first) < len(below[0]):
        return bool(below) or any(text)
    kinds = [classify(at, "", raw, parse).kind for at, raw in enumerate(zip(*below, strict=True))]
    numeric = [kind in (Kind.NUMBERS, Kind.IDENTIFIERS, Kind.MIXED) for kind in kinds]
    if not any(text):
        labels = kinds[0] in (Kind.TEXT, Kind.DATES)
        return parse.is_missing(first[0]) and (labels or _numbered(rows, parse))
    if any(is_date(unquote(cell)) and kind is Kind.DATES for cell, kind in zip(first, kinds, strict=False)):
        return False
    is_name = any(t and n for t, n in zip(text, numeric, strict=False))
    is_value = any(parse.is_number(cell) and n for cell, n in zip(first, numeric, strict=False))
    if is_name and not is_value:
        return True
    if not all(text) and any(
        t and cell in [row[at] for row in below] for at, (t, cell) in enumerate(zip(text, first, strict=True))
    ):
        return False  # a label that comes again
    if _counts_on(first, parse) and not _counts_on(below[0], parse):
        return True
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


def _numbered(rows: list[list[str]], parse: Parser) -> bool:
    """Whether header and index just count from 0, as pandas writes them."""
    across = [parse.number(cell) for cell in rows[0][1:]]
    down = [parse.number(row[0]) for row in rows[1:]]
    return across == list(range(len(across))) and down == list(range(len(down)))


def _names(layout: TextLayout, width: int) -> list[str]:
    """The names of the columns, from the header; nothing where there is none."""
    if not layout.header:
        return [""] * width
    names = [unquote(cell).strip() for cell in layout.rows[0]]
    return (["", *names] if len(names) < width and not _ends_rows(layout) else [*names, ""])[:width]


def _ends_rows(layout: TextLayout) -> bool:
    """Whether every row below the header just ends by one delimiter more than that."""
    return not any(unquote(row[-1]).strip() for row in layout.rows[1:])


def _classified(
    path: str | os.PathLike[str], layout: TextLayout, parse: Parser, index_columns: int | None
) -> list[Column]:
    """What each column of the file is."""
    body = layout.rows[layout.header :]
    if not body:
        raise FileError(f"{path}: there is no row below the header")
    names = _names(layout, len(body[0]))
    columns = [classify(at, names[at], raw, parse) for at, raw in enumerate(zip(*body, strict=True))]
    if index_columns is None:
        unnamed = layout.header and not names[0] and columns[0].kind is not Kind.EMPTY
        return [replace(columns[0], kind=Kind.LABELS), *columns[1:]] if unnamed else columns
    labels = [replace(column, kind=Kind.LABELS) for column in columns[:index_columns]]
    rest = columns[len(labels) :]
    if index_columns == 0 and rest[0].kind is Kind.IDENTIFIERS and rest[0].by_pattern:
        rest[0] = replace(rest[0], kind=Kind.NUMBERS)
    return [*labels, *rest]


def _chosen(
    path: str | os.PathLike[str], layout: TextLayout, columns: list[Column], options: TextOptions
) -> list[Column]:
    """The columns to be completed: those told, else all of numbers; FileError where one is not of numbers."""
    ignored = set(_places(path, columns, options.ignore_columns))
    if options.columns:
        told = set(_places(path, columns, options.columns)) - ignored
        chosen = [column for column in columns if column.at in told]
    else:
        chosen = [c for c in columns if c.kind in (Kind.NUMBERS, Kind.MIXED) and c.at not in ignored]
        # Where there is nothing else, what seems to count is what there is.
        chosen = chosen or [c for c in columns if c.by_pattern and c.kind is Kind.IDENTIFIERS and c.at not in ignored]
    if not chosen and all(column.kind is Kind.EMPTY for column in columns):
        raise FileError(f"{path}: all {len(columns) * len(columns[0].values)} values are missing")
    if not chosen:
        found = ", ".join(f"{column.label} ({column.kind})" for column in columns[:6])
        raise FileError(f"{path}: there is no column of numbers: {found}{', ...' if len(columns) > 6 else ''}")
    for column in chosen:
        if column.kind is Kind.EMPTY:
            raise FileError(f"{path}: {column.label} has no number in it: nothing can be learnt for it")
    wrong = [(i, c) for c in chosen if None in c.values for i in [c.values.index(None)]]
    if wrong:
        raise _not_a_number(path, layout, *min(wrong, key=lambda found: (found[0], found[1].at)))
    return chosen


def _places(path: str | os.PathLike[str], columns: list[Column], told: Iterable[str | int]) -> list[int]:
    """Places, from 0, of columns that are told by name or number from 1, in text with commas and ranges such as 3-7."""
    names = [column.name for column in columns]
    found = []
    for one in told:
        parts = [str(one).strip()] if isinstance(one, int) or one.strip() in names else one.split(",")
        for part in map(str.strip, parts):
            found += [names.index(part)] if names.count(part) == 1 else _range(path, columns, part)
    return found


def _range(path: str | os.PathLike[str], columns: list[Column], part: str) -> list[int]:
    """Places of the columns that "4" or "3-7" numbers from 1."""
    if [column.name for column in columns].count(part) > 1:
        raise FileError(f"{path}: there are several columns {shown(part)}: give them by number")
    number = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
    first, last = (int(number[1]), int(number[2] or number[1])) if number else (0, 0)
    if not 1 <= first <= last <= len(columns):
        there = ", ".join(column.label for column in columns[:12])
        raise FileError(f"{path}: there is no column {shown(part)}; there are {len(columns)}: {there}")
    return list(range(first - 1, last))


def _not_a_number(path: str | os.PathLike[str], layout: TextLayout, i: int, column: Column) -> FileError:
    row = i + layout.header
    text = unquote(layout.rows[row][column.at]).strip()
    hint = f"--ignore-columns {column.at + 1} leaves the column alone, --na {shown(text)} takes the cell for missing"
    if column.at == 0:
        hint = f"a column of labels: --index-columns 1; {hint}"
    return FileError(f"{path}: line {layout.line(row)}, column {column.at + 1} is not a number: {shown(text)} ({hint})")


def _quote(raw: str, delimiter: str) -> str:
    """A raw cell for a file with another delimiter."""
    if delimiter in raw and not raw.startswith('"'):
        return '"' + raw.replace('"', '""') + '"'
    return raw
