"""`cv_results_` of a search, and the choice of the best candidate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from .trials import Trial

Array = np.ndarray
Params = dict[str, object]


def tabulate(
    candidates: Sequence[Params], trials: Sequence[Sequence[Trial]], rounds: Array, error_score: str | float
) -> dict[str, object]:
    """``cv_results_``: a row for each candidate, with the columns of scikit-learn and a few more."""
    table: dict[str, object] = {}
    for name, read in (("fit_time", "seconds"), ("n_iter", "n_iter"), ("test_score", "score")):
        values = np.array([[getattr(trial, read) for trial in candidate] for candidate in trials], float)
        if name == "test_score":
            failed = np.array([[trial.error is not None for trial in candidate] for candidate in trials])
            if failed.any():
                values[failed] = error_score
        if name != "fit_time":
            table |= {f"split{k}_{name}": column for k, column in enumerate(values.T)}
        table |= {f"mean_{name}": values.mean(axis=1), f"std_{name}": values.std(axis=1)}
    table["round"] = rounds
    keys = np.array([_losses(table), -rounds]).T
    table["rank_test_score"] = rankdata(np.unique(keys, axis=0, return_inverse=True)[1].ravel(), method="min")
    names = sorted({name for params in candidates for name in params})
    for name in names:
        column = np.ma.masked_all(len(candidates), object)
        for row, params in enumerate(candidates):
            if name in params:
                column[row] = params[name]
        table[f"param_{name}"] = column
    table["params"] = list(candidates)
    return table


def pick(table: dict[str, object], simplicity: Sequence | None = None, n_splits: int = 1) -> int:
    """The index of the best candidate; given keys of `simplicity`, of the simplest within one standard error of it.

    Standard error of the best: sample deviation of its scores over the splits, over the root of their number.
    """
    best = int(np.argmin(table["rank_test_score"]))
    if simplicity is None:
        return best
    losses = _losses(table)
    # std_test_score divides by the number of splits, not by one less.
    bound = losses[best] + table["std_test_score"][best] / np.sqrt(n_splits - 1)
    good = [c for c, loss in enumerate(losses) if loss <= bound]
    return min(good, key=lambda c: (simplicity[c], losses[c]), default=best)


def default_simplicity(params: Params) -> tuple[float, float]:
    """(sum of the layer sizes, minus the sum of the penalties) of an estimator: smallest for the simplest."""
    by_name = {name.split("__")[-1]: value for name, value in params.items()}
    rank = float(np.sum(by_name.get("n_components", 0)))
    ridge = sum(float(v) for name, v in by_name.items() if name.startswith("alpha_") and not isinstance(v, str))
    return rank, -ridge


def _losses(table: dict[str, object]) -> Array:
    """Minus the mean scores; infinite for NaN."""
    return np.where(np.isnan(table["mean_test_score"]), np.inf, -table["mean_test_score"])
