"""PNG pictures with 16 bits a channel, which Pillow reads and writes as grey only (colours lose half their bits).

The format: W3C Portable Network Graphics (third edition), sections 5 (chunks), 7 and 9 (filters).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from ...kernels.threads import compiled

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type
_COLOR_TYPES = {channels: kind for kind, channels in _CHANNELS.items()}


def is_png16(data: bytes) -> bool:
    """Whether these bytes begin as a PNG file with 16 bits a channel."""
    return data[12:16] == b"IHDR" and data[24:25] == b"\x10"


def size(data: bytes) -> tuple[int, int]:
    """Width and height, from the header."""
    return struct.unpack(">II", data[16:24])


def bytes_per_pixel(data: bytes) -> int:
    """Bytes of one pixel, from the header; 8 where it makes no sense."""
    return 2 * _CHANNELS.get(data[25] if len(data) > 25 else -1, 4)


def decode(data: bytes) -> np.ndarray:
    """The samples, of shape (height, width, channels) and type uint16; ValueError at damaged bytes."""
    width, height, _, color_type, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    if interlaced:
        raise ValueError("interlaced 16-bit pictures are not read")
    if color_type not in _CHANNELS or not width or not height:
        raise ValueError("its header makes no sense")
    step = bytes_per_pixel(data)
    length = height * (1 + width * step)
    packed = b"".join(body for kind, body in _chunks(data) if kind == b"IDAT")
    try:
        raw = zlib.decompressobj().decompress(packed, length)
    except zlib.error as error:
        raise ValueError("its pixels cannot be unpacked") from error
    if len(raw) != length:
        raise ValueError("it is truncated")
    lines = np.frombuffer(raw, np.uint8).reshape(height, -1)
    if lines[:, 0].max() > 4:
        raise ValueError("its pixels are filtered in an unknown way")
    samples = _unfilter(lines[:, 1:], lines[:, 0], step)
    return samples.view(">u2").reshape(height, width, -1).astype(np.uint16)


def encode(samples: np.ndarray, icc_profile: bytes | None = None, ancillary: bytes = b"") -> bytes:
    """The bytes of a PNG file with these samples, (height, width[, channels]), and chunks that are ready."""
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    lines = np.ascontiguousarray(samples.reshape(height, -1), ">u2").view(np.uint8)
    # Filter 2 (each byte less the one above it) packs smooth pictures well and is one subtraction.
    filtered = np.full((height, 1 + lines.shape[1]), 2, np.uint8)
    filtered[:, 1:] = np.diff(lines, axis=0, prepend=np.zeros_like(lines[:1]))
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOR_TYPES[channels], 0, 0, 0)
    profile = [_chunk(b"iCCP", b"icc\0\0" + zlib.compress(icc_profile))] if icc_profile else []
    pixels = _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6))
    return b"".join([_SIGNATURE, _chunk(b"IHDR", header), *profile, ancillary, pixels, _chunk(b"IEND", b"")])


def ancillary(data: bytes) -> bytes:
    """The chunks of a PNG file that are neither pixels nor needed to read them."""
    return b"".join(_chunk(kind, body) for kind, body in _chunks(data) if kind[0] & 32)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(data):
        if at + 12 > len(data):
            raise ValueError("it is truncated")
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        check = data[at + 8 + length : at + 12 + length]
        if len(check) < 4:
            raise ValueError("it is truncated")
        if zlib.crc32(kind + body) != struct.unpack(">I", check)[0]:
            raise ValueError("a checksum is wrong")
        yield kind, body
        if kind == b"IEND":
            return
        at += 12 + length


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@compiled
def _unfilter(lines: np.ndarray, filters: np.ndarray, bpp: int) -> np.ndarray:  # pragma: no cover
    """Bytes from filtered bytes: each was stored less a guess from its left (a), upper (b), upper left (c)."""
    height, width = lines.shape
    out = np.zeros((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            a = np.int64(out[y, x - bpp] if x >= bpp else 0)
            b = np.int64(out[y - 1, x] if y else 0)
            c = np.int64(out[y - 1, x - bpp] if y and x >= bpp else 0)
            guess = np.int64(0)
            if filters[y] == 1:
                guess = a
            elif filters[y] == 2:
                guess = b
            elif filters[y] == 3:
                guess = (a + b) // 2
            elif filters[y] == 4:
                pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
                guess = a if pa <= pb and pa <= pc else b if pb <= pc else c
            out[y, x] = (np.int64(lines[y, x]) + guess) & 255
    return out
