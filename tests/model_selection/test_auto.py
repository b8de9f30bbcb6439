"""`AutoNMF`: chosen from the observed entries alone, explained, calibrated, ended in time."""

from __future__ import annotations

import re
import time
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from advnmf import NMF, AutoNMF, load, save
from advnmf.data.boundary import read_observed
from advnmf.engine.loop import Sweeps
from advnmf.model_selection.auto.candidates import Candidate, Scales
from advnmf.model_selection.auto.column_scales import LOGGED, Columns, restored, scaling_of, standardised
from advnmf.model_selection.auto.evaluation import Clock, HeldOut, better, evaluate
from advnmf.model_selection.auto.holdout import Holdout
from advnmf.model_selection.auto.outliers import flag_outliers
from advnmf.model_selection.auto.search_task import SearchTask
from advnmf.model_selection.auto.stages import AutoSearch
from advnmf.model_selection.auto.uncertainty import Spread, interval_scale, spread_terms
from advnmf.model_selection.cross_validation import make_folds
from problems import low_rank

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::advnmf.DataWarning")


def planted(seed=0, shape=(40, 30), rank=3, noise=0.01, missing=0.5):
    rng = np.random.default_rng(seed)
    X = low_rank(rng, shape, rank)
    noisy = np.maximum(X + noise * np.sqrt(np.mean(X**2)) * rng.standard_normal(shape), 0)
    return np.where(rng.random(shape) < missing, np.nan, noisy), X


@pytest.fixture(scope="module")
def fitted():
    X, truth = planted()
    return AutoNMF(max_candidates=30, random_state=0).fit(X), X, truth


def rmse(P, X, where):
    return float(np.sqrt(np.mean((P - X)[where] ** 2)))


def test_what_was_planted_is_found(fitted):
    model, X, truth = fitted
    holes = np.isnan(X)
    assert model.n_components_ == 3
    assert rmse(model.complete(X), truth, holes) < 0.02 * np.sqrt(np.mean(truth**2))
    # About as good as who knows the rank: here no ridge is best, which 480 entries do not tell.
    plain = NMF(3, max_iter=500, random_state=0).fit(X).reconstruct()
    assert rmse(model.reconstruct(), truth, holes) < 1.2 * rmse(plain, truth, holes)


def test_it_says_what_it_did(fitted):
    model, _, _ = fitted
    results = model.cv_results_
    assert len(results["params"]) == len(model.candidates_) <= 31  # the column means beside
    assert results["averaged"].sum() == len(model.models_)
    assert "rank 3" in model.explain()
    assert f"{len(model.candidates_) - 1} candidates" in model.explain()
    assert results["params"][0] == "column means"
    best = results["mean_test_score"][results["averaged"]].max()
    assert model.best_score_ == pytest.approx(best, rel=0.1)  # which is not by column


def test_same_seed_same_result_whatever_is_off_the_mask(fitted):
    model, X, _ = fitted
    mask = ~np.isnan(X)
    junk = np.where(mask, X, 1e6 * np.random.default_rng(1).random(X.shape))
    again = clone(model).fit(junk, mask=mask)
    np.testing.assert_array_equal(again.reconstruct(), model.reconstruct())
    assert again.explain().split(" s, ")[1] == model.explain().split(" s, ")[1]


def test_parts_fit_together(fitted):
    model, X, _ = fitted
    codes = model.transform(X)
    assert codes.shape == (40, sum(each._n_features_out for each in model.models_))
    assert len(model.get_feature_names_out()) == codes.shape[1]
    mean = np.mean([each.inverse_transform(each.transform(X)) for each in model.models_], axis=0)
    low, high = (0, np.inf) if model.clip_ is None else model.clip_
    np.testing.assert_allclose(model.inverse_transform(codes), np.clip(mean, low, high), rtol=1e-10)
    np.testing.assert_allclose(model.predict_pairs([0, 3], [5, 1]), model.reconstruct()[[0, 3], [5, 1]], rtol=1e-10)
    observed = ~np.isnan(X)
    np.testing.assert_array_equal(model.complete(X)[observed], X[observed])
    assert model.score(X) < 0


def test_intervals_cover_what_they_say(fitted):
    model, X, truth = fitted
    filled, std = model.complete(X, return_std=True)
    holes = np.isnan(X)
    assert (std[~holes] == 0).all()
    assert (std[holes] > 0).all()
    inside = np.abs(filled - truth)[holes] <= 1.645 * std[holes]
    assert 0.8 < inside.mean() < 0.99


