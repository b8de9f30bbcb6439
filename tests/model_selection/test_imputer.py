from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from advnmf import ATNMF, EADNMF, NMF, AutoNMF, DataWarning, NMFImputer, datasets, load, save
from advnmf.metrics import rmse

MODEL = NMF(2, random_state=0, max_iter=2000)


def bits(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values).tobytes()


@pytest.fixture
def X(planted):
    return planted[1]


# --- what comes back ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_candidates")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("estimator", [None, MODEL])
def test_observed_entries_come_back_bit_for_bit(X, dtype, estimator):
    X = X.astype(dtype)
    filled = NMFImputer(estimator).fit_transform(X)
    seen = ~np.isnan(X)
    assert filled.dtype == dtype
    assert bits(filled[seen]) == bits(X[seen])
    assert np.isfinite(filled).all()
    assert (filled >= 0).all()


def test_signed_zeros_and_tiny_numbers_come_back(X):
    X = X.copy()
    X[0, :3] = [-0.0, 5e-324, np.nan]
    filled = NMFImputer(MODEL).fit_transform(X)
    assert bits(filled[0, :2]) == bits(X[0, :2])


def test_holes_of_a_planted_matrix_are_found(planted):
    truth, X = planted
    holes = np.isnan(X)
    by_mean = rmse(truth, SimpleImputer().fit_transform(X), mask=holes)
    assert rmse(truth, NMFImputer(MODEL).fit_transform(X), mask=holes) < 0.03 * by_mean


def test_fit_transform_is_fit_then_transform(X):
    options = {"mask": np.indices(X.shape).sum(axis=0) % 7 > 0, "weights": 1 + np.arange(12.0)[None]}
    for given in ({}, options):
        once = NMFImputer(MODEL).fit_transform(X, **given)
        assert bits(once) == bits(NMFImputer(MODEL).fit(X, **given).transform(X, **given))


def test_rows_do_not_depend_on_their_batch(X):
    imputer = NMFImputer(MODEL).fit(X[:30])
    batch = imputer.transform(X[30:])
    for i in range(10):
        np.testing.assert_allclose(imputer.transform(X[30 + i : 31 + i])[0], batch[i], rtol=1e-9)


def test_new_rows_are_completed(planted):
    truth, X = planted
    filled = NMFImputer(MODEL).fit(X[:30]).transform(X[30:])
    assert rmse(truth[30:], filled, mask=np.isnan(X[30:])) < 0.04 * truth.mean()


def test_rows_without_anything_observed(X):
    imputer = NMFImputer(MODEL).fit(X)
    row = np.full((1, 12), np.nan)
    with pytest.warns(DataWarning, match="no observed entry"):
        alone = imputer.transform(row)
    with pytest.warns(DataWarning, match="no observed entry"):
        together = imputer.transform(np.vstack([row, X]))
    np.testing.assert_allclose(alone[0], together[0])
    assert (alone > 0).all()


def test_complete_data_pass_unchanged(planted):
    truth, X = planted
    assert bits(NMFImputer(MODEL).fit(X).transform(truth)) == bits(truth)


@pytest.mark.usefixtures("few_candidates")
def test_the_input_is_not_modified(X):
    before = X.copy()
    NMFImputer(add_indicator=True, clip="observed").fit_transform(before)
    assert bits(before) == bits(X)


def test_integers_with_a_mask(planted):
    counts = np.rint(20 * planted[0]).astype(int)
    mask = ~np.isnan(planted[1])
    filled = NMFImputer(MODEL).fit_transform(counts, mask=mask)
    assert filled.dtype == np.float64
    assert (filled[mask] == counts[mask]).all()


# --- how missing entries are said --------------------------------------------------------------------------------


def test_nan_mask_and_masked_array_mean_the_same(planted):
    X = planted[1]
    seen = ~np.isnan(X)
    expected = NMFImputer(MODEL).fit_transform(X)
    junk = np.where(seen, X, -np.inf)
    assert bits(NMFImputer(MODEL).fit_transform(junk, mask=seen)) == bits(expected)
    assert bits(NMFImputer(MODEL).fit_transform(np.ma.array(junk, mask=~seen))) == bits(expected)
    assert type(NMFImputer(MODEL).fit_transform(np.ma.array(junk, mask=~seen))) is np.ndarray


def test_pandas_missing_values(X):
    frame = pd.DataFrame(X).astype("Float64")
    assert bits(NMFImputer(MODEL).fit_transform(frame)) == bits(NMFImputer(MODEL).fit_transform(X))


