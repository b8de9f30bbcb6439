"""A search in words: what was chosen, by which measure, and which alternatives there were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .column_scales import LOGGED
from .evaluation import Evaluation, better
from .search_task import SearchTask
from .stages import AutoSearch

Array = np.ndarray


def explain(search: AutoSearch, chosen: Sequence[Evaluation], task: SearchTask, announced: float) -> str:
    """The paragraph.  All its errors are comparable: capped alike, and before predictions are clipped."""
    lines = [f"Of {search.n_tried} candidates in {search.clock.spent:.0f} s, by {_measure(search, task)}:"]
    lines += [_chosen(search, chosen)]
    lines += _lowest(search, chosen[0])
    lines += _expected(task, announced)
    if task.outliers is not None:
        n = len(task.outliers[0])
        lines.append(f"{n} gross outlier{'s were' if n > 1 else ' was'} left out.")
    if search.notes:
        lines.append(f"Tried beside: {'; '.join(search.notes)}.")
    if search.stop_reason != "done":
        lines.append(f"The search was ended early ({search.stop_reason}).")
    return " ".join(lines)


def describe_outliers(outliers: tuple[Array, Array, Array] | None) -> list[str]:
    """One line if gross outliers were left out."""
    if outliers is None:
        return []
    rows, columns, values = outliers
    at = int(np.argmax(values))
    return [
        f"gross outliers among the observed entries of X, nothing is learnt from them: {len(rows)}, the largest "
        f"{values[at]:g} at row {rows[at]}, column {columns[at]}"
    ]


def _expected(task: SearchTask, announced: float) -> list[str]:
    """How entries were held out, and the error that is expected where entries are missing."""
    told = [task.holdout.describe()]
    if task.holdout.not_imitated:
        return [*told, f"No error can be stated, as nothing observed stands for {task.holdout.not_imitated}."]
    return [*told, f"The error that is expected over the missing entries is {announced:.4g}, in the unit of X."]


def _measure(search: AutoSearch, task: SearchTask) -> str:
    """The error measure and its unit."""
    own = task.scaling is not None
    unit = "standard deviations of each column, which is centred and scaled" if own else "the unit of X"
    if own and task.scaling[LOGGED].any():
        n = np.count_nonzero(task.scaling[LOGGED])
        unit += f", {n} skewed column{'s' if n > 1 else ''} by logarithm{'s' if n > 1 else ''}"
    text = f"the root mean square error over {len(search.held_out.truth)} held-out entries (in {unit}"
    if np.isfinite(search.held_out.cap):
        text += f"; some values are outliers, so no error counts for more than {search.held_out.cap**0.5:.3g}"
    return text + ")"


def _chosen(search: AutoSearch, chosen: Sequence[Evaluation]) -> str:
    single, means = chosen[0], np.sqrt(search.means.error)
    if single.candidate.rank == 0:
        return f"the column means, error {means:.4g}: no model was clearly better."
    error = search.held_out.rmse(np.mean([found.prediction for found in chosen], axis=0))
    of_single = f"{single.candidate.describe()}, error {np.sqrt(single.error):.4g}"
    text = of_single if len(chosen) == 1 else f"the mean of {len(chosen)} models, error {error:.4g} (best: {of_single})"
    return f"{text}; column means: {means:.4g}."


def _lowest(search: AutoSearch, single: Evaluation) -> list[str]:
    """The lowest error of a candidate, if that is not the chosen one."""
    lowest = min(search.found.values(), key=lambda found: found.error)
    if single.candidate.rank == 0 or not lowest.error < single.error:
        return []
    text = f"The lowest error of a single model was {np.sqrt(lowest.error):.4g} ({lowest.candidate.describe()})"
    if better(search.held_out, lowest.errors, single.errors):
        return [f"{text}."]
    return [f"{text}, which is no more than a standard error lower."]
