"""ComponentsDisplay: the components of a model, as tiles or as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ..data.check import check_choice, check_number
from .drawing import SMALL, as_pictures, check_shape, fitted_model, line_styles, new_axes, numbers, ticks

Array = np.ndarray


class ComponentsDisplay:
    """Components: tiles of pictures where `image_shape` is given, else lines over the features (spectra).

    Parameters
    ----------
    components : array-like of shape (n_components, n_features)
        One a row.
    image_shape : (height, width) or (height, width, 3), optional
        Shape of a component that is a picture.
    image_order : {"C", "F"}, default="C"
        Whether pictures are stored row by row, or column by column as MATLAB does.
    names : sequence, optional
        What the components are called; their numbers from 0 unless given.

    Attributes
    ----------
    ax_, figure_
        Axes and figure of the last `plot`.
    images_ : list of matplotlib images
        One a tile; empty for lines.
    lines_ : list of matplotlib lines
        One a component; empty for tiles.
    """

    def __init__(
        self,
        components: object,
        *,
        image_shape: Sequence[int] | None = None,
        image_order: str = "C",
        names: Sequence[object] | None = None,
    ) -> None:
        self.components = numbers("components", components, 2)
        n, m = self.components.shape
        # Each row must be a picture; a matrix that is one picture as a whole is not accepted.
        self.image_shape = None if image_shape is None else check_shape(image_shape, (1, m))[0]
        check_choice("image_order", image_order, ("C", "F"))
        self.image_order = image_order
        self.names = [str(name) for name in (range(n) if names is None else names)]
        if len(self.names) != n:
            raise ValueError(f"names holds {len(self.names)}, but there are {n} components")

    @classmethod
    def from_estimator(
        cls,
        estimator: object,
        *,
        image_shape: Sequence[int] | None = None,
        image_order: str = "C",
        n_components: int | None = None,
        order: str | Sequence[int] = "given",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the `components_` of a fitted model.

        Parameters
        ----------
        estimator : any model with `components_`
            Of this package or of scikit-learn.  `DMF` has none: its decoder is a network.
        image_shape, image_order
            As for the class.
        n_components : int, optional
            How many are shown, in that order; all unless given.
        order : {"given", "contribution"} or sequence of int, default="given"
            As in the model; by the norm ``||w_k|| ||h_k||`` of what component k contributes to the training data,
            largest first; or these.
        ax, **kwargs
            See `plot`.
        """
        model = fitted_model(
            estimator, "components_", why=": only models whose reconstruction is codes times components do"
        )
        indices = _ordered(model, order)
        if n_components is not None:
            check_number("n_components", n_components, low=1, high=len(indices), integer=True)
            indices = indices[:n_components]
        return cls(
            np.asarray(model.components_)[indices], image_shape=image_shape, image_order=image_order, names=indices
        ).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        scale: str = "own",
        n_columns: int | None = None,
        x: object = None,
        xlabel: str = "feature",
        labels: bool = True,
        title: str = "",
        **kwargs: Any,
    ) -> Self:
        """Draw the components.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where; a new figure unless given.
        scale : {"own", "shared"}, default="own"
            Whether each component is divided by its largest absolute value, or drawn in units that all share.
        n_columns : int, optional
            Tiles in a row; as many as make a square unless given.
        x : array-like of shape (n_features,), optional
            Horizontal positions of lines, such as wavelengths; 0, 1, 2, ... unless given.
        xlabel : str, default="feature"
            What `x` is, with its unit.
        labels : bool, default=True
            Whether tiles bear their names.
        title : str, default=""
            Title of the axes.
        **kwargs
            For ``Axes.imshow`` (such as ``cmap="magma"``) or ``Axes.plot``.
        """
        check_choice("scale", scale, ("own", "shared"))
        values = self.components
        if scale == "own":
            tops = np.abs(values).max(axis=1, keepdims=True)
            values = values / np.where(tops > 0, tops, 1)
        self.images_, self.lines_ = [], []
        if self.image_shape is None:
            ax = new_axes(ax, (6.4, 3.6))
            self._draw_lines(ax, values, ticks(x, values.shape[1]), **kwargs)
            ax.set(xlabel=xlabel, ylabel="component / its maximum" if scale == "own" else "component")
        else:
            n_columns = int(np.ceil(np.sqrt(len(values)))) if n_columns is None else n_columns
            check_number("n_columns", n_columns, low=1, integer=True)
            ax = self._draw_tiles(ax, values, n_columns, labels, **kwargs)
            if scale == "shared" and len(self.image_shape) == 2:
                ax.figure.colorbar(self.images_[0], ax=ax, label="component", shrink=0.8)
        if title:
            ax.set_title(title)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_lines(self, ax: Any, values: Array, x: Array, **kwargs: Any) -> None:
        self.lines_ = [
            ax.plot(x, row, **{"label": name, **style, **kwargs})[0]
            for row, name, style in zip(values, self.names, line_styles(), strict=False)
        ]
        ax.grid(alpha=0.3)
        # Outside the axes, which the lines fill.
        ax.legend(
            title="component",
            title_fontsize=SMALL,
            fontsize=SMALL,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            frameon=False,
            ncols=1 + (len(values) - 1) // 14,
        )

    def _draw_tiles(self, ax: Any, values: Array, n_columns: int, labels: bool, **kwargs: Any) -> Any:
        """All tiles in one axes, a gap of about a tenth between them and room for a name above each."""
        height, width = self.image_shape[:2]
        n_columns = min(n_columns, len(values))
        n_rows = -(-len(values) // n_columns)
        gap = 0.08 * max(height, width)
        step_x, step_y = width + gap, height + (3 * gap if labels else gap)
        size = np.array([n_columns * step_x, n_rows * step_y])
        figsize = np.clip(size / size.max() * max(2.5, min(8.0, 0.9 * max(n_columns, n_rows))), 1.5, 8)
        ax = new_axes(ax, tuple(figsize))
        top = np.abs(values).max() or 1.0
        signed = values.min() < 0
        look = {"cmap": "RdBu_r" if signed else "gray", "vmin": -top if signed else 0.0, "vmax": top, **kwargs}
        tiles = as_pictures(values, self.image_shape, self.image_order)
        for k, (tile, name) in enumerate(zip(tiles, self.names, strict=True)):
            left, upper = (k % n_columns) * step_x, (k // n_columns) * step_y
            tile = np.clip(tile / top, 0, 1) if tile.ndim == 3 else tile
            self.images_.append(ax.imshow(tile, extent=(left, left + width, upper + height, upper), **look))
            if labels:
                ax.text(left + width / 2, upper - 0.4 * gap, name, ha="center", va="bottom", fontsize=SMALL - 1)
        ax.set(xlim=(-gap, size[0]), ylim=(size[1] - (2 * gap if labels else 0), -3 * gap if labels else -gap))
        ax.set_aspect("equal")
        ax.set_axis_off()
        return ax


def _ordered(model: Any, order: str | Sequence[int]) -> Array:
    """Numbers of the components in the requested order."""
    n = len(model.components_)
    if not isinstance(order, str):
        indices = np.asarray(order)
        if indices.ndim != 1 or indices.dtype.kind not in "iu" or not np.isin(indices, np.arange(n)).all():
            raise ValueError(f"order={order!r} must list component numbers from 0 to {n - 1}")
        return indices
    check_choice("order", order, ("given", "contribution"))
    if order == "given":
        return np.arange(n)
    if not hasattr(model, "factors_"):
        raise ValueError(f"order='contribution' needs the codes of the training data, which {model!r} does not keep")
    norms = np.linalg.norm(model.factors_[0], axis=0) * np.linalg.norm(model.components_, axis=1)
    return np.argsort(-norms, kind="stable")
