"""MATLAB files of versions 4 to 7: arrays of numbers and characters, read and written element by element.

A file is a row of elements, each with its length, and each read within its own bytes: whatever a damaged file says, no
byte outside is touched. Elements that are not asked for are not unpacked, and are written again as they stand.
The layout is that of the document "MAT-File Format" by The MathWorks.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Order = Literal["<", ">"]

_MATRIX, _COMPRESSED = 14, 15
#: The types of stored numbers, by their code.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1"}
_STORED |= {17: "u2", 18: "u4"}
_CODES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 9, "i8": 12, "u8": 13}
#: The classes of arrays of numbers: what an array is, however small its numbers are stored.
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_CHAR = 4
_OTHERS = {1: "a cell array", 2: "a struct", 3: "an object", 5: "sparse", 16: "a function", 17: "an object"}
_COMPLEX, _LOGICAL = 0x0800, 0x0200
#: Types of version 4.
_STORED_4 = ("f8", "f4", "i4", "i2", "u2", "u1")
#: Bytes for each entry that are taken beside an array as it is stored: its copy for a fit.
COPY = 8
_HEADER = 128
_MOST_DIMENSIONS = 32
# Flags, shape and name are within so many bytes of an element.
_NAME_WITHIN = 8192


class Damaged(ValueError):
    """The bytes are no such file, or one that was cut or changed."""


class TooLarge(ValueError):
    """An element unpacks to more bytes than are allowed."""

    def __init__(self, n_bytes: int) -> None:
        super().__init__(f"it unpacks to {n_bytes} bytes")
        self.n_bytes = n_bytes


class Unsupported(ValueError):
    """An element that is no full array of real numbers or characters; the message says what it is."""


@dataclass(frozen=True)
class MatFile:
    """A file: the elements of its variables, as they stand there."""

    order: Order
    elements: Mapping[str, memoryview]
    unnamed: tuple[memoryview, ...] = ()  # the data of objects
    version: int = 5

    def array(self, name: str, max_bytes: int) -> np.ndarray:
        """The array of a variable; Unsupported, Damaged or TooLarge where it cannot be had."""
        if self.version == 4:
            return _array_4(self.elements[name], self.order)
        return _array(_unpacked(self.elements[name], self.order, max_bytes), self.order)


def read(data: bytes) -> MatFile:
    """The variables of a file, by name, not unpacked."""
    if len(data) > _HEADER and data[126:128] in (b"IM", b"MI"):
        return _read_5(data)
    return _read_4(data)


def write(variables: Mapping[str, np.ndarray | memoryview], head: MatFile | None = None) -> bytes:
    """A file of version 5 with these variables: arrays, or elements of `head` as they stand."""
    head = head if head is not None and head.version == 5 else MatFile("<", {})
    parts = [
        value if isinstance(value, memoryview) else element(name, value, head.order)
        for name, value in variables.items()
    ]
    # Where the data of objects are, if there are any.
    place = struct.pack(f"{head.order}q", _HEADER + sum(map(len, parts))) if head.unnamed else b" " * 8
    text = b"MATLAB 5.0 MAT-file, written by advnmf".ljust(116)
    mark = b"IM" if head.order == "<" else b"MI"
    return b"".join([text, place, struct.pack(f"{head.order}H", 0x0100), mark, *parts, *head.unnamed])


def element(name: str, array: np.ndarray, order: Order = "<") -> bytes:
    """The compressed element of an array of real numbers."""
    logical = array.dtype.kind == "b"
    array = np.atleast_2d(array.astype("u1") if logical else array)
    kind = array.dtype.str[1:]
    if kind not in _CODES:
        array, kind = array.astype("f8"), "f8"
    class_ = next(code for code, dtype in _CLASSES.items() if dtype == kind)
    flags = struct.pack(f"{order}II", class_ | (_LOGICAL if logical else 0), 0)
    shape = struct.pack(f"{order}{array.ndim}i", *array.shape)
    numbers = array.astype(order + kind, copy=False).tobytes("F")
    parts = ((6, flags), (5, shape), (1, name.encode("ascii")), (_CODES[kind], numbers))
    body = b"".join(_part(code, content, order) for code, content in parts)
    packed = zlib.compress(struct.pack(f"{order}II", _MATRIX, len(body)) + body)
    return struct.pack(f"{order}II", _COMPRESSED, len(packed)) + packed


def _part(code: int, content: bytes, order: Order) -> bytes:
    return struct.pack(f"{order}II", code, len(content)) + content + bytes(-len(content) % 8)


def _read_5(data: bytes) -> MatFile:
    order: Order = "<" if data[126:128] == b"IM" else ">"
    view = memoryview(data)
    elements: dict[str, memoryview] = {}
    unnamed = []
    at = _HEADER
    while at < len(data):
        code, length = _unpack(view, at, f"{order}II")
        end = at + 8 + length + (-length % 8 if code != _COMPRESSED else 0)
        if code not in (_MATRIX, _COMPRESSED) or at + 8 + length > len(data):
            raise Damaged("an element has no known type, or ends behind the file")
        one = view[at:end]
        name = _name(_head(one, order), order)
        if name in elements:
            raise Damaged(f"there are two variables {name!r}")
        if name:
            elements[name] = one
        else:
            unnamed.append(one)
        at = end
    return MatFile(order, elements, tuple(unnamed))


def _head(one: memoryview, order: Order) -> memoryview:
    """Enough of an element to tell its name."""
    code, length = struct.unpack_from(f"{order}II", one)
    if code == _MATRIX:
        return one[8 : 8 + length]
    return memoryview(_inflate(one[8:], _NAME_WITHIN))[8:]


def _unpacked(one: memoryview, order: Order, max_bytes: int) -> memoryview:
    """The body of an element of an array."""
    code, length = struct.unpack_from(f"{order}II", one)
    if code == _MATRIX:
        return one[8 : 8 + length]
    inner, length = _unpack(memoryview(_inflate(one[8:], 8)), 0, f"{order}II")
    if inner != _MATRIX:
        raise Damaged("a compressed element holds no array")
    needed = max(length, _needed(_head(one, order), order, length))
    if needed > max_bytes:
        raise TooLarge(needed)
    body = _inflate(one[8:], length + 8)
    if len(body) < length + 8:
        raise Damaged("a compressed element is shorter than it says")
    return memoryview(body)[8:]


def _needed(head: memoryview, order: Order, length: int) -> int:
    """Bytes that an array of numbers and its copy take; its numbers may be stored in fewer."""
    parts = _parts(head, order)
    flags, shape = _flags(next(parts, (0, head)), order), _shape(next(parts, (0, head)), order)
    count = math.prod(shape)
    if flags & 0xFF not in _CLASSES:
        return length
    if count > length:
        raise Damaged(f"{length} bytes are stored for an array of shape {shape}")
    return count * (np.dtype(_CLASSES[flags & 0xFF]).itemsize + COPY)


def _inflate(packed: memoryview, length: int) -> bytes:
    """The first so many bytes, no more are unpacked."""
    try:
        return zlib.decompressobj().decompress(packed, length)
    except zlib.error as error:
        raise Damaged(str(error)) from None


def _parts(body: memoryview, order: Order) -> Iterator[tuple[int, memoryview]]:
    """The parts of an element: the code of their type, and their bytes."""
    at = 0
    while at < len(body):
        code, length = _unpack(body, at, f"{order}II")
        start, end = at + 8, at + 8 + length + -length % 8
        if code >> 16:  # a small part has its length and its bytes within eight
            code, length, start, end = code & 0xFFFF, code >> 16, at + 4, at + 8
            if length > 4:
                raise Damaged("a small part has more than four bytes")
        if start + length > len(body):
            raise Damaged("a part ends behind its element")
        yield code, body[start : start + length]
        at = end


def _name(body: memoryview, order: Order) -> str:
    """The name of a variable, from the third part of its element."""
    names = [content for _, (_, content) in zip(range(3), _parts(body, order), strict=False)]
    if len(names) < 3:
        raise Damaged("an element has no name")
    return bytes(names[2]).split(b"\0")[0].decode("latin-1")


def _array(body: memoryview, order: Order) -> np.ndarray:
    parts = _parts(body, order)
    try:
        flags, shape = _flags(next(parts), order), _shape(next(parts), order)
        next(parts)
        class_ = flags & 0xFF
        if class_ in _OTHERS:
            raise Unsupported(_OTHERS[class_])
        if flags & _COMPLEX:
            raise Unsupported("complex numbers")
        code, content = next(parts)
    except StopIteration:
        raise Damaged("an element ends early") from None
    if class_ not in (_CHAR, *_CLASSES) or code not in _STORED:
        raise Damaged("an array has no known type")
    numbers = _numbers(content, np.dtype(order + _STORED[code]), shape)
    if class_ == _CHAR:
        return _rows_of_text(numbers)
    return numbers.astype(bool if flags & _LOGICAL else _CLASSES[class_])


def _flags(part: tuple[int, memoryview], order: Order) -> int:
    code, content = part
    if code != 6 or len(content) != 8:
        raise Damaged("an array has no flags")
    return struct.unpack(f"{order}II", content)[0]


def _shape(part: tuple[int, memoryview], order: Order) -> tuple[int, ...]:
    code, content = part
    n = len(content) // 4
    if code != 5 or len(content) % 4 or not 2 <= n <= _MOST_DIMENSIONS:
        raise Damaged("an array has no shape")
    return struct.unpack(f"{order}{n}i", content)


def _numbers(content: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Stored numbers in their shape, column after column."""
    if min(shape) < 0 or math.prod(shape) * dtype.itemsize != len(content):
        raise Damaged(f"{len(content)} bytes are stored for an array of shape {shape}")
    return np.frombuffer(content, dtype).reshape(shape, order="F")


