"""Tables of any container: columns to complete, as numbers, and the container with their holes filled.

Of an array each column that has an observed value is completed.  Of a data frame (pandas, polars and others, through
narwhals) it is if it holds numbers that were measured: text, dates, times, booleans, identifiers and empty columns are
left alone (`Kind`).  A table comes back as it was, but for the holes of its completed columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np

from .columns import Kind, kind_of_numbers
from .observed import Observed

Array = np.ndarray


def is_frame(X: object) -> bool:
    """Whether `X` is a data frame; TypeError if it is one that has not been computed yet."""
    if nw.dependencies.is_into_dataframe(X):
        return True
    if type(X).__name__ == "LazyFrame":
        raise TypeError("X is a LazyFrame: give X.collect()")
    return False


class Tabular(ABC):
    """A table, and which of its columns are completed (flags)."""

    completed: Array

    @property
    @abstractmethod
    def numbers(self) -> Array:
        """The columns to complete as float64, NaN where missing."""

    @abstractmethod
    def filled(self, values: Array, also: Array | None = None) -> Any:
        """The table with the holes of these columns (and entries flagged in `also`) from an array like `numbers`."""

    @abstractmethod
    def like(self, values: Array) -> Any:
        """A table of other numbers, in the place of `numbers`."""

    @property
    @abstractmethod
    def left_alone(self) -> dict[object, str]:
        """What the other columns are, by name or number."""


@dataclass(frozen=True)
class ArrayTable(Tabular):
    """An array."""

    observed: Observed
    completed: Array

    @classmethod
    def of(cls, observed: Observed, completed: Array | None = None) -> ArrayTable:
        """What was read of an array; all columns with an observed value are completed unless others are given."""
        return cls(observed, observed.known.any(axis=0) if completed is None else completed)

    @property
    def numbers(self) -> Array:
        """The columns to complete."""
        X, known = (each[:, self.completed] for each in (self.observed.X, self.observed.known))
        return np.ascontiguousarray(np.where(known, X, np.nan), np.float64)

    def filled(self, values: Array, also: Array | None = None) -> Array:
        """In the precision of the array."""
        X, kept = self.observed.X.copy(), self.observed.known[:, self.completed]
        kept = kept if also is None else kept & ~also
        X[:, self.completed] = np.where(kept, X[:, self.completed], values)
        return X

    def like(self, values: Array) -> Array:
        """Of the shape of the array, NaN in other columns."""
        found = np.full(self.observed.shape, np.nan)
        found[:, self.completed] = values
        return found

    @property
    def left_alone(self) -> dict[object, str]:
        """Empty columns."""
        return dict.fromkeys(np.flatnonzero(~self.completed).tolist(), str(Kind.EMPTY))


@dataclass(frozen=True)
class FrameTable(Tabular):
    """A data frame."""

    frame: nw.DataFrame[Any]
    completed: Array

    @classmethod
    def of(cls, X: Any, completed: Array | None = None) -> FrameTable:
        """A frame; columns of measured numbers are completed unless others are given."""
        try:
            frame = nw.from_native(X, eager_only=True)
        except nw.exceptions.DuplicateError:
            raise ValueError("X has two columns of the same name: rename one") from None
        if completed is None:
            completed = np.array([kind is Kind.NUMBERS for kind in _kinds(frame)], bool)
        return cls(frame, completed)

    @property
    def names(self) -> list[Any]:
        """Of the columns to complete."""
        return [self.frame.columns[j] for j in np.flatnonzero(self.completed)]

    @cached_property
    def numbers(self) -> Array:
        """The columns to complete."""
        found = np.empty((len(self.frame), len(self.names)))
        for j, name in enumerate(self.names):
            numbers = _numbers(column := self.frame.get_column(name))
            if numbers is None:
                raise TypeError(f"X holds {column.dtype} in column {name!r}, which held numbers in fit: convert it")
            if np.isinf(numbers).any():
                raise ValueError(f"Input X contains infinity in column {name!r}: NaN stands for a missing entry")
            found[:, j] = numbers
        return found

    def filled(self, values: Array, also: Array | None = None) -> Any:
        """In the types of the frame; where a column has whole numbers only, so do its holes."""
        kept = self.numbers if also is None else np.where(also, np.nan, self.numbers)
        changed = [
            _filled(self.frame.get_column(name), numbers, fill)
            for name, numbers, fill in zip(self.names, kept.T, values.T, strict=True)
            if np.isnan(numbers).any()
        ]
        return nw.to_native(self.frame.with_columns(*changed))

    def like(self, values: Array) -> Any:
        """A frame of the completed columns alone, with the index of the frame."""
        part = self.frame.select([nw.col(name).cast(nw.Float64) for name in self.names])
        rows = range(len(part))
        changed = [part.get_column(name).scatter(rows, each) for name, each in zip(self.names, values.T, strict=True)]
        return nw.to_native(part.with_columns(*changed))

    @property
    def left_alone(self) -> dict[object, str]:
        """Text, dates, identifiers and so on."""
        others = zip(self.frame.columns, _kinds(self.frame), self.completed, strict=True)
        return {name: str(kind) for name, kind, completed in others if not completed}


def _kinds(frame: nw.DataFrame[Any]) -> list[Kind]:
    """What each column is."""
    return [_kind(name, frame.get_column(name)) for name in frame.columns]


def _kind(name: object, column: nw.Series[Any]) -> Kind:
    values = _numbers(column)
    if values is not None:
        return kind_of_numbers(name if isinstance(name, str) else "", values, whole=column.dtype.is_integer())
    if column.is_null().all():
        return Kind.EMPTY
    return Kind.DATES if column.dtype.is_temporal() else Kind.TEXT


def _numbers(column: nw.Series[Any]) -> Array | None:
    """A column as float64 with NaN where missing; None where it does not hold numbers."""
    if column.dtype.is_numeric():
        return np.array(column.cast(nw.Float64).to_numpy(), np.float64)
    if column.dtype != nw.Object:
        return None
    cells = [np.nan if gap else cell for cell, gap in zip(column.to_list(), column.is_null().to_list(), strict=True)]
    good = all(isinstance(cell, Real) and not isinstance(cell, bool | np.bool_) for cell in cells)
    return np.array(cells, np.float64) if good else None


def _filled(column: nw.Series[Any], numbers: Array, values: Array) -> nw.Series[Any]:
    """A column with its holes filled, in its own type."""
    holes = np.isnan(numbers)
    fill, seen = values[holes], numbers[~holes]
    if len(seen) and (seen == np.rint(seen)).all():
        fill = np.rint(fill)
    rows = np.flatnonzero(holes).tolist()
    if column.dtype == nw.Object:
        return column.scatter(rows, fill.tolist())
    return column.scatter(
        rows, nw.new_series(column.name, fill, nw.Float64, backend=column.implementation).cast(column.dtype)
    )
