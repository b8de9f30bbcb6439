"""Announced and true errors of `AutoNMF`, and the coverage of its intervals, for holes of many patterns.

    python benchmarks/hole_patterns.py                 # full size, 60 seconds a cell
    python benchmarks/hole_patterns.py --small         # parts of the data, 10 seconds a cell

A row of the table is a data set with holes of one pattern, without and with the order of its rows and columns.  The
announced error is `-best_score_` ("-" where none is stated), the true one the root mean square error over the missing
entries, the coverage the share of these within 1.645 standard deviations ("-" where these are infinite).  In the last
pattern, "large values", holes depend on the hidden values: no method can see that from the data.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine

from advnmf import AutoNMF, DataWarning, datasets

Array = np.ndarray
Rng = np.random.Generator


class Data(NamedTuple):
    """A complete matrix, the grid of its rows (or their number), and what `AutoNMF` is told of places."""

    X: Array
    grid: tuple[int, int] | None
    places: dict[str, object]


# --- data -------------------------------------------------------------------------------------------------------------


def moffet(small: bool) -> Data:
    """Pixels of a hyperspectral cube, and bands."""
    cube = datasets.fetch_moffet().X.reshape(50, 50, -1)
    cube = cube[:30, :30, ::3] if small else cube
    X = cube.reshape(-1, cube.shape[2]).astype(np.float64)
    return Data(X, cube.shape[:2], {"samples_grid": cube.shape[:2], "features_order": True})


def faces(small: bool) -> Data:
    """Faces of 19 x 19 pixels."""
    X = datasets.fetch_cbcl().X.astype(np.float64)
    return Data(X[:: 12 if small else 3], None, {"features_grid": (19, 19)})


def wine(small: bool) -> Data:
    """Measurements in different units."""
    return Data(load_wine().data, None, {})


def cancer(small: bool) -> Data:
    """Measurements in different units, some of them correlated."""
    return Data(load_breast_cancer().data, None, {})


def ratings(small: bool) -> Data:
    """Low rank and noise."""
    rng = np.random.default_rng(0)
    n, m = (300, 60) if small else (1000, 200)
    X = rng.gamma(1.0, size=(n, 6)) @ rng.gamma(0.5, size=(6, m))
    return Data(np.maximum(X * (1 + 0.2 * rng.standard_normal(X.shape)), 0), None, {})


def series(small: bool) -> Data:
    """Channels of a smooth series with noise."""
    rng = np.random.default_rng(1)
    n = 300 if small else 1000
    t = np.arange(n)[:, None] / 8
    codes = 1.2 + np.sin(t * rng.uniform(0.3, 1.5, 6) + rng.uniform(0, 2 * np.pi, 6))
    X = codes @ rng.random((6, 24))
    return Data(np.maximum(X + 0.05 * rng.standard_normal(X.shape), 0), None, {"samples_order": True})


DATA: dict[str, Callable[[bool], Data]] = {
    each.__name__: each for each in (moffet, faces, wine, cancer, ratings, series)
}

# --- patterns: flags of what is missing -------------------------------------------------------------------------------


def scattered(data: Data, rng: Rng) -> Array:
    """A fifth of the entries, anywhere."""
    return rng.random(data.X.shape) < 0.2


def rows(data: Data, rng: Rng) -> Array:
    """A tenth of the rows."""
    return np.tile(rng.random(len(data.X))[:, None] < 0.1, data.X.shape[1])


def columns(data: Data, rng: Rng) -> Array:
    """A twentieth of the columns, at least one."""
    m = data.X.shape[1]
    return np.tile(np.isin(np.arange(m), rng.choice(m, max(1, m // 20), replace=False)), (len(data.X), 1))


def blocks(data: Data, rng: Rng) -> Array:
    """A quarter of the columns, the same ones in three tenths of the rows."""
    n, m = data.X.shape
    return (rng.random(n) < 0.3)[:, None] & np.isin(np.arange(m), rng.choice(m, max(1, m // 4), replace=False))


def runs(data: Data, rng: Rng) -> Array:
    """Instruments that are off for a while, each by itself: in all a tenth."""
    n, m = data.X.shape
    missing, length = np.zeros((n, m), bool), max(3, n // 30)
    for column in range(m):
        for start in rng.integers(n, size=rng.poisson(0.1 * n / length)):
            missing[start : start + length, column] = True
    return missing


def gaps(data: Data, rng: Rng) -> Array:
    """All columns for five rows, again and again: in all a tenth."""
    n = len(data.X)
    starts = 5 * rng.choice(n // 5, max(1, n // 50), replace=False)
    return np.tile(np.isin(np.arange(n) // 5 * 5, starts)[:, None], data.X.shape[1])


def pixels(data: Data, rng: Rng) -> Array:
    """Neighbouring columns in some rows, elsewhere in each: a quarter of the columns in two fifths of the rows."""
    n, m = data.X.shape
    width = max(2, m // 4)
    start = np.where(rng.random(n) < 0.4, rng.integers(m - width + 1, size=n), m)
    at = np.arange(m)[None, :]
    return (at >= start[:, None]) & (at < start[:, None] + width)


def cloud(data: Data, rng: Rng) -> Array:
    """Discs on the grid of the rows (stretches of rows where there is none): about a tenth."""
    grid = data.grid or (len(data.X), 1)
    y, x = np.mgrid[: grid[0], : grid[1]]
    missing = np.zeros(grid, bool)
    while missing.mean() < 0.1:
        radius = rng.uniform(0.05, 0.12) * (min(grid) if data.grid else len(data.X) / 4)
        missing |= (y - rng.uniform(0, grid[0])) ** 2 + (x - rng.uniform(0, grid[1])) ** 2 < radius**2
    return np.tile(missing.reshape(-1, 1), data.X.shape[1])


def half_cloud(data: Data, rng: Rng) -> Array:
    """The same in half of the columns."""
    return cloud(data, rng) & (np.arange(data.X.shape[1]) < data.X.shape[1] // 2)


def uneven(data: Data, rng: Rng) -> Array:
    """Anywhere, but some rows miss far more than others."""
    return rng.random(data.X.shape) < 0.9 * rng.beta(0.5, 2, size=len(data.X))[:, None]


def large_values(data: Data, rng: Rng) -> Array:
    """Half of the values above the 70 % quantile of their column."""
    return (np.quantile(data.X, 0.7, axis=0) < data.X) & (rng.random(data.X.shape) < 0.5)


PATTERNS = {
    each.__name__.replace("_", " "): each
    for each in (scattered, rows, columns, blocks, runs, gaps, pixels, cloud, half_cloud, uneven, large_values)
}


def cell(data: Data, missing: Array, places: dict[str, object], time_limit: float, how: str) -> str:
    """Announced error, true error, their ratio, and coverage."""
    X = np.where(missing, np.nan, data.X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        model = AutoNMF(time_limit, holdout=how, random_state=0, **places).fit(X)
        filled, std = model.complete(X, return_std=True)
    error = np.abs(filled - data.X)[missing]
    true, announced = float(np.sqrt(np.mean(np.square(error)))), -model.best_score_
    known = np.isfinite(std[missing]).all()
    coverage = f"{np.mean(error <= 1.645 * std[missing]):.3f}" if known else "-"
    stated = np.isfinite(announced)
    return (
        f"{announced:.4g} | {true:.4g} | {announced / true:.2f} | {coverage}"
        if stated
        else f"- | {true:.4g} | - | {coverage}"
    )


def main() -> None:
    """Print the table, a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--small", action="store_true", help="parts of the data")
    parser.add_argument("--time-limit", type=float, help="seconds of each fit [default: 60, or 10 with --small]")
    parser.add_argument("--data", metavar="NAMES", default=",".join(DATA))
    parser.add_argument("--patterns", metavar="NAMES", default=",".join(PATTERNS))
    parser.add_argument("--holdout", choices=("auto", "random"), default="auto")
    parser.add_argument("--seed", type=int, default=0, help="of the holes")
    chosen = parser.parse_args()
    limit = chosen.time_limit or (10 if chosen.small else 60)
    print("| data | holes | places | announced | true | ratio | coverage |\n|---|---|---|---|---|---|---|")
    for name in chosen.data.split(","):
        data = DATA[name](chosen.small)
        for pattern in chosen.patterns.split(","):
            missing = PATTERNS[pattern](data, np.random.default_rng(chosen.seed))
            missing[missing.all(axis=1), 0] &= pattern != "uneven"
            for places in [{}, data.places] if data.places else [{}]:
                told = ", ".join(places) or "-"
                print(
                    f"| {name} | {pattern} | {told} | {cell(data, missing, places, limit, chosen.holdout)} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
