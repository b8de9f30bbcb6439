"""Matrices in npy, npz and mat files, and the other arrays of the file. Nothing is ever unpickled.

What a file unpacks to is compared with the limit before it is unpacked, and only the matrix is: the other arrays are
kept as they stand in the file.
"""

from __future__ import annotations

import io
import math
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, Any, TypeVar

import numpy as np

from ..files import FileError, describe, reason
from ..limits import check_size, max_bytes_of
from . import matlab
from .matlab import MatFile
from .source import Source

T = TypeVar("T")

_KINDS = {"c": "complex numbers", "U": "text", "S": "text", "O": "objects", "V": "structs"}
# The longest head of an array in an npz file that is looked at: those of numbers have 128 bytes.
_LONGEST_HEAD = 1 << 16
_ZIPPED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class NpzFile:
    """An npz file, its arrays not unpacked."""

    data: bytes
    members: dict[str, zipfile.ZipInfo]

    @property
    def compressed(self) -> bool:
        """Whether any array is."""
        return any(member.compress_type != zipfile.ZIP_STORED for member in self.members.values())

    def array(self, name: str, max_bytes: int) -> np.ndarray:
        """The array of that name."""
        member = self.members[name]
        with zipfile.ZipFile(io.BytesIO(self.data)) as archive, archive.open(member) as stream:
            packed = member.compress_type != zipfile.ZIP_STORED
            return _read_npy(stream, member.file_size, max_bytes if packed else None)

    def copy(self, name: str, target: IO[bytes] | io.RawIOBase) -> None:
        """Write the npy file of that name, a piece at a time."""
        with zipfile.ZipFile(io.BytesIO(self.data)) as archive, archive.open(self.members[name]) as stream:
            while piece := stream.read(1 << 20):
                target.write(piece)


class _Nowhere(io.RawIOBase):
    """What is written here is gone: whether it can be read is all that is asked."""

    def write(self, content: Any) -> int:
        """Take it."""
        return len(content)


@dataclass(frozen=True)
class Container:
    """What is around a matrix in its npz or mat file."""

    name: str = "X"
    source: NpzFile | MatFile | None = None
    others: tuple[str, ...] = ()
    max_bytes: int | None = None

    @property
    def compressed(self) -> bool:
        """Whether the arrays of an npz file are."""
        return isinstance(self.source, NpzFile) and self.source.compressed

    def array(self, name: str) -> np.ndarray:
        """Another array of the file, unpacked."""
        assert self.source is not None
        return self.source.array(name, max_bytes_of(self.max_bytes))


def read(
    file: Source, key: str | None, na: Iterable[str], max_bytes: int | None = None
) -> tuple[np.ndarray, np.ndarray, Container | None]:
    """The matrix in an array file, NaN at the markers; the same as it is stored; and what is around it."""
    path, kind, data = file.path, file.kind, file.data
    markers = parse_markers(path, na)
    _check_signature(path, kind, data)
    if kind == "npy":
        if key is not None:
            raise FileError(f"{path}: a key chooses an array of an npz or mat file; a npy file has none")
        stored = checked(path, _parse(path, kind, lambda: _npy_of(data)))
        return missing_at(stored, markers), stored, None
    source = _parse(path, kind, lambda: _npz_of(data) if kind == "npz" else matlab.read(data))
    names = list(source.members if isinstance(source, NpzFile) else source.elements)
    name = _choose(path, names, key)
    limit = max_bytes_of(max_bytes, path if os.path.isfile(path) else None)
    array = _parse(path, kind, lambda: source.array(name, limit), f"array {name!r}", max_bytes)
    stored = checked(path, array, f"array {name!r}")
    others = tuple(other for other in names if other != name)
    return missing_at(stored, markers), stored, Container(name, source, others, limit)


def sparse_parts(file: Source, max_bytes: int | None = None) -> dict[str, np.ndarray]:
    """The arrays of an npz file that scipy.sparse wrote; none where it did not."""
    archive = _parse(file.path, "npz", lambda: _npz_of(file.data))
    if not {"format", "shape", "data"} <= set(archive.members):
        return {}
    limit = max_bytes_of(max_bytes, file.path if os.path.isfile(file.path) else None)
    names = [name for name in archive.members if name in ("format", "shape", "data", "row", "col", "indices", "indptr")]
    return _parse(file.path, "npz", lambda: {name: archive.array(name, limit) for name in names})


