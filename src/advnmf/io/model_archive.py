"""The archive of a model file: written from a tree and its arrays, and read with everything checked before it is taken.

The head of `model_file` says what is in it.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from .files import FileError, replacing

FORMAT = "advnmf-model"
# 2: models have an `adversary_`.
FORMAT_VERSION = 2
DTYPES = ("<f8", "<f4", "<i8", "<i4", "|u1", "|b1")
# What a file may hold.  A header takes some twenty times its own size once it is parsed.
MAX_BYTES, _HEADER_SHARE = 2**30, 256
# Bytes that are read at a time; the directory of the archive is read at once, which allows for 20,000 arrays.
_PIECE = 2**20
# Values in the header, of which a model counts as many, and how deep they may be nested.
_MOST_VALUES, MODEL_VALUES, _DEEPEST = 200_000, 200, 40
# Characters of an integer of 64 bits and of a float, with room to spare.
_INTEGER_LENGTH, _FLOAT_LENGTH = 20, 40
# Version 1.0 of the .npy format as NumPy writes it; nothing else is read.
_NPY_START, _NPY_LONGEST = struct.Struct("<8sH"), 1024
# A string of JSON, or what begins as one: without an end, or each quote in it would be a beginning of its own.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?', re.DOTALL)


def write_archive(path: str | os.PathLike[str], tree: dict[str, Any], arrays: list[np.ndarray]) -> None:
    """A file with the tree of a model, and the arrays that it refers to by their number."""
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "advnmf_version": _package_version(),
        "model": tree,
    }
    text = json.dumps(header, allow_nan=False, indent=1).encode()
    with replacing(path, overwrite=True) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo("header.json"), "w") as member:
            member.write(text)
        for index, array in enumerate(arrays):
            with archive.open(zipfile.ZipInfo(f"{index}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


@contextmanager
def reading(stream: IO[bytes], max_bytes: int) -> Iterator[tuple[Any, Reader]]:
    """The tree of a model, and what gives its arrays; FileError where the block has left arrays unread."""
    size = os.fstat(stream.fileno()).st_size
    if size > max_bytes:
        raise FileError(f"it has {size} bytes, more than max_bytes={max_bytes}: load(..., max_bytes={size}) reads it")
    with zipfile.ZipFile(_Pieces(stream)) as archive:  # type: ignore[call-overload]
        members = {info.filename: info for info in archive.infolist()}
        _check_members(archive, members, size)
        header = _read_header(archive, members.pop("header.json"), max_bytes // _HEADER_SHARE)
        reader = Reader(archive, members)
        yield header["model"], reader
        if reader.unread:
            raise FileError(f"damaged: it holds arrays that nothing refers to ({sorted(reader.unread)[0]!r:.60})")


class _Pieces:
    """A file that is not read at once, as the directory of an archive would be whatever size it claims."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or all that are left; an error where these are more than a piece."""
        data = self._stream.read(_PIECE + 1 if size < 0 else min(size, _PIECE + 1))
        if len(data) > _PIECE:
            raise FileError("not a model saved by advnmf: an archive of too many files, or damaged")
        return data


def _check_members(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], file_size: int) -> None:
    """Refuse foreign archives, and such that declare more than they hold."""
    if "header.json" not in members:
        raise FileError("not a model saved by advnmf: a zip archive without header.json")
    if len(members) != len(archive.infolist()):
        raise FileError("damaged: two members have one name")
    for info in members.values():
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise FileError(f"not a model saved by advnmf: {info.filename!r:.60} is compressed or encrypted")
    if sum(info.file_size for info in members.values()) > file_size:
        raise FileError("damaged: its members declare more bytes than the file has")


def _read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, longest: int) -> dict:
    """The JSON header, of a format that this version knows."""
    if info.file_size > longest:
        raise FileError(
            f"its header has {info.file_size} bytes, more than {longest}: "
            f"load(..., max_bytes={info.file_size * _HEADER_SHARE}) reads it"
        )
    text = bytearray(info.file_size)
    with archive.open(info) as member:
        _read_into(member, memoryview(text), "the header")
    header = _parse(bytes(text))
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise FileError("not a model saved by advnmf: its header says so")
    version = header.get("format_version")
    if type(version) is not int or version < 1:
        raise FileError(f"damaged: format_version is {version!r:.60}")
    if version > FORMAT_VERSION:
        raise FileError(
            f"saved by advnmf {header.get('advnmf_version')!s:.20} in format {version}; "
            f"this is advnmf {_package_version()}, which reads up to format {FORMAT_VERSION}: upgrade advnmf"
        )
    return header


