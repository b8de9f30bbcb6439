"""What a search tells: a line for each candidate, `cv_results_`, and the choice of the best."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from .trials import Trial

Array = np.ndarray
Params = dict[str, object]


class Progress:
    """Prints a line for a candidate when all of its splits are done."""

    def __init__(self, trials: list[list[Trial]], candidates: list[Params], alive: Array) -> None:
        self.trials, self.candidates = trials, candidates
        self.numbers = {id(trial): c for c in alive for trial in trials[c]}
        self.left = {c: len(trials[c]) for c in alive}
        self.lock = threading.Lock()

    def __call__(self, trial: Trial) -> None:
        """Count a finished trial; called from several threads."""
        with self.lock:
            c = self.numbers[id(trial)]
            self.left[c] -= 1
            if self.left[c] == 0:
                n_done = sum(left == 0 for left in self.left.values())
                score = np.mean([trial.score for trial in self.trials[c]])
                seconds = sum(trial.seconds for trial in self.trials[c])
                print(
                    f"[CompletionSearchCV] {n_done}/{len(self.left)}: {self.candidates[c]}: score {score:.6g} "
                    f"({seconds:.1f} s)",
                    flush=True,
                )


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
