"""Pictures with holes, read from and written to png, jpg and tiff files, and their matrices.

Grey, RGB, either with alpha, 8 or 16 bits a channel; TIFF files with any number of channels or pages, and with samples
of any number type. No bit is lost on the way: what cannot be kept is refused or, if it is no sample, told.
The matrix of a picture is the one of the inpainting studies: its channels side by side, height x (channels *
width), so that one factorisation sees the rows of all channels.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..files import FileError, check_target, describe, read_bytes, reason, require, suffix, write_bytes
from ..limits import max_bytes_of
from . import masks, png16, tiffs
from .masks import Polarity

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Picture",
    "Polarity",
    "check_picture_target",
    "color_mask",
    "fold",
    "mask_of",
    "near_color",
    "not_kept",
    "parse_color",
    "read_mask",
    "read_picture",
    "unfold",
    "write_picture",
]

FORMATS = {"png": "png", "jpg": "jpg", "jpeg": "jpg", "tif": "tiff", "tiff": "tiff"}
#: Largest number of pixels that is read unless the caller says otherwise.
MAX_PIXELS = 50_000_000
# Reading holds the samples, and copies of them that are converted, turned and split.
_COPIES = 4
# What unpacks to so many bytes, and to so many times its file, was made to fill the memory.
_BOMB_BYTES, _BOMB_RATIO = 64_000_000, 200
# Levels of 255 by which jpg changes a painted colour: in its middle, and where it meets another colour.
_JPEG_MIDDLE, _JPEG_EDGE = 24, 96
# Pixels: colours are stored for blocks of two by two and smoothed over the neighbours.
_JPEG_BLEEDS = 3


@dataclass(frozen=True)
class Picture:
    """Pixels of a picture as displayed, its alpha channel apart."""

    pixels: np.ndarray  # (height, width) or (height, width, channels); a stack has its pages as channels
    alpha: np.ndarray | None = None  # (height, width)
    icc_profile: bytes | None = None
    path: str = "picture"
    n_colors: int | None = None  # 1 (grey) or 3 (RGB) channels are colours, the others data; None: by their number
    premultiplied: bool = False
    pages: int = 1
    lossy: bool = False
    empty: np.ndarray | None = None  # (height, width), True where the file itself says that nothing was measured
    nodata: float | None = None  # the value that marks them
    tags: tuple[tuple[Any, ...], ...] = ()  # of a TIFF file
    notes: Mapping[str, Any] = field(default_factory=dict)  # dpi, exif, text of a png or jpg file
    lost: tuple[str, ...] = ()  # what the file says and nothing here keeps

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def colors(self) -> int:
        """1 for grey, 3 for RGB."""
        if self.n_colors is not None:
            return self.n_colors
        return 3 if self.pixels.ndim == 3 and self.pixels.shape[2] >= 3 else 1

    @property
    def is_plain(self) -> bool:
        """Whether it is grey or RGB of 8 or 16 bits, as png files are."""
        return (
            self.n_channels in (1, 3) and self.n_channels == self.colors and self.pixels.dtype in (np.uint8, np.uint16)
        )

    @property
    def n_channels(self) -> int:
        """Channels without alpha."""
        return 1 if self.pixels.ndim == 2 else self.pixels.shape[2]

    @property
    def peak(self) -> float:
        """The value of white: 255 or 65535, or the largest value of a picture of another type."""
        return float(np.iinfo(self.pixels.dtype).max) if self._is_bytes else self._limits()[1]

    def describe(self) -> str:
        """Its channels, pages and sample type, in words."""
        kind = "RGB" if self.colors == 3 else "grey"
        more = self.n_channels // self.pages - self.colors
        words = f"{kind}{f' and {more} more channel' + 's' * (more > 1) if more else ''}"
        words = f"{self.pages} pages, {words}" if self.pages > 1 else words
        words += "" if self.alpha is None else " with premultiplied alpha" if self.premultiplied else " with alpha"
        bits = self.pixels.dtype.itemsize * 8
        return f"{words}, {bits} bit" + ("" if self._is_bytes else f" ({self.pixels.dtype})")

    @property
    def _is_bytes(self) -> bool:
        return self.pixels.dtype in (np.uint8, np.uint16)

    def _limits(self) -> tuple[float, float]:
        """What becomes 0 and 1: the range of the type for 8 and 16 bits, else that of the values (and 0)."""
        if self._is_bytes:
            return 0.0, float(np.iinfo(self.pixels.dtype).max)
        valid = self.pixels if self.empty is None else self.pixels[~self.empty]
        valid = valid[np.isfinite(valid)].astype(float)
        low, high = (min(float(valid.min()), 0.0), float(valid.max())) if valid.size else (0.0, 1.0)
        return low, high if high > low else low + 1.0

    def to_unit(self) -> np.ndarray:
        """The pixels as float64 between 0 and 1."""
        low, high = self._limits()
        with np.errstate(over="ignore", invalid="ignore"):
            return (self.pixels - low) / (high - low)

    def from_unit(self, values: np.ndarray) -> np.ndarray:
        """Numbers from 0 to 1 as pixels of this picture's type: clipped, scaled, integers rounded."""
        low, high = self._limits()
        scaled = np.clip(values, 0.0, 1.0) * (high - low) + low
        return (scaled if self.pixels.dtype.kind == "f" else np.rint(scaled)).astype(self.pixels.dtype)


