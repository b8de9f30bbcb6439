"""What was observed of some ``X``, whatever its container: the one object that later code is given.

It makes the data that models compute with, takes parts and folds of them, and fills the holes of ``X``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy import sparse

from ..arrays.caching import cached_property
from ..arrays.namespaces import Array, as_like, cast, finfo, namespace, to_numpy
from . import ArrayData, ObservedData, SparseData, array_data, sparse_data, zero_filled_data
from .censored import ABOVE, BELOW, MEASURED, nearest_possible


@dataclass(frozen=True)
class Observed(ABC):
    """The values of ``X``, which of them are known, and their weights (None: all count once).

    Flags of entries are a boolean array of the shape of a dense ``X``, or a boolean vector over what a sparse one
    stores, in the order of its compressed rows; weights are so too.  Values that are not known may be anything.
    `missing` says what a sparse ``X`` does not store: "zero", or "absent".  `sides` say which values are bounds
    (None: none is), see `advnmf.data.censored`.
    """

    X: Array | sparse.csr_array
    known: Array
    weights: Array | None = None
    missing: str = "absent"
    sides: Array | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of X."""
        return self.X.shape

    @property
    @abstractmethod
    def values(self) -> Array:
        """Values of all entries, in the shape of the flags."""

    @abstractmethod
    def data(
        self, weight_scale: float | None = None, *, nonnegative: bool = True, fitting: bool = True
    ) -> ObservedData:
        """What models compute with, weights divided by `weight_scale` (their mean unless given).

        Negative values are refused if `nonnegative`; for `fitting` also data without any entry, and values that are too
        large or too small to be squared.  (New rows may be empty: none depends on the others of its batch.)
        """

    @abstractmethod
    def filled(self, whole: Callable[[], Array], at: Callable[[SparseData], Array]) -> Array | sparse.csr_array:
        """``X`` with what is missing taken from a reconstruction, the `whole` of it or just `at` some entries."""

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
    def take(self, rows: Array, columns: Array) -> Self:
        """Those of some rows and columns, given as flags."""

    @abstractmethod
    def part_of(self, numbers: Array, rows: Array, columns: Array) -> Array:
        """Numbers (or flags) of all entries, one each, for some rows and columns as `take` has them."""

    @abstractmethod
    def with_observed(self, values: Array) -> Self:
        """Other values of the observed entries, in the order of `pairs`."""

    @property
    def given_weights(self) -> Array | sparse.csr_array | None:
        """The weights as `fit` takes them beside ``X``."""
        return self.weights

    @cached_property
    def observed(self) -> Array:
        """Flags of what there is to learn from: known entries of positive weight."""
        return self.known if self.weights is None else self.known & (self.weights > 0)

    @cached_property
    def measured(self) -> Array:
        """Flags of what is observed and not censored: what a prediction can be compared with."""
        return self.observed if self.sides is None else self.observed & (self.sides == MEASURED)

    @property
    def exact(self) -> Array:
        """Flags of the entries that a completion leaves as they are: known and not censored."""
        return self.known if self.sides is None else self.known & (self.sides == MEASURED)

    def given_censored(self, these: Array) -> Array | None:
        """The signs of these entries as `fit` takes them beside ``X``."""
        return None if self.sides is None else as_signs(np.where(these, self.sides, MEASURED))

    def reach(self, these: Array) -> tuple[Array, Array]:
        """Least and largest value that each of these entries may be: without an end on the other side of a bound."""
        values = self.values[these]
        if self.sides is None:
            return values, values
        sides = self.sides[these]
        return np.where(sides == BELOW, -np.inf, values), np.where(sides == ABOVE, np.inf, values)

    @property
    def observed_values(self) -> Array:
        """Values of the observed entries, in the order of `pairs`."""
        return self.values[self.observed]

    @cached_property
    def mean_weight(self) -> float:
        """Mean of the weights of the observed entries: only their ratios are to matter.

        Beside a penalty, and inside a loss of sample norms, their unit would too.
        """
        return mean_weight(self.weights, self.observed)

    def only(self, these: Array, missing: str | None = None) -> Self:
        """Nothing known but some of the observed entries, given as flags; with another meaning of what is `missing`."""
        return replace(self, known=these, missing=missing or self.missing)

    def without(self, these: Array) -> Self:
        """All but some of the observed entries, flagged in the order of `pairs`."""
        return self.only(self.flags(~these))

    def flags(self, chosen: Array) -> Array:
        """Flags of all entries from flags of the observed ones."""
        flags = np.zeros_like(self.observed)
        flags[self.observed] = chosen
        return flags


