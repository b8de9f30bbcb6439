"""Pictures with holes, read from and written to png, jpg and tiff files, and their matrices.

Grey, RGB, either with alpha, 8 or 16 bits a channel; TIFF files with any number of channels or pages, and with samples
of any number type. No bit is lost on the way: what cannot be kept is refused or, if it is no sample, told.
The matrix of a picture is the one of the inpainting studies: its channels side by side, height x (channels *
width), so that one factorisation sees the rows of all channels.
"""

from __future__ import annotations

from .colors import color_mask, near_color, parse_color
from .masks import Polarity, mask_of, read_mask
from .picture import Picture, fold, unfold
from .reading import MAX_PIXELS, read_picture
from .writing import FORMATS, check_picture_target, not_kept, write_picture

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
