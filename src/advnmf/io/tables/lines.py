"""The lines of a text file: which of them are rows of the table, and which are around it.

Rows are the longest run of lines that are cut into equally many cells. What stands before and after it is a preamble
and a footer where it does not look like rows; a line among the rows that is cut otherwise is an error.
"""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..files import FileError, suffix
from .cutting import BLANK, check_delimiter, cut, find_delimiter, opens_quote
from .numbers import is_signed_number, unquote

__all__ = ["Lines", "arrange", "is_empty", "without_end"]

_COMMENTS = ("#", "%", "//", "!")
# Marks of missing cells that begin like a comment.
_NO_COMMENT = re.compile(r"#(n/?a|div/0!|value!|ref!|null!|num!|name\?)", re.IGNORECASE)


@dataclass(frozen=True)
class Lines:
    """The records of a text file, each with what ends it, and which of them are rows of the table."""

    records: list[str]
    sign: str  # what separates the cells
    width: int  # cells of a row
    rows: list[int]  # records, in order
    above: int | None = None  # a record above the rows that names the columns, though it is cut otherwise
    comment: str = ""  # what comments begin with, the record `above` among them
    skipped: dict[str, int] = field(default_factory=dict)  # what stands around the rows: how many lines

    def line(self, record: int) -> int:
        """The line, from 1, on which a record begins; a quoted cell may span several."""
        return 1 + sum(max(len(re.findall(r"\r\n|\n|\r", text)), 1) for text in self.records[:record])

    def cells(self, record: int) -> list[str]:
        """The raw cells of a record."""
        text = without_end(self.records[record])
        if self.comment and record == self.above:
            text = text.strip().removeprefix(self.comment).strip()
        return cut(text, self.sign)


def arrange(
    path: str | os.PathLike[str], text: str, delimiter: str | None, skip_rows: int = 0, comment: str | None = None
) -> Lines:
    """The lines of a file, told apart; FileError where one among the rows has another number of cells."""
    records = list(io.StringIO(text, newline=""))  # at \r\n, \n and \r, and at nothing else
    if skip_rows >= len(records):
        raise FileError(f"{path}: --skip-rows {skip_rows} leaves nothing of {len(records)} lines")
    told = comment is not None
    comment = _comment_sign(records[skip_rows:]) if comment is None else comment
    sign = delimiter or _delimiter(path, [r for r in records[skip_rows:] if not _is_comment(r, comment)])
    check_delimiter(path, sign)
    if '"' in text:
        records = _joined(path, records, sign, skip_rows)
    return _Arrangement(path, records, sign, skip_rows, comment, told).lines()


def without_end(record: str) -> str:
    """A record without its line end."""
    return record.rstrip("\r\n")


def is_empty(cells: Sequence[str]) -> bool:
    """Whether all cells are empty."""
    return not any(unquote(cell).strip() for cell in cells)


def _delimiter(path: str | os.PathLike[str], records: list[str]) -> str:
    lines = [without_end(record) for record in records]
    if suffix(path) == "tsv" and any("\t" in line for line in lines):
        return "\t"
    return find_delimiter(lines)


def _comment_sign(records: list[str]) -> str:
    """What comments begin with: a sign that begins lines, but not most of them and the last."""
    lines = [record.lstrip() for record in records if record.strip()]
    for sign in _COMMENTS:
        found = [line.startswith(sign) and not _NO_COMMENT.match(line) for line in lines]
        if any(found) and not all(found) and not (found[-1] and 2 * sum(found) > len(found)):
            return sign
    return ""


def _is_comment(record: str, sign: str) -> bool:
    if not sign:
        return False
    text = record.lstrip().removeprefix('"')
    return text.startswith(sign) and not _NO_COMMENT.match(text)


def _joined(path: str | os.PathLike[str], records: list[str], sign: str, skip_rows: int) -> list[str]:
    """The records, those put together that a quoted cell spans."""
    joined: list[str] = []
    open_at = -1
    for number, record in enumerate(records):
        if open_at >= 0:
            joined[-1] += record
            open_at = -1 if record.count('"') % 2 else open_at
            continue
        joined.append(record)
        if number >= skip_rows and '"' in record and opens_quote(without_end(record), sign):
            open_at = number
    if open_at >= 0:
        raise FileError(f"{path}: the quote that opens a cell in line {open_at + 1} is never closed")
    return joined


