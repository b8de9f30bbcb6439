"""Tables with holes, read from files of many formats, and written back with only the holes filled.

A table goes out as it came in: in a file of text every observed cell, label, quote, comment and line ending comes back
as the very same text and only the holes get numbers; in an array file the dtype and the other arrays of the file are
kept; in a cube the dtype, the interleave, the header and the bad bands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...data.columns import Kind
from ..files import STANDARD, FileError, check_target, suffix, write_bytes
from . import arrays, envi, text
from .arrays import Container
from .checks import check_table
from .columns import Column, shown
from .cutting import check_delimiter
from .envi import Cube
from .numbers import MISSING, Digits, text_of
from .source import KINDS, named_kind, pack, packing_of, read_source
from .text import TextLayout, TextOptions

__all__ = [
    "MISSING",
    "Container",
    "Cube",
    "Decimals",
    "Table",
    "TextLayout",
    "check_table",
    "check_table_target",
    "like_triplets",
    "read_table",
    "write_table",
]

Decimals = int | Literal["auto", "full"]

_ARRAYS = ("npy", "npz", "mat")


@dataclass(frozen=True)
class Table:
    """A matrix with NaN where it has holes, and what of its file has to survive the filling."""

    values: np.ndarray
    path: str = "table"
    kind: str = ""  # the format of the file
    text: TextLayout | None = None
    container: Container | None = None
    stored: np.ndarray | None = None  # as an array file has it: integers cannot say "missing"
    markers: tuple[float, ...] = ()  # what says it instead
    cube: Cube | None = None

    @property
    def missing(self) -> np.ndarray:
        """Boolean array of the shape of `values`, True at the holes."""
        return np.isnan(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns of the matrix are called; empty where nothing says it."""
        if self.text is None or not self.text.header:
            return ()
        return tuple(self.text.names[at] or f"column {at + 1}" for at in self.text.columns)

    @property
    def left_alone(self) -> tuple[Column, ...]:
        """The columns of the file that take no part."""
        return () if self.text is None else self.text.left_alone

    @property
    def skipped(self) -> dict[str, int]:
        """Lines of the file that are no rows of the table, by kind."""
        return {} if self.text is None else self.text.skipped

    def place(self, i: int, j: int) -> str:
        """Where entry (i, j), counted from 0, stands in the file, counted from 1 as people do."""
        if self.cube is not None:
            return self.cube.place(i, j)
        if self.text is None:
            return f"row {i + 1}, column {j + 1}"
        return f"line {self.text.line(i)}, column {self.text.columns[j] + 1}"


