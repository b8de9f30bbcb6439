"""Splits of entries, scores and searches over held-out entries."""

from __future__ import annotations

import runpy
import warnings
from functools import reduce
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

from advnmf import ADNMF, ANMF, ATNMF, DMF, HQASD, NMF, DeepNMF, NMFImputer, metrics
from advnmf.data.boundary import read_observed
from advnmf.engine.loop import Sweeps
from advnmf.engine.starts import narrowed
from advnmf.model_selection import (
    CompletionSearchCV,
    EntryKFold,
    EntryShuffleSplit,
    cross_val_score_entries,
    held_out_entries,
    training_matrix,
)
from advnmf.model_selection.cross_validation import make_folds
from advnmf.model_selection.scoring import get_scoring
from advnmf.model_selection.trials import RefitTrial, SweepTrial, advance_all, limited, make_trial

SPLITTERS = [
    EntryKFold(3, random_state=0),
    EntryKFold(3, shuffle=False),
    EntryShuffleSplit(2, test_size=0.3, random_state=0),
    EntryShuffleSplit(2, test_size=4, random_state=0),
    EntryShuffleSplit(2, test_size=0.3, pattern="rows", random_state=0),
    EntryShuffleSplit(2, test_size=2, pattern="rows", random_state=0),
    EntryShuffleSplit(2, test_size=0.3, pattern="blocks", random_state=0),
    EntryShuffleSplit(2, test_size=0.3, pattern="blocks", block_shape=(9, 1), random_state=0),
]
splitters = pytest.mark.parametrize("cv", SPLITTERS, ids=repr)
DIAGONAL = np.where(np.eye(3) > 0, 1.0, np.nan)
RMSE = get_scoring("neg_root_mean_squared_error")
HOLES = EntryShuffleSplit(test_size=0.15, random_state=0)


@st.composite
def holed(draw):
    """A small matrix, some of it missing: empty lines and lines of one entry are common."""
    n, m = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    X = rng.gamma(1.0, size=(n, m))
    X[rng.random((n, m)) < draw(st.sampled_from([0.0, 0.3, 0.8]))] = np.nan
    return X


def stored(X, keep_nan=False):
    """The observed entries in compressed rows (with the others as stored NaN)."""
    rows, columns = np.nonzero(np.ones(X.shape, bool) if keep_nan else ~np.isnan(X))
    return sparse.csr_array((X[rows, columns], (rows, columns)), shape=X.shape)


def splits_of(cv, X, **kwargs):
    """The splits, or none where the data leave nothing to hold out."""
    try:
        return list(cv.split(X, **kwargs))
    except ValueError as error:
        if "too few observed entries" not in str(error):
            raise
        return []


# --- splits ------------------------------------------------------------------------------------------------------


@splitters
@settings(max_examples=60)
@given(X=holed())
def test_splits_partition_what_is_observed_and_empty_no_line(cv, X):
    observed = ~np.isnan(X)
    splits = splits_of(cv, X)
    assert len(splits) in (0, cv.get_n_splits())
    for train, test in splits:
        assert test.any()
        assert not (train & test).any()
        np.testing.assert_array_equal(train | test, observed)
        for axis in (0, 1):
            np.testing.assert_array_equal(train.any(axis), observed.any(axis))


@settings(max_examples=60)
@given(X=holed(), shuffle=st.booleans())
def test_folds_are_disjoint_and_leave_out_only_what_a_line_must_keep(X, shuffle):
    splits = splits_of(EntryKFold(3, shuffle=shuffle, random_state=0 if shuffle else None), X)
    if not splits:
        return
    times = np.sum([test for _, test in splits], axis=0)
    assert times.max() <= 1
    observed = ~np.isnan(X)
    kept = observed & (times == 0)
    # Each entry that is never held out was, in one fold, the last of its row or of its column.
    n, m = X.shape
    assert kept.sum() <= n + m
    alone = (observed.sum(1, keepdims=True) == 1) | (observed.sum(0) == 1)
    assert (kept >= (observed & alone)).all()


@splitters
@settings(max_examples=25)
@given(X=holed())
def test_sparse_splits_are_those_of_the_same_dense_entries(cv, X):
    observed = ~np.isnan(X)
    dense = splits_of(cv, X)
    junk = np.where(observed, X, -7.0)
    for other in (splits_of(cv, junk, mask=observed), splits_of(cv, np.ma.array(junk, mask=~observed))):
        for (_, test), (_, same) in zip(dense, other, strict=True):
            np.testing.assert_array_equal(test, same)
    for (train, test), (kept, held) in zip(dense, splits_of(cv, stored(X)), strict=True):
        np.testing.assert_array_equal(held, test[observed])
        np.testing.assert_array_equal(kept, train[observed])
    for (_, test), (_, held) in zip(dense, splits_of(cv, stored(X, keep_nan=True)), strict=True):
        np.testing.assert_array_equal(held, test.ravel())


