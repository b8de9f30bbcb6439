"""Tasks carried out, each once, several at a time; results are kept as they come."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from threadpoolctl import threadpool_limits

from .. import metrics
from .instances import instance
from .kinds import KINDS
from .rows import Row, Store
from .tasks import Task

__all__ = ["Failure", "execute", "run"]


@dataclass(frozen=True)
class Failure:
    """A task that ended with an error."""

    task: Task
    error: Exception


def run(
    tasks: Iterable[Task], store: Store, *, jobs: int | None = None, time_limit: float | None = None
) -> Iterator[Row | Failure]:
    """Carry out what is not in the store yet, and keep it there.

    Parameters
    ----------
    tasks : iterable of Task
    store : Store
    jobs : int, optional
        Runs at a time, on an equal share of the cores each; as many as there are cores unless given.
    time_limit : float, optional
        Seconds after which no further run is begun.

    Yields
    ------
    A `Row` for each task that was not there, as it is kept; a `Failure` where a task could not be carried out.
    """
    missing: dict[str, list[Task]] = {}
    for task in tasks:
        if task not in store:
            missing.setdefault(task.key, []).append(task)
    for key in list(missing):
        known = store.result(key)
        if known is not None:
            for task in missing.pop(key):
                yield store.append(known.told_as(task))
    for outcome in _outcomes([same[0] for same in missing.values()], jobs or cpu_count(), time_limit):
        if isinstance(outcome, Failure):
            yield outcome
            continue
        row, arrays = outcome
        kept = store.append(row, arrays)
        yield kept
        for task in missing[row.key][1:]:
            yield store.append(kept.told_as(task))


def execute(task: Task, threads: int | None = None) -> tuple[Row, dict[str, np.ndarray]] | Failure:
    """Carry out a task on some threads (all unless given): its row, and the arrays that belong to it."""
    try:
        with warnings.catch_warnings(), threadpool_limits(threads) if threads else nullcontext():
            # That iterations are cut, and that some pixels are dark, is part of the studies.
            warnings.simplefilter("ignore")
            X, mask = instance(task)
            began = time.monotonic()
            record = KINDS[task.kind](task, X, mask)
            seconds = time.monotonic() - began
    except Exception as error:  # one bad run must not end a night's work; it is told of
        return Failure(task, error)
    fitted = record.fitted
    row = Row.of(
        task,
        rmse=metrics.rmse(X, fitted.prediction, mask=~mask),
        mae=metrics.mae(X, fitted.prediction, mask=~mask),
        seconds=seconds,
        n_iter=record.n_iter,
        stop_reason=fitted.model.stop_reason_,
        found=dict(fitted.found),
        curves=record.curves,
    )
    return row, record.arrays


def _outcomes(tasks: list[Task], jobs: int, time_limit: float | None) -> Iterator[Any]:
    """The outcome of each task, in the order of their ends."""
    if not tasks:
        return
    began = time.monotonic()
    in_time = (task for task in tasks if time_limit is None or time.monotonic() - began < time_limit)
    if jobs == 1 or len(tasks) == 1:
        yield from map(execute, in_time)
        return
    threads = max(1, cpu_count() // jobs)
    # One task ahead of each worker and no more, so that the clock is asked in time.
    with parallel_config(backend="loky", inner_max_num_threads=threads):
        workers = Parallel(n_jobs=jobs, pre_dispatch=jobs, batch_size=1, return_as="generator_unordered")
        yield from workers(delayed(execute)(task, threads) for task in in_time)
