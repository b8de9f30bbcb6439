"""The page of `advnmf complete --report`: what is missing, how far off filled cells are, and which are least sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath
from typing import Any

import numpy as np

from .. import AutoImputer
from ..inspection.drawing import COLORS, GREY
from ..inspection.pages import embedded, render_page
from ..io.files import require, write_bytes
from ..io.tables import Table
from .fitting import Fit

Array = np.ndarray

_N_CELLS = 20
_MOST_DOTS = 4000
# Rows and columns of the map at most; a pixel then stands for several cells.
_MOST_ROWS, _MOST_COLUMNS = 400, 200
# Names of columns below the map; more than the second stand on end.
_MOST_NAMES, _MOST_UPRIGHT = 40, 6


@dataclass(frozen=True)
class PagePicture:
    """A figure within the page."""

    title: str
    caption: str
    address: str


def write_page(
    path: str, table: Table, names: Sequence[str], result: Fit, lines: Sequence[str], *, overwrite: bool
) -> None:
    """Write the page of a completed table; `lines` are what the command has told."""
    page = render_page(
        resources.files(__package__).joinpath("table_page.html").read_text(encoding="utf-8"),
        name=PurePath(table.path).name,
        lines=lines,
        map=_map(table.missing, names),
        scatter=_scatter(result),
        column_heads=["column", "missing", "mean", "standard deviation", "typical error", "in standard deviations"],
        columns=_columns(table, names, result),
        candidates=_candidates(result.model),
        cells=_cells(table, names, result),
    )
    write_bytes(path, page.encode(), overwrite=overwrite)


def _map(missing: Array, names: Sequence[str]) -> PagePicture:
    """Rows downwards, columns to the right; dark where cells are missing."""
    share = _shrunk(missing.astype(float))
    figure = _figure(8, 4.5)
    ax = figure.subplots()
    ax.imshow(share, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest", extent=_extent(missing))
    ax.set_ylabel("row")
    if len(names) <= _MOST_NAMES:
        angle = 90 if len(names) > _MOST_UPRIGHT else 0
        ax.set_xticks(np.arange(len(names)) + 0.5, [_short(name) for name in names], rotation=angle)
    else:
        ax.set_xlabel("column")
    caption = f"Dark cells are missing: {np.count_nonzero(missing)} of {missing.size}."
    return PagePicture("missing cells", caption, embedded(figure))


def _shrunk(values: Array) -> Array:
    """Means over stretches of rows and columns, where there are too many to be drawn."""
    for axis, most in ((0, _MOST_ROWS), (1, _MOST_COLUMNS)):
        n = values.shape[axis]
        if n > most:
            starts = np.unique(np.linspace(0, n, most, endpoint=False).astype(int))
            sizes = np.diff(np.append(starts, n))
            values = np.add.reduceat(values, starts, axis) / (sizes[:, None] if axis == 0 else sizes)
    return values


def _extent(missing: Array) -> tuple[float, float, float, float]:
    return 0.0, float(missing.shape[1]), missing.shape[0] + 0.5, 0.5


def _scatter(result: Fit) -> PagePicture | None:
    """Predictions of held-out cells over their true values, in standard deviations of the column."""
    entries = result.model.held_out_
    if entries is None:
        return None
    mean, std = _moments(result.X)
    at = np.random.default_rng(0).permutation(len(entries.truth))[:_MOST_DOTS]
    columns = entries.columns[at]
    truth, predicted = ((each[at] - mean[columns]) / std[columns] for each in (entries.truth, entries.prediction))
    figure = _figure(5.5, 5)
    ax = figure.subplots()
    ends = [min(truth.min(), predicted.min()), max(truth.max(), predicted.max())]
    ax.plot(ends, ends, color=GREY, linewidth=1)
    ax.plot(truth, predicted, ".", color=COLORS[0], alpha=0.5, markersize=4)
    ax.set(xlabel="true value", ylabel="prediction")
    caption = "Held-out cells, in standard deviations of their column from its mean; right predictions lie on the line."
    return PagePicture("held-out cells", caption, embedded(figure))


def _columns(table: Table, names: Sequence[str], result: Fit) -> list[list[str]]:
    mean, std = _moments(result.X)
    errors = _errors(result)
    n_missing = table.missing.sum(axis=0)
    return [
        [
            _short(name),
            f"{n} ({n / len(table.missing):.0%})",
            *(f"{scale * each:.4g}" for each in (m, s)),
            *(("", "") if np.isnan(error) else (f"{scale * error:.3g}", f"{error / s:.2f}")),
        ]
        for name, n, scale, m, s, error in zip(names, n_missing, _scales(result), mean, std, errors, strict=True)
    ]


def _errors(result: Fit) -> Array:
    """Root mean square error of the held-out cells of each column, in the unit of the fit."""
    entries, n = result.model.held_out_, result.X.shape[1]
    if entries is None:
        return np.full(n, np.nan)
    sums = np.bincount(entries.columns, np.square(entries.truth - entries.prediction), n)
    counts = np.bincount(entries.columns, minlength=n)
    return np.sqrt(np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0))


def _candidates(model: Any) -> list[list[str]]:
    if not isinstance(model, AutoImputer):
        return []
    ranking = sorted(model.scores_.items(), key=lambda each: each[1])
    rows = [[name, f"{error:.3f}", f"{model.weights_.get(name, 0.0):.2f}"] for name, error in ranking]
    return rows if np.isnan(model.best_score_) else [["the blend", f"{-model.best_score_:.3f}", ""], *rows]


def _cells(table: Table, names: Sequence[str], result: Fit) -> list[list[str]]:
    """The filled cells with the largest standard deviations in those of their column."""
    if result.model.held_out_ is None:
        return []
    std = result.std()
    relative = np.where(table.missing, std / (_moments(result.X)[1] * _scales(result)), 0.0)
    order = np.argsort(-np.nan_to_num(relative), axis=None, kind="stable")[:_N_CELLS]
    places = zip(*np.unravel_index(order, relative.shape), strict=True)
    return [
        [table.place(i, j), _short(names[j]), f"{result.values[i, j]:.4g}", f"{std[i, j]:.3g}"]
        for i, j in places
        if relative[i, j] > 0
    ]


def _moments(X: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each column; 0 and 1 where there are none."""
    there = ~np.isnan(X)
    counts = np.maximum(there.sum(axis=0), 1)
    mean = np.sum(X, axis=0, where=there) / counts
    std = np.sqrt(np.sum(np.square(X - mean), axis=0, where=there) / counts)
    return mean, np.where(std > 0, std, 1.0)


def _scales(result: Fit) -> Array:
    """What the fit was divided by, for each column."""
    return np.broadcast_to(result.scale, (1, result.X.shape[1]))[0]


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _figure(width: float, height: float) -> Any:
    return require("matplotlib.figure", "plot").Figure(figsize=(width, height), layout="constrained")
