"""Reading pictures: which reader a file needs, and what is refused before it is unpacked."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..files import FileError, describe, read_bytes, reason, require
from ..limits import max_bytes_of
from ..quiet import quiet
from . import png16, tiffs
from .picture import Picture

#: Largest number of pixels that is read unless the caller says otherwise.
MAX_PIXELS = 50_000_000
# Reading holds the samples, and copies of them that are converted, turned and split.
_COPIES = 4
# What unpacks to so many bytes, and to so many times its file, was made to fill the memory.
_BOMB_BYTES, _BOMB_RATIO = 64_000_000, 200
#: Refuses (width, height, bytes per pixel) that are too large.
Check = Callable[[int, int, float], None]


def read_picture(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, max_memory: int | None = None
) -> Picture:
    """The picture in a png, jpg, tiff, webp or bmp file (by its content), turned as its EXIF orientation says.

    Palettes become colours, 1-bit pictures 0 and 255. What unpacks to more than `max_memory` bytes (by default
    what `limits` says, and no more than 200 times a file) is refused before it is unpacked.

    Raises
    ------
    FileError
        (a ValueError) with a one-line message: no such picture or a damaged one, more than `max_pixels` pixels or
        `max_memory` bytes, frames of an animation, pages that differ, a variant that is not read.
    """
    data = read_bytes(path)
    kind = _kind(data)
    if kind is None:
        found = describe(data)
        raise FileError(f"{path} is no png, jpg, tiff, webp or bmp picture" + (f": it is {found}" if found else ""))

    def check(width: int, height: int, bytes_per_pixel: float) -> None:
        _check_size(path, width, height, max_pixels)
        _check_memory(path, width * height * bytes_per_pixel, len(data), max_memory)

    try:
        with quiet("tifffile"):
            if kind == "PNG" and png16.is_png16(data):
                return _read_png16(path, data, check)
            if kind == "TIFF":
                return _read_tiff(path, data, check)
            return _read_with_pillow(path, data, kind, check)
    except (FileError, ImportError):
        raise
    except MemoryError as error:
        raise FileError(f"{path} takes more memory than there is (--max-memory)") from error
    except Exception as error:  # damaged bytes can raise anything
        raise FileError(f"{path} is not a readable {kind} picture: {reason(error)}") from error


def _kind(data: bytes) -> str | None:
    found = describe(data) or ""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:2] == b"BM" and data[6:10] == bytes(4):
        return "BMP"
    return next((kind for kind in ("PNG", "JPEG", "TIFF") if found == f"a {kind} picture"), None)


def _check_size(path: str | os.PathLike[str], width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise FileError(
            f"{path} has {width} x {height} = {width * height:,} pixels, more than {max_pixels:,} (--max-pixels)"
        )


def _check_memory(path: str | os.PathLike[str], unpacked: float, packed: int, max_memory: int | None) -> None:
    limit = max_bytes_of(max_memory, path)
    need = unpacked * _COPIES
    if need > limit:
        raise FileError(
            f"{path} takes about {need / 1e6:,.0f} MB of memory, more than {limit / 1e6:,.0f} MB (--max-memory)"
        )
    if max_memory is None and unpacked > _BOMB_BYTES and unpacked > _BOMB_RATIO * packed:
        raise FileError(
            f"{path} has {packed:,} bytes and unpacks to {unpacked / 1e6:,.0f} MB; "
            f"if that is right, say --max-memory {limit // 1_000_000}MB"
        )


def _read_with_pillow(path: str | os.PathLike[str], data: bytes, kind: str, check: Check) -> Picture:
    Image, ImageOps = require("PIL.Image"), require("PIL.ImageOps")
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
    except Image.DecompressionBombError as error:
        raise FileError(f"{path} has too many pixels: {reason(error)}") from error
    with image:
        check(image.width, image.height, len(image.getbands()) * (4 if image.mode in "IF" else 1))
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise FileError(f"{path} holds {image.n_frames} pictures; save the one you mean by itself")
        profile = image.info.get("icc_profile")
        shown = np.asarray(_plain(path, ImageOps.exif_transpose(image)))
        lossy = kind == "JPEG" or (kind == "WEBP" and b"VP8 " in data[:4096])
        notes, lost = _notes(image)
        if kind == "TIFF":
            notes, lost = {}, ("tags",)
        return replace(_split(path, shown, profile), lossy=lossy, notes=notes, lost=lost)


def _notes(image: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Resolution, EXIF (turned) and texts of an open Pillow image; and the names of what it says besides."""
    notes: dict[str, Any] = {}
    if "dpi" in image.info and all(0 < float(value) < 1e6 for value in image.info["dpi"]):
        notes["dpi"] = tuple(float(value) for value in image.info["dpi"])
    exif = image.getexif()
    if exif:
        exif.pop(0x0112, None)
        notes["exif"] = exif.tobytes() if len(exif) else b""
    texts = {key: str(value) for key, value in getattr(image, "text", {}).items()}
    comment = image.info.get("comment")
    if isinstance(comment, bytes) and comment:
        texts["Comment"] = comment.decode("latin-1")
    if texts:
        notes["text"] = texts
    lost = [name for name in ("xmp", "photoshop", "gamma", "chromaticity") if name in image.info]
    return {name: value for name, value in notes.items() if value}, tuple(lost)


