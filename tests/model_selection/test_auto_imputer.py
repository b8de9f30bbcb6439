"""`AutoImputer`: what comes back, what is blended, and whether the announced error is honest."""

from __future__ import annotations

import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import MissingIndicator
from sklearn.pipeline import make_union
from sklearn.utils.estimator_checks import parametrize_with_checks

from advnmf import AutoImputer, DataWarning, save
from advnmf.model_selection import EntryKFold
from advnmf.model_selection.auto import evaluation
from advnmf.model_selection.auto.blending import blend, column_error
from advnmf.model_selection.auto.members import Units, members_for

quick = partial(AutoImputer, candidates=["KNN", "IterativeImputer"], random_state=0)


@parametrize_with_checks([quick()])
def test_checks_of_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of tables with too few entries to hold any out
        check(estimator)


def mixed(n: int = 120, seed: int = 0) -> np.ndarray:
    """Columns of units far apart, below zero and with a heavy tail, which two numbers of each row explain."""
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(n, 2))
    Z = codes @ rng.normal(size=(2, 5)) + 0.2 * rng.normal(size=(n, 5))
    return np.column_stack([1013 + 5 * Z[:, 0], 1e-3 * Z[:, 1], np.exp(Z[:, 2]), -40 + Z[:, 3], 1e6 * Z[:, 4]])


def holes(X: np.ndarray, seed: int = 1, share: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    hidden = np.random.default_rng(seed).random(X.shape) < share
    hidden[0] = False
    return np.where(hidden, np.nan, X), hidden


def error(truth: np.ndarray, filled: np.ndarray, hidden: np.ndarray) -> float:
    rows, columns = np.nonzero(hidden)
    residuals = (filled - truth)[rows, columns] / truth.std(axis=0)[columns]
    return column_error(residuals, columns, np.ones(len(rows)))


# --- what comes back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_observed_entries_come_back_bit_for_bit_and_fills_lie_within_the_column(dtype):
    X, hidden = holes(mixed())
    X = X.astype(dtype)
    filled = quick().fit_transform(X)
    assert filled.dtype == dtype
    assert filled[~hidden].tobytes() == X[~hidden].tobytes()
    assert (filled >= np.nanmin(X, axis=0)).all()
    assert (filled <= np.nanmax(X, axis=0)).all()


def test_new_rows_are_completed_each_by_itself():
    X, _ = holes(mixed())
    imputer = quick().fit(X[:100])
    new = X[100:].copy()
    new[0, 1] = np.nan
    together, alone = imputer.transform(new), [imputer.transform(row[None])[0] for row in new]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_empty_columns_stay_empty_and_are_told():
    X, _ = holes(mixed(60))
    X = np.insert(X, 2, np.nan, axis=1)
    imputer = quick().fit(X)
    filled = imputer.transform(X)
    assert np.isnan(filled[:, 2]).all()
    assert not np.isnan(np.delete(filled, 2, axis=1)).any()
    assert imputer.left_alone_ == {2: "empty"}
    assert set(imputer.held_out_.columns) <= {0, 1, 3, 4, 5}


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 5))
    table = pd.DataFrame(
        {
            "count": pd.array(np.rint(10 * Z[:, 0]), dtype="Int64"),
            "text": ["x", None] * 30,
            "float": Z[:, 1],
            "whole": np.rint(5 * Z[:, 2]),
            "when": pd.date_range("2020-01-01", periods=60),
            "single": Z[:, 3].astype(np.float32),
            "id": np.arange(60) + 7,
            "yes": [True, False] * 30,
            "nothing": np.full(60, np.nan),
            "objects": pd.Series([None, *Z[1:, 4]], dtype=object),
        }
    )
    table.loc[[3, 7], ["count", "float", "whole", "single"]] = np.nan
    return table.set_index(np.arange(60) + 100)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_come_back_as_they_were_but_for_the_holes(library):
    given = frame()
    X = given if library == "pandas" else pytest.importorskip("polars").from_pandas(given)
    imputer = quick().fit(X)
    filled, std = imputer.complete(X, return_std=True)
    assert type(filled) is type(X)
    assert list(filled.columns) == list(X.columns)
    assert list(filled.dtypes) == list(X.dtypes)
    assert list(std.columns) == ["count", "float", "whole", "single", "objects"]
    assert list(imputer.left_alone_.items()) == [
        ("text", "text"),
        ("when", "dates or times"),
        ("id", "identifiers"),
        ("yes", "text"),
        ("nothing", "empty"),
    ]
    back, errors = (each if library == "pandas" else each.to_pandas() for each in (filled, std))
    before = given if library == "pandas" else X.to_pandas()
    holes = before[["count", "float", "whole", "single", "objects"]].isna()
    assert (back.index == before.index).all()
    assert not back[holes.columns].isna().to_numpy().any()
    pd.testing.assert_frame_equal(back[before.notna()], before[before.notna()])
    assert (back["whole"] == np.rint(back["whole"])).all()
    assert ((errors > 0).to_numpy() == holes.to_numpy()).all()


