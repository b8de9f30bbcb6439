"""A picture in memory, and the matrix that a model sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


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
