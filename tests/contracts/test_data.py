"""The storages of observed data say the same about the same data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from advnmf.data import ObservedData, SparseData, ZeroFilledData, array_data
from advnmf.engine.factors import product
from advnmf.engine.loop import StoppingCriteria, minimise
from advnmf.engine.problem import Problem
from advnmf.engine.starts import flat_codes
from advnmf.losses import EntryLoss
from advnmf.penalties import ElasticNet
from advnmf.solvers import SOLVERS
from problems import PAIRS, STORAGES, as_sparse, data_in, random_chain, random_data, zero_filled

TWINS = ["mask", "weights", "zeros", "zeros with holes"]


def twins(kind, rng, shape=(9, 7)):
    """The same data, sparse and dense."""
    if kind.startswith("zeros"):
        return zero_filled(rng, shape, 0.3 if kind.endswith("holes") else 0.0)
    dense = random_data(rng, shape, weights=kind == "weights")
    return as_sparse(dense), dense


@pytest.fixture(params=TWINS)
def pair(request):
    rng = np.random.default_rng(0)
    sparse, dense = twins(request.param, rng)
    A, B = random_chain(rng, dense.shape, (3,))
    return sparse, dense, A, B


def test_sums_and_counts_agree(pair):
    sparse, dense, A, B = pair
    for s, d, (L, R) in ((sparse, dense, (A, B)), (sparse.T, dense.T, (B.T, A.T))):
        assert s.shape == d.shape
        P, Q = s.predict(L, R), d.predict(L, R)
        np.testing.assert_allclose(s.squared_norms(P), d.squared_norms(Q), rtol=1e-10)
        np.testing.assert_allclose(s.energies(P), d.energies(Q), rtol=1e-10)
        np.testing.assert_array_equal(s.counts, d.counts)
        np.testing.assert_array_equal(s.column_counts, d.column_counts)
        np.testing.assert_array_equal(s.positive(0), d.positive(0))
        np.testing.assert_array_equal(s.positive(1), d.positive(1))
    assert sparse.mean == pytest.approx(dense.mean, rel=1e-12)
    assert sparse.value_range() == dense.value_range()
    for c in (0.0, 0.3, 0.9):
        scale = np.full(9, c)
        np.testing.assert_allclose(
            sparse.clipped_sums(sparse.predict(A, B), scale), dense.clipped_sums(dense.predict(A, B), scale), atol=1e-10
        )


def test_rows_taken_are_rows(pair):
    sparse, dense, A, B = pair
    for rows in (slice(2, 6), slice(0, 0), np.array([5, 0, 3]), np.arange(9) % 2 == 0):
        np.testing.assert_allclose(
            sparse.take(rows).squared_norms(sparse.take(rows).predict(A[rows], B)),
            dense.squared_norms(dense.predict(A, B))[rows],
            rtol=1e-10,
        )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("loss", "adversary"), PAIRS, ids=repr)
@pytest.mark.parametrize("kind", ["mask", "weights", "zeros"])
def test_solvers_take_the_same_way(kind, loss, adversary, solver):
    if kind == "zeros" and isinstance(loss, EntryLoss):
        pytest.skip("refused: every zero would have a weight of its own")
    rng = np.random.default_rng(1)
    sparse, dense = twins(kind, rng)
    start = random_chain(rng, dense.shape, (4, 3))
    ways = []
    for data in (sparse, dense):
        problem = Problem(data, loss, adversary, (ElasticNet(0.01, 0.05),) * 3)
        factors = [F.copy() for F in start]
        history = minimise(problem, factors, SOLVERS[solver], StoppingCriteria(max_iter=2, tol=0)).history
        ways.append((history, product(factors)))
    np.testing.assert_allclose(ways[0][0], ways[1][0], rtol=1e-7)
    np.testing.assert_allclose(ways[0][1], ways[1][1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("solver", SOLVERS)
def test_holes_among_zeros_reach_the_masked_minimum(solver):
    # Filling holes with the prediction takes other steps than the mask; for fixed components both end at one minimum.
    rng = np.random.default_rng(2)
    sparse, dense = zero_filled(rng, (30, 20), 0.3)
    start, B = random_chain(rng, dense.shape, (2,))
    ends = []
    for data in (sparse, dense):
        codes = start.copy()
        for _ in range(2000):
            SOLVERS[solver].update_codes(Problem(data, *PAIRS[0], (ElasticNet(),) * 2), [codes, B])
        ends.append(codes)
    np.testing.assert_allclose(*ends, atol=1e-6)


@pytest.mark.parametrize(("loss", "adversary"), PAIRS, ids=repr)
@pytest.mark.parametrize("kind", TWINS)
def test_attacks_agree(kind, loss, adversary):
    rng = np.random.default_rng(3)
    sparse, dense = twins(kind, rng)
    A, B = random_chain(rng, dense.shape, (3,))
    if kind.startswith("zeros") and isinstance(loss, EntryLoss):
        with pytest.raises(ValueError, match="single entries"):
            loss.groups(sparse)
        return
    U = adversary.perturb(loss, loss.groups(dense), dense.predict(A, B))
    V = adversary.perturb(loss, loss.groups(sparse), sparse.predict(A, B))
    np.testing.assert_allclose(sparse._matrix(V).toarray(), U, atol=1e-9)


@pytest.mark.parametrize("kind", TWINS[:3])
def test_flat_codes_agree(kind):
    rng = np.random.default_rng(4)
    sparse, dense = twins(kind, rng)
    B = rng.random((3, 7))
    np.testing.assert_allclose(flat_codes(sparse, B), flat_codes(dense, B), rtol=1e-10)


@pytest.mark.parametrize("storage", STORAGES)
def test_float32_is_kept(storage):
    rng = np.random.default_rng(5)
    data = data_in(storage, rng, dtype=np.float32)
    A, B = random_chain(rng, data.shape, (3,), np.float32)
    P = data.predict(A, B)
    assert data.entries(P).dtype == np.float32
    assert data.times(data.raised_to(P, np.full(9, 0.5)), B.T).dtype == np.float32
    assert data.rtimes(A, data.raised_to(P, np.full(9, 0.5))).dtype == np.float32
    assert data.squared_norms(P).dtype == np.float64


@pytest.mark.parametrize("cls", [SparseData, ZeroFilledData])
def test_pointers_beyond_two_billion_do_not_overflow(cls):
    # Row pointers of 2**31 stored entries and more over entries that are not there: what is computed from the pointers
    # alone must be right in 64 bits.
    many = np.array([0, 2**31 + 5, 2**32 + 7], np.int64)
    data = cls(np.empty(0, np.float32), np.empty(0, np.int64), many, 10)
    lengths = np.diff(data.indptr)
    assert lengths.tolist() == [2**31 + 5, 2**31 + 2]
    part = data.take(slice(1, 2))
    assert part.indptr.tolist() == [0, 2**31 + 2]
    assert part.indptr.dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("noise", [0, 1e-6, 1e-3, 0.3])
def test_norms_on_complete_data_lose_no_digits(dtype, noise):
    """Taken from products with the factors where nothing cancels, from the differences elsewhere."""
    rng = np.random.default_rng(0)
    A, B = rng.random((40, 3)).astype(dtype), rng.random((3, 30)).astype(dtype)
    X = (A @ B) * (1 + noise * rng.random((40, 30))).astype(dtype)
    data = array_data(X)
    P = data.predict(A, B)
    expected = np.square(X.astype(np.float64) - (A @ B).astype(np.float64)).sum(axis=1)
    rounding = 40 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        data.squared_norms(P), expected, rtol=1e-4 if dtype == np.float32 else 1e-6, atol=rounding**2
    )
    for mine, plain in zip(data.code_gradients(X, P, B), (X @ B.T, A @ B @ B.T), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=rounding)


@dataclass(frozen=True)
class Mapped(ObservedData):
    """A file of numbers, NaN where missing, of which a block of rows is in memory at a time."""

    values: np.memmap
    omega: None = None
    sample_axis: int = 0

    @property
    def shape(self):
        return self.values.shape

    @property
    def T(self):
        return replace(self, values=self.values.T, sample_axis=1 - self.sample_axis)

    def take(self, rows):
        block = np.ascontiguousarray(self.values[rows])
        known = ~np.isnan(block)
        return replace(array_data(np.where(known, block, 0), known), sample_axis=self.sample_axis)

    @property
    def counts(self):
        return np.concatenate([block.counts for _, block in self.blocks()])

    @property
    def column_counts(self):
        return sum(block.column_counts for _, block in self.blocks())

    @property
    def mean(self):
        return float(np.average([block.mean for _, block in self.blocks()], weights=self._weights))

    @property
    def _weights(self):
        return [block.total_weight for _, block in self.blocks()]

    def positive(self, axis):
        found = [block.positive(axis) for _, block in self.blocks()]
        return np.concatenate(found) if axis == 0 else np.any(found, axis=0)

    def value_range(self):
        lowest, highest = zip(*(block.value_range() for _, block in self.blocks()), strict=True)
        return min(lowest), max(highest)

    def observed_entries(self, E):
        return E[~np.isnan(self.values)]

    def with_values(self, values):
        return replace(self, values=values)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_storage_may_be_a_file(solver, tmp_path, monkeypatch):
    """A storage that is written here, of which no more than a few rows are in memory, is fitted as the array is."""
    dense = random_data(np.random.default_rng(6), (40, 12))
    stored = np.memmap(tmp_path / "X", dense.dtype, "w+", shape=dense.shape)
    stored[:] = np.where(dense.omega > 0, dense.values, np.nan)
    monkeypatch.setattr(ObservedData, "block_entries", 5 * 12)
    mapped = Mapped(stored)
    assert len(list(mapped.blocks())) == 8
    assert mapped.mean == pytest.approx(dense.mean)
    assert mapped.value_range() == dense.value_range()
    for loss, adversary in PAIRS[-1], PAIRS[1]:
        start, ends = random_chain(np.random.default_rng(7), dense.shape, (3, 2)), []
        for data in (mapped, dense):
            factors = [F.copy() for F in start]
            minimise(
                Problem(data, loss, adversary, (ElasticNet(0.01, 0.05),) * 3),
                factors,
                SOLVERS[solver],
                StoppingCriteria(5),
            )
            ends.append(product(factors))
        np.testing.assert_allclose(*ends, rtol=1e-9)