def test_an_array_and_a_frame_of_the_same_numbers_agree():
    X, _ = holes(mixed(60))
    table = pd.DataFrame(X, columns=list("abcde"))
    np.testing.assert_array_equal(quick().fit_transform(table).to_numpy(), quick().fit_transform(X))


def test_names_of_features_and_pipelines():
    X, _ = holes(mixed(60))
    table = pd.DataFrame(X, columns=list("abcde"))
    assert quick().fit(table).get_feature_names_out().tolist() == list("abcde")
    assert make_union(quick(), MissingIndicator()).fit_transform(table).shape == (60, 10)


def test_the_same_seed_gives_the_same_and_pickles():
    X, _ = holes(mixed(60))
    imputer = quick().fit(X)
    again = pickle.loads(pickle.dumps(imputer))
    np.testing.assert_array_equal(again.transform(X), quick().fit_transform(X))


# --- the blend ------------------------------------------------------------------------------------------------------


def test_the_blend_is_no_worse_than_its_members_and_says_what_it_used():
    truth = mixed()
    X, hidden = holes(truth)
    imputer = quick(candidates=["KNN", "IterativeImputer", "forest"]).fit(X)
    ours = error(truth, imputer.transform(X), hidden)
    assert ours < 1.05 * min(
        error(truth, member.fit(X, 0)[1], hidden) for member in members_for(X) if member.name in imputer.scores_
    )
    assert ours < 0.7
    assert -imputer.best_score_ < 1.02 * min(imputer.scores_.values())
    assert list(imputer.yardsticks_) == ["column mean", "KNN", "IterativeImputer"]
    assert sum(imputer.weights_.values()) == pytest.approx(1)
    told = imputer.explain()
    assert f"error {-imputer.best_score_:.2f} standard deviations" in told
    assert f"column mean {imputer.scores_['column mean']:.2f}" in told


def test_a_unit_changes_nothing_but_the_unit():
    X, hidden = holes(mixed())
    units = np.array([1e3, 1e-6, 1.0, 2.0, 1e4])
    np.testing.assert_allclose(quick().fit_transform(X * units)[hidden], (quick().fit_transform(X) * units)[hidden])


def test_nothing_is_made_of_noise():
    X, _ = holes(np.random.default_rng(0).normal(size=(150, 4)))
    imputer = quick().fit(X)
    assert imputer.weights_["column mean"] > 0.6
    assert -imputer.best_score_ == pytest.approx(imputer.scores_["column mean"], rel=0.03)


