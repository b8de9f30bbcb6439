"""Text tables of millions of rows: where every cell begins and ends, found without a loop over the rows.

Nothing is converted until it is asked for, so that a file can be written back byte for byte but for some cells.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..files import FileError, suffix
from .cutting import check_delimiter, find_delimiter
from .encodings import decode_text
from .numbers import unquote
from .source import read_source

Array = np.ndarray

BOM = b"\xef\xbb\xbf"
_QUOTE, _CR, _LF = b'"\r\n'


@dataclass(frozen=True)
class Cells:
    """The bytes of a text file, and where its cells are: cell k of row i is ``data[starts[i, k] : ends[i, k]]``."""

    path: str
    data: bytes
    delimiter: str
    starts: Array
    ends: Array

    def line(self, i: int) -> int:
        """The line, from 1, on which row i begins."""
        return 1 + _lines(self.data[: self.starts[i, 0]])

    def row(self, i: int) -> list[str]:
        """The cells of row i without their quotes."""
        return [self._text(self.data[a:b]) for a, b in zip(self.starts[i], self.ends[i], strict=True)]

    def column(self, k: int, first: int) -> tuple[Array, list[str]]:
        """Column k from row `first` on, as numbers of its different texts; and these, as they first appear."""
        starts, ends = self.starts[first:, k], self.ends[first:, k]
        codes = _distinct(self.data, starts, ends)
        where = _first_places(codes)
        return renumber(codes, [self._text(self.data[starts[n] : ends[n]]) for n in where.tolist()])

    def replaced(self, rows: Array, k: int, texts: Iterable[str]) -> bytes:
        """The file with other texts in some cells of column k (rows in ascending order)."""
        pieces: list[bytes] = []
        at = 0
        for start, end, new in zip(self.starts[rows, k].tolist(), self.ends[rows, k].tolist(), texts, strict=True):
            pieces += self.data[at:start], new.encode()
            at = end
        return b"".join([*pieces, self.data[at:]])

    @staticmethod
    def _text(cell: bytes) -> str:
        return unquote(_decode(cell))


def read_cells(path: str | os.PathLike[str], delimiter: str | None = None) -> Cells:
    """The cells of a text file; blank lines are passed over.

    Without `delimiter` a tab for tsv, else the first of semicolon, tab and comma that cuts the first lines alike.
    FileError where rows are of unequal length, or a quote stands within a cell.
    """
    data = _text(path)
    delimiter = delimiter or _delimiter(path, data)
    check_delimiter(path, delimiter, ".")
    if len(delimiter) > 1:
        raise FileError(f"{path}: ratings cannot be cut at {delimiter!r}: replace it by a tab or a comma")
    view = np.frombuffer(data, np.uint8)
    end_of_line = _LF if _LF in data else _CR
    cuts = (view == end_of_line) | (view == ord(delimiter))
    _leave_out_quoted(path, data, view, cuts)
    stops = np.flatnonzero(cuts)
    if not len(stops) or stops[-1] != len(data) - 1 or data[-1] != end_of_line:
        stops = np.append(stops, len(data))
    starts = np.concatenate([[len(BOM) if data.startswith(BOM) else 0], stops[:-1] + 1])
    last = np.append(view[stops[:-1]] == end_of_line, True)
    ends = stops - (last & (stops > starts) & (view[stops - 1] == _CR))
    lengths = np.diff(np.flatnonzero(last), prepend=-1)
    blank = (lengths == 1) & (starts == ends)[last]
    kept = np.repeat(~blank, lengths)
    wanted = lengths[~blank][0]
    odd = np.flatnonzero((lengths != wanted) & ~blank)
    if len(odd):
        line = 1 + _lines(data[: starts[np.concatenate([[0], np.cumsum(lengths)])[odd[0]]]])
        raise FileError(
            f"{path}: line {line} has {lengths[odd[0]]} cells where line 1 has {wanted} (delimiter {delimiter!r}): "
            "add what is missing, or quote what holds a delimiter"
        )
    shape = (-1, int(wanted))
    return Cells(str(path), data, delimiter, starts[kept].reshape(shape), ends[kept].reshape(shape))


def _text(path: str | os.PathLike[str]) -> bytes:
    """The content of a text file, in UTF-8 or an older encoding."""
    source = read_source(path)
    if source.kind != "text":
        raise FileError(f"{path} is no table of text: it is of the format {source.kind}")
    text, encoding, mark = decode_text(source.path, source.data)
    return (mark + text).encode() if encoding.startswith("utf-16") else source.data


def _delimiter(path: str | os.PathLike[str], data: bytes) -> str:
    if suffix(path) == "tsv":
        return "\t"
    head = _decode(data[: 2**17].removeprefix(BOM)).splitlines()
    return find_delimiter(head[:-1] or head)  # the last line is perhaps cut in its middle


def _decode(data: bytes) -> str:
    """Text in which bytes that are not UTF-8 (labels in an older encoding) pass unchanged to the written file."""
    return data.decode("utf-8", "surrogateescape")


def renumber(codes: Array, labels: list) -> tuple[Array, list]:
    """Labels in the order in which their numbers first appear, equal ones once, and the numbers that follow."""
    index: dict = {}
    new = np.empty(len(labels), np.int64)
    for old in np.argsort(_first_places(codes)).tolist():
        new[old] = index.setdefault(labels[old], len(index))
    return new[codes], list(index)


def _first_places(codes: Array) -> Array:
    """Where each of the numbers 0, 1, ... first stands."""
    first = np.empty(codes.max() + 1, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # of several assignments the last one stays
    return first


def _leave_out_quoted(path: str | os.PathLike[str], data: bytes, view: Array, cuts: Array) -> None:
    """Clear the cuts within quotes; quotes must enclose whole cells."""
    quotes = np.flatnonzero(view == _QUOTE)
    if not len(quotes):
        return
    cuts &= ~np.bitwise_xor.accumulate(view == _QUOTE)
    # A cut or another quote must stand before what opens and after what closes.
    border = cuts | (view == _QUOTE) | (view == _CR)
    before = len(BOM) if data.startswith(BOM) else 0
    opening, closing = quotes[::2], quotes[1::2]
    wrong = [opening[(opening > before) & ~border[opening - 1]]]
    wrong.append(closing[(closing + 1 < len(view)) & ~border[np.minimum(closing + 1, len(view) - 1)]])
    wrong.append(quotes[-1:] if len(quotes) % 2 else quotes[:0])
    if any(map(len, wrong)):
        line = 1 + _lines(data[: min(positions[0] for positions in wrong if len(positions))])
        raise FileError(f"{path}: a quote in line {line} does not enclose a cell: quote the whole, double those inside")


def _lines(data: bytes) -> int:
    return data.count(b"\n") or data.count(b"\r")


def _distinct(data: bytes, starts: Array, ends: Array) -> Array:
    """Numbers 0, 1, ... of cells, equal where these are: eight bytes after eight, as sorting integers is fast."""
    lengths = ends - starts
    codes = np.zeros(len(starts), np.int64)
    for done in range(0, int(lengths.max()), 8):
        rest = np.flatnonzero(lengths > done)
        word = _rank(_words(data, starts[rest] + done, lengths[rest] - done))
        so_far = codes[rest]
        codes[rest] = (_rank(so_far * (word.max() + 1) + word) if done else word) + codes.max() + 1
    used = np.zeros(codes.max() + 1, bool)
    used[codes] = True
    return (np.cumsum(used) - 1)[codes]


def _words(data: bytes, starts: Array, lengths: Array) -> Array:
    """The first eight bytes of cells, zeros after the end, as integers."""
    view = np.frombuffer(data, np.uint8)
    words = np.zeros((len(starts), 8), np.uint8)
    for j in range(8):
        there = lengths > j
        words[there, j] = view[starts[there] + j]
    return words.view(np.uint64).ravel()


def _rank(values: Array) -> Array:
    """Numbers 0, 1, ... of values in ascending order."""
    return np.unique(values, return_inverse=True)[1]
