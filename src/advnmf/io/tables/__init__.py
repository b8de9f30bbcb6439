"""Tables with holes, read from and written to csv, tsv, npy, npz and mat files, and cubes in ENVI files.

A table goes out as it came in: in a text file every observed cell, label, quote and line ending comes back as
the very same text and only the holes get numbers; in an array file the dtype and the other arrays of the
file are kept; in a cube the dtype, the interleave, the header and the bad bands.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from ..files import FileError, check_target, suffix, write_bytes
from . import arrays, envi, text
from .arrays import Container
from .codes import Code, find_codes, is_noise
from .columns import Kind
from .envi import Cube
from .numbers import MISSING, unquote
from .text import TextLayout, TextOptions

__all__ = [
    "FORMATS",
    "MISSING",
    "Container",
    "Cube",
    "Table",
    "TextLayout",
    "all_missing",
    "check_table",
    "check_table_target",
    "like_triplets",
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
    stored: np.ndarray | None = None  # as an array file has it: integers cannot say "missing"
    markers: tuple[float, ...] = ()  # what says it instead
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
        return f"line {self.text.line(i + self.text.header)}, column {self.text.columns[j] + 1}"


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
    max_bytes: int | None = None,
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
        One character. Without it: a tab for tsv; for csv the first of semicolon, tab and comma that cuts
        the first lines into equally many cells, more than one.
    decimal, thousands : str, optional
        The decimal sign ("." or ",") of a text file, and what separates thousands. Without them the cells tell:
        1,5 is a decimal comma, 1,234.5 has thousands; where 41,000 may be either, it is refused.
    columns, ignore_columns : iterable of str or int
        Columns of a text file that are to be completed, or left alone: names, or numbers from 1. Without `columns`
        all of numbers are completed. Columns of text, dates, identifiers and times (integers that only grow one
        in each row, YYYYMMDD, names such as id, no or year) and empty ones are left alone wherever they stand.
    max_bytes : int, optional
        Refuse compressed files that unpack to more; see `advnmf.io.limits`.

    Raises
    ------
    FileError
        (a ValueError) with a one-line message: a wrong or damaged file, text where a number should be
        (with line and column), rows of unequal length, several arrays and no key, pickled objects, complex
        or text arrays.
    """
    kind = _format(path)
    options = TextOptions(
        header, index_columns, tuple(na), delimiter, decimal, thousands, tuple(columns), tuple(ignore_columns)
    )
    if kind in _TEXT:
        _refuse_key(path, kind, key)
        values, layout = text.read(path, options)
        return Table(values, str(path), text=layout)
    for option in options.given():
        raise FileError(f"{path}: {option.replace('_', '-')} is for csv and tsv files, not for {kind}")
    if kind == _CUBE:
        _refuse_key(path, kind, key)
        values, cube = envi.read(path, options.na)
        return Table(values, str(path), cube=cube)
    values, stored, container = arrays.read(path, key, options.na, max_bytes)
    markers = tuple(arrays.parse_markers(path, options.na))
    return Table(values, str(path), container=container, stored=stored, markers=markers)


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
            envi.write(path, filled, table.cube, overwrite=overwrite)
            return
    content = _content(path, table, filled, delimiter)
    write_bytes(path, content, overwrite=overwrite)


def all_missing(table: Table) -> Table:
    """The table with nothing observed: what is written in its layout are other numbers in the place of all of it."""
    return replace(table, values=np.full(table.values.shape, np.nan), stored=None, markers=())


def check_table(table: Table, *, allow_negative: bool = False, allow_codes: bool = False) -> None:
    """FileError where nothing is observed, or where an observed entry is no measured, nonnegative, finite number.

    Numbers that look like marks of missing cells (nearly all of what is negative is -999, or 9999 stands far above the
    rest of a column) are refused unless `allow_codes`: as values they would spoil a fit, and as zeros, too.
    """
    values = table.values
    if table.missing.all():
        raise FileError(f"{table.path}: all {values.size} values are missing")
    if np.isinf(values).any():
        _refuse_values(table, np.isinf(values), "infinite", "--na inf --na -inf takes them for missing")
    codes = [] if allow_codes else find_codes(values)
    if codes:
        raise FileError(f"{table.path}: {_about_codes(table, codes)}")
    if not allow_negative and (values < 0).any():
        _refuse_values(table, values < 0, "negative", _about_negative(table))


def _refuse_values(table: Table, wrong: np.ndarray, word: str, cure: str) -> NoReturn:
    i, j = np.argwhere(wrong)[0]
    raise FileError(
        f"{table.path}: {word} value {table.values[i, j]:g} at {table.place(i, j)} "
        f"({np.count_nonzero(wrong)} in all); observed values must be finite and not negative ({cure})"
    )


def _about_codes(table: Table, codes: list[Code]) -> str:
    """What looks like marks of missing cells, and the options that say so."""
    first = codes[0]
    sign = "negative " if first.value < 0 else ""
    far = "" if first.largest is None else f", far above all else in its column (at most {first.largest:g}),"
    options = " ".join(f"--na {code.text}" for code in codes[:6])
    return (
        f"{sign}value {first.text} at {table.place(*first.where)} ({first.count} in all){far} looks like a mark of "
        f"missing cells: say {options}, or --keep-codes if it was measured"
    )


def _about_negative(table: Table) -> str:
    """What can be done about negative values: noise around zero, or data of either sign."""
    if is_noise(table.values):
        return "--clip-negative takes them for 0 in the fit"
    columns = np.flatnonzero((table.values < 0).any(axis=0))
    alone = ""
    if table.text is not None and len(columns) < table.values.shape[1]:
        places = ",".join(str(table.text.columns[j] + 1) for j in columns[:12])
        alone = f"; --ignore-columns {places} leaves such columns alone" if len(columns) <= 12 else ""
    return f"too far below 0 for noise: --model hqasd takes data of either sign{alone}"


def check_table_target(
    path: str | os.PathLike[str], table: Table, *, delimiter: str | None = None, overwrite: bool = False
) -> None:
    """FileError where `write_table` could not write `table`: to be known before hours of fitting."""
    kind = _format(path)
    if kind == _CUBE:
        envi.check(path, table.cube, overwrite=overwrite)
    elif kind in _TEXT and table.cube is not None:
        raise FileError(f"{path}: a cube is not written as text; write an hdr, npy, npz or mat file")
    elif kind in _TEXT:
        text.check_delimiter(path, _out_delimiter(path, table, delimiter))
    else:
        arrays.check(path, table.path, table.container)
    check_target(path, overwrite=overwrite)


def like_triplets(table: Table) -> tuple[str, ...] | None:
    """The columns (user, item, rating) of a text table that has one column of numbers beside two of repeated labels."""
    layout = table.text
    if layout is None or len(layout.columns) != 1:
        return None
    body = layout.rows[layout.header :]
    labels = [c for c in layout.left_alone if c.kind in (Kind.TEXT, Kind.IDENTIFIERS, Kind.LABELS)]
    repeated = [c for c in labels if len({row[c.at] for row in body}) <= len(body) / 2]
    if len(repeated) != 2 or len({tuple(row[c.at] for c in repeated) for row in body}) < 0.9 * len(body):
        return None
    at = [repeated[0].at, repeated[1].at, layout.columns[0]]
    names = [unquote(layout.rows[0][k]).strip() for k in at] if layout.header else []
    return tuple(names) if all(names) and names else tuple(str(k + 1) for k in at)


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
