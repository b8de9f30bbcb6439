"""What the measured processes share: the problem they are handed, their memory and score, their one line of JSON.

    python run_NAME.py problem.npz '{"sweeps": 30, "threads": 2, "seed": 0, "parameters": {...}, ...}'

Needs NumPy alone, as each peer runs in an environment of its own.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np

Arrays = dict[str, np.ndarray]


def task() -> tuple[Arrays, dict]:
    """The arrays of the problem, and the settings."""
    with np.load(sys.argv[1], allow_pickle=False) as file:
        return {name: file[name] for name in file.files}, json.loads(sys.argv[2])


class Meter:
    """Seconds and peak memory of what runs within, beyond the imports and data that are there before."""

    def __enter__(self) -> Meter:
        self.before, self.began = _peak_bytes(), time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self.began
        self.bytes = _peak_bytes() - self.before


def _peak_bytes() -> int:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def report(meter: Meter, sweeps: int | None, version: str, **more: object) -> None:
    """Print the result: what was metered, and what a script knows better (`seconds`, `sweep_seconds`) or besides."""
    found = {
        "seconds": meter.seconds,
        "sweep_seconds": meter.seconds / (sweeps or 1),
        "bytes": meter.bytes,
        "score": None,
    }
    say(found, sweeps=sweeps, version=version, **more)


def say(found: dict, **more: object) -> None:
    """Print the one line."""
    print(json.dumps(found | more))


def squared_error(X: np.ndarray, A: np.ndarray, B: np.ndarray) -> float:
    """||X - A B||_F^2 in float64, a block of rows at a time."""
    A, B = A.astype(np.float64), B.astype(np.float64)
    return sum(float(np.sum((X[i : i + 500] - A[i : i + 500] @ B) ** 2)) for i in range(0, len(X), 500))


def hidden_rmse(data: Arrays, prediction: np.ndarray) -> float:
    """Root mean square error at the test pairs of ratings (the prediction of each), or where the mask is false."""
    if "test_values" in data:
        truth = data["test_values"]
    else:
        truth, prediction = data["X"][~data["mask"]], prediction[~data["mask"]]
    return float(np.sqrt(np.mean((prediction.astype(np.float64) - truth) ** 2)))


def hidden_errors(data: Arrays, completed: np.ndarray) -> dict[str, float]:
    """Root mean square and mean absolute error where the mask is false."""
    errors = (completed - data["X"])[~data["mask"]]
    return {"rmse": float(np.sqrt(np.mean(errors**2))), "mae": float(np.mean(np.abs(errors)))}


def training_rows(data: Arrays) -> np.ndarray:
    """The row of each stored entry."""
    return np.repeat(np.arange(len(data["indptr"]) - 1), np.diff(data["indptr"]))
