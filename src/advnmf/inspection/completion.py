"""CompletionDisplay: samples in their original, observed, attacked and completed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Self

import numpy as np

from ..arrays.typing import MatrixLike
from ..data.boundary import check_mask, read_observed
from ..data.check import check_choice
from ..io.pictures import fold
from ..metrics import rmse
from .drawing import (
    COLORS,
    GREY,
    MISSING,
    SMALL,
    as_pictures,
    check_named,
    check_shape,
    fitted_model,
    new_grid,
    numbers,
    ticks,
)

Array = np.ndarray

# The panels besides the completed ones, and their titles.
_PANELS = {"original": "Original", "masked": "Masked", "attack": "Attack\nR*", "attacked": "Attacked\nX + R*"}


class CompletionDisplay:
    """Completed samples beside their observed entries: a row of pictures, or one axes of spectra, for each sample.

    Missing pixels are pink.  In the attack R, blue pixels were lowered and red ones raised; in that of a colour picture
    grey means unchanged.  Models without an adversary have no such panels, nor has `ANMF`, whose adversary moves the
    components.

    Parameters
    ----------
    observed : array-like of shape (n_samples, n_features)
        What was known; NaN is missing.
    completed : mapping of str to array-like of that shape
        Completions by name (that of a single one may be "").
    original : array-like of that shape, optional
        The truth, if known: errors over the missing entries are then shown.
    perturbation : array-like of that shape, optional
        The attack R on the observed entries, 0 elsewhere.
    image_shape : (height, width) or (height, width, 3), optional
        Shape of a sample that is a picture.  Or of the whole matrix, if that is one picture whose channels stand side
        by side, height x (channels * width), as `advnmf.io.pictures.unfold` makes it.  Spectra are drawn unless given.
    image_order : {"C", "F"}, default="C"
        Whether samples that are pictures are stored row by row, or column by column as MATLAB does.
    names : sequence, optional
        What the samples are called.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Of shape (pictures, panels), or (samples, 1) for spectra.
    figure_
        Figure of the last `plot`.
    images_ : dict of str to list of matplotlib images
        By panel ("original", "masked", "attack", "attacked", and the names of `completed`), one a picture; empty for
        spectra.
    lines_ : dict of str to list of matplotlib lines
        The same for spectra.
    """

    def __init__(
        self,
        observed: object,
        completed: Mapping[str, object],
        *,
        original: object = None,
        perturbation: object = None,
        image_shape: Sequence[int] | None = None,
        image_order: str = "C",
        names: Sequence[object] | None = None,
    ) -> None:
        check_named("completed", completed)
        if taken := [name for name in completed if name in _PANELS]:
            raise ValueError(f"completed must not be called {taken[0]!r}, as another panel is")
        self.observed = numbers("observed", observed, 2)
        self.completed = {name: self._like(f"completed[{name!r}]", values) for name, values in completed.items()}
        self.original = None if original is None else self._like("original", original)
        self.perturbation = None if perturbation is None else self._like("perturbation", perturbation)
        n, m = self.observed.shape
        self._whole = False
        if image_shape is not None:
            image_shape, self._whole = check_shape(image_shape, (n, m))
        check_choice("image_order", image_order, ("C", "F"))
        self.image_shape, self.image_order = image_shape, image_order
        n = 1 if self._whole else n
        self.names = [""] * n if names is None else [str(name) for name in names]
        if len(self.names) != n:
            raise ValueError(f"names holds {len(self.names)}, but {n} are shown")

    def _like(self, name: str, values: object) -> Array:
        values = numbers(name, values, 2)
        if values.shape != self.observed.shape:
            raise ValueError(f"{name} has shape {values.shape}, observed has {self.observed.shape}: they must agree")
        return values

    @classmethod
    def from_estimator(cls, estimator: object, X: MatrixLike, *, name: str = "", **kwargs: Any) -> Self:
        """Plot the completion of samples by a fitted model; arguments as in `from_estimators`."""
        return cls.from_estimators({name: estimator}, X, **kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, object],
        X: MatrixLike,
        *,
        mask: MatrixLike | None = None,
        X_true: MatrixLike | None = None,
        image_shape: Sequence[int] | None = None,
        image_order: str = "C",
        samples: Sequence[int] | int | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the completion of samples by fitted models, each from the codes of its `transform`.

        Parameters
        ----------
        estimators : mapping of str to model
            By name.  The attack is that of the first that has an adversary (`NMF.perturbation`).
        X : array-like of shape (n_samples, n_features)
            Samples; NaN is missing.
        mask : array-like of bool of the shape of X, optional
            True = observed.
        X_true : array-like of the shape of X, optional
            The truth.
        image_shape, image_order
            As for the class.
        samples : int or sequence of int, optional
            Rows that are shown; the first five unless given.  Not used if ``X`` is one picture.
        ax, **kwargs
            See `plot`.
        """
        check_named("estimators", estimators)
        models = {
            name: fitted_model(each, "complete", why=": give a model of advnmf") for name, each in estimators.items()
        }
        X, shape = (X if hasattr(X, "shape") else np.asarray(X)), np.shape(X)
        if len(shape) != 2:
            raise ValueError(f"X has shape {shape}: it must have two axes, one sample a row")
        whole = image_shape is not None and check_shape(image_shape, shape)[1]
        rows = np.arange(shape[0]) if whole else _chosen(samples, shape[0])
        part = X.iloc[rows] if hasattr(X, "iloc") else X[rows]
        seen = None if mask is None else check_mask(mask, np.broadcast_to(0.0, shape))[rows]
        given = read_observed(part, seen)
        completed = {name: model.complete(part, mask=seen) for name, model in models.items()}
        return cls(
            given.training(given.known),
            completed,
            original=None if X_true is None else _same_rows(X_true, shape, rows),
            perturbation=_first_attack(models, part, seen),
            image_shape=image_shape,
            image_order=image_order,
            names=None if whole else [f"sample {row}" for row in rows],
        ).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        vmin: float | None = None,
        vmax: float | None = None,
        x: object = None,
        xlabel: str = "feature",
        ylabel: str = "value",
        **kwargs: Any,
    ) -> Self:
        """Draw the samples.

        Parameters
        ----------
        ax : array of matplotlib Axes, optional
            Where, as many as `axes_` has; a new figure unless given.
        vmin, vmax : float, optional
            Black and white of pictures; unless given 0 (or the smallest original or observed value if that is
            negative) and the largest.
        x : array-like of shape (n_features,), optional
            Horizontal positions of spectra, such as wavelengths; 0, 1, 2, ... unless given.
        xlabel, ylabel : str
            What is along the axes of spectra, with units.
        **kwargs
            For ``Axes.imshow`` of all panels but the attack, or ``Axes.plot`` of all lines.
        """
        self.images_, self.lines_ = {}, {}
        if self.image_shape is None:
            self._plot_spectra(ax, ticks(x, self.observed.shape[1]), xlabel, ylabel, kwargs)
        else:
            self._plot_pictures(ax, vmin, vmax, kwargs)
        self.figure_ = self.axes_.flat[0].figure
        return self

    # --- pictures ------------------------------------------------------------------------------------------------

    def _plot_pictures(self, ax: Any, vmin: float | None, vmax: float | None, kwargs: dict[str, Any]) -> None:
        panels = {name: self._pictures(values) for name, values in self._panels().items()}
        height, width = self.image_shape[:2]
        side = 1.7 if len(self.names) > 1 else 2.4
        figsize = (side * len(panels), (side * height / width + 0.25) * len(self.names) + 0.5)
        self.axes_ = new_grid(ax, (len(self.names), len(panels)), figsize)
        low, high = self._value_range()
        vmin, vmax = low if vmin is None else vmin, high if vmax is None else vmax
        for column, (name, pictures) in zip(self.axes_.T, panels.items(), strict=True):
            draw = self._draw_attack if name == "attack" else self._draw_picture
            self.images_[name] = [
                draw(axes, picture, vmin, vmax, kwargs) for axes, picture in zip(column, pictures, strict=True)
            ]
            for axes in column:
                axes.set(xticks=[], yticks=[])
            column[0].set_title(self._title(name), fontsize=SMALL + 1)
            if name == "attack":
                self._tell_scale(column[-1])
        for axes, name in zip(self.axes_[:, 0], self.names, strict=True):
            axes.set_ylabel(name, fontsize=SMALL)
        self._tell_errors(panels)

    def _panels(self) -> dict[str, Array]:
        """The panels from left to right."""
        panels = {} if self.original is None else {"original": self.original}
        panels["masked"] = self.observed
        if self.perturbation is not None:
            panels["attack"] = np.where(np.isnan(self.observed), np.nan, self.perturbation)
            panels["attacked"] = self.observed + self.perturbation
        return panels | self.completed

    def _pictures(self, values: Array) -> list[Array]:
        if self._whole:
            return [fold(values, self.image_shape)]
        return list(as_pictures(values, self.image_shape, self.image_order))

    def _title(self, name: str) -> str:
        return _PANELS.get(name) or f"Completed\n{name}".strip()

    def _draw_picture(self, axes: Any, picture: Array, vmin: float, vmax: float, kwargs: dict[str, Any]) -> Any:
        axes.set_facecolor(MISSING)
        if picture.ndim == 2:
            look = {"cmap": "gray", "vmin": vmin, "vmax": vmax, **kwargs}
            return axes.imshow(np.ma.masked_invalid(picture), **look)
        return axes.imshow(_with_alpha((picture - vmin) / (vmax - vmin or 1.0)), **kwargs)

    def _draw_attack(self, axes: Any, picture: Array, *_: object) -> Any:
        """Blue is lower, red higher, white (colours: grey) unchanged; all pictures have the same scale."""
        top = self._attack_scale()
        axes.set_facecolor("white" if picture.ndim == 2 else "0.5")
        if picture.ndim == 2:
            return axes.imshow(np.ma.masked_invalid(picture), cmap="RdBu_r", vmin=-top, vmax=top)
        return axes.imshow(_with_alpha(0.5 + 0.5 * picture / top))

    def _tell_scale(self, axes: Any) -> None:
        top = self._attack_scale()
        words = f"blue −{top:.2g}, red +{top:.2g}" if len(self.image_shape) == 2 else f"grey 0, scale ±{top:.2g}"
        axes.set_xlabel(words, fontsize=SMALL)

    def _attack_scale(self) -> float:
        """The 99 % quantile of the perturbations, so that a few large ones do not hide the rest."""
        sizes = np.abs(self.perturbation[~np.isnan(self.observed)])
        return float(np.quantile(sizes, 0.99) or sizes.max()) if sizes.any() else 1.0

    def _value_range(self) -> tuple[float, float]:
        """From 0, or less, to the largest known value; to that of the completed ones if none is known."""
        candidates = [self.original, self.observed, *self.completed.values()]
        known = next(values for values in candidates if values is not None and not np.isnan(values).all())
        return min(0.0, float(np.nanmin(known))), float(np.nanmax(known))

    def _tell_errors(self, panels: dict[str, list[Array]]) -> None:
        """Root mean square error of each completed picture over its missing entries, if there are any."""
        if self.original is None:
            return
        first = len(panels) - len(self.completed)
        for row, (truth, masked) in enumerate(zip(panels["original"], panels["masked"], strict=True)):
            missing = np.isnan(masked) & ~np.isnan(truth)
            for column, name in enumerate(self.completed, first):
                if missing.any():
                    error = rmse(truth, panels[name][row], mask=missing)
                    self.axes_[row, column].set_xlabel(f"RMSE {error:.3g}", fontsize=SMALL)

    # --- spectra -------------------------------------------------------------------------------------------------

    def _plot_spectra(self, ax: Any, x: Array, xlabel: str, ylabel: str, kwargs: dict[str, Any]) -> None:
        n = len(self.names)
        self.axes_ = new_grid(ax, (n, 1), (6.4, 1.0 + 1.8 * n))
        looks = {
            "original": {"color": GREY, "linewidth": 3, "alpha": 0.6},
            "masked": {"color": "black", "marker": ".", "linestyle": "", "markersize": 4},
            "attacked": {"color": COLORS[1], "marker": "x", "linestyle": "", "markersize": 4},
        }
        words = {"original": "original", "masked": "observed", "attacked": "attacked X + R*"}
        panels = {name: values for name, values in self._panels().items() if name != "attack"}
        colors = cycle((COLORS[0], *COLORS[2:]))
        for name, values in panels.items():
            look = looks.get(name) or {"color": next(colors), "linewidth": 1.2}
            label = words.get(name) or f"completed {name}".strip()
            self.lines_[name] = [
                axes.plot(x, row, **{"label": label, **look, **kwargs})[0]
                for axes, row in zip(self.axes_[:, 0], values, strict=True)
            ]
        for axes, name in zip(self.axes_[:, 0], self.names, strict=True):
            axes.set_title(name, fontsize=SMALL + 1)
            axes.set_ylabel(ylabel)
            axes.grid(alpha=0.3)
        self.axes_[-1, 0].set_xlabel(xlabel)
        self.axes_[0, 0].legend(fontsize=SMALL, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _chosen(samples: Sequence[int] | int | None, n: int) -> Array:
    """The rows to show."""
    rows = np.arange(min(n, 5)) if samples is None else np.atleast_1d(samples)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or len(rows) == 0 or not np.isin(rows, np.arange(n)).all():
        raise ValueError(f"samples={samples!r} must be rows of X, from 0 to {n - 1}")
    return rows


def _same_rows(X_true: MatrixLike, shape: tuple[int, int], rows: Array) -> Array:
    truth = numbers("X_true", X_true, 2)
    if truth.shape != shape:
        raise ValueError(f"X_true has shape {truth.shape}, X has {shape}: they must agree")
    return truth[rows]


def _first_attack(models: Mapping[str, Any], X: MatrixLike, mask: Array | None) -> Array | None:
    """The perturbation by the first model that has an adversary."""
    for model in models.values():
        if hasattr(model, "perturbation") and (R := model.perturbation(X, mask=mask)).any():
            return R
    return None


def _with_alpha(picture: Array) -> Array:
    """Colours within 0 and 1, transparent where they are missing."""
    there = ~np.isnan(picture).any(axis=2, keepdims=True)
    return np.concatenate([np.clip(np.where(there, picture, 0), 0, 1), there], axis=2)