def read_table(
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    header: bool | None = None,
    index_columns: int | None = None,
    na: Iterable[str] = (),
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    columns: Iterable[str | int] = (),
    ignore_columns: Iterable[str | int] = (),
    skip_rows: int = 0,
    comment: str | None = None,
    max_bytes: int | None = None,
) -> Table:
    """The matrix in a file, with NaN where a cell is missing; its content tells the format, or else its name.

    Formats: text (csv, tsv, white space and others, in UTF-8, UTF-16 or an older encoding), npy, npz, mat and ENVI
    cubes (hdr), each as it is or packed with gzip, bzip2, xz or zip. Of an ENVI cube it is the matrix pixels x bands,
    without the bands that the header calls bad, with NaN also where a sample is the header's "data ignore value".

    Parameters
    ----------
    path : path
        ``-`` is standard input.
    key : str, optional
        Name of the array within an npz or mat file; needed where the file holds several.
    header : bool, optional
        Whether the first row of a text file names the columns. Without it: it does if it has text above columns of
        numbers and no number above one, or if its first cell is empty above a column of labels; it does not if none is
        text, or if its text is a date or a label as below. Any other first row with both text and numbers is refused,
        because either guess could be silent damage.
    index_columns : int, optional
        How many leading columns of a text file are labels. Without it: one if the header leaves the first unnamed,
        else none but what the columns themselves tell.
    na : iterable of str
        Further markers of missing cells. In an array file they must be numbers.
    delimiter : str, optional
        One character, or ``::``; a blank is white space of any length. Without it: the first of ``; tab | ::`` and
        comma that cuts most lines into equally many cells with numbers among them, or else white space.
    decimal, thousands : str, optional
        The decimal sign ("." or ",") of a text file, and what separates thousands. Without them the cells tell:
        1,5 is a decimal comma, 1,234.5 has thousands; where 41,000 may be either, it is refused.
    columns, ignore_columns : iterable of str or int
        Columns of a text file that are to be completed, or left alone: names, or numbers from 1. Without `columns`
        all of numbers are completed. Columns of text, dates, identifiers and times (integers that only grow one
        in each row, YYYYMMDD, names such as id, no or year) and empty ones are left alone wherever they stand.
    skip_rows : int
        Lines at the beginning of a text file that are no part of the table. Without it: those that are cut into fewer
        cells than the rows of the table and hold no such rows.
    comment : str, optional
        What comments of a text file begin with, or an empty string where there are none. Without it: ``# % //`` or
        ``!`` at the beginning of some lines, but not of the rows.
    max_bytes : int, optional
        Refuse compressed files that unpack to more; see `advnmf.io.limits`.

    Raises
    ------
    FileError
        (a ValueError) with a one-line message: a wrong or damaged file, text where a number should be
        (with line and column), rows of unequal length, several arrays and no key, pickled objects, complex
        or text arrays.
    """
    options = TextOptions(
        header, index_columns, tuple(na), delimiter, decimal, thousands, tuple(columns), tuple(ignore_columns),
        skip_rows, comment,
    )  # fmt: skip
    source = read_source(path, max_bytes)
    if source.kind == "text":
        _refuse_key(path, "text", key)
        values, layout = text.read(source, options)
        return Table(values, source.path, source.kind, layout)
    for option in options.given():
        raise FileError(f"{path}: {option.replace('_', '-')} is for tables of text, not for {source.kind}")
    if source.kind == "hdr":
        _refuse_key(path, "hdr", key)
        values, cube = envi.read(path, options.na)
        return Table(values, source.path, source.kind, cube=cube)
    values, stored, container = arrays.read(source, key, options.na, max_bytes)
    markers = tuple(arrays.parse_markers(path, options.na))
    return Table(values, source.path, source.kind, container=container, stored=stored, markers=markers)


def write_table(
    path: str | os.PathLike[str],
    table: Table,
    values: np.ndarray | None = None,
    *,
    delimiter: str | None = None,
    decimals: Decimals = "auto",
    overwrite: bool = False,
) -> None:
    """A file with the table, its holes filled from `values`, its observed entries as they were.

    The extension of `path` tells the format, and whether it is packed. The file is written whole or not at all.

    Parameters
    ----------
    path : path
        ``-`` is standard output, in the format of the file that was read.
    table : Table
        From `read_table`, or ``Table(values)``.
    values : array of the table's shape, optional
        Used at the table's missing entries only. Without it the holes stay holes.
    delimiter : str, optional
        For text. Without it: a tab for tsv; for csv the delimiter that the table was read with if that is a comma or
        a semicolon, else a comma; for any other name that of the table that was read.
    decimals : int, "auto" or "full"
        To how many decimals the numbers in a text file are rounded. "auto": as many as the observed cells of the
        column have, none among integers. "full": eight digits, whatever the column has.
    overwrite : bool
        Whether an existing file may be replaced.
    """
    check_table_target(path, table, delimiter=delimiter, overwrite=overwrite)
    filled = _fill(table, values)
    if table.cube is not None:
        filled = table.cube.filled(filled, table.missing & ~np.isnan(filled))
        if _format(path, table) == "hdr":
            envi.write(path, filled, table.cube, overwrite=overwrite)
            return
    content = _content(path, table, filled, delimiter, decimals)
    if str(path) == STANDARD:
        _write_standard_output(content)
        return
    packing = packing_of(path)
    content = pack(content, packing, os.path.basename(str(path))[: -len(".zip")]) if packing else content
    write_bytes(path, content, overwrite=overwrite)


