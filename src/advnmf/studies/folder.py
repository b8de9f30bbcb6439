"""A folder of results, which survive interruptions and may be written by several processes at a time.

A result is a line of ``rows.jsonl``, written as a whole and forced to the disk before the next one.  Only the process
that holds the lock ``rows.lock`` writes; reading needs no lock.  A last line without its end is being written, or was
left by a killed process: it is not read, and the next process that writes removes it.  A lock in ``claims`` says that a
process is working on a run; the system releases it when that process ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from .. import DataWarning
from ..io.files import FileError, reason, replacing
from .runs import Result, Run

__all__ = ["Store", "load_arrays", "read_results"]

_ROWS, _LOCK, _ARRAYS, _CLAIMS = "rows.jsonl", "rows.lock", "arrays", "claims"
_LARGEST_ARRAYS = 1 << 28  # bytes; those of the studies have a hundredth of it
_N_NAMED = 5
_SECONDS_BETWEEN_TRIES = 0.005

if os.name == "nt":
    import msvcrt
else:
    import fcntl


def read_results(folder: str | os.PathLike[str]) -> list[Result]:
    """The results of a folder, in the order in which they were written.

    Invalid lines are left out, with a `DataWarning` that names them; FileError if there are no others.
    """
    file = Path(folder, _ROWS)
    if not file.is_file():
        raise FileError(f"{folder} holds no results: there is no file {_ROWS} in it (advnmf reproduce makes it)")
    lines = _Lines(file)
    results: dict[tuple[Any, ...], Result] = {}
    for result in lines.new_results():
        results.setdefault(_labelled(result), result)
    if not results and lines.invalid:
        raise FileError(lines.complaint())
    lines.warn()
    return list(results.values())


def load_arrays(folder: str | os.PathLike[str], result: Result) -> dict[str, np.ndarray]:
    """The arrays that belong to a result, such as components; {} if there are none.

    FileError if their file cannot be read.
    """
    if result.arrays is None:
        return {}
    path = Path(folder, _ARRAYS, result.arrays)
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
    """The results of a folder, which is made if need be, and the claims on runs that are in progress.

    Several processes may have stores of one folder.  Unfinished files of killed processes are removed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._file, self._claims = self.folder / _ROWS, self.folder / _CLAIMS
        self._by_labels: dict[tuple[Any, ...], Result] = {}
        self._by_identity: dict[tuple[Any, ...], Result] = {}
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
        """Read what other processes have written since."""
        with self._reading:  # without the lock of the folder: finished lines do not change
            for result in self._lines.new_results():
                first = self._by_labels.setdefault(_labelled(result), result)
                self._by_identity.setdefault(_identity(result), first)
            self._lines.warn()

    def results(self, runs: Iterable[Run]) -> list[Result]:
        """The stored results of these runs."""
        found = (self._by_labels.get(_labelled(run)) for run in runs)
        return [result for result in found if result is not None]

    def __contains__(self, run: Run) -> bool:
        return _labelled(run) in self._by_labels

    def result_of(self, run: Run) -> Result | None:
        """The result of a run, under any labels."""
        return self._by_identity.get(_identity(run))

    def append(self, result: Result, arrays: Mapping[str, np.ndarray] | None = None) -> Result:
        """Store a result and its arrays; returns what is stored, which is an earlier result if there is one."""
        result.checked()
        try:
            with self._locked():
                self.refresh()
                if _labelled(result) not in self._by_labels:
                    self._write(result, arrays)
                    self.refresh()
        except OSError as error:
            raise FileError(f"{self.folder} cannot take results: {reason(error)}") from error
        return self._by_labels[_labelled(result)]

    def claim(self, run: Run) -> bool:
        """Whether this process is to carry out the run: it has no result, and no other process has claimed it.

        The claim holds until `release` or the end of this process.
        """
        with self._locked():
            self.refresh()
            if _identity(run) in self._by_identity:
                return False
            self._claims.mkdir(exist_ok=True)
            lock = Lock(self._claims / f"{run.key}.lock")
            if lock.take():
                self._held[run.key] = lock
                return True
            return False

    def release(self, *runs: Run) -> None:
        """Give up the claims on these runs, or all claims."""
        with self._locked():
            for key in [run.key for run in runs] or list(self._held):
                if key in self._held:
                    self._held.pop(key).drop()
            sweep(self._claims)

    def _locked(self) -> Lock:
        return Lock(self.folder / _LOCK)

    def _write(self, result: Result, arrays: Mapping[str, np.ndarray] | None) -> None:
        if arrays:
            result = _with_arrays(self.folder / _ARRAYS, result, arrays)
        with open(self._file, "rb+") as stream:
            _end_last_line(stream, self._lines.end)
            stream.write(result.line)
            stream.flush()
            os.fsync(stream.fileno())

    def _sweep(self) -> None:
        """Remove files of killed processes; others write arrays only with the lock, which is held here."""
        for part in (self.folder / _ARRAYS).glob(".*.part.npz"):
            part.unlink(missing_ok=True)
        sweep(self._claims)


