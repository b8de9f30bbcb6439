"""Our side of `completion.py`: everything is chosen by `AutoNMF`."""

from __future__ import annotations

import time
import warnings

import numpy as np
from harness import hidden_errors, say, task

import advnmf

QUANTILE = 1.645  # a normal error is smaller, in units of its deviation, 9 times out of 10

data, settings = task()
warnings.simplefilter("ignore")
tiny = np.random.default_rng(0).random((60, 40))
advnmf.AutoNMF(max_candidates=30, random_state=0).fit(tiny, mask=tiny < 0.7)  # loads the compiled kernels

X = np.where(data["mask"], data["X"], np.nan)
began, began_cpu = time.perf_counter(), time.process_time()
model = advnmf.AutoNMF(time_limit=settings["time_limit"], random_state=settings["seed"]).fit(X)
completed, deviation = model.complete(X, return_std=True)
seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu

missing = ~data["mask"]
within = np.abs(completed - data["X"])[missing] <= QUANTILE * deviation[missing]
say(
    hidden_errors(data, completed),
    coverage=float(within.mean()),
    seconds=seconds,
    cpu_seconds=cpu_seconds,
    candidates=len(model.candidates_),
    stop_reason=model.stop_reason_,
    n_components=model.n_components_,
    explanation=model.explain(),
    held_out_rmse=-model.best_score_,
    time_limit=settings["time_limit"],
    version=advnmf.__version__,
)