def test_sizes_and_quotas():
    X = np.random.default_rng(0).random((40, 30))
    X[0, 3:] = np.nan
    sizes = [test.sum() for _, test in EntryKFold(5, random_state=0).split(X)]
    assert max(sizes) - min(sizes) <= 1
    for pattern in ("uniform", "blocks"):
        for train, test in EntryShuffleSplit(3, test_size=0.2, pattern=pattern, random_state=0).split(X):
            assert test.sum() == round(0.2 * (train | test).sum())
    for train, test in EntryShuffleSplit(3, test_size=0.25, pattern="rows", random_state=0).split(X):
        share = 0.25 * (train | test).sum(axis=1)
        assert (np.abs(test.sum(axis=1) - share) < 1).all()
        assert abs(test.sum() - share.sum()) < 8  # 39 rows of 7 or 8: 3 standard deviations are 9.4
    (_, test), *_ = EntryShuffleSplit(test_size=2, pattern="rows", random_state=0).split(X)
    assert (test.sum(axis=1) == 2).all()


def test_blocks_are_blocks():
    (_, test), *_ = EntryShuffleSplit(test_size=60, pattern="blocks", block_shape=(5, 4), random_state=3).split(
        np.ones((40, 30))
    )
    inside = test[1:-1, 1:-1]
    neighbours = test[:-2, 1:-1] | test[2:, 1:-1], test[1:-1, :-2] | test[1:-1, 2:]
    assert (neighbours[0] & neighbours[1])[inside].all()
    assert test.any(axis=1).sum() <= 5 * 5


def test_seeds_decide():
    X = np.ones((20, 10))
    for cv in (EntryKFold(3, random_state=1), EntryShuffleSplit(2, random_state=1)):
        for (_, a), (_, b) in zip(cv.split(X), cv.split(X), strict=True):
            np.testing.assert_array_equal(a, b)
    (_, a), (_, b) = EntryShuffleSplit(2, random_state=1).split(X)
    assert (a != b).any()


def test_training_matrix_and_held_out_entries():
    X = np.arange(12.0).reshape(3, 4)
    X[1, 2] = np.nan
    train, test = next(EntryShuffleSplit(test_size=3, random_state=0).split(X))
    np.testing.assert_array_equal(~np.isnan(training_matrix(X, train)), train)
    rows, columns, values = held_out_entries(X, test)
    assert test[rows, columns].all()
    np.testing.assert_array_equal(values, X[test])
    kept, held = next(EntryShuffleSplit(test_size=3, random_state=0).split(stored(X)))
    loose = training_matrix(stored(X), kept)
    assert loose.nnz == 11
    np.testing.assert_array_equal(np.isnan(loose.data), held)
    for one, other in zip(held_out_entries(stored(X), held), (rows, columns, values), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("cv", "X", "message"),
    [
        (EntryKFold(1), np.ones((3, 3)), "n_splits=1 must be an integer at least 2"),
        (EntryShuffleSplit(test_size=1.0), np.ones((3, 3)), "test_size=1.0 must be a share below 1"),
        (EntryShuffleSplit(test_size=-0.1), np.ones((3, 3)), "test_size=-0.1"),
        (
            EntryShuffleSplit(test_size=9),
            np.ones((3, 3)),
            "too few observed entries.*asks 9 of 9",
        ),
        (EntryShuffleSplit(pattern="holes"), np.ones((3, 3)), "pattern='holes' must be one of"),
        (EntryShuffleSplit(pattern="blocks", block_shape=4), np.ones((3, 3)), "block_shape=4 must be None or a pair"),
        (EntryShuffleSplit(pattern="blocks", block_shape=(0, 2)), np.ones((3, 3)), "block_shape=0"),
        (
            EntryKFold(2),
            DIAGONAL,
            "too few observed entries to hold any out: 3 at n_samples=3",
        ),
        (EntryKFold(2), np.full((2, 2), np.inf), "infinity"),
        (EntryKFold(2), sparse.csr_array((3, 3)), "too few observed entries"),
    ],
)
def test_splits_refuse(cv, X, message):
    with pytest.raises(ValueError, match=message):
        list(cv.split(X))


def test_a_mask_of_sparse_data_is_a_vector_over_what_is_stored():
    X = stored(np.ones((4, 5)))
    mask = np.arange(20) < 15
    for train, test in EntryKFold(2, random_state=0).split(X, mask=mask):
        np.testing.assert_array_equal(train | test, mask)
    with pytest.raises(ValueError, match="mask of a sparse X must be 20 booleans"):
        list(EntryKFold(2).split(X, mask=np.ones((4, 5), bool)))


# --- scores ------------------------------------------------------------------------------------------------------

EVERYTHING = [
    NMF(2, max_iter=60, random_state=0),
    NMF(2, n_init=2, max_iter=20, random_state=0),
    ATNMF(2, max_iter=60, random_state=0),
    DeepNMF((3, 2), max_iter=60, random_state=0),
    HQASD(2, max_iter=60, random_state=0),
    DMF(2, (4,), max_iter=60, random_state=0),
    ANMF(2, max_iter=60, random_state=0),
    NMFImputer(NMF(2, max_iter=60, random_state=0)),
    KNNImputer(),
    SimpleImputer(),
]
everything = pytest.mark.parametrize("model", EVERYTHING, ids=lambda model: repr(model).replace("\n", ""))


