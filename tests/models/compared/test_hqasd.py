"""HQASD: gradients, exact steps, phases, outliers, published figures."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.utils

from advnmf import HQASD, NMF, Correntropy, NMFImputer, datasets
from advnmf.data import array_data
from advnmf.losses import interquartile_range
from advnmf.models.compared.halfquadratic import residual, robust_codes, steepest_descent, weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both = pytest.mark.parametrize("solver", ["asd", "pf"])


def random_problem(seed=0, weighted=False):
    """Data of either sign with holes, and factors that do not fit them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((12, 9))
    omega = (rng.random(X.shape) < 0.7).astype(np.uint8)
    if weighted:
        omega = omega * rng.uniform(0.2, 3, X.shape)
    data = array_data(np.where(omega > 0, X, 0), omega)
    return data, [rng.standard_normal((12, 3)), rng.standard_normal((3, 9))]


def planted(seed=0, shape=(60, 40), rank=3, missing=0.3):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))
    return X, rng.random(shape) >= missing


@both
def test_planted_matrix_is_recovered(solver):
    X, mask = planted()
    P = HQASD(3, solver=solver, random_state=0).fit(np.where(mask, X, np.nan)).reconstruct()
    assert np.linalg.norm((P - X)[~mask]) < 2e-4 * np.linalg.norm(X[~mask])


@both
def test_gross_errors_do_little_harm(solver):
    rng = np.random.default_rng(2)
    X = rng.random((60, 3)) @ rng.random((3, 40))
    mask = rng.random(X.shape) > 0.3
    bad = mask & (rng.random(X.shape) < 0.1)
    Y = np.where(bad, rng.uniform(0, 10, X.shape), X)
    robust = HQASD(3, solver=solver, switch_tol=np.inf, random_state=0).fit(Y, mask=mask)
    plain = NMF(3, random_state=0).fit(Y, mask=mask)
    errors = [np.linalg.norm((fit.reconstruct() - X)[~mask]) for fit in (robust, plain)]
    assert errors[0] < 0.1 * errors[1]
    # New rows: the errors in them are seen through as well.
    P = robust.inverse_transform(robust.transform(Y, mask=mask))
    assert np.linalg.norm((P - X)[~mask]) < 0.1 * errors[1]


@pytest.mark.parametrize("weighted", [False, True])
def test_weighted_residuals_are_the_gradient_of_the_criterion(weighted):
    """d/dU of  sum omega sigma^2 (1 - exp(-E^2 / (2 sigma^2)))  is  -(G E) V^T."""
    data, (U, V) = random_problem(weighted=weighted)
    sigma, h = 0.7, 1e-6

    def criterion(U):
        E = data.values - U @ V
        return np.sum(data.omega * sigma**2 * (1 - np.exp(-(E**2) / (2 * sigma**2))))

    E, _ = residual(data, [U, V])
    gradient = -(weights(data, E, sigma) * E) @ V.T
    for i, k in np.ndindex(U.shape):
        step = np.zeros_like(U)
        step[i, k] = h
        assert gradient[i, k] == pytest.approx((criterion(U + step) - criterion(U - step)) / (2 * h), abs=1e-7)


@pytest.mark.parametrize("sigma", [np.inf, 0.8])
def test_both_steps_are_exact_along_their_direction(sigma):
    data, before = random_problem(3, weighted=True)
    after = [F.copy() for F in before]
    E, _ = residual(data, before)
    G = weights(data, E, sigma)
    steepest_descent(data, after, E.copy(), sigma)

    def loss(U, V):
        return np.sum(G * (data.values - U @ V) ** 2)

    D_U, D_V = after[0] - before[0], after[1] - before[1]
    for c in (0.99, 1.01):
        assert loss(before[0] + c * D_U, before[1]) > loss(after[0], before[1])
        assert loss(after[0], before[1] + c * D_V) > loss(*after)
    # The direction is the gradient times the inverse of the other factor's Gram matrix.
    expected = (G * E) @ before[1].T @ np.linalg.inv(before[1] @ before[1].T)
    np.testing.assert_allclose(D_U / np.linalg.norm(D_U), expected / np.linalg.norm(expected), atol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 10, 101])
def test_quantiles_are_those_of_hazen(n):
    x = np.random.default_rng(n).standard_normal(n)
    low, high = np.quantile(x, (0.25, 0.75), method="hazen")
    assert interquartile_range(x) == pytest.approx(high - low, abs=1e-14)


def test_codes_of_rows_solve_their_problem():
    """The gradient of each row's criterion vanishes at its code; each row is as if it were alone."""
    data, (_, V) = random_problem(4)
    sigma = 1.5
    codes = robust_codes(data, V, sigma)
    E, _ = residual(data, [codes, V])
    assert np.abs((weights(data, E, sigma) * E) @ V.T).max() < 1e-3
    for i in range(len(codes)):
        np.testing.assert_allclose(robust_codes(data.take(slice(i, i + 1)), V, sigma)[0], codes[i], rtol=1e-8)


