"""Observed entries of either storage: which there are, the data without some of them, and these by themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

from ..data import SparseData, sparse_data
from ..data.check import check_mask, check_weights
from ..data.sparse_input import canonical

Array = np.ndarray


@dataclass(frozen=True)
class Entries(ABC):
    """The observed entries of ``X``.

    Flags of entries are a boolean array of the shape of a dense ``X``, or a boolean vector over what a sparse one
    stores, in the order of its compressed rows.
    """

    observed: Array
    X: Array | sparse.csr_array
    weights: Array | sparse.csr_array | None

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of X."""
        return self.X.shape

    @property
    @abstractmethod
    def values(self) -> Array:
        """Values of all entries, in the shape of the flags."""

    @abstractmethod
    def pairs(self) -> tuple[Array, Array]:
        """Rows and columns of the observed entries, row by row."""

    @abstractmethod
    def training(self, train: Array) -> Array | sparse.csr_array:
        """A copy of X with NaN for all but `train`."""

    @abstractmethod
    def held_out(self, test: Array) -> SparseData:
        """The entries of `test` with their weights; nothing else is built."""

    @abstractmethod
    def take(self, rows: Array, columns: Array) -> Entries:
        """Those of some rows and columns, given as flags."""

    @abstractmethod
    def with_observed(self, values: Array) -> Entries:
        """Other values of the observed entries, in the order of `pairs`."""

    def without(self, these: Array) -> Entries:
        """All but some of the observed entries, flagged in the order of `pairs`."""
        return replace(self, observed=self.flags(~these))

    @property
    def observed_values(self) -> Array:
        """Values of the observed entries, in the order of `pairs`."""
        return self.values[self.observed]

    def flags(self, chosen: Array) -> Array:
        """Flags of all entries from flags of the observed ones."""
        flags = np.zeros_like(self.observed)
        flags[self.observed] = chosen
        return flags


@dataclass(frozen=True)
class DenseEntries(Entries):
    """An array; what is not observed may hold anything."""

    @property
    def values(self) -> Array:
        """Values of all entries."""
        return self.X

    def pairs(self) -> tuple[Array, Array]:
        """Rows and columns of the observed entries, row by row."""
        return np.nonzero(self.observed)

    def training(self, train: Array) -> Array:
        """A copy of X with NaN for all but `train`."""
        return np.where(train, self.X, self.X.dtype.type(np.nan))

    def held_out(self, test: Array) -> SparseData:
        """The entries of `test` with their weights."""
        columns = np.nonzero(test)[1].astype(np.int32)
        indptr = np.append(0, np.cumsum(np.count_nonzero(test, axis=1)))
        omega = None if self.weights is None else self.weights[test]
        return sparse_data(self.values[test], columns, indptr, self.shape[1], omega)

    def take(self, rows: Array, columns: Array) -> DenseEntries:
        """Those of some rows and columns."""
        part = np.ix_(rows, columns)
        return DenseEntries(self.observed[part], self.X[part], None if self.weights is None else self.weights[part])

    def with_observed(self, values: Array) -> DenseEntries:
        """Other values of the observed entries."""
        X = self.X.copy()
        X[self.observed] = values
        return DenseEntries(self.observed, X, self.weights)


@dataclass(frozen=True)
class SparseEntries(Entries):
    """Compressed rows; a stored NaN is missing, and what is not stored is never held out."""

    @property
    def values(self) -> Array:
        """Values of the stored entries."""
        return self.X.data

    def pairs(self) -> tuple[Array, Array]:
        """Rows and columns of the observed entries, row by row."""
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.X.indptr))
        return rows[self.observed], self.X.indices[self.observed]

    def training(self, train: Array) -> sparse.csr_array:
        """A copy of X with a stored NaN for all stored but `train`: missing, whatever is said of absent entries."""
        values = np.where(train, self.values, self.X.dtype.type(np.nan))
        return sparse.csr_array((values, self.X.indices, self.X.indptr), shape=self.shape)

    def held_out(self, test: Array) -> SparseData:
        """The entries of `test` with their weights."""
        indptr = np.append(0, np.cumsum(test))[self.X.indptr]
        omega = None if self.weights is None else self.weights.data[test]
        return sparse_data(self.values[test], self.X.indices[test], indptr, self.shape[1], omega)

    def take(self, rows: Array, columns: Array) -> SparseEntries:
        """Those of some rows and columns."""
        of_row = np.repeat(np.arange(self.shape[0]), np.diff(self.X.indptr))
        kept = rows[of_row] & columns[self.X.indices]
        indptr = np.append(0, np.cumsum(np.bincount(of_row[kept], minlength=self.shape[0])[rows]))
        indices = (np.cumsum(columns) - 1)[self.X.indices[kept]]

        def part(values: Array) -> sparse.csr_array:
            shape = np.count_nonzero(rows), np.count_nonzero(columns)
            return sparse.csr_array((values[kept], indices, indptr), shape=shape)

        weights = None if self.weights is None else part(self.weights.data)
        return SparseEntries(self.observed[kept], part(self.X.data), weights)

    def with_observed(self, values: Array) -> SparseEntries:
        """Other values of the observed entries."""
        stored = self.X.data.copy()
        stored[self.observed] = values
        X = sparse.csr_array((stored, self.X.indices, self.X.indptr), shape=self.shape)
        return SparseEntries(self.observed, X, self.weights)


def read_entries(X: object, mask: object = None, weights: object = None) -> Entries:
    """The observed entries of ``X``: not NaN, not masked, of positive weight.  An infinite one is refused."""
    entries = _read_sparse(X, mask, weights) if sparse.issparse(X) else _read_dense(X, mask, weights)
    if np.isinf(entries.values[entries.observed]).any():
        raise ValueError("Input X contains infinity: NaN stands for a missing entry; mark it so or mask it")
    return entries


def _read_dense(X: object, mask: object, weights: object) -> DenseEntries:
    hidden = np.ma.getmaskarray(X) if isinstance(X, np.ma.MaskedArray) else False
    values = check_array(np.ma.getdata(X) if hidden is not False else X, dtype=_FLOATS, ensure_all_finite=False)
    observed = ~(np.isnan(values) | hidden)
    if mask is not None:
        observed &= check_mask(mask, values)
    if weights is not None:
        weights = check_weights(weights, values)
        observed &= weights > 0
    return DenseEntries(observed, values, weights)


def _read_sparse(X: object, mask: object, weights: object) -> SparseEntries:
    matrix = check_array(canonical(X), accept_sparse="csr", dtype=_FLOATS, ensure_all_finite=False)
    matrix = sparse.csr_array(matrix)
    observed = ~np.isnan(matrix.data)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape != observed.shape or mask.dtype != bool:
            raise ValueError(
                f"mask of a sparse X must be {len(observed)} booleans, one for each stored entry in the order of its "
                f"compressed rows (True = observed); got {mask.dtype} of shape {mask.shape}"
            )
        observed &= mask
    if weights is not None:
        weights = sparse.csr_array(canonical(weights)) if sparse.issparse(weights) else None
        if weights is None or weights.nnz != matrix.nnz or (weights.indices != matrix.indices).any():
            raise ValueError("weights of a sparse X must be sparse and store the same entries as X")
        observed &= weights.data > 0
    return SparseEntries(observed, matrix, weights)


_FLOATS = [np.float64, np.float32]
