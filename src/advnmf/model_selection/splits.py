"""Splitters of observed entries into training and held-out ones; scikit-learn's split rows instead.

Every row and column with an observed entry keeps one for training, so the only entry of a row or column is never held
out; but for `EntryPatternSplit`, which holds out whole rows and columns where such are missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..arrays.typing import MatrixLike
from ..data.boundary import read_observed
from ..data.check import check_choice, check_number
from ..data.observed import Observed, SparseObserved
from .hole_draws import draws, keep_all_lines
from .holes import Holes, weights_of_kinds
from .neighbours import Layout, check_layout

Array = np.ndarray
Split = tuple[Array, Array]


class _Splitter(ABC):
    """The base of the splitters."""

    def split(self, X: MatrixLike, mask: MatrixLike | None = None) -> Iterator[Split]:
        """Pairs (train, test) of flags of entries, disjoint and within what is observed.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            NaN (and the hidden entries of a `numpy.ma` array) are missing.
        mask : array-like of bool, optional
            True = observed.

        Yields
        ------
        train, test : ndarray of bool
            Of the shape of ``X`` if that is dense.  For a sparse ``X``, where only stored entries can be held out:
            one flag for each, in the order of its compressed rows.
        """
        yield from self.split_observed(read_observed(X, mask))

    @abstractmethod
    def split_observed(self, entries: Observed) -> Iterator[Split]:
        """`split` of what is read already."""

    def get_n_splits(self, X: MatrixLike | None = None, mask: MatrixLike | None = None) -> int:
        """Number of splits."""
        return self.n_splits

    def _too_few(self, entries: Observed) -> ValueError:
        return ValueError(
            f"X has too few observed entries to hold any out: {np.count_nonzero(entries.observed)} at "
            f"n_samples={entries.shape[0]}, n_features={entries.shape[1]}, where each row and each column must keep "
            f"one ({self!r})"
        )


class _EntrySplitter(_Splitter):
    """Splitters that leave every row and column an entry."""

    def split_observed(self, entries: Observed) -> Iterator[Split]:
        """`split` of what is read already."""
        self._check_parameters()
        rows, columns = entries.pairs()
        random_state = check_random_state(self.random_state)
        for chosen in self._choices(rows, columns, entries.shape, random_state):
            test = entries.flags(keep_all_lines(chosen, rows, columns, entries.shape))
            if not test.any():
                raise self._too_few(entries)
            yield entries.observed & ~test, test

    @abstractmethod
    def _choices(
        self, rows: Array, columns: Array, shape: tuple[int, int], random_state: np.random.RandomState
    ) -> Iterator[Array]:
        """For each split, which of the observed entries to hold out."""

    @abstractmethod
    def _check_parameters(self) -> None:
        """Refuse invalid parameters."""


@dataclass(eq=False)
class EntryKFold(_EntrySplitter):
    """Each observed entry is held out in one of `n_splits` splits, unless its row or column must keep it.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    shuffle : bool, default=True
        Folds of random entries, whose sizes differ by at most one.  Otherwise fold ``(i + k) mod n_splits`` has the
        k-th observed entry of row i, which holds out the same share of each row.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds.

    Examples
    --------
    >>> import numpy as np
    >>> from advnmf.model_selection import EntryKFold
    >>> [int(test.sum()) for train, test in EntryKFold(3, random_state=0).split(np.ones((4, 6)))]
    [8, 8, 8]
    """

    n_splits: int = 5
    _: KW_ONLY
    shuffle: bool = True
    random_state: int | np.random.RandomState | None = None

    def _choices(
        self, rows: Array, columns: Array, shape: tuple[int, int], random_state: np.random.RandomState
    ) -> Iterator[Array]:
        if self.shuffle:
            folds = random_state.permutation(len(rows)) % self.n_splits
        else:
            folds = (rows + _number_in_row(rows, shape[0])) % self.n_splits
        for fold in range(self.n_splits):
            yield folds == fold

    def _check_parameters(self) -> None:
        check_number("n_splits", self.n_splits, low=2, integer=True)
        check_choice("shuffle", self.shuffle, (True, False))


@dataclass(eq=False)
class EntryShuffleSplit(_EntrySplitter):
    """Hold out a random share of the observed entries in each split.

    Parameters
    ----------
    n_splits : int, default=1
        Number of splits.
    test_size : float or int, default=0.1
        Share of the observed entries to hold out, in (0, 1), or their number; of each row with ``pattern="rows"``.
    pattern : {"uniform", "rows", "blocks"}, default="uniform"
        Where held-out entries lie, which should resemble the missing ones: anywhere; with a quota for each row (its
        share, rounded up or down at random so that all rows together give `test_size`); or in blocks of neighbouring
        rows and columns.
    block_shape : (int, int) or None, default=None
        Rows and columns of a block; None stands for an eighth of each side, at least one.  The last block is cut so
        that the number of held-out entries is right.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.
    """

    n_splits: int = 1
    _: KW_ONLY
    test_size: float = 0.1
    pattern: str = "uniform"
    block_shape: tuple[int, int] | None = None
    random_state: int | np.random.RandomState | None = None

    def _choices(
        self, rows: Array, columns: Array, shape: tuple[int, int], random_state: np.random.RandomState
    ) -> Iterator[Array]:
        for _ in range(self.n_splits):
            if self.pattern == "rows":
                yield self._quota_of_rows(rows, shape[0], random_state)
                continue
            n = len(rows)
            n_test = self.test_size if isinstance(self.test_size, Integral) else max(1, round(self.test_size * n))
            if n_test >= n:
                raise ValueError(
                    f"X has too few observed entries to hold any out: test_size={self.test_size!r} asks {n_test} of {n}"
                )
            if self.pattern == "uniform":
                order = random_state.permutation(n)
            else:
                order = np.argsort(self._block_ranks(rows, columns, shape, random_state), kind="stable")
            chosen = np.zeros(n, bool)
            chosen[order[:n_test]] = True
            yield chosen

    def _quota_of_rows(self, rows: Array, n_rows: int, random_state: np.random.RandomState) -> Array:
        """test_size of each row: q_i = floor(f c_i + u_i) of its c_i entries, u_i uniform on [0, 1)."""
        counts = np.bincount(rows, minlength=n_rows)
        if isinstance(self.test_size, Integral):
            quota = np.full(n_rows, self.test_size)
        else:
            quota = np.floor(self.test_size * counts + random_state.uniform(size=n_rows))
        order = np.lexsort((random_state.uniform(size=len(rows)), rows))
        chosen = np.empty(len(rows), bool)
        chosen[order] = _number_in_row(rows, n_rows) < quota[rows]
        return chosen

    def _block_ranks(
        self, rows: Array, columns: Array, shape: tuple[int, int], random_state: np.random.RandomState
    ) -> Array:
        """For each entry the rank, in a random order, of its block in a tiling that begins anywhere."""
        height, width = self.block_shape or (max(1, shape[0] // 8), max(1, shape[1] // 8))
        down, right = random_state.randint(height), random_state.randint(width)
        across = (shape[1] + right - 1) // width + 1
        blocks = (rows + down) // height * across + (columns + right) // width
        # Only blocks that hold something, so that their number is bounded by that of the entries.
        _, blocks = np.unique(blocks, return_inverse=True)
        return random_state.permutation(blocks.max(initial=-1) + 1)[blocks]

    def _check_parameters(self) -> None:
        check_number("n_splits", self.n_splits, low=1, integer=True)
        check_choice("pattern", self.pattern, ("uniform", "rows", "blocks"))
        if isinstance(self.test_size, Integral):
            check_number("test_size", self.test_size, low=1, integer=True)
        else:
            check_number("test_size", self.test_size, strict=True)
            if self.test_size >= 1:
                raise ValueError(f"test_size={self.test_size!r} must be a share below 1, or a whole number of entries")
        if self.block_shape is not None:
            if not isinstance(self.block_shape, tuple | list) or len(self.block_shape) != 2:
                raise ValueError(f"block_shape={self.block_shape!r} must be None or a pair (rows, columns)")
            for size in self.block_shape:
                check_number("block_shape", size, low=1, integer=True)


@dataclass(eq=False)
class EntryPatternSplit(_Splitter):
    """Hold out observed entries in the pattern in which others are missing.

    - Where whole rows (columns) are missing, whole rows (columns) are held out: at random, or in runs and clouds of the
      same shape if their order or grid is given.  Columns without an order are not held out as a whole, since nothing
      says that a missing one is like the others.
    - Where blocks, runs or groups of columns are missing together, rows are given the holes of other rows, so that they
      are about as much observed as these; with an order or a grid of the rows, all holes are moved along it.
    - Where some rows miss far more than others, rows lose entries at random until they have as few.
    - Scattered entries are held out anywhere.

    Held-out entries come with weights (`weighted_observed`), which `CompletionSearchCV` and `AutoNMF` use: each kind of
    hole counts by its share of the missing entries, and so does each column.  No split can imitate holes that depend
    on the hidden values themselves.

    Parameters
    ----------
    n_splits : int, default=1
        Number of splits.
    test_size : float, default=0.1
        Share of the observed entries to hold out, about, in (0, 1); of whole rows and columns about the share in which
        they are missing, from 6 to 20 per cent.
    samples_order, features_order : None, True or array-like, default=None
        True: rows (columns) are in order and equally spaced.  An array: their positions or times.
    samples_grid, features_grid : tuple of int or None, default=None
        Rows (columns) are the points of a grid of this shape, last axis fastest.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Examples
    --------
    >>> import numpy as np
    >>> from advnmf.model_selection import EntryPatternSplit
    >>> X = np.ones((20, 6))
    >>> X[:5, :3] = np.nan  # three instruments were off
    >>> train, test = next(EntryPatternSplit(random_state=0).split(X))
    >>> np.unique(test[test.any(axis=1)], axis=0)
    array([[ True,  True,  True, False, False, False]])
    """

    n_splits: int = 1
    _: KW_ONLY
    test_size: float = 0.1
    samples_order: object = None
    features_order: object = None
    samples_grid: tuple[int, ...] | None = None
    features_grid: tuple[int, ...] | None = None
    random_state: int | np.random.RandomState | None = None

    def split_observed(self, entries: Observed) -> Iterator[Split]:
        """`split` of what is read already."""
        for train, test, _ in self.weighted_observed(entries):
            yield train, test

    def weighted_observed(self, entries: Observed) -> Iterator[tuple[Array, Array, Array]]:
        """(train, test, weights of the held-out entries in the order of their rows); their mean is 1."""
        self._check_parameters()
        random_state = check_random_state(self.random_state)
        holes = self.holes(entries)
        if holes is None:
            uniform = EntryShuffleSplit(self.n_splits, test_size=self.test_size, random_state=random_state)
            for train, test in uniform.split_observed(entries):
                yield train, test, np.ones(np.count_nonzero(test))
            return
        for test in draws(holes, self.n_splits, self.test_size, random_state):
            if not test.any() or np.count_nonzero(test) == np.count_nonzero(entries.observed):
                raise self._too_few(entries)
            flags = entries.flags(test[entries.pairs()])
            yield entries.observed & ~flags, flags, weights_of_kinds(holes, test)

    def holes(self, entries: Observed) -> Holes | None:
        """The pattern; None for a sparse ``X`` of which more is absent than stored (ratings), held out anywhere."""
        (rows, columns), (n, m) = entries.pairs(), entries.shape
        if isinstance(entries, SparseObserved) and 2 * len(rows) < n * m:
            return None
        missing = np.ones((n, m), bool)
        missing[rows, columns] = False
        return Holes(
            missing,
            Layout.of(n, "samples", self.samples_order, self.samples_grid),
            Layout.of(m, "features", self.features_order, self.features_grid),
        )

    def _check_parameters(self) -> None:
        """Refuse invalid parameters."""
        check_number("n_splits", self.n_splits, low=1, integer=True)
        check_number("test_size", self.test_size, high=0.9, strict=True)
        check_layout("samples", self.samples_order, self.samples_grid)
        check_layout("features", self.features_order, self.features_grid)


def training_matrix(X: MatrixLike, train: Array) -> Any:
    """``X`` with a NaN for every entry that is not in `train`: what a model may see.

    Parameters
    ----------
    X : array-like or sparse matrix
        What was split.
    train : ndarray of bool
        Flags of entries, as `EntryKFold.split` gives them.

    Returns
    -------
    ndarray or csr_array
        A copy.  A stored NaN is missing for every model that takes sparse matrices, whatever `sparse_missing` is.
    """
    entries = read_observed(X, train)
    return entries.training(entries.observed)


def held_out_entries(X: MatrixLike, test: Array) -> tuple[Array, Array, Array]:
    """(rows, columns, values) of the entries flagged in `test`, row by row."""
    entries = read_observed(X, test)
    rows, columns = entries.pairs()
    return rows, columns, entries.held_out(entries.observed).values


def check_split(entries: Observed, train: object, test: object) -> Split:
    """Flags that a user's splitter gave: right in shape, disjoint, observed, and neither of them empty."""
    train, test = np.asarray(train), np.asarray(test)
    for name, flags in (("train", train), ("test", test)):
        if flags.dtype != bool or flags.shape != entries.observed.shape:
            raise ValueError(
                f"cv gave {name} of {flags.dtype} and shape {flags.shape}: one boolean an entry is needed, of shape "
                f"{entries.observed.shape}, as from EntryKFold and EntryShuffleSplit"
            )
        if not flags.any() or (flags & ~entries.observed).any():
            raise ValueError(f"cv gave {name} without any entry, or with entries that are not observed")
    if (train & test).any():
        raise ValueError(f"cv gave {np.sum(train & test)} entries both to train and to test")
    return train, test


def _number_in_row(rows: Array, n_rows: int) -> Array:
    """0, 1, 2, ... within each row of ascending row numbers."""
    counts = np.bincount(rows, minlength=n_rows)
    return np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