@dataclass(frozen=True)
class DenseObserved(Observed):
    """An array of any namespace; what is done for the choice of models (folds, parts) is for NumPy arrays."""

    @property
    def values(self) -> Array:
        """Values of all entries."""
        return self.X

    def data(self, weight_scale: float | None = None, *, nonnegative: bool = True, fitting: bool = True) -> ArrayData:
        """An array with a mask or weights; X itself where it is complete."""
        X, xp, observed, omega = self.X, namespace(self.X), self.observed, None
        if nonnegative:
            refuse_first((X < 0) & self.known, X, *_NEGATIVE)
        if self.weights is not None:
            scale = self.mean_weight if weight_scale is None else weight_scale
            omega = xp.where(observed, cast(self.weights / scale, X.dtype), 0)
            observed = omega > 0  # without those that vanish beside the others
        if fitting and not xp.any(observed):
            raise ValueError("X has no observed entry: all are NaN, masked or of weight 0")
        complete = bool(xp.all(observed))
        values = X if complete else xp.where(observed, X, 0)
        if fitting:
            check_scale(values)
        sides = self._sides_of(observed, fitting)
        return array_data(values, omega if omega is not None or (complete and sides is None) else observed, sides)

    def _sides_of(self, observed: Array, fitting: bool) -> Array | None:
        """The sides of what is learnt from; None where nothing of it is censored."""
        if self.sides is None:
            return None
        sides = namespace(observed).where(observed, self.sides, 0)
        censored, xp = sides != MEASURED, namespace(sides)
        if fitting and not xp.any(observed & ~censored):
            raise ValueError("X has no measured entry: all that are observed are censored")
        return sides if xp.any(censored) else None

    def filled(self, whole: Callable[[], Array], at: Callable[[SparseData], Array]) -> Array:
        """``X`` where known, the reconstruction elsewhere, in the reconstruction's precision.

        Where an entry is censored, the possible value that is nearest to the reconstruction.
        """
        P = whole()
        X = as_like(self.X, P, P.dtype)
        if self.sides is not None:
            X = nearest_possible(X, as_like(self.sides, P), P)
        return namespace(P).where(as_like(self.known, P), X, P)

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

    def take(self, rows: Array, columns: Array) -> Self:
        """Those of some rows and columns."""
        part = np.ix_(rows, columns)
        beside = {name: None if (x := getattr(self, name)) is None else x[part] for name in ("weights", "sides")}
        return replace(self, X=self.X[part], known=self.known[part], **beside)

    def part_of(self, numbers: Array, rows: Array, columns: Array) -> Array:
        """Those of some rows and columns."""
        return numbers[np.ix_(rows, columns)]

    def with_observed(self, values: Array) -> Self:
        """Other values of the observed entries."""
        X = self.X.copy()
        X[self.observed] = values
        return replace(self, X=X)


