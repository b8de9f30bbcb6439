"""Held-out entries in the pattern of the missing ones: the splitter, what `AutoNMF` announces, order and grids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from advnmf import NMF, AutoNMF, DataWarning, load, save
from advnmf.data.boundary import read_observed
from advnmf.model_selection import CompletionSearchCV, EntryPatternSplit, EntryShuffleSplit, cross_val_score_entries
from advnmf.model_selection.holes import Holes, kinds_of
from advnmf.model_selection.neighbours import Layout
from advnmf.penalties import Smooth

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SHAPE = (120, 20)


def run_lengths(lines):
    """Lengths of the runs of flagged lines, ascending."""
    edges = np.flatnonzero(np.diff(np.r_[0, lines.astype(int), 0]))
    return sorted(edges[1::2] - edges[::2])


def scattered(rng):
    return rng.random(SHAPE) < 0.2


def whole_rows(rng):
    return np.tile(rng.random(SHAPE[0])[:, None] < 0.15, SHAPE[1])


def blocks(rng):
    """The last eight columns in a quarter of the rows."""
    return (rng.random(SHAPE[0]) < 0.25)[:, None] & (np.arange(SHAPE[1]) >= 12)


def runs(rng):
    """Each column is off for 15 rows, from anywhere."""
    start = rng.integers(SHAPE[0] - 15, size=SHAPE[1])
    rows = np.arange(SHAPE[0])[:, None]
    return (rows >= start) & (rows < start + 15)


def uneven(rng):
    return rng.random(SHAPE) < np.where(rng.random(SHAPE[0]) < 0.3, 0.6, 0.05)[:, None]


KINDS = {scattered: "scattered", whole_rows: "none", blocks: "structured", runs: "structured", uneven: "uneven"}
patterns = pytest.mark.parametrize("pattern", KINDS, ids=lambda each: each.__name__)


def with_holes(missing, seed=0):
    return np.where(missing, np.nan, np.random.default_rng(seed).random(missing.shape))


# --- the pattern ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@patterns
def test_patterns_are_told_apart(pattern, seed):
    missing = pattern(np.random.default_rng(seed))
    assert Holes(missing).kind == KINDS[pattern]


@pytest.mark.parametrize("seed", range(10))
def test_columns_that_miss_more_than_others_are_no_structure(seed):
    rng = np.random.default_rng(seed)
    assert Holes(rng.random((200, 12)) < rng.uniform(0, 0.6, 12)).kind == "scattered"


# --- the splitter -----------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    shape=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    share=st.sampled_from([0.0, 0.3, 0.8]),
    order=st.sampled_from([None, True]),
)
def test_splits_partition_what_is_observed(seed, shape, share, order):
    rng = np.random.default_rng(seed)
    missing = rng.random(shape) < share
    X = with_holes(missing)
    cv = EntryPatternSplit(2, test_size=0.3, samples_order=order, features_order=order, random_state=seed)
    try:
        splits = list(cv.weighted_observed(read_observed(X)))
    except ValueError as error:
        if "too few observed entries" not in str(error):
            raise
        return
    for train, test, weights in splits:
        assert test.any()
        assert train.any()
        np.testing.assert_array_equal(train ^ test, ~missing)
        assert weights.shape == (np.count_nonzero(test),)
        assert (weights > 0).all()
        assert weights.mean() == pytest.approx(1)
        # Lines are held out as a whole only where such are missing.
        if not (missing.all(axis=1).any() or missing.all(axis=0).any()):
            np.testing.assert_array_equal(train.any(axis=1), ~missing.all(axis=1))


@patterns
def test_what_is_left_of_a_row_is_what_is_left_of_rows_with_holes(pattern):
    missing = pattern(np.random.default_rng(0))
    left = np.count_nonzero(~missing, axis=1)
    of_missing = left[np.nonzero(missing)[0]].mean()
    for train, test, weights in EntryPatternSplit(3, random_state=0).weighted_observed(
        read_observed(with_holes(missing))
    ):
        of_held = np.average(np.count_nonzero(train, axis=1)[np.nonzero(test)[0]], weights=weights)
        assert of_held == pytest.approx(of_missing, rel=0.15, abs=0.5)
        uniform = ~missing & (np.random.default_rng(1).random(SHAPE) < 0.1)
        of_uniform = np.count_nonzero(~missing & ~uniform, axis=1)[np.nonzero(uniform)[0]].mean()
        assert pattern in (scattered, runs) or of_uniform != pytest.approx(of_missing, rel=0.2, abs=0.5)


def test_columns_are_held_out_as_they_are_missing():
    rng = np.random.default_rng(0)
    rates = np.where(np.arange(20) < 3, 0.6, 0.05)
    missing = rng.random((400, 20)) < rates
    (_, test, weights), *_ = EntryPatternSplit(random_state=0).weighted_observed(read_observed(with_holes(missing)))
    held = np.bincount(np.nonzero(test)[1], weights, 20) / weights.sum()
    assert held[:3].sum() == pytest.approx(missing[:, :3].sum() / missing.sum(), rel=0.15)
    assert test[:, :3].sum() < 0.5 * held[:3].sum() * test.sum()  # the weights do it


def test_without_a_pattern_all_count_alike():
    missing = np.random.default_rng(0).random((200, 30)) < 0.3
    for _, _, weights in EntryPatternSplit(3, random_state=0).weighted_observed(read_observed(with_holes(missing))):
        assert np.ptp(weights) < 0.2


def test_runs_of_rows_keep_their_lengths_and_stay_apart():
    missing = np.zeros((300, 5), bool)
    for start in (20, 70, 110, 160, 200, 280):
        missing[start : start + 6] = True
    for train, test in EntryPatternSplit(3, samples_order=True, random_state=0).split(with_holes(missing)):
        assert set(run_lengths(test.all(axis=1))) == {6}
        assert set(run_lengths(~train.any(axis=1))) == {6}
        np.testing.assert_array_equal(test.any(axis=1), test.all(axis=1))


def test_positions_say_what_is_beside():
    order = np.random.default_rng(0).permutation(100)
    missing = np.zeros((100, 4), bool)
    missing[(order >= 40) & (order < 50)] = True
    for _, test in EntryPatternSplit(3, samples_order=order * 0.5, random_state=0).split(with_holes(missing)):
        assert set(run_lengths(test.all(axis=1)[np.argsort(order)])) == {10}


def test_clouds_keep_their_shape():
    y, x = np.mgrid[:24, :24]
    cloud = ((y - 8) ** 2 + (x - 9) ** 2 < 9).ravel()
    X = with_holes(np.tile(cloud[:, None], 3))
    for _, test in EntryPatternSplit(3, samples_grid=(24, 24), random_state=0).split(X):
        held = test.all(axis=1).reshape(24, 24)
        layout = Layout.of(576, "samples", grid=(24, 24))
        sizes = np.bincount(layout.parts(held.ravel()))
        assert set(sizes) == {cloud.sum()}


def test_half_a_cloud_is_held_out_in_its_columns():
    y, x = np.mgrid[:24, :24]
    cloud = ((y - 8) ** 2 + (x - 9) ** 2 < 16).ravel()
    X = with_holes(cloud[:, None] & (np.arange(6) < 3))
    for _, test in EntryPatternSplit(2, samples_grid=(24, 24), random_state=0).split(X):
        assert set(map(tuple, test[test.any(axis=1)])) == {(True,) * 3 + (False,) * 3}


def test_the_kinds_count_by_their_share_of_what_is_missing():
    rng = np.random.default_rng(0)
    missing = rng.random((300, 20)) < 0.1
    missing[rng.random(300) < 0.05] = True
    (train, test, weights), *_ = EntryPatternSplit(random_state=0).weighted_observed(read_observed(with_holes(missing)))
    whole = kinds_of(train)[test] > 0
    expected = missing[missing.all(axis=1)].sum() / missing.sum()
    assert weights[whole].sum() / weights.sum() == pytest.approx(expected, rel=1e-6)


def test_a_seed_decides():
    X = with_holes(blocks(np.random.default_rng(0)))
    one, same, other = (next(EntryPatternSplit(random_state=seed).split(X))[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@patterns
def test_sparse_as_dense(pattern):
    missing = pattern(np.random.default_rng(0))
    X = with_holes(missing)
    rows, columns = np.nonzero(~missing)
    stored = sparse.csr_array((X[rows, columns], (rows, columns)), shape=X.shape)
    cv = EntryPatternSplit(2, random_state=0)
    for (_, test), (train, flags) in zip(cv.split(X), cv.split(stored), strict=True):
        np.testing.assert_array_equal(flags, test[rows, columns])
        np.testing.assert_array_equal(train, ~flags)


def test_of_ratings_any_is_held_out():
    missing = np.random.default_rng(0).random((60, 50)) < 0.9
    X = with_holes(missing)
    rows, columns = np.nonzero(~missing)
    stored = sparse.csr_array((X[rows, columns], (rows, columns)), shape=X.shape)
    (_, flags, weights), *_ = EntryPatternSplit(random_state=0).weighted_observed(read_observed(stored))
    assert flags.mean() == pytest.approx(0.1, abs=0.02)
    assert (weights == 1).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_splits": 0}, "n_splits=0"),
        ({"test_size": 1.5}, "test_size=1.5"),
        ({"samples_order": [1.0, 2.0]}, "samples_order has 2 positions, but X has 120 samples"),
        ({"samples_order": [np.nan] * 120}, "samples_order holds nan at 0"),
        ({"samples_order": "time"}, "samples_order='time' must be None, True or an array"),
        ({"features_grid": (3, 5)}, "features_grid=\\(3, 5\\) has 15 points, but X has 20 features"),
        ({"features_grid": (3, 0)}, "features_grid=\\(3, 0\\) must be None or a pair of positive integers"),
        ({"samples_order": True, "samples_grid": (12, 10)}, "samples_order and samples_grid are both given"),
    ],
)
def test_invalid_parameters(parameters, message):
    X = with_holes(scattered(np.random.default_rng(0)))
    with pytest.raises(ValueError, match=message):
        next(EntryPatternSplit(**parameters).split(X))
    if not {"n_splits", "test_size"} & set(parameters):
        with pytest.raises(ValueError, match=message):
            AutoNMF(max_candidates=2, **parameters).fit(X)


# --- errors -----------------------------------------------------------------------------------------------------------


def planted(missing, noise=0.01, rank=3):
    rng = np.random.default_rng(0)
    truth = (rng.random((missing.shape[0], rank)) ** 2) @ rng.random((rank, missing.shape[1]))
    truth = np.maximum(truth + noise * rng.standard_normal(truth.shape), 0)
    return np.where(missing, np.nan, truth), truth


def rmse(P, truth, where):
    return float(np.sqrt(np.mean(np.square(P - truth)[where])))


def hardly_known(rng):
    """In three rows of ten all but two columns are missing."""
    return (rng.random(300) < 0.3)[:, None] & (np.arange(20) >= 2)


def a_tenth_of_the_rows(rng):
    return np.tile(rng.random(300)[:, None] < 0.1, 20)


@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
@pytest.mark.parametrize("pattern", [a_tenth_of_the_rows, hardly_known], ids=lambda each: each.__name__)
def test_held_out_anywhere_the_error_is_understated_and_in_the_pattern_it_is_not(pattern):
    missing = pattern(np.random.default_rng(1))
    X, truth = planted(missing, noise=0.05)
    model = NMF(3, alpha_W=0.002, max_iter=200, random_state=0)
    true = rmse(model.fit(X).reconstruct(), truth, missing)
    uniform, own = (
        float(np.sqrt(np.mean(np.square(cross_val_score_entries(model, X, cv=cv))))) / true
        for cv in (EntryShuffleSplit(3, random_state=0), EntryPatternSplit(3, random_state=0))
    )
    assert uniform < 0.6
    assert 0.8 < own < 1.25


def test_search_weighs_entries_as_the_splitter_does():
    rng = np.random.default_rng(0)
    X, _ = planted(rng.random((80, 12)) < np.where(np.arange(12) < 3, 0.5, 0.05))
    cv, seen = EntryPatternSplit(2, random_state=0), []

    def score(truth, prediction, sample_weight):
        seen.append(sample_weight)
        return -float(np.average(np.square(truth - prediction), weights=sample_weight))

    CompletionSearchCV(NMF(max_iter=5, random_state=0), {"n_components": [2]}, cv=cv, scoring=score).fit(X)
    expected = [weights for _, _, weights in cv.weighted_observed(read_observed(X))]
    for found, weights in zip(seen, expected, strict=True):
        np.testing.assert_allclose(found, weights)
        assert np.ptp(found) > 0.5


@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
def test_whole_rows_are_announced_as_they_are_filled():
    missing = whole_rows(np.random.default_rng(0))
    X, truth = planted(missing)
    model = AutoNMF(max_candidates=4, random_state=0).fit(X)
    filled, std = model.complete(X, return_std=True)
    assert -model.best_score_ == pytest.approx(rmse(filled, truth, missing), rel=0.25)
    assert np.mean(np.abs(filled - truth)[missing] <= 1.645 * std[missing]) == pytest.approx(0.9, abs=0.07)
    assert model.n_components_ > 1  # which rows without entries do not decide
    at_random = AutoNMF(max_candidates=4, holdout="random", random_state=0).fit(X)
    assert -at_random.best_score_ < 0.5 * rmse(filled, truth, missing)
    assert f"{np.count_nonzero(missing.all(axis=1))} whole rows" in model.explain()
    assert "at random" in at_random.explain()


@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
def test_scattered_entries_and_whole_rows_have_intervals_of_their_own():
    rng = np.random.default_rng(0)
    missing = rng.random((200, 20)) < 0.1
    missing[:20] = True
    X, truth = planted(missing)
    model = AutoNMF(max_candidates=4, random_state=0).fit(X)
    filled, std = model.complete(X, return_std=True)
    inside = np.abs(filled - truth) <= 1.645 * std
    single = missing & (np.arange(200) >= 20)[:, None]
    assert inside[:20].mean() == pytest.approx(0.9, abs=0.07)
    assert inside[single].mean() == pytest.approx(0.9, abs=0.07)
    assert std[:20].mean() > 3 * std[single].mean()


def test_a_column_that_was_never_observed_is_not_promised():
    missing = np.random.default_rng(0).random((60, 8)) < 0.1
    missing[:, 2] = True
    X, _ = planted(missing)
    with pytest.warns(DataWarning) as told:
        model = AutoNMF(max_candidates=3, random_state=0).fit(X)
    words = "no error can be stated, as nothing observed stands for 1 column in which nothing is observed"
    assert any(words in str(each.message) for each in told)
    assert np.isnan(model.best_score_)
    assert "No error can be stated" in model.explain()
    _, std = model.complete(np.where(np.arange(8) == 5, np.nan, X), return_std=True)
    assert np.isinf(std[:, 2]).all()
    assert np.isfinite(np.delete(std, 2, axis=1)).all()


@pytest.mark.filterwarnings("ignore:1 rows of X are zero")
def test_rows_that_are_observed_in_halves_that_never_meet_are_not_promised():
    missing = (np.arange(80) % 2 == 0)[:, None] ^ (np.arange(10) < 5)
    X, _ = planted(missing)
    with pytest.warns(DataWarning, match="rows whose holes no other row has observed"):
        model = AutoNMF(max_candidates=2, random_state=0).fit(X)
    assert np.isnan(model.best_score_)


def test_holdout_as_told():
    X, _ = planted(scattered(np.random.default_rng(0)))
    cv = EntryShuffleSplit(2, test_size=0.2, random_state=3)
    splits = list(cv.split(X))
    by_splitter, by_pairs = (AutoNMF(max_candidates=2, holdout=how, random_state=0).fit(X) for how in (cv, splits))
    held = by_splitter.held_out_
    flags = np.zeros((2, *X.shape), bool)
    flags[held.fold, held.rows, held.columns] = True
    np.testing.assert_array_equal(flags, [test for _, test in splits])
    assert by_pairs.best_score_ == by_splitter.best_score_
    assert "as given" in by_pairs.explain()
    with pytest.raises(ValueError, match="holdout='blocks' must be 'auto', 'random', a splitter"):
        AutoNMF(holdout="blocks").fit(X)


# --- order and grids --------------------------------------------------------------------------------------------------


def series(n=100):
    t = np.arange(n)[:, None] / 8
    rng = np.random.default_rng(0)
    truth = 2 + np.sin(t * rng.uniform(0.5, 1.5, 2) + rng.uniform(0, 6, 2)) @ rng.random((2, 8))
    return truth + 0.03 * rng.standard_normal(truth.shape)


@pytest.fixture(scope="module")
def in_order():
    truth = series()
    X = truth.copy()
    for start in (15, 41, 65, 85):
        X[start : start + 4] = np.nan
    return (
        AutoNMF(max_candidates=5, samples_order=True, random_state=0).fit(X),
        X,
        truth,
    )


def test_rows_in_order_are_filled_from_their_neighbours(in_order):
    model, X, truth = in_order
    missing = np.isnan(X)
    lines = np.column_stack([np.interp(np.arange(100), np.flatnonzero(~missing[:, 0]), x[~missing[:, 0]]) for x in X.T])
    filled, std = model.complete(X, return_std=True)
    error = rmse(filled, truth, missing)
    assert error < 1.1 * rmse(lines, truth, missing) < 0.4 * rmse(np.nanmean(X, axis=0), truth, missing)
    assert 0.5 * error < -model.best_score_ < 2 * error
    assert (std[missing] > 0).all()
    assert "over neighbouring samples" in model.explain()


def test_the_order_is_kept_in_files_and_for_new_rows(in_order, tmp_path):
    model, X, truth = in_order
    save(model, tmp_path / "model.advnmf")
    np.testing.assert_array_equal(load(tmp_path / "model.advnmf").complete(X), model.complete(X))
    part = X[:70]
    assert rmse(model.complete(part), truth[:70], np.isnan(part)) < 0.2 * truth.std()


@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
def test_new_rows_have_no_place_among_positions():
    truth = series(60)
    X = np.where((np.arange(60) // 3 % 7 == 2)[:, None], np.nan, truth)
    times = np.datetime64("2020-01-01") + np.arange(60) * np.timedelta64(6, "h")
    model = AutoNMF(max_candidates=1, samples_order=times, random_state=0).fit(X)
    assert np.isfinite(model.complete(X)).all()
    new = np.where(np.arange(8) == 3, np.nan, truth[:5])
    assert np.isfinite(model.complete(new)).all()


def test_columns_in_order_are_filled_and_announced():
    truth = series().T
    X = truth.copy()
    X[:, [33, 34, 60, 81]] = np.nan
    model = AutoNMF(max_candidates=7, features_order=True, random_state=0).fit(X)
    missing = np.isnan(X)
    filled, std = model.complete(X, return_std=True)
    error = rmse(filled, truth, missing)
    assert error < 0.2 * truth.std()
    assert 0.4 * error < -model.best_score_ < 2.5 * error
    assert np.isfinite(std).all()


def test_a_grid_of_rows():
    y, x = np.mgrid[:14, :14] / 14
    rng = np.random.default_rng(0)
    codes = np.stack([y, x, np.sin(3 * y) ** 2, np.cos(2 * x) ** 2], axis=2).reshape(196, 4)
    truth = codes @ rng.random((4, 6)) + 0.05 * rng.random((196, 6))
    X = np.where(rng.random(196)[:, None] < 0.1, np.nan, truth)
    model = NMF(4, alpha_W=1e-3, penalty_W=Smooth(0.03, grid=(14, 14)), max_iter=100, random_state=0)
    missing = np.isnan(X)
    error = rmse(model.fit(X).complete(X), truth, missing)
    assert error < 0.3 * rmse(np.nanmean(X, axis=0), truth, missing)
    cv = EntryPatternSplit(3, samples_grid=(14, 14), random_state=0)
    assert 0.6 * error < -cross_val_score_entries(model, X, cv=cv).mean() < 1.6 * error
