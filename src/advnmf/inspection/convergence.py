"""ConvergenceDisplay: the objective, or any other number, over the iterations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from .drawing import SMALL, check_named, fitted_model, label_log_axis, line_styles, new_axes, numbers, ticks


class ConvergenceDisplay:
    """Curves over the iterations of fits.

    Parameters
    ----------
    curves : mapping of str to array-like of shape (n,)
        Name and values of each.
    iterations : array-like of shape (n,), optional
        Iterations that the values belong to, common to all curves; 0, 1, 2, ... unless given.
    ylabel : str, default="objective"
        What the values are, with their unit.

    Attributes
    ----------
    ax_, figure_
        Axes and figure of the last `plot`.
    lines_ : list of matplotlib lines
        One a curve.

    Examples
    --------
    >>> from advnmf import NMF, ConvergenceDisplay
    >>> models = {f"rank {r}": NMF(r, random_state=0).fit(X) for r in (2, 5)}  # doctest: +SKIP
    >>> ConvergenceDisplay.from_estimators(models)  # doctest: +SKIP
    """

    def __init__(self, curves: Mapping[str, object], *, iterations: object = None, ylabel: str = "objective") -> None:
        check_named("curves", curves)
        self.curves = {name: numbers(f"curves[{name!r}]", values, 1) for name, values in curves.items()}
        self.iterations = iterations
        self.ylabel = ylabel
        for name in self.curves:
            self._positions(name)

    @classmethod
    def from_estimator(cls, estimator: object, *, name: str | None = None, ax: Any = None, **kwargs: Any) -> Self:
        """Plot the `loss_curve_` of a fitted model, under its class's name unless `name` is given.

        `ax` and further arguments are those of `plot`.  Call it again with ``ax=display.ax_`` to compare.
        """
        return cls.from_estimators({name or type(estimator).__name__: estimator}, ax=ax, **kwargs)

    @classmethod
    def from_estimators(cls, estimators: Mapping[str, object], *, ax: Any = None, **kwargs: Any) -> Self:
        """Plot the `loss_curve_` of several fitted models, by name."""
        check_named("estimators", estimators)
        curves = {name: fitted_model(each, "loss_curve_").loss_curve_ for name, each in estimators.items()}
        return cls(curves).plot(ax, **kwargs)

    def plot(
        self, ax: Any = None, *, relative: bool = False, scale: str = "log", title: str = "", **kwargs: Any
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where; a new figure unless given.
        relative : bool, default=False
            Divide each curve by its last value: losses of different kinds have different units.
        scale : {"log", "linear"}, default="log"
            Of the vertical axis; "log" becomes "linear" where a value is not positive.
        title : str, default=""
            Title of the axes.
        **kwargs
            For ``Axes.plot``, such as ``linewidth=2``.
        """
        values = {name: self._relative(name) if relative else curve for name, curve in self.curves.items()}
        ax = new_axes(ax, (5.6, 3.6))
        # Lines of earlier calls with the same axes have the first styles.
        styles = line_styles()
        for _ in ax.get_lines():
            next(styles)
        self.lines_ = [
            ax.plot(self._positions(name), values[name], **{"label": name, **next(styles), **kwargs})[0]
            for name in values
        ]
        if scale == "log" and not all((line.get_ydata() > 0).all() for line in ax.get_lines()):
            scale = "linear"
        ax.set(yscale=scale, xlabel="iteration", ylabel=f"{self.ylabel} / last value" if relative else self.ylabel)
        if scale == "log":
            label_log_axis(ax)
        if title:
            ax.set_title(title)
        ax.grid(alpha=0.3)
        ax.legend(fontsize=SMALL)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _positions(self, name: str) -> np.ndarray:
        return ticks(self.iterations, len(self.curves[name]), "iterations")

    def _relative(self, name: str) -> np.ndarray:
        last = self.curves[name][-1]
        if last == 0:
            raise ValueError(f"the last value of {name!r} is 0: it cannot be drawn with relative=True")
        return self.curves[name] / last
