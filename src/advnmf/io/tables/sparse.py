"""Sparse matrices in files: Matrix Market (mtx) and the npz files of scipy.sparse.

    values[i, j] = what is stored there, else NaN (what is not stored is missing) or 0

Which of both it is: zero where NaN is stored, else missing, unless it is told.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..files import FileError, reason
from ..limits import check_size, max_bytes_of
from .arrays import missing_at, parse_markers
from .source import Source

__all__ = ["Coordinates", "read_mtx", "read_npz", "render_mtx", "render_npz"]

_FIELDS = ("real", "integer", "double", "pattern")


@dataclass(frozen=True)
class Coordinates:
    """Where the stored values of a sparse matrix are; empty for a dense one."""

    row: np.ndarray
    column: np.ndarray
    shape: tuple[int, int]
    unstored: str  # missing or zero
    head: str = ""  # banner and comments of an mtx file
    format: str = "coo"  # of scipy.sparse

    @property
    def sparse(self) -> bool:
        """Whether the file stores only some values."""
        return self.format != "array"


def read_mtx(
    source: Source, na: tuple[str, ...], unstored: str | None, max_bytes: int | None = None
) -> tuple[np.ndarray, Coordinates]:
    """The matrix of a Matrix Market file."""
    path = source.path
    limit = max_bytes_of(max_bytes, path if os.path.isfile(path) else None)
    markers = parse_markers(path, na)
    try:
        words, head, sizes, body = _mtx_parts(source.data)
        shape = sizes[0], sizes[1]
        check_size(path, 8 * shape[0] * shape[1], limit)
        table = _numbers(body)
        if words[0] == "array":
            values = _from_array(table.ravel(), shape, words[2])
            return missing_at(values, markers), Coordinates(*_nowhere(), shape, "missing", head, "array")
        row, column, stored = _entries(table, sizes, words)
    except FileError:
        raise
    except Exception as error:  # damaged text can raise anything
        raise FileError(f"{path} is not a readable mtx file: {reason(error)}") from error
    values, unstored = _full(row, column, stored, shape, unstored)
    return missing_at(values, markers), Coordinates(row, column, shape, unstored, head)


def read_npz(
    path: str,
    arrays: Mapping[str, np.ndarray],
    na: tuple[str, ...],
    unstored: str | None,
    max_bytes: int | None = None,
) -> tuple[np.ndarray, Coordinates]:
    """The matrix of an npz file of scipy.sparse, from the arrays in it."""
    from scipy import sparse

    limit = max_bytes_of(max_bytes, path if os.path.isfile(path) else None)
    markers = parse_markers(path, na)
    try:
        name = str(arrays["format"].item().decode() if arrays["format"].dtype.kind == "S" else arrays["format"].item())
        shape = int(arrays["shape"][0]), int(arrays["shape"][1])
        if min(shape) < 1 or len(arrays["shape"]) != 2:
            raise ValueError(f"its shape is {shape}")
        check_size(path, 8 * shape[0] * shape[1], limit)
        data = arrays["data"]
        if data.dtype.kind not in "fiub":
            raise ValueError(f"it holds {data.dtype}, real numbers are needed")
        if name == "coo":
            matrix = sparse.coo_array((data, (arrays["row"], arrays["col"])), shape)
        elif name in ("csr", "csc"):
            kind = sparse.csr_array if name == "csr" else sparse.csc_array
            matrix = kind((data, arrays["indices"], arrays["indptr"]), shape)
            matrix.check_format(full_check=True)
        else:
            raise ValueError(f"its format is {name!r}: save it as csr, csc or coo")
        found = matrix.tocoo()
        found.sum_duplicates()
    except FileError:
        raise
    except Exception as error:  # damaged arrays can raise anything
        raise FileError(f"{path} is not a readable sparse npz file: {reason(error)}") from error
    values, unstored = _full(found.row, found.col, found.data, shape, unstored)
    return missing_at(values, markers), Coordinates(found.row, found.col, shape, unstored, format=name)


def render_mtx(values: np.ndarray, where: Coordinates | None) -> bytes:
    """The bytes of a Matrix Market file: of all values, or of the stored ones where the others are zero."""
    comments = [] if where is None else where.head.splitlines()[1:]
    if where is None or not where.sparse or where.unstored == "missing":
        lines = ["%%MatrixMarket matrix array real general", *comments, f"{values.shape[0]} {values.shape[1]}"]
        lines += map(repr, values.T.ravel().tolist())
    else:
        stored = values[where.row, where.column].tolist()
        places = zip((where.row + 1).tolist(), (where.column + 1).tolist(), stored, strict=True)
        lines = ["%%MatrixMarket matrix coordinate real general", *comments]
        lines += [f"{values.shape[0]} {values.shape[1]} {len(stored)}"]
        lines += [f"{i} {j} {value!r}" for i, j, value in places]
    return ("\n".join(lines) + "\n").encode()


def render_npz(values: np.ndarray, where: Coordinates) -> bytes:
    """The bytes of an npz file of scipy.sparse with the stored values, or with all where the others were missing."""
    from scipy import sparse

    matrix = sparse.coo_array(values)
    if where.unstored == "zero":
        matrix = sparse.coo_array((values[where.row, where.column], (where.row, where.column)), where.shape)
    stream = io.BytesIO()
    sparse.save_npz(stream, matrix.asformat(where.format))
    return stream.getvalue()


def _nowhere() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64)


def _full(
    row: np.ndarray, column: np.ndarray, stored: np.ndarray, shape: tuple[int, int], unstored: str | None
) -> tuple[np.ndarray, str]:
    stored = stored.astype(np.float64)
    unstored = unstored or ("zero" if np.isnan(stored).any() else "missing")
    values = np.full(shape, 0.0 if unstored == "zero" else np.nan)
    values[row, column] = stored
    return values, unstored


def _mtx_parts(data: bytes) -> tuple[list[str], str, tuple[int, ...], bytes]:
    """Format, field and symmetry; banner and comments; the sizes; and the lines of numbers."""
    at = data.index(b"\n") + 1
    words = data[:at].decode("ascii").lower().split()[2:]
    if len(words) != 3 or words[0] not in ("array", "coordinate"):
        raise ValueError(f"its first line is {data[:60].decode('latin-1')!r}")
    if words[1] not in _FIELDS:
        raise ValueError(f"it holds {words[1]} numbers, real ones are needed")
    if words[2] not in ("general", "symmetric", "skew-symmetric"):
        raise ValueError(f"its symmetry is {words[2]!r}")
    while data[at : at + 1] in (b"%", b"\n", b"\r"):
        at = data.index(b"\n", at) + 1
    end = data.index(b"\n", at)
    sizes = tuple(int(word) for word in data[at:end].split())
    if len(sizes) != (2 if words[0] == "array" else 3) or min(sizes) < 0 or min(sizes[:2]) < 1:
        raise ValueError(f"its sizes are {sizes}")
    return words, data[:at].decode("utf-8", "replace"), sizes, data[end:]


def _numbers(body: bytes) -> np.ndarray:
    return np.array(body.split(), np.float64)


def _from_array(numbers: np.ndarray, shape: tuple[int, ...], symmetry: str) -> np.ndarray:
    if symmetry != "general":
        raise ValueError("a dense matrix must be general")
    if numbers.size != shape[0] * shape[1]:
        raise ValueError(f"it holds {numbers.size} numbers for {shape[0]} x {shape[1]} values")
    return np.ascontiguousarray(numbers.reshape(shape[1], shape[0]).T)


def _entries(table: np.ndarray, sizes: tuple[int, ...], words: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and value of each entry, those that symmetry implies among them."""
    width = 2 if words[1] == "pattern" else 3
    if table.size != width * sizes[2]:
        raise ValueError(f"it holds {table.size} numbers for {sizes[2]} entries")
    table = table.reshape(-1, width)
    places = table[:, :2]
    if not ((places >= 1) & (places <= sizes[:2]) & (places == np.rint(places))).all():
        raise ValueError(f"an entry lies outside of the matrix of {sizes[0]} x {sizes[1]}")
    row, column = (places.T - 1).astype(np.int64)
    stored = table[:, 2] if width == 3 else np.ones(len(table))
    if words[2] != "general":
        off = row != column
        sign = -1 if words[2].startswith("skew") else 1
        row, column = np.concatenate([row, column[off]]), np.concatenate([column, row[off]])
        stored = np.concatenate([stored, sign * stored[off]])
    return row, column, stored
