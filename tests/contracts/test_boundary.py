"""The boundary: the same data in any container are read as the same, and read once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from advnmf import NMF, AutoNMF, NMFImputer
from advnmf.arrays.namespaces import to_numpy
from advnmf.data import boundary
from advnmf.data.boundary import read_observed
from advnmf.model_selection import EntryKFold, cross_val_score_entries
from problems import low_rank

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::advnmf.DataWarning")


@pytest.fixture
def holes():
    rng = np.random.default_rng(0)
    X = low_rank(rng, (12, 9))
    X[2, 3] = 0
    return X, rng.random(X.shape) > 0.3


def junk(X, known):
    """Values that must not be read where nothing is known."""
    return np.where(known, X, np.resize([-1.0, np.inf, -np.inf, np.nan], X.shape))


CONTAINERS = {
    "NaN": lambda X, known: (np.where(known, X, np.nan), None),
    "columns first": lambda X, known: (np.asfortranarray(np.where(known, X, np.nan)), None),
    "list": lambda X, known: (np.where(known, X, np.nan).tolist(), None),
    "masked array": lambda X, known: (np.ma.array(junk(X, known), mask=~known), None),
    "mask": lambda X, known: (junk(X, known), known),
    "numbers as mask": lambda X, known: (junk(X, known), known.astype(int).tolist()),
    "both": lambda X, known: (
        np.ma.array(junk(X, known), mask=~known & (np.arange(9) < 5)),
        known | (np.arange(9) < 5),
    ),
    "frame": lambda X, known: (pd.DataFrame(X).where(known), None),
    "frame with NA": lambda X, known: (pd.DataFrame(X).where(known).astype("Float64"), None),
    "tensor": lambda X, known: (
        pytest.importorskip("torch", reason="see the extra torch").asarray(junk(X, known)),
        known,
    ),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("tensors", ["numpy", "keep"])
def test_every_container_says_the_same(holes, container, tensors):
    X, known = holes
    observed = read_observed(*CONTAINERS[container](X, known), tensors=tensors)
    data = observed.data()
    np.testing.assert_array_equal(to_numpy(observed.known), known)
    np.testing.assert_array_equal(to_numpy(data.values), np.where(known, X, 0))
    np.testing.assert_array_equal(to_numpy(data.omega), known)
    filled = observed.filled(lambda: data.asarray(np.full(X.shape, 7.0)), None)
    np.testing.assert_array_equal(to_numpy(filled), np.where(known, X, 7))


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.lil_array])
@pytest.mark.parametrize("missing", ["absent", "zero"])
def test_sparse_matrices(holes, make, missing):
    X, known = holes
    X = np.where(known, X, 0)
    X[0, 1] = np.nan
    observed = read_observed(make(X), sparse_missing=missing)
    data = observed.data()
    n = np.count_nonzero(X) - 1
    assert int(data.counts.sum()) == (n if missing == "absent" else X.size - 1)
    assert data.mean == pytest.approx(np.nansum(X) / data.counts.sum())
    filled = observed.filled(lambda: np.full(X.shape, 7.0), lambda holes: np.full(holes.n_entries, 7.0))
    empty = np.isnan(X) if missing == "zero" else ~(X > 0)
    np.testing.assert_array_equal(filled if missing == "absent" else filled.toarray(), np.where(empty, 7, X))
    assert sparse.issparse(filled) == (missing == "zero")


def test_weight_zero_is_known_but_teaches_nothing(holes):
    X, known = holes
    weights = np.where(np.arange(9) == 4, 0.0, 3.0)[None, :]
    observed = read_observed(junk(X, known), known, weights)
    np.testing.assert_array_equal(observed.known, known)
    np.testing.assert_array_equal(observed.observed, known & (np.arange(9) != 4))
    data = observed.data()
    np.testing.assert_array_equal(data.omega, observed.observed)  # over their mean, 3
    np.testing.assert_array_equal(observed.filled(lambda: np.zeros_like(X), None), np.where(known, X, 0))


def test_a_part_and_the_rest(holes):
    """Training and held-out entries of a fold, from arrays and from what these store."""
    X, known = holes
    weights = np.random.default_rng(1).random(X.shape)
    X = np.where(known, X + 0.1, 0)
    stored = sparse.csr_array(X), sparse.csr_array(np.where(known, weights, 0))
    ends = []
    for observed in (read_observed(X, known, weights), read_observed(stored[0], None, stored[1])):
        train, test = next(EntryKFold(3, random_state=0).split_observed(observed))
        data, held_out = observed.only(train).data(), observed.held_out(test)
        assert data.counts.sum() + held_out.n_entries == known.sum()
        ends.append([data.mean, data.counts, data.column_counts, held_out.values, held_out.indices, held_out.omega])
    for dense, compressed in zip(*ends, strict=True):
        np.testing.assert_allclose(dense, compressed, rtol=1e-12)


@pytest.mark.parametrize("call", ["complete", "auto", "score", "imputer"])
def test_a_table_is_read_once(holes, call, monkeypatch):
    X, known = holes
    X = np.where(known, X, np.nan)
    model = NMF(2, max_iter=5, random_state=0).fit(X)
    reads = []
    for name in ("check_array", "validate_data"):
        read = getattr(boundary, name)
        monkeypatch.setattr(boundary, name, lambda *args, read=read, **how: reads.append(1) or read(*args, **how))
    if call == "complete":
        model.complete(X)
    elif call == "auto":
        AutoNMF(max_candidates=2, random_state=0).fit(X)
    elif call == "score":
        cross_val_score_entries(model, X, cv=3)
    else:  # and once by the model within, which has a `fit` like any other
        NMFImputer(model).fit(X)
    assert len(reads) == (2 if call == "imputer" else 1)