def by_noise(n: int, k: int = 12) -> tuple[np.ndarray, ...]:
    """Members that know nothing of the truth."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(k, n)), rng.normal(size=n), np.arange(n), np.zeros(n, int), np.ones(n)


def test_the_announced_error_is_by_weights_that_did_not_see_the_entry():
    predictions, truth, rows, columns, weights = by_noise(60)
    found = blend(predictions, truth, rows, columns, weights, 1)
    seen = column_error(truth - found.weights[0] @ predictions, columns, weights)
    honest = column_error(truth - found.cross_fitted, columns, weights)
    none = column_error(truth, columns, weights)
    assert seen < 0.98 * none  # weights that saw the entries claim to have learnt something
    assert honest > none


def test_columns_have_weights_of_their_own_where_that_helps():
    rng = np.random.default_rng(0)
    truth, columns = rng.normal(size=2000), np.arange(2000) % 2
    good, bad = truth + 0.1 * rng.normal(size=2000), rng.normal(size=2000)
    predictions = np.array([np.where(columns == 0, good, bad), np.where(columns == 1, good, bad)])
    found = blend(predictions, truth, np.arange(2000), columns, np.ones(2000), 2)
    np.testing.assert_allclose(found.weights, np.eye(2), atol=0.1)
    assert np.isfinite(found.prior)


def test_heavy_tails_have_logarithms_and_come_back():
    X = mixed(40)
    units = Units.of(X, logarithms=True)
    assert (~np.isnan(units.shift)).tolist() == [False, False, True, False, False]
    np.testing.assert_allclose(units.back(units.forward(X)), X, rtol=1e-9)


def test_intervals_cover_what_they_promise():
    truth = mixed(400)
    X, hidden = holes(truth)
    filled, std = quick().fit(X).complete(X, return_std=True)
    inside = np.abs(filled - truth) <= 1.645 * std
    assert 0.82 < inside[hidden].mean() < 0.97
    assert (std[~hidden] == 0).all()


def test_a_splitter_of_the_user_is_used():
    X, _ = holes(mixed(60))
    imputer = quick(holdout=EntryKFold(3, random_state=1)).fit(X)
    assert set(imputer.held_out_.fold) == {0, 1, 2}


def test_too_few_entries_are_filled_with_the_means():
    X = np.array([[1.0, 2.0], [np.nan, 4.0], [3.0, 5.0]])
    with pytest.warns(DataWarning, match="too few"):
        imputer = quick().fit(X)
    assert imputer.transform(X)[1, 0] == 2
    assert np.isnan(imputer.best_score_)
    with pytest.raises(ValueError, match="return_std=True needs held-out entries"):
        imputer.complete(X, return_std=True)


# --- time, interruptions, refusals ----------------------------------------------------------------------------------


def test_what_would_not_end_in_time_is_left_out(monkeypatch):
    """Each look at the clock takes a second, of eight."""
    now = iter(range(10_000))
    monkeypatch.setattr(evaluation.time, "monotonic", lambda: float(next(now)))
    X, _ = holes(mixed(60))
    imputer = quick(time_limit=8.0).fit(X)
    assert imputer.stop_reason_ == "time_limit"
    assert set(imputer.scores_) == {"column mean"}
    assert not np.isnan(imputer.transform(X)).any()


def stopped(X: np.ndarray, callback: object) -> AutoImputer:
    imputer = quick(callback=callback)
    with pytest.raises(KeyboardInterrupt):
        imputer.fit(X)
    return imputer


def test_an_interruption_keeps_what_there_is():
    def callback(progress):
        if progress.candidate == "KNN":
            raise KeyboardInterrupt

    X, _ = holes(mixed(60))
    imputer = stopped(X, callback)
    assert imputer.stop_reason_ == "interrupted"
    assert list(imputer.scores_) == ["column mean", "KNN"]
    assert not np.isnan(imputer.transform(X)).any()


def test_a_callback_ends_the_search():
    X, _ = holes(mixed(60))
    imputer = quick(callback=lambda progress: progress.candidate == "KNN").fit(X)
    assert imputer.stop_reason_ == "callback"
    assert "IterativeImputer" not in imputer.scores_


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"candidates": ["svd"]}, "candidates=.'svd'. must be None or a list of some of 'AutoNMF'"),
        ({"candidates": "KNN"}, "candidates='KNN' must be"),
        ({"time_limit": 0}, "time_limit=0 must be"),
        ({"holdout": "rows"}, "holdout='rows' must be"),
        ({"callback": 3}, "callback=3 must be callable"),
    ],
)
def test_wrong_parameters(arguments, words):
    with pytest.raises(ValueError, match=words):
        AutoImputer(**arguments).fit(np.ones((4, 3)))


def test_wrong_tables_are_refused_in_a_line(tmp_path):
    X = frame()
    imputer = quick().fit(X)
    with pytest.raises(TypeError, match="column 'float', which held numbers in fit: convert it"):
        imputer.transform(X.assign(float="x"))
    with pytest.raises(ValueError, match="infinity in column 'whole'"):
        quick().fit(X.assign(whole=np.inf))
    with pytest.raises(TypeError, match="AutoImputer cannot be saved: only"):
        save(imputer, tmp_path / "model.advnmf")
    with pytest.raises(TypeError, match=r"LazyFrame: give X.collect\(\)"):
        quick().fit(pytest.importorskip("polars").from_pandas(X).lazy())
