"""The figures of the studies, drawn from rows: one for each target that has one, and protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..inspection import CompletionDisplay, ComponentsDisplay, ConvergenceDisplay, SensitivityDisplay
from ..inspection.drawing import label_log_axis, line_styles
from ..io.files import FileError, require
from .collecting import Study
from .rows import Row
from .store import load_arrays
from .summaries import Cell
from .targets import HEAT_MAP

__all__ = ["DRAWINGS", "Drawing"]

Array = np.ndarray

_FACE = (19, 19)
_LARGEST = 1e100


@dataclass(frozen=True)
class Drawing:
    """What draws the figure of a study under one protocol, given the folder of its rows; and what is seen there."""

    draw: Callable[[Study, str, str], Any]
    caption: str


def convergence(study: Study, protocol: str, folder: str) -> Any:
    """Objective and errors over the iterations, a panel each; means over the runs."""
    panels = {"objective": "objective", "train_rmse": "RMSE, observed", "test_rmse": "RMSE, missing"}
    figure = _figure(11, 3.4)
    looks = {variant.name: _looks(study, protocol, variant.name) for variant in study.target.variants}
    for ax, (name, words) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for method, curves in looks.items():
            if curves:
                mean = np.mean([each[name] for each in curves], axis=0)
                display = ConvergenceDisplay({method: mean}, iterations=curves[0]["iteration"], ylabel=words)
                display.plot(ax, relative=name == "objective")
    return figure


def _looks(study: Study, protocol: str, method: str) -> list[Mapping[str, list[float]]]:
    """The curves of a method's runs that were looked at as often as its first."""
    names = ("iteration", "objective", "train_rmse", "test_rmse")
    found = [row.curves for row in study.rows_of(protocol, method) if study.target.plans(row)]
    lengths = [{len(curves.get(name, ())) for name in names} for curves in found]
    whole = [curves for curves, of_each in zip(found, lengths, strict=True) if len(of_each) == 1 and 0 not in of_each]
    return [curves for curves in whole if curves["iteration"] == whole[0]["iteration"]]


def over_fraction(study: Study, protocol: str, folder: str) -> Any:
    """The error over the missing fraction, a line for each delta."""
    lines: dict[str, list[tuple[float, Cell]]] = {}
    for cell, point in _of(study, protocol):
        lines.setdefault(f"δ = {_word(point['delta'])}", []).append((cell.fraction, cell))
    return _lines(lines, "missing fraction")


def over_lambda(study: Study, protocol: str, folder: str) -> Any:
    """The error over lambda."""
    return _lines({"AT-NMF": [(point["lam"], cell) for cell, point in _of(study, protocol)]}, "λ")


def heat_map(study: Study, protocol: str, folder: str) -> Any:
    """The error over lambda and delta; a question mark where the adversary is bounded, but nothing has been run."""
    x, y = HEAT_MAP["lam"], HEAT_MAP["delta"]
    values = np.full((len(y), len(x)), np.nan)
    for cell, point in _of(study, protocol):
        values[y.index(point["delta"]), x.index(point["lam"])] = cell.rmse_mean
    figure = _figure(11, 4)
    display = SensitivityDisplay(values, x, y, xlabel="λ", ylabel="δ", label="RMSE of the missing entries")
    ax = display.plot(figure.subplots(), include_values=True).ax_
    for variant in study.target.variants:
        at = y.index(variant.changes["delta"]), x.index(variant.changes["lam"])
        if np.isnan(values[at]):
            ax.text(*reversed(at), "?", ha="center", va="center", color="0.5")
    return figure


def parts(study: Study, protocol: str, folder: str) -> Any:
    """The components of the first run of each method."""
    rows = _first_rows(study, protocol)
    figure = _figure(5 * len(rows), 5)
    for ax, row in zip(figure.subplots(1, len(rows), squeeze=False).flat, rows, strict=True):
        (components,) = _arrays(folder, row, "components")
        ComponentsDisplay(components, image_shape=_FACE).plot(ax, labels=False, title=row.method)
    return figure


