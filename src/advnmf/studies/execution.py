"""Runs carried out, each once, several at a time; results are kept as they come."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from threadpoolctl import threadpool_limits

from .. import metrics
from .fits import Fitted, fit, make_model, prepare, starting_factors
from .folder import Store
from .inputs import load_input
from .runs import Result, Run

__all__ = ["MEASUREMENTS", "Failure", "Measurement", "execute", "execute_one"]

Array = np.ndarray

_SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(frozen=True)
class Failure:
    """A run that ended with an error."""

    run: Run
    error: Exception


def execute(
    runs: Iterable[Run], store: Store, *, jobs: int | None = None, time_limit: float | None = None
) -> Iterator[Result | Failure]:
    """Carry out the runs whose results are not in the store yet, sharing them with other processes that do the same.

    The results that another process is working on are waited for, and computed here if it ends without one.

    Parameters
    ----------
    runs : iterable of Run
    store : Store
        Takes each result as soon as it is there.
    jobs : int, optional
        Runs at a time, each on an equal share of the cores; by default one for each core.
    time_limit : float, optional
        Seconds after which no further run is begun.

    Yields
    ------
    A `Result`, as stored, for each run that had none, whichever process computed it; a `Failure` for a run that raised
    an error here.
    """
    ends = math.inf if time_limit is None else time.monotonic() + time_limit
    left: dict[str, list[Run]] = {}
    for run in runs:
        if run not in store:
            left.setdefault(run.key, []).append(run)
    try:
        while left:
            yield from _known(left, store)
            for outcome in _outcomes(_claimed(left, store, ends), jobs or cpu_count() if len(left) > 1 else 1):
                yield from _kept(outcome, left, store)
            if left and time.monotonic() >= ends:
                return
            if left:  # other processes are working on these
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                store.refresh()
    finally:
        store.release()


def _known(left: dict[str, list[Run]], store: Store) -> Iterator[Result]:
    """Store known results under the labels of further runs, which are then no longer left."""
    for key, same in list(left.items()):
        known = store.result_of(same[0])
        if known is not None:
            del left[key]
            for run in same:
                yield store.append(known.relabelled(run))


def _claimed(left: Mapping[str, list[Run]], store: Store, ends: float) -> Iterator[Run]:
    """One run for each result that this process is to compute, each claimed when it is asked for."""
    for run in [same[0] for same in left.values()]:
        if time.monotonic() >= ends:
            return
        if store.claim(run):
            yield run


def _kept(outcome: Any, left: dict[str, list[Run]], store: Store) -> Iterator[Result | Failure]:
    """Store an outcome under the labels of all runs that share it."""
    if isinstance(outcome, Failure):
        del left[outcome.run.key]
        store.release(outcome.run)
        yield outcome
        return
    result, arrays = outcome
    first, *others = left.pop(result.key)
    kept = store.append(result, arrays)
    store.release(first)
    yield kept
    for run in others:
        yield store.append(kept.relabelled(run))


def _outcomes(runs: Iterator[Run], jobs: int) -> Iterator[Any]:
    """The outcome of each run, in the order in which they end."""
    first = next(runs, None)
    if first is None:  # do not start workers
        return
    runs = chain([first], runs)
    if jobs == 1:
        yield from map(execute_one, runs)
        return
    threads = max(1, cpu_count() // jobs)
    # Only one run ahead of each worker, so that the time limit holds and other processes find runs to claim.
    with parallel_config(backend="loky", inner_max_num_threads=threads):
        workers = Parallel(n_jobs=jobs, pre_dispatch=jobs, batch_size=1, return_as="generator_unordered")
        yield from workers(delayed(execute_one)(run, threads) for run in runs)


def execute_one(run: Run, threads: int | None = None) -> tuple[Result, dict[str, Array]] | Failure:
    """The result of a run, and the arrays that belong to it; on this many threads (all unless given)."""
    try:
        with warnings.catch_warnings(), threadpool_limits(threads) if threads else nullcontext():
            warnings.simplefilter("ignore")  # a fixed number of iterations and empty rows are part of the studies
            X, mask = load_input(run)
            began = time.monotonic()
            measured = MEASUREMENTS[run.measurement](run, X, mask)
            seconds = time.monotonic() - began
        return _result(run, measured, X, mask, seconds).checked(), measured.arrays
    except Exception as error:  # one failed run must not end all others; it is reported
        return Failure(run, error)


def _result(run: Run, measured: Measurement, X: Array, mask: Array, seconds: float) -> Result:
    fitted = measured.fitted
    return Result.of(
        run,
        rmse=metrics.rmse(X, fitted.prediction, mask=~mask),
        mae=metrics.mae(X, fitted.prediction, mask=~mask),
        seconds=seconds,
        n_iter=measured.n_iter,
        stop_reason=fitted.model.stop_reason_,
        tuned=dict(fitted.tuned),
        curves=measured.curves,
    )


# --- measurements: what a run records besides its errors -------------------------------------------------------------


@dataclass(frozen=True)
class Measurement:
    """The fit of a run, short curves, and arrays that go into a file."""

    fitted: Fitted
    n_iter: int
    curves: dict[str, list[float]] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)


def completion(run: Run, X: Array, mask: Array) -> Measurement:
    """The fit alone."""
    fitted = fit(run.config, X, mask, run.seed)
    return Measurement(fitted, fitted.model.n_iter_)


def components(run: Run, X: Array, mask: Array) -> Measurement:
    """The components, one a row: parts of faces, or spectra."""
    measured = completion(run, X, mask)
    return replace(measured, arrays={"components": measured.fitted.model.components_})


def restoration(run: Run, X: Array, mask: Array) -> Measurement:
    """The steps of some samples: original, masked, the perturbation R*, the attacked data X + R*, and completed.

    R* = max((X - P) / (lam - 1), -X) on observed entries, 0 elsewhere; only with an adversary.
    """
    measured = completion(run, X, mask)
    rows = np.asarray(run.options["samples"])
    x, observed, p = X[rows], mask[rows], measured.fitted.prediction[rows]
    arrays = {"original": x, "observed": observed, "completed": p}
    lam = run.config.params.get("lam")
    if lam is not None:
        R = np.where(observed, np.maximum((x - p) / (lam - 1), -x), 0)
        arrays |= {"perturbation": R, "attacked": np.where(observed, x + R, 0)}
    return replace(measured, arrays=arrays)


def convergence(run: Run, X: Array, mask: Array) -> Measurement:
    """Objective and errors on observed and on missing entries, after each ``options["every"]`` iterations.

    The fit is made in pieces of that length, each from the factors of the one before; that is the same fit if each
    piece begins with an attack.  The test error is only recorded.
    """
    config, every = run.config, run.options["every"]
    data, scale = prepare(config, X, mask)
    params = {**config.params, "max_iter": every, "tol": 0.0}
    factors = starting_factors(config, data, run.seed)
    curves: dict[str, list[float]] = {"iteration": [], "objective": [], "train_rmse": [], "test_rmse": []}
    for n_iter in range(every, config.params["max_iter"] + 1, every):
        model = make_model(config.model, params, run.seed, init="custom").fit(data, factors=factors)
        factors, P = model.factors_, model.reconstruct() * scale
        measured: dict[str, Any] = {
            "iteration": n_iter,
            "objective": float(model.loss_curve_[-1]),
            "train_rmse": metrics.rmse(X, P, mask=mask),
            "test_rmse": metrics.rmse(X, P, mask=~mask),
        }
        for name, value in measured.items():
            curves[name].append(value)
    return Measurement(Fitted(model, P, {}), n_iter, curves)


MEASUREMENTS: dict[str, Callable[[Run, Array, Array], Measurement]] = {
    "completion": completion,
    "components": components,
    "convergence": convergence,
    "restoration": restoration,
}
