"""Displays: what they draw (the data of the artists, not pixels), what they refuse, what they leave alone."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
import sklearn.decomposition
from scipy import sparse
from sklearn.model_selection import GridSearchCV

import advnmf
from advnmf import (
    ADNMF,
    ANMF,
    ATNMF,
    DMF,
    EADNMF,
    HQASD,
    L21,
    NMF,
    CompletionDisplay,
    ComponentsDisplay,
    ConvergenceDisplay,
    DeepNMF,
    FrobeniusPenalty,
    NMFImputer,
    SensitivityDisplay,
    metrics,
    trace,
)
from advnmf.io.pictures import unfold

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # 40 x 12 data with 30 % missing leave little to chains of some layers.
    pytest.mark.filterwarnings("ignore::advnmf.DataWarning"),
]

MODELS = [
    NMF(2, max_iter=30),
    ATNMF(2, max_iter=30),
    DeepNMF((4, 2), max_iter=30),
    ADNMF((4, 2), max_iter=30),
    EADNMF((4, 2), max_iter=30),
    HQASD(2, max_iter=30),
    DMF(2, (4,), max_iter=30),
    ANMF(2, max_iter=30),
    NMF(2, biases=True, adversary=FrobeniusPenalty(3.0), alpha_W=1e-3, max_iter=30),
]
models = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)


@pytest.fixture(autouse=True)
def _draw_and_close():
    """Each figure must draw without a warning; no display may show one or change the settings of all."""
    before = dict(matplotlib.rcParams)
    yield
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


def fitted(model, X, **arguments):
    return sklearn.base.clone(model).set_params(random_state=0).fit(X, **arguments)


# --- all models -----------------------------------------------------------------------------------------------


@models
def test_every_model_can_be_looked_at(model, planted):
    truth, X = planted
    model = fitted(model, X)
    convergence = ConvergenceDisplay.from_estimator(model)
    (line,) = convergence.lines_
    np.testing.assert_array_equal(line.get_ydata(), model.loss_curve_)
    np.testing.assert_array_equal(line.get_xdata(), np.arange(model.n_iter_ + 1))
    completion = CompletionDisplay.from_estimator(model, X, X_true=truth, image_shape=(3, 4), samples=[5, 2])
    (first, second) = completion.images_[""]
    whole = model.complete(X)
    np.testing.assert_allclose(first.get_array(), whole[5].reshape(3, 4))
    np.testing.assert_allclose(second.get_array(), whole[2].reshape(3, 4))
    np.testing.assert_array_equal(completion.images_["original"][1].get_array(), truth[2].reshape(3, 4))
    attacked = getattr(model, "adversary", None)
    assert ("attack" in completion.images_) == bool(attacked and attacked.attacks)
    if isinstance(model, DMF):
        with pytest.raises(ValueError, match="DMF has no components_: only models"):
            ComponentsDisplay.from_estimator(model)
        return
    components = ComponentsDisplay.from_estimator(model, image_shape=(3, 4), scale="shared")
    for image, component in zip(components.images_, model.components_, strict=True):
        np.testing.assert_array_equal(image.get_array(), component.reshape(3, 4))


@models
def test_trace_is_the_fit_looked_at_on_the_way(model, planted):
    truth, X = planted
    model = model.set_params(random_state=0)
    course = trace(model, X, X_true=truth, every=7)
    plain = fitted(model, X)
    assert list(course["n_iter"]) == [*range(7, plain.n_iter_, 7), plain.n_iter_]
    # On the way ANMF's curve is that of its unsplit factors, at a look that of the model.
    compared = slice(-1, None) if isinstance(model, ANMF) else slice(None)
    objective = plain.loss_curve_[course["n_iter"]]
    np.testing.assert_allclose(course["objective"][compared], objective[compared], rtol=1e-9)
    P, missing = plain.reconstruct(), np.isnan(X)
    assert course["observed_rmse"][-1] == pytest.approx(metrics.rmse(X, P), rel=1e-6)
    assert course["held_out_rmse"][-1] == pytest.approx(metrics.rmse(truth, P, mask=missing), rel=1e-6)


# --- trace ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [2, 6])
def test_trace_keeps_the_rhythm_of_alternating_attacks(every, planted):
    X = planted[1]
    model = EADNMF((4, 2), attack="alternating", attack_every=3, max_iter=14, random_state=0)
    course = trace(model, X, every=every)
    np.testing.assert_allclose(course["objective"], model.fit(X).loss_curve_[course["n_iter"]], rtol=1e-9)


def test_trace_ends_where_the_fit_ends(planted):
    X = planted[1]
    model = NMF(2, alpha_W=0.0, tol=1e-2, random_state=0)
    course = trace(model, X, every=3)
    assert course["n_iter"][-1] == model.fit(X).n_iter_ < model.max_iter
    assert set(course) == {"n_iter", "objective", "observed_rmse"}


def test_trace_leaves_the_estimator_alone_and_takes_a_mask(planted):
    truth, X = planted
    model = NMF(2, max_iter=5, callback=lambda progress: pytest.fail("not to be called"), random_state=0)
    course = trace(model, truth, mask=~np.isnan(X), X_true=truth)
    assert not hasattr(model, "components_")
    assert len(course["n_iter"]) == 5
    assert (course["held_out_rmse"] > 0).all()


def test_looks_that_begin_anew_begin_alike(planted):
    streamed, seeded = (trace(ANMF(2, max_iter=4, random_state=s), planted[1]) for s in (np.random.RandomState(3), 3))
    np.testing.assert_array_equal(streamed["objective"], seeded["objective"])
    # From one start the first steps descend; from a start for each look they do not.
    unseeded = trace(DMF(2, (4,), max_iter=8), planted[1])
    assert (np.diff(unseeded["objective"]) < 0).all()


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (NMF(2), {"every": 0}, "every=0 must be an integer at least 1"),
        (NMF(2), {"X_true": np.ones((5, 4))}, "nothing to score"),
        (NMF(2, attack="alternating", attack_every=0), {}, "attack_every=0 must be"),
        (NMFImputer(), {}, "NMFImputer cannot be traced: give a model"),
    ],
)
def test_trace_refuses(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        trace(model, np.ones((5, 4)), **arguments)


# --- the attack -----------------------------------------------------------------------------------------------


def test_perturbation_is_the_printed_one(planted):
    X = planted[1]
    model = fitted(ATNMF(2, lam=1.5), X)
    P = model.inverse_transform(model.transform(X))
    R = model.perturbation(X)
    known = ~np.isnan(X)
    np.testing.assert_allclose(R[known], np.maximum((X - P) / 0.5, -X)[known], atol=1e-12)
    assert (R[~known] == 0).all()
    np.testing.assert_array_equal(model.perturbation(np.nan_to_num(X), mask=known), R)
    np.testing.assert_allclose(model.perturbation(X[3:4])[0], R[3], atol=1e-12)


@pytest.mark.parametrize("loss", ["elastic", L21(floor=0.5), "frobenius", "correntropy"])
def test_perturbation_harms(loss, planted):
    X = planted[1]
    model = NMF(2, loss=loss, adversary=FrobeniusPenalty(40.0), alpha_W=1e-3, max_iter=40, random_state=0).fit(X)
    R, known = model.perturbation(X.astype(np.float32)), ~np.isnan(X)
    assert R.dtype == np.float32
    P = model.inverse_transform(model.transform(X))
    assert (np.abs(X + R - P)[known] >= np.abs(X - P)[known] - 1e-5).all()
    assert (X + R)[known].min() >= -1e-6


def test_perturbation_knows_of_offsets(planted):
    X = planted[1]
    model = fitted(NMF(2, biases=True, adversary=FrobeniusPenalty(3.0), alpha_W=1e-3), X)
    A, B = model.linear(model.transform(X))
    P, known = A @ B, ~np.isnan(X)  # before what is negative is completed with zeros
    np.testing.assert_allclose(model.perturbation(X)[known], np.maximum((X - P) / 2, -X)[known], atol=1e-9)


def test_perturbation_without_adversary_is_zero(planted):
    assert not fitted(NMF(2), planted[1]).perturbation(planted[1]).any()


@pytest.mark.parametrize("missing", ["zero", "absent"])
def test_perturbation_of_sparse_data_is_that_of_dense_ones(missing, planted):
    X = np.nan_to_num(planted[1])
    model = fitted(ATNMF(2, sparse_missing=missing), sparse.csr_array(X))
    R = model.perturbation(sparse.csr_array(X))
    assert sparse.issparse(R)
    dense = model.perturbation(X, mask=None if missing == "zero" else X > 0)
    np.testing.assert_allclose(R.toarray(), dense, atol=1e-9)


# --- convergence ----------------------------------------------------------------------------------------------


def test_curves_are_compared_in_one_axes():
    display = ConvergenceDisplay({"a": [4.0, 2.0]}).plot()
    other = ConvergenceDisplay({"b": [9.0, 6.0, 3.0]}).plot(display.ax_, relative=True)
    assert other.ax_ is display.ax_
    assert other.figure_ is display.figure_
    np.testing.assert_array_equal(other.lines_[0].get_ydata(), [3, 2, 1])
    assert display.lines_[0].get_color() != other.lines_[0].get_color()
    assert display.ax_.get_yscale() == "log"
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["a", "b"]


def test_curves_with_zeros_have_a_linear_axis():
    assert ConvergenceDisplay({"a": [1.0, 0.0]}).plot().ax_.get_yscale() == "linear"


@pytest.mark.parametrize("values", [[0.157, 0.196], [0.21, 0.29], [0.06, 0.17], [1.1, 9.0], [0.02, 30.0]])
def test_logarithmic_axes_bear_numbers(values):
    ax = ConvergenceDisplay({"a": values}).plot().ax_
    ax.figure.canvas.draw()
    labels = [*ax.get_yticklabels(), *ax.get_yticklabels(minor=True)]
    low, high = ax.get_ylim()
    shown = [label for label in labels if label.get_text() and low <= label.get_position()[1] <= high]
    assert 2 <= len(shown) <= 12


def test_curves_have_names_units_and_iterations():
    display = ConvergenceDisplay({"train": [2, 1], "test": [3, 2]}, iterations=[10, 20], ylabel="RMSE").plot(title="t")
    np.testing.assert_array_equal(display.lines_[1].get_xdata(), [10, 20])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel(), display.ax_.get_title()) == ("iteration", "RMSE", "t")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "at least one"),
        (([1, 2],), "must be a mapping"),
        (({"a": ["x"]},), "curves\\['a'\\] must hold numbers"),
        (({"a": [[1, 2]]},), "must have 1 ax"),
    ],
)
def test_bad_curves(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvergenceDisplay(*arguments)


def test_iterations_that_do_not_fit():
    with pytest.raises(ValueError, match="iterations holds 3 numbers, but 2 are needed"):
        ConvergenceDisplay({"a": [1, 2]}, iterations=[1, 2, 3])


def test_what_has_not_been_fitted():
    for display in (ConvergenceDisplay, ComponentsDisplay):
        with pytest.raises(sklearn.exceptions.NotFittedError):
            display.from_estimator(NMF(2))


# --- components -----------------------------------------------------------------------------------------------


def test_tiles_have_own_or_shared_scale():
    H = np.array([[0, 1, 2, 4.0], [0, 0, 0, 1.0]])
    own = ComponentsDisplay(H, image_shape=(2, 2)).plot()
    np.testing.assert_array_equal(own.images_[0].get_array(), [[0, 0.25], [0.5, 1]])
    np.testing.assert_array_equal(own.images_[1].get_array(), [[0, 0], [0, 1]])
    shared = ComponentsDisplay(H, image_shape=(2, 2)).plot(scale="shared")
    assert [image.get_clim() for image in shared.images_] == [(0, 4), (0, 4)]
    assert len(shared.figure_.axes) == 2  # with a colour bar


def test_tiles_by_column_and_by_row():
    H = np.arange(6.0)[None]
    by_column = ComponentsDisplay(H, image_shape=(2, 3), image_order="F").plot(scale="shared")
    np.testing.assert_array_equal(by_column.images_[0].get_array(), [[0, 2, 4], [1, 3, 5]])


def test_tiles_do_not_overlap():
    display = ComponentsDisplay(np.ones((7, 12)), image_shape=(3, 4)).plot(n_columns=3)
    boxes = [image.get_window_extent() for image in display.images_]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert len({round(box.x0) for box in boxes}) == 3
    inside = display.ax_.get_window_extent()
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 + 1 for box in boxes)


def test_coloured_and_signed_tiles():
    rng = np.random.default_rng(0)
    coloured = ComponentsDisplay(rng.random((2, 12)), image_shape=(2, 2, 3)).plot()
    assert coloured.images_[0].get_array().shape == (2, 2, 3)
    signed = ComponentsDisplay(np.array([[-1.0, 2.0]]), image_shape=(1, 2)).plot()
    assert signed.images_[0].get_clim() == (-1, 1)


def test_lines_over_given_positions():
    H = np.array([[1.0, 2, 4], [3, 0, 0], [0, 0, 0]])
    display = ComponentsDisplay(H, names="abc").plot(x=[400, 500, 600], xlabel="wavelength (nm)")
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [400, 500, 600])
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), [0.25, 0.5, 1])
    np.testing.assert_array_equal(display.lines_[2].get_ydata(), 0)
    assert [line.get_label() for line in display.lines_] == ["a", "b", "c"]
    assert display.ax_.get_xlabel() == "wavelength (nm)"


def test_components_by_contribution(planted):
    model = fitted(NMF(3), planted[1])
    shares = [np.linalg.norm(np.outer(model.factors_[0][:, k], model.components_[k])) for k in range(3)]
    display = ComponentsDisplay.from_estimator(model, order="contribution", n_components=2)
    assert display.names == [str(k) for k in np.argsort(shares)[::-1][:2]]
    chosen = ComponentsDisplay.from_estimator(model, order=[2, 0])
    np.testing.assert_array_equal(chosen.components, model.components_[[2, 0]])


def test_components_of_others(planted):
    X = planted[0]
    other = sklearn.decomposition.NMF(2, random_state=0).fit(X)
    ComponentsDisplay.from_estimator(other)
    with pytest.raises(ValueError, match="needs the codes of the training data"):
        ComponentsDisplay.from_estimator(other, order="contribution")
    imputer = NMFImputer(NMF(2, random_state=0)).fit(X)
    display = ComponentsDisplay.from_estimator(imputer)
    np.testing.assert_array_equal(display.components, imputer.estimator_.components_)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (3, 5)}, r"image_shape=\(3, 5\) does not describe 12 features"),
        ({"image_shape": (12,)}, "does not describe"),
        ({"image_shape": (3, 4), "image_order": "A"}, "image_order='A' must be one of 'C', 'F'"),
        ({"n_components": 3}, "n_components=3 must be an integer at least 1 and at most 2"),
        ({"order": "size"}, "order='size' must be one of"),
        ({"order": [0, 2]}, "component numbers from 0 to 1"),
        ({"scale": "log"}, "scale='log' must be one of"),
        ({"x": [1, 2]}, "x holds 2 numbers, but 12 are needed"),
        ({"image_shape": (3, 4), "n_columns": 0}, "n_columns=0"),
        ({"ax": 3}, "ax=int must be a matplotlib Axes"),
    ],
)
def test_bad_components(arguments, message, planted):
    with pytest.raises(ValueError, match=message):
        ComponentsDisplay.from_estimator(fitted(NMF(2), planted[1]), **arguments)


# --- completion -----------------------------------------------------------------------------------------------


def test_panels_of_an_attacked_model(planted):
    truth, X = planted
    model, plain = fitted(ATNMF(2), X), fitted(NMF(2), X)
    display = CompletionDisplay.from_estimators(
        {"plain": plain, "attacked model": model}, X, X_true=truth, image_shape=(3, 4), samples=4
    )
    assert list(display.images_) == ["original", "masked", "attack", "attacked", "plain", "attacked model"]
    assert display.axes_.shape == (1, 6)
    x, R = X[4].reshape(3, 4), model.perturbation(X[4:5]).reshape(3, 4)
    panels = {name: images[0].get_array() for name, images in display.images_.items()}
    np.testing.assert_array_equal(panels["masked"].mask, np.isnan(x))
    np.testing.assert_array_equal(panels["attack"].mask, np.isnan(x))
    np.testing.assert_array_equal(panels["attack"].compressed(), R[~np.isnan(x)])
    np.testing.assert_array_equal(panels["attacked"].compressed(), (x + R)[~np.isnan(x)])
    error = metrics.rmse(truth[4], plain.complete(X[4:5])[0], mask=np.isnan(X[4]))
    assert display.axes_[0, 4].get_xlabel() == f"RMSE {error:.3g}"
    assert display.axes_[0, 0].get_ylabel() == "sample 4"
    low, high = display.images_["attack"][0].get_clim()
    assert low == -high


def test_one_picture_is_a_matrix_of_its_channels():
    rng = np.random.default_rng(0)
    pixels = rng.random((8, 6, 3))
    X = unfold(pixels)
    mask = rng.random(X.shape) > 0.2
    model = fitted(ATNMF(2), X, mask=mask)
    display = CompletionDisplay.from_estimator(model, X, mask=mask, X_true=X, image_shape=(8, 6, 3))
    original = display.images_["original"][0].get_array()
    np.testing.assert_allclose(original[..., :3], pixels / pixels.max())
    np.testing.assert_array_equal(original[..., 3], 1)
    masked = display.images_["masked"][0].get_array()
    seen = mask.reshape(8, 3, 6).all(axis=1)
    np.testing.assert_array_equal(masked[..., 3], seen)
    attack = display.images_["attack"][0].get_array()
    assert attack.min() >= 0
    assert attack.max() <= 1


def test_range_of_grey_values():
    """Of what is known; pictures without anything known still show their completion."""
    X = np.array([[-1.0, np.nan, 2.0, 1.0]])
    display = CompletionDisplay(X, {"": np.full((1, 4), 9.0)}, image_shape=(2, 2)).plot()
    assert display.images_["masked"][0].get_clim() == (-1, 2)
    empty = CompletionDisplay(np.full((1, 4), np.nan), {"": np.full((1, 4), 9.0)}, image_shape=(2, 2))
    assert empty.plot(cmap="magma").images_["masked"][0].get_clim() == (0, 9)


def test_spectra_have_one_axes_a_sample(planted):
    truth, X = planted
    model = fitted(ATNMF(2), X)
    display = CompletionDisplay.from_estimator(
        model, X, X_true=truth, samples=[1, 7, 3], x=np.linspace(400, 800, 12), xlabel="nm"
    )
    assert display.axes_.shape == (3, 1)
    np.testing.assert_allclose(display.lines_[""][1].get_ydata(), model.complete(X[7:8])[0])
    np.testing.assert_array_equal(display.lines_["masked"][2].get_ydata(), X[3])
    np.testing.assert_allclose(display.lines_["attacked"][0].get_ydata(), X[1] + model.perturbation(X[1:2])[0])
    assert display.axes_[2, 0].get_xlabel() == "nm"
    assert not display.images_


def test_all_containers_give_the_same_picture(planted):
    X = planted[1]
    table = pd.DataFrame(X).add_prefix("band_")
    named, model = fitted(ATNMF(2), table), fitted(ATNMF(2), X)
    masked = np.ma.masked_invalid(X)
    views = [(named, table, None), (model, masked, None), (model, np.nan_to_num(X), ~np.isnan(X)), (model, X, None)]
    lines = []
    for estimator, container, mask in views:
        display = CompletionDisplay.from_estimator(estimator, container, mask=mask, samples=[0, 9])
        lines.append([display.lines_[name][1].get_ydata() for name in ("masked", "attacked", "")])
    for other in lines[:-1]:
        for line, expected in zip(other, lines[-1], strict=True):
            np.testing.assert_array_equal(line, expected)


def test_axes_of_others_are_used(planted):
    model = fitted(NMF(2), planted[1])
    figure, axes = plt.subplots(2, 2)
    display = CompletionDisplay.from_estimator(model, planted[1], image_shape=(3, 4), samples=[0, 1], ax=axes)
    assert display.figure_ is figure
    assert [ax.get_title() for ax in axes[0]] == ["Masked", "Completed"]
    with pytest.raises(ValueError, match="ax holds 1 axes, but 2 rows of 2 are drawn"):
        display.plot(axes[0, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": [40]}, r"samples=\[40\] must be rows of X, from 0 to 39"),
        ({"samples": []}, "must be rows of X"),
        ({"image_shape": (5, 5)}, "does not describe 12 features"),
        ({"X_true": np.ones((40, 11))}, r"X_true has shape \(40, 11\), X has \(40, 12\)"),
        ({"mask": np.ones((3, 12))}, r"mask has shape \(3, 12\)"),
        ({"name": "masked"}, "completed must not be called 'masked'"),
    ],
)
def test_bad_completions(arguments, message, planted):
    with pytest.raises(ValueError, match=message):
        CompletionDisplay.from_estimator(fitted(NMF(2), planted[1]), planted[1], **arguments)


def test_completion_by_others(planted):
    with pytest.raises(ValueError, match="PCA has no complete: give a model of advnmf"):
        CompletionDisplay.from_estimator(sklearn.decomposition.PCA(2).fit(planted[0]), planted[0])


def test_completion_from_arrays_that_do_not_fit():
    X = np.ones((2, 4))
    with pytest.raises(ValueError, match="observed has"):
        CompletionDisplay(X, {"": np.ones((2, 3))})
    with pytest.raises(ValueError, match="at least one"):
        CompletionDisplay(X, {})
    with pytest.raises(ValueError, match="names holds 1, but 2 are shown"):
        CompletionDisplay(X, {"": X}, names=["a"])


# --- sensitivity ----------------------------------------------------------------------------------------------


def test_grid_with_its_best_cell():
    values = [[3.0, 2.0, np.nan], [1.0, 5.0, 100.0]]
    display = SensitivityDisplay.from_grid(
        values, [0.001, 1, np.inf], ["a", (2, 3)], xlabel="delta", ylabel="layers", label="RMSE (K)"
    )
    assert display.best_ == (0.001, (2, 3), 1.0)
    assert display.marker_.get_xy() == (-0.5, 0.5)
    np.testing.assert_array_equal(display.image_.get_array().mask, np.isnan(values))
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["0.001", "1", "∞"]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["a", "(2, 3)"]
    assert [text.get_text() for text in display.texts_] == ["3.00", "2.00", "1.00", "5.00", "100"]
    assert display.figure_.axes[1].get_ylabel() == "RMSE (K)"
    assert SensitivityDisplay(values, [1, 2, 3], [1, 2], best="max").best_ == (3, 2, 100.0)


def test_large_grids_have_no_numbers():
    assert SensitivityDisplay.from_grid(np.eye(12), range(12), range(12)).texts_ == []


def test_grid_search(planted):
    X = planted[1]
    grid = {"lam": [4.0, 2.0], "alpha_W": [1e-3, 0.1, 0.01], "n_components": [1, 2]}
    search = GridSearchCV(ATNMF(max_iter=20, random_state=0), grid, cv=2).fit(X)
    display = SensitivityDisplay.from_search(search, "alpha_W", "lam", negated=True, label="RMSE")
    assert (display.x, display.y) == ([1e-3, 0.01, 0.1], [2.0, 4.0])
    best = search.best_params_
    assert display.best_ == (best["alpha_W"], best["lam"], pytest.approx(-search.best_score_))
    # The rank, which is not shown, is the best for each cell.
    results = pd.DataFrame(search.cv_results_)
    table = -results.groupby(["param_lam", "param_alpha_W"])["mean_test_score"].max().unstack().to_numpy(float)
    np.testing.assert_array_equal(display.values, table)
    scores = SensitivityDisplay.from_search(search.cv_results_, "alpha_W", "lam")
    np.testing.assert_array_equal(scores.values, -display.values)
    assert scores.best_[:2] == display.best_[:2]
    with pytest.raises(ValueError, match="'lambda' is not in cv_results_, which has alpha_W, lam"):
        SensitivityDisplay.from_search(search, "lambda", "alpha_W")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0]], [1, 2], [1]), r"values has shape \(1, 1\), but y and x make a grid of 1 x 2"),
        (([[np.nan]], [1], [1]), "no finite entry"),
    ],
)
def test_bad_grids(arguments, message):
    with pytest.raises(ValueError, match=message):
        SensitivityDisplay(*arguments)


# --- matplotlib -----------------------------------------------------------------------------------------------


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    display = ConvergenceDisplay({"a": [1.0, 2.0]})
    with pytest.raises(ImportError, match=r"pip install 'advnmf\[plot\]'"):
        display.plot()


def test_names_are_public():
    assert set(advnmf.inspection.__all__) <= set(advnmf.__all__)