class _Lines:
    """The lines of a growing file, each read once, and what is wrong with the invalid ones.

    ``end`` is the end of the last line that was read, in bytes.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._start_over()

    def _start_over(self) -> None:
        self.end, self._n_lines, self._n_warned = 0, 0, 0
        self.invalid: list[tuple[int, str]] = []

    def new_results(self) -> list[Result]:
        """The results of the lines since the last call."""
        *lines, rest = self._new_content().split(b"\n")
        results = []
        for line in lines:
            self._n_lines += 1
            self.end += len(line) + 1
            try:
                results += [Result.read(line)] if line.strip() else []
            except ValueError as error:
                self.invalid.append((self._n_lines, str(error)))
        # An editor may have removed the end of the last line, which is otherwise complete.
        with contextlib.suppress(ValueError):
            results += [Result.read(rest)] if rest else []
        return results

    def _new_content(self) -> bytes:
        try:
            with open(self._file, "rb") as stream:
                if stream.seek(0, os.SEEK_END) < self.end:  # the file was replaced
                    self._start_over()
                stream.seek(self.end)
                return stream.read()
        except OSError as error:
            raise FileError(f"{self._file} cannot be read: {reason(error)}") from error

    def warn(self) -> None:
        """A warning for the invalid lines since the last one."""
        if self._n_warned < len(self.invalid):
            message = self.complaint()
            self._n_warned = len(self.invalid)
            warnings.warn(f"{message}; left out", DataWarning, stacklevel=4)

    def complaint(self) -> str:
        """The first of these lines and what is wrong with it, and the numbers of some others, as text."""
        (number, wrong), *others = self.invalid[self._n_warned :]
        numbers = ", ".join(str(other) for other, _ in others[:_N_NAMED]) + ", …" * (len(others) > _N_NAMED)
        more = f" (nor {'are' if len(others) > 1 else 'is'} {len(others)} more: {numbers})" if others else ""
        return f"{self._file}, line {number} is no row of results: {wrong}{more}"


def _end_last_line(stream: BinaryIO, begin: int) -> None:
    """Complete the line that begins there with its end if it is valid JSON; otherwise remove it."""
    stream.seek(begin)
    rest = stream.read()
    try:
        json.loads(rest)
    except (ValueError, RecursionError):
        stream.seek(begin)
        stream.truncate()
    else:
        stream.write(b"\n")


def _with_arrays(folder: Path, result: Result, arrays: Mapping[str, np.ndarray]) -> Result:
    """The result with the name of the file into which its arrays were written."""
    name = f"{result.key}.npz"
    folder.mkdir(exist_ok=True)
    with replacing(folder / name, overwrite=True) as temporary:
        np.savez_compressed(temporary, **arrays)
    return replace(result, arrays=name)


def _identity(of: Result | Run) -> tuple[Any, ...]:
    """What distinguishes results; the key alone does, except in lines that were written by hand."""
    return of.key, of.dataset, *of.case, of.seed


def _labelled(of: Result | Run) -> tuple[Any, ...]:
    """What distinguishes lines: a result may be stored under several labels."""
    return *of.labels, *_identity(of)


# --- locks -----------------------------------------------------------------------------------------------------------


def _lock(descriptor: int, wait: bool) -> bool:
    """Lock a file; whether it is held now."""
    if os.name != "nt":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True
    os.lseek(descriptor, 0, os.SEEK_SET)
    while True:  # LK_LOCK would give up after ten seconds
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            return True
        except PermissionError:
            if not wait:
                return False
        time.sleep(_SECONDS_BETWEEN_TRIES)


class Lock:
    """A lock between processes: an empty file that one of them holds, and that the system releases when it ends.

    The folder of ``path`` must exist.  As a context it waits until the lock is free.  Two objects in one process
    exclude each other as two processes do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, *, wait: bool = False) -> bool:
        """Whether it is held now; False if another one holds it, unless `wait`.

        FileError if the file cannot be made, or the file system has no locks.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                held = _lock(descriptor, wait)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise FileError(f"{self.path} cannot be locked: {reason(error)}") from error
        if held:
            self._descriptor = descriptor
        else:
            os.close(descriptor)
        return held

    def drop(self) -> None:
        """Release it, if it is held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.take(wait=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self.drop()


def sweep(folder: Path) -> None:
    """Remove the free lock files of a folder, and the folder if none is left.

    A lock taken in the folder meanwhile would not exclude others: call this under a lock of the whole folder only.
    """
    for path in folder.glob("*.lock"):
        lock = Lock(path)
        if lock.take():
            lock.drop()
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
