"""`advnmf inpaint`: fill the holes of a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import rich_click as click

from ..files import FileError, suffix
from ..pictures import (
    FORMATS,
    MAX_PIXELS,
    Picture,
    Polarity,
    check_picture_target,
    color_mask,
    fold,
    read_mask,
    read_picture,
    unfold,
    write_picture,
)
from .fitting import fit
from .options import Settings, model_options
from .progress import note


@click.command()
@click.argument("picture", metavar="PICTURE")
@click.argument("target", metavar="OUT")
@click.option("--mask", metavar="MASK", help="A black and white picture of the same size.")
@click.option(
    "--mask-polarity",
    type=click.Choice(["white-observed", "white-missing"]),
    default="white-observed",
    show_default=True,
    help="What white means in MASK (brighter than half; alpha is not looked at). scikit-image and OpenCV mean "
    "white-missing.",
)
@click.option(
    "--missing-color",
    metavar="COLOR",
    help="Pixels of exactly this colour are missing: a name, '#ff00ff', R,G,B or one grey value.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    metavar="N",
    default=MAX_PIXELS,
    show_default=True,
    help="Refuse larger pictures.",
)
@model_options
def inpaint(
    picture: str,
    target: str,
    mask: str | None,
    mask_polarity: Polarity,
    missing_color: str | None,
    max_pixels: int,
    settings: Settings,
    force: bool,
    quiet: bool,
) -> int:
    """Fill the missing pixels of PICTURE and write it to OUT.

    Files: png, jpg, tiff; grey or RGB, with or without alpha, 8 or 16 bits. Give --mask or --missing-color.

    Observed pixels come back bit for bit (jpg OUT is lossy). Alpha is kept and not completed, palettes become
    colours, a picture is turned as its EXIF orientation says.

    The model sees the channels side by side as one matrix of height x (channels * width), values from 0 to 1.
    A row or column of pixels that is missing as a whole cannot be told from its neighbours by such a model.
    Rank, ridge and all else are chosen by values that are held out for it, within --time-limit seconds; --rank, any
    other option that fixes the model, or --model nmf ask for a single quick fit.

    Ctrl-C ends the fit, writes OUT with what the model has by then, and exits with 130.
    """
    if (mask is None) == (missing_color is None):
        raise click.UsageError("say what is missing: either --mask or --missing-color")
    image = read_picture(picture, max_pixels=max_pixels)
    check_picture_target(target, image, overwrite=force)
    if missing_color is not None:
        observed = color_mask(image, missing_color)
    else:
        observed = read_mask(mask or "", polarity=mask_polarity, size=image.size, max_pixels=max_pixels)
    if not observed.any():
        raise FileError(f"{mask or picture}: all {observed.size} pixels are missing (see --mask-polarity)")
    note(_describe(image, observed), quiet)
    if FORMATS[suffix(target)] == "jpg":
        note(f"Warning: {target} will be jpg, which is lossy: observed pixels change a little", quiet)
    if observed.all():
        write_picture(target, image, overwrite=force)
        note(f"nothing is missing: {target} is a copy", quiet)
        return 0
    result = fit(matrix(image, observed), settings, quiet=quiet)
    write_picture(target, filled(image, observed, result.values), overwrite=force)
    note(f"{result.summary}; wrote {target}", quiet)
    return 130 if result.interrupted else 0


def matrix(image: Picture, observed: np.ndarray) -> np.ndarray:
    """The unfolded picture, values from 0 to 1, NaN at missing pixels."""
    holes = observed if image.pixels.ndim == 2 else observed[:, :, None]
    return unfold(np.where(holes, image.to_unit(), np.nan))


def filled(image: Picture, observed: np.ndarray, values: np.ndarray) -> Picture:
    """The picture with its missing pixels taken from an unfolded matrix."""
    holes = observed if image.pixels.ndim == 2 else observed[:, :, None]
    estimate = image.from_unit(fold(values, image.pixels.shape))
    return replace(image, pixels=np.where(holes, image.pixels, estimate))


def _describe(image: Picture, observed: np.ndarray) -> str:
    height, width = image.size
    kind = "grey" if image.pixels.ndim == 2 else "RGB"
    n_missing = int(np.count_nonzero(~observed))
    return (
        f"{image.path}: {width} x {height} pixels, {kind}{'' if image.alpha is None else ' with alpha'}, "
        f"{image.pixels.dtype.itemsize * 8} bit, {n_missing} missing ({n_missing / observed.size:.1%})"
    )
