"""The rows of a folder: kept whatever ends the program, and by any number of programs at a time.

A row is a line of ``rows.jsonl``, written as a whole and forced to the disk before the next run counts.  Only the
process that holds the lock ``rows.lock`` writes; anybody may read at any time.  So a last line without its end is one
that is being written, or what a killed program left: it is no row, and the next process to write removes it.
A lock in ``claims`` says that a process is at work on a task; the system takes it from a process that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .. import DataWarning
from ..io.files import FileError, reason, replacing
from .locks import Lock, sweep
from .rows import Row
from .tasks import Task

__all__ = ["Store", "load_arrays", "read_rows"]

_ROWS, _LOCK, _ARRAYS, _CLAIMS = "rows.jsonl", "rows.lock", "arrays", "claims"
_LARGEST_ARRAYS = 1 << 28  # bytes; those of the studies have a hundredth of it
_N_TOLD = 5


def read_rows(folder: str | os.PathLike[str]) -> list[Row]:
    """The rows of a folder of results, in the order of their writing.

    Lines that are no rows are left out, with a `DataWarning` that names them; FileError where there are no others.
    """
    file = Path(folder, _ROWS)
    if not file.is_file():
        raise FileError(f"{folder} holds no results: there is no file {_ROWS} in it (advnmf reproduce makes it)")
    lines = _Lines(file)
    rows: dict[tuple[Any, ...], Row] = {}
    for row in lines.new_rows():
        rows.setdefault(_place(row), row)
    if not rows and lines.spoilt:
        raise FileError(lines.complaint())
    lines.warn()
    return list(rows.values())


def load_arrays(folder: str | os.PathLike[str], row: Row) -> dict[str, np.ndarray]:
    """The arrays that belong to a row, such as the components of kind "parts"; {} where none do.

    FileError where their file cannot be read.
    """
    if row.arrays is None:
        return {}
    path = Path(folder, _ARRAYS, row.arrays)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _LARGEST_ARRAYS:
            raise FileError(f"{path} cannot be read: it holds {size:,} bytes, more than {_LARGEST_ARRAYS:,}")
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except FileError:
        raise
    except Exception as error:  # zipfile, zlib, numpy and tokenize each raise their own of damaged files
        raise FileError(f"{path} cannot be read: {reason(error)}") from error


class Store:
    """The rows of a folder, a way to add to them, and claims on tasks that are in work; made if need be.

    Any number of processes may have stores of one folder.  Parts that killed ones left are removed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._file, self._claims = self.folder / _ROWS, self.folder / _CLAIMS
        self._rows: dict[tuple[Any, ...], Row] = {}
        self._results: dict[tuple[Any, ...], Row] = {}
        self._held: dict[str, Lock] = {}
        self._reading = threading.RLock()
        self._lines = _Lines(self._file)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._file.exists() and not self._file.is_file():
                raise FileError(f"{self._file} is not a regular file")
            with self._locked():
                open(self._file, "ab").close()
                self._sweep()
        except OSError as error:
            raise FileError(f"{folder} cannot take results: {reason(error)}") from error
        self.refresh()

    def refresh(self) -> None:
        """Take up what other processes have written meanwhile."""
        with self._reading:  # not the lock of the folder: lines that have an end stay as they are
            for row in self._lines.new_rows():
                self._results.setdefault(_result(row), self._rows.setdefault(_place(row), row))
            self._lines.warn()

    def rows(self, tasks: Iterable[Task]) -> list[Row]:
        """The rows of these tasks that are there."""
        found = (self._rows.get(_place(task)) for task in tasks)
        return [row for row in found if row is not None]

    def __contains__(self, task: Task) -> bool:
        return _place(task) in self._rows

    def result(self, task: Task) -> Row | None:
        """A row of the task's result, under whatever heading."""
        return self._results.get(_result(task))

    def append(self, row: Row, arrays: Mapping[str, np.ndarray] | None = None) -> Row:
        """Keep a row, after the arrays that belong to it; the row as kept, which is an earlier one if there is one."""
        row.checked()
        try:
            with self._locked():
                self.refresh()
                if _place(row) not in self._rows:
                    self._write(row, arrays)
                    self.refresh()
        except OSError as error:
            raise FileError(f"{self.folder} cannot take results: {reason(error)}") from error
        return self._rows[_place(row)]

    def claim(self, task: Task) -> bool:
        """Whether this process is to carry the task out: nobody has, and no other is at work on it.

        Until `release`, or the end of this process, no other gets the same answer.
        """
        with self._locked():
            self.refresh()
            if _result(task) in self._results:
                return False
            self._claims.mkdir(exist_ok=True)
            lock = Lock(self._claims / f"{task.key}.lock")
            if lock.take():
                self._held[task.key] = lock
                return True
            return False

    def release(self, *tasks: Task) -> None:
        """Give up claims on tasks, on all unless some are named."""
        with self._locked():
            for key in [task.key for task in tasks] or list(self._held):
                if key in self._held:
                    self._held.pop(key).drop()
            sweep(self._claims)

    def _locked(self) -> Lock:
        return Lock(self.folder / _LOCK)

    def _write(self, row: Row, arrays: Mapping[str, np.ndarray] | None) -> None:
        if arrays:
            row = _with_arrays(self.folder / _ARRAYS, row, arrays)
        with open(self._file, "rb+") as stream:
            _end_last_line(stream, self._lines.end)
            stream.write(row.line)
            stream.flush()
            os.fsync(stream.fileno())

    def _sweep(self) -> None:
        """Remove what killed processes left: nobody writes arrays without the lock."""
        for part in (self.folder / _ARRAYS).glob(".*.part.npz"):
            part.unlink(missing_ok=True)
        sweep(self._claims)