@pytest.mark.parametrize("seed", range(3))
def test_spread_is_calibrated_on_what_it_is_given(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.gamma(1.0, size=4000)
    predictions = sizes + rng.standard_normal((4, 4000)) * 0.1 * sizes
    residuals = rng.standard_normal(4000) * (0.05 + 0.2 * sizes)
    terms = spread_terms(predictions, predictions.mean(axis=0), np.ones(4000), np.full(4000, 9))
    std = Spread(*interval_scale(residuals, terms, np.ones(4000))).std(terms)
    assert np.mean(np.abs(residuals) <= 1.645 * std) == pytest.approx(0.9, abs=0.005)
    # It follows the size of the errors: both halves are covered.
    large = sizes > np.median(sizes)
    assert np.mean(np.abs(residuals[large]) <= 1.645 * std[large]) == pytest.approx(0.9, abs=0.05)


def test_sparse_ratings():
    X, _ = planted(missing=0.7)
    rows, columns = np.nonzero(~np.isnan(X))
    stored = sparse.csr_array((X[rows, columns], (rows, columns)), shape=X.shape)
    model = AutoNMF(max_candidates=6, random_state=0).fit(stored)
    assert np.isfinite(model.reconstruct()).all()
    columns, _ = model.recommend(3, n=5)
    assert np.isnan(X[3, columns]).all()
    assert model.complete(stored).shape == X.shape
    with pytest.raises(ValueError, match="return_std=True needs a dense X"):
        model.complete(stored, return_std=True)


def test_outliers_are_heeded():
    X, truth = planted(noise=0.001, missing=0.3)
    rng = np.random.default_rng(5)
    wrong = rng.random(X.shape) < 0.05
    X = np.where(wrong, 20 * rng.random(X.shape) * np.nanmax(X), X)
    model = AutoNMF(max_candidates=9, random_state=0).fit(X)
    assert "correntropy" in model.explain().split("Tried beside")[0]
    robust = rmse(model.reconstruct(), truth, np.isnan(X))
    assert robust < 0.2 * rmse(NMF(3, alpha_W=1e-3, random_state=0).fit(X).reconstruct(), truth, np.isnan(X))


def test_too_few_entries_to_hold_any_out():
    X = np.full((4, 3), np.nan)
    X[[0, 1, 2, 3], [0, 1, 2, 0]] = 1.0, 2.0, 3.0, 1.5
    with pytest.warns(UserWarning, match="too few observed entries"):
        model = AutoNMF(random_state=0).fit(X)
    assert np.isfinite(model.complete(X)).all()
    assert model.n_components_ == 1
    assert "unseen" in model.explain()
    with pytest.raises(ValueError, match="held-out entries"):
        model.complete(X, return_std=True)


def test_a_short_time_limit_gives_the_best_so_far():
    X, truth = planted(shape=(200, 150), rank=8)
    began = time.monotonic()
    model = AutoNMF(1e-3, random_state=0).fit(X)
    assert time.monotonic() - began < 60
    assert model.stop_reason_ == "time_limit"
    assert np.isfinite(model.reconstruct()).all()
    assert rmse(model.reconstruct(), truth, np.isnan(X)) < np.sqrt(np.mean(truth**2))


def test_a_good_model_cut_short_beats_a_poor_one_at_its_end():
    X, _ = planted()
    held_out = HeldOut(make_folds(read_observed(X), 3, 0))
    units = Scales(float(np.sqrt(np.nanmean(X**2))))
    search = AutoSearch(held_out, units, X.shape, 600, Clock(None), None, np.inf, lambda look: False)
    poor, good = (
        search._evaluate(Candidate(1, 0.5), None, "finals"),
        search._evaluate(Candidate(3, 1e-3), 30, "finals"),
    )
    assert (poor.done, good.done) == (True, False)
    assert search.best is good


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_the_data_does_not_matter(scale):
    X, _ = planted()
    model, scaled = (AutoNMF(max_candidates=3, random_state=0).fit(Y) for Y in (X, X * scale))
    np.testing.assert_allclose(scaled.reconstruct() / scale, model.reconstruct(), rtol=1e-6)
    (_, std), (_, scaled_std) = (m.complete(Y, return_std=True) for m, Y in ((model, X), (scaled, X * scale)))
    np.testing.assert_allclose(scaled_std / scale, std, rtol=1e-6)


def test_a_callback_ends_the_search():
    X, _ = planted()
    looks = []

    def stop(look):
        looks.append(look)
        return len(looks) == 3

    model = AutoNMF(callback=stop, random_state=0).fit(X)
    assert model.stop_reason_ == "callback"
    assert len(model.candidates_) == 3 == looks[-1].n_tried + 1  # the column means come first
    assert looks[-1].best <= looks[0].error


def test_an_interruption_leaves_a_fitted_model():
    X, _ = planted()

    def interrupt(look):
        if look.n_tried == 4:
            raise KeyboardInterrupt

    model = AutoNMF(callback=interrupt, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert model.stop_reason_ == "interrupted"
    assert np.isfinite(model.complete(X)).all()


def test_an_interruption_of_the_last_fits_goes_on(monkeypatch):
    def interrupt(process):
        raise KeyboardInterrupt

    def searched(*args):
        found = finish(*args)
        monkeypatch.setattr(Sweeps, "step", interrupt)
        return found

    finish = AutoSearch.finish
    monkeypatch.setattr(AutoSearch, "finish", searched)
    X, _ = planted()
    model = AutoNMF(max_candidates=3, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert model.stop_reason_ == "interrupted"
    assert np.isfinite(model.complete(X)).all()


def test_an_interruption_before_anything_is_found_leaves_nothing(monkeypatch):
    def interrupt(self, n_iter=None):
        raise KeyboardInterrupt

    monkeypatch.setattr("advnmf.model_selection.trials.Trial.advance", interrupt)
    model = AutoNMF(random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(planted()[0])
    assert not hasattr(model, "models_")


def test_it_survives_a_file(fitted, tmp_path):
    model, X, _ = fitted
    save(model, tmp_path / "auto.advnmf")
    again = load(tmp_path / "auto.advnmf")
    np.testing.assert_array_equal(again.reconstruct(), model.reconstruct())
    np.testing.assert_array_equal(again.complete(X, return_std=True)[1], model.complete(X, return_std=True)[1])
    assert again.explain() == model.explain()


def test_weights_and_single_precision():
    X, _ = planted()
    weights = np.random.default_rng(2).uniform(0.5, 2, X.shape).astype(np.float32)
    model = AutoNMF(max_candidates=2, random_state=0).fit(X.astype(np.float32), weights=weights)
    assert model.reconstruct().dtype == np.float32
    assert model.complete(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"time_limit": 0}, "time_limit=0"),
        ({"max_candidates": 0}, "max_candidates=0"),
        ({"biases": "yes"}, "biases='yes'"),
        ({"sparse_missing": "zero"}, "sparse_missing='zero' must be 'absent': .* X.toarray()"),
        ({"callback": 3}, "callback=3"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoNMF(**parameters).fit(planted()[0])


def test_the_difference_of_errors_is_paired():
    """Common noise does not hide a small gain, but a gain within the noise of the differences is none."""
    X, _ = planted()
    entries = read_observed(X)
    held_out = HeldOut(make_folds(entries, 5, 0))
    rng = np.random.default_rng(0)
    noise = rng.gamma(1.0, size=len(held_out.truth))
    assert better(held_out, noise, noise + 0.01)
    assert not better(held_out, noise, noise)
    differences = rng.standard_normal(len(noise))
    differences -= differences.mean()
    assert not better(held_out, noise, noise + differences)


def test_an_evaluation_may_go_on_from_another():
    X, _ = planted()
    held_out = HeldOut(make_folds(read_observed(X), 3, 0))
    units = Scales(float(np.sqrt(np.nanmean(X**2))))
    first = evaluate(Candidate(3, 1e-2), held_out, units)
    first.advance(500, Clock(None), 0.0, None)
    cold, warm = (evaluate(Candidate(3, 1e-3), held_out, units) for _ in range(2))
    warm.begin_with(first)
    for each in (cold, warm):
        each.advance(500, Clock(None), 0.0, None)
    assert first.done
    assert sum(trial.made for trial in warm.trials) < sum(trial.made for trial in cold.trials)
    assert warm.error < 1.2 * cold.error


@pytest.mark.slow
def test_the_rank_is_found():
    """Within one of the truth in 90 of 100 draws: ranks 2 to 20, 1 % noise, half missing."""
    found = []
    for seed in range(100):
        rank = 2 + seed % 19
        X, _ = planted(seed, shape=(120, 100), rank=rank)
        found.append(abs(np.min(AutoNMF(random_state=0).fit(X).n_components_) - rank) <= 1)
    assert np.mean(found) >= 0.9


# --- outliers -----------------------------------------------------------------------------------------------------


def contaminated(seed, *, shape=(60, 20), rank=4, share=0.05, size=1000.0, missing=0.25):
    """(X, truth): uniform factors, some observed entries that many times too large."""
    rng = np.random.default_rng(seed)
    truth = rng.random((shape[0], rank)) @ rng.random((rank, shape[1]))
    observed = rng.random(shape) > missing
    wrong = rng.choice(np.flatnonzero(observed), max(1, round(share * observed.sum())), replace=False)
    X = np.where(observed, truth * (1 + 0.01 * rng.standard_normal(shape)), np.nan)
    X.flat[wrong] *= size
    return X, truth


def relative(P, truth, where):
    return rmse(P, truth, where) / np.sqrt(np.mean(truth[where] ** 2))


@pytest.mark.parametrize(
    ("share", "size", "rank"),
    [
        (1e-3, 30, 2),
        (0.05, 1e9, 2),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in [(2e-3, 1000, 4), (1e-3, 1e9, 4), (0.05, 10, 4)]),
    ],
)
def test_outliers_of_any_size_are_left_out(share, size, rank):
    """Few or many, ten times too large or a thousand million times: about as good as without them."""
    X, truth = contaminated(1, share=share, size=size, rank=rank)
    with pytest.warns(UserWarning, match="gross outlier"):
        filled = AutoNMF(max_candidates=9, random_state=0).fit_complete(X)
    assert relative(filled, truth, np.isnan(X)) < 0.03
    np.testing.assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])


def test_rows_with_outliers_are_coded_as_in_the_fit():
    """Coded anew by the robust loss; and the intervals, the range and the scale know nothing of the outliers."""
    X, truth = contaminated(1, size=1e6, rank=2)
    model = AutoNMF(max_candidates=8, random_state=0).fit(X)
    filled, std = model.complete(X, return_std=True)
    holes = np.isnan(X)
    assert "correntropy" in model.explain()
    assert relative(filled, truth, holes) < 0.05
    assert std.max() < truth.max()
    assert filled[holes].max() < 1.5 * truth.max()


CLEAN = {
    "uniform": lambda rng, T: T,
    "exponential noise": lambda rng, T: T * rng.exponential(1, T.shape),
    "counts": lambda rng, T: rng.poisson(20 * T).astype(float),
    "few counts": lambda rng, T: rng.poisson(T).astype(float),
    "log-normal noise": lambda rng, T: T * np.exp(rng.standard_normal(T.shape)),
    "ratings": lambda rng, T: np.clip(np.round(1 + T), 1, 5),
    "two values": lambda rng, T: np.where(rng.random(T.shape) < 0.1, 5.0, 1.0),
}


@pytest.mark.parametrize("kind", CLEAN)
@pytest.mark.parametrize("heavy", [False, True])
def test_clean_tails_are_no_outliers(kind, heavy):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        draw = rng.standard_exponential if heavy else rng.random
        X = CLEAN[kind](rng, draw((80, 4)) @ draw((4, 30)))
        rows, columns = np.nonzero(rng.random(X.shape) < 0.7)
        assert flag_outliers(X[rows, columns], rows, columns, X.shape) is None


@pytest.mark.parametrize("size", [10, 1000, 1e9])
def test_what_is_flagged_is_what_was_wrong(size):
    X, truth = contaminated(2, size=size)
    rows, columns = np.nonzero(~np.isnan(X))
    flags, expected = flag_outliers(X[rows, columns], rows, columns, X.shape)
    wrong = X[rows, columns] > 2 * truth[rows, columns]
    assert (flags & ~wrong).sum() <= 1
    assert (flags & wrong).sum() > 0.9 * wrong.sum()
    assert np.median(expected / truth[rows, columns][flags]) == pytest.approx(1, abs=0.3)


def test_large_values_that_a_model_predicts_are_no_outliers():
    """A part that few samples and few features have, thirty times as large as all else."""
    rng = np.random.default_rng(0)
    truth = rng.random((80, 2)) @ rng.random((2, 40)) + 0.1
    truth[:12, :8] += 30 * (1 + rng.random((12, 1))) @ (1 + rng.random((1, 8)))
    X = np.where(rng.random(truth.shape) < 0.2, np.nan, truth)
    rows, columns = np.nonzero(~np.isnan(X))
    assert flag_outliers(X[rows, columns], rows, columns, X.shape) is not None  # they look like some
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        filled = AutoNMF(max_candidates=6, random_state=0).fit_complete(X)
    assert not any("outlier" in str(warning.message) for warning in caught)
    assert relative(filled, truth, np.isnan(X)) < 0.1


def test_outliers_of_sparse_data_stay_seen():
    """Not learnt from, but rated: they are not recommended."""
    X, _ = contaminated(3, shape=(40, 30), missing=0.5, size=1e4)
    rows, columns = np.nonzero(~np.isnan(X))
    stored = sparse.csr_array((X[rows, columns], (rows, columns)), shape=X.shape)
    model = AutoNMF(max_candidates=2, random_state=0).fit(stored)
    assert np.isnan(X[5, model.recommend(5, n=8)[0]]).all()
    assert model.reconstruct().max() < 100


# --- signs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [False, True])
def test_fills_are_never_negative(stored):
    """Offsets of any sign are chosen, and go below zero; what is filled can be fitted again."""
    rng = np.random.default_rng(0)
    rows, columns = rng.exponential(1, (60, 1)), rng.uniform(-0.8, 0.3, (1, 20))
    truth = np.maximum(rows + columns + 0.02 * rng.standard_normal((60, 20)), 0)
    X = np.where(rng.random(truth.shape) < 0.6, np.nan, truth)
    given = sparse.csr_array(np.nan_to_num(X)) if stored else X
    model = AutoNMF(max_candidates=1, biases=True, random_state=0).fit(given)
    assert model.models_[0].biases
    A, B = model.linear(model.training_codes())
    assert (A @ B).min() < -0.01
    everywhere = np.arange(60).repeat(20), np.tile(np.arange(20), 60)
    results = [
        model.complete(given),
        model.fit_complete(given),
        model.reconstruct(),
        model.predict_pairs(*everywhere),
        model.inverse_transform(model.transform(given)),
    ]
    for result in results:
        assert np.min(result) >= 0
    np.testing.assert_allclose(model.predict_pairs(*everywhere).reshape(60, 20), model.reconstruct(), atol=1e-12)
    if not stored:
        assert (model.complete(X, return_std=True)[1] >= 0).all()


# --- empty rows and columns ---------------------------------------------------------------------------------------


def with_gaps(X, n_rows, n_columns):
    """X with empty rows and columns among the others, and where those of X went."""
    rng = np.random.default_rng(0)
    rows, columns = (np.sort(rng.permutation(n + k)[:n]) for n, k in zip(X.shape, (n_rows, n_columns), strict=True))
    full = np.full((X.shape[0] + n_rows, X.shape[1] + n_columns), np.nan)
    full[np.ix_(rows, columns)] = X
    return full, np.ix_(rows, columns)


@pytest.mark.parametrize(
    ("kind", "biases"), [("dense", False), ("dense", True), ("sparse", True), ("masked", True), ("weights", False)]
)
def test_empty_rows_and_columns_change_nothing(kind, biases):
    X, _ = planted(shape=(30, 20), rank=2)
    full, part = with_gaps(X, 100, 30)
    model = AutoNMF(max_candidates=2, random_state=0, biases=biases)

    def given(X):
        if kind == "sparse":
            return {"X": sparse.csr_array(np.nan_to_num(X))}
        if kind == "masked":
            return {"X": np.nan_to_num(X, nan=7.0), "mask": ~np.isnan(X)}
        if kind == "weights":
            return {"X": np.nan_to_num(X, nan=7.0), "weights": np.where(np.isnan(X), 0.0, 1 + np.nan_to_num(X))}
        return {"X": X}

    alone, among = clone(model).fit(**given(X)), clone(model).fit(**given(full))
    np.testing.assert_array_equal(among.reconstruct()[part], alone.reconstruct())
    assert among.candidates_[1][0] == alone.candidates_[1][0]
    assert among.n_features_in_ == full.shape[1]
    assert np.isfinite(among.reconstruct()).all()
    # The empty ones get the mean code and the mean component column.
    codes, seen = among.training_codes(), ~np.isnan(full).all(axis=1)
    np.testing.assert_allclose(codes[~seen], np.tile(codes[seen].mean(axis=0), (100, 1)), rtol=1e-10)
    if kind == "dense":
        np.testing.assert_allclose(among.complete(full)[part], alone.complete(X), rtol=1e-6)
    if kind == "sparse":
        columns, _ = among.recommend(int(part[0].ravel()[3]), n=5)
        assert np.isnan(full[part[0].ravel()[3], columns]).all()


def test_a_model_that_knows_empty_columns_survives_a_file(tmp_path):
    full, _ = with_gaps(planted()[0], 5, 5)
    model = AutoNMF(max_candidates=3, random_state=0).fit(full)
    save(model, tmp_path / "auto.advnmf")
    np.testing.assert_array_equal(load(tmp_path / "auto.advnmf").complete(full), model.complete(full))


# --- units --------------------------------------------------------------------------------------------------------


def unrelated(n=200, seed=0):
    """Rain and the pressure of the air, which tell nothing of each other."""
    rng = np.random.default_rng(seed)
    truth = np.c_[rng.gamma(1, 3, n), rng.normal(1013, 5, n)]
    hidden = rng.random(truth.shape) < 0.1
    hidden[hidden.all(axis=1)] = False
    return np.where(hidden, np.nan, truth), truth


@pytest.mark.parametrize("seed", range(3))
def test_columns_that_tell_nothing_are_filled_with_their_means(seed):
    X, truth = unrelated(seed=seed)
    holes = np.isnan(X)
    with pytest.warns(UserWarning, match="no model predicts held-out entries better than the column means"):
        model = AutoNMF(random_state=0).fit(X)
    filled = model.complete(X)
    means = np.where(holes, np.nanmean(X, axis=0), X)
    np.testing.assert_allclose(filled, means, rtol=1e-6)
    assert model.n_components_ == 0
    assert "standard deviations of each column" in model.explain()
    assert -model.best_score_ == pytest.approx(rmse(filled, truth, holes), rel=0.3)  # in the unit of X
    _, std = model.complete(X, return_std=True)
    inside = np.abs(filled - truth)[holes] <= 1.645 * std[holes]
    assert inside.mean() > 0.75
    assert (std[:, 1][holes[:, 1]] < 20).all()


def mixed(seed=0, n=150):
    """Eight columns of two causes, in units from a thousandth to a thousand, one of them far from zero."""
    rng = np.random.default_rng(seed)
    truth = rng.gamma(2, 1, (n, 2)) @ rng.gamma(2, 1, (2, 8)) * (1 + 0.02 * rng.standard_normal((n, 8)))
    truth = truth * 10.0 ** np.array([-3, 3, 0, 2, -2, 1, -1, 0]) + np.array([0, 0, 1000, 0, 0, 0, 0, 0])
    return np.where(rng.random(truth.shape) < 0.15, np.nan, truth), truth


def test_columns_in_units_of_their_own():
    """Each is predicted better than by its mean, whatever its unit; and all that a model does fits together."""
    X, truth = mixed()
    holes = np.isnan(X)
    model = AutoNMF(max_candidates=10, random_state=0).fit(X)
    filled, std = model.complete(X, return_std=True)
    errors = np.sqrt(np.nanmean(np.where(holes, np.square(filled - truth), np.nan), axis=0))
    assert (errors < 0.6 * truth.std(axis=0)).all()
    assert filled.min() >= 0
    inside = np.abs(filled - truth)[holes] <= 1.645 * std[holes]
    assert 0.8 < inside.mean() < 0.99
    codes = model.transform(X)
    np.testing.assert_allclose(model.inverse_transform(codes)[holes], filled[holes], rtol=1e-9)
    everywhere = np.arange(len(X)).repeat(8), np.tile(np.arange(8), len(X))
    np.testing.assert_allclose(model.predict_pairs(*everywhere).reshape(X.shape), model.reconstruct(), rtol=1e-9)
    assert model.score(X) < 0
    assert model.components_.shape == (codes.shape[1], 8)


@pytest.mark.parametrize("stored", [False, True])
def test_units_of_columns_do_not_matter_once_they_differ(stored, tmp_path):
    """Another unit of a column: the same search, and the same fills in that unit."""
    X, _ = mixed()
    units = 10.0 ** np.array([2, -1, 0, 3, 1, 0, -2, 5])

    def given(X):
        return sparse.csr_array(np.nan_to_num(X)) if stored else X

    one, other = (AutoNMF(max_candidates=3, random_state=0).fit(given(Y)) for Y in (X, X * units))
    assert (one.scaling_ is not None) == (other.scaling_ is not None) == True  # noqa: E712
    np.testing.assert_allclose(other.complete(given(X * units)) / units, one.complete(given(X)), rtol=1e-5)
    save(one, tmp_path / "auto.advnmf")
    np.testing.assert_array_equal(load(tmp_path / "auto.advnmf").complete(given(X)), one.complete(given(X)))


def test_columns_of_one_unit_are_left_as_they_are():
    """Others would have to be better by more than a standard error."""
    rng = np.random.default_rng(0)
    truth = rng.random((100, 3)) @ rng.random((3, 20)) * np.geomspace(0.3, 1, 20)
    model = AutoNMF(max_candidates=6, random_state=0).fit(np.where(rng.random(truth.shape) < 0.3, np.nan, truth))
    assert model.scaling_ is None
    assert "(in the unit of X)" in model.explain()


def test_ratings_in_another_unit():
    rng = np.random.default_rng(0)
    stars = np.clip(np.round(3 + rng.standard_normal((60, 1)) + rng.standard_normal((1, 40))), 1, 5)
    stored = sparse.csr_array(np.where(rng.random(stars.shape) < 0.3, stars, 0))
    one, other = (AutoNMF(max_candidates=2, random_state=0).fit(stored * unit) for unit in (1.0, 1000.0))
    np.testing.assert_allclose(other.reconstruct() / 1000, one.reconstruct(), rtol=1e-4)


# --- words --------------------------------------------------------------------------------------------------------


def test_every_error_in_the_words_is_of_one_kind():
    """Errors of the explanation are those of the candidates: none is capped where another is not."""
    X, _ = contaminated(1, size=1e6, rank=2)
    model = AutoNMF(max_candidates=8, random_state=0).fit(X)
    errors = {f"{error:.4g}" for _, error, *_ in model.candidates_}
    told = re.findall(r"error ([0-9.e+-]+[0-9])|means: ([0-9.e+-]+[0-9])", model.explain())
    assert len(told) >= 2
    assert {first or second for first, second in told} <= errors
    assert "left out" in model.explain()
    assert -model.best_score_ < 1.1 * min(error for _, error, *_ in model.candidates_)


def test_what_it_does_is_printed(capsys):
    AutoNMF(max_candidates=3, random_state=0, verbose=1).fit(planted()[0])
    lines = capsys.readouterr().out.splitlines()
    assert sorted({line.split(":")[0] for line in lines}) == [f"[AutoNMF] {n}" for n in range(4)]
    assert "column means: held-out error" in lines[0]
    assert lines[-1].endswith(" s)")


# --- interruptions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module", ["search_task.HeldOut", "stages.evaluate", "estimator.explain", "calibration.interval_scale"]
)
def test_an_interruption_anywhere_leaves_what_was_there(module, monkeypatch):
    """Before the first candidate, and after the last fit: KeyboardInterrupt comes out, and no half a model stays."""

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    X, _ = planted()
    fresh, refitted = AutoNMF(max_candidates=1, random_state=0), AutoNMF(max_candidates=1, random_state=0).fit(X)
    before = refitted.reconstruct()
    monkeypatch.setattr(f"advnmf.model_selection.auto.{module}", interrupt)
    for model in (fresh, refitted):
        with pytest.raises(KeyboardInterrupt):
            model.fit(2 * X)
    with pytest.raises(NotFittedError):
        fresh.complete(X)
    np.testing.assert_array_equal(refitted.reconstruct(), before)