@dataclass(frozen=True)
class SparseObserved(Observed):
    """Compressed rows; a stored NaN is missing, and what is not stored is zero or missing, but never held out."""

    @property
    def values(self) -> Array:
        """Values of the stored entries."""
        return self.X.data

    @property
    def given_weights(self) -> sparse.csr_array | None:
        """A sparse matrix."""
        return None if self.weights is None else self._matrix(self.weights)

    def data(self, weight_scale: float | None = None, *, nonnegative: bool = True, fitting: bool = True) -> SparseData:
        """Compressed rows; of a matrix without NaN nothing is copied."""
        if nonnegative:
            self.refuse_first((self.values < 0) & self.known, *_NEGATIVE)
        known, (indices, indptr), omega = self.known, (self.X.indices, self.X.indptr), None
        if fitting:
            check_scale(self.values if known.all() else self.values[known])
        if self.missing == "zero":
            return self._zero_filled(fitting)
        if self.weights is not None:
            scale = self.mean_weight if weight_scale is None else weight_scale
            omega = (self.weights / scale).astype(self.X.dtype)
        values = self.values
        if not known.all():
            indptr = np.concatenate([[0], np.cumsum(known)])[indptr].astype(indptr.dtype)
            values, indices, omega = values[known], indices[known], None if omega is None else omega[known]
        if fitting and (not values.size or (omega is not None and not omega.any())):
            raise ValueError(
                "X has no observed entry: none is stored (sparse_missing='absent'), or all are NaN or of weight 0"
            )
        return sparse_data(values, indices, indptr, self.shape[1], omega)

    def _zero_filled(self, fitting: bool) -> SparseData:
        if self.weights is not None:
            raise ValueError(SPARSE_WEIGHTS)
        if fitting and np.count_nonzero(~self.known) == math.prod(self.shape):
            raise ValueError("X has no observed entry: all are NaN")
        values, known = self.values, None
        if not self.known.all():
            values, known = np.where(self.known, values, values.dtype.type(0)), self.known.astype(np.uint8)
        return zero_filled_data(values, self.X.indices, self.X.indptr, self.shape[1], known)

    def filled(self, whole: Callable[[], Array], at: Callable[[SparseData], Array]) -> Array | sparse.csr_array:
        """Still sparse if only NaN are missing, else an array."""
        if self.missing == "zero":
            filled = self._matrix(self.values).copy()
            filled.data[~self.known] = at(replace(self, weights=None).held_out(~self.known))
            return filled
        filled, (rows, columns) = whole(), replace(self, weights=None).pairs()
        filled[rows, columns] = self.values[self.known]
        return filled

    def pairs(self) -> tuple[Array, Array]:
        """Rows and columns of the observed entries, row by row."""
        return self._rows[self.observed], self.X.indices[self.observed]

    def training(self, train: Array) -> sparse.csr_array:
        """A copy of X with a stored NaN for all stored but `train`: missing, whatever is said of absent entries."""
        return self._matrix(np.where(train, self.values, self.X.dtype.type(np.nan)))

    def held_out(self, test: Array) -> SparseData:
        """The entries of `test` with their weights."""
        indptr = np.append(0, np.cumsum(test))[self.X.indptr]
        omega = None if self.weights is None else self.weights[test]
        return sparse_data(self.values[test], self.X.indices[test], indptr, self.shape[1], omega)

    def take(self, rows: Array, columns: Array) -> Self:
        """Those of some rows and columns."""
        of_row, shape = self._rows, (np.count_nonzero(rows), np.count_nonzero(columns))
        kept = rows[of_row] & columns[self.X.indices]
        indptr = np.append(0, np.cumsum(np.bincount(of_row[kept], minlength=self.shape[0])[rows]))
        indices = (np.cumsum(columns) - 1)[self.X.indices[kept]]
        X = sparse.csr_array((self.values[kept], indices, indptr), shape=shape)
        return replace(self, X=X, known=self.known[kept], weights=None if self.weights is None else self.weights[kept])

    def part_of(self, numbers: Array, rows: Array, columns: Array) -> Array:
        """Those of some rows and columns."""
        return numbers[rows[self._rows] & columns[self.X.indices]]

    def with_observed(self, values: Array) -> Self:
        """Other values of the observed entries."""
        stored = self.values.copy()
        stored[self.observed] = values
        return replace(self, X=self._matrix(stored))

    @property
    def _rows(self) -> Array:
        """The row of each stored entry."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.X.indptr))

    def _matrix(self, stored: Array) -> sparse.csr_array:
        """The same pattern with other numbers."""
        return sparse.csr_array((stored, self.X.indices, self.X.indptr), shape=self.shape)

    def refuse_first(self, bad: Array, what: str, fix: str) -> None:
        """Raise naming the first bad entry."""
        if bad.any():
            n = int(np.argmax(bad))
            row, column = int(self._rows[n]), self.X.indices[n]
            raise ValueError(f"{what}: {self.values[n]} at row {row}, column {column}; {fix}")


def as_signs(sides: Array) -> np.ndarray:
    """Sides as a user gives them: "<", ">" or ""."""
    sides = np.asarray(to_numpy(sides))
    return np.where(sides == BELOW, "<", np.where(sides == ABOVE, ">", ""))


_NEGATIVE = "Negative values in data passed to X", "only nonnegative values can be factorised"
SPARSE_WEIGHTS = "weights of a sparse X must be sparse too, and need sparse_missing='absent'"


def mean_weight(weights: Array, observed: Array) -> float:
    """Mean of the weights of the observed entries, without overflow; 1 where there are none."""
    xp = namespace(weights)
    seen = weights[observed]
    top = float(xp.max(seen)) if seen.shape[0] else 0.0
    return top * float(xp.mean(seen / top)) if top > 0 else 1.0


def first_of(bad: Array) -> tuple[int, int] | None:
    """Row and column of the first bad entry, or None."""
    xp = namespace(bad)
    if not xp.any(bad):
        return None
    rows, columns = xp.nonzero(bad)
    return int(rows[0]), int(columns[0])


def refuse_first(bad: Array, X: Array, what: str, fix: str) -> None:
    """Raise naming the first bad entry."""
    if at := first_of(bad):
        raise ValueError(f"{what}: {X[at]} at row {at[0]}, column {at[1]}; {fix}")


def check_scale(values: Array) -> None:
    """Squares of the values, summed, must neither overflow nor vanish in the precision of the data."""
    tiny, eps, largest = (float(getattr(finfo(values), name)) for name in ("smallest_normal", "eps", "max"))
    top, size = _largest(values), math.prod(values.shape)
    low, high = tiny**0.5 / eps, 1e-2 * (largest / max(1, size)) ** 0.5
    if top > 0 and not low < top < high:
        raise ValueError(
            f"the largest value of X is {top:g}, outside ({low:.3g}, {high:.3g}) "
            f"where {values.dtype} can be squared: rescale X"
        )


def _largest(values: Array) -> float:
    """The largest absolute value that is no NaN; 0 of none."""
    if isinstance(values, np.ndarray):
        ends = np.fmax.reduce(values, axis=None, initial=0), np.fmin.reduce(values, axis=None, initial=0)
        return float(max(ends[0], -ends[1]))
    xp = namespace(values)
    return float(xp.max(xp.abs(values)))
