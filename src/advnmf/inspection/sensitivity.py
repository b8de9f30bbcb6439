"""SensitivityDisplay: a score over a grid of two parameters."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np

from ..data.check import check_choice
from ..io.files import require
from .drawing import SMALL, check_named, label_log_axis, new_axes, numbers

Array = np.ndarray

# Most cells of a map whose values are written into them.
_MOST_TEXTS = 120


class SensitivityDisplay:
    """Heat map over a grid of two parameters, with the best cell marked; cells are evenly spaced and show their values.

    Parameters
    ----------
    values : array-like of shape (len(y), len(x))
        One a cell; NaN where there is none.
    x, y : sequences
        Values of the parameters, of any kind.
    xlabel, ylabel : str
        Names of the parameters.
    label : str, default="RMSE"
        What the values are, with their unit.
    best : {"min", "max"}, default="min"
        Which value is best.

    Attributes
    ----------
    best_ : tuple (x, y, value)
        The best cell.
    ax_, figure_
        Axes and figure of the last `plot`.
    image_ : matplotlib image
        The heat map.
    texts_ : list of matplotlib texts
        Numbers in the cells, row by row; empty without.
    marker_ : matplotlib patch
        Frame of the best cell.
    """

    def __init__(
        self,
        values: object,
        x: Sequence[object],
        y: Sequence[object],
        *,
        xlabel: str = "x",
        ylabel: str = "y",
        label: str = "RMSE",
        best: str = "min",
    ) -> None:
        check_choice("best", best, ("min", "max"))
        self.values, self.x, self.y = numbers("values", values, 2), list(x), list(y)
        if self.values.shape != (len(self.y), len(self.x)):
            raise ValueError(
                f"values has shape {self.values.shape}, but y and x make a grid of {len(self.y)} x {len(self.x)}"
            )
        if not np.isfinite(self.values).any():
            raise ValueError("values has no finite entry: there is nothing to show")
        self.xlabel, self.ylabel, self.label, self.best = xlabel, ylabel, label, best
        finite = np.where(np.isfinite(self.values), self.values, np.nan)
        at = np.nanargmin(finite) if best == "min" else np.nanargmax(finite)
        self._best = divmod(int(at), len(self.x))
        self.best_ = self.x[self._best[1]], self.y[self._best[0]], float(self.values[self._best])

    @classmethod
    def from_grid(
        cls, values: object, x: Sequence[object], y: Sequence[object], *, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Plot values over a grid; keyword arguments of the class and of `plot`."""
        own = {name: kwargs.pop(name) for name in ("xlabel", "ylabel", "label", "best") if name in kwargs}
        return cls(values, x, y, **own).plot(ax, **kwargs)

    @classmethod
    def from_search(
        cls,
        search: object,
        param_x: str,
        param_y: str,
        *,
        score: str = "mean_test_score",
        negated: bool = False,
        label: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the scores of a search over two of its parameters.

        Parameters
        ----------
        search : fitted search of scikit-learn, or its `cv_results_`
            Where other parameters vary too, the best of them counts.
        param_x, param_y : str
            Names of the parameters, as in the grid that was searched.
        score : str, default="mean_test_score"
            Which column of `cv_results_`; larger is better.
        negated : bool, default=False
            Whether the scores are errors with a minus sign, as from `score` of the models or
            ``"neg_root_mean_squared_error"``: the errors are shown, and the smallest is best.
        label : str, optional
            What the values are; `score` unless given.
        ax, **kwargs
            See `plot`.
        """
        results = getattr(search, "cv_results_", search)
        check_named("search", results)
        xs, ys, scores = (_column(results, name) for name in (f"param_{param_x}", f"param_{param_y}", score))
        x, y = _sorted_values(xs), _sorted_values(ys)
        values = np.full((len(y), len(x)), np.nan)
        for at_x, at_y, value in zip(xs, ys, scores, strict=True):
            cell = y.index(at_y), x.index(at_x)
            values[cell] = np.fmax(values[cell], value)
        return cls.from_grid(
            -values if negated else values,
            x,
            y,
            xlabel=param_x.rpartition("__")[2],
            ylabel=param_y.rpartition("__")[2],
            label=label or (f"-{score}" if negated else score),
            best="min" if negated else "max",
            ax=ax,
            **kwargs,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        include_values: bool | None = None,
        values_format: str = "#.3g",
        title: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where; a new figure unless given.
        include_values : bool, optional
            Whether cells bear their numbers; in grids of at most 120 cells unless said.
        values_format : str, default="#.3g"
            Of these numbers.
        title : str, optional
            Title of the axes; which cell is best unless given.
        **kwargs
            For ``Axes.imshow``, such as ``cmap="magma"`` or ``vmax=1.0``.
        """
        n_rows, n_columns = self.values.shape
        ax = new_axes(ax, (float(np.clip(1.6 + 0.55 * n_columns, 3.6, 12)), float(np.clip(1.2 + 0.4 * n_rows, 2.6, 9))))
        shown = np.ma.masked_invalid(self.values)
        self.image_ = ax.imshow(shown, **{"cmap": "cividis", "aspect": "auto", "origin": "lower", **kwargs})
        ax.set_xticks(range(n_columns), [_name(v) for v in self.x], rotation=45 if n_columns > 8 else 0)
        ax.set_yticks(range(n_rows), [_name(v) for v in self.y])
        ax.set(xlabel=self.xlabel, ylabel=self.ylabel)
        ax.set_title(self._best_text() if title is None else title, fontsize="medium")
        bar = ax.figure.colorbar(self.image_, ax=ax, label=self.label)
        if bar.ax.get_yscale() == "log":
            label_log_axis(bar.ax)
        if include_values is None:
            include_values = self.values.size <= _MOST_TEXTS
        self.texts_ = self._write_values(ax, shown, values_format) if include_values else []
        self.marker_ = self._mark_best(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _write_values(self, ax: Any, shown: Array, values_format: str) -> list[Any]:
        texts = []
        for (row, column), value in np.ma.ndenumerate(shown):
            dark = np.mean(self.image_.cmap(self.image_.norm(value))[:3]) < 0.5
            color = "white" if dark else "black"
            text = format(value, values_format).removesuffix(".")
            texts.append(ax.text(column, row, text, ha="center", va="center", color=color, fontsize=SMALL - 1))
        return texts

    def _mark_best(self, ax: Any) -> Any:
        row, column = self._best
        # A hue that is not in the colour map.
        frame = {"fill": False, "edgecolor": "#D55E00", "linewidth": 2.5, "zorder": 3}
        return ax.add_patch(require("matplotlib.patches", "plot").Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))

    def _best_text(self) -> str:
        x, y, value = self.best_
        return f"best: {value:.3g} at {self.xlabel} = {_name(x)}, {self.ylabel} = {_name(y)}"


def _column(results: Any, name: str) -> list[object]:
    if name not in results:
        known = sorted(key.removeprefix("param_") for key in results if key.startswith(("param_", "mean_test", "rank")))
        raise ValueError(f"{name.removeprefix('param_')!r} is not in cv_results_, which has {', '.join(known)}")
    return [None if value is np.ma.masked else value for value in results[name]]


def _sorted_values(values: list[object]) -> list[object]:
    """Distinct values, sorted if they can be, else as they come."""
    distinct = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    try:
        return sorted(distinct)
    except TypeError:
        return distinct


def _name(value: object) -> str:
    """A parameter's value in few letters."""
    if isinstance(value, Real) and not isinstance(value, bool):
        return "∞" if value == np.inf else f"{value:g}"
    return str(value)
