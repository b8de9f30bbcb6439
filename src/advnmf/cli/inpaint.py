"""`advnmf inpaint`: fill the holes of a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import rich_click as click

from ..io.files import FileError, suffix
from ..io.pictures import (
    FORMATS,
    MAX_PIXELS,
    Picture,
    Polarity,
    check_picture_target,
    color_mask,
    fold,
    mask_of,
    near_color,
    not_kept,
    read_picture,
    unfold,
    write_picture,
)
from ..io.pictures.masks import grow as grown
from .fitting import fit
from .options import Settings, file_option, max_memory_option, model_options
from .progress import note


@click.command()
@click.argument("picture", metavar="PICTURE")
@click.argument("target", metavar="OUT")
@file_option(
    "--mask",
    metavar="MASK",
    help="A black and white picture of the same size, or the word alpha: fully transparent pixels are missing.",
)
@file_option(
    "--mask-polarity",
    type=click.Choice(["white-observed", "white-missing"]),
    help="What white (the brighter of its two levels) means in MASK; scikit-image and OpenCV mean white-missing. "
    "[default: found out where holes are painted in one colour; else white-observed, refused if most were missing]",
)
@file_option(
    "--missing-color",
    metavar="COLOR",
    help="Pixels of this colour are missing: a name, '#ff00ff', R,G,B or one grey value.",
)
@file_option(
    "--tolerance",
    type=click.IntRange(0, 255),
    metavar="N",
    help="Levels (of 255) that a channel may be off --missing-color. [default: 0; jpg: as its blur demands]",
)
@file_option(
    "--grow",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Pixels within N pixels of a missing one are missing too.",
)
@file_option(
    "--max-pixels",
    type=click.IntRange(min=1),
    metavar="N",
    default=MAX_PIXELS,
    show_default=True,
    help="Refuse larger pictures.",
)
@max_memory_option
@model_options
def inpaint(
    picture: str,
    target: str,
    mask: str | None,
    mask_polarity: Polarity | None,
    missing_color: str | None,
    tolerance: int | None,
    grow: int,
    max_pixels: int,
    max_memory: int | None,
    settings: Settings,
    force: bool,
    quiet: bool,
) -> int:
    """Fill the missing pixels of PICTURE and write it to OUT.

    Files: png, jpg, tiff, and webp and bmp as input; grey or RGB, with or without alpha, 8 or 16 bits. TIFF files
    may have any number of channels (all are filled), pages (a stack) and any number type.

    Give --mask or --missing-color. Without either, missing is what the file itself says: its nodata value or NaN, or
    its fully transparent pixels.

    Observed pixels come back bit for bit (jpg OUT is lossy). Alpha is kept and not completed, but a missing
    pixel that was fully transparent becomes opaque. Palettes become colours, a picture is turned as its EXIF
    orientation says; what OUT cannot say (georeference, texts, ...) is named.

    The model sees the channels side by side as one matrix of height x (channels * width), values from 0 to 1.
    A row or column of pixels that is missing as a whole cannot be told from its neighbours by such a model.
    Rank, ridge and all else are chosen by values that are held out for it, within --time-limit seconds; --rank, any
    other option that fixes the model, or --model nmf ask for a single quick fit.

    Ctrl-C ends the fit, writes OUT with what the model has by then, and exits with 130.
    """
    if mask is not None and missing_color is not None:
        raise click.UsageError("say what is missing: either --mask or --missing-color")
    limits: dict[str, Any] = {"max_pixels": max_pixels, "max_memory": max_memory}
    image = read_picture(picture, **limits)
    check_picture_target(target, image, overwrite=force)
    observed, notes = _observed(image, mask, mask_polarity, missing_color, tolerance, limits)
    observed = grown(observed, grow)
    learnt = observed if image.alpha is None else observed & (image.alpha > 0)
    if not learnt.any():
        raise FileError(f"{mask or picture}: all {observed.size} pixels are missing (see --mask-polarity)")
    for line in notes:
        note(line, quiet)
    note(_describe(image, observed), quiet)
    if FORMATS[suffix(target)] == "jpg":
        note(f"Warning: {target} will be jpg, which is lossy: observed pixels change a little", quiet)
    lost = not_kept(image, target)
    if lost:
        note(f"Warning: {target} will not say what {picture} says besides its pixels: {', '.join(lost)}", quiet)
    if observed.all():
        write_picture(target, image, overwrite=force)
        note(f"nothing is missing: {target} is a copy", quiet)
        return 0
    result = fit(matrix(image, learnt), settings, quiet=quiet)
    write_picture(target, filled(image, observed, result.values), overwrite=force)
    note(f"{result.summary}; wrote {target}", quiet)
    return 130 if result.interrupted else 0


def matrix(image: Picture, observed: np.ndarray) -> np.ndarray:
    """The unfolded picture, values from 0 to 1, NaN at missing pixels."""
    holes = observed if image.pixels.ndim == 2 else observed[:, :, None]
    return unfold(np.where(holes, image.to_unit(), np.nan))


def filled(image: Picture, observed: np.ndarray, values: np.ndarray) -> Picture:
    """The picture with its missing pixels taken from an unfolded matrix; they are not transparent any more."""
    holes = observed if image.pixels.ndim == 2 else observed[:, :, None]
    estimate = image.from_unit(fold(values, image.pixels.shape))
    if image.nodata is not None and image.pixels.dtype.kind in "iu":  # a fill must not say again that it is missing
        is_top = image.nodata >= np.iinfo(image.pixels.dtype).max
        estimate = np.where(estimate == image.nodata, estimate - 1 if is_top else estimate + 1, estimate)
    alpha = image.alpha
    if alpha is not None:
        alpha = np.where(~observed & (alpha == 0), image.pixels.dtype.type(image.peak), alpha)
        if image.premultiplied and _is_bounded(image.pixels[observed], alpha[observed]):
            estimate = np.minimum(estimate, alpha if estimate.ndim == 2 else alpha[:, :, None])
    return replace(image, pixels=np.where(holes, image.pixels, estimate), alpha=alpha)


def _is_bounded(pixels: np.ndarray, alpha: np.ndarray) -> bool:
    """Whether no colour exceeds its alpha, as is right for premultiplied ones and not always so."""
    return bool((pixels.reshape(len(alpha), -1) <= alpha[:, None]).all())


def _observed(
    image: Picture,
    mask: str | None,
    polarity: Polarity | None,
    color: str | None,
    tolerance: int | None,
    limits: dict[str, Any],
) -> tuple[np.ndarray, list[str]]:
    """Which pixels are observed, by what the user gives or else by the file itself, and lines that say how."""
    everywhere = np.ones(image.size, bool)
    measured = everywhere if image.empty is None else ~image.empty
    notes = [] if image.empty is None else [f"{image.path}: {int(image.empty.sum())} pixels are nodata or NaN: missing"]
    if color is not None:
        observed = color_mask(image, color, tolerance=tolerance)
        if image.lossy and tolerance is None:
            notes.append(f"{image.path} is lossy: missing is also what is nearly {color}, and 3 pixels around it")
        return observed & measured, [*notes, *_edges(image, color, observed)]
    if mask == "alpha" or (mask is None and image.empty is None and image.alpha is not None):
        return _by_alpha(image, asked=mask is not None) & measured, [
            *notes,
            f"{image.path}: fully transparent pixels are missing, and will be opaque",
        ]
    if mask is not None:
        observed, how = mask_of(read_picture(mask, **limits), polarity=polarity, size=image.size, pixels=image.pixels)
        return observed & measured, [*notes, how]
    if image.empty is None:
        raise click.UsageError("say what is missing: either --mask or --missing-color")
    return measured, notes


def _by_alpha(image: Picture, *, asked: bool) -> np.ndarray:
    if image.alpha is None:
        raise FileError(f"{image.path} has no alpha channel: give a --mask file or --missing-color")
    if not asked and (image.alpha > 0).all():
        raise click.UsageError("say what is missing, nothing is fully transparent: either --mask or --missing-color")
    return image.alpha > 0


def _edges(image: Picture, color: str, observed: np.ndarray) -> list[str]:
    """Words on pixels beside the missing ones that have nearly their colour and are taken for observed."""
    n_near = near_color(image, color, observed)
    if not n_near:
        return []
    return [
        f"Warning: {n_near} observed pixels beside the missing ones are nearly of the colour {color}, perhaps their "
        "edges: see --tolerance and --grow"
    ]


def _describe(image: Picture, observed: np.ndarray) -> str:
    height, width = image.size
    n_missing = int(np.count_nonzero(~observed))
    return (
        f"{image.path}: {width} x {height} pixels, {image.describe()}, {n_missing} missing "
        f"({n_missing / observed.size:.1%})"
    )
