"""Pictures with holes, read from and written to png, jpg and tiff files, and their matrices.

Grey, RGB, either with alpha, 8 or 16 bits a channel. No bit is lost on the way: what cannot be kept is refused.
The matrix of a picture is the one of the inpainting studies: its channels side by side, height x (channels *
width), so that one factorisation sees the rows of all channels.
"""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..files import FileError, check_target, describe, read_bytes, reason, require, suffix, write_bytes
from . import png16

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Picture",
    "Polarity",
    "check_picture_target",
    "color_mask",
    "fold",
    "parse_color",
    "read_mask",
    "read_picture",
    "unfold",
    "write_picture",
]

FORMATS = {"png": "png", "jpg": "jpg", "jpeg": "jpg", "tif": "tiff", "tiff": "tiff"}
#: Largest number of pixels that is read unless the caller says otherwise.
MAX_PIXELS = 50_000_000

Polarity = Literal["white-observed", "white-missing"]


@dataclass(frozen=True)
class Picture:
    """Pixels of a picture as displayed, its alpha channel apart."""

    pixels: np.ndarray  # (height, width) or (height, width, 3), uint8 or uint16
    alpha: np.ndarray | None = None  # (height, width)
    icc_profile: bytes | None = None
    path: str = "picture"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def peak(self) -> int:
        """The value of white: 255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)

    def to_unit(self) -> np.ndarray:
        """The pixels as float64 between 0 and 1."""
        return self.pixels / float(self.peak)

    def from_unit(self, values: np.ndarray) -> np.ndarray:
        """Numbers from 0 to 1 as pixels of this picture's type: clipped, scaled, rounded."""
        return np.rint(np.clip(values, 0.0, 1.0) * self.peak).astype(self.pixels.dtype)


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


