"""Ratings as people keep them, a table of (user, item, rating), and as models want them, a sparse matrix.

    (user, item, rating)  <->  matrix[row of the user, column of the item] = rating

Labels are whatever the table holds; a model sees their numbers.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ..arrays.caching import cached_property
from .files import FileError, reason, suffix
from .tables import frames
from .tables.cells import Cells, read_cells, renumber
from .tables.columns import without_markers
from .tables.cutting import check_delimiter
from .tables.numbers import Parser, number_text

__all__ = ["Source", "Triplets", "read_triplets"]

Array = np.ndarray
Columns = Sequence[str] | Sequence[int]

NAMES = ("user", "item", "rating")


@dataclass(frozen=True, eq=False)
class Triplets:
    """A table of (user, item, rating): row n says that ``users[row[n]]`` gave ``items[column[n]]`` ``values[n]``.

    Make one by `from_arrays`, `from_frame` or `read_triplets`.

    Parameters
    ----------
    users, items : ndarray
        The different labels, in the order in which they first appear: rows and columns of the matrix.
    row, column : ndarray of int
        Numbers of the labels, one for each row of the table.
    values : ndarray of float
        Ratings; NaN where there is none, which is then to be predicted.
    """

    users: Array
    items: Array
    row: Array
    column: Array
    values: Array

    @classmethod
    def from_arrays(cls, users: ArrayLike, items: ArrayLike, ratings: ArrayLike | None = None) -> Self:
        """From three columns of the same length; without ratings all are to be predicted.

        ValueError where a rating is negative or infinite, or a label is missing.
        """
        (row, user_labels), (column, item_labels) = _encode(users), _encode(items)
        try:
            values = np.full(len(row), np.nan) if ratings is None else np.array(ratings, np.float64)
        except (TypeError, ValueError):
            raise ValueError("ratings must be numbers, with NaN for those to be predicted") from None
        if not row.shape == column.shape == values.shape:
            raise ValueError(
                f"users, items and ratings must be of the same length, got {len(row)}, {len(column)} and {values.size}"
            )
        return cls(user_labels, item_labels, row, column, values)._checked(NAMES, lambda n: f"row {n} (from 0)")

    @classmethod
    def from_frame(cls, frame: Any, columns: Sequence = NAMES) -> Self:
        """From the columns (user, item, rating) of a data frame of pandas or polars or a table of pyarrow.

        Given two columns, all ratings are to be predicted. ValueError as in `from_arrays`, and for a column that is not
        there.
        """
        _check_columns(columns)
        there = frames.column_names(frame)
        for name in columns:
            if name not in there:
                raise ValueError(f"there is no column {name!r}; there are {', '.join(map(repr, there))}")
        (row, users), (column, items) = (frames.encode(frame, name) for name in columns[:2])
        values = frames.numbers(frame, columns[2]) if len(columns) == 3 else np.full(len(row), np.nan)
        return cls(users, items, row, column, values)._checked(columns, lambda n: f"row {n} (from 0)")

    def __len__(self) -> int:
        """Rows of the table."""
        return len(self.values)

    @property
    def missing(self) -> Array:
        """True in the rows of the table whose rating is to be predicted."""
        return np.isnan(self.values)

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """Users x items with the ratings that there are; what is not stored is missing (``sparse_missing="absent"``).

        Where a pair was rated several times the mean of its ratings is stored, with a warning.
        """
        there = ~self.missing
        pairs, shape = (self.row[there], self.column[there]), (len(self.users), len(self.items))
        ratings = sparse.csr_array((self.values[there], pairs), shape=shape)
        if again := int(there.sum()) - ratings.nnz:
            warnings.warn(
                f"{again} ratings are of pairs that were rated before: each pair gets the mean of its ratings",
                UserWarning,
                stacklevel=3,  # past functools
            )
            # Both sums store their entries in the same order.
            ratings.data /= sparse.csr_array((np.ones(there.sum()), pairs), shape=shape).data
        return ratings

    def pairs(self, users: Iterable, items: Iterable) -> tuple[Array, Array]:
        """Rows and columns of pairs of labels, -1 where a label is unknown: for `predict_pairs(..., unseen="mean")`."""
        return self.rows_of(users), self.columns_of(items)

    def rows_of(self, users: Iterable) -> Array:
        """The rows of users, -1 where unknown."""
        return _look_up("users", self.users, users)

    def columns_of(self, items: Iterable) -> Array:
        """The columns of items, -1 where unknown."""
        return _look_up("items", self.items, items)

    def labels(self, columns: ArrayLike) -> list:
        """The items at columns such as `recommend` gives, best first, without the places that name none (-1).

        A list of labels for one row of columns; a list of such lists, one for each row, for several.
        """
        columns = np.asarray(columns)
        if columns.ndim not in (1, 2) or columns.dtype.kind not in "iu":
            raise ValueError(
                f"columns must be integers in one row or in several, got an array of {columns.dtype} "
                f"of shape {columns.shape}"
            )
        outside = (columns < -1) | (columns >= len(self.items))
        if outside.any():
            raise ValueError(f"columns holds {columns[outside][0]}, but there are {len(self.items)} items")
        if columns.ndim == 2:
            return [self.labels(row) for row in columns]
        return self.items[columns[columns >= 0]].tolist()

    def _checked(self, names: Sequence, place: Callable[[int], str], error: type[ValueError] = ValueError) -> Self:
        """Itself; or an error that names the first row that makes no sense."""
        if not len(self):
            raise error(f"there is no row of {', '.join(map(str, names))}")
        for codes, labels, name in ((self.row, self.users, names[0]), (self.column, self.items, names[1])):
            blank = [isinstance(label, str) and not label.strip() for label in labels.tolist()]
            wrong = (codes < 0) | np.array([*blank, False])[codes]
            if wrong.any():
                raise error(
                    f"{place(int(np.argmax(wrong)))} has no {name}: name it, or leave the row out "
                    f"({np.count_nonzero(wrong)} in all)"
                )
        for wrong, word in ((np.isinf(self.values), "infinite"), (self.values < 0, "negative")):
            if wrong.any():
                n = int(np.argmax(wrong))
                raise error(
                    f"{place(n)}: {names[2]} {self.values[n]:g} is {word} ({np.count_nonzero(wrong)} in all): "
                    "ratings must be finite and not negative; to predict it leave it empty, or say "
                    f"--na {self.values[n]:g}"
                )
        return self


def read_triplets(
    path: str | os.PathLike[str],
    columns: Columns = NAMES,
    *,
    delimiter: str | None = None,
    decimal: str = ".",
    na: Iterable[str] = (),
    max_bytes: int | None = None,
) -> Triplets:
    """The triplets in a csv, tsv or parquet file; a name with any other ending is taken for text.

    Parameters
    ----------
    path : path
    columns : three of str or int
        User, item and rating: names from the header, or numbers from 1 for a text file without header. Given two, all
        ratings are to be predicted.
    delimiter : str, optional
        Of a text file. Without it a tab for tsv, else the first of semicolon, tab and comma that cuts the first lines
        alike.
    decimal : str
        "." or ",", of a text file.
    na : iterable of str
        Further markers of missing ratings in a text file, beside empty, NA, NaN, N/A, #N/A, null, and ? - . * ND None
        and the like where all other ratings are numbers.
    max_bytes : int, optional
        Refuse a parquet file that unpacks to more; see `advnmf.io.limits`.

    Raises
    ------
    FileError
        (a ValueError) with one line that names the file, the line and what to do: a column that is not there, a label
        that is missing, a rating that is text, negative or infinite, rows of unequal length, an empty file.

    Notes
    -----
    Labels of a text file are text, as it stands there: 007 is not 7. Parquet needs pyarrow or polars.
    """
    return read_source(path, columns, delimiter=delimiter, decimal=decimal, na=na, max_bytes=max_bytes).triplets


@dataclass(frozen=True)
class Source:
    """A file of triplets: what it says, and what it takes to write it again with its ratings filled."""

    path: str
    triplets: Triplets
    names: tuple[str, ...]
    header: bool
    content: Cells | Any
    rating: int = -1  # the position of its column
    decimal: str = "."

    @property
    def is_text(self) -> bool:
        """Whether it is a text file, not parquet."""
        return isinstance(self.content, Cells)

    def filled(self, values: Array) -> bytes | Any:
        """The file with values in place of the missing ratings: bytes of a text file, or a table for parquet."""
        missing = self.triplets.missing
        if not self.is_text:
            return frames.with_column(self.content, self.names[2], np.where(missing, values, self.triplets.values))
        texts = (number_text(value, self.decimal, self.content.delimiter) for value in values[missing].tolist())
        return self.content.replaced(np.flatnonzero(missing) + self.header, self.rating, texts)


def read_source(
    path: str | os.PathLike[str],
    columns: Columns,
    *,
    delimiter: str | None = None,
    decimal: str = ".",
    na: Iterable[str] = (),
    max_bytes: int | None = None,
) -> Source:
    """What `read_triplets` reads, with the file around it."""
    _check_columns(columns)
    if suffix(path) == "parquet":
        return _read_parquet(path, columns, max_bytes)
    cells = read_cells(path, delimiter)
    check_delimiter(path, cells.delimiter, decimal)
    at, names, header = _places(path, columns, cells.row(0))

    def place(n: int) -> str:
        return f"{path}: line {cells.line(n + header)}"

    if len(cells.starts) == header:
        raise FileError(f"{path}: there is no row below the header")
    (row, users), (column, items) = (cells.column(k, header) for k in at[:2])
    values = np.full(len(row), np.nan)
    if len(at) == 3:
        codes, texts = cells.column(at[2], header)
        ratings, _ = without_markers(texts, Parser(tuple(na), decimal).column(texts))  # few of them differ
        if None in ratings:
            n = int(np.argmax(codes == ratings.index(None)))
            raise FileError(f"{place(n)}: {_not_a_number(texts[codes[n]], names[2], header, n)}")
        values = np.array(ratings)[codes]
    triplets = Triplets(np.array(users, object), np.array(items, object), row, column, values)
    triplets._checked(names, place, FileError)
    return Source(str(path), triplets, names, header, cells, at[-1], decimal)


def _read_parquet(path: str | os.PathLike[str], columns: Columns, max_bytes: int | None) -> Source:
    table = frames.read_parquet(path, max_bytes)
    there = frames.column_names(table)
    at, names, _ = _places(path, columns, there)
    names = tuple(there[k] for k in at)
    try:
        triplets = Triplets.from_frame(table, names)
    except Exception as error:  # each library has exceptions of its own for types that make no labels
        raise FileError(f"{path}: {reason(error)}") from error
    return Source(str(path), triplets, names, True, table)


def _places(
    path: str | os.PathLike[str], columns: Sequence[Any], first: list[str]
) -> tuple[list[int], tuple[str, ...], bool]:
    """Positions of the columns in a file with this first row, their names, and whether that row is a header."""
    if isinstance(columns[0], int):
        for number in columns:
            if not 1 <= number <= len(first):
                raise FileError(f"{path}: there is no column {number}; there are {len(first)}: {_shown(first)}")
        return [number - 1 for number in columns], NAMES[: len(columns)], False
    for name in columns:
        if first.count(name) != 1:
            what = "is no column" if name not in first else "are several columns"
            raise FileError(
                f"{path}: there {what} {name!r} in the header {_shown(first)}; "
                "columns of a file without header are given by number, such as 1,2,3"
            )
    return [first.index(name) for name in columns], tuple(columns), True


def _check_columns(columns: Columns) -> None:
    of_a_kind = all(isinstance(c, str) for c in columns) or all(type(c) is int for c in columns)
    if isinstance(columns, str) or len(columns) not in (2, 3) or len(set(columns)) < len(columns) or not of_a_kind:
        raise ValueError(
            f"columns={columns!r} must be those of user, item and rating (or of user and item): "
            "different names, or numbers from 1"
        )


def _shown(cells: list[str]) -> str:
    return ", ".join(ascii(cell if len(cell) <= 20 else cell[:17] + "...")[1:-1] for cell in cells[:12])


def _not_a_number(text: str, name: str, header: bool, n: int) -> str:
    shown = ascii(text if len(text) <= 40 else text[:37] + "...")
    if n == 0 and not header:
        return f"{name} {shown} is not a number; columns of a file with a header are given by name"
    if "," in text and text.replace(",", "").strip().isdigit():
        return f"{name} {shown} is not a number (decimal commas: --decimal ,)"
    return f"{name} {shown} is not a number: correct it, or leave it empty to predict it"


def _encode(values: ArrayLike) -> tuple[Array, Array]:
    """Labels as numbers, -1 where missing, and the different labels as they first appear."""
    labels = np.asarray(values)
    if labels.ndim != 1:
        raise ValueError(f"labels must be a list, got an array of shape {labels.shape}")
    if labels.dtype == object:
        index: dict = {}
        gone = [label is None or label != label for label in labels]
        numbers = [-1 if no else index.setdefault(label, len(index)) for label, no in zip(labels, gone, strict=True)]
        found = np.empty(len(index), object)
        found[:] = list(index)
        return np.array(numbers, np.int64), found
    different, sorted_codes = np.unique(labels, return_inverse=True)
    codes, order = renumber(sorted_codes, list(range(len(different))))
    different = different[order]
    nan = different != different
    return np.where(nan[codes], -1, codes) if nan.any() else codes, different


def _look_up(name: str, known: Array, asked: Iterable) -> Array:
    index = {label: n for n, label in enumerate(known.tolist())}
    labels = np.asarray(asked, None if isinstance(asked, np.ndarray) else object).tolist()
    found = np.array([index.get(label, -1) for label in labels], np.int64)
    if len(found) and (found < 0).all() and isinstance(labels[0], str) != isinstance(known[0], str):
        raise ValueError(f"{name} are labels such as {known.tolist()[0]!r}, not such as {labels[0]!r}")
    return found
