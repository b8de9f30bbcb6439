"""Tables in parquet and feather files: columns with types, completed in place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...data.columns import Kind, kind_of_numbers
from ..files import FileError
from ..limits import max_bytes_of
from . import frames
from .arrays import in_type
from .choosing import choose
from .columns import Column
from .numbers import MISSING
from .source import Source
from .text import TextOptions

__all__ = ["Columnar", "read"]


@dataclass(frozen=True)
class Columnar:
    """A table of pyarrow or polars, and which of its columns hold the matrix."""

    frame: Any
    names: tuple[str, ...]  # of all columns
    columns: tuple[int, ...]  # those that hold the matrix, from 0
    left_alone: tuple[Column, ...] = ()

    def render(self, kind: str, values: np.ndarray, holes: np.ndarray) -> bytes:
        """The bytes of a parquet or feather file with numbers in the holes; types stay as they are."""
        frame = self.frame
        for j in np.flatnonzero(holes.any(axis=0)).tolist():
            at = self.columns[j]
            column = np.ascontiguousarray(values[:, j])
            if frames.type_of(frame, at) == "i":
                column = _filled_integers(frame, self.names[at], column, holes[:, j])
            frame = frames.with_column(frame, self.names[at], column, at)
        return frames.rendered(frame, kind)

    def contents(self, values: np.ndarray) -> Iterator[list[Any]]:
        """The names of the columns, and the rows."""
        yield list(self.names)
        place = {at: j for j, at in enumerate(self.columns)}
        columns = [
            values[:, place[at]].tolist() if at in place else frames.cells(self.frame, at)
            for at in range(len(self.names))
        ]
        yield from map(list, zip(*columns, strict=True))


def read(source: Source, options: TextOptions, max_bytes: int | None = None) -> tuple[np.ndarray, Columnar]:
    """The numbers of a parquet or feather file, NaN where they are missing, and its table."""
    path = source.path
    unpacked = None if not source.packing and os.path.isfile(path) else source.data
    limit = max_bytes_of(max_bytes, path if os.path.isfile(path) else None)
    frame = frames.read_columns(path, source.kind, limit, unpacked)
    names = tuple(map(str, frames.column_names(frame)))
    if not names or not len(frame):
        raise FileError(f"{path} is empty: it has {len(names)} columns and {len(frame)} rows")
    if len(set(names)) < len(names):
        raise FileError(f"{path} has several columns of the same name: rename them")
    columns = [_classified(frame, at, name, options.na) for at, name in enumerate(names)]
    for k in range(min(options.index_columns or 0, len(columns))):
        columns[k] = replace(columns[k], kind=Kind.LABELS)
    chosen = choose(
        path, columns, options.columns, options.ignore_columns, lambda i, at: f"row {i + 1}, column {at + 1}"
    )
    at = [column.at for column in chosen]
    alone = tuple(column for column in columns if column.at not in at)
    values = np.ascontiguousarray(np.array([column.values for column in chosen]).T)
    return values, Columnar(frame, names, tuple(at), alone)


def _classified(frame: Any, at: int, name: str, na: tuple[str, ...]) -> Column:
    letter = frames.type_of(frame, at)
    nothing = np.full(len(frame), np.nan)
    if letter in "dt":
        cells = frames.cells(frame, at)
        texts = {i: str(cell) for i, cell in enumerate(cells) if cell is not None and str(cell).lower() not in MISSING}
        kind = Kind.EMPTY if not texts else Kind.DATES if letter == "d" else Kind.TEXT
        return Column(at, name, kind, nothing, texts)
    values = frames.numbers(frame, name)
    values[np.isin(values, [float(text) for text in na if _is_float(text)])] = np.nan
    kind = kind_of_numbers(name, values, whole=letter == "i")
    if name.startswith("__index_level_"):
        kind = Kind.LABELS
    return Column(at, name, kind, values, {}, by_pattern=kind is Kind.IDENTIFIERS)


def _filled_integers(frame: Any, name: str, column: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Integers with rounded estimates in the holes; those that are there do not pass through floating point."""
    filled = frames.integers(frame, name)
    filled[holes] = in_type(column[holes], filled.dtype, ())
    return filled


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
