"""Masks that hide entries of complete data."""

from __future__ import annotations

import functools
import string
import warnings
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from ..io.files import require

__all__ = ["make_missing"]

_SMALLEST_LETTER = 8
# Pixels of one picture as indices into it; a pattern yields such groups without end.
Groups = Iterator[np.ndarray]


def make_missing(
    X: ArrayLike,
    fraction: float,
    pattern: Literal["uniform", "rows", "blocks", "text"] = "uniform",
    *,
    image_shape: tuple[int, int] | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """A mask of `X`, True = observed, that hides round(fraction · n) of its n observed entries.

    Use it as ``model.fit(X, mask=mask)``, or make holes by ``np.where(mask, X, np.nan)``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Only its shape and its missing entries matter (NaN, hidden entries of a `numpy.ma` array); these are missing in
        the mask too, and do not count.
    fraction : float
        From 0 to less than 1.
    pattern : str
        - "uniform": each entry with the same probability.
        - "rows": runs within rows, each a quarter to three quarters of a row: lines that a detector lost.
        - "blocks": rectangles with sides of up to a third of the picture.
        - "text": letters, on a picture of at least 8 x 8 (needs Pillow: the image extra).

        All four hide exactly as many entries as they should; the last run, rectangle or letter is cut for that.
    image_shape : (height, width), optional
        Where the rows of X are pictures: each gets a pattern of its own.  Without it X itself is the picture.  For
        "uniform" it does not matter.
    random_state : int, RandomState or None
        The same number gives the same mask.

    Returns
    -------
    mask : array of bool of the shape of X

    Warns
    -----
    DataWarning
        Where rows or columns lose all that was observed of them: nothing can complete these.  They are left so,
        since to spare an entry would make the pattern another one.
    """
    observed = _observed(X)
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction must be from 0 to less than 1, not {fraction}")
    if pattern not in _PATTERNS:
        raise ValueError(f"pattern must be one of {', '.join(map(repr, _PATTERNS))}, not {pattern!r}")
    n_samples, n_features = observed.shape
    if image_shape is not None and (len(image_shape) != 2 or np.prod(image_shape) != n_features):
        raise ValueError(f"image_shape {tuple(image_shape)} is no (height, width) of the {n_features} features of X")
    rng = check_random_state(random_state)
    mask = observed.copy()
    whole = image_shape is None or pattern == "uniform"
    shape = (n_samples, n_features) if image_shape is None or whole else image_shape
    _hide(mask.reshape(1 if whole else n_samples, -1), fraction, lambda: _PATTERNS[pattern](shape, rng))
    _warn_of_empty(mask, observed)
    return mask


def _observed(X: ArrayLike) -> np.ndarray:
    from ..data.boundary import read_observed  # loads Numba, which the data sets do not need

    return read_observed(X, sparse_missing=None).known


def _hide(pictures: np.ndarray, fraction: float, groups: Callable[[], Groups]) -> None:
    """Set the share `fraction` of what is True in each row to False, rounded so that the total is right."""
    totals = np.rint(fraction * np.cumsum(pictures.sum(axis=1))).astype(int)
    for picture, left in zip(pictures, np.diff(totals, prepend=0), strict=True):
        pattern = groups()
        while left > 0:
            group = next(pattern)
            group = group[picture[group]][:left]
            picture[group] = False
            left -= len(group)


def _uniform(shape: tuple[int, int], rng: np.random.RandomState) -> Groups:
    yield rng.permutation(shape[0] * shape[1])


def _rows(shape: tuple[int, int], rng: np.random.RandomState) -> Groups:
    while True:
        yield _rectangle(shape, rng, 1, _between(rng, shape[1] / 4, 3 * shape[1] / 4))


def _blocks(shape: tuple[int, int], rng: np.random.RandomState) -> Groups:
    height, width = shape
    while True:
        yield _rectangle(shape, rng, _between(rng, 1, height / 3), _between(rng, 1, width / 3))


def _between(rng: np.random.RandomState, low: float, high: float) -> int:
    low = max(1, int(low))
    return int(rng.randint(low, max(low, int(high)) + 1))


def _rectangle(shape: tuple[int, int], rng: np.random.RandomState, height: int, width: int) -> np.ndarray:
    """A rectangle anywhere, cut at the edges, so that no pixel is hit more often than others."""
    top, left = rng.randint(1 - height, shape[0]), rng.randint(1 - width, shape[1])
    rows, columns = np.ogrid[max(top, 0) : min(top + height, shape[0]), max(left, 0) : min(left + width, shape[1])]
    return (rows * shape[1] + columns).ravel()


def _text(shape: tuple[int, int], rng: np.random.RandomState) -> Groups:
    """Letters in the places of a page of text, visited at random; then again on a page that is set elsewhere."""
    height, width = shape
    if min(shape) < _SMALLEST_LETTER:
        raise ValueError(
            f"letters need a picture of at least {_SMALLEST_LETTER} x {_SMALLEST_LETTER}, not {height} x {width}; "
            "see image_shape"
        )
    size = max(_SMALLEST_LETTER, min(shape) // 8)
    letters = _letters(size)
    while True:
        y0, x0 = rng.randint(-size, 1, size=2)
        places = [(y, x) for y in range(y0, height, size) for x in range(x0, width, size)]
        for place in rng.permutation(len(places)):
            rows, columns = (letters[rng.randint(len(letters))] + places[place]).T
            inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            yield (rows * width + columns)[inside]


@functools.cache
def _letters(size: int) -> list[np.ndarray]:
    """The black pixels (row, column) of each letter."""
    Image, ImageDraw, ImageFont = (require(f"PIL.{name}", "image") for name in ("Image", "ImageDraw", "ImageFont"))
    font = ImageFont.load_default(size)
    letters = []
    for letter in string.ascii_uppercase:
        canvas = Image.new("1", (2 * size, 2 * size))
        ImageDraw.Draw(canvas).text((0, 0), letter, font=font, fill=1)
        letters.append(np.argwhere(np.asarray(canvas)))
    return letters


_PATTERNS = {"uniform": _uniform, "rows": _rows, "blocks": _blocks, "text": _text}


def _warn_of_empty(mask: np.ndarray, observed: np.ndarray) -> None:
    emptied = [int(np.count_nonzero(observed.any(axis=axis) & ~mask.any(axis=axis))) for axis in (1, 0)]
    if any(emptied):
        from ..models.base import DataWarning

        message = f"{emptied[0]} rows and {emptied[1]} columns have no observed entry left; no model can complete these"
        warnings.warn(message, DataWarning, stacklevel=3)