def test_codes_of_an_infinite_width_are_least_squares():
    data, (_, V) = random_problem(5)
    codes = robust_codes(data, V, np.inf)
    for i, there in enumerate(data.omega > 0):
        expected = np.linalg.lstsq(V.T[there], data.values[i, there], rcond=None)[0]
        np.testing.assert_allclose(codes[i], expected, rtol=1e-6, atol=1e-8)  # a tiny ridge is always there


@both
@pytest.mark.parametrize("case", ["equal columns", "zero row", "all zero"])
def test_dependent_factors_are_allowed_for(solver, case):
    X, mask = planted(6)
    rng = np.random.default_rng(6)
    U, V = rng.standard_normal((60, 3)), rng.standard_normal((3, 40))
    if case == "equal columns":
        U[:, 1] = U[:, 0]
    else:
        V[1 if case == "zero row" else slice(None)] = 0
    model = HQASD(3, solver=solver, init="custom", switch_tol=0, max_iter=50).fit(X, mask=mask, factors=[U, V])
    assert np.isfinite(model.reconstruct()).all()
    assert model.loss_curve_[-1] <= model.loss_curve_[0]


def test_phases():
    """Phase 2 waits until J changes by less than `switch_tol`; the second threshold counts after ten iterations."""
    X, mask = planted(7)
    X = X + 0.1 * np.random.default_rng(7).standard_normal(X.shape)
    common = {"random_state": 0, "sigma_min": 1e-6, "solver": "asd", "unit": 1.0, "finish": False}
    first = HQASD(3, switch_tol=0, **common).fit(X, mask=mask)
    assert first.sigma_ == np.inf
    assert (np.diff(first.loss_curve_) <= 1e-9).all()  # least squares descends
    second = HQASD(3, switch_tol=np.inf, tol=1e9, **common).fit(X, mask=mask)
    assert second.n_iter_ == 12  # the change of the eleventh is seen on entry of the twelfth
    E = (second.reconstruct() - X)[mask]
    spread = np.subtract(*np.quantile(E, (0.75, 0.25), method="hazen"))
    assert second.sigma_ == pytest.approx(2 * spread, rel=0.05)
    wide = HQASD(3, switch_tol=np.inf, sigma_min=5.0, random_state=0).fit(X, mask=mask)
    assert wide.unit_ == np.median(np.abs(X[mask]))
    assert wide.sigma_ == 5.0 * wide.unit_


@pytest.mark.usefixtures("data_dir")
def test_published_start_and_thresholds():
    """Released code from these starts: .92 with r = 3 at alpha = .3; recovery with r = 5 at .3 and .6."""
    data = datasets.fetch_synthetic()
    for r, alpha, low, high in ((3, 0.3, 0.915, 0.929), (5, 0.3, 0, 1e-4), (5, 0.6, 0, 1e-4)):
        X, mask = data.X, data.masks[alpha]
        rng = np.random.RandomState(0)
        start = [0.001 * rng.uniform(size=shape) for shape in ((50, r), (r, 100))]
        released = {"solver": "asd", "switch_tol": 1e-3, "tol": 1e-5, "unit": 1.0, "finish": False}
        model = HQASD(r, init="custom", **released).fit(X, mask=mask, factors=start)
        error = np.sqrt(np.mean((model.reconstruct() - X)[~mask] ** 2))
        assert low <= error <= high


def test_nonnegative_withstands_outliers_and_stays_nonnegative():
    rng = np.random.default_rng(3)
    X = rng.random((60, 3)) @ rng.random((3, 40))
    wrong = rng.random(X.shape) < 0.05
    mask = rng.random(X.shape) > 0.3
    Y = np.where(wrong, 10.0, X)
    model = HQASD(3, nonnegative=True, random_state=0).fit(Y, mask=mask)
    assert all((F >= 0).all() for F in model.factors_)
    assert (model.transform(Y, mask=mask) >= 0).all()
    clean = ~mask & ~wrong
    assert np.linalg.norm((model.reconstruct() - X)[clean]) < 0.05 * np.linalg.norm(X[clean])
    with pytest.raises(ValueError, match="Negative values"):
        HQASD(3, nonnegative=True).fit(-X)
    assert HQASD(3, random_state=0).fit(-X).n_iter_ > 0
    assert sklearn.utils.get_tags(model).input_tags.positive_only


def test_nonnegative_is_the_core_with_its_loss():
    rng = np.random.default_rng(4)
    X = rng.gamma(1.0, size=(30, 3)) @ rng.gamma(1.0, size=(3, 20))
    start = [rng.random((30, 3)), rng.random((3, 20))]
    common = {"init": "custom", "max_iter": 20, "tol": 0}
    one = HQASD(3, nonnegative=True, eta=1.5, sigma_min=0.02, unit=1.0, finish=False, **common).fit(X, factors=start)
    other = NMF(3, loss=Correntropy(eta=1.5, sigma_min=0.02 / X.mean()), **common).fit(X, factors=start)
    np.testing.assert_allclose(one.reconstruct(), other.reconstruct())
    assert one.sigma_ == pytest.approx(other.loss_.sigma)


