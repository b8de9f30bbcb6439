"""Compiling row kernels, and the sharing of rows among threads.

A kernel handles rows ``start..stop`` and releases the interpreter lock; `over_rows` gives each thread a run of rows.
Rows do not depend on each other, so the result is the same for every number of threads (set with
``numba.set_num_threads``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from itertools import pairwise

import numpy as np

try:
    import numba
except ValueError as error:  # its settings, which it does not name
    raise ImportError(
        f"numba refuses its settings: {error} They are environment variables such as NUMBA_NUM_THREADS="
        f"{os.environ.get('NUMBA_NUM_THREADS', '')!r}, which must be at least 1, or not set"
    ) from error


# Sums may be reordered (that is what vectorises them); NaN and infinities keep their meaning.
_FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
# Below this many multiply-adds a thread costs more than it saves (about 100 us to start one).
_SERIAL_WORK = 1_000_000


def compiled(function: Callable) -> Callable:
    """Compile, and keep the result for the next process where there is a folder for it."""
    try:
        return numba.njit(function, nogil=True, cache=True, fastmath=_FASTMATH)
    except RuntimeError:  # no folder to cache in: compile anew in each process
        return numba.njit(function, nogil=True, fastmath=_FASTMATH)


def over_rows(kernel: Callable, n_rows: int, work: float, *args: object, load: np.ndarray | None = None) -> None:
    """Run ``kernel(start, stop, *args)`` over all rows, on as many threads as `work` multiply-adds are worth.

    `load` (n_rows + 1 running totals) shares the rows by load instead of by number.
    """
    n_threads = max(1, min(numba.get_num_threads(), n_rows, int(work // _SERIAL_WORK)))
    if n_threads == 1:
        kernel(0, n_rows, *args)
        return
    edges = np.linspace(0, n_rows, n_threads + 1).astype(np.int64)
    if load is not None:
        edges[1:-1] = np.searchsorted(load, np.linspace(0, load[-1], n_threads + 1)[1:-1])
    failures: list[BaseException] = []

    def run(start: int, stop: int) -> None:
        try:
            kernel(start, stop, *args)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in pairwise(edges[1:])]
    try:
        for thread in threads:
            thread.start()
        kernel(edges[0], edges[1], *args)
    finally:
        _join(threads)
    if failures:
        raise failures[0]


def _join(threads: list[threading.Thread]) -> None:
    """Wait until none runs, even if interrupted: nothing may write to the factors when the caller continues."""
    interrupted = False
    while running := [thread for thread in threads if thread.is_alive()]:
        try:
            running[0].join()
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
