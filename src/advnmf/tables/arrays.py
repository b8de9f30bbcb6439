"""Matrices in npy, npz and mat files, and the other arrays of the file. Nothing is ever unpickled."""

from __future__ import annotations

import io
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..files import FileError, describe, read_bytes, reason, suffix

_KINDS = {"c": "complex numbers", "U": "text", "S": "text", "O": "objects", "V": "structs"}


@dataclass(frozen=True)
class Container:
    """What is around a matrix in its npz or mat file."""

    name: str = "X"
    others: Mapping[str, Any] = field(default_factory=dict)
    compressed: bool = False


def read(path: str | os.PathLike[str], key: str | None, na: Iterable[str]) -> tuple[np.ndarray, Container | None]:
    """The matrix in an array file, NaN at the markers, and what is around it."""
    kind = suffix(path)
    markers = parse_markers(path, na)
    if kind == "npy":
        if key is not None:
            raise FileError(f"{path}: a key chooses an array of an npz or mat file; a npy file has none")
        return _matrix(path, _parse(path, "npy", _load_npy), markers), None
    arrays, compressed = _parse(path, kind, _load_npz if kind == "npz" else _load_mat)
    name = _choose(path, arrays, key)
    others = {other: array for other, array in arrays.items() if other != name}
    values = _matrix(path, arrays[name], markers, f"array {name!r}")
    return values, Container(name, others, compressed)


def check(path: str | os.PathLike[str], source: str, container: Container | None) -> None:
    """FileError where the file to be written cannot keep the other arrays of the file that was read."""
    kind = suffix(path)
    container = container or Container()
    if kind == "npz":
        for name, array in container.others.items():
            if hasattr(array, "tocsr") or np.asarray(array).dtype.hasobject:
                raise FileError(f"{path}: array {name!r} of {source} cannot be kept in an npz file")
    if kind == "mat":
        for name in (container.name, *container.others):
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", name):
                raise FileError(f"{path}: a mat file cannot hold an array named {name!r}")
        try:
            render(kind, np.zeros((1, 1)), container)
        except Exception as error:  # scipy raises many kinds at what it cannot write
            message = f"{path}: not all of {source} can be kept in a mat file: {reason(error)}"
            raise FileError(message) from error


def render(kind: str, values: np.ndarray, container: Container | None) -> bytes:
    """The bytes of an array file with the matrix and what is around it."""
    container = container or Container()
    named = {container.name: values, **container.others}
    stream = io.BytesIO()
    if kind == "npy":
        np.save(stream, values, allow_pickle=False)
    elif kind == "npz":
        _save_npz(stream, named, zipfile.ZIP_DEFLATED if container.compressed else zipfile.ZIP_STORED)
    else:
        from scipy.io import savemat

        savemat(stream, named, long_field_names=True, do_compression=True)
    return stream.getvalue()


def _save_npz(stream: io.BytesIO, arrays: Mapping[str, Any], compression: int) -> None:
    # Not np.savez: it takes the arrays as keyword arguments, so an array called "file" would collide.
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def parse_markers(path: str | os.PathLike[str], na: Iterable[str]) -> list[float]:
    """The missing markers of an array, which must be numbers."""
    try:
        return [float(text) for text in na]
    except ValueError as error:
        message = f"{path}: a missing marker of an array must be a number ({reason(error)})"
        raise FileError(message) from error


def _matrix(path: str | os.PathLike[str], array: Any, markers: list[float], label: str = "the array") -> np.ndarray:
    """The array as a matrix of numbers, NaN at the markers; FileError where it is no real matrix."""
    if hasattr(array, "tocsr"):
        raise FileError(
            f"{path}: {label} is sparse, and whether its zeros are zero or missing is for you to say: "
            "fit it in Python with sparse_missing="
        )
    array = np.asarray(array)
    if array.dtype.kind not in "fiub":
        what = _KINDS.get(array.dtype.kind, str(array.dtype))
        raise FileError(f"{path}: {label} holds {what}; real numbers are needed")
    if array.ndim != 2:
        raise FileError(f"{path}: {label} has {array.ndim} dimensions {array.shape}; a matrix has 2")
    if array.size == 0:
        raise FileError(f"{path}: {label} is empty {array.shape}")
    hits = np.isin(array, markers)
    if not hits.any():
        return array
    # Integers cannot say "missing".
    values = array.copy() if array.dtype.kind == "f" else array.astype(np.float64)
    values[hits] = np.nan
    return values


def _parse(path: str | os.PathLike[str], kind: str, load: Callable[[io.BytesIO], Any]) -> Any:
    """What a library's reader makes of a file; whatever it raises at damaged bytes becomes one line."""
    data = read_bytes(path)
    _check_signature(path, kind, data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # readers warn of oddities that the checks here judge
            return load(io.BytesIO(data))
    except Exception as error:  # damaged bytes can raise anything
        if "allow_pickle" in str(error) or "pickle" in str(error):
            raise FileError(
                f"{path} holds pickled Python objects, which are never loaded (they can run code); "
                "save plain arrays of numbers"
            ) from error
        raise FileError(f"{path} is not a readable {kind} file: {reason(error)}") from error


def _check_signature(path: str | os.PathLike[str], kind: str, data: bytes) -> None:
    found = describe(data)
    if kind == "mat":
        if found is not None and ("7.3" in found or "HDF5" in found):
            raise FileError(
                f"{path} is a MATLAB 7.3 file (HDF5), which is not read; save it with -v7, or as npy or csv"
            )
        if found is None or found.startswith("a MATLAB"):  # version 4 has no signature
            return
    if kind == "npy" and data.startswith(b"\x93NUMPY"):
        return
    if kind == "npz" and data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return
    raise FileError(f"{path} is no {kind} file" + (f": it is {found}" if found else ""))


def _load_npy(stream: io.BytesIO) -> np.ndarray:
    return np.load(stream, allow_pickle=False)


def _load_npz(stream: io.BytesIO) -> tuple[dict[str, np.ndarray], bool]:
    with zipfile.ZipFile(stream) as archive:
        compressed = any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
        strangers = [name for name in archive.namelist() if not name.endswith(".npy")]
    if strangers:
        raise ValueError(f"it is a zip archive with {strangers[0]!r} in it")
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}, compressed


def _load_mat(stream: io.BytesIO) -> tuple[dict[str, Any], bool]:
    from scipy.io import loadmat

    loaded = loadmat(stream)
    return {name: value for name, value in loaded.items() if not name.startswith("__")}, True


def _choose(path: str | os.PathLike[str], arrays: Mapping[str, Any], key: str | None) -> str:
    if not arrays:
        raise FileError(f"{path} holds no array")
    if key is None and len(arrays) == 1:
        return next(iter(arrays))
    names = ", ".join(arrays)
    if key is None:
        raise FileError(f"{path} holds several arrays: choose one of {names} with --key")
    if key not in arrays:
        raise FileError(f"{path} has no array {key!r}; it holds {names}")
    return key
