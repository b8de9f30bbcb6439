"""Error of imputers on tables whose columns have different units: a tenth of the cells hidden, per column.

    error = mean over columns of  sqrt(mean over hidden cells of (filled - true)^2) / standard deviation of the column

Tables are those of scikit-learn, and the text files of the command line.  Every result is a line of the file of
``--results``, where a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from sklearn import datasets as sklearn_datasets
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from advnmf import AutoImputer, AutoNMF
from advnmf.io.tables import read_table

Array = np.ndarray
Fill = Callable[[Array, int, float], Array]

_HIDDEN, _FEWEST = 0.1, 5
_OURS = "AutoImputer"
_CMFREC = """
import sys
import numpy as np
from cmfrec import CMF
X = np.load(sys.argv[1])
mean, std = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
std[std == 0] = 1
model = CMF(k=min(10, *X.shape), verbose=False).fit((X - mean) / std)
np.save(sys.argv[2], model.transform(X=(X - mean) / std) * std + mean)
"""


def tables(paths: Iterable[str], most_rows: int) -> Iterator[tuple[str, Array]]:
    """Name and numbers of each table; long ones are cut to rows at random."""
    found = {name: getattr(sklearn_datasets, f"load_{name}")().data for name in ("wine", "breast_cancer", "diabetes")}
    found |= {Path(path).stem: read_table(path).values.astype(np.float64) for path in paths}
    for name, X in found.items():
        if len(X) > most_rows:
            X = X[np.sort(np.random.default_rng(0).choice(len(X), most_rows, replace=False))]
        with np.errstate(invalid="ignore"):
            varied = np.nanmax(X, axis=0) > np.nanmin(X, axis=0)
        yield name, X[:, varied]


def hide(X: Array, seed: int) -> tuple[Array, Array]:
    """X without a tenth of its cells, and flags of these; no row or column is emptied."""
    rng = np.random.default_rng(seed)
    hidden = (rng.random(X.shape) < _HIDDEN) & ~np.isnan(X)
    for axis in (0, 1):
        left = (~np.isnan(X) & ~hidden).sum(axis=axis, keepdims=True)
        hidden &= left >= (_FEWEST if axis == 0 else 1)
    return np.where(hidden, np.nan, X), hidden


def error(truth: Array, filled: Array, hidden: Array) -> float:
    """Mean over columns of the root mean square error in standard deviations."""
    columns = hidden.any(axis=0)
    squares = np.where(hidden, np.square(filled - truth), 0.0).sum(axis=0)[columns] / hidden.sum(axis=0)[columns]
    return float(np.mean(np.sqrt(squares) / np.nanstd(truth, axis=0)[columns]))


def _scaled(imputer: object) -> Fill:
    def fill(X: Array, seed: int, limit: float) -> Array:
        pipeline = make_pipeline(StandardScaler(), imputer)
        return pipeline[0].inverse_transform(pipeline.fit_transform(X))

    return fill


def _raw(imputer: object) -> Fill:
    return lambda X, seed, limit: imputer.fit_transform(X)


def _forest(X: Array, seed: int, limit: float) -> Array:
    forest = RandomForestRegressor(50, max_features=0.33, min_samples_leaf=2, random_state=seed)
    return IterativeImputer(forest, max_iter=5, random_state=seed).fit_transform(X)


def _cmfrec(X: Array, seed: int, limit: float) -> Array:
    python = os.environ["CMFREC_PYTHON"]
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("in.npy", "out.npy")]
        np.save(paths[0], X)
        subprocess.run([python, "-c", _CMFREC, *paths], check=True, capture_output=True)
        return np.load(paths[1])


def _auto_nmf(X: Array, seed: int, limit: float) -> Array:
    return AutoNMF(limit, random_state=seed).fit_complete(X)


def _auto_imputer(X: Array, seed: int, limit: float) -> Array:
    return AutoImputer(limit, random_state=seed).fit_transform(X)


METHODS: dict[str, Fill] = {
    "column mean": _raw(SimpleImputer()),
    "KNN": _raw(KNNImputer()),
    "KNN, scaled": _scaled(KNNImputer()),
    "IterativeImputer": _raw(IterativeImputer(random_state=0)),
    "IterativeImputer, scaled": _scaled(IterativeImputer(random_state=0)),
    "with a forest": _forest,
    "cmfrec": _cmfrec,
    "AutoNMF": _auto_nmf,
    _OURS: _auto_imputer,
}


def measure(name: str, X: Array, method: str, seed: int, limit: float) -> dict[str, object]:
    """Error and seconds of processor time."""
    holes, hidden = hide(X, seed)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        filled = METHODS[method](holes, seed, limit)
    seconds = time.process_time() - began
    return {"table": name, "shape": X.shape, "method": method, "seed": seed, "seconds": round(seconds, 2)} | {
        "error": round(error(X, filled, hidden), 5)
    }


def report(rows: list[dict[str, object]]) -> str:
    """A table of mean errors, and the ratio of ours to the best of the others."""
    methods = [method for method in METHODS if any(row["method"] == method for row in rows)]
    lines = ["| table | rows x columns | " + " | ".join(methods) + " | ratio | seconds |"]
    lines.append("|---" * (len(methods) + 4) + "|")
    ratios = []
    for name in dict.fromkeys(row["table"] for row in rows):
        mine = [row for row in rows if row["table"] == name]
        means = {m: np.mean([row["error"] for row in mine if row["method"] == m] or [np.nan]) for m in methods}
        best = np.nanmin([np.inf, *(value for method, value in means.items() if method != _OURS)])
        ratios.append(means.get(_OURS, np.nan) / best)
        seconds = np.mean([row["seconds"] for row in mine if row["method"] == _OURS] or [np.nan])
        cells = [f"{means[method]:.3f}" for method in methods]
        shape = " x ".join(map(str, mine[0]["shape"]))
        lines.append(f"| {name} | {shape} | " + " | ".join(cells) + f" | {ratios[-1]:.3f} | {seconds:.1f} |")
    lines.append(f"\nGeometric mean of the ratios: {np.exp(np.nanmean(np.log(ratios))):.3f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="text tables")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that ours may take")
    parser.add_argument("--most-rows", type=int, default=1000)
    parser.add_argument("--methods", help="with commas; all unless given (cmfrec if CMFREC_PYTHON is set)")
    parser.add_argument("--results", type=Path, default=Path("tables.jsonl"))
    given = parser.parse_args()
    methods = [method for method in METHODS if method != "cmfrec" or "CMFREC_PYTHON" in os.environ]
    methods = methods if given.methods is None else given.methods.split(";")
    rows = [json.loads(line) for line in given.results.read_text().splitlines()] if given.results.exists() else []
    done = {(row["table"], row["method"], row["seed"]) for row in rows}
    for name, X in tables(given.files, given.most_rows):
        for method in methods:
            for seed in range(given.seeds):
                if (name, method, seed) in done:
                    continue
                rows.append(measure(name, X, method, seed, given.limit))
                with given.results.open("a") as file:
                    print(json.dumps(rows[-1]), file=file)
                print(rows[-1], file=sys.stderr, flush=True)
    print(report(rows))


if __name__ == "__main__":
    main()
