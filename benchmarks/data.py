"""The problems, each written to an npz file by a process of its own (so that the measuring one stays small).

    python data.py problem.npz '["ratings", 160000, 60000, 25000000]'

CBCL, MovieLens, the picture and the cells of tables are those of `advnmf.datasets`.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from advnmf import datasets
from advnmf.model_selection import EntryKFold, EntryShuffleSplit
from advnmf.studies import load_input, plan

Arrays = dict[str, np.ndarray]


def complete(n: int, m: int, rank: int, seed: int = 0) -> Arrays:
    """A complete matrix X, of twice the rank that is fitted and with noise, and the start (W, H) common to all."""
    rng = np.random.default_rng(seed)
    X = rng.gamma(1.0, size=(n, 2 * rank)) @ rng.gamma(0.5, size=(2 * rank, m)) * rng.uniform(0.8, 1.2, (n, m))
    X /= X.max()
    scale = np.sqrt(X.mean() / rank)
    W, H = (scale * np.abs(rng.standard_normal(shape)) for shape in ((n, rank), (rank, m)))
    return {name: array.astype(np.float32) for name, array in (("X", X), ("W", W), ("H", H))}


def ratings(n: int, m: int, n_entries: int, rank: int = 8, seed: int = 0) -> Arrays:
    """Exactly `n_entries` ratings at different pairs, in compressed rows.

    Values are of low rank with gamma factors and 10 % noise.  Rows are of log-normal activity; the popularity of the
    columns falls like (place + 50)^-0.7.
    """
    rng = np.random.default_rng(seed)
    activity, place = rng.lognormal(0, 1, n), rng.permutation(m)
    activity /= activity.sum()
    keys = np.empty(0, np.int64)
    while (missing := n_entries - len(keys)) > 0:
        rows = np.repeat(np.arange(n), rng.multinomial(missing + missing // 5 + 100, activity))
        keys = np.concatenate([keys, rows * m + place[_popular(rng.random(len(rows)), m)]])
        keys.sort()
        keys = keys[np.diff(keys, prepend=-1) > 0]
    keys = np.delete(keys, rng.choice(len(keys), len(keys) - n_entries, replace=False))
    rows, columns = keys // m, (keys % m).astype(np.int32)
    A, B = (rng.gamma(1.0, size=(size, rank)).astype(np.float32) for size in (n, m))
    values = np.concatenate(
        [np.einsum("nk,nk->n", A[rows[i : i + 10**6]], B[columns[i : i + 10**6]]) for i in range(0, n_entries, 10**6)]
    )
    values *= rng.normal(1, 0.1, n_entries).clip(0.1).astype(np.float32) * np.float32(3.5 / rank)
    indptr = np.searchsorted(rows, np.arange(n + 1)).astype(np.int32)
    return {"values": values, "indices": columns, "indptr": indptr, "shape": np.array([n, m])}


def _popular(u: np.ndarray, m: int, offset: float = 50, power: float = 0.7) -> np.ndarray:
    """Places 0..m-1 of density (place + offset)^-power, from uniform draws."""
    low, high = offset ** (1 - power), (m + offset) ** (1 - power)
    return np.minimum((low + u * (high - low)) ** (1 / (1 - power)) - offset, m - 1).astype(np.int64)


def cbcl(n_faces: int | None = None) -> Arrays:
    """Grey levels in [0, 1) as released, one face a row, and the released mask of 30 % missing."""
    found = datasets.fetch_cbcl(preparation="raw")
    return {"X": found.X[:n_faces], "mask": found.masks[0.3][:n_faces]}


def movielens() -> Arrays:
    """MovieLens 100K, the first fold: training ratings in compressed rows, and test pairs."""
    found = datasets.fetch_movielens_100k()
    X = found.X.astype(np.float32)
    X.sort_indices()
    stored = {"values": X.data, "indices": X.indices, "indptr": X.indptr, "shape": np.array(X.shape)}
    return stored | dict(zip(("test_rows", "test_columns", "test_values"), found.test, strict=True))


def picture(holes: str) -> Arrays:
    """A colour picture with holes, its channels side by side in each row."""
    found = datasets.fetch_inpainting_pictures()
    X, mask = found.pictures["img1"] / 255, found.masks[holes]
    return {"X": X.reshape(len(X), -1), "mask": np.repeat(mask, 3, axis=1)}


def cell(experiment: str, fraction: float, draw: int) -> Arrays:
    """A cell of a table of the studies; and entries to hold out, as many folds as `AutoNMF` takes."""
    runs = plan(experiment, missing=[fraction], methods=["NMF"], runs=draw + 1)
    X, mask = load_input(next(run for run in runs if run.seed == draw))
    n_observed = int(mask.sum())
    if n_observed < 5_000:
        splitter = EntryKFold(5, random_state=draw)
    else:
        splitter = EntryShuffleSplit(3 if n_observed < 50_000 else 1, test_size=0.1, random_state=draw)
    folds = [test for _, test in splitter.split(X, mask)]
    return {"X": X, "mask": mask, "folds": np.array(folds)}


BUILDERS = {f.__name__: f for f in (complete, ratings, cbcl, movielens, picture, cell)}

if __name__ == "__main__":
    name, *arguments = json.loads(sys.argv[2])
    np.savez(sys.argv[1], **BUILDERS[name](*arguments))