def test_entries_of_weight_zero_teach_nothing_and_stay(planted):
    truth, X = planted
    weights = np.ones(X.shape)
    weights[3, 4] = 0
    wrong = np.where(np.isnan(X), np.nan, X)
    wrong[3, 4] = 1e6
    holed = wrong.copy()
    holed[3, 4] = np.nan
    filled = NMFImputer(MODEL).fit_transform(wrong, weights=weights)
    expected = NMFImputer(MODEL).fit_transform(holed, weights=weights)
    assert filled[3, 4] == 1e6
    others = weights > 0
    np.testing.assert_allclose(filled[others], expected[others], rtol=1e-6)
    assert truth[3, 4] != 1e6


@pytest.mark.parametrize(
    ("value", "message"), [(-1.0, "Negative values in data"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
def test_bad_values_are_refused_next_to_nan(X, value, message):
    bad = X.copy()
    bad[5, 5] = value
    assert np.isnan(bad).any()
    with pytest.raises(ValueError, match=message):
        NMFImputer(MODEL).fit(bad)
    with pytest.raises(ValueError, match=message):
        NMFImputer(MODEL).fit(X).transform(bad)


def test_the_default_model_takes_negative_columns(X):
    """As degrees are; a model that is nonnegative does not, above."""
    shifted = X - [1.0] + np.where(np.arange(X.shape[1]) % 2, 0, -5.0)
    filled = NMFImputer().fit_transform(shifted)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~np.isnan(X)], shifted[~np.isnan(X)])


# --- features with nothing observed ------------------------------------------------------------------------------


@pytest.fixture
def with_empty(X):
    X = X.copy()
    X[:, 4] = np.nan
    return X


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("indicator", [False, True])
@pytest.mark.filterwarnings("ignore:Skipping features without any observed values:UserWarning")
def test_columns_are_those_of_simple_imputer(with_empty, keep, indicator):
    """Same columns and names as scikit-learn's imputer, whatever the options; kept empty features are 0 in both."""
    frame = pd.DataFrame(with_empty, columns=[f"f{j}" for j in range(12)])
    options = {"keep_empty_features": keep, "add_indicator": indicator}
    ours = NMFImputer(MODEL, **options).set_output(transform="pandas")
    theirs = SimpleImputer(**options).set_output(transform="pandas")
    mine, yours = ours.fit_transform(frame), theirs.fit_transform(frame)
    assert list(mine.columns) == list(yours.columns)
    assert list(ours.get_feature_names_out()) == list(mine.columns)
    assert not mine.isna().any().any()
    if keep:
        pd.testing.assert_series_equal(mine["f4"], yours["f4"])
    if indicator:
        flags = [name for name in mine.columns if name.startswith("missingindicator_")]
        pd.testing.assert_frame_equal(mine[flags], yours[flags])


def test_empty_features_do_not_disturb_the_others(with_empty):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = NMFImputer(MODEL, keep_empty_features=True).fit_transform(with_empty)
    assert bits(np.delete(kept, 4, axis=1)) == bits(NMFImputer(MODEL).fit_transform(np.delete(with_empty, 4, axis=1)))


def test_a_feature_first_seen_in_transform(X, with_empty):
    """It is dropped; or kept with what was observed, 0 elsewhere, and without influence on the rest."""
    dropped = NMFImputer(MODEL).fit(with_empty).transform(X)
    assert dropped.shape == (40, 11)
    kept = NMFImputer(MODEL, keep_empty_features=True).fit(with_empty).transform(X)
    np.testing.assert_array_equal(kept[:, 4], np.nan_to_num(X[:, 4]))
    assert bits(np.delete(kept, 4, axis=1)) == bits(dropped)


def test_indicator_ignores_features_that_had_no_holes_in_fit(planted):
    truth, X = planted
    X = X.copy()
    X[:, 0] = truth[:, 0]
    imputer = NMFImputer(MODEL, add_indicator=True).fit(X)
    X[0, 0] = np.nan
    out = imputer.transform(X)
    assert out.shape == (40, 12 + 11)
    np.testing.assert_array_equal(out[:, 12:], np.isnan(X[:, 1:]))


def test_indicator_knows_the_mask_and_keeps_the_dtype(planted):
    truth, X = planted
    mask = ~np.isnan(X)
    out = NMFImputer(MODEL, add_indicator=True).fit_transform(truth.astype(np.float32), mask=mask)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out[:, 12:], ~mask)


def test_names_without_a_frame(with_empty):
    imputer = NMFImputer(MODEL, add_indicator=True).fit(with_empty)
    names = imputer.get_feature_names_out()
    assert list(names[:5]) == ["x0", "x1", "x2", "x3", "x5"]
    assert list(names[11:13]) == ["missingindicator_x0", "missingindicator_x1"]
    assert imputer.get_feature_names_out([f"n{j}" for j in range(12)])[4] == "n5"
    with pytest.raises(ValueError, match="input_features"):
        imputer.get_feature_names_out(["a"])