def unfold(pixels: np.ndarray) -> np.ndarray:
    """The height x (channels * width) matrix of a picture: entry (y, c * width + x) is channel c of pixel (y, x)."""
    pixels = np.asarray(pixels)
    if pixels.ndim == 2:
        return pixels
    if pixels.ndim != 3:
        raise ValueError(f"a picture has 2 or 3 dimensions, not {pixels.ndim}")
    return pixels.transpose(0, 2, 1).reshape(pixels.shape[0], -1)


def fold(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The picture of this shape whose channels stand side by side in `matrix`: the inverse of `unfold`."""
    matrix = np.asarray(matrix)
    if len(shape) not in (2, 3) or matrix.shape != (shape[0], int(np.prod(shape[1:]))):
        raise ValueError(f"a matrix of shape {matrix.shape} is no picture of shape {tuple(shape)}")
    if len(shape) == 2:
        return matrix
    height, width, channels = shape
    return matrix.reshape(height, channels, width).transpose(0, 2, 1)


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
        with warnings.catch_warnings(), _silence():
            # Oddities of a file are the reader's business only if it then fails.
            warnings.simplefilter("ignore")
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
        raise FileError(f"{path} is not a readable {kind} picture: {_printable(reason(error))}") from error


def _kind(data: bytes) -> str | None:
    found = describe(data) or ""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:2] == b"BM" and data[6:10] == bytes(4):
        return "BMP"
    return next((kind for kind in ("PNG", "JPEG", "TIFF") if found == f"a {kind} picture"), None)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What tifffile logs about a damaged file comes before our message and says no more."""
    logger = logging.getLogger("tifffile")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _printable(text: str) -> str:
    """Text of a file without control characters, at most 200 long."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])


def write_picture(path: str | os.PathLike[str], picture: Picture, *, overwrite: bool = False) -> None:
    """A file with the picture, in the format of its name; written whole or not at all."""
    check_picture_target(path, picture, overwrite=overwrite)
    content = _encode(FORMATS[suffix(path)], picture)
    write_bytes(path, content, overwrite=overwrite)


def check_picture_target(path: str | os.PathLike[str], picture: Picture, *, overwrite: bool = False) -> None:
    """FileError where `write_picture` could not write `picture`: to be known before the fit."""
    kind = FORMATS.get(suffix(path))
    if kind is None:
        raise FileError(f"{path}: the name must end in one of {', '.join('.' + name for name in FORMATS)}")
    if kind != "tiff" and not picture.is_plain:
        raise FileError(f"{path}: a {kind} file cannot hold {picture.describe()}; write a .tif file")
    if kind != "tiff" and picture.premultiplied:
        raise FileError(f"{path}: a {kind} file has no premultiplied alpha, as {picture.path} has; write a .tif file")
    if kind == "jpg" and picture.alpha is not None:
        raise FileError(f"{path}: a jpg file has no alpha channel; write a png or tiff file")
    if kind == "jpg" and picture.pixels.dtype != np.uint8:
        raise FileError(f"{path}: a jpg file has 8 bits, the picture 16; write a png or tiff file")
    if kind == "jpg" and max(picture.size) > 65500:
        raise FileError(f"{path}: a jpg file has at most 65500 pixels a side")
    check_target(path, overwrite=overwrite)


def read_mask(
    path: str | os.PathLike[str],
    *,
    polarity: Polarity | None = None,
    size: tuple[int, int] | None = None,
    pixels: np.ndarray | None = None,
    max_pixels: int = MAX_PIXELS,
    max_memory: int | None = None,
) -> np.ndarray:
    """Boolean array of a mask picture, True = observed: the first of what `mask_of` gives."""
    mask = read_picture(path, max_pixels=max_pixels, max_memory=max_memory)
    return mask_of(mask, polarity=polarity, size=size, pixels=pixels)[0]


def mask_of(
    mask: Picture,
    *,
    polarity: Polarity | None = None,
    size: tuple[int, int] | None = None,
    pixels: np.ndarray | None = None,
) -> tuple[np.ndarray, str]:
    """Boolean array of a mask, True = observed, and in words how that was found.

    The mask's own darker and brighter level count, whatever their numbers; a pixel between them (the edge of a
    stroke) is missing. With ``polarity="white-missing"``, the convention of scikit-image and OpenCV, the brighter
    pixels are the holes. Without a polarity it is found out by the `pixels` of the picture, whose holes may be painted
    in one colour; else white is observed, and a mask by which most is missing is refused. A mask
    that is drawn in alpha only needs no polarity. With `size` (height, width) a mask of another size is refused.
    """
    if polarity not in (None, "white-observed", "white-missing"):
        raise ValueError(f"polarity must be 'white-observed' or 'white-missing', not {polarity!r}")
    if size is not None and mask.size != tuple(size):
        raise FileError(
            f"{mask.path}: the mask has {mask.size[1]} x {mask.size[0]} pixels (width x height), "
            f"the picture {size[1]} x {size[0]}"
        )
    if masks.is_drawn_in_alpha(mask):
        return masks.observed_by_alpha(mask, pixels), f"{mask.path} is drawn in alpha only, polarity is not asked"
    level = masks.levels(mask)
    if polarity is None:
        polarity, why = masks.find_polarity(mask.path, level, pixels)
        return masks.observed_pixels(level, polarity), f"{mask.path}: {polarity} ({why})"
    words = f"{mask.path}: {polarity}"
    if pixels is not None and masks.contradicts(pixels, level, polarity):
        words = (
            f"Warning: {words} makes missing what varies, and observed what has a single colour; "
            f"is it not --mask-polarity {'white-missing' if polarity == 'white-observed' else 'white-observed'}?"
        )
    return masks.observed_pixels(level, polarity), words


def parse_color(color: str, picture: Picture) -> np.ndarray:
    """The channel values of a colour, in the range of `picture`: a name, ``#rrggbb``, ``R,G,B`` or one grey value.

    Names and ``#rrggbb`` are 8-bit colours and are scaled for a 16-bit picture; numbers are the picture's own.
    """
    channels = picture.n_channels
    if not picture.is_plain:
        raise FileError(
            f"{picture.path} has {picture.describe()}: its missing pixels cannot be told by a colour; use --mask"
        )
    try:
        values = [int(part) for part in color.split(",")]
    except ValueError:
        try:
            rgb = require("PIL.ImageColor").getrgb(color.strip())[:3]
        except ValueError as error:
            message = f"{color!r} is no colour: give a name, #rrggbb, R,G,B or one grey value"
            raise FileError(message) from error
        values = [value * int(picture.peak // 255) for value in rgb]
    if not all(0 <= value <= picture.peak for value in values) or len(values) not in (1, 3):
        raise FileError(f"{color!r} is no colour: one or three numbers from 0 to {picture.peak:.0f} are needed")
    if channels == 1 and len(set(values)) > 1:
        raise FileError(f"{picture.path} is grey and has no pixel of colour {color!r}")
    return np.resize(np.array(values), channels).astype(picture.pixels.dtype)


def color_mask(picture: Picture, color: str, *, tolerance: int | None = None) -> np.ndarray:
    """Boolean array, True = observed: False within `tolerance` levels (of 255) of this colour in each channel.

    By default the colour must be exact, but for lossy files, where it spreads: pixels within 24 levels are missing,
    what is within 96 and connected with these, and 3 pixels around, into which the colour has bled.
    """
    distance = _distance(picture, color)
    missing = distance <= (tolerance if tolerance is not None else _JPEG_MIDDLE if picture.lossy else 0)
    if tolerance is None and picture.lossy:
        missing = ~masks.grow(~masks.connected(missing, distance <= _JPEG_EDGE), _JPEG_BLEEDS)
    if not missing.any():
        raise FileError(
            f"{picture.path} has no pixel of exactly the colour {color!r}: "
            f"the nearest is {distance.min():.0f} levels off (--tolerance)"
        )
    return ~missing


def near_color(picture: Picture, color: str, observed: np.ndarray) -> int:
    """How many observed pixels touch the missing ones and are nearly of the colour: half-covered edges."""
    near = masks.connected(~observed, _distance(picture, color) <= _JPEG_EDGE)
    return int(np.count_nonzero(near & observed))


def _distance(picture: Picture, color: str) -> np.ndarray:
    wanted = parse_color(color, picture).astype(float)
    off = np.abs(picture.pixels.reshape(*picture.size, -1).astype(float) - wanted).max(axis=2)
    return off * (255 / picture.peak)


# --- reading ----------------------------------------------------------------------------------------------


#: Refuses (width, height, bytes per pixel) that are too large.
Check = Callable[[int, int, float], None]


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


# --- writing ----------------------------------------------------------------------------------------------


def not_kept(picture: Picture, path: str | os.PathLike[str]) -> list[str]:
    """Names of what `picture` says besides its pixels and a file of this name will not say."""
    kind = FORMATS[suffix(path)]
    lost = list(picture.lost)
    if kind != "tiff" and picture.tags:
        codes = {tag[0] for tag in picture.tags}
        places = (("georeference", {33550, 33922, 34264, 34735}), ("nodata value", {42113}), ("resolution", {282}))
        lost += [name for name, members in places if codes & members]
        lost += ["description"] if 270 in codes else []
    kept = {"tiff": ("dpi",), "png": ("dpi", "exif", "text"), "jpg": ("dpi", "exif")}[kind]
    return lost + [name for name in picture.notes if name not in kept]


def _encode(kind: str, picture: Picture) -> bytes:
    samples = picture.pixels
    if picture.alpha is not None:
        samples = np.dstack([picture.pixels, picture.alpha])
    if kind == "tiff":
        return _encode_tiff(samples, picture)
    options = _metadata(kind, picture.notes)
    if samples.dtype == np.uint16:
        return png16.encode(samples, picture.icc_profile, _ancillary(options))
    if kind == "jpg":
        options |= {"quality": 95, "subsampling": 0}
    if picture.icc_profile:
        options["icc_profile"] = picture.icc_profile
    stream = io.BytesIO()
    image = require("PIL.Image").fromarray(np.ascontiguousarray(samples))
    image.save(stream, format="JPEG" if kind == "jpg" else "PNG", **options)
    return stream.getvalue()


def _metadata(kind: str, notes: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of Pillow's `save` that write the notes of a picture."""
    options = {name: notes[name] for name in ("dpi", "exif") if name in notes}
    if kind == "png" and "text" in notes:
        texts = require("PIL.PngImagePlugin").PngInfo()
        for key, value in notes["text"].items():
            texts.add_text(key, value)
        options["pnginfo"] = texts
    return options


def _ancillary(options: dict[str, Any]) -> bytes:
    """The chunks that Pillow writes for these notes, to be put into a file of our own."""
    stream = io.BytesIO()
    require("PIL.Image").new("L", (1, 1)).save(stream, format="PNG", **options)
    return png16.ancillary(stream.getvalue())


def _encode_tiff(samples: np.ndarray, picture: Picture) -> bytes:
    n_extra = picture.n_channels // picture.pages - picture.colors
    extras = ["unspecified"] * n_extra
    if picture.alpha is not None:
        extras.append("assocalpha" if picture.premultiplied else "unassalpha")
    return tiffs.encode(
        samples,
        n_colors=picture.colors,
        extras=extras,
        profile=picture.icc_profile,
        pages=picture.pages,
        tags=[*picture.tags, *_resolution(picture)],
    )


def _resolution(picture: Picture) -> list[tuple[Any, ...]]:
    if picture.tags or "dpi" not in picture.notes:
        return []
    x, y = (round(value * 1000) for value in picture.notes["dpi"])
    return [(282, 5, 1, (x, 1000), True), (283, 5, 1, (y, 1000), True), (296, 3, 1, 2, True)]
