"""Matrices in HDF5 files: plain ones, MATLAB 7.3 and h5ad, read and written by a process that may die of it."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..files import FileError, reason, require
from ..limits import check_size, max_bytes_of
from .arrays import missing_at, parse_markers
from .children import ask_child
from .columns import shown
from .source import Source

__all__ = ["Hdf", "read", "render_new"]


@dataclass(frozen=True)
class Hdf:
    """An HDF5 file, and where in it the matrix is."""

    data: bytes
    key: str
    sparse: bool = False
    unstored: str = ""  # what is not stored in a sparse matrix: missing or zero
    rows: tuple[str, ...] = ()  # labels
    names: tuple[str, ...] = ()  # of the columns

    def render(self, path: str, values: np.ndarray) -> bytes:
        """A copy of the file with another matrix."""
        with tempfile.TemporaryDirectory() as folder:
            file, arrays, copy = (os.path.join(folder, name) for name in ("in.h5", "values.npz", "out.h5"))
            Path(file).write_bytes(self.data)
            np.savez(arrays, values=values)
            # The copy holds what was read within a limit; writing may take a few times as much.
            memory = 4 * (len(self.data) + values.nbytes) + max_bytes_of(None)
            arguments = ["write", file, self.key, arrays, copy, self.unstored]
            answer = ask_child(path, "hdf_child.py", arguments, "HDF5", memory)
            if "done" not in answer:
                raise FileError(f"{path} cannot be written: {reason(ValueError(answer.get('error', '')))}")
            return Path(copy).read_bytes()


def read(
    source: Source, key: str | None, na: Iterable[str], unstored: str | None, max_bytes: int | None = None
) -> tuple[np.ndarray, np.ndarray, Hdf]:
    """The matrix of an HDF5 file, NaN where it is missing; the same as it is stored; and the file."""
    path = source.path
    require("h5py", "hdf5")
    markers = parse_markers(path, na)
    limit = max_bytes_of(max_bytes, path if os.path.isfile(path) else None)
    with tempfile.TemporaryDirectory() as folder:
        file, arrays = os.path.join(folder, "in.h5"), os.path.join(folder, "values.npz")
        Path(file).write_bytes(source.data)
        arguments = ["read", file, key or "", arrays, str(limit), unstored or ""]
        answer = ask_child(path, "hdf_child.py", arguments, "HDF5", 4 * limit)
        if "done" not in answer:
            raise _refusal(path, answer, limit)
        with np.load(arrays) as found:
            stored = found["values"]
            rows, names = (tuple(found[axis].tolist()) if axis in found else () for axis in ("obs", "var"))
    names = names if len(names) == stored.shape[1] else ()
    rows = rows if len(rows) == stored.shape[0] else ()
    hdf = Hdf(source.data, answer["key"], answer["sparse"], answer["unstored"], rows, names)
    return missing_at(stored, markers), stored, hdf


def render_new(values: np.ndarray) -> bytes:
    """The bytes of a new HDF5 file with this matrix as its data set X."""
    stream = io.BytesIO()
    with require("h5py", "hdf5").File(stream, "w") as h5:
        h5["X"] = values
    return stream.getvalue()


def _refusal(path: str, answer: dict[str, Any], limit: int) -> FileError:
    if "too_large" in answer:
        check_size(path, answer["too_large"], limit)
    if "names" in answer:
        there = ", ".join(map(shown, answer["names"][:12])) or "none"
        if "wrong" in answer:
            return FileError(f"{path} has no matrix of numbers {shown(answer['wrong'])}; it has {there}")
        if not answer["names"]:
            return FileError(f"{path} holds no matrix of numbers: none of its data sets has two dimensions")
        return FileError(f"{path} holds several matrices: choose one of {there} with --key")
    return FileError(f"{path} is not a readable HDF5 file: {reason(ValueError(answer.get('error', '')))}")
