"""Worksheets of xlsx workbooks: read as rows of cells like a table of text, and written back with the holes filled.

The written workbook is a copy of the one that was read, by openpyxl: formulas and formats are kept, charts and pictures
are not, which is told.
"""

from __future__ import annotations

import datetime
import io
import os
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..files import FileError, reason, require
from ..limits import check_size, max_bytes_of
from .columns import shown
from .numbers import Digits
from .source import Source
from .text import TextLayout, TextOptions, read_text

__all__ = ["Sheet", "read", "write_rows"]

# Bytes that a cell takes while it is read, at least.
_PER_CELL = 64


@dataclass(frozen=True)
class Sheet:
    """A worksheet in its workbook."""

    data: bytes
    name: str
    losses: tuple[str, ...] = ()  # what of the workbook is not kept

    def filled(self, layout: TextLayout, values: np.ndarray, holes: np.ndarray, digits: Sequence[Digits]) -> bytes:
        """The workbook with numbers in the holes of the sheet."""
        book = _load(self.data, keep_vba=b"vbaProject" in self.data)
        sheet = book[self.name]
        for i, j in np.argwhere(holes).tolist():
            cell = sheet.cell(layout.record(i) + 1, layout.columns[j] + 1)
            cell.value = digits[j].rounded(float(values[i, j]))
        stream = io.BytesIO()
        book.save(stream)
        return stream.getvalue()


def read(
    source: Source, key: str | None, options: TextOptions, max_bytes: int | None = None
) -> tuple[np.ndarray, TextLayout, Sheet]:
    """The numbers of a worksheet, its cells as a table of text, and its workbook."""
    path = source.path
    limit = max_bytes_of(max_bytes, path if os.path.isfile(path) else None)
    try:
        losses = _check_archive(path, source.data, limit)
        name, rows = _choose(path, _load(source.data, read_only=True, data_only=True), key, limit)
        width = max(map(len, rows))
        check_size(path, _PER_CELL * width * len(rows), limit)
        text = "".join(",".join([*map(_text, row), *[""] * (width - len(row))]) + "\n" for row in rows)
        values, layout = read_text(path, text, options, delimiter=",", comment="")
        sheet = Sheet(source.data, name, losses)
        _refuse_formulas(path, sheet, layout, np.isnan(values))
    except (FileError, ImportError):
        raise
    except Exception as error:  # damaged bytes can raise anything
        raise FileError(f"{path} is not a readable xlsx file: {reason(error)}") from error
    return values, layout, sheet


def write_rows(rows: Iterable[Sequence[Any]]) -> bytes:
    """A new workbook of one sheet with these rows."""
    book = require("openpyxl", "excel").Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in rows:
        sheet.append([_plain(value) for value in row])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _load(data: bytes, **options: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # extensions that openpyxl does not know
        return require("openpyxl", "excel").load_workbook(io.BytesIO(data), **options)


def _check_archive(path: str, data: bytes, limit: int) -> tuple[str, ...]:
    """What openpyxl does not keep; FileError where the archive unpacks to more than the limit."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
    check_size(path, sum(member.file_size for member in members), limit)
    parts = {"charts": "xl/charts/", "pictures": "xl/media/", "pivot tables": "xl/pivotTables/"}
    return tuple(what for what, part in parts.items() if any(m.filename.startswith(part) for m in members))


def _choose(path: str, book: Any, key: str | None, limit: int) -> tuple[str, list[tuple]]:
    """The name and the rows of the sheet that is told, or of the only one with cells."""
    names = [sheet.title for sheet in book.worksheets]
    if key is not None and key not in names:
        raise FileError(f"{path} has no sheet {shown(key)}; it has {', '.join(map(shown, names))}")
    found = {name: rows for name in names if key in (None, name) and (rows := _rows(path, book[name], limit))}
    if not found:
        raise FileError(f"{path}: no cell of the workbook is filled")
    if len(found) > 1:
        raise FileError(f"{path} has several sheets: choose one of {', '.join(map(shown, found))} with --key")
    return next(iter(found.items()))


def _rows(path: str, sheet: Any, limit: int) -> list[tuple]:
    """The values of a sheet, without empty cells and rows at the end."""
    sheet.reset_dimensions()  # what the file says of its size may be wrong
    rows: list[tuple] = []
    n_cells = last = 0
    for row in sheet.iter_rows(values_only=True):
        filled = len(row)
        while filled and row[filled - 1] is None:
            filled -= 1
        rows.append(row[:filled])
        n_cells += filled + 1
        check_size(path, _PER_CELL * n_cells, limit)
        last = len(rows) if filled else last
    return rows[:last]


def _text(value: Any) -> str:
    """The value of a cell as a raw cell of a csv file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return repr(value).removesuffix(".0")
    if isinstance(value, datetime.datetime):
        value = value.isoformat(" ").removesuffix(" 00:00:00")
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def _refuse_formulas(path: str, sheet: Sheet, layout: TextLayout, holes: np.ndarray) -> None:
    """FileError where a hole is a formula: its value is not stored in the file."""
    if not holes.any() or b"<f" not in b"".join(_worksheets(sheet.data)):
        return
    cells = _load(sheet.data)[sheet.name]
    for i, j in np.argwhere(holes).tolist():
        cell = cells.cell(layout.record(i) + 1, layout.columns[j] + 1)
        if cell.data_type == "f":
            raise FileError(
                f"{path}: cell {cell.coordinate} is a formula whose value is not stored: open and save the file in a "
                f"spreadsheet program, or say --ignore-columns {layout.columns[j] + 1}"
            )


def _worksheets(data: bytes) -> Iterable[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/"):
                yield archive.read(name)