# --- clip --------------------------------------------------------------------------------------------------------


def test_clip_to_the_observed_range(X):
    # A row far above the others, so that its holes are filled above the range of the training data.
    train, row = X[:30], 50 * X[30:31]
    filled = NMFImputer(MODEL, clip="observed").fit(train).transform(row)
    holes = np.isnan(row)
    top = np.broadcast_to(np.nanmax(train, axis=0), row.shape)
    assert holes.any()
    np.testing.assert_array_equal(filled[holes], top[holes])
    assert bits(filled[~holes]) == bits(row[~holes])


@pytest.mark.parametrize("clip", [(0.5, 0.6), [0.5, 0.6]])
def test_clip_to_a_given_range(X, clip):
    filled = NMFImputer(MODEL, clip=clip).fit_transform(X)
    holes = np.isnan(X)
    assert set(np.unique(filled[holes])) >= {0.5, 0.6}
    assert filled[holes].min() == 0.5
    assert filled[holes].max() == 0.6
    assert bits(filled[~holes]) == bits(X[~holes])


def test_clip_keeps_float32(X):
    filled = NMFImputer(MODEL, clip="observed").fit(X).transform(X.astype(np.float32))
    assert filled.dtype == np.float32


@pytest.mark.parametrize("clip", ["obs", (1, 0), (1,), 3.0, (0, np.nan), ("a", "b")])
def test_clip_refuses(X, clip):
    with pytest.raises(ValueError, match="clip="):
        NMFImputer(clip=clip).fit(X)


# --- the model inside --------------------------------------------------------------------------------------------


def test_default_finds_rank_and_ridge(planted):
    """Without a choice it is as good as who knows the rank, the same each time, and on every scale."""
    truth, X = planted
    holes = np.isnan(X)
    imputer = NMFImputer()
    filled = imputer.fit_transform(X)
    assert imputer.estimator is None
    assert isinstance(imputer.estimator_, AutoNMF)
    assert len(imputer.estimator_.candidates_) == 21  # the column means beside
    assert rmse(truth, filled, mask=holes) < 1.2 * rmse(truth, NMFImputer(MODEL).fit_transform(X), mask=holes)
    assert bits(filled) == bits(NMFImputer().fit_transform(X))
    np.testing.assert_allclose(NMFImputer().fit_transform(1024 * X), 1024 * filled, rtol=1e-6)


def odd_tables():
    rng = np.random.default_rng(0)
    table = np.where(rng.random((40, 6)) < 0.3, np.nan, rng.random((40, 6)))
    empty, zero = table.copy(), table.copy()
    empty[5], empty[:, 3] = np.nan, np.nan
    zero[:, 3] = 0.0
    return {
        "2 x 2": np.array([[1.0, np.nan], [2.0, 3.0]]),
        "one entry": np.array([[4.0]]),
        "one column": table[:, :1],
        "one row": table[:1],
        "all zeros": np.where(np.isnan(table), np.nan, 0.0),
        "all equal": np.where(np.isnan(table), np.nan, 0.3),
        "empty row and column": empty,
        "column of zeros": zero,
        "single precision": table.astype(np.float32),
        "masked": np.ma.array(np.where(np.isnan(table), -7.0, table), mask=np.isnan(table)),
        "large numbers": 1e30 * table,
    }


@pytest.mark.parametrize("name", odd_tables())
@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
def test_default_takes_odd_tables(name, few_candidates):
    X = odd_tables()[name]
    seen = ~np.isnan(np.ma.filled(X, np.nan))
    weights = np.random.default_rng(1).uniform(0.5, 2.0, X.shape)
    for options in ({"keep_empty_features": True}, {"keep_empty_features": True, "clip": "observed"}):
        imputer = NMFImputer(**options)
        filled = imputer.fit_transform(X, weights=weights)
        assert filled.dtype == X.dtype
        assert bits(filled[seen]) == bits(np.ma.getdata(X)[seen])
        assert np.isfinite(filled).all()
        low, high = np.ma.getdata(X)[seen].min(), np.ma.getdata(X)[seen].max()
        assert filled.max() <= high
        assert filled.min() >= 0
        assert (filled[~seen & seen.any(axis=0)] >= low * (1 - 1e-6)).all() or "clip" not in options
        new = imputer.transform(X[-1:], weights=weights[-1:])
        np.testing.assert_allclose(new, filled[-1:], rtol=1e-5 if filled.dtype == np.float32 else 1e-9)


