"""Interrupts at random instants, outliers of random numbers and sizes, columns in random units."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_info

from advnmf import NMF, AutoNMF, NMFImputer
from advnmf.model_selection import CompletionSearchCV
from advnmf.model_selection.auto.outliers import flag_outliers

pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::advnmf.DataWarning", "ignore::UserWarning"
    ),
]


def data(rng):
    truth = rng.random((30, 3)) @ rng.random((3, 20))
    return np.where(rng.random(truth.shape) < 0.3, np.nan, truth)


MODELS = {
    "auto": lambda: AutoNMF(max_candidates=4, random_state=0),
    "imputer, default": lambda: NMFImputer(AutoNMF(max_candidates=3, random_state=0)),
    "imputer": lambda: NMFImputer(NMF(3, max_iter=300, tol=0, random_state=0)),
    "search": lambda: CompletionSearchCV(NMF(max_iter=60, tol=0, random_state=0), {"n_components": [1, 2, 3]}, cv=2),
    "search, threads": lambda: CompletionSearchCV(
        NMF(max_iter=60, tol=0, random_state=0), {"n_components": [1, 2, 3]}, cv=2, n_jobs=2
    ),
}


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """A KeyboardInterrupt after so long, at whatever instruction that may be."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timer")
@pytest.mark.parametrize("name", MODELS)
def test_interrupts_at_any_instant(name, budget):
    """KeyboardInterrupt comes out or the fit is done; what looks fitted is whole; threads of BLAS come back."""
    seed, threads, n_cut = budget.seed, blas_threads(), 0
    X = data(np.random.default_rng(seed))
    MODELS[name]().fit(X)
    while budget.left() > 0:
        rng = np.random.default_rng(seed)
        model, fitted = MODELS[name](), rng.random() < 0.3
        if fitted:
            model.fit(X)
        came_out, done = False, False
        try:
            with interrupted_after(10.0 ** rng.uniform(-4, 0)):
                model.fit(2 * X)
                done = True
        except KeyboardInterrupt:
            came_out, n_cut = True, n_cut + 1
        assert came_out or done, f"seed {seed}"
        try:
            check_is_fitted(model)
        except NotFittedError:
            assert came_out, f"seed {seed}"
            assert not fitted, f"seed {seed}"
        else:
            filled = model.transform(X) if hasattr(model, "indicator_") else model.complete(X)
            assert np.isfinite(filled).all(), f"seed {seed}"
            assert (filled >= 0).all(), f"seed {seed}"
        if "threads" not in name:  # workers that are not waited for may still hold the limit
            assert blas_threads() == threads, f"seed {seed}"
        seed += 1
    assert n_cut


def test_outliers_of_any_number_and_size(budget):
    """Up to five per cent of the entries, three to a thousand million times too large, ranks 1 to 8."""
    seed, errors = budget.seed, []
    while budget.left() > 0:
        rng = np.random.default_rng(seed)
        rank, size, share = int(rng.integers(1, 9)), 10 ** rng.uniform(0.5, 9), 10 ** rng.uniform(-3, np.log10(0.05))
        truth = rng.random((80, rank)) @ rng.random((rank, 40))
        observed = rng.random(truth.shape) > 0.25
        clean = np.where(observed, truth * (1 + 0.01 * rng.standard_normal(truth.shape)), np.nan)
        X = clean.copy()
        X.flat[rng.choice(np.flatnonzero(observed), max(1, int(share * observed.sum())), replace=False)] *= size
        filled, of_clean = (AutoNMF(max_candidates=16, random_state=0).fit_complete(Y) for Y in (X, clean))
        errors.append([np.sqrt(np.mean((F - truth)[~observed] ** 2)) for F in (filled, of_clean)])
        assert errors[-1][0] < 0.1 * truth.std(), (
            f"seed {seed}: rank {rank}, {share:.2%} of size {size:.3g}: {errors[-1]}"
        )
        seed += 1
    ratios = np.divide(*np.transpose(errors))
    assert np.median(ratios) < 1.2


def test_no_false_alarm_on_clean_tails(budget):
    """Noise of many kinds over factors of many kinds: next to none looks like outliers."""
    seed, alarms = budget.seed, []
    noises = [
        lambda rng, T: T * rng.exponential(1, T.shape),
        lambda rng, T: T * rng.gamma(0.7, 1, T.shape),
        lambda rng, T: T * np.exp(rng.standard_normal(T.shape)),
        lambda rng, T: rng.poisson(10 * T).astype(float),
        lambda rng, T: rng.poisson(T).astype(float),
        lambda rng, T: np.maximum(T + 0.1 * rng.standard_normal(T.shape), 0),
        lambda rng, T: T,
    ]
    draws = [
        lambda rng, shape: rng.random(shape),
        lambda rng, shape: rng.standard_exponential(shape),
        lambda rng, shape: np.exp(rng.standard_normal(shape)),
    ]
    while budget.left() > 0:
        rng = np.random.default_rng(seed)
        shape, rank = rng.integers(10, 120, 2), int(rng.integers(1, 9))
        draw, noise = draws[rng.integers(len(draws))], noises[rng.integers(len(noises))]
        X = noise(rng, draw(rng, (shape[0], rank)) @ draw(rng, (rank, shape[1])))
        rows, columns = np.nonzero(rng.random(X.shape) < rng.uniform(0.2, 1))
        alarms.append(flag_outliers(X[rows, columns], rows, columns, X.shape) is not None)
        seed += 1
    assert np.mean(alarms) < 0.02


def test_never_worse_than_the_column_means(budget):
    """Columns of one or two causes or of none, in any units, some far from zero: raw and in each column's own unit."""
    seed, raw, own = budget.seed, [], []
    while budget.left() > 0:
        rng = np.random.default_rng(seed)
        n, m, rank = int(rng.integers(40, 150)), int(rng.integers(2, 9)), int(rng.integers(0, 3))
        truth = rng.gamma(1, 1, (n, m)) + (rng.gamma(1, 3, (n, rank)) @ rng.gamma(1, 3, (rank, m)) if rank else 0)
        truth = truth * 10 ** rng.uniform(-3, 3, m) + rng.choice([0, 0, 1000], m)
        hidden = rng.random(truth.shape) < 0.15
        hidden[hidden.all(axis=1)] = False
        X = np.where(hidden, np.nan, truth)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            filled = AutoNMF(max_candidates=10, random_state=0).fit_complete(X)
        means, std = np.where(hidden, np.nanmean(X, axis=0), X), np.nanstd(X, axis=0)
        for ratios, unit in ((raw, 1.0), (own, std)):
            squares = [np.mean(((F - truth) / unit)[hidden] ** 2) for F in (filled, means)]
            ratios.append(np.sqrt(squares[0] / squares[1]))
        seed += 1
    # On hidden entries, which are other ones than those held out: not worse but for chance.
    for ratios in (raw, own):
        assert np.exp(np.mean(np.log(ratios))) < 1.0
        assert np.quantile(ratios, 0.95) < 1.1