# --- held-out entries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [False, True])
def test_held_out_entries_are_those_of_x(stored):
    """In the places and the unit of X, whatever empty lines and units there are; all that was observed, once."""
    full, _ = with_gaps(mixed(n=60)[0], 3, 2)
    given = sparse.csr_array(np.nan_to_num(full)) if stored else full
    model = AutoNMF(max_candidates=3, random_state=0).fit(given)
    rows, columns, truth, prediction, fold = model.held_out_
    np.testing.assert_allclose(truth, full[rows, columns], rtol=1e-9)
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows) > 0.9 * (~np.isnan(full)).sum()
    assert set(fold.tolist()) == {0, 1, 2, 3, 4}
    spread = np.ma.masked_invalid(full).std(axis=0).data[columns]
    assert np.sqrt(np.mean(np.square((prediction - truth) / spread))) < 0.6


@pytest.mark.parametrize("stored", [False, True])
def test_negative_columns_are_centred(stored):
    """Degrees and differences: another zero and another unit of them give the same fills."""
    X, truth = mixed(n=80)
    unit, zero = np.array([1, 1e-3, 1, 1, 1, 1, 1, 1]), np.array([0, 0, -2000, 0, 0, -30, 0, 0])
    holes = np.isnan(X)

    def given(X):
        return sparse.csr_array(np.nan_to_num(X)) if stored else X

    shifted = X * unit + zero
    model = AutoNMF(max_candidates=3, random_state=0).fit(given(shifted))
    assert (shifted[~holes] < 0).any()
    filled = (model.complete(given(shifted)) - zero) / unit
    np.testing.assert_array_equal(model.scaling_[0] < 0, np.nanmean(shifted, axis=0) < 0)
    errors = np.sqrt(np.nanmean(np.where(holes, np.square(filled - truth), np.nan), axis=0))
    assert (errors < 0.6 * truth.std(axis=0)).all()
    assert "standard deviations of each column" in model.explain()