def read_picture(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in a png, jpg or tiff file (by its content), turned as its EXIF orientation says.

    Palettes become colours, 1-bit pictures 0 and 255.

    Raises
    ------
    FileError
        (a ValueError) with a one-line message: no such picture or a damaged one, more than `max_pixels` pixels,
        several pages or frames, samples other than 8 or 16 bits, colours other than grey and RGB.
    """
    data = read_bytes(path)
    found = describe(data) or ""
    kind = next((k for k in ("PNG", "JPEG", "TIFF") if found == f"a {k} picture"), None)
    if kind is None:
        raise FileError(f"{path} is no png, jpg or tiff picture" + (f": it is {found}" if found else ""))
    try:
        with warnings.catch_warnings():
            # Oddities of a file are the reader's business only if it then fails.
            warnings.simplefilter("ignore")
            if kind == "PNG" and png16.is_png16(data):
                return _read_png16(path, data, max_pixels)
            if kind == "TIFF" and _tiff_dtype(path, data) == np.uint16:
                return _read_tiff16(path, data, max_pixels)
            return _read_with_pillow(path, data, kind, max_pixels)
    except (FileError, ImportError):
        raise
    except Exception as error:  # damaged bytes can raise anything
        raise FileError(f"{path} is not a readable {kind} picture: {reason(error)}") from error


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
    polarity: Polarity = "white-observed",
    size: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Boolean array of a mask picture, True = observed.

    A pixel is white where the mean of its channels is above half of the full range; alpha is not looked at.
    With ``polarity="white-missing"``, the convention of scikit-image and OpenCV, white pixels are the holes.
    With `size` (height, width) a mask of another size is refused.
    """
    if polarity not in ("white-observed", "white-missing"):
        raise ValueError(f"polarity must be 'white-observed' or 'white-missing', not {polarity!r}")
    mask = read_picture(path, max_pixels=max_pixels)
    if size is not None and mask.size != tuple(size):
        raise FileError(
            f"{path}: the mask has {mask.size[1]} x {mask.size[0]} pixels (width x height), "
            f"the picture {size[1]} x {size[0]}"
        )
    level = mask.pixels.mean(axis=2) if mask.pixels.ndim == 3 else mask.pixels
    white = level > mask.peak / 2
    return white if polarity == "white-observed" else ~white


def parse_color(color: str, picture: Picture) -> np.ndarray:
    """The channel values of a colour, in the range of `picture`: a name, ``#rrggbb``, ``R,G,B`` or one grey value.

    Names and ``#rrggbb`` are 8-bit colours and are scaled for a 16-bit picture; numbers are the picture's own.
    """
    channels = 1 if picture.pixels.ndim == 2 else 3
    try:
        values = [int(part) for part in color.split(",")]
    except ValueError:
        try:
            rgb = require("PIL.ImageColor").getrgb(color.strip())[:3]
        except ValueError as error:
            message = f"{color!r} is no colour: give a name, #rrggbb, R,G,B or one grey value"
            raise FileError(message) from error
        values = [value * (picture.peak // 255) for value in rgb]
    if not all(0 <= value <= picture.peak for value in values) or len(values) not in (1, 3):
        raise FileError(f"{color!r} is no colour: one or three numbers from 0 to {picture.peak} are needed")
    if channels == 1 and len(set(values)) > 1:
        raise FileError(f"{picture.path} is grey and has no pixel of colour {color!r}")
    return np.resize(np.array(values), channels).astype(picture.pixels.dtype)


def color_mask(picture: Picture, color: str) -> np.ndarray:
    """Boolean array, True = observed: False at the pixels that have exactly this colour."""
    wanted = parse_color(color, picture)
    hits = picture.pixels.reshape(*picture.size, -1) == wanted
    missing = hits.all(axis=2)
    if not missing.any():
        raise FileError(
            f"{picture.path} has no pixel of exactly the colour {color!r} "
            "(jpg files change colours a little; use a mask then)"
        )
    return ~missing


# --- reading ----------------------------------------------------------------------------------------------


def _check_size(path: str | os.PathLike[str], width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise FileError(
            f"{path} has {width} x {height} = {width * height:,} pixels, more than {max_pixels:,} (--max-pixels)"
        )


def _read_with_pillow(path: str | os.PathLike[str], data: bytes, kind: str, max_pixels: int) -> Picture:
    Image = require("PIL.Image")
    ImageOps = require("PIL.ImageOps")
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
    except Image.DecompressionBombError as error:
        raise FileError(f"{path} has too many pixels: {reason(error)}") from error
    with image:
        _check_size(path, image.width, image.height, max_pixels)
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise FileError(f"{path} holds {image.n_frames} pictures; one is needed")
        profile = image.info.get("icc_profile")
        return _split(path, np.asarray(_plain(path, ImageOps.exif_transpose(image))), profile)


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


def _read_png16(path: str | os.PathLike[str], data: bytes, max_pixels: int) -> Picture:
    # Pillow would read 16-bit colours as 8-bit ones without a word.
    width, height = png16.size(data)
    _check_size(path, width, height, max_pixels)
    samples = png16.decode(data)
    Image = require("PIL.Image")
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        orientation, profile = image.getexif().get(0x0112, 1), image.info.get("icc_profile")
    return _split(path, _orient(samples, orientation), profile)


def _tiff_dtype(path: str | os.PathLike[str], data: bytes) -> np.dtype:
    with require("tifffile").TiffFile(io.BytesIO(data)) as file:
        if len(file.pages) != 1:
            raise FileError(f"{path} holds {len(file.pages)} pictures; one is needed")
        dtype = file.pages[0].dtype
    if dtype not in (np.uint8, np.uint16, np.bool_):
        raise FileError(f"{path} holds {dtype} samples; 8 or 16-bit pictures are read (else: advnmf complete)")
    return dtype


def _read_tiff16(path: str | os.PathLike[str], data: bytes, max_pixels: int) -> Picture:
    with require("tifffile").TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        _check_size(path, page.imagewidth, page.imagelength * page.imagedepth, max_pixels)
        colors = page.photometric.name
        if colors not in ("MINISBLACK", "MINISWHITE", "RGB"):
            raise FileError(f"{path}: 16-bit TIFF pictures of kind {colors} are not read; grey or RGB is needed")
        samples = page.asarray()
        if page.axes == "SYX":
            samples = np.moveaxis(samples, 0, 2)
        elif page.axes not in ("YX", "YXS"):
            raise FileError(f"{path}: a TIFF picture of layout {page.axes} is not read")
        tags = {code: tag.value for code in (0x0112, 0x8773) if (tag := page.tags.get(code)) is not None}
    if colors == "MINISWHITE":
        samples = 65535 - samples
    return _split(path, _orient(samples, int(tags.get(0x0112, 1))), tags.get(0x8773))


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


def _encode(kind: str, picture: Picture) -> bytes:
    samples = picture.pixels
    if picture.alpha is not None:
        samples = np.dstack([picture.pixels, picture.alpha])
    if kind == "tiff":
        return _encode_tiff(samples, picture)
    if samples.dtype == np.uint16:
        return png16.encode(samples, picture.icc_profile)
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if kind == "jpg" else {}
    if picture.icc_profile:
        options["icc_profile"] = picture.icc_profile
    stream = io.BytesIO()
    image = require("PIL.Image").fromarray(np.ascontiguousarray(samples))
    image.save(stream, format="JPEG" if kind == "jpg" else "PNG", **options)
    return stream.getvalue()


def _encode_tiff(samples: np.ndarray, picture: Picture) -> bytes:
    stream = io.BytesIO()
    require("tifffile").imwrite(
        stream,
        samples,
        photometric="rgb" if picture.pixels.ndim == 3 else "minisblack",
        planarconfig="contig" if samples.ndim == 3 else None,
        extrasamples=None if picture.alpha is None else ["unassalpha"],
        compression="zlib",
        iccprofile=picture.icc_profile,
        metadata=None,
    )
    return stream.getvalue()
