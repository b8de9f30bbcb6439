"""Interrupts at random instants, and forks beside fits: no invalid model, no limit left behind, nobody hangs."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_info

from advnmf import ATNMF, NMF, DeepNMF

pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals and forks as POSIX has them"),
]
LONG = {"tol": 0.0, "random_state": 0}
MAKERS = [
    *[lambda loss=loss: NMF(4, loss=loss, max_iter=60, **LONG) for loss in ("frobenius", "elastic", "correntropy")],
    lambda: NMF(3, solver="mu", max_iter=100, **LONG),
    lambda: NMF(3, biases=True, max_iter=60, **LONG),
    lambda: ATNMF(3, max_iter=60, **LONG),
    lambda: DeepNMF((4, 3), max_iter=20, **LONG),
    lambda: NMF(3, n_init=4, max_iter=20, **LONG),
]


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = rng.random((80, 5)) @ rng.random((5, 30))
    X[rng.random(X.shape) < 0.3] = np.nan
    for make in MAKERS:  # compiled once
        make().set_params(max_iter=2).fit(X)
    return X


@pytest.fixture
def alarm():
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def blas_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_interrupted_fits_are_whole_or_not_there(budget, alarm, X):
    rng, before, n = np.random.default_rng(budget.seed), blas_threads(), 0
    while budget.left() > 0:
        model = MAKERS[rng.integers(len(MAKERS))]()
        if rng.random() < 0.5:  # a model that knew something else
            iterations = model.max_iter
            model.set_params(max_iter=2).fit(X[:, :20]).set_params(max_iter=iterations)
        ended = False
        try:
            alarm(rng.uniform(1e-4, 0.05))
            model.fit(X)
            ended = True
            alarm(0)
        except KeyboardInterrupt:
            alarm(0)
        n += 1
        assert blas_threads() == before
        try:
            check_is_fitted(model)
        except NotFittedError:
            assert not ended
            continue
        assert not ended or model.stop_reason_ == "max_iter"  # nothing is swallowed
        assert np.isfinite(model.complete(X[:, : model.n_features_in_])).all()
        assert model.components_.shape == (model._n_features_out - model.biases, model.n_features_in_)
    print(f"{n} interrupts")


def test_forks_beside_a_fit_do_not_hang(budget, X):
    stop = threading.Event()

    def fit_on() -> None:
        while not stop.is_set():
            NMF(3, max_iter=5, tol=0).fit(X)

    thread, n = threading.Thread(target=fit_on), 0
    thread.start()
    try:
        while budget.left() > 0:
            child = os.fork()
            if child == 0:
                with suppress(BaseException):
                    NMF(3, max_iter=3, tol=0, random_state=0).fit(X)
                    os._exit(0)
                os._exit(1)
            deadline, ended = time.monotonic() + 20, (0, 0)
            while ended[0] == 0 and time.monotonic() < deadline:
                ended = os.waitpid(child, os.WNOHANG)
                time.sleep(0.01)
            if ended[0] == 0:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            assert ended == (child, 0), f"child {n} {'hangs' if ended[0] == 0 else 'failed'}"
            n += 1
    finally:
        stop.set()
        thread.join()
    print(f"{n} forks")
