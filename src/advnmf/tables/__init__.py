"""Tables with holes, read from and written to csv, tsv, npy, npz and mat files, and cubes in ENVI files.

A table goes out as it came in: in a text file every observed cell, label, quote and line ending comes back as
the very same text and only the holes get numbers; in an array file the dtype and the other arrays of the
file are kept; in a cube the dtype, the interleave, the header and the bad bands.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..files import FileError, check_target, suffix, write_bytes
from . import arrays, cubes, text
from .arrays import Container
from .cubes import Cube
from .text import MISSING, TextLayout

__all__ = [
    "FORMATS",
    "MISSING",
    "Container",
    "Cube",
    "Table",
    "TextLayout",
    "check_table",
    "check_table_target",
    "read_table",
    "write_table",
]

_TEXT = ("csv", "tsv")
_ARRAYS = ("npy", "npz", "mat")
_CUBE = "hdr"
FORMATS = (*_TEXT, *_ARRAYS, _CUBE)


@dataclass(frozen=True)
class Table:
    """A matrix with NaN where it has holes, and what of its file has to survive the filling."""

    values: np.ndarray
    path: str = "table"
    text: TextLayout | None = None
    container: Container | None = None
    cube: Cube | None = None

    @property
    def missing(self) -> np.ndarray:
        """Boolean array of the shape of `values`, True at the holes."""
        return np.isnan(self.values)

    def place(self, i: int, j: int) -> str:
        """Where entry (i, j), counted from 0, stands in the file, counted from 1 as people do."""
        if self.cube is not None:
            return self.cube.place(i, j)
        if self.text is None:
            return f"row {i + 1}, column {j + 1}"
        column = j + self.text.index_columns + 1
        return f"line {self.text.line(i + self.text.header)}, column {column}"


def read_table(
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    header: bool | None = None,
    index_columns: int | None = None,
    na: Iterable[str] = (),
    delimiter: str | None = None,
    decimal: str = ".",
) -> Table:
    """The matrix in a csv, tsv, npy, npz or mat file, with NaN where a cell is missing.

    Of an ENVI cube (its hdr file) it is the matrix pixels x bands, without the bands that the header calls bad, with
    NaN also where a sample is the header's "data ignore value".

    Parameters
    ----------
    path : path
        The extension tells the format.
    key : str, optional
        Name of the array within an npz or mat file; needed where the file holds several.
    header : bool, optional
        Whether the first row of a text file names the columns. Without it: it does if its cells are all text,
        or if its first cell is empty above a column of labels; it does not if none is text. A first row with
        both text and numbers is refused, because either guess could be silent damage.
    index_columns : int, optional
        How many leading columns of a text file are labels. Without it: one if the first column has text and
        no number, or if the header leaves it unnamed, else none.
    na : iterable of str
        Further markers of missing cells. In an array file they must be numbers.
    delimiter : str, optional
        One character. Without it: a tab for tsv; for csv the first of semicolon, tab and comma that cuts
        the first lines into equally many cells, more than one.
    decimal : str
        "." or ",".

    Raises
    ------
    FileError
        (a ValueError) with a one-line message: a wrong or damaged file, text where a number should be
        (with line and column), rows of unequal length, several arrays and no key, pickled objects, complex
        or text arrays.
    """
    kind = _format(path)
    if kind in _TEXT:
        _refuse_key(path, kind, key)
        values, layout = text.read(path, header, index_columns, na, delimiter, decimal)
        return Table(values, str(path), text=layout)
    text_only = {
        "header": header,
        "index-columns": index_columns,
        "delimiter": delimiter,
        "decimal": None if decimal == "." else decimal,
    }
    for option, given in text_only.items():
        if given is not None:
            raise FileError(f"{path}: {option} is for csv and tsv files, not for {kind}")
    if kind == _CUBE:
        _refuse_key(path, kind, key)
        values, cube = cubes.read(path, na)
        return Table(values, str(path), cube=cube)
    values, container = arrays.read(path, key, na)
    return Table(values, str(path), container=container)


def write_table(
    path: str | os.PathLike[str],
    table: Table,
    values: np.ndarray | None = None,
    *,
    delimiter: str | None = None,
    overwrite: bool = False,
) -> None:
    """A file with the table, its holes filled from `values`, its observed entries as they were.

    The extension of `path` tells the format. The file is written whole or not at all.

    Parameters
    ----------
    path : path
    table : Table
        From `read_table`, or ``Table(values)``.
    values : array of the table's shape, optional
        Used at the table's missing entries only. Without it the holes stay holes.
    delimiter : str, optional
        For csv and tsv. Without it: a tab for tsv; for csv the delimiter that the table was read with, or a
        comma.
    overwrite : bool
        Whether an existing file may be replaced.
    """
    check_table_target(path, table, delimiter=delimiter, overwrite=overwrite)
    filled = _fill(table, values)
    if table.cube is not None:
        filled = table.cube.filled(filled, table.missing & ~np.isnan(filled))
        if _format(path) == _CUBE:
            cubes.write(path, filled, table.cube, overwrite=overwrite)
            return
    content = _content(path, table, filled, delimiter)
    write_bytes(path, content, overwrite=overwrite)


def check_table(table: Table, *, allow_negative: bool = False) -> None:
    """FileError where nothing is observed, or where an observed entry is infinite, or negative unless allowed."""
    values = table.values
    wrongs = [(np.isinf(values), "infinite", "")]
    if not allow_negative:
        wrongs.append((values < 0, "negative", " (--clip-negative takes them for 0)"))
    for wrong, word, cure in wrongs:
        if wrong.any():
            i, j = np.argwhere(wrong)[0]
            raise FileError(
                f"{table.path}: {word} value {values[i, j]:g} at {table.place(i, j)} "
                f"({np.count_nonzero(wrong)} in all); observed values must be finite and not negative{cure}"
            )
    if table.missing.all():
        raise FileError(f"{table.path}: all {values.size} values are missing")


def check_table_target(
    path: str | os.PathLike[str], table: Table, *, delimiter: str | None = None, overwrite: bool = False
) -> None:
    """FileError where `write_table` could not write `table`: to be known before hours of fitting."""
    kind = _format(path)
    if kind == _CUBE:
        cubes.check(path, table.cube, overwrite=overwrite)
    elif kind in _TEXT and table.cube is not None:
        raise FileError(f"{path}: a cube is not written as text; write an hdr, npy, npz or mat file")
    elif kind in _TEXT:
        decimal = table.text.decimal if table.text else "."
        text.check_delimiter(path, _out_delimiter(path, table, delimiter), decimal)
    else:
        arrays.check(path, table.path, table.container)
    check_target(path, overwrite=overwrite)


def _refuse_key(path: str | os.PathLike[str], kind: str, key: str | None) -> None:
    if key is not None:
        raise FileError(f"{path}: a key chooses an array of an npz or mat file; a {kind} file has none")


def _format(path: str | os.PathLike[str]) -> str:
    kind = suffix(path)
    if kind not in FORMATS:
        raise FileError(f"{path}: the name must end in one of {', '.join('.' + name for name in FORMATS)}")
    return kind


def _fill(table: Table, values: np.ndarray | None) -> np.ndarray:
    missing = table.missing
    if values is None or not missing.any():
        return table.values
    values = np.asarray(values)
    if values.shape != table.values.shape:
        raise ValueError(f"values have shape {values.shape}, the table has {table.values.shape}")
    # Into a copy, so that type, byte order and memory layout stay as they were.
    filled = table.values.copy(order="K")
    filled[missing] = values[missing]
    return filled


def _content(path: str | os.PathLike[str], table: Table, filled: np.ndarray, delimiter: str | None) -> bytes:
    kind = _format(path)
    if kind not in _TEXT:
        return arrays.render(kind, filled, table.container)
    sign = _out_delimiter(path, table, delimiter)
    if table.text is None:
        return text.render_plain(filled, sign)
    return text.render(table.text, filled, table.missing & ~np.isnan(filled), sign)


def _out_delimiter(path: str | os.PathLike[str], table: Table, delimiter: str | None) -> str:
    if delimiter is not None:
        return delimiter
    if _format(path) == "tsv":
        return "\t"
    # A table keeps the delimiter of its file, but nobody expects tabs in a csv file made from a tsv file.
    if table.text is None or suffix(table.path) == "tsv":
        return ";" if table.text is not None and table.text.decimal == "," else ","
    return table.text.delimiter
