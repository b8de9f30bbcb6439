"""The pictures of the inpainting comparison, and the masks that this project puts over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..io.files import require
from .fetching import fetch

_DESCR = """Four colour pictures of 300 x 300 pixels, used by the TNNR studies of matrix completion, and three
masks, made here: half of the pixels at random, and running text in small and in large letters (19 % and 23 %
missing).
Source of the pictures: https://github.com/xueshengke/TNNR-WRE (no licence is stated there, so nothing is
redistributed)."""
_SIZE = 300
_TEXT = "Nonnegative factors learn parts from what is seen and guess the rest. "


def fetch_inpainting_pictures() -> Bunch:
    """Four pictures and three masks for them.  Needs Pillow and matplotlib (for its font): the image and plot extras.

    Returns
    -------
    Bunch
        ``pictures``: {"img1" ... "img4": 300 x 300 x 3 bytes}; ``masks``: {"random50", "text_small", "text_large":
        300 x 300 bool, True = observed}; ``DESCR``.  `advnmf.io.pictures.unfold` makes the matrix of a picture.
    """
    from ..io.pictures import read_picture  # brings Numba along

    pictures = {f"img{number}": read_picture(fetch(f"inpainting/img{number}.jpg")).pixels for number in range(1, 5)}
    masks = {
        "random50": np.random.default_rng(2023).random((_SIZE, _SIZE)) >= 0.5,
        "text_small": _text_mask(points=11, line_height=16),
        "text_large": _text_mask(points=34, line_height=44),
    }
    return Bunch(pictures=pictures, masks=masks, DESCR=_DESCR)


def _text_mask(points: int, line_height: int) -> np.ndarray:
    """True outside of lines of text.  Each line begins elsewhere in the text, so that no column is hit alike."""
    Image, ImageDraw, ImageFont = (require(f"PIL.{name}", "image") for name in ("Image", "ImageDraw", "ImageFont"))
    fonts = Path(require("matplotlib", "plot").get_data_path(), "fonts", "ttf")
    font = ImageFont.truetype(fonts / "DejaVuSans-Bold.ttf", points)
    canvas = Image.new("L", (_SIZE, _SIZE), 255)
    for i, y in enumerate(range(2, _SIZE, line_height)):
        start = 11 * i % len(_TEXT)
        ImageDraw.Draw(canvas).text((3 * i % 40 - 40, y), (2 * _TEXT)[start : start + 70], font=font, fill=0)
    return np.asarray(canvas) >= 128