@pytest.mark.filterwarnings("ignore:Skipping features:UserWarning")
@everything
def test_scores_are_those_of_a_fit_to_the_training_matrix(model, planted):
    _, X = planted
    X = np.c_[X, np.full(len(X), np.nan)] if hasattr(model, "keep_empty_features") else X
    cv = EntryKFold(2, random_state=0)
    scores = cross_val_score_entries(model, X, cv=cv, scoring="neg_mean_absolute_error")
    for score, (train, test) in zip(scores, cv.split(X), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted, holes = clone(model), training_matrix(X, train)
            if hasattr(model, "fit_complete"):
                completed = fitted.fit_complete(holes)
            else:
                completed = np.c_[fitted.fit_transform(holes), np.zeros(len(X))]
        assert score == pytest.approx(-metrics.mae(X, completed, mask=test), rel=1e-9)


@everything
def test_what_is_held_out_is_not_seen(model, planted):
    """The predictions are bit for bit the same whatever the held-out entries hold."""
    _, X = planted
    split = next(HOLES.split(X))
    predictions = []
    for values in (X, np.where(split[1], 1e3 + X, X)):
        (fold,) = make_folds(read_observed(values), [split], None)
        trial = make_trial(model, fold, RMSE)
        advance_all([[(trial, None)]])
        assert trial.error is None
        predictions.append(trial.prediction)
    assert predictions[0].tobytes() == predictions[1].tobytes()


def test_default_holes_are_the_same_in_each_call(planted):
    _, X = planted
    model = NMF(2, max_iter=30, random_state=0)
    scores = cross_val_score_entries(model, X)
    assert scores.shape == (5,)
    np.testing.assert_array_equal(scores, cross_val_score_entries(model, X, cv=EntryKFold(5, random_state=0)))
    np.testing.assert_array_equal(scores, cross_val_score_entries(model, X, n_jobs=2))


def test_sparse_scores_are_dense_scores(planted):
    _, X = planted
    model = NMF(2, max_iter=60, random_state=0, sparse_missing="absent")
    expected = cross_val_score_entries(model, X, cv=3)
    np.testing.assert_allclose(cross_val_score_entries(model, stored(X), cv=3), expected, rtol=1e-5)
    np.testing.assert_allclose(cross_val_score_entries(model, stored(X).tocoo(), cv=3), expected, rtol=1e-5)
    weights = np.random.default_rng(0).uniform(0.5, 2, X.shape)
    expected = cross_val_score_entries(model, X, cv=3, weights=weights)
    loose = stored(np.where(np.isnan(X), np.nan, weights))
    np.testing.assert_allclose(cross_val_score_entries(model, stored(X), cv=3, weights=loose), expected, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_zeros_that_are_not_stored_train():
    X = sparse.csr_array(sparse.random(40, 30, density=0.3, random_state=0))
    ((train, test),) = HOLES.split(X)
    rows, columns, values = held_out_entries(X, test)
    means = {}
    for missing in ("zero", "absent"):
        model = NMF(3, max_iter=20, alpha_W=1e-3, random_state=0, sparse_missing=missing)
        prediction = clone(model).fit(training_matrix(X, train)).predict_pairs(rows, columns)
        score = cross_val_score_entries(model, X, cv=[(train, test)])
        assert score == pytest.approx(-metrics.rmse(values, prediction), rel=1e-9)
        means[missing] = prediction.mean()
    assert means["zero"] < 0.7 * means["absent"]


def test_weights_count_in_fit_and_score(planted):
    _, X = planted
    weights = np.random.default_rng(0).integers(0, 3, X.shape).astype(float)
    model = NMF(2, max_iter=40, random_state=0)
    train, test = next(HOLES.split(X, mask=~np.isnan(X) & (weights > 0)))
    score = cross_val_score_entries(model, X, weights=weights, cv=HOLES)
    with pytest.warns(ConvergenceWarning):
        fitted = clone(model).fit(X, mask=train, weights=weights)
    assert score == pytest.approx(-metrics.rmse(X, fitted.reconstruct(), mask=test, weights=weights), rel=1e-9)
    assert cross_val_score_entries(model, X, weights=weights, cv=HOLES, scoring=r2_score) <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scoring": "rmse"}, "scoring='rmse' must be one of 'neg_root_mean"),
        ({"cv": "five"}, "cv='five' must be a number of folds"),
        ({"cv": 2.5}, "cv=2.5 must be a number of folds"),
        ({"cv": []}, "gave no split"),
        ({"cv": [(np.ones((40, 12), bool), np.zeros((40, 12), bool))]}, "not observed"),
        ({"cv": KFold(3)}, "a splitter of entries such as EntryKFold"),
        ({"mask": np.ones((3, 3))}, r"mask has shape \(3, 3\)"),
        ({"estimator": NMF(2, alpha_W=-1)}, "alpha_W=-1"),
    ],
)
def test_scores_refuse(arguments, message, planted):
    arguments = {"estimator": NMF(2), **arguments}
    with pytest.raises(ValueError, match=message):
        cross_val_score_entries(X=planted[1], **arguments)