class _Lines:
    """The lines of a file that grows, each read once, and what is wrong with those that are no rows.

    ``end`` is where the last line ends that was read, in bytes.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.end, self._n_lines, self._n_told = 0, 0, 0
        self.spoilt: list[tuple[int, str]] = []

    def new_rows(self) -> list[Row]:
        """Those of the lines that were not there before."""
        *lines, rest = self._new_content().split(b"\n")
        rows = []
        for line in lines:
            self._n_lines += 1
            self.end += len(line) + 1
            try:
                rows += [Row.read(line)] if line.strip() else []
            except ValueError as error:
                self.spoilt.append((self._n_lines, str(error)))
        # A whole row that lacks only the end of its line is one: an editor may have taken it off.
        with contextlib.suppress(ValueError):
            rows += [Row.read(rest)] if rest else []
        return rows

    def _new_content(self) -> bytes:
        try:
            with open(self._file, "rb") as stream:
                if stream.seek(0, os.SEEK_END) < self.end:  # another file has taken its place
                    self._begin_anew()
                stream.seek(self.end)
                return stream.read()
        except OSError as error:
            raise FileError(f"{self._file} cannot be read: {reason(error)}") from error

    def warn(self) -> None:
        """A warning for the spoilt lines that were not told of yet."""
        if self._n_told < len(self.spoilt):
            message = self.complaint()
            self._n_told = len(self.spoilt)
            warnings.warn(f"{message}; left out", DataWarning, stacklevel=4)

    def complaint(self) -> str:
        """The first of these lines and what is wrong with it, and the numbers of some others."""
        (number, wrong), *others = self.spoilt[self._n_told :]
        numbers = ", ".join(str(other) for other, _ in others[:_N_TOLD]) + ", …" * (len(others) > _N_TOLD)
        more = f" (nor {'are' if len(others) > 1 else 'is'} {len(others)} more: {numbers})" if others else ""
        return f"{self._file}, line {number} is no row of results: {wrong}{more}"


def _end_last_line(stream: BinaryIO, begin: int) -> None:
    """Make the file end with a line: what begins there and has no end is given one if it is whole, else removed."""
    stream.seek(begin)
    rest = stream.read()
    try:
        json.loads(rest)
    except (ValueError, RecursionError):
        stream.seek(begin)
        stream.truncate()
    else:
        stream.write(b"\n")


def _with_arrays(folder: Path, row: Row, arrays: Mapping[str, np.ndarray]) -> Row:
    """The row that names the file into which its arrays have gone."""
    name = f"{row.key}.npz"
    folder.mkdir(exist_ok=True)
    with replacing(folder / name, overwrite=True) as temporary:
        np.savez_compressed(temporary, **arrays)
    return replace(row, arrays=name)


def _result(of: Row | Task) -> tuple[Any, ...]:
    """What tells results apart: the key does, unless somebody has written a row by hand."""
    return of.key, of.dataset, of.fraction, of.mask, of.run


def _place(of: Row | Task) -> tuple[Any, ...]:
    """What tells rows apart: one result may stand under several headings."""
    return *of.heading, *_result(of)
