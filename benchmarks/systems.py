"""Time of an iteration of the compared systems, over the bare matrix products that it cannot avoid.

    python benchmarks/systems.py [--only hqasd,dmf,anmf] [--rounds 30] [--dtype float64] [--quick]

CBCL as the study prepares it (2429 x 361) with 30 % missing, rank 49.  Iteration and products are run in turn, so that
whatever else the machine does meets both; the table has medians and their ratio.  Threads as the environment says: on
a machine that others use too, OPENBLAS_NUM_THREADS=1 is the only quiet measurement.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from advnmf import ANMF, datasets
from advnmf.data import ArrayData, array_data
from advnmf.engine.starts import random_factors
from advnmf.models.compared import halfquadratic
from advnmf.models.compared.bilevel import ADMM
from advnmf.models.compared.dmf import Training
from advnmf.models.compared.halfquadratic import HalfQuadratic, least_squares, steepest_descent
from advnmf.models.compared.hqasd import small_uniform
from advnmf.models.compared.network import random_network

RANK = 49
# Iterations before the clock starts: beyond the first, in which all is as drawn.
_BEFORE = 5

# What is timed: an iteration, and its products.
Pair = tuple[Callable[[], object], Callable[[], object]]


def cbcl(dtype: str, n_faces: int | None) -> ArrayData:
    """The faces with the released mask of 30 % missing."""
    found = datasets.fetch_cbcl()
    X, mask = found.X[:n_faces], found.masks[0.3][:n_faces]
    return array_data(np.where(mask, X, 0).astype(dtype), mask.view(np.uint8))


def hqasd(data: ArrayData, *, robust: bool) -> Pair:
    """Steepest descent; in phase 1, or in phase 2 with the quartiles of the residuals."""
    factors = small_uniform(data, RANK, np.random.RandomState(0))
    process = HalfQuadratic(data, factors, steepest_descent, 2.0, 0.01, np.inf if robust else 0.0)
    for _ in range(_BEFORE):
        process.step()
    U, V = (F.copy() for F in factors)

    def products() -> None:
        E = U @ V
        N = E @ V.T
        D = N @ (V @ V.T)
        D @ V
        N = U.T @ E
        D = (U.T @ U) @ N
        U @ D

    return process.step, products


def hqpf(data: ArrayData, *, robust: bool) -> Pair:
    """Least squares: each row's normal equations, as many times as rows are reweighted."""
    factors = small_uniform(data, RANK, np.random.RandomState(0))
    process = HalfQuadratic(data, factors, least_squares, 2.0, 0.01, np.inf if robust else 0.0)
    for _ in range(_BEFORE):
        process.step()
    solved = []
    solve = halfquadratic._solve

    def noted(part: ArrayData, B: np.ndarray, outer: np.ndarray, G: np.ndarray, *rest: object) -> np.ndarray:
        solved.append((G.copy(), outer, B))
        return solve(part, B, outer, G, *rest)

    start = [F.copy() for F in factors]

    def step() -> None:
        # The same iteration again and again: the number of reweightings differs between them.
        for F, begun in zip(factors, start, strict=True):
            F[...] = begun
        process.step()

    halfquadratic._solve = noted
    step()
    halfquadratic._solve = solve

    def products() -> None:
        factors[0] @ factors[1]
        for G, outer, B in solved:
            G @ outer
            G @ B.T

    return step, products


def dmf(data: ArrayData, hidden: int) -> Pair:
    """Forwards, and backwards to weights and codes."""
    net = random_network((RANK, hidden, data.shape[1]), ("tanh",), np.random.RandomState(0)).mapped(data.asarray)
    training = Training(data, net, 0.01, 0.01, 0.0)
    for _ in range(_BEFORE):
        training.step()
    Z, (V, W) = training.Z.copy(), (W.copy() for W in net.coefs)

    def products() -> None:
        A = Z @ V
        D = A @ W
        A.T @ D
        B = D @ W.T
        Z.T @ B
        B @ V.T

    return training.step, products


def anmf(data: ArrayData, **parameters: str) -> Pair:
    """Both predictions, and the data that they are compared with times either factor."""
    game = ANMF(RANK, **parameters)._game(data)
    T, P = random_factors(data, [RANK], np.random.RandomState(0))
    process = ADMM(game, T, P, 10.0, True)
    for _ in range(_BEFORE):
        process.step()
    H, W = process.H.copy(), process.W.copy()
    # The follower's filled target; one completed matrix serves both losses, two are filled if holes are ignored.
    filled = game.missing != "zero"
    n_targets = 2 if game.missing == "ignore" else 1
    Q = H @ W

    def products() -> None:
        if filled:
            H @ W
        H.T @ Q, H @ W, H @ W
        for _ in range(n_targets):
            H.T @ Q, Q @ W.T
        H.T @ H, H.T @ H, H.T @ H, W @ W.T, W @ W.T

    return process.step, products


CASES: dict[str, Callable[[ArrayData], Pair]] = {
    "hqasd, phase 1": partial(hqasd, robust=False),
    "hqasd, phase 2": partial(hqasd, robust=True),
    "hqasd pf, phase 1": partial(hqpf, robust=False),
    "hqasd pf, phase 2": partial(hqpf, robust=True),
    "dmf, 10 hidden": partial(dmf, hidden=10),
    "dmf, 100 hidden": partial(dmf, hidden=100),
    **{
        f"anmf, {missing}, {leader}": partial(anmf, missing=missing, leader=leader)
        for missing in ("ignore", "complete", "zero")
        for leader in ("exact", "nash")
    },
}


def medians(pair: Pair, rounds: int) -> tuple[float, float]:
    """Milliseconds of each, run in turn."""
    times = ([], [])
    for _ in range(rounds):
        for run, found in zip(pair, times, strict=True):
            began = time.perf_counter()
            run()
            found.append(1e3 * (time.perf_counter() - began))
    return tuple(statistics.median(found) for found in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="beginnings of names, such as anmf,dmf")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--quick", action="store_true", help="300 faces, 3 rounds")
    given = parser.parse_args()
    data = cbcl(given.dtype, 300 if given.quick else None)
    print("| system | ms an iteration | ms its products | ratio |\n| --- | --- | --- | --- |")
    for name, make in CASES.items():
        if name.startswith(tuple(given.only.split(","))):
            # Least squares take a thousand times as long.
            rounds = 3 if given.quick or "pf" in name else given.rounds
            ours, bare = medians(make(data), rounds)
            print(f"| {name} | {ours:.3g} | {bare:.3g} | {ours / bare:.2f} |", flush=True)


if __name__ == "__main__":
    main()