def restoration(study: Study, protocol: str, folder: str) -> Any:
    """Faces of the first run: as they were, masked, attacked, and completed by each method."""
    samples = study.target.options["samples"]
    n, shown, attack = len(samples), {}, None
    for row in reversed(_first_rows(study, protocol)):  # the first tells what they have in common
        original, observed, shown[row.method] = _arrays(folder, row, "original", "observed", "completed", n=n)
        if "perturbation" in load_arrays(folder, row):
            (attack,) = _arrays(folder, row, "perturbation", n=n)
    display = CompletionDisplay(
        np.where(observed, original, np.nan),
        dict(reversed(shown.items())),
        original=original,
        perturbation=attack,
        image_shape=_FACE,
        names=[f"face {number}" for number in samples],
    )
    shape = n, 2 + 2 * (attack is not None) + len(shown)
    figure = _figure(1.7 * shape[1], 1.95 * shape[0] + 0.5)
    display.plot(figure.subplots(*shape, squeeze=False))
    return figure


#: By target.
DRAWINGS: Mapping[str, Drawing] = {
    "lambda": Drawing(over_lambda, "Error of the missing entries; bars are deviations over the runs."),
    "fig6": Drawing(convergence, "An attack every 10 iterations. The error of the missing entries steers nothing."),
    "fig7": Drawing(over_fraction, "Error of the missing entries; bars are deviations over the runs."),
    "fig8": Drawing(heat_map, "Blank: the adversary is not bounded there (λ ≤ 1 + 1/δ). ?: not run."),
    "parts": Drawing(parts, "The components of one run, each on its own scale: black is 0, white its largest value."),
    "restoration": Drawing(
        restoration, "Pink pixels are missing. R* is the attack: blue pixels are lowered, red ones raised."
    ),
}


def _figure(width: float, height: float) -> Any:
    """A figure that is shown by nobody and needs no window."""
    return require("matplotlib.figure", "plot").Figure(figsize=(width, height), layout="constrained")


def _of(study: Study, protocol: str) -> list[tuple[Cell, Mapping[str, Any]]]:
    """The cells of a protocol that are the target's own, each with its point, in the order of the methods."""
    points = {variant.name: variant.changes for variant in study.target.variants}
    order = list(points)
    own = (cell for cell in study.cells if cell.protocol == protocol and study.target.plans(cell))
    return [(cell, points[cell.method]) for cell in sorted(own, key=lambda cell: order.index(cell.method))]


def _first_rows(study: Study, protocol: str) -> list[Row]:
    """The row of the lowest seed of each of the target's own methods that has rows."""
    found = (study.rows_of(protocol, variant.name) for variant in study.target.variants)
    own = ([row for row in rows if study.target.plans(row)] for rows in found)
    return [min(rows, key=lambda row: row.run) for rows in own if rows]


def _arrays(folder: str, row: Row, *names: str, n: int | None = None) -> list[Array]:
    """Faces of a row's file, one a row of each array, ``n`` of them if told; FileError where it holds no such."""
    arrays = load_arrays(folder, row)
    for name in names:
        array = arrays.get(name, np.empty(0))
        right = array.ndim == 2 and array.shape[1] == np.prod(_FACE) and len(array) == (n or len(array)) > 0
        # Squares of what is shown are summed.
        if not right or array.dtype.kind not in "bfiu" or not (np.abs(array.astype(float)) < _LARGEST).all():
            raise FileError(f"the file of arrays {row.arrays} has no {name} of {_FACE[0]} x {_FACE[1]} pixels")
    return [arrays[name] for name in names]


def _lines(lines: Mapping[str, Iterable[tuple[float, Cell]]], xlabel: str) -> Any:
    figure = _figure(6.4, 3.8)
    ax = figure.subplots()
    for (name, points), style in zip(lines.items(), line_styles(), strict=False):
        shown = sorted((point for point in points if point[1].rmse_mean > 0), key=lambda point: point[0])
        places, cells = [place for place, _ in shown], [cell for _, cell in shown]
        means, spreads = [cell.rmse_mean for cell in cells], [cell.rmse_std for cell in cells]
        bars = spreads if any(spreads) else None
        ax.errorbar(places, means, bars, label=name, marker="o", markersize=4, capsize=3, **style)
    ax.set(xlabel=xlabel, ylabel="RMSE of the missing entries", yscale="log")
    label_log_axis(ax)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure


def _word(value: Any) -> str:
    return "∞" if value == float("inf") else f"{value:g}"
