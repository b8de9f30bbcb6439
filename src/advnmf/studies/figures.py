"""The figures of the studies, drawn from results: one for each protocol of some experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..inspection import CompletionDisplay, ComponentsDisplay, ConvergenceDisplay, SensitivityDisplay
from ..inspection.drawing import label_log_axis, line_styles
from ..io.files import FileError, require
from .experiments import HEAT_MAP
from .folder import load_arrays
from .runs import Result
from .summaries import ExperimentResults, Summary

__all__ = ["DRAWINGS", "Drawing"]

Array = np.ndarray

_FACE = (19, 19)
_LARGEST = 1e100


@dataclass(frozen=True)
class Drawing:
    """A function that draws a figure from an experiment's own results of one protocol and their folder; its caption."""

    draw: Callable[[ExperimentResults, str], Any]
    caption: str


def convergence(own: ExperimentResults, folder: str) -> Any:
    """Objective and errors over the iterations, a panel each; means over the seeds."""
    panels = {"objective": "objective", "train_rmse": "RMSE, observed", "test_rmse": "RMSE, missing"}
    figure = _figure(11, 3.4)
    by_method = {variant.name: _curves(own, variant.name) for variant in own.experiment.variants}
    for ax, (name, words) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for method, curves in by_method.items():
            if curves:
                mean = np.mean([each[name] for each in curves], axis=0)
                display = ConvergenceDisplay({method: mean}, iterations=curves[0]["iteration"], ylabel=words)
                display.plot(ax, relative=name == "objective")
    return figure


def _curves(own: ExperimentResults, method: str) -> list[Mapping[str, list[float]]]:
    """The complete curves of a method that have the same iterations as the first of them."""
    names = ("iteration", "objective", "train_rmse", "test_rmse")
    found = [result.curves for result in own.results if result.method == method]
    lengths = [{len(curves.get(name, ())) for name in names} for curves in found]
    whole = [curves for curves, of_each in zip(found, lengths, strict=True) if len(of_each) == 1 and 0 not in of_each]
    return [curves for curves in whole if curves["iteration"] == whole[0]["iteration"]]


def over_fraction(own: ExperimentResults, folder: str) -> Any:
    """The error over the missing fraction, a line for each delta."""
    lines: dict[str, list[tuple[float, Summary]]] = {}
    for summary, point in _points(own):
        delta = "∞" if point["delta"] == float("inf") else f"{point['delta']:g}"
        lines.setdefault(f"δ = {delta}", []).append((summary.fraction, summary))
    return _lines(lines, "missing fraction")


def over_lambda(own: ExperimentResults, folder: str) -> Any:
    """The error over lambda."""
    return _lines({"AT-NMF": [(point["lam"], summary) for summary, point in _points(own)]}, "λ")


def heat_map(own: ExperimentResults, folder: str) -> Any:
    """The error over lambda and delta; a question mark for what could be run and was not."""
    x, y = HEAT_MAP["lam"], HEAT_MAP["delta"]
    values = np.full((len(y), len(x)), np.nan)
    for summary, point in _points(own):
        values[y.index(point["delta"]), x.index(point["lam"])] = summary.rmse_mean
    figure = _figure(11, 4)
    display = SensitivityDisplay(values, x, y, xlabel="λ", ylabel="δ", label="RMSE of the missing entries")
    ax = display.plot(figure.subplots(), include_values=True).ax_
    for variant in own.experiment.variants:
        at = y.index(variant.changes["delta"]), x.index(variant.changes["lam"])
        if np.isnan(values[at]):
            ax.text(*reversed(at), "?", ha="center", va="center", color="0.5")
    return figure


def parts(own: ExperimentResults, folder: str) -> Any:
    """The components of the first run of each method."""
    results = _first_results(own)
    figure = _figure(5 * len(results), 5)
    for ax, result in zip(figure.subplots(1, len(results), squeeze=False).flat, results, strict=True):
        (components,) = _faces(folder, result, "components")
        ComponentsDisplay(components, image_shape=_FACE).plot(ax, labels=False, title=result.method)
    return figure


def restoration(own: ExperimentResults, folder: str) -> Any:
    """Faces of the first run: original, masked, attacked, and completed by each method."""
    samples = own.experiment.options["samples"]
    n, shown, attack = len(samples), {}, None
    for result in reversed(_first_results(own)):  # original and mask are those of the first
        original, observed, shown[result.method] = _faces(folder, result, "original", "observed", "completed", n=n)
        if "perturbation" in load_arrays(folder, result):
            (attack,) = _faces(folder, result, "perturbation", n=n)
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


#: By experiment.
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
    """A figure outside of pyplot, which needs no window."""
    return require("matplotlib.figure", "plot").Figure(figsize=(width, height), layout="constrained")


def _points(own: ExperimentResults) -> list[tuple[Summary, Mapping[str, Any]]]:
    """The summaries, each with the changes of its variant, in the order of the variants."""
    changes = {variant.name: variant.changes for variant in own.experiment.variants}
    order = list(changes)
    return [(each, changes[each.method]) for each in sorted(own.summaries, key=lambda each: order.index(each.method))]


def _first_results(own: ExperimentResults) -> list[Result]:
    """The result of the lowest seed of each method."""
    by_method = [[each for each in own.results if each.method == variant.name] for variant in own.experiment.variants]
    return [min(results, key=lambda each: each.seed) for results in by_method if results]


def _faces(folder: str, result: Result, *names: str, n: int | None = None) -> list[Array]:
    """Arrays of a result, with a face in each of their ``n`` rows (any number unless given); FileError for others."""
    arrays = load_arrays(folder, result)
    for name in names:
        array = arrays.get(name, np.empty(0))
        right = array.ndim == 2 and array.shape[1] == np.prod(_FACE) and len(array) == (n or len(array)) > 0
        # Squares of what is shown are summed.
        if not right or array.dtype.kind not in "bfiu" or not (np.abs(array.astype(float)) < _LARGEST).all():
            raise FileError(f"the file of arrays {result.arrays} has no {name} of {_FACE[0]} x {_FACE[1]} pixels")
    return [arrays[name] for name in names]


def _lines(lines: Mapping[str, Iterable[tuple[float, Summary]]], xlabel: str) -> Any:
    figure = _figure(6.4, 3.8)
    ax = figure.subplots()
    for (name, points), style in zip(lines.items(), line_styles(), strict=False):
        shown = sorted((point for point in points if point[1].rmse_mean > 0), key=lambda point: point[0])
        places, summaries = [place for place, _ in shown], [summary for _, summary in shown]
        means, spreads = [each.rmse_mean for each in summaries], [each.rmse_std for each in summaries]
        bars = spreads if any(spreads) else None
        ax.errorbar(places, means, bars, label=name, marker="o", markersize=4, capsize=3, **style)
    ax.set(xlabel=xlabel, ylabel="RMSE of the missing entries", yscale="log")
    label_log_axis(ax)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure
