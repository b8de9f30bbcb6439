"""The estimators in scikit-learn's company: its own checks, and what these leave out for data with holes."""

from __future__ import annotations

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from advnmf import (
    ADNMF,
    ANMF,
    ATNMF,
    DMF,
    EADNMF,
    HQASD,
    L21,
    NMF,
    AutoNMF,
    DeepNMF,
    FrobeniusPenalty,
    NMFImputer,
)
from advnmf.model_selection import CompletionSearchCV

# The checks fit tiny random data to full rank: neither convergence nor a unique answer is their question.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::advnmf.DataWarning"),
    pytest.mark.usefixtures("few_candidates"),
]

# With few sweeps or candidates, or layers as narrow as the data; the rest as it comes.
CHECKED = [
    NMF(max_iter=20),
    NMF(1, solver="mu", loss="elastic", max_iter=300, tol=1e-6),
    ATNMF(max_iter=20),
    DeepNMF((3, 2)),
    ADNMF((3, 2)),
    EADNMF((3, 2)),
    HQASD(),
    HQASD(2, solver="asd", max_iter=60),
    DMF(max_iter=20),
    DMF(2, (4,), max_iter=60),
    ANMF(max_iter=20),
    AutoNMF(max_candidates=1),
    NMFImputer(),
    NMFImputer(NMF(2), add_indicator=True, keep_empty_features=True, clip="observed"),
    CompletionSearchCV(NMF(2, max_iter=20, random_state=0), {"n_components": [1, 2]}, cv=2),
]

# With all their sweeps and candidates, too: these take minutes.
SLOW_DEFAULTS = [DMF(), ANMF(), DeepNMF(), ADNMF(), EADNMF(), AutoNMF()]

# Checks of scikit-learn that are expected to fail, by class, with the reason.  There are none.
EXPECTED_FAILURES: dict[str, dict[str, str]] = {}


def expected_failures(estimator: BaseEstimator) -> dict[str, str]:
    return EXPECTED_FAILURES.get(type(estimator).__name__, {})


@parametrize_with_checks(CHECKED, expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(SLOW_DEFAULTS, expected_failed_checks=expected_failures)
def test_scikit_learn_checks_by_default(estimator, check):
    check(estimator)


ALL = [
    NMF(2, random_state=0),
    ATNMF(2, random_state=0),
    DeepNMF((3, 2), random_state=0),
    ADNMF((3, 2), random_state=0),
    EADNMF((3, 2), random_state=0, max_iter=30),
    HQASD(2, random_state=0, max_iter=100),
    DMF(2, (4,), random_state=0, max_iter=200, alpha_weights=1e-4, alpha_latent=1e-4),
    ANMF(2, random_state=0, max_iter=200),
    NMFImputer(NMF(2, alpha_W=0.0, random_state=0)),
]
FACTORISATIONS = [model for model in ALL if not isinstance(model, NMFImputer)]
# Models without nonnegativity, which take data of either sign.
SIGNED = (HQASD, DMF)
each = pytest.mark.parametrize("model", ALL, ids=lambda model: type(model).__name__)
each_factorisation = pytest.mark.parametrize("model", FACTORISATIONS, ids=lambda model: type(model).__name__)


@pytest.fixture
def X(planted):
    return planted[1]


@functools.cache
def fits(number: int, data: bytes) -> object:
    X = np.frombuffer(data).reshape(40, 12)
    return clone(ALL[number]).fit(X)


def fitted(model: object, X: np.ndarray) -> object:
    """A fit to be looked at, not changed: one for all tests."""
    return fits(next(k for k, each in enumerate(ALL) if each is model), X.tobytes())


def bits(values: object) -> bytes:
    return np.ascontiguousarray(values).tobytes()


# --- traps of check_array ----------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize(
    ("value", "message"), [(-1.0, "Negative values in data"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
@pytest.mark.parametrize("with_nan", [False, True])
def test_bad_values_are_refused(model, planted, value, message, with_nan):
    """With a NaN present, scikit-learn's own check lets negative values pass; nobody checks infinities."""
    if value == -1.0 and isinstance(model, SIGNED):
        pytest.skip("takes data of either sign")
    truth, X = planted
    known = fitted(model, X)
    bad = (X if with_nan else truth).copy()
    bad[3, 4] = value
    with pytest.raises(ValueError, match=message):
        known.transform(bad)
    with pytest.raises(ValueError, match=message):
        clone(model).fit(bad)


@each
def test_bad_values_behind_the_mask_do_not_matter(model, X):
    junk = X.copy()
    junk[0, :3] = [np.inf, -1.0, -np.inf]
    clean = X.copy()
    clean[0, :3] = np.nan
    mask = np.ones(X.shape, bool)
    mask[0, :3] = False
    expected = clone(model).fit(clean).transform(clean)
    assert bits(clone(model).fit(junk, mask=mask).transform(junk, mask=mask)) == bits(expected)


@each
def test_masked_arrays_keep_their_mask(model, X):
    """check_array drops the mask of numpy.ma and takes the hidden values for data."""
    hidden = np.isnan(X)
    masked = np.ma.array(np.where(hidden, 1e9, X), mask=hidden)
    assert bits(clone(model).fit(masked).transform(masked)) == bits(fitted(model, X).transform(X))


@each
@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.coo_array])
def test_sparse_is_taken_or_refused_as_the_tags_say(model, kind):
    if sklearn.utils.get_tags(model).input_tags.sparse:
        assert clone(model).fit(kind(np.eye(4))).n_features_in_ == 4
        return
    with pytest.raises(TypeError, match=r"[Ss]parse data was passed"):
        clone(model).fit(kind(np.eye(4)))


@each
def test_pandas_missing_values(model, X):
    frame = pd.DataFrame(X).astype("Float64")
    assert bits(clone(model).fit(frame).transform(frame)) == bits(fitted(model, X).transform(X))


@each_factorisation
def test_completion_of_frames_and_masked_arrays(model, X):
    hidden = np.isnan(X)
    expected = clone(model).fit_complete(X)
    for same in (pd.DataFrame(X).astype("Float64"), np.ma.array(np.where(hidden, 1e9, X), mask=hidden)):
        assert bits(clone(model).fit_complete(same)) == bits(expected)
    assert bits(expected[~hidden]) == bits(X[~hidden])


# --- what transform depends on -----------------------------------------------------------------------------------


@each
def test_transform_does_not_depend_on_the_batch(model, X):
    model = fitted(model, X)
    together = model.transform(X)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_allclose(model.transform(X[order]), together[order], rtol=1e-6, atol=1e-9)
    for i in range(0, len(X), 7):
        np.testing.assert_allclose(model.transform(X[i : i + 1])[0], together[i], rtol=1e-6, atol=1e-9)


@each
def test_an_empty_row_comes_out_the_same_alone(model, X):
    model = fitted(model, X)
    row = np.full((1, X.shape[1]), np.nan)
    alone = model.transform(row)
    assert np.isfinite(alone).all()
    np.testing.assert_allclose(model.transform(np.vstack([X, row]))[-1:], alone, rtol=1e-12)


@each
def test_transform_leaves_model_and_data_alone(model, X):
    model = fitted(model, X)
    before, data = pickle.dumps(model), X.copy()
    model.transform(data)
    assert pickle.dumps(model) == before
    assert bits(data) == bits(X)


# --- precision, names, containers --------------------------------------------------------------------------------


@each
def test_float32_is_kept(model, X):
    X = X.astype(np.float32)
    model = clone(model).fit(X)
    assert model.transform(X).dtype == np.float32
    inner = getattr(model, "estimator_", model)
    arrays = [*inner.coefs_, *inner.intercepts_, inner.latent_] if isinstance(model, DMF) else inner.factors_
    assert {F.dtype for F in arrays} == {np.dtype(np.float32)}
    assert model.transform(X).dtype == np.float32
    assert model.transform(X.astype(np.float64)).dtype == np.float64


@each
@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.float16, bool])
def test_other_numbers_become_float64(model, planted, dtype):
    X = np.rint(planted[0]).astype(dtype)
    assert clone(model).fit(X).transform(X).dtype == np.float64


@each
def test_feature_names(model, X):
    names = [f"band_{j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names)
    model = clone(model).fit(frame)
    assert list(model.feature_names_in_) == names
    out = model.get_feature_names_out()
    if isinstance(model, NMFImputer):
        assert list(out) == names
    else:
        assert list(out) == [f"{type(model).__name__.lower()}{k}" for k in range(2)]
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame[names[::-1]])


@each
def test_set_output(model, X):
    frame = pd.DataFrame(X, index=[f"row_{i}" for i in range(len(X))])
    frame.columns = [f"band_{j}" for j in range(X.shape[1])]
    plain = clone(model).fit(frame).transform(frame)
    out = clone(model).set_output(transform="pandas").fit_transform(frame)
    assert list(out.index) == list(frame.index)
    assert list(out.columns) == list(clone(model).fit(frame).get_feature_names_out())
    assert out.shape == plain.shape


# --- copies ------------------------------------------------------------------------------------------------------


@each
def test_clone_and_pickle(model, X):
    known = fitted(model, X)
    copy = clone(known)
    assert copy.get_params(deep=False).keys() == model.get_params(deep=False).keys()
    assert not any(name.endswith("_") for name in vars(copy))
    assert bits(copy.fit(X).transform(X)) == bits(known.transform(X))
    assert bits(pickle.loads(pickle.dumps(known)).transform(X)) == bits(known.transform(X))


def test_clone_of_objects_as_parameters():
    model = NMF(loss=L21(floor=0.5), adversary=FrobeniusPenalty(3.0))
    assert clone(model).get_params() == model.get_params()


@each
def test_a_seed_means_one_result_and_the_global_seed_is_left_alone(model, X):
    state = np.random.get_state()[1].copy()  # noqa: NPY002  (the global generator is what this is about)
    assert bits(clone(model).fit(X).transform(X)) == bits(fitted(model, X).transform(X))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


# --- pipelines, searches, metadata -------------------------------------------------------------------------------


@each
def test_pipeline_and_grid_search(model, X):
    y = np.nanmean(X, axis=1)
    prefix = "estimator__" if isinstance(model, NMFImputer) else ""
    pipeline = Pipeline([("model", clone(model)), ("ridge", Ridge(alpha=1e-3))])
    grid = {f"model__{prefix}n_components": [1, 2], f"model__{prefix}tol": [1e-6 if isinstance(model, DMF) else 1e-3]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    # The codes of a nonlinear decoder say nothing linear about y.
    assert isinstance(model, DMF) or search.best_params_[f"model__{prefix}n_components"] == 2
    assert search.predict(X[:4]).shape == (4,)


@each_factorisation
def test_score_ranks_models(model, X):
    """`score` lets a model stand alone in a search."""
    scores = cross_validate(clone(model), X, cv=2, error_score="raise")["test_score"]
    assert (scores < 0).all()
    worse = cross_validate(clone(model).set_params(n_components=1), X, cv=2, error_score="raise")["test_score"]
    assert scores.mean() > worse.mean()


def holes_as_arguments(planted) -> dict[str, np.ndarray]:
    """A mask and weights that matter: without them the hidden junk would be learnt."""
    X = planted[1]
    mask = ~np.isnan(X)
    weights = 1.0 + (np.arange(X.size).reshape(X.shape) % 3)
    return {"X": np.where(mask, X, 100.0), "mask": mask, "weights": weights}


@each
def test_metadata_routing_through_a_pipeline(model, planted):
    given = holes_as_arguments(planted)
    direct = clone(model).fit(**given)
    expected = direct.transform(**given)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = clone(model).set_fit_request(mask=True, weights=True).set_transform_request(mask=True, weights=True)
        pipeline = make_pipeline(routed)
        pipeline.fit(given["X"], mask=given["mask"], weights=given["weights"])
        out = pipeline.transform(given["X"], mask=given["mask"], weights=given["weights"])
    assert bits(out) == bits(expected)
    plain = clone(model).fit(given["X"])
    assert not np.allclose(plain.transform(given["X"]), expected)


def test_metadata_routing_through_a_search(planted):
    """Each fold gets its rows of the mask."""
    given = holes_as_arguments(planted)
    y = np.ma.array(given["X"], mask=~given["mask"]).mean(axis=1).data
    seen = []

    class Spy(NMFImputer):
        def fit(self, X, y=None, *, mask=None, weights=None):
            seen.append((len(X), mask.shape, int(np.sum(X[~mask] != 100.0))))
            return super().fit(X, y, mask=mask, weights=weights)

    with sklearn.config_context(enable_metadata_routing=True):
        imputer = Spy(NMF(2, random_state=0)).set_fit_request(mask=True, weights=True)
        imputer.set_transform_request(mask=True, weights=True)
        search = GridSearchCV(make_pipeline(imputer, Ridge()), {"ridge__alpha": [1e-3, 1.0]}, cv=4, error_score="raise")
        search.fit(given["X"], y, mask=given["mask"], weights=given["weights"])
    assert search.best_score_ > 0.9
    assert {n for n, _, _ in seen} == {30, 40}
    assert all(shape == (n, 12) and junk == 0 for n, shape, junk in seen)


@each
def test_unrequested_metadata_is_an_error(model, planted):
    given = holes_as_arguments(planted)
    with sklearn.config_context(enable_metadata_routing=True), pytest.raises(ValueError, match="mask"):
        make_pipeline(clone(model)).fit(given["X"], mask=given["mask"])


@each
def test_tags(model):
    tags = sklearn.utils.get_tags(model)
    assert tags.input_tags.allow_nan
    assert tags.input_tags.positive_only == (not isinstance(model, SIGNED))
    assert tags.input_tags.sparse == isinstance(model, NMF)
    assert set(tags.transformer_tags.preserves_dtype) == {"float64", "float32"}