def test_predictions_of_held_out_entries_have_not_seen_them():
    """Whatever is put into the held-out entries of a fold, centres, means and ranges of its columns stay."""
    X, _ = mixed(n=60)
    task = SearchTask.of(Holdout(read_observed(X), "random"), 0, 0).in_units(logarithms=False)
    fold = task.given.held_out.folds[0]
    changed = np.where(fold.test, 3 * X + 1, X)
    other = SearchTask.of(Holdout(read_observed(changed), "random"), 0, 0).in_units(logarithms=False)
    here = slice(0, int(fold.test.sum()))
    for one in (task, other):
        np.testing.assert_array_equal(one.given.held_out.folds[0].test, fold.test)
    np.testing.assert_array_equal(other.training_means[here], task.training_means[here])
    np.testing.assert_array_equal(np.array(other.training_ranges)[:, here], np.array(task.training_ranges)[:, here])
    np.testing.assert_array_equal(other.held_out_scaling[0, here], task.held_out_scaling[0, here])


def test_skewed_columns_are_taken_by_their_logarithms():
    """z is the same whatever the unit is; back and forth is nothing lost."""
    rng = np.random.default_rng(0)
    X = np.c_[np.exp(1.5 * rng.standard_normal(300)), rng.standard_normal(300), rng.gamma(0.3, 5, 300).round()]
    columns = np.tile(np.arange(3), 300)
    for unit in (1.0, 1e-6):
        values = (X * [unit, 1, unit]).ravel()
        scaling = scaling_of(values, columns, Columns.of(values, columns, 3), logarithms=True)
        assert (scaling[LOGGED] == [1, 0, 1]).all()
        z = standardised(values, columns, scaling)
        np.testing.assert_allclose(restored(z, scaling[:, columns]), values, rtol=1e-9, atol=1e-9 * unit)
        np.testing.assert_allclose(z.reshape(300, 3).std(axis=0), 1, rtol=1e-9)


