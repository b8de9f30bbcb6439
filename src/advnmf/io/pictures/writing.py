"""Writing pictures: what a format can hold, and the bytes of a file."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..files import FileError, check_target, require, suffix, write_bytes
from . import png16, tiffs
from .picture import Picture

#: The format that an extension promises.
FORMATS = {"png": "png", "jpg": "jpg", "jpeg": "jpg", "tif": "tiff", "tiff": "tiff"}


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