# --- gross errors ------------------------------------------------------------------------------------------------


def with_gross_errors(seed=0, share=0.05, size=20.0, n=300):
    """Rows of rank 4 with three in ten entries missing, and a share of the others anywhere up to a size."""
    T = np.random.default_rng(seed + 1000).random((n, 4)) @ np.random.default_rng(77).random((4, 40))
    rng = np.random.default_rng(seed)
    bad = rng.random(T.shape) < share
    Y = np.where(bad, size * T.max() * rng.random(T.shape), T)
    return np.where(rng.random(T.shape) < 0.3, np.nan, Y), T


def relative_error(P, T, X):
    hidden = np.isnan(X)
    return np.linalg.norm((P - T)[hidden]) / np.linalg.norm(T[hidden])


@pytest.fixture(scope="module")
def robust():
    return HQASD(4, random_state=0).fit(with_gross_errors()[0])


def test_completion_agrees_with_the_fit_where_rows_have_gross_errors(robust):
    X, T = with_gross_errors()
    filled = HQASD(4, random_state=0).fit_complete(X)
    np.testing.assert_array_equal(filled, robust.complete(X))
    assert relative_error(filled, T, X) < 1e-3
    assert relative_error(NMFImputer(HQASD(4, random_state=0)).fit_transform(X), T, X) < 1e-3


@pytest.mark.parametrize("size", [10.0, 1e3, 1e6, 1e9, 1e200])
def test_new_rows_see_through_gross_errors_of_any_size(robust, size):
    X, T = with_gross_errors(seed=5, size=size)
    assert relative_error(robust.complete(X), T, X) < 1e-3


def test_codes_of_rows_with_gross_errors_do_not_depend_on_the_batch(robust):
    X, _ = with_gross_errors(seed=6, n=30)
    together = robust.transform(X)
    for i in range(len(X)):
        np.testing.assert_allclose(robust.transform(X[i : i + 1])[0], together[i], rtol=1e-8)
    np.testing.assert_allclose(robust.transform(X, weights=np.full(X.shape, 7.0)), together, rtol=1e-8)


def test_nonnegative_codes_see_through_gross_errors():
    X, T = with_gross_errors(n=80)
    model = HQASD(4, nonnegative=True, max_iter=200, random_state=0)
    filled = model.fit_complete(X)
    np.testing.assert_array_equal(filled, model.complete(X))
    assert (model.transform(X) >= 0).all()
    assert relative_error(filled, T, X) < 0.1  # without narrowing: 30


# --- few entries, and ill-conditioned data -----------------------------------------------------------------------


@both
@pytest.mark.parametrize(("shape", "rank"), [((8, 8), 8), ((5, 400), 5), ((30, 10), 10), ((3, 50), 3), ((40, 6), 9)])
def test_complete_data_of_full_rank_are_fitted(solver, shape, rank):
    X = np.random.default_rng(0).random(shape) * 100
    fitted = HQASD(rank, solver=solver, random_state=0).fit(X)
    assert fitted.reconstruction_err_ < 1e-3 * np.linalg.norm(X)


@both
@pytest.mark.parametrize("spread", [1e2, 1e4, 1e6])
def test_ill_conditioned_data_are_fitted(solver, spread):
    rng = np.random.default_rng(1)
    U, V = (np.linalg.qr(rng.standard_normal((n, 5)))[0] for n in (40, 30))
    X = (U * np.geomspace(1, 1 / spread, 5)) @ V.T
    fitted = HQASD(5, solver=solver, random_state=0).fit(X)
    assert fitted.reconstruction_err_ < 1e-3 * np.linalg.norm(X)


@both
def test_rows_with_few_entries_stay_within_what_was_observed(solver):
    X, _ = with_gross_errors(seed=8, share=0.0, n=60)
    X = X * (1 + 0.05 * np.random.default_rng(0).standard_normal(X.shape))
    keep = np.random.default_rng(1).random(X.shape) < 0.2
    X = np.where(keep, X, np.nan)
    X[0, 3:], X[0, :3] = np.nan, 1.0
    model = HQASD(8, solver=solver, random_state=0).fit(X)
    assert np.abs(model.reconstruct()).max() <= 2 * np.nanmax(X) * (1 + 1e-9)
    free = HQASD(8, solver="pf", finish=False, random_state=0).fit(X)
    assert free.n_iter_ > 0  # it is the guard that is asked, not luck:
    codes = robust_codes(array_data(np.nan_to_num(X), keep.view(np.uint8)), model.components_, np.inf)
    assert np.abs(codes @ model.components_).max() > 2 * np.nanmax(X)


def test_a_row_of_larger_scale_may_exceed_what_was_seen(robust):
    """The bound on a new row is that of its own values, if these are larger than those of the fit."""
    X, T = with_gross_errors(seed=9, share=0.0, n=20)
    assert relative_error(robust.complete(1000 * X), 1000 * T, X) < 1e-3