def _plain(path: str | os.PathLike[str], image: Any) -> Any:
    """A Pillow image as grey or RGB, with alpha where it has transparency."""
    transparent = "transparency" in image.info
    targets = {
        "1": "L",
        "L": "LA" if transparent else "L",
        "LA": "LA",
        "P": "RGBA" if transparent else "RGB",
        "PA": "RGBA",
        "RGB": "RGBA" if transparent else "RGB",
        "RGBA": "RGBA",
    }
    if image.mode not in targets:
        raise FileError(f"{path}: pictures of kind {image.mode} are not read; grey or RGB is needed")
    return image.convert(targets[image.mode])


def _read_png16(path: str | os.PathLike[str], data: bytes, check: Check) -> Picture:
    # Pillow would read 16-bit colours as 8-bit ones without a word.
    width, height = png16.size(data)
    check(width, height, png16.bytes_per_pixel(data))
    samples = png16.decode(data)
    with require("PIL.Image").open(io.BytesIO(data), formats=["PNG"]) as image:
        orientation, profile = image.getexif().get(0x0112, 1), image.info.get("icc_profile")
        notes, lost = _notes(image)
    return replace(_split(path, _orient(samples, orientation), profile), notes=notes, lost=lost)


def _read_tiff(path: str | os.PathLike[str], data: bytes, check: Check) -> Picture:
    try:
        content = tiffs.read(path, data, check)
    except tiffs.ForPillow:
        return _read_with_pillow(path, data, "TIFF", check)
    samples = _orient(content.samples, content.orientation)
    alpha = None
    if content.alpha is not None:
        alpha = samples[:, :, content.alpha].copy()
        samples = np.delete(samples, content.alpha, axis=2)
    empty = _empty(samples, content.nodata)
    return Picture(
        np.ascontiguousarray(samples[:, :, 0] if samples.shape[2] == 1 else samples),
        alpha,
        content.profile,
        str(path),
        n_colors=content.n_colors,
        premultiplied=content.premultiplied,
        pages=content.pages,
        empty=empty if empty.any() else None,
        nodata=content.nodata,
        tags=tuple(content.tags),
        lost=tuple(content.lost),
    )


def _empty(samples: np.ndarray, nodata: float | None) -> np.ndarray:
    """Pixels with a channel that is not finite, or of which every channel is the file's own nodata value."""
    empty = ~np.isfinite(samples).all(axis=2)
    return empty if nodata is None else empty | (samples == nodata).all(axis=2)


def _orient(samples: np.ndarray, orientation: int) -> np.ndarray:
    """Samples turned as EXIF orientation 1 to 8 says they are to be displayed."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def _split(path: str | os.PathLike[str], samples: np.ndarray, profile: bytes | None) -> Picture:
    """A picture from samples of shape (height, width) or (height, width, 1 to 4), alpha last."""
    samples = samples.reshape(*samples.shape[:2], -1)
    channels = samples.shape[2]
    if channels > 4:
        raise FileError(f"{path} has {channels} channels; grey or RGB, with or without alpha, is needed")
    alpha = samples[:, :, -1].copy() if channels in (2, 4) else None
    pixels = samples[:, :, 0] if channels < 3 else samples[:, :, :3]
    return Picture(np.ascontiguousarray(pixels), alpha, profile, str(path))
