"""Missing pixels that are told by their colour."""

from __future__ import annotations

import numpy as np

from ..files import FileError, require
from .masks import connected, grow
from .picture import Picture

# Levels of 255 by which jpg changes a painted colour: in its middle, and where it meets another colour.
_JPEG_MIDDLE, _JPEG_EDGE = 24, 96
# Pixels: colours are stored for blocks of two by two and smoothed over the neighbours.
_JPEG_BLEEDS = 3


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
        missing = ~grow(~connected(missing, distance <= _JPEG_EDGE), _JPEG_BLEEDS)
    if not missing.any():
        raise FileError(
            f"{picture.path} has no pixel of exactly the colour {color!r}: "
            f"the nearest is {distance.min():.0f} levels off (--tolerance)"
        )
    return ~missing


def near_color(picture: Picture, color: str, observed: np.ndarray) -> int:
    """How many observed pixels touch the missing ones and are nearly of the colour: half-covered edges."""
    near = connected(~observed, _distance(picture, color) <= _JPEG_EDGE)
    return int(np.count_nonzero(near & observed))


def _distance(picture: Picture, color: str) -> np.ndarray:
    wanted = parse_color(color, picture).astype(float)
    off = np.abs(picture.pixels.reshape(*picture.size, -1).astype(float) - wanted).max(axis=2)
    return off * (255 / picture.peak)
