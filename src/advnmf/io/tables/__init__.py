"""Tables with holes, read from files of many formats, and written back with only the holes filled.

A table goes out as it came in: in a file of text every observed cell, label, quote, comment and line ending comes back
as the very same text and only the holes get numbers; in an array file the dtype and the other arrays of the file are
kept; in a cube the dtype, the interleave, the header and the bad bands.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ...data.columns import Kind
from ..files import STANDARD, FileError, check_target, write_bytes
from . import arrays, columnar, envi, hdf, sheets, sparse, text
from .arrays import Container
from .checks import check_table
from .columns import shown
from .cutting import check_delimiter
from .envi import Cube
from .numbers import MISSING, text_of
from .outputs import Decimals, check_library, content_of, filled_in, format_of, out_delimiter, write_standard_output
from .source import Source, pack, packing_of, read_source
from .table import Table
from .text import TextLayout, TextOptions

__all__ = [
    "MISSING",
    "Container",
    "Cube",
    "Decimals",
    "Table",
    "TextLayout",
    "all_missing",
    "bounds_missing",
    "check_table",
    "check_table_target",
    "like_triplets",
    "read_table",
    "write_table",
]

# Options of tables of text that columns of other tables have, too.
_OF_COLUMNS = ("columns", "ignore_columns", "index_columns")
# Formats with several arrays or sheets in a file.
_KEYED = ("npz", "mat", "hdf5", "xlsx")


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
    unstored: str | None = None,
    max_bytes: int | None = None,
) -> Table:
    """The matrix in a file, with NaN where a cell is missing; its content tells the format, or else its name.

    Formats: text (csv, tsv, white space and others, in UTF-8, UTF-16 or an older encoding), xlsx, parquet, feather,
    npy, npz (of NumPy and of scipy.sparse), mat, HDF5, h5ad, Matrix Market (mtx) and ENVI cubes (hdr), each as it is or
    packed with gzip, bzip2, xz or zip. Of an ENVI cube it is the matrix pixels x bands, without the bands that the
    header calls bad, with NaN also where a sample is the header's "data ignore value".

    Parameters
    ----------
    path : path
        ``-`` is standard input.
    key : str, optional
        Name of the array in an npz, mat or HDF5 file, or of the sheet in a workbook; needed where there are several.
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
    unstored : "missing" or "zero", optional
        What is not stored in a sparse matrix. Without it: zero where NaN is stored and in h5ad files, else missing.
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
    if source.kind not in _KEYED and key is not None:
        raise FileError(
            f"{path}: --key {shown(key)} chooses one of several arrays or sheets; a {source.kind} file has none"
        )
    able = {"xlsx": (*vars(options),), "text": (*vars(options),)}.get(source.kind, ())
    able = _OF_COLUMNS if source.kind in ("parquet", "feather") else able
    for option in options.given():
        if option not in able:
            raise FileError(f"{path}: {option.replace('_', '-')} is for tables of text, not for {source.kind}")
    if unstored not in (None, "missing", "zero"):
        raise FileError(f"unstored must be missing or zero, not {unstored!r}")
    return _read(source, key, options, unstored, max_bytes)


def _read(source: Source, key: str | None, options: TextOptions, unstored: str | None, max_bytes: int | None) -> Table:
    """The table in a file of any format."""
    path, kind = source.path, source.kind
    if kind == "text":
        values, layout = text.read(source, options)
        return Table(values, path, kind, layout)
    if kind == "xlsx":
        values, layout, sheet = sheets.read(source, key, options, max_bytes)
        return Table(values, path, kind, layout, sheet=sheet)
    if kind in ("parquet", "feather"):
        values, table = columnar.read(source, options, max_bytes)
        return Table(values, path, kind, columnar=table)
    if kind == "hdr":
        values, cube = envi.read(path, options.na)
        return Table(values, path, kind, cube=cube)
    markers = tuple(arrays.parse_markers(path, options.na))
    if kind == "hdf5":
        values, stored, found = hdf.read(source, key, options.na, unstored, max_bytes)
        return Table(values, path, kind, stored=stored, markers=markers, hdf=found)
    if kind == "mtx":
        values, where = sparse.read_mtx(source, options.na, unstored, max_bytes)
        return Table(values, path, kind, markers=markers, coordinates=where)
    if kind == "npz" and key is None and (parts := arrays.sparse_parts(source, max_bytes)):
        values, where = sparse.read_npz(path, parts, options.na, unstored, max_bytes)
        return Table(values, path, kind, markers=markers, coordinates=where)
    values, stored, container = arrays.read(source, key, options.na, max_bytes)
    return Table(values, path, kind, container=container, stored=stored, markers=markers)


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
    kind = format_of(path, table)
    filled = filled_in(table, values)
    if table.cube is not None:
        filled = table.cube.filled(filled, table.missing & ~np.isnan(filled))
        if kind == "hdr":
            envi.write(path, filled, table.cube, overwrite=overwrite)
            return
        content = arrays.render(kind, filled, table.container)
    else:
        content = content_of(kind, table, filled, out_delimiter(path, table, delimiter), decimals)
    if str(path) == STANDARD:
        write_standard_output(content)
        return
    packing = packing_of(path)
    content = pack(content, packing, os.path.basename(str(path))[: -len(".zip")]) if packing else content
    write_bytes(path, content, overwrite=overwrite)


def bounds_missing(table: Table) -> Table:
    """The table with the cells that give a bound among the missing ones, so that estimates are written there, too."""
    signs = table.censored
    return table if signs is None else replace(table, values=np.where(signs == "", table.values, np.nan))


def all_missing(table: Table) -> Table:
    """The table with nothing observed: what is written in its layout are other numbers in the place of all of it."""
    return replace(table, values=np.full(table.values.shape, np.nan), stored=None, markers=())


def check_table_target(
    path: str | os.PathLike[str], table: Table, *, delimiter: str | None = None, overwrite: bool = False
) -> None:
    """FileError where `write_table` could not write `table`: to be known before hours of fitting."""
    kind = format_of(path, table)
    if kind == "hdr":
        if str(path) == STANDARD or packing_of(path):
            raise FileError(f"{path}: a cube is written to files of its own: name an hdr, npy, npz or mat file")
        envi.check(path, table.cube, overwrite=overwrite)
    elif table.cube is not None and kind not in ("npy", "npz", "mat"):
        raise FileError(f"{path}: a cube is not written as {kind}; write an hdr, npy, npz or mat file")
    elif kind == "text":
        check_delimiter(path, out_delimiter(path, table, delimiter))
    elif kind in ("npy", "npz", "mat"):
        arrays.check(path, kind, table.path, table.container)
    else:
        check_library(kind)
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
