"""Tasks carried out, each once, several at a time; results are kept as they come."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from threadpoolctl import threadpool_limits

from .. import metrics
from .instances import instance
from .kinds import KINDS, Record
from .rows import Row
from .store import Store
from .tasks import Task

__all__ = ["Failure", "execute", "run"]

_SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(frozen=True)
class Failure:
    """A task that ended with an error."""

    task: Task
    error: Exception


def run(
    tasks: Iterable[Task], store: Store, *, jobs: int | None = None, time_limit: float | None = None
) -> Iterator[Row | Failure]:
    """Carry out what is not in the store yet, and keep it there; with other processes that do so, each a share.

    What another process is at work on is waited for, and carried out here if that process ends without a result.

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
    A `Row` for each task that was not there, as it is kept, whoever computed it; a `Failure` where a task could not be
    carried out here.
    """
    ends = math.inf if time_limit is None else time.monotonic() + time_limit
    left: dict[str, list[Task]] = {}
    for task in tasks:
        if task not in store:
            left.setdefault(task.key, []).append(task)
    try:
        while left:
            yield from _known(left, store)
            for outcome in _outcomes(_claimed(left, store, ends), jobs or cpu_count() if len(left) > 1 else 1):
                yield from _kept(outcome, left, store)
            if left and time.monotonic() >= ends:
                return
            if left:  # other processes are at work on these
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                store.refresh()
    finally:
        store.release()


def _known(left: dict[str, list[Task]], store: Store) -> Iterator[Row]:
    """The rows of tasks whose results are there, under this heading or another; these tasks are no longer left."""
    for key, same in list(left.items()):
        known = store.result(same[0])
        if known is not None:
            del left[key]
            for task in same:
                yield store.append(known.told_as(task))


def _claimed(left: Mapping[str, list[Task]], store: Store, ends: float) -> Iterator[Task]:
    """One task for each result that this process is to compute, each claimed when it is asked for."""
    for task in [same[0] for same in left.values()]:
        if time.monotonic() >= ends:
            return
        if store.claim(task):
            yield task


def _kept(outcome: Any, left: dict[str, list[Task]], store: Store) -> Iterator[Row | Failure]:
    """Keep what came out, under all headings."""
    if isinstance(outcome, Failure):
        del left[outcome.task.key]
        store.release(outcome.task)
        yield outcome
        return
    row, arrays = outcome
    first, *others = left.pop(row.key)
    kept = store.append(row, arrays)
    store.release(first)
    yield kept
    for task in others:
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
        return _row(task, record, X, mask, seconds).checked(), record.arrays
    except Exception as error:  # one bad run must not end a night's work; it is told of
        return Failure(task, error)


def _row(task: Task, record: Record, X: np.ndarray, mask: np.ndarray, seconds: float) -> Row:
    fitted = record.fitted
    return Row.of(
        task,
        rmse=metrics.rmse(X, fitted.prediction, mask=~mask),
        mae=metrics.mae(X, fitted.prediction, mask=~mask),
        seconds=seconds,
        n_iter=record.n_iter,
        stop_reason=fitted.model.stop_reason_,
        found=dict(fitted.found),
        curves=record.curves,
    )


def _outcomes(tasks: Iterator[Task], jobs: int) -> Iterator[Any]:
    """The outcome of each task, in the order of their ends."""
    first = next(tasks, None)
    if first is None:  # no workers for nothing
        return
    tasks = chain([first], tasks)
    if jobs == 1:
        yield from map(execute, tasks)
        return
    threads = max(1, cpu_count() // jobs)
    # One task ahead of each worker and no more, so that the clock is asked in time, and others find tasks to claim.
    with parallel_config(backend="loky", inner_max_num_threads=threads):
        workers = Parallel(n_jobs=jobs, pre_dispatch=jobs, batch_size=1, return_as="generator_unordered")
        yield from workers(delayed(execute)(task, threads) for task in tasks)
