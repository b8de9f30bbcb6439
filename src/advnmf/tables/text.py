"""Text tables, cut into cells that keep their text: csv and tsv.

The cells are kept raw, quotes and blanks included, so that a table is written back as the very same bytes but
for its holes. No csv reader at hand keeps them so.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..files import FileError, describe, read_bytes, suffix

#: What marks a missing cell of a text table, whatever its case and the blanks around it.
MISSING = ("", "na", "nan", "n/a", "#n/a", "null")

BOM = b"\xef\xbb\xbf"
_LINE_ENDS = re.compile(r"(\r\n|\n|\r)")


@dataclass(frozen=True)
class TextLayout:
    """All cells of a text table as they stand in the file, and where its numbers begin."""

    rows: list[list[str]]  # raw cells, quotes included
    ends: list[str]  # what ends each row
    delimiter: str
    header: bool = False
    index_columns: int = 0
    decimal: str = "."
    mark: str = ""  # a byte order mark, if the file begins with one
    tail: str = ""  # blank lines after the last row

    def line(self, i: int) -> int:
        """The line, from 1, on which row `i` of the file begins; a quoted cell may span several."""
        inside = (len(_LINE_ENDS.findall(cell)) for row in self.rows[:i] for cell in row if '"' in cell)
        return 1 + i + sum(inside)


def read(
    path: str | os.PathLike[str],
    header: bool | None,
    index_columns: int | None,
    na: Iterable[str],
    delimiter: str | None,
    decimal: str,
) -> tuple[np.ndarray, TextLayout]:
    """The numbers of a text table, NaN at its holes, and the table as it stands in the file."""
    text = decode(read_text(path))
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix(mark)
    delimiter = delimiter or ("\t" if suffix(path) == "tsv" else sniff(text))
    check_delimiter(path, delimiter, decimal)
    rows, ends, tail = _split(path, text, delimiter)
    layout = TextLayout(rows, ends, delimiter, decimal=decimal, mark=mark, tail=tail)
    _check_lengths(path, layout)
    parse = Parser(tuple(na), decimal)
    header = _has_header(path, rows, parse) if header is None else header
    if index_columns is None:
        index_columns = _has_index(rows, header, parse)
    layout = replace(layout, header=header, index_columns=index_columns)
    return _numbers(path, layout, parse), layout


def render(layout: TextLayout, values: np.ndarray, holes: np.ndarray, delimiter: str) -> bytes:
    """The bytes of a text table with numbers in its holes and all else as it was."""
    rows = layout.rows
    if delimiter != layout.delimiter:
        rows = [[_quote(cell, delimiter) for cell in row] for row in rows]
    lines = [delimiter.join(row) + end for row, end in zip(rows, layout.ends, strict=True)]
    for i in np.flatnonzero(holes.any(axis=1)):
        row = list(rows[i + layout.header])
        for j in np.flatnonzero(holes[i]):
            row[j + layout.index_columns] = number_text(values[i, j], layout.decimal, delimiter)
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


def check_delimiter(path: str | os.PathLike[str], delimiter: str, decimal: str) -> None:
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
        # R writes no name above its row names, so there the first row is one cell short.
        if len(row) != width and not (i == 0 and len(row) == width - 1 and len(rows) > 2):
            raise FileError(
                f"{path}: line {layout.line(i)} has {len(row)} cells where {width} are expected "
                f"(delimiter {layout.delimiter!r})"
            )


class Parser:
    """What a raw cell means: missing, a number, or text."""

    def __init__(self, na: tuple[str, ...], decimal: str) -> None:
        self.decimal = decimal
        self.markers = {*MISSING, *(text.strip().lower() for text in na)}
        # The spellings met most often, looked up before any string is changed.
        self.common = {*MISSING, "NA", "NaN", *na}
        self.numeric = [value for text in na if (value := self._float(text)) is not None]

    def number(self, raw: str) -> float | None:
        """The value of a raw cell, NaN where missing, None where it is text."""
        text = unquote(raw).strip()
        if text.lower() in self.markers:
            return math.nan
        value = self._float(text)
        return math.nan if value in self.numeric else value

    def row(self, raw: Sequence[str]) -> list[float] | None:
        """The values of a row of raw cells; None if one is text."""
        values = self._plain(raw)
        if values is None:
            values = [self.number(cell) for cell in raw]
        return None if None in values else values  # type: ignore[return-value]

    def is_text(self, raw: str) -> bool:
        """Whether a raw cell is neither missing nor a number."""
        return self.number(raw) is None

    def is_missing(self, raw: str) -> bool:
        """Whether a raw cell is missing."""
        value = self.number(raw)
        return value is not None and math.isnan(value)

    def _plain(self, raw: Sequence[str]) -> list[float] | None:
        """The fast way, for a row of unquoted plain numbers; None sends the row the careful way."""
        if self.decimal != "." or self.numeric:
            return None
        common = self.common
        try:
            values = [math.nan if cell in common else float(cell) for cell in raw]
        except ValueError:
            return None
        return None if any("_" in cell for cell in raw) else values

    def _float(self, text: str) -> float | None:
        if "_" in text:  # 1_000 is a number to Python only
            return None
        if self.decimal == ",":
            if "." in text:
                return None
            text = text.replace(",", ".")
        try:
            return float(text)
        except ValueError:
            return None


def unquote(raw: str) -> str:
    """The content of a raw cell."""
    if not raw.startswith('"'):
        return raw
    inside, _, after = raw[1:].rpartition('"')
    return inside.replace('""', '"') + after


def _has_header(path: str | os.PathLike[str], rows: list[list[str]], parse: Parser) -> bool:
    first, below = rows[0], rows[1:]
    if below and len(first) == len(below[0]) - 1:
        return True
    text = [parse.is_text(cell) for cell in first]
    empty = [parse.is_missing(cell) for cell in first]
    labels = _all_labels([row[0] for row in below], parse)
    if not any(text):
        return bool(below) and empty[0] and (labels or _numbered(rows, parse))
    only_a_label = text[0] and not any(text[1:]) and len(first) > 1
    mixed = not all(t or e for t, e in zip(text, empty, strict=True))
    if mixed or (only_a_label and labels):
        raise FileError(
            f"{path}: the first row holds both text and numbers, so it may be a header or data: "
            "say which with --header or --no-header (header=True or False)"
        )
    return True


def _has_index(rows: list[list[str]], header: bool, parse: Parser) -> int:
    below = rows[1:] if header else rows
    if header and below and len(rows[0]) == len(below[0]) - 1:
        return 1
    unnamed = header and not unquote(rows[0][0]).strip()
    return int(bool(below) and (unnamed or _all_labels([row[0] for row in below], parse)))


def _all_labels(column: list[str], parse: Parser) -> bool:
    """Whether a column has text and no number."""
    there = [cell for cell in column if not parse.is_missing(cell)]
    return bool(there) and all(map(parse.is_text, there))


def _numbered(rows: list[list[str]], parse: Parser) -> bool:
    """Whether header and index just count from 0, as pandas writes them."""
    across = [parse.number(cell) for cell in rows[0][1:]]
    down = [parse.number(row[0]) for row in rows[1:]]
    return across == list(range(len(across))) and down == list(range(len(down)))


def _numbers(path: str | os.PathLike[str], layout: TextLayout, parse: Parser) -> np.ndarray:
    body = layout.rows[layout.header :]
    if not body:
        raise FileError(f"{path}: there is no row below the header")
    start = layout.index_columns
    width = len(body[0]) - start
    if start < 0 or width < 1:
        raise FileError(f"{path}: {start} index columns leave no column of numbers (there are {len(body[0])})")
    values = np.empty((len(body), width))
    for i, row in enumerate(body):
        numbers = parse.row(row[start:])
        if numbers is None:
            raise _not_a_number(path, layout, i, parse)
        values[i] = numbers
    return values


def _not_a_number(path: str | os.PathLike[str], layout: TextLayout, i: int, parse: Parser) -> FileError:
    row = layout.rows[i + layout.header]
    j = next(j for j in range(layout.index_columns, len(row)) if parse.is_text(row[j]))
    text = unquote(row[j])
    shown = ascii(text if len(text) <= 40 else text[:37] + "...")
    hint = ""
    if re.fullmatch(r"\s*-?\d+,\d+\s*", text):
        hint = " (decimal commas: --decimal ,)"
    elif j == layout.index_columns:
        hint = f" (a column of labels: --index-columns {j + 1})"
    line = layout.line(i + layout.header)
    return FileError(f"{path}: line {line}, column {j + 1} is not a number: {shown}{hint}")


def number_text(value: float, decimal: str, delimiter: str) -> str:
    """An estimate as a cell of eight digits: it has no more, and 0.1 is not to be 0.10000000000000001."""
    text = f"{value:.8g}".replace(".", decimal)
    return f'"{text}"' if delimiter in text else text


def _quote(raw: str, delimiter: str) -> str:
    """A raw cell for a file with another delimiter."""
    if delimiter in raw and not raw.startswith('"'):
        return '"' + raw.replace('"', '""') + '"'
    return raw
