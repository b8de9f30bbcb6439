"""Predictions for pairs, and recommendations: the columns of the largest ones, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array, check_is_fitted

from .factors import fill_rows, take_rows
from .namespaces import Array, namespace, to_numpy
from .validation import check_choice, check_indices, check_number, check_seen

# As many predictions as this are held at a time.
_BLOCK_ENTRIES = 2**20


class RankingMixin:
    """`predict_pairs` and `recommend` for models with training codes, a linear decoder, and ``seen_``."""

    def predict_pairs(self, rows: object, columns: object, *, unseen: str = "error") -> Array:
        """The reconstruction at pairs ``(rows[n], columns[n])`` of the training data; nothing else is built.

        With ``unseen="mean"`` the index -1 stands for a row or column that was not in the training data: it is given
        the mean code or component column.  Otherwise an index out of range is an error.
        """
        check_is_fitted(self)
        check_choice("unseen", unseen, ("error", "mean"))
        lowest, codes = (-1 if unseen == "mean" else 0), self._training_codes()
        rows = check_indices("rows", rows, codes.shape[0], lowest)
        columns = check_indices("columns", columns, self.n_features_in_, lowest)
        if len(rows) != len(columns):
            raise ValueError(f"rows and columns must be of the same length, got {len(rows)} and {len(columns)}")
        codes = _rows_or_mean(codes, rows, self.mean_code_)
        A, B = self._linear(codes)
        xp = namespace(B)
        return xp.sum(A * _rows_or_mean(B.T, columns, xp.mean(B, axis=1)), axis=1)

    def recommend(
        self,
        rows: object = None,
        n: int = 10,
        *,
        codes: object = None,
        exclude_seen: object = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Columns of the `n` largest predictions of some rows, best first, and the predictions.

        Parameters
        ----------
        rows : int or array-like of int, optional
            Rows of the training data; all unless given.
        n : int, default=10
            How many columns.
        codes : array-like of shape (n_rows, n_codes), optional
            Codes of new rows (from `transform`) in place of `rows`.
        exclude_seen : bool, sparse matrix or array of bool, default=True
            True leaves out what was observed in the training data, which the model knows if it was fitted to a sparse
            matrix with ``sparse_missing="absent"``.  A sparse matrix of the rows asked for leaves out what it stores,
            an array what is True.

        Returns
        -------
        columns, predictions : arrays of shape (n_rows, min(n, n_features)); (<= n,) for a single row
            Where fewer than `n` are left, a row ends with columns -1 and predictions -inf.
        """
        check_is_fitted(self)
        check_number("n", n, low=1, integer=True)
        asked, seen = self._asked(rows, codes, exclude_seen)
        columns, scores = best_columns(lambda part: self._decode(asked[part]), len(asked), self.n_features_in_, n, seen)
        if codes is None and np.ndim(rows) == 0 and rows is not None:
            kept = columns[0] >= 0
            return columns[0, kept], scores[0, kept]
        return columns, scores

    def _asked(self, rows: object, codes: object, exclude_seen: object) -> tuple[np.ndarray, sparse.csr_array | None]:
        """The codes of the rows that `recommend` is asked for, and what is left out of them."""
        training = to_numpy(self._training_codes())
        if codes is None:
            rows = np.arange(len(training)) if rows is None else check_indices("rows", rows, len(training))
            asked = training[rows]
        elif rows is None:
            asked = check_array(to_numpy(codes), dtype=[np.float64, np.float32])
        else:
            raise ValueError("rows and codes are both given: rows of the training data, or codes of new ones")
        if asked.shape[1] != self._n_features_out:
            raise ValueError(f"codes have {asked.shape[1]} columns, but a code has {self._n_features_out} entries")
        if exclude_seen is False:
            return asked, None
        if exclude_seen is not True:
            return asked, check_seen(exclude_seen, (len(asked), self.n_features_in_))
        if codes is not None or self.seen_ is None:
            raise ValueError(
                "exclude_seen=True needs rows of a fit to sparse X with sparse_missing='absent': "
                "give a sparse matrix or mask of what to leave out, or exclude_seen=False"
            )
        indptr, indices = self.seen_
        stored = np.ones(len(indices), bool), indices, indptr
        return asked, sparse.csr_array(stored, shape=(len(training), self.n_features_in_))[rows]


def _rows_or_mean(F: Array, rows: np.ndarray, mean: Array) -> Array:
    """Some rows of ``F``, the mean for -1."""
    return fill_rows(take_rows(F, np.maximum(rows, 0)), rows < 0, mean)


def best_columns(
    predict: Callable[[Array], Array], n_rows: int, n_columns: int, n: int, seen: sparse.csr_array | None
) -> tuple[Array, Array]:
    """Columns of the n largest predictions of each row, best first, without the `seen` ones; and these predictions.

    ``predict(rows)`` gives the predictions of some rows, ``seen`` stores what is left out.  Equal ones are
    ordered by column.  Where fewer than n are left, columns end with -1 and predictions with -inf.
    """
    n_kept = min(n, n_columns)
    columns = np.full((n_rows, n_kept), -1, np.int64)
    scores = np.full((n_rows, n_kept), -np.inf)
    step = max(1, _BLOCK_ENTRIES // n_columns)
    for first in range(0, n_rows, step):
        rows = np.arange(first, min(n_rows, first + step))
        block = predict(rows)
        if seen is not None:
            there = seen[rows].tocoo()
            block[there.row, there.col] = -np.inf
        columns[rows], scores[rows] = _largest(block, n_kept)
    columns[np.isneginf(scores)] = -1
    return columns, scores


def _largest(block: Array, n: int) -> tuple[Array, Array]:
    """Positions of the n largest entries of each row, in order, and their values."""
    found = np.argpartition(-block, n - 1, axis=1)[:, :n] if n < block.shape[1] else np.argsort(block, axis=1)
    found.sort(axis=1)
    values = np.take_along_axis(block, found, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(values, order, axis=1)
