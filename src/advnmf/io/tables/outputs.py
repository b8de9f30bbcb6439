"""The bytes of a table with its holes filled, in the format that a name promises."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from ..files import STANDARD, FileError, require
from . import arrays, frames, hdf, sheets, sparse, text
from .numbers import Digits
from .source import KINDS, name_of, named_kind
from .table import Table
from .text import TextLayout

__all__ = [
    "Decimals",
    "check_library",
    "content_of",
    "filled_in",
    "format_of",
    "out_delimiter",
    "write_standard_output",
]

Decimals = int | Literal["auto", "full"]

# Other names of text tables; what else a name may end in promises another format.
_TEXTS = ("", "txt", "dat", "data", "tab", "asc", "prn", "psv")


def format_of(path: str | os.PathLike[str], table: Table) -> str:
    """The format in which a table is written to a file of this name."""
    kind = named_kind(path)
    if not kind and (str(path) == STANDARD or name_of(path) in (*_TEXTS, name_of(table.path))):
        kind = table.kind or "text"
    if kind == "mat" and table.hdf is not None and name_of(table.path) == "mat":
        kind = "hdf5"  # MATLAB 7.3
    if not kind:
        raise FileError(f"{path}: the name must end in one of {', '.join('.' + name for name in KINDS)}")
    return kind


def check_library(kind: str) -> None:
    """ImportError, with the extra to install, where what writes a format is not there."""
    if kind == "xlsx":
        require("openpyxl", "excel")
    elif kind == "hdf5":
        require("h5py", "hdf5")
    elif kind in ("parquet", "feather"):
        frames.columns_library(kind)


def filled_in(table: Table, values: np.ndarray | None) -> np.ndarray:
    """The matrix with `values` in its holes, in the type in which it is stored."""
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


def content_of(kind: str, table: Table, filled: np.ndarray, sign: str, decimals: Decimals) -> bytes:
    """The bytes of a file of this format; `sign` separates the cells of text."""
    holes = table.missing & ~np.isnan(filled)
    if kind == "text":
        return _text(table, filled, holes, sign, decimals)
    if kind == "xlsx":
        return _workbook(table, filled, holes, decimals)
    if kind in ("parquet", "feather"):
        return _columns(kind, table, filled, holes, decimals)
    if kind == "hdf5":
        return hdf.render_new(filled) if table.hdf is None else table.hdf.render(table.path, filled)
    if kind == "mtx":
        return sparse.render_mtx(filled, table.coordinates)
    if kind == "npz" and table.coordinates is not None and table.kind == "npz":
        return sparse.render_npz(filled, table.coordinates)
    return arrays.render(kind, filled, table.container)


def _text(table: Table, filled: np.ndarray, holes: np.ndarray, sign: str, decimals: Decimals) -> bytes:
    if table.text is not None:
        return text.render(table.text, filled, holes, sign, _digits(table.text, decimals))
    if table.columnar is not None:
        return text.render_rows(table.columnar.contents(filled), sign)
    if table.names:
        return text.render_rows(_rows(table, filled, holes, decimals), sign)
    return text.render_plain(filled, sign)


def _workbook(table: Table, filled: np.ndarray, holes: np.ndarray, decimals: Decimals) -> bytes:
    """The workbook that was read, or a new one, with the holes filled."""
    if table.sheet is not None and table.text is not None:
        return table.sheet.filled(table.text, filled, holes, _digits(table.text, decimals))
    return sheets.write_rows(_rows(table, filled, holes, decimals))


def _columns(kind: str, table: Table, filled: np.ndarray, holes: np.ndarray, decimals: Decimals) -> bytes:
    """A parquet or feather file: of the table that was read, or of its rows."""
    if table.columnar is not None:
        return table.columnar.render(kind, filled, holes)
    rows = list(_rows(table, filled, holes, decimals))
    names = [str(name) for name in rows.pop(0)] if table.names else []
    columns = list(zip(*rows, strict=True))
    names = _distinct(names or [""] * len(columns))
    return frames.rendered(frames.make_table(table.path, dict(zip(names, map(_typed, columns), strict=True))), kind)


def _rows(table: Table, filled: np.ndarray, holes: np.ndarray, decimals: Decimals) -> Iterator[list[Any]]:
    """The names of the columns, if there are any, and the rows."""
    if table.text is not None:
        yield from table.text.contents(filled, holes, _digits(table.text, decimals))
    elif table.columnar is not None:
        yield from table.columnar.contents(filled)
    else:
        labels = [[label] for label in table.labels] or [[]] * len(filled)
        if table.names:
            yield [*([""] if table.labels else []), *table.names]
        for label, row in zip(labels, filled.tolist(), strict=True):
            yield [*label, *row]


def _typed(column: Sequence[Any]) -> np.ndarray:
    numbers = all(isinstance(value, int | float) for value in column)
    return np.array(column, np.float64 if numbers else object)


def _distinct(names: list[str]) -> list[str]:
    """Names that are neither empty nor the same."""
    found: list[str] = []
    for at, name in enumerate(names):
        name = name or f"column {at + 1}"
        found.append(name if name not in found else f"{name} ({at + 1})")
    return found


def _digits(layout: TextLayout, decimals: Decimals) -> tuple[Digits, ...]:
    if decimals == "auto":
        return layout.digits
    return tuple(Digits() if decimals == "full" else Digits(int(decimals)) for _ in layout.digits)


def out_delimiter(path: str | os.PathLike[str], table: Table, delimiter: str | None) -> str:
    """What separates the cells of a text file of this name."""
    if delimiter is not None:
        return delimiter
    layout = table.text
    name = name_of(path)
    if name == "tsv":
        return "\t"
    # A table keeps the delimiter of its file, but nobody expects tabs or blanks in a csv file made from another.
    if name == "csv" and not (layout is not None and (layout.delimiter in ",;" or name_of(table.path) == "csv")):
        return ";" if layout is not None and layout.decimal == "," else ","
    return "," if layout is None else layout.delimiter


def write_standard_output(content: bytes) -> None:
    """Write to standard output."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