def test_a_column_that_is_predicted_no_better_is_filled_with_its_mean():
    """Noise beside columns that tell of each other."""
    rng = np.random.default_rng(0)
    cause = rng.standard_normal((200, 1))
    truth = np.hstack([10 + cause + 0.3 * rng.standard_normal((200, 4)), 500 + 90 * rng.standard_normal((200, 1))])
    X = np.where(rng.random(truth.shape) < 0.15, np.nan, truth)
    model = AutoNMF(max_candidates=6, random_state=0).fit(X)
    filled, holes = model.complete(X), np.isnan(X)
    errors = np.sqrt(np.nanmean(np.where(holes, np.square(filled - truth), np.nan), axis=0)) / truth.std(axis=0)
    of_means = np.where(holes, np.square(np.nanmean(X, axis=0) - truth), np.nan)
    of_means = np.sqrt(np.nanmean(of_means, axis=0)) / truth.std(axis=0)
    assert (errors < 1.02 * of_means).all()
    assert (errors[:4] < 0.5).all()


@pytest.mark.parametrize(("seconds", "made"), [(10.0, 1), (0.001, 5)])
def test_slow_sweeps_are_looked_at_one_by_one(seconds, made):
    X, _ = planted()
    held_out = HeldOut(make_folds(read_observed(X), 3, 0))
    found = evaluate(Candidate(3, 1e-2), held_out, Scales(1.0))
    clock = Clock(100.0)
    assert found._chunk(clock) == 1
    found.advance(1, clock, 0.0, None)
    for trial in found.trials:
        trial.seconds = seconds
    assert found._chunk(clock) == made
