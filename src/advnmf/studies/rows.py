"""Results of runs as lines of a file that survives whatever ends the program.

A line is written as a whole and forced to the disk before the next run counts.  A last line without its end is what
a killed program leaves: it is no row, and is removed before the next one is written.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from .. import __version__
from ..files import FileError, reason, replacing
from .tasks import Task

__all__ = ["Row", "Store", "load_arrays", "read_rows"]

_ROWS, _ARRAYS = "rows.jsonl", "arrays"


@dataclass(frozen=True)
class Row:
    """The result of one run.

    ``settings`` is the recipe, ``found`` the parameters that a search chose, ``point`` the place in a figure;
    ``curves`` are short lists of numbers; ``arrays`` is the name of a file for `load_arrays`.  ``rmse`` and ``mae``
    are over the missing entries.  ``setup`` and ``key`` are those of the `Task`.
    """

    target: str
    dataset: str
    fraction: float
    mask: str
    method: str
    protocol: str
    run: int
    seed: int
    settings: Mapping[str, Any]
    rmse: float
    mae: float
    seconds: float
    n_iter: int
    stop_reason: str
    version: str
    setup: str
    key: str
    kind: str = "completion"
    options: Mapping[str, Any] = field(default_factory=dict)
    point: Mapping[str, Any] = field(default_factory=dict)
    quick: bool = False
    found: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)
    arrays: str | None = None

    @classmethod
    def of(cls, task: Task, **results: Any) -> Self:
        """The row of a task."""
        same = ("target", "dataset", "fraction", "mask", "method", "protocol", "run", "setup", "key", "kind", "quick")
        return cls(
            **{name: getattr(task, name) for name in same},
            seed=task.run,
            settings=asdict(task.recipe),
            options=dict(task.options),
            point=dict(task.point),
            version=__version__,
            **results,
        )

    def told_as(self, task: Task) -> Self:
        """The same result under the heading of another task."""
        headings = ("target", "protocol", "method", "quick")
        return replace(self, point=dict(task.point), **{name: getattr(task, name) for name in headings})

    @property
    def heading(self) -> tuple[str, str, str, bool]:
        """That of the `Task`."""
        return self.target, self.protocol, self.method, self.quick


def read_rows(folder: str | os.PathLike[str]) -> list[Row]:
    """The rows of a folder of results, in the order of their writing; FileError where there are none to be read."""
    file = Path(folder, _ROWS)
    if not file.is_file():
        raise FileError(f"{folder} holds no results: there is no file {_ROWS} in it (advnmf reproduce makes it)")
    return list(_read(file).values())


def load_arrays(folder: str | os.PathLike[str], row: Row) -> dict[str, np.ndarray]:
    """The arrays that belong to a row, such as the components of kind "parts"; {} where none do.

    FileError where their file cannot be read.
    """
    if row.arrays is None:
        return {}
    path = Path(folder, _ARRAYS, row.arrays)
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise FileError(f"{path} cannot be read: {reason(error)}") from error


class Store:
    """The rows of a folder, and a way to add to them."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._file = self.folder / _ROWS
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self._file, "ab+") as stream:
                _cut_broken_line(stream)
        except OSError as error:
            raise FileError(f"{folder} cannot take results: {reason(error)}") from error
        self._rows = _read(self._file)
        self._by_key = {row.key: row for row in self._rows.values()}

    def rows(self, tasks: Iterable[Task]) -> list[Row]:
        """The rows of these tasks that are there."""
        found = (self._rows.get(_identity(task)) for task in tasks)
        return [row for row in found if row is not None]

    def __contains__(self, task: Task) -> bool:
        return _identity(task) in self._rows

    def result(self, key: str) -> Row | None:
        """A row of this key, under whatever heading."""
        return self._by_key.get(key)

    def append(self, row: Row, arrays: Mapping[str, np.ndarray] | None = None) -> Row:
        """Keep a row, after the arrays that belong to it; the row as kept."""
        if arrays:
            row = replace(row, arrays=f"{row.key}.npz")
            (self.folder / _ARRAYS).mkdir(exist_ok=True)
            with replacing(self.folder / _ARRAYS / row.arrays, overwrite=True) as temporary:
                np.savez_compressed(temporary, **arrays)
        line = json.dumps(asdict(row), allow_nan=False) + "\n"
        with open(self._file, "ab") as stream:
            stream.write(line.encode())
            stream.flush()
            os.fsync(stream.fileno())
        self._rows[_identity(row)] = self._by_key[row.key] = row
        return row


def _identity(row: Row | Task) -> tuple[Any, ...]:
    return (*row.heading, row.key)


def _read(file: Path) -> dict[tuple[Any, ...], Row]:
    rows: dict[tuple[Any, ...], Row] = {}
    try:
        *lines, _ = file.read_bytes().split(b"\n")
    except OSError as error:
        raise FileError(f"{file} cannot be read: {reason(error)}") from error
    for number, line in enumerate(lines, 1):
        try:
            row = Row(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise FileError(f"{file}, line {number} is no row of results: {reason(error)}") from error
        rows.setdefault(_identity(row), row)
    return rows


def _cut_broken_line(stream: Any) -> None:
    stream.seek(0)
    stream.truncate(stream.read().rfind(b"\n") + 1)
