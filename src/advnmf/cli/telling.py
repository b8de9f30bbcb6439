"""What `advnmf complete` tells of a table that it has completed: errors of columns, and how simpler methods do."""

from __future__ import annotations

import numpy as np

from .. import AutoImputer, AutoNMF
from ..io.tables import Table
from ..model_selection.auto.blend_search import describe
from ..model_selection.auto.evaluation import Clock
from ..model_selection.auto.yardsticks import HeldOutTable, yardsticks
from .fitting import Fit

Array = np.ndarray

_MOST_COLUMNS = 8
# A yardstick is better if its error is below this share of ours.
_BETTER = 0.98


def column_names(table: Table) -> list[str]:
    """Names of the columns that are completed; "column 3" where there are none."""
    return list(table.names) or [f"column {j + 1}" for j in range(table.values.shape[1])]


def tell_errors(result: Fit, table: Table) -> str:
    """The errors to expect in the columns with holes, in their units; empty if they are not known."""
    model = result.model
    if not isinstance(model, AutoImputer) or np.isnan(model.best_score_):
        return ""
    errors = np.full(table.values.shape[1], np.nan)
    errors[model.completed_] = model.column_errors_
    holes = np.flatnonzero(table.missing.any(axis=0) & ~np.isnan(errors))
    names = column_names(table)
    shown = [f"{names[j]} {errors[j]:.3g}" for j in holes[:_MOST_COLUMNS]]
    more = f" and {len(holes) - _MOST_COLUMNS} more" if len(holes) > _MOST_COLUMNS else ""
    return f"typical errors of filled cells: {', '.join(shown)}{more}" if shown else ""


def tell_yardsticks(result: Fit, seconds: float, seed: int) -> str:
    """How column means, KNN and IterativeImputer do at the held-out entries of a search by `AutoNMF`."""
    entries = result.model.held_out_ if isinstance(result.model, AutoNMF) else None
    if entries is None:
        return ""
    ours = HeldOutTable.of(result.X, entries).error(entries.prediction)
    found = yardsticks(result.X, entries, Clock(seconds), seed)
    return f"errors in standard deviations of a column: {ours:.2f}; {describe(found)}{_better(found, ours)}"


def _better(found: dict[str, float], ours: float) -> str:
    name = min(found, key=lambda each: found[each])
    if found[name] >= _BETTER * ours:
        return ""
    return f"; {name} is better here: {found[name]:.2f} against {ours:.2f} (leave out --model auto)"
