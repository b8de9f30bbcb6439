"""The two ceilings of this machine: matrix-product rate and memory bandwidth; and what a sweep asks of them.

python ceilings.py      prints {"gflops": ..., "gbytes": ...}, with as many threads as the environment says
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np


def best_seconds(run: Callable[[], object], repetitions: int = 10) -> float:
    """The shortest time of some runs, after one that is not counted."""
    times = []
    for _ in range(repetitions + 1):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times[1:])


def product_rate(n: int = 2000) -> float:
    """GFLOP/s of a float32 matrix product."""
    A, B = np.random.default_rng(0).random((2, n, n), np.float32)
    out = np.empty_like(A)
    return 2 * n**3 / best_seconds(lambda: np.matmul(A, B, out=out)) / 1e9


def bandwidth(n: int = 5 * 10**7) -> float:
    """GB/s of a_i = b_i + s c_i in float32, three times 200 MB: what is read and written, STREAM's count."""
    import numba

    @numba.njit(parallel=True, fastmath=True)
    def triad(a, b, c, s):
        for i in numba.prange(len(a)):
            a[i] = b[i] + s * c[i]

    a, b, c = np.ones((3, n), np.float32)
    return 3 * a.nbytes / best_seconds(lambda: triad(a, b, c, np.float32(0.5))) / 1e9


# --- what a sweep of ours needs, by its formulas: (floating-point operations, bytes) -------------------------------


def complete_work(n: int, m: int, K: int, solver: str) -> tuple[float, float]:
    """Products of X with either factor, 4 n m K, and those of factors with K x K matrices; X is read twice.

    "mu" multiplies each factor by one such matrix; "hals" subtracts it and makes two passes over the coordinates.
    """
    return 4 * n * m * K + 2 * (n + m) * K**2 * {"mu": 2, "hals": 4}[solver], 8 * n * m


def entries_work(n_entries: int, K: int, passes: int = 2) -> tuple[float, float]:
    """Coordinate descent over observed entries, for either factor.

    An entry costs 2 K for its prediction, 3 K for the squares and 5 K a pass: multiply and add for the slope, multiply
    by weight and step and subtract.  It moves its value once, its column and prediction twice, and twice a row of the
    other factor, gathered for the prediction and for the descent; gathers that a cache serves may exceed the bandwidth.
    """
    return 2 * n_entries * K * (2 + 3 + 5 * passes), 2 * n_entries * 4 * (5 + 2 * K)


WORK = {"complete": complete_work, "entries": entries_work}

if __name__ == "__main__":
    print(json.dumps({"gflops": product_rate(), "gbytes": bandwidth()}))