def check(path: str | os.PathLike[str], kind: str, source: str, container: Container | None) -> None:
    """FileError where the file to be written cannot keep the other arrays of the file that was read."""
    container = container or Container()
    if kind == "mat":
        for name in (container.name, *container.others):
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", name):
                raise FileError(f"{path}: a mat file cannot hold an array named {name!r}")
    if kind not in ("npz", "mat") or (kind == "mat" and isinstance(container.source, MatFile)):
        return
    for name in container.others:
        why = _why_not(kind, name, container)
        if why:
            raise FileError(f"{path}: array {name!r} of {source} cannot be kept in a {kind} file: {why}")


def _why_not(kind: str, name: str, container: Container) -> str:
    """What keeps another array of the file from being written; nothing where it can be."""
    try:
        if kind == "npz" and isinstance(container.source, NpzFile):
            container.source.copy(name, _Nowhere())
            return ""
        dtype = container.array(name).dtype
    except Exception as error:  # damaged bytes can raise anything
        return reason(error)
    return "it holds objects" if dtype.hasobject or (kind == "mat" and dtype.kind == "V") else ""


def render(kind: str, values: np.ndarray, container: Container | None) -> bytes:
    """The bytes of an array file with the matrix and what is around it."""
    container = container or Container()
    if kind == "mat":
        return _mat_bytes(values, container)
    stream = io.BytesIO()
    if kind == "npy":
        np.save(stream, values, allow_pickle=False)
    else:
        _save_npz(stream, values, container)
    return stream.getvalue()


def _save_npz(stream: io.BytesIO, values: np.ndarray, container: Container) -> None:
    # Not np.savez: it takes the arrays as keyword arguments, so an array called "file" would collide.
    compression = zipfile.ZIP_DEFLATED if container.compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name in (container.name, *container.others):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                if name == container.name:
                    np.lib.format.write_array(member, values, allow_pickle=False)
                elif isinstance(container.source, NpzFile):
                    container.source.copy(name, member)
                else:
                    np.lib.format.write_array(member, container.array(name), allow_pickle=False)


def _mat_bytes(values: np.ndarray, container: Container) -> bytes:
    head = container.source if isinstance(container.source, MatFile) and container.source.version == 5 else None
    variables: dict[str, np.ndarray | memoryview] = {container.name: values}
    for name in container.others:
        variables[name] = head.elements[name] if head else _for_mat(name, container.array(name))
    return matlab.write(variables, head)


def _for_mat(name: str, array: np.ndarray) -> np.ndarray | memoryview:
    """An array of numbers, or the element of one of text or complex numbers."""
    if array.dtype.kind in "fiub":
        return array
    from scipy.io import savemat

    stream = io.BytesIO()
    savemat(stream, {name: array}, long_field_names=True, do_compression=True)
    return memoryview(stream.getvalue())[128:]


def parse_markers(path: str | os.PathLike[str], na: Iterable[str]) -> list[float]:
    """The missing markers of an array, which must be numbers."""
    try:
        return [float(text) for text in na]
    except ValueError as error:
        message = f"{path}: a missing marker of an array must be a number ({reason(error)})"
        raise FileError(message) from error


def in_type(fill: np.ndarray, dtype: np.dtype, markers: Iterable[float]) -> np.ndarray:
    """Estimates in the type of an array, integers rounded; none of them a marker, which would be missing again."""
    if dtype.kind == "f":
        typed = fill.astype(dtype)
        for marker in markers:
            typed[typed == marker] = np.nextafter(dtype.type(marker), dtype.type(np.inf))
        return typed
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    inside = np.nextafter(float(high), 0) if float(high) > high else float(high)
    rounded = np.clip(np.rint(fill), float(low), inside)
    taken = set(markers)
    for marker in taken & set(np.unique(rounded).tolist()):
        near = [marker + step * sign for step in range(1, len(taken) + 2) for sign in (1, -1)]
        near = [value for value in near if value not in taken and low <= value <= high] or [marker]
        hits = rounded == marker
        choices = np.abs(fill[hits][:, None] - np.array(near)).argmin(axis=1)
        rounded[hits] = np.array(near)[choices]
    return rounded.astype(dtype)


def checked(path: str | os.PathLike[str], array: np.ndarray, label: str = "the array") -> np.ndarray:
    """The array, if it is a matrix of real numbers; FileError otherwise."""
    if array.dtype.kind not in "fiub":
        what = _KINDS.get(array.dtype.kind, str(array.dtype))
        raise FileError(f"{path}: {label} holds {what}; real numbers are needed")
    if array.ndim != 2:
        raise FileError(f"{path}: {label} has {array.ndim} dimensions {array.shape}; a matrix has 2")
    if array.size == 0:
        raise FileError(f"{path}: {label} is empty {array.shape}")
    return array