class _Arrangement:
    """The work of `arrange` on the records of a file."""

    def __init__(self, path: object, records: list[str], sign: str, skip_rows: int, comment: str, told: bool) -> None:
        self.path, self.records, self.sign, self.comment, self.told = path, records, sign, comment, told
        self.skip_rows = skip_rows
        self.skipped: dict[str, int] = {}
        if skip_rows:
            self.skipped["preamble"] = skip_rows
        later = range(skip_rows, len(records))
        self.comments = {i for i in later if _is_comment(records[i], comment)} if comment else set()
        self.content = [i for i in later if i not in self.comments and not self._is_blank(records[i])]
        if not self.content:
            raise FileError(f"{path} is empty: there are comments and blank lines only")

    def lines(self) -> Lines:
        """The rows, and what is around them."""
        widths = np.array([self._n_cells(i) for i in self.content])
        width = self._width(widths)
        begin, end = _longest_run(widths == width)
        rows = self.content[begin:end]
        self.typical = self._typical(rows)
        above = self._above(self.content[:begin], widths[:begin], rows, width)
        self._check_before(self.content[:begin], widths[:begin], above, rows[0], width)
        self._check_after(self.content[end:], width)
        n_above = begin if above is None else self.content.index(above)
        self._count("preamble", n_above)
        self._count("units", max(begin - n_above - 1, 0))
        self._count("footer", len(self.content) - end)
        rows = self._without_tail(rows)
        rows, above = self._with_comments(rows, above, width)
        if width == 1:  # a blank line is an empty cell
            rows = [i for i in range(rows[0], rows[-1] + 1) if i not in self.comments]
        self._count("comments", len(self.comments - set(rows) - {above}))
        return Lines(self.records, self.sign, width, rows, above, self.comment, self.skipped)

    def _is_blank(self, record: str) -> bool:
        return record.isspace() and (self.sign == BLANK or self.sign not in record)

    def _count(self, what: str, n_lines: int) -> None:
        if n_lines:
            self.skipped[what] = self.skipped.get(what, 0) + n_lines

    def _cells(self, i: int) -> list[str]:
        return cut(without_end(self.records[i]), self.sign)

    def _n_cells(self, i: int) -> int:
        record = self.records[i]
        if self.sign != BLANK and '"' not in record:
            return record.count(self.sign) + 1
        return len(self._cells(i))

    def _width(self, widths: np.ndarray) -> int:
        """What most rows have, the first of equally frequent ones; one only where there is no more, or numbers."""
        several = Counter(widths[widths > 1].tolist()).most_common(1)
        alone = np.flatnonzero(widths == 1)
        if not several:
            return 1
        numbers = sum(is_signed_number(unquote(self.records[self.content[k]].strip())) for k in alone)
        return 1 if len(alone) > several[0][1] and 2 * numbers > len(alone) else several[0][0]

    def _typical(self, rows: list[int]) -> int:
        """How many numbers a row has."""
        sample = rows[1:200] or rows
        return int(np.median([_n_numbers(self._cells(i)) for i in sample]))

    def _above(self, before: list[int], widths: np.ndarray, rows: list[int], width: int) -> int | None:
        """The record above the rows that names the columns: one cell short as R writes it, or one long, or with units
        in fewer cells below it.
        """
        if not before or len(rows) < 2 or not _n_numbers(self._cells(rows[0])):
            return None
        if len(before) > 1 and widths[-2] == width and not any(_n_numbers(self._cells(i)) for i in before[-2:]):
            return before[-2]
        cells = self._cells(before[-1])
        short = widths[-1] == width - 1
        long = widths[-1] == width + 1 and not unquote(cells[-1]).strip()
        return before[-1] if (short or long) and (len(before) == 1 or not _n_numbers(cells)) else None

    def _check_before(self, before: list[int], widths: np.ndarray, above: int | None, first: int, width: int) -> None:
        """FileError where a line before the rows looks like one of them, or like their names."""
        named = not _n_numbers(self._cells(first))  # what is above names is no row
        rows_like = [
            i
            for i, n_cells in zip(before, widths.tolist(), strict=True)
            if i != above and (n_cells == width or not named) and self._like_a_row(self._cells(i), n_cells == width)
        ]
        if rows_like:
            odd = next(i for i, n in zip(before, widths.tolist(), strict=True) if i >= rows_like[0] and n != width)
            raise self._ragged(odd, width, first)
        near = before[-1:] if above is None and self.sign != BLANK else []
        if near and width / 2 < widths[-1] and widths[-1] > 1 and not named:
            raise self._ragged(near[0], width, first)

    def _check_after(self, after: list[int], width: int) -> None:
        for i in after:
            if self._like_a_row(self._cells(i), True):
                odd = next(k for k in after if self._n_cells(k) != width)
                raise self._ragged(odd, width)

    def _like_a_row(self, cells: list[str], labels: bool) -> bool:
        """Whether a line has at least half as many numbers as a row, beside labels or not."""
        numbers = _n_numbers(cells)
        return numbers >= max(self.typical / 2, 1) and (labels or numbers == sum(map(bool, cells)))

    def _ragged(self, i: int, width: int, first: int | None = None) -> FileError:
        """The refusal of a record with another number of cells; `first` is the one with which the rows begin."""
        above = "" if first is None else f"; --skip-rows {self._line(first) - 1} if the table begins below"
        blank = ": white space leaves no cell empty, save the table as csv" if self.sign == BLANK else ""
        name = "white space" if self.sign == BLANK else repr(self.sign)
        return FileError(
            f"{self.path}: line {self._line(i)} has {self._n_cells(i)} cells where {width} are expected "
            f"(delimiter {name}){blank}{above}"
        )

    def _line(self, i: int) -> int:
        return Lines(self.records, self.sign, 0, []).line(i)

    def _without_tail(self, rows: list[int]) -> list[int]:
        """The rows without empty ones at their end, and without a footer of one cell below an empty row."""
        end = self._end_of_filled(rows)
        for k in range(end - 1, max(end - 12, 1), -1):
            cells = self._cells(rows[k])
            above_blank = is_empty(self._cells(rows[k - 1])) or rows[k - 1] + 1 < rows[k]
            if not _is_remark(cells):
                break
            if above_blank:
                self._count("footer", end - k)
                end = self._end_of_filled(rows[:k])
                break
        self._count("empty rows", sum(is_empty(self._cells(i)) for i in rows[end:]))
        return rows[:end]

    def _end_of_filled(self, rows: list[int]) -> int:
        end = len(rows)
        while end > 1 and is_empty(self._cells(rows[end - 1])):
            end -= 1
        return end if end > 1 else len(rows)

    def _with_comments(self, rows: list[int], above: int | None, width: int) -> tuple[list[int], int | None]:
        """The rows with those that only begin like a comment, and the comment above them that names the columns."""
        inside = [i for i in self.comments if self._n_cells(i) == width and self._like_a_row(self._cells(i), True)]
        if inside and not self.told:
            rows = sorted({*rows, *(i for i in inside if i > rows[0])})
        if above is not None or not _n_numbers(self._cells(rows[0])):
            return rows, above
        named = []
        i = rows[0] - 1
        while i in self.comments:
            cells = cut(without_end(self.records[i]).strip().removeprefix(self.comment).strip(), self.sign)
            if len(cells) != width or _n_numbers(cells):
                break
            named.append(i)
            i -= 1
        return rows, named[-1] if named else None


def _n_numbers(cells: Sequence[str]) -> int:
    return sum(is_signed_number(unquote(cell).strip()) for cell in cells)


def _is_remark(cells: list[str]) -> bool:
    """Whether only the first cell has anything in it, and that is text of several words."""
    text = unquote(cells[0]).strip()
    return len(cells) > 1 and is_empty(cells[1:]) and " " in text and not is_signed_number(text)


def _longest_run(fits: np.ndarray) -> tuple[int, int]:
    """Begin and end of the longest run of True, the first of equally long ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], fits, [False]]).astype(np.int8)))
    begins, ends = edges[::2], edges[1::2]
    best = int(np.argmax(ends - begins))
    return int(begins[best]), int(ends[best])