def _read_into(member: Any, target: memoryview, name: str) -> None:
    """Fill the target with the rest of a member, piece by piece."""
    for start in range(0, len(target), _PIECE):
        piece = target[start : start + _PIECE]
        if member.readinto(piece) != len(piece):
            raise FileError(f"damaged: {name} is cut")
    # The last read, of nothing, is where zipfile compares the checksum.
    if member.read(1):
        raise FileError(f"damaged: {name} goes on after its end")


def _parse(text: bytes) -> object:
    """The JSON value of a text, if it is as `save` writes it."""
    # Strings apart, brackets tell how deep it goes; the parser of JSON would find out on the stack.
    plain = np.frombuffer(_STRING.sub(b"", text), np.uint8)
    steps = np.isin(plain, list(b"[{")).astype(np.int32) - np.isin(plain, list(b"]}"))
    if steps.size and steps.cumsum(dtype=np.int32).max() > _DEEPEST:
        raise FileError(f"damaged: its header is nested more than {_DEEPEST} deep")
    return json.loads(
        text.decode(),
        parse_int=_integer,
        parse_float=_real,
        parse_constant=_real,
        object_pairs_hook=_unique,
    )


def _integer(digits: str) -> int:
    # Thousands of digits take quadratic time.
    if len(digits) > _INTEGER_LENGTH:
        raise FileError(f"damaged: its header holds an integer of {len(digits)} digits")
    return int(digits)


def _real(digits: str) -> float:
    if len(digits) > _FLOAT_LENGTH or not math.isfinite(float(digits)):
        raise FileError(f"damaged: its header holds the number {digits:.40}")
    return float(digits)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise FileError("damaged: its header says one thing twice")
    return values


class Reader:
    """Takes arrays out of the archive, each once, and counts the values of the header."""

    def __init__(self, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
        self.archive = archive
        self.unread = members
        self.values_left = _MOST_VALUES

    def count(self, n_values: int) -> None:
        """Refuse a header of too many values, before they are made."""
        self.values_left -= n_values
        if self.values_left < 0:
            raise FileError(f"damaged: its header holds more than {_MOST_VALUES} values")

    def array(self, name: str, dtype: str, shape: list[int]) -> np.ndarray:
        """The array of that name, whose dtype and shape must be as said."""
        good = dtype in DTYPES and isinstance(shape, list) and len(shape) <= 2
        if not good or not all(type(n) is int and n >= 0 for n in shape):
            raise FileError(f"damaged: {name!r:.60} is declared with dtype {dtype!r:.60} and shape {shape!r:.60}")
        if name not in self.unread:
            raise FileError(f"damaged: the array {name!r:.60} is missing")
        info = self.unread.pop(name)
        with self.archive.open(info) as member:
            fortran, length = _read_npy_header(member, dtype, tuple(shape))
            n_bytes = np.dtype(dtype).itemsize * math.prod(shape)
            if fortran is None or info.file_size != length + n_bytes:
                raise FileError(f"damaged: the array {name!r:.60} is not of dtype {dtype} and shape {tuple(shape)}")
            array = np.empty(shape, dtype, order="F" if fortran else "C")
            _read_into(member, (array.T if fortran else array).reshape(-1).view(np.uint8).data, "an array")
        if dtype == "|b1" and array.view(np.uint8).max(initial=0) > 1:
            raise FileError(f"damaged: the array {name!r:.60} holds what is neither true nor false")
        return array.astype(array.dtype.newbyteorder("="), copy=False)


def _read_npy_header(member: IO[bytes], dtype: str, shape: tuple[int, ...]) -> tuple[bool | None, int]:
    """Whether the array is in column order, None if it is another one, and the number of bytes before the data."""
    magic, length = _NPY_START.unpack(member.read(_NPY_START.size))
    if magic != b"\x93NUMPY\x01\x00" or length > _NPY_LONGEST:
        raise FileError("damaged: an array without a .npy header of version 1.0")
    text = member.read(length).rstrip().decode("latin-1")
    orders = {f"{{'descr': {dtype!r}, 'fortran_order': {order}, 'shape': {shape}, }}": order for order in (False, True)}
    return orders.get(text), _NPY_START.size + length


def _package_version() -> str:
    from .. import __version__  # the package imports this module

    return __version__