# --- trials ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy():
    """Rank 2 under half as much noise, so that more components overfit."""
    rng = np.random.default_rng(1)
    X = rng.gamma(1.0, size=(40, 2)) @ rng.gamma(1.0, size=(2, 30)) * rng.lognormal(0, 0.5, (40, 30))
    return np.where(rng.random(X.shape) < 0.3, np.nan, X)


@pytest.fixture
def fold(planted):
    (fold,) = make_folds(read_observed(planted[1]), HOLES, None)
    return fold


def test_fewer_iterations_after_as_much_pretraining():
    model = NMFImputer(DeepNMF((3, 2), max_iter=70))
    assert limited(model, 20) == {"estimator__max_iter": 20, "estimator__pretrain_iter": 70}
    assert limited(DeepNMF(pretrain_iter=5), 20) == limited(DMF(), 20) == {"max_iter": 20}


@pytest.mark.filterwarnings("ignore::advnmf.DataWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_deep_model_is_refitted_as_it_was_tried(fold):
    """Stopped early, with the pre-training of the trial."""
    model = DeepNMF((6, 5), max_iter=300, tol=0, random_state=0)
    trial = make_trial(model, fold, RMSE, patience=5)
    trial.advance()
    assert trial.n_iter < 300
    fitted = clone(model).set_params(**limited(model, trial.n_iter)).fit(fold.training())
    np.testing.assert_allclose(fitted.predict_pairs(*fold.pairs), trial.prediction, rtol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        NMF(2, max_iter=40, random_state=0),
        NMF(2, loss="correntropy", max_iter=15, random_state=0),
        NMF(2, tol=1e-2, random_state=0),
        ADNMF((3, 2), attack="alternating", attack_every=3, max_iter=20, random_state=0),
    ],
    ids=lambda model: repr(model).replace("\n", ""),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_stepping_in_pieces_is_fitting(model, fold):
    trial = make_trial(model, fold, RMSE)
    assert isinstance(trial, SweepTrial)
    for n_iter in (1, 7, 7, 12, None):
        trial.advance(n_iter)
    fitted = clone(model).fit(fold.training())
    assert trial.done
    assert trial.made == fitted.n_iter_
    np.testing.assert_allclose(reduce(np.matmul, trial.fit.factors), fitted.reconstruct(), rtol=1e-12)
    assert trial.score == -metrics.rmse(fold.held_out.values, trial.prediction)
    if trial.n_iter == trial.made:
        assert trial.converged == (fitted.stop_reason_ == "tol")
        np.testing.assert_allclose(trial.prediction, fitted.predict_pairs(*fold.pairs), rtol=1e-12)
    else:
        assert not trial.converged
        assert trial.score > -metrics.rmse(fold.held_out.values, fitted.predict_pairs(*fold.pairs))
    trial.release()
    assert trial.fit is None


def test_early_stopping_keeps_the_best_look(noisy):
    """Many components and no ridge: the held-out error falls, then rises."""
    (fold,) = make_folds(read_observed(noisy), HOLES, None)
    model = NMF(10, max_iter=300, tol=0, random_state=0)
    curve = []
    whole = make_trial(model, fold, lambda *held_out: curve.append(RMSE(*held_out)) or curve[-1])
    for n_iter in range(1, 301):
        whole.advance(n_iter)
    assert whole.score == max(curve)
    assert whole.n_iter == np.argmax(curve) + 1
    assert np.argmax(curve) < 250
    best = next(n for n in range(300) if n + 8 >= 300 or max(curve[n + 1 : n + 9]) <= curve[n])
    for cls in (SweepTrial, RefitTrial):
        trial = cls(model, fold, RMSE, patience=8)
        advance_all([[(trial, None)]])
        assert trial.done
        assert trial.score == pytest.approx(curve[trial.n_iter - 1], rel=1e-9)
        if cls is SweepTrial:
            assert trial.n_iter == best + 1
        else:
            looks = [8, 16, 32, 64, 128, 256, 300]
            last = next(n for n, after in pairwise(looks) if curve[after - 1] <= curve[n - 1])
            assert trial.n_iter == last


def test_a_trial_may_begin_where_another_ended(fold):
    strong, weak = (make_trial(NMF(2, alpha_W=a, max_iter=30, random_state=0), fold, RMSE) for a in (1e-2, 1e-4))
    weak.after = strong
    strong.advance()
    ended = [F.copy() for F in strong.fit.factors]
    weak.advance()
    with pytest.warns(ConvergenceWarning):
        model = NMF(2, alpha_W=1e-4, max_iter=30, init="custom").fit(fold.training(), factors=ended)
    np.testing.assert_allclose(weak.prediction, model.predict_pairs(*fold.pairs), rtol=1e-12)
    for F, E in zip(strong.fit.factors, ended, strict=True):
        np.testing.assert_array_equal(F, E)


class ThreadCounter(BaseEstimator):
    """Fills in the number of threads that it may use."""

    def fit_transform(self, X):
        return np.where(np.isnan(X), float(numba.get_num_threads()), X)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_workers_share_the_threads(n_jobs, fold):
    before = numba.get_num_threads()
    trials = [make_trial(ThreadCounter(), fold, RMSE) for _ in range(4)]
    advance_all([[(trial, None)] for trial in trials], n_jobs)
    assert {float(trial.prediction[0]) for trial in trials} == {float(max(1, before // n_jobs))}
    assert numba.get_num_threads() == before


def test_failures_are_kept(fold):
    trial = make_trial(NMF(2, alpha_W=-1), fold, RMSE)
    trial.advance()
    assert isinstance(trial.error, ValueError)
    assert np.isnan(trial.score)


# --- search ------------------------------------------------------------------------------------------------------

GRID = {"n_components": [1, 2, 4], "alpha_W": [1e-1, 1e-3, 1e-5]}


def search(X, grid=GRID, *, fit_params=None, max_iter=90, n_components=10, **parameters):
    model = NMF(n_components, max_iter=max_iter, tol=1e-4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of the refit
        return CompletionSearchCV(model, grid, cv=2, random_state=0, **parameters).fit(X, **(fit_params or {}))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"patience": 10},
        {"halving": True, "min_iter": 5},
        {"path": "alpha_W"},
        {"path": "alpha_W", "halving": True},
        {"path": "n_components"},
        {"path": "n_components", "patience": 10},
    ],
    ids=repr,
)
def test_search_finds_the_planted_rank(parameters, planted):
    truth, X = planted
    found = search(X, **parameters)
    assert found.best_params_["n_components"] == 2
    assert metrics.relative_error(truth, found.reconstruct(), mask=np.isnan(X)) < 0.03
    results = found.cv_results_
    assert found.best_score_ == results["mean_test_score"][found.best_index_]
    assert results["rank_test_score"][found.best_index_] == 1
    assert results["params"][found.best_index_] == found.best_params_
    assert found.n_splits_ == 2
    assert found.best_estimator_.init == "random"
    again = search(X, n_jobs=2, **parameters)
    for name in ("split0_test_score", "split1_test_score", "mean_n_iter", "round"):
        np.testing.assert_array_equal(results[name], again.cv_results_[name])
    np.testing.assert_array_equal(found.reconstruct(), again.reconstruct())


def test_results_without_tricks_are_cross_validated_scores(planted):
    _, X = planted
    results = search(X).cv_results_
    for index, params in enumerate(results["params"]):
        model = NMF(max_iter=90, tol=1e-4, random_state=0, **params)
        expected = cross_val_score_entries(model, X, cv=EntryKFold(2, random_state=0))
        actual = [results[f"split{k}_test_score"][index] for k in (0, 1)]
        np.testing.assert_allclose(actual, expected, rtol=1e-12)
        assert results["mean_test_score"][index] == pytest.approx(expected.mean())
        assert results["param_alpha_W"][index] == params["alpha_W"]


def test_halving_drops_the_worst_and_goes_on_from_where_it_was(planted, monkeypatch):
    _, X = planted
    steps, step = [], Sweeps.step
    monkeypatch.setattr(Sweeps, "step", lambda process: steps.append(process) or step(process))
    search(X, refit=False)
    n_whole = len(steps)
    steps.clear()
    found = search(X, halving=True, min_iter=5, refit=False)
    assert len(steps) < 0.5 * n_whole
    results = found.cv_results_
    assert np.bincount(results["round"]).tolist() == [6, 2, 1]
    assert results["mean_n_iter"][results["round"] == 0].max() == 10
    assert results["mean_n_iter"][results["round"] == 1].max() <= 30
    last = found.best_index_
    assert results["round"][last] == 2
    models = [NMF(max_iter=n, tol=1e-4, random_state=0, **found.best_params_) for n in (10, 30, 90)]
    looks = [cross_val_score_entries(model, X, cv=EntryKFold(2, random_state=0)) for model in models]
    for k, expected in enumerate(np.max(looks, axis=0)):
        assert results[f"split{k}_test_score"][last] == pytest.approx(expected, rel=1e-12)


def test_a_path_saves_sweeps(planted):
    _, X = planted
    warm, cold = search(X, path="alpha_W", max_iter=1000), search(X, max_iter=1000)
    assert warm.cv_results_["mean_n_iter"].sum() < 0.8 * cold.cv_results_["mean_n_iter"].sum()
    assert warm.best_params_["alpha_W"] < 1e-1  # so it has begun where another ended, and so does the refit
    assert warm.best_estimator_.n_iter_ < 0.8 * cold.best_estimator_.n_iter_
    first = warm.cv_results_["param_alpha_W"] == 1e-1
    np.testing.assert_array_equal(
        warm.cv_results_["mean_test_score"][first], cold.cv_results_["mean_test_score"][first]
    )


def test_a_path_of_ranks_begins_with_the_strongest_components(fold):
    many, few = (make_trial(NMF(rank, max_iter=30, random_state=0), fold, RMSE) for rank in (5, 2))
    few.after = many
    many.advance()
    few.advance()
    for F, expected in zip(few.start, narrowed(many.fit.factors, 5, 2), strict=True):
        np.testing.assert_array_equal(F, expected)
    with pytest.warns(ConvergenceWarning):
        model = NMF(2, max_iter=30, init="custom").fit(fold.training(), factors=few.start)
    np.testing.assert_allclose(few.fit.factors[1], model.components_, rtol=1e-12)


@pytest.mark.parametrize(
    ("path", "values", "rank"),
    [("alpha_W", [1e-5, 1e-1], 2), ("alpha_W", [1e-5, 1e-1], (2,)), ("n_components", [4, 2], 2)],
)
def test_a_path_with_offsets(path, values, rank, planted):
    """They are carried along, so that few more sweeps are enough."""
    truth, X = planted
    model = NMF(rank, alpha_W=1e-5, biases=True, max_iter=1000, random_state=0)
    found = CompletionSearchCV(model, {path: values}, path=path, cv=2, patience=10, random_state=0).fit(X)
    best = found.best_estimator_
    assert metrics.relative_error(truth, found.reconstruct(), mask=np.isnan(X)) < 0.1
    assert best.components_.shape == (best.n_components_, 12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cold = clone(best).set_params(max_iter=1).fit(X)
    assert best.loss_curve_[0] < 0.5 * cold.loss_curve_[0]
    assert found.complete(X[:5]).shape == (5, 12)


def test_a_path_of_layers_given_as_an_array(planted):
    grid = {"alpha_W": [1e-3, 1e-5]}
    found = search(planted[1], grid, path="alpha_W", n_components=np.array([3, 2]))
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


def test_the_weakest_components_are_left_out():
    """Also where their codes are large; offsets stay as they are."""
    codes = np.array([[1.0, 2.0, 9.0, 5.0, 1.0], [1.0, 2.0, 9.0, 5.0, 1.0]])
    components = np.array([[3.0, 3.0], [1.0, 1.0], [0.1, 0.1], [1.0, 1.0], [7.0, 7.0]])
    narrow = narrowed([codes, components], 3, 2)
    np.testing.assert_array_equal(narrow[0], codes[:, [0, 1, 3, 4]])
    np.testing.assert_array_equal(narrow[1], components[[0, 1, 3, 4]])


def test_one_standard_error_takes_the_simplest_within_it(planted):
    _, X = planted
    found = search(X, one_standard_error=True, grid={"n_components": [2, 3, 4, 5], "alpha_W": [1e-4, 1e-5]})
    results = found.cv_results_
    best = np.argmax(results["mean_test_score"])
    scores = np.array([results["split0_test_score"], results["split1_test_score"]])
    bound = scores.mean(axis=0)[best] - scores[:, best].std(ddof=1) / np.sqrt(2)
    good = [p for p, score in zip(results["params"], scores.mean(axis=0), strict=True) if score >= bound]
    assert found.best_params_ == min(good, key=lambda p: (p["n_components"], -p["alpha_W"]))
    most = search(X, one_standard_error=True, simplicity=lambda p: -p["n_components"])
    assert most.best_params_["n_components"] >= found.best_params_["n_components"]


def test_what_a_candidate_leaves_alone_counts_as_well(planted):
    """All are equally good, and the second has the estimator's rank of 10."""
    grid = [{"n_components": [4, 3]}, {"alpha_W": [1.0]}]
    found = search(planted[1], grid, one_standard_error=True, scoring=lambda truth, prediction: 0.0, refit=False)
    assert found.best_params_ == {"n_components": 3}


def test_early_stopping_ends_the_refit_too(noisy):
    model = NMF(10, max_iter=400, random_state=0)
    found = CompletionSearchCV(model, {"alpha_W": [0.0]}, cv=HOLES, patience=8).fit(noisy)
    assert found.best_estimator_.n_iter_ == found.best_n_iter_ < 100


def test_a_refit_is_not_shortened_if_nothing_was_stopped(planted):
    """One split ends by its tolerance, the other by max_iter."""
    _, X = planted
    model = NMF(2, max_iter=60, tol=1e-4, random_state=0)
    found = CompletionSearchCV(model, {"alpha_W": [1e-5]}, cv=EntryKFold(5, random_state=0), refit=False).fit(X)
    made = [found.cv_results_[f"split{k}_n_iter"][0] for k in range(5)]
    assert min(made) < max(made) == 60
    max_iter = int(np.median(made)) + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = found.set_params(estimator=model.set_params(max_iter=max_iter), refit=True).fit(X)
        whole = NMF(2, alpha_W=1e-5, max_iter=max_iter, tol=1e-4, random_state=0).fit(X)
    assert found.best_estimator_.n_iter_ == whole.n_iter_
    assert found.best_estimator_.pretrain_iter is None


def test_what_overfits_in_the_last_round_is_taken_as_it_was(noisy):
    model = NMF(max_iter=640, tol=0, alpha_W=0.0, random_state=0)
    grid = {"n_components": [9, 10, 11, 12]}
    found = CompletionSearchCV(model, grid, cv=HOLES, halving=True, factor=4).fit(noisy)
    assert found.cv_results_["round"].tolist().count(1) == 1
    assert found.best_estimator_.n_iter_ == found.best_n_iter_ == 160
    assert found.best_estimator_.max_iter == 640  # for the codes of new samples
    whole = cross_val_score_entries(model.set_params(**found.best_params_), noisy, cv=HOLES)
    assert found.best_score_ > whole[0]


@pytest.mark.parametrize("at", [1, 7, 14], ids=["pre-training", "training", "another candidate"])
def test_an_interruption_ends_the_search(planted, monkeypatch, at):
    """Also while layers are pre-trained, which ends in order: 4 sweeps in a trial, then 5 of all factors."""
    step, steps = Sweeps.step, []

    def interrupted(process):
        steps.append(process)
        if len(steps) == at:
            raise KeyboardInterrupt
        return step(process)

    monkeypatch.setattr(Sweeps, "step", interrupted)
    model = DeepNMF((3, 2), max_iter=5, pretrain_iter=2, tol=0, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        CompletionSearchCV(model, {"alpha_W": [1e-2, 1e-3]}, cv=HOLES).fit(planted[1])
    assert len(steps) == at if at != 1 else len(steps) <= 2  # the other layer gets one, so that the chain is whole


class FailsLate(BaseEstimator):
    """Fills in `value`; cannot make more than `most` iterations."""

    def __init__(self, value=0.0, most=100, max_iter=100):
        self.value, self.most, self.max_iter = value, most, max_iter

    def fit_transform(self, X):
        if self.max_iter > self.most:
            raise ArithmeticError("too many")
        return np.where(np.isnan(X), self.value, X)


def test_what_fails_in_the_last_round_is_not_taken(noisy):
    best = float(np.nanmean(noisy))
    grid = [{"value": [best], "most": [50]}, {"value": [best + 2]}, {"value": [best + 3]}]
    races = CompletionSearchCV(FailsLate(), grid, cv=HOLES, halving=True, refit=False)
    with pytest.warns(FitFailedWarning, match="too many"):
        races.fit(noisy)
    assert races.best_params_ == {"value": best + 2}


def test_predictions_of_the_best_are_told(planted):
    _, X = planted
    found = search(X, halving=True, min_iter=5)
    for k, (_, test) in enumerate(EntryKFold(2, random_state=0).split(X)):
        score = found.cv_results_[f"split{k}_test_score"][found.best_index_]
        assert score == pytest.approx(-metrics.rmse(X[test], found.best_predictions_[k]), rel=1e-12)


def test_the_best_estimator_is_fitted_to_everything(planted):
    _, X = planted
    observed = ~np.isnan(X)
    junk = np.where(observed, X, -1.0)
    found = search(junk, fit_params={"mask": observed, "weights": np.full(X.shape, 2.0)})
    model = NMF(max_iter=90, tol=1e-4, random_state=0, **found.best_params_)
    model.fit(junk, mask=observed, weights=np.full(X.shape, 2.0))
    np.testing.assert_array_equal(found.reconstruct(), model.reconstruct())
    np.testing.assert_array_equal(found.transform(X), model.transform(X))
    np.testing.assert_array_equal(found.complete(X), model.complete(X))
    np.testing.assert_array_equal(found.predict_pairs([0, 1], [2, 3]), model.predict_pairs([0, 1], [2, 3]))
    np.testing.assert_array_equal(
        found.inverse_transform(found.transform(X)), model.inverse_transform(model.transform(X))
    )
    assert found.score(X) == model.score(X)
    assert found.n_features_in_ == 12
    assert found.get_feature_names_out()[0] == "nmf0"
    assert found.refit_time_ > 0


def test_any_imputer_is_searched_and_a_search_may_be_imputed_with(planted):
    _, X = planted
    found = CompletionSearchCV(KNNImputer(), {"n_neighbors": [1, 5]}, cv=2, random_state=0).fit(X)
    assert not np.isnan(found.transform(X)).any()
    assert not hasattr(found, "predict_pairs")
    grid = {"estimator__n_components": [1, 2]}
    model = NMFImputer(NMF(alpha_W=1e-4, max_iter=300, random_state=0))
    inner = CompletionSearchCV(model, grid, cv=2, random_state=0, halving=True, factor=2).fit(X)
    assert inner.best_params_ == {"estimator__n_components": 2}
    imputer = NMFImputer(CompletionSearchCV(model.estimator, {"n_components": [1, 2]}, cv=2, random_state=0))
    np.testing.assert_array_equal(imputer.fit_transform(X), inner.transform(X))


def test_sparse_search(planted):
    _, X = planted
    model = NMF(max_iter=90, alpha_W=1e-5, random_state=0, sparse_missing="absent")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = CompletionSearchCV(model, {"n_components": [1, 2, 4]}, cv=2, random_state=0).fit(stored(X))
    assert found.best_params_ == {"n_components": 2}
    assert found.predict_pairs([0], [0]).shape == (1,)


def test_a_mask_reaches_estimators_that_take_none(planted):
    _, X = planted
    junk, observed = np.nan_to_num(X, nan=7.0), ~np.isnan(X)
    expected = CompletionSearchCV(KNNImputer(), {"n_neighbors": [5]}, cv=2, random_state=0).fit(X)
    for arguments in ({"X": junk, "mask": observed}, {"X": np.ma.array(junk, mask=~observed)}):
        found = CompletionSearchCV(KNNImputer(), {"n_neighbors": [5]}, cv=2, random_state=0).fit(**arguments)
        assert found.best_score_ == expected.best_score_
        np.testing.assert_array_equal(found.transform(X), expected.transform(X))
    loose = stored(np.where(observed, X, 7.0))
    model = NMF(2, alpha_W=1e-3, max_iter=500, random_state=0, sparse_missing="absent")
    masked = CompletionSearchCV(model, {"n_components": [2]}, cv=2, random_state=0).fit(loose, mask=observed.ravel())
    absent = CompletionSearchCV(model, {"n_components": [2]}, cv=2, random_state=0).fit(stored(X))
    np.testing.assert_allclose(masked.reconstruct(), absent.reconstruct())


def test_candidates_are_drawn_for_a_seed(planted):
    _, X = planted
    grid = {"n_components": [1, 2, 3, 4], "alpha_W": [1e-3, 1e-4]}
    drawn = search(X, None, param_distributions=grid, n_iter=3, refit=False)
    assert len(drawn.cv_results_["params"]) == 3
    assert drawn.cv_results_["params"] == search(X, None, param_distributions=grid, n_iter=3).cv_results_["params"]
    with pytest.raises(AttributeError, match="refit=True"):
        drawn.transform(X)


def test_a_callable_refit_chooses(planted):
    found = search(planted[1], refit=lambda results: int(np.argmin(results["mean_test_score"])))
    assert found.best_score_ == found.cv_results_["mean_test_score"].min()


def test_failed_candidates_come_last(planted):
    _, X = planted
    grid = {"alpha_W": [-1.0, 1e-4]}
    model = NMF(2, max_iter=300, random_state=0)
    with pytest.warns(FitFailedWarning, match="2 of 4 fits failed; the first: ValueError: alpha_W=-1"):
        found = CompletionSearchCV(model, grid, cv=2).fit(X)
    assert found.best_params_ == {"alpha_W": 1e-4}
    assert found.cv_results_["rank_test_score"].tolist() == [2, 1]
    with pytest.raises(ValueError, match="alpha_W=-1"):
        CompletionSearchCV(model, grid, cv=2, error_score="raise").fit(X)
    well = CompletionSearchCV(model, {"alpha_W": [1e-4]}, cv=2, error_score="raise").fit(X)
    assert np.isfinite(well.best_score_)
    with pytest.raises(ValueError, match="2 of 2 fits failed"):
        CompletionSearchCV(model, {"alpha_W": [-1.0]}, cv=2).fit(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"param_grid": {"rank": [1]}}, "Invalid parameter 'rank'"),
        ({"param_grid": None}, "either param_grid or param_distributions"),
        ({"patience": 0}, "patience=0"),
        ({"one_standard_error": True, "cv": HOLES}, "two splits or more"),
        ({"one_standard_error": True, "refit": max}, "give one"),
        ({"estimator": KNNImputer(), "param_grid": {"n_neighbors": [1]}, "halving": True}, "needs an estimator with"),
        ({"path": "n_components", "param_grid": {"n_components": [(2, 2), 3]}}, "'n_components'.* with numbers"),
        ({"path": "alpha_H"}, "'alpha_H' must be a searched parameter"),
        ({"path": "alpha_W", "estimator": NMF(n_init=2)}, "single random start"),
        ({"error_score": "warn"}, "error_score='warn'"),
        ({"refit": lambda results: 99}, "refit returned 99"),
    ],
)
def test_search_refuses(parameters, message, planted):
    parameters = {"estimator": NMF(max_iter=2, random_state=0), "param_grid": GRID, "cv": 2, **parameters}
    with pytest.raises(ValueError, match=message):
        CompletionSearchCV(**parameters).fit(planted[1])


def test_the_example_runs(capsys, monkeypatch):
    pytest.importorskip("optuna")
    example = Path(__file__).parents[2] / "examples" / "optuna_search.py"
    if not example.exists():
        pytest.skip("a source distribution has not all of the repository")
    monkeypatch.setattr("sys.argv", [str(example), "6"])
    runpy.run_path(str(example), run_name="__main__")
    assert "n_components" in capsys.readouterr().out


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_candidates_are_printed(noisy, n_jobs, capsys):
    model = NMF(max_iter=20, tol=0, random_state=0)
    CompletionSearchCV(model, {"n_components": [1, 2, 3]}, cv=2, n_jobs=n_jobs, verbose=1).fit(noisy)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"[CompletionSearchCV] {n}/3" for n in (1, 2, 3)]
    assert all("score -" in line for line in lines)


def test_an_interrupted_search_leaves_what_was_there(noisy, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    search = CompletionSearchCV(NMF(max_iter=20, tol=0, random_state=0), {"n_components": [1, 2]}, cv=2)
    before = clone(search).fit(noisy)
    filled = before.complete(noisy)
    monkeypatch.setattr("advnmf.model_selection.search.tabulate", interrupt)
    for each in (search, before):
        with pytest.raises(KeyboardInterrupt):
            each.fit(2 * noisy)
    with pytest.raises(NotFittedError):
        search.complete(noisy)
    np.testing.assert_array_equal(before.complete(noisy), filled)
