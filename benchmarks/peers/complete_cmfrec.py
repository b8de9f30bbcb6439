"""cmfrec's side of `completion.py`: a search by held-out entries, then a fit to all observed ones.

The first half of the trials is drawn from the whole space, the second around the best one so far.  As its
documentation advises, data are not centred for nonnegative factors, and coordinate descent takes more steps than there
are factors.
"""

from __future__ import annotations

import time
import warnings
from importlib.metadata import version

import numpy as np
from harness import hidden_errors, say, task
from quick_cmfrec import cmfrec

# Ridges are for each entry, of data whose root mean square is 1.
RIDGES, SWEEPS, MOST_COMPONENTS = (1e-6, 0.3), (10, 300), 100
MOST_SWEEPS = 500
# A fit has to make do with so many operations, or 5 sweeps: 5 to 8 seconds of one core.
OPERATIONS = 1.5e10


def log_uniform(low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def anywhere() -> dict:
    """A trial from the whole space; ranks up to twice as many numbers as there are entries."""
    most = int(np.clip(2 * mask.sum() / sum(mask.shape), 8, MOST_COMPONENTS))
    flags = ("nonneg", "scale_lam", "user_bias", "item_bias", "center", "use_cg")
    chosen = {flag: bool(rng.integers(2)) for flag in flags}
    chosen |= {"k": round(log_uniform(1, most)), "ridge": log_uniform(*RIDGES), "sweeps": round(log_uniform(*SWEEPS))}
    return chosen | {"center": chosen["center"] and not chosen["nonneg"]}


def near(best: dict) -> dict:
    """A trial with rank, ridge and sweeps not far from those of the best, and the same flags but for one in six."""
    flags = {name: flag for name, flag in anywhere().items() if isinstance(flag, bool) and rng.random() < 1 / 6}
    moved = best | flags
    return moved | {
        "center": moved["center"] and not moved["nonneg"],
        "k": int(np.clip(round(best["k"] * log_uniform(0.6, 1.6)), 1, MOST_COMPONENTS)),
        "ridge": best["ridge"] * log_uniform(0.1, 10),
        "sweeps": min(MOST_SWEEPS, round(best["sweeps"] * log_uniform(0.6, 2))),
    }


def operations(n_entries: int, trial: dict) -> int:
    """Of a sweep over E entries, as measured: E (400 + K^2); E (400 + K min(K, 36)) by conjugate gradients."""
    k = trial["k"]
    return n_entries * (400 + k * (min(k, 36) if trial["use_cg"] and not trial["nonneg"] else k))


def complete(observed: np.ndarray, trial: dict) -> np.ndarray:
    """The whole matrix from these entries."""
    n_entries, (n, m) = int(observed.sum()), observed.shape
    affordable = max(5, int(OPERATIONS / operations(n_entries, trial)))
    # Without scale_lam the ridge counts once a row, whatever is observed of it.
    per_row = 1 if trial["scale_lam"] else n_entries / np.sqrt(n * m)
    model = cmfrec.CMF(
        lambda_=trial["ridge"] * per_row,
        niter=min(trial["sweeps"], affordable),
        max_cd_steps=max(100, 2 * trial["k"]),
        precompute_for_predictions=False,
        verbose=False,
        nthreads=settings["threads"],
        random_state=settings["seed"] + 1,
        **{name: value for name, value in trial.items() if name not in ("ridge", "sweeps")},
    )
    model.fit(np.where(observed, X, np.nan))
    completed = model.A_ @ model.B_.T + model.glob_mean_
    if trial["user_bias"]:
        completed += model.user_bias_[:, None]
    if trial["item_bias"]:
        completed += model.item_bias_
    return np.nan_to_num(completed, nan=X[observed].mean())


def clipped(completed: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Within the range of what was observed."""
    return np.clip(completed, X[observed].min(), X[observed].max())


def held_out_rmse(trial: dict) -> tuple[float, bool]:
    """Over the held-out entries of all folds; clipped (and whether) if that lowers it."""
    as_is, within = [], []
    for fold in data["folds"]:
        completed = complete(mask & ~fold, trial)
        as_is.append((completed - X)[fold])
        within.append((clipped(completed, mask & ~fold) - X)[fold])
    return min((rms(np.concatenate(errors)), clip) for errors, clip in ((as_is, False), (within, True)))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


data, settings = task()
warnings.simplefilter("ignore")
mask, rng = data["mask"], np.random.default_rng(settings["seed"])
unit = rms(data["X"][mask])
X = data["X"] / unit

began, began_cpu = time.perf_counter(), time.process_time()
tried: list[tuple[float, bool, dict]] = []
while len(tried) < settings["trials"]:
    first_half = 2 * len(tried) < settings["trials"]
    trial = anywhere() if first_half else near(min(tried, key=lambda each: each[0])[2])
    tried.append((*held_out_rmse(trial), trial))
lowest, clip, best = min(tried, key=lambda each: each[0])
completed = complete(mask, best)
completed = unit * (clipped(completed, mask) if clip else completed)
seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
say(
    hidden_errors(data, completed),
    seconds=seconds,
    cpu_seconds=cpu_seconds,
    candidates=len(tried),
    chosen=best | {"clip": clip},
    held_out_rmse=lowest * unit,
    version=version("cmfrec"),
)