def check_table_target(
    path: str | os.PathLike[str], table: Table, *, delimiter: str | None = None, overwrite: bool = False
) -> None:
    """FileError where `write_table` could not write `table`: to be known before hours of fitting."""
    kind = _format(path, table)
    if kind == "hdr":
        if str(path) == STANDARD or packing_of(path):
            raise FileError(f"{path}: a cube is written to files of its own: name an hdr, npy, npz or mat file")
        envi.check(path, table.cube, overwrite=overwrite)
    elif kind == "text" and table.cube is not None:
        raise FileError(f"{path}: a cube is not written as text; write an hdr, npy, npz or mat file")
    elif kind == "text":
        check_delimiter(path, _out_delimiter(path, table, delimiter))
    else:
        arrays.check(path, kind, table.path, table.container)
    if str(path) != STANDARD:
        check_target(path, overwrite=overwrite)


def like_triplets(table: Table) -> tuple[str, ...] | None:
    """The columns (user, item, rating) of a text table that has one column of numbers beside two of repeated labels."""
    layout = table.text
    if layout is None or len(layout.columns) != 1:
        return None
    labels = [c for c in layout.left_alone if c.kind in (Kind.TEXT, Kind.IDENTIFIERS, Kind.LABELS)]
    if len(labels) < 2:
        return None
    body = [layout.cells(i) for i in range(layout.n_rows)]
    repeated = [c for c in labels if len({row[c.at] for row in body}) <= len(body) / 2]
    if len(repeated) != 2 or len({tuple(row[c.at] for c in repeated) for row in body}) < 0.9 * len(body):
        return None
    at = [repeated[0].at, repeated[1].at, layout.columns[0]]
    names = [text_of(layout.names[k]) for k in at]
    return tuple(names) if all(names) else tuple(str(k + 1) for k in at)


def _refuse_key(path: str | os.PathLike[str], kind: str, key: str | None) -> None:
    if key is not None:
        raise FileError(f"{path}: --key {shown(key)} chooses an array of an npz or mat file; a {kind} file has none")


def _format(path: str | os.PathLike[str], table: Table) -> str:
    """The format in which a table is written to a file of this name."""
    kind = named_kind(path) or (table.kind if table.kind == "text" or str(path) == STANDARD else "")
    if not kind or kind not in ("text", "hdr", *_ARRAYS):
        raise FileError(f"{path}: the name must end in one of {', '.join('.' + name for name in KINDS)}")
    return kind


def _fill(table: Table, values: np.ndarray | None) -> np.ndarray:
    missing = table.missing
    stored = table.values if table.stored is None else table.stored
    if values is None or not missing.any():
        return stored
    values = np.asarray(values)
    if values.shape != table.values.shape:
        raise ValueError(f"values have shape {values.shape}, the table has {table.values.shape}")
    # Into a copy, so that type, byte order and memory layout stay as they were.
    filled = stored.copy(order="K")
    there = missing & ~np.isnan(values)
    filled[there] = arrays.in_type(values[there], filled.dtype, table.markers)
    return filled


def _content(
    path: str | os.PathLike[str], table: Table, filled: np.ndarray, delimiter: str | None, decimals: Decimals
) -> bytes:
    kind = _format(path, table)
    if kind != "text":
        return arrays.render(kind, filled, table.container)
    sign = _out_delimiter(path, table, delimiter)
    if table.text is None:
        return text.render_plain(filled, sign)
    holes = table.missing & ~np.isnan(filled)
    return text.render(table.text, filled, holes, sign, _digits(table.text, decimals))


def _digits(layout: TextLayout, decimals: Decimals) -> tuple[Digits, ...]:
    if decimals == "auto":
        return layout.digits
    return tuple(Digits() if decimals == "full" else Digits(int(decimals)) for _ in layout.digits)


def _out_delimiter(path: str | os.PathLike[str], table: Table, delimiter: str | None) -> str:
    if delimiter is not None:
        return delimiter
    layout = table.text
    name = suffix(str(path)[: -len(suffix(path)) - 1] if packing_of(path) else path)
    if name == "tsv":
        return "\t"
    # A table keeps the delimiter of its file, but nobody expects tabs or blanks in a csv file made from another.
    if name == "csv" and not (layout is not None and (layout.delimiter in ",;" or suffix(table.path) == "csv")):
        return ";" if layout is not None and layout.decimal == "," else ","
    return "," if layout is None else layout.delimiter


def _write_standard_output(content: bytes) -> None:
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
