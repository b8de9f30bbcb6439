"""Shared by the displays: axes, colours, checks of arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, product
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..io.files import require

# The palette of Okabe and Ito for colour-blind readers, without its yellow, which is invisible on white; black last.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = "#888888"
# The colour of missing pixels: in no grey picture, rare in photographs, and distinct from white and black.
MISSING = "#CC79A7"
SMALL = 8


def line_styles() -> Iterator[dict[str, Any]]:
    """Colour and dashes, different for as many lines as there are pairs, then from the start."""
    pairs = product(("-", "--", "-.", ":"), COLORS)
    return cycle([{"color": color, "linestyle": dashes} for dashes, color in pairs])


def new_axes(ax: Any, figsize: tuple[float, float]) -> Any:
    """The axes given, or those of a new figure."""
    if ax is not None:
        return one_axes(ax)
    return _pyplot().subplots(figsize=figsize, layout="constrained")[1]


def one_axes(ax: Any) -> Any:
    """Refuse anything but a single axes."""
    if not hasattr(ax, "plot"):
        raise ValueError(f"ax={type(ax).__name__} must be a matplotlib Axes or None")
    return ax


def new_grid(ax: Any, shape: tuple[int, int], figsize: tuple[float, float]) -> np.ndarray:
    """The axes given, as an array of that shape, or those of a new figure."""
    if ax is None:
        return _pyplot().subplots(*shape, figsize=figsize, layout="constrained", squeeze=False)[1]
    axes = np.atleast_1d(np.asarray(ax, dtype=object))
    if axes.size != shape[0] * shape[1]:
        raise ValueError(f"ax holds {axes.size} axes, but {shape[0]} rows of {shape[1]} are drawn: give as many")
    for each in axes.flat:
        one_axes(each)
    return axes.reshape(shape)


def _pyplot() -> Any:
    return require("matplotlib.pyplot", "plot")


def label_log_axis(ax: Any) -> None:
    """Plain numbers along a logarithmic vertical axis; where it spans little, also between the powers of ten."""

    def between(value: float, _: int) -> str:
        low, high = ax.get_ylim()
        if high < 4 * low:  # the ticks chosen below may all lie outside
            return f"{value:g}"
        digits = "235" if high < 10 * low else "25" if high < 100 * low else ""
        return f"{value:g}" if f"{value:e}"[0] in digits else ""

    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(between)


def fitted_model(estimator: object, attribute: str, why: str = "") -> Any:
    """The fitted model (that of an imputer), which must have some attribute."""
    check_is_fitted(estimator)
    model = getattr(estimator, "estimator_", estimator)
    if not hasattr(model, attribute):
        raise ValueError(f"{type(model).__name__} has no {attribute}{why}")
    return model


def numbers(name: str, values: object, ndim: int) -> np.ndarray:
    """`values` as an array of floats with this number of axes."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must hold numbers") from None
    if array.ndim != ndim or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: it must have {ndim} axes and not be empty")
    return array


def ticks(x: object, n: int, name: str = "x") -> np.ndarray:
    """Horizontal positions of n values: 0 .. n - 1 unless given."""
    if x is None:
        return np.arange(n)
    x = numbers(name, x, 1)
    if len(x) != n:
        raise ValueError(f"{name} holds {len(x)} numbers, but {n} are needed")
    return x


def as_pictures(values: np.ndarray, image_shape: tuple[int, ...], image_order: str) -> np.ndarray:
    """Rows as pictures, (n, height, width) or (n, height, width, 3)."""
    return np.stack([row.reshape(image_shape, order=image_order) for row in values])


def check_shape(image_shape: Sequence[int], shape: tuple[int, int]) -> tuple[tuple[int, ...], bool]:
    """(height, width) or (height, width, 3), and whether the matrix of that shape is one such picture.

    Else each row is one.  A picture has its channels side by side, height x (channels * width).
    """
    sizes = np.atleast_1d(image_shape)
    if sizes.dtype.kind in "iu" and sizes.shape in ((2,), (3,)) and (sizes[2:] == 3).all():
        height, width, *channels = (int(size) for size in sizes)
        size = width * int(np.prod(channels))
        if height * size == shape[1]:
            return (height, width, *channels), False
        if (height, size) == shape:
            return (height, width, *channels), True
    raise ValueError(
        f"image_shape={image_shape!r} does not describe {shape[1]} features: "
        "give (height, width) or (height, width, 3) of that product"
    )


def check_named(name: str, values: object) -> None:
    """Refuse anything but a mapping that is not empty."""
    if not isinstance(values, Mapping) or not values:
        raise ValueError(f"{name} must be a mapping (names to values) with at least one entry")