def missing_at(array: np.ndarray, markers: list[float]) -> np.ndarray:
    """The matrix with NaN at the markers."""
    hits = np.isin(array, markers)
    if not hits.any():
        return array
    # Integers cannot say "missing".
    values = array.copy() if array.dtype.kind == "f" else array.astype(np.float64)
    values[hits] = np.nan
    return values


def _parse(
    path: str | os.PathLike[str], kind: str, load: Callable[[], T], label: str = "", max_bytes: int | None = None
) -> T:
    """What a reader makes of a file; whatever it raises at damaged bytes becomes one line."""
    of = f"{path}: {label}" if label else str(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # readers warn of oddities that the checks here judge
            return load()
    except Pickled as error:
        words = "pickled Python objects, which are never loaded (they can run code); save plain arrays of numbers"
        raise FileError(f"{of} holds {words}") from error
    except matlab.TooLarge as error:
        check_size(path, error.n_bytes, max_bytes)
        raise
    except matlab.Unsupported as error:
        raise FileError(
            f"{of} holds {error}; a full matrix of real numbers is needed"
            + (": fit a sparse one in Python with sparse_missing=" if str(error) == "sparse" else "")
        ) from error
    except Exception as error:  # damaged bytes can raise anything
        raise FileError(f"{of} is not a readable {kind} file: {reason(error)}") from error


def _check_signature(path: str | os.PathLike[str], kind: str, data: bytes) -> None:
    found = describe(data)
    if kind == "mat" and (found is None or found.startswith("a MATLAB")):  # version 4 has no signature
        return
    if kind == "npy" and data.startswith(b"\x93NUMPY"):
        return
    if kind == "npz" and data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return
    raise FileError(f"{path} is no {kind} file" + (f": it is {found}" if found else ""))


class Pickled(ValueError):
    """An array of Python objects."""


def _npy_of(data: bytes) -> np.ndarray:
    return _read_npy(io.BytesIO(data), len(data))


def _npz_of(data: bytes) -> NpzFile:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
    for member in members:
        if not member.filename.endswith(".npy"):
            raise ValueError(f"it is a zip archive with {member.filename!r} in it")
        if member.compress_type not in _ZIPPED or member.flag_bits & 1:
            raise ValueError(f"{member.filename!r} is packed in a way that NumPy never uses")
    by_name = {member.filename.removesuffix(".npy"): member for member in members}
    if len(by_name) < len(members):
        raise ValueError("two of its arrays have the same name")
    return NpzFile(data, by_name)


def _read_npy(stream: Any, n_bytes: int, max_bytes: int | None = None) -> np.ndarray:
    """The array of an npy file of `n_bytes`, if all of it is there and it takes no more than `max_bytes`."""
    shape, by_columns, dtype, begin = _npy_head(stream)
    if dtype.hasobject:
        raise Pickled
    count = math.prod(shape)
    size = count * dtype.itemsize
    if min(shape, default=0) < 0 or not dtype.itemsize or size > n_bytes - begin:
        raise ValueError(f"{max(n_bytes - begin, 0)} bytes are stored for an array of {dtype} of shape {shape}")
    if max_bytes is not None and size + matlab.COPY * count > max_bytes:
        raise matlab.TooLarge(size + matlab.COPY * count)
    content = stream.read(size)
    if len(content) < size:
        raise ValueError("it ends early")
    array = np.frombuffer(content, dtype)
    return array.reshape(shape[::-1]).T if by_columns else array.reshape(shape)


def _npy_head(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, whether column after column, type, and length of the head."""
    start = stream.read(12)
    if not start.startswith(b"\x93NUMPY") or len(start) < 12 or start[6] not in (1, 2):
        raise ValueError("it is no npy array of version 1 or 2")
    n_length = 2 * start[6]
    length = int.from_bytes(start[8 : 8 + n_length], "little")
    if length > _LONGEST_HEAD:
        raise ValueError(f"its head has {length} bytes")
    rest = length - (12 - 8 - n_length)
    head = io.BytesIO(start + stream.read(max(rest, 0)))
    version = np.lib.format.read_magic(head)
    read_head = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read_head(head)
    if dtype.subdtype is not None:
        raise ValueError("its numbers are arrays themselves")
    return shape, by_columns, dtype, 8 + n_length + length


def _choose(path: str | os.PathLike[str], names: list[str], key: str | None) -> str:
    if not names:
        raise FileError(f"{path} holds no array")
    if key is None and len(names) == 1:
        return names[0]
    there = ", ".join(names)
    if key is None:
        raise FileError(f"{path} holds several arrays: choose one of {there} with --key")
    if key not in names:
        raise FileError(f"{path} has no array {key!r}; it holds {there}")
    return key
