"""Our side: the shortest whole fit that reaches the target, or a given number of sweeps."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
from harness import Meter, hidden_rmse, report, squared_error, task
from scipy import sparse

import advnmf

data, settings = task()
target, LIMIT = settings["target"], settings["limit"]


class Clock:
    """A callback that keeps the time of every sweep, and ends the fit at a given objective."""

    def __init__(self, goal: float = -np.inf) -> None:
        self.goal, self.times = goal, []

    def __call__(self, progress) -> bool:
        self.times.append(time.perf_counter())
        return progress.objective <= self.goal


def training_data(rows: slice) -> tuple[object, dict]:
    """Some rows of X, and what else `fit` is given with them."""
    if "indptr" in data:
        parts = data["values"], data["indices"], data["indptr"]
        return sparse.csr_array(parts, shape=tuple(data["shape"]))[rows], {}
    X = data["X"][rows].astype(np.float32, copy=False)
    if "mask" in data:
        return X, {"mask": data["mask"][rows]}
    return X, {"factors": [data["W"][rows], data["H"]]}


def fit(sweeps: int, clock: Clock, rows: slice = slice(None)) -> tuple[advnmf.NMF, float]:
    """A model after so many sweeps, and the seconds that it took."""
    X, more = inputs if rows == slice(None) else training_data(rows)
    model = getattr(advnmf, settings["model"])(
        **settings["parameters"], max_iter=sweeps, tol=0, random_state=settings["seed"], callback=clock
    )
    began = time.perf_counter()
    model.fit(X, **more)
    return model, time.perf_counter() - began


def score(model: advnmf.NMF) -> float:
    """What the target speaks of."""
    if "W" in data:
        return squared_error(data["X"], model.factors_[0], model.components_)
    if "test_values" in data:
        return hidden_rmse(data, model.predict_pairs(data["test_rows"], data["test_columns"]))
    return hidden_rmse(data, model.reconstruct())


def shortest(reaches: Callable[[int], bool]) -> int | None:
    """The least number of sweeps that reaches the target, by steps of a quarter and bisection."""
    low, high = 0, 1
    while not reaches(high):
        if high == LIMIT:
            return None
        low, high = high, min(LIMIT, high + 1 + high // 4)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def sweeps_needed() -> tuple[int | None, float | None]:
    """How many sweeps reach the target (None: it was not reached), and the best score seen."""
    if target is None:
        return settings["sweeps"], None
    if "W" in data:  # the objective, which a callback knows
        curve = fit(LIMIT, Clock(target))[0].loss_curve_
        reached = np.flatnonzero(curve <= target)
        return (int(reached[0]), float(curve[reached[0]])) if len(reached) else (None, float(curve[-1]))
    scores = {}

    def reaches(sweeps: int) -> bool:
        scores[sweeps] = score(fit(sweeps, Clock())[0])
        return scores[sweeps] <= target

    sweeps = shortest(reaches)
    return sweeps, scores[sweeps] if sweeps else min(scores.values())


def sweep_seconds(times: list[float]) -> float:
    """Median time between sweeps, of a fit of its own if this one was too short; the last call follows no sweep."""
    if len(times) < 5:
        clock = Clock()
        fit(10, clock)
        times = clock.times
    return float(np.median(np.diff(times[:-1])))


warnings.simplefilter("ignore")
inputs = training_data(slice(None))
fit(2, Clock(), slice(64))  # loads the compiled kernels
clock = Clock()
with Meter() as meter:
    sweeps, best = sweeps_needed()
    model, seconds = fit(sweeps or 10, clock)
report(
    meter,
    sweeps,
    advnmf.__version__,
    seconds=seconds if sweeps else None,
    sweep_seconds=sweep_seconds(clock.times),
    score=score(model) if target is not None and sweeps else best,
)
