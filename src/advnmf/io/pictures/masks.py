"""Which pixels a mask picture means: its two levels, and which of them is the hole."""

from __future__ import annotations

import os
from typing import Literal

import numpy as np
from scipy import ndimage

from ..files import FileError
from .picture import Picture
from .reading import MAX_PIXELS, read_picture

Polarity = Literal["white-observed", "white-missing"]

#: Share of a class that has one colour when it is painted, and below which the other class varies.
_PAINTED, _VARIED = 0.99, 0.9
#: A flat picture with a few varied strokes, or a painted one with a few pixels left: nobody can tell above this.
_MOST_PAINTED = 0.95
_JPEG_NOISE = 0.15


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
    if (alpha := drawn_in_alpha(mask)) is not None:
        return observed_by_alpha(alpha, pixels), f"{mask.path} is drawn in alpha only, polarity is not asked"
    level = levels(mask)
    if polarity is None:
        polarity, why = find_polarity(mask.path, level, pixels)
        return observed_pixels(level, polarity), f"{mask.path}: {polarity} ({why})"
    words = f"{mask.path}: {polarity}"
    if pixels is not None and contradicts(pixels, level, polarity):
        words = (
            f"Warning: {words} makes missing what varies, and observed what has a single colour; "
            f"is it not --mask-polarity {'white-missing' if polarity == 'white-observed' else 'white-observed'}?"
        )
    return observed_pixels(level, polarity), words


def levels(mask: Picture) -> np.ndarray:
    """Brightness of each pixel, (height, width), 0 at the darker and 1 at the brighter level of the mask itself.

    The noise of a lossy file is removed. FileError where it is no black and white picture.
    """
    pixels = mask.pixels.astype(float)
    level = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    low, high = level.min(), level.max()
    if low == high:
        if low not in (0, mask.peak):
            raise FileError(f"{mask.path}: every pixel of the mask is {low:g}, so it tells nothing")
        return (level > 0).astype(float)
    level = (level - low) / (high - low)
    if np.mean((level > 0.25) & (level < 0.75)) > 0.25:
        raise FileError(f"{mask.path} is no mask: more than a quarter of its pixels are neither black nor white")
    if mask.lossy:
        level = np.where(level < _JPEG_NOISE, 0.0, np.where(level > 1 - _JPEG_NOISE, 1.0, level))
    return level


def drawn_in_alpha(mask: Picture) -> np.ndarray | None:
    """The alpha of a mask that has one colour where it is not transparent, and something transparent; else None."""
    if mask.alpha is None or mask.alpha.min() == mask.alpha.max():
        return None
    seen = mask.pixels[mask.alpha > 0]
    return mask.alpha if (seen == seen[0]).all() else None


def observed_by_alpha(alpha: np.ndarray, pixels: np.ndarray | None) -> np.ndarray:
    """True = observed, for a mask that is drawn in alpha only: what there is less of, strokes or gaps, is missing."""
    opaque = alpha > 0
    found = None if pixels is None else missing_by_paint(pixels, opaque)
    strokes = found == "white-missing" if found else bool(opaque.mean() <= 0.5)
    return ~opaque if strokes else alpha == alpha.max()


def observed_pixels(level: np.ndarray, polarity: Polarity) -> np.ndarray:
    """True where a mask says "observed" in full: the half-covered edge of a stroke is missing."""
    return level == 1 if polarity == "white-observed" else level == 0


def missing_by_paint(pixels: np.ndarray, white: np.ndarray) -> Polarity | None:
    """What white means when the holes are painted in one colour and the rest varies; None where nobody can tell."""
    if white.all() or not white.any():
        return None
    near = 0.04 * float(np.ptp(pixels.astype(float)))
    light, dark = _one_color(pixels[white], near), _one_color(pixels[~white], near)
    if light >= _PAINTED and dark < _VARIED:
        return "white-missing"
    if dark >= _PAINTED and light < _VARIED:
        return "white-observed"
    return None


def _one_color(pixels: np.ndarray, near: float) -> float:
    """The share of pixels that have the median colour, give or take `near`, which jpg does to a painted one."""
    pixels = pixels.reshape(len(pixels), -1).astype(float)
    return float(np.mean(np.abs(pixels - np.median(pixels, axis=0)).max(axis=1) <= near))


def find_polarity(path: str, level: np.ndarray, pixels: np.ndarray | None) -> tuple[Polarity, str]:
    """The polarity of a mask of which nothing was said, and why; FileError where it could be either.

    Holes painted in one colour tell it. Else white is observed, as documented, unless most pixels would then
    be missing: a mask of OpenCV or scikit-image (white = missing) looks just so.
    """
    white = level > 0.5
    share = {"white-observed": 1 - float(np.mean(level == 1)), "white-missing": 1 - float(np.mean(level == 0))}
    found = None if pixels is None else missing_by_paint(pixels, white)
    doubtful = found is not None and share[found] > _MOST_PAINTED
    if found is not None and not doubtful:
        return found, "its missing pixels have one colour"
    if white.all() or not white.any() or (share["white-observed"] < 0.5 and not doubtful):
        return "white-observed", "as is usual here; --mask-polarity says otherwise"
    raise FileError(
        f"{path}: is white observed, or missing? say --mask-polarity white-observed "
        f"({share['white-observed']:.1%} of the pixels are missing) or white-missing ({share['white-missing']:.1%})"
    )


def contradicts(pixels: np.ndarray, level: np.ndarray, polarity: Polarity) -> bool:
    """Whether the pixels look as if the polarity that was told is the wrong one."""
    found = missing_by_paint(pixels, level > 0.5)
    return found is not None and found != polarity


def grow(observed: np.ndarray, radius: float) -> np.ndarray:
    """Observed pixels that are farther than `radius` pixels from every missing one."""
    if not radius or observed.all():
        return observed
    return ndimage.distance_transform_edt(observed) > radius


def connected(seeds: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The parts of `region` that touch a seed, diagonals included."""
    return ndimage.binary_propagation(seeds, structure=np.ones((3, 3)), mask=region | seeds)
