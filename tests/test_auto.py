"""`AutoNMF`: chosen from the observed entries alone, explained, calibrated, ended in time."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from advnmf import NMF, AutoNMF, load, save
from advnmf.auto.choices import Choice, Units
from advnmf.auto.evaluation import Clock, HeldOut, better, evaluate
from advnmf.auto.search import Search
from advnmf.auto.uncertainty import Spread, interval_scale, spread_terms
from advnmf.loop import iterate
from advnmf.model_selection.cross_validation import make_folds
from advnmf.model_selection.entries import read_entries
from problems import low_rank

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::advnmf.models.DataWarning"
)


def planted(seed=0, shape=(40, 30), rank=3, noise=0.01, missing=0.5):
    rng = np.random.default_rng(seed)
    X = low_rank(rng, shape, rank)
    noisy = np.maximum(X + noise * np.sqrt(np.mean(X**2)) * rng.standard_normal(shape), 0)
    return np.where(rng.random(shape) < missing, np.nan, noisy), X


@pytest.fixture(scope="module")
def fitted():
    X, truth = planted()
    return AutoNMF(max_candidates=40, random_state=0).fit(X), X, truth


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
    assert len(results["params"]) == len(model.candidates_) <= 41  # the column means beside
    assert results["averaged"].sum() == len(model.models_)
    assert "rank 3" in model.explain()
    assert f"{len(model.candidates_) - 1} candidates" in model.explain()
    assert results["params"][0] == "column means"
    best = results["mean_test_score"][results["averaged"]].max()
    assert model.best_score_ >= best - 1e-12


def test_same_seed_same_result(fitted):
    model, X, _ = fitted
    again = clone(model).fit(X)
    np.testing.assert_array_equal(again.reconstruct(), model.reconstruct())
    assert again.explain().split(" s, ")[1] == model.explain().split(" s, ")[1]


def test_only_observed_entries_are_seen(fitted):
    """What is off the mask may be anything."""
    model, X, _ = fitted
    mask = ~np.isnan(X)
    junk = np.where(mask, X, 1e6 * np.random.default_rng(1).random(X.shape))
    np.testing.assert_array_equal(clone(model).fit(junk, mask=mask).reconstruct(), model.reconstruct())


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
    terms = spread_terms(predictions, predictions.mean(axis=0))
    std = Spread(*interval_scale(residuals, terms)).std(terms)
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
    model = AutoNMF(max_candidates=30, random_state=0).fit(X)
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
    held_out = HeldOut(make_folds(read_entries(X), 3, 0))
    units = Units(float(np.sqrt(np.nanmean(X**2))))
    search = Search(held_out, units, X.shape, 600, Clock(None), None, np.inf, lambda look: False)
    poor, good = search._look(Choice(1, 0.5), None, "finals"), search._look(Choice(3, 1e-3), 30, "finals")
    assert (poor.done, good.done) == (True, False)
    assert search._best() is good


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
    assert len(model.candidates_) == 3 == looks[-1].n_looks + 1  # the column means come first
    assert looks[-1].best <= looks[0].error


def test_an_interruption_leaves_a_fitted_model():
    X, _ = planted()

    def interrupt(look):
        if look.n_looks == 4:
            raise KeyboardInterrupt

    model = AutoNMF(callback=interrupt, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert model.stop_reason_ == "interrupted"
    assert np.isfinite(model.complete(X)).all()


def test_an_interruption_of_the_last_fits_goes_on(monkeypatch):
    def cut(process, limits):
        monkeypatch.setattr(process, "step", interrupt)
        return iterate(process, limits)

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("advnmf.models.iterate", cut)
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
    model = AutoNMF(max_candidates=5, random_state=0).fit(X.astype(np.float32), weights=weights)
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
    entries = read_entries(X)
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
    held_out = HeldOut(make_folds(read_entries(X), 3, 0))
    units = Units(float(np.sqrt(np.nanmean(X**2))))
    first = evaluate(Choice(3, 1e-2), held_out, units)
    first.advance(500, Clock(None), 0.0, None)
    cold, warm = (evaluate(Choice(3, 1e-3), held_out, units) for _ in range(2))
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