def test_default_in_a_file_and_interrupted(X, tmp_path, few_candidates, monkeypatch):
    imputer = NMFImputer().fit(X)
    save(imputer, tmp_path / "imputer.advnmf")
    assert bits(load(tmp_path / "imputer.advnmf").transform(X)) == bits(imputer.transform(X))

    def interrupt(self, look):
        raise KeyboardInterrupt

    monkeypatch.setattr(AutoNMF, "_report", interrupt)
    imputer = NMFImputer()
    with pytest.raises(KeyboardInterrupt):
        imputer.fit(X)
    assert np.isfinite(imputer.transform(X)).all()


def test_the_estimator_is_cloned(X):
    model = NMF(2, random_state=0)
    imputer = NMFImputer(model).fit(X)
    assert not hasattr(model, "components_")
    assert imputer.estimator is model
    assert imputer.estimator_.components_.shape == (2, 12)


@pytest.mark.parametrize("model", [ATNMF(2, random_state=0), EADNMF((4, 2), random_state=0, max_iter=100, tol=1e-3)])
def test_other_models(planted, model):
    truth, X = planted
    holes = np.isnan(X)
    by_mean = rmse(truth, SimpleImputer().fit_transform(X), mask=holes)
    assert rmse(truth, NMFImputer(model).fit_transform(X), mask=holes) < 0.5 * by_mean


@pytest.mark.parametrize("estimator", ["nmf", Ridge(), SimpleImputer()])
def test_other_estimators_are_refused(X, estimator):
    with pytest.raises(TypeError, match="has no fit and complete"):
        NMFImputer(estimator).fit(X)


def test_an_interrupted_fit_leaves_a_usable_imputer(X):
    def stop(progress):
        if progress.n_iter == 3:
            raise KeyboardInterrupt
        return False

    imputer = NMFImputer(NMF(2, random_state=0, callback=stop))
    with pytest.raises(KeyboardInterrupt):
        imputer.fit(X)
    assert np.isfinite(imputer.transform(X)).all()


# --- in scikit-learn's company -----------------------------------------------------------------------------------


def test_pipeline_and_grid_search(X):
    y = np.nanmean(X, axis=1)
    pipeline = make_pipeline(NMFImputer(MODEL), Ridge())
    grid = {"nmfimputer__estimator__n_components": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_ == {"nmfimputer__estimator__n_components": 2}
    assert search.predict(X[:4]).shape == (4,)


def test_column_transformer(X):
    frame = pd.DataFrame(X, columns=[f"f{j}" for j in range(12)]).assign(kind="a")
    counts = [f"f{j}" for j in range(6)]
    transformer = ColumnTransformer(
        [("filled", NMFImputer(MODEL), counts), ("kind", "passthrough", ["kind"])],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    out = transformer.fit_transform(frame)
    assert list(out.columns) == [*counts, "kind"]
    assert not out[counts].isna().any().any()


def test_clone_and_parameters():
    imputer = NMFImputer(NMF(3), add_indicator=True, keep_empty_features=True, clip=(0, 5))
    copy = clone(imputer)
    assert copy.get_params()["estimator__n_components"] == 3
    assert copy.get_params(deep=False).keys() == {"estimator", "add_indicator", "keep_empty_features", "clip"}
    assert copy.set_params(estimator__n_components=4).estimator.n_components == 4
    assert imputer.estimator.n_components == 3


def test_not_fitted(X):
    with pytest.raises(ValueError, match="not fitted"):
        NMFImputer().transform(X)
    with pytest.raises(ValueError, match="not fitted"):
        NMFImputer().get_feature_names_out()


@pytest.mark.usefixtures("data_dir")
def test_real_faces():
    """Half-masked faces: far better than feature means."""
    truth = datasets.fetch_cbcl(preparation="raw").X[:400].astype(np.float32)
    seen = np.random.default_rng(0).random(truth.shape) < 0.5
    imputer = NMFImputer(NMF(10, random_state=0, alpha_W=1e-3, tol=1e-3), clip="observed")
    filled = imputer.fit_transform(truth, mask=seen)
    means = SimpleImputer().fit_transform(np.where(seen, truth, np.nan))
    assert rmse(truth, filled, mask=~seen) < 0.6 * rmse(truth, means, mask=~seen)


def test_an_interrupted_fit_leaves_what_was_there(X, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    fresh, before = (NMFImputer(NMF(2, random_state=0)) for _ in range(2))
    filled = before.fit_transform(X)
    monkeypatch.setattr("advnmf.models.progress.Loop", interrupt)
    for imputer in (fresh, before):
        with pytest.raises(KeyboardInterrupt):
            imputer.fit(2 * X)
    with pytest.raises(NotFittedError):
        fresh.transform(X)
    np.testing.assert_array_equal(before.transform(X), filled)
