"""Splitters of observed entries into training and held-out ones; scikit-learn's split rows instead.

Every row and column with an observed entry keeps one for training, so the only entry of a row or column is never held
out.
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
from ..data.observed import Observed

Array = np.ndarray
Split = tuple[Array, Array]


class _EntrySplitter(ABC):
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

    def split_observed(self, entries: Observed) -> Iterator[Split]:
        """`split` of what is read already."""
        self._check_parameters()
        rows, columns = entries.pairs()
        random_state = check_random_state(self.random_state)
        for chosen in self._choices(rows, columns, entries.shape, random_state):
            test = entries.flags(_keep_all_lines(chosen, rows, columns, entries.shape))
            if not test.any():
                raise ValueError(
                    f"X has too few observed entries to hold any out: {len(rows)} at n_samples={entries.shape[0]}, "
                    f"n_features={entries.shape[1]}, where each row and each column must keep one ({self!r})"
                )
            yield entries.observed & ~test, test

    @abstractmethod
    def _choices(
        self, rows: Array, columns: Array, shape: tuple[int, int], random_state: np.random.RandomState
    ) -> Iterator[Array]:
        """For each split, which of the observed entries to hold out."""

    @abstractmethod
    def _check_parameters(self) -> None:
        """Refuse invalid parameters."""

    def get_n_splits(self, X: MatrixLike | None = None, mask: MatrixLike | None = None) -> int:
        """Number of splits."""
        return self.n_splits


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


def _keep_all_lines(chosen: Array, rows: Array, columns: Array, shape: tuple[int, int]) -> Array:
    """`chosen` without the first entry of each row, then of each column, that would be left with none."""
    chosen = chosen.copy()
    for lines, length in ((rows, shape[0]), (columns, shape[1])):
        kept = np.bincount(lines[~chosen], minlength=length) > 0
        last = np.flatnonzero(~kept[lines])  # entries of lines that are chosen as a whole
        _, first = np.unique(lines[last], return_index=True)
        chosen[last[first]] = False
    return chosen