def _rows_of_text(characters: np.ndarray) -> np.ndarray:
    """An array of texts, from the numbers of their characters along the last axis."""
    if characters.ndim != 2 or not ((characters > 0) & (characters < 0xD800) & (characters % 1 == 0)).all():
        raise Unsupported("text")
    return np.array(["".join(map(chr, row)) for row in characters.astype(int).tolist()])


def _read_4(data: bytes) -> MatFile:
    view = memoryview(data)
    order: Order = "<" if 0 <= _unpack(view, 0, "<i")[0] <= 4052 else ">"
    elements: dict[str, memoryview] = {}
    at = 0
    while at < len(data):
        name, end = _header_4(view, at, order)
        elements[name] = view[at:end]
        at = end
    return MatFile(order, elements, version=4)


def _header_4(view: memoryview, at: int, order: Order) -> tuple[str, int]:
    """The name of a variable of a file of version 4, and where it ends."""
    kind, rows, columns, imaginary, n_name = _unpack(view, at, f"{order}5i")
    thousands, hundreds, tens, ones = (kind // 10**k % 10 for k in (3, 2, 1, 0))
    if kind < 0 or thousands != (order == ">") or hundreds or tens >= len(_STORED_4) or ones > 2:
        raise Damaged("it has neither the head of version 5 nor that of version 4")
    if min(rows, columns) < 0 or imaginary not in (0, 1) or not 1 <= n_name <= 256:
        raise Damaged("a variable of version 4 has no valid head")
    size = rows * columns * np.dtype(_STORED_4[tens]).itemsize * (1 + imaginary)
    end = at + 20 + n_name + size
    if end > len(view):
        raise Damaged("a variable ends behind the file")
    return bytes(view[at + 20 : at + 20 + n_name]).split(b"\0")[0].decode("latin-1"), end


def _array_4(view: memoryview, order: Order) -> np.ndarray:
    kind, rows, columns, imaginary, n_name = _unpack(view, 0, f"{order}5i")
    if kind % 10 == 2:
        raise Unsupported("sparse")
    if imaginary:
        raise Unsupported("complex numbers")
    dtype = np.dtype(order + _STORED_4[kind // 10 % 10])
    numbers = _numbers(view[20 + n_name :], dtype, (rows, columns)).astype(dtype.newbyteorder("="))
    return _rows_of_text(numbers) if kind % 10 else numbers


def _unpack(view: memoryview, at: int, layout: str) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, view, at)
    except struct.error:
        raise Damaged("it ends within an element") from None
