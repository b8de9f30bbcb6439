"""Writers and openers of one results folder, some killed at any moment: no row that was kept is lost."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from advnmf.studies import Result, Run, RunConfig, Store, load_arrays, read_results

pytestmark = pytest.mark.soak

N_WRITERS, N_OPENERS = 3, 3


def result(number: int) -> Result:
    """One of many; some are long enough to be torn in two."""
    config = RunConfig("NMF", {"n_components": 2})
    run = Run("table2", "synthetic", 0.5, "uniform", "NMF", "masked", number, config)
    curve = [number / 7.0] * (number % 400)
    outcome = {"rmse": 1.0, "mae": 0.5, "seconds": 0.1, "n_iter": 3, "stop_reason": "max_iter"}
    return Result.of(run, curves={"objective": curve}, **outcome)


def write(folder: str, first: int) -> None:
    """Rows of the numbers from the first on; each number goes to a file of its own when the row is said to be kept."""
    store = Store(folder)
    log = os.open(Path(folder, f"kept-{first}.log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for number in range(first, first + 100_000):
        arrays = {"components": np.ones((3, 4))} if number % 5 == 0 else None
        store.append(result(number), arrays)
        os.write(log, f"{number}\n".encode())


def look(folder: str, _: int) -> None:
    """Open the folder again and again, by turns to write and to read."""
    while True:
        Store(folder)
        read_results(folder)


def kept(folder: Path) -> set[int]:
    """The numbers that writers were told are kept."""
    return {int(line) for log in folder.glob("kept-*.log") for line in log.read_text().split()}


def test_no_row_is_lost(tmp_path, budget):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["advnmf.studies"])
    rng = random.Random(budget.seed)
    jobs = [write] * N_WRITERS + [look] * N_OPENERS
    processes: list = [None] * len(jobs)
    first, n_kills = 0, 0
    try:
        while budget.left() > 0:
            for at, job in enumerate(jobs):
                if processes[at] is None or not processes[at].is_alive():
                    first += 100_000
                    processes[at] = context.Process(target=job, args=(str(tmp_path), first), daemon=True)
                    processes[at].start()
            time.sleep(rng.uniform(0.02, 0.4))
            victim = rng.choice(processes)
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
            n_kills += 1
    finally:
        for process in filter(None, processes):
            process.kill()
            process.join()
    Store(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = read_results(tmp_path)
    said = kept(tmp_path)
    lost = said - {row.seed for row in rows}
    print(f"{len(said)} rows kept, {len(lost)} lost, {len(rows)} there; {n_kills} kills")
    assert len(said) > 50
    assert not lost
    assert not caught
    assert all("components" in load_arrays(tmp_path, row) for row in rows if row.arrays)
    assert not list(tmp_path.glob("arrays/.*"))
