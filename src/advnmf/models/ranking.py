"""Predictions for pairs, and recommendations: the best columns of rows, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse, special
from sklearn.utils.validation import check_array, check_is_fitted

from ..arrays.namespaces import Array, namespace, to_numpy
from ..arrays.typing import MatrixLike
from ..data.check import check_choice, check_indices, check_number, check_seen
from ..engine.factors import fill_rows, take_rows
from .reliability import Reliability

# As many predictions as this are held at a time.
_BLOCK_ENTRIES = 2**20
# A standard deviation is at least this share of the values, so that no logarithm of a probability is infinite.
_LEAST_DEVIATION = 1e-9

Score = Callable[[Array], Array]


class RankingMixin:
    """`predict_pairs` and `recommend` for models with training codes and a linear decoder.

    They have ``seen_``, ``column_counts_`` and ``reliability_`` too; `_clipped` brings predictions into the range in
    which they are shown.
    """

    def predict_pairs(self, rows: MatrixLike, columns: MatrixLike, *, unseen: str = "error") -> Array:
        """The reconstruction at pairs ``(rows[n], columns[n])`` of the training data; nothing else is built.

        With ``unseen="mean"`` the index -1 stands for a row or column that was not in the training data: it is given
        the mean code or component column.  Otherwise an index out of range is an error.
        """
        check_is_fitted(self)
        check_choice("unseen", unseen, ("error", "mean"))
        lowest, codes = (-1 if unseen == "mean" else 0), self.training_codes()
        rows = check_indices("rows", rows, codes.shape[0], lowest)
        columns = check_indices("columns", columns, self.n_features_in_, lowest)
        if len(rows) != len(columns):
            raise ValueError(f"rows and columns must be of the same length, got {len(rows)} and {len(columns)}")
        codes = _rows_or_mean(codes, rows, self.mean_code_)
        A, B = self.linear(codes)
        xp = namespace(B)
        return self._clipped(xp.sum(A * _rows_or_mean(B.T, columns, xp.mean(B, axis=1)), axis=1), columns)

    def recommend(
        self,
        rows: MatrixLike | None = None,
        n: int = 10,
        *,
        codes: object = None,
        exclude_seen: object = True,
        by: str = "lower_bound",
        confidence: float = 0.99,
        min_ratings: int = 1,
        liked: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best `n` columns of some rows, best first, and their predictions.

            "lower_bound"      m - z s,  z the normal quantile of `confidence`
            "prediction"       p
            "expected_hits"    share of the rows that have the column, times  Phi((m - liked) / sqrt(sigma^2 + s^2))

        p is the prediction.  A column in which little was observed is little known: m is p drawn towards the level of
        the row, the more the fewer entries the column has, and s says how far off m may be (formulas and how they
        are measured: `advnmf.models.reliability`).  By its lower bound a column with a single entry never wins by that
        entry; columns with as many entries are in the order of their predictions.

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
        by : {"lower_bound", "prediction", "expected_hits"}, default="lower_bound"
            What columns are ranked by.  "expected_hits" asks for columns that the row will both have and like: the
            well-known ones of them, as a shop wants them.
        confidence : float, default=0.99
            Probability with which the truth is above the lower bound; 0.5 stands for m itself.
        min_ratings : int, default=1
            Columns with fewer observed entries are left out.
        liked : float, optional
            The value from which "expected_hits" counts a hit; the mean of the observed values unless given.

        Returns
        -------
        columns, predictions : arrays of shape (n_rows, min(n, n_features)); (<= n,) for a single row
            Predictions p, whatever ranks them: they need not descend, and those of `AutoNMF` are clipped for show only.
            Where fewer than `n` are left, a row ends with columns -1 and predictions -inf: never index labels with
            -1 (`Triplets.labels` leaves these out).
        """
        check_is_fitted(self)
        check_number("n", n, low=1, integer=True)
        check_number("min_ratings", min_ratings, integer=True)
        score = self._score(by, confidence, liked)
        asked, seen = self._asked(rows, codes, exclude_seen)
        known = self.column_counts_ >= min_ratings

        def ranked(part: Array) -> tuple[Array, Array]:
            A, B = map(to_numpy, self.linear(asked[part]))
            P = (A @ B).astype(np.float64, copy=False)
            return np.where(known, score(P), -np.inf), P

        columns, predictions = best_columns(ranked, len(asked), self.n_features_in_, n, seen)
        shown = np.where(columns < 0, -np.inf, self._clipped(np.where(columns < 0, 0.0, predictions), columns))
        if codes is None and np.ndim(rows) == 0 and rows is not None:
            kept = columns[0] >= 0
            return columns[0, kept], shown[0, kept]
        return columns, shown

    def _score(self, by: str, confidence: float, liked: float | None) -> Score:
        """What ranks the columns, from predictions of whole rows."""
        check_choice("by", by, ("lower_bound", "prediction", "expected_hits"))
        check_number("confidence", confidence, low=0.5, high=1.0)
        if confidence == 1:
            raise ValueError("confidence=1 asks for a bound without end: give less than 1, such as 0.99")
        if liked is not None:
            if by != "expected_hits":
                raise ValueError(f"liked={liked!r} has a meaning with by='expected_hits' only, got by={by!r}")
            check_number("liked", liked, low=-np.inf)
        if by == "prediction":
            return lambda P: P
        counts, trust = self.column_counts_, Reliability(*self.reliability_)
        if by == "lower_bound":
            return lambda P: _lower_bound(P, counts, trust, float(special.ndtri(confidence)))
        return lambda P: _log_expected_hits(P, counts, trust, trust.mean if liked is None else liked)

    def _clipped(self, values: Array, columns: MatrixLike | None = None) -> Array:
        """Predictions of all columns, or of some, as they are shown."""
        return values

    def _asked(
        self, rows: MatrixLike, codes: object, exclude_seen: object
    ) -> tuple[np.ndarray, sparse.csr_array | None]:
        """The codes of the rows that `recommend` is asked for, and what is left out of them."""
        training = to_numpy(self.training_codes())
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


def _lower_bound(P: Array, counts: Array, trust: Reliability, z: float) -> Array:
    """m - z s."""
    m, s = trust.shrunken(P, counts)
    return m - z * s


def _log_expected_hits(P: Array, counts: Array, trust: Reliability, liked: float) -> Array:
    """log(n Phi((m - liked) / sqrt(sigma^2 + s^2))), where n differs from the share of the rows by a constant."""
    m, s = trust.shrunken(P, counts)
    # Of an exact fit, it is the sign of m - liked that decides.
    deviation = np.maximum(np.hypot(trust.noise, s), _LEAST_DEVIATION * max(abs(trust.highest), abs(liked), 1e-300))
    with np.errstate(divide="ignore"):
        return np.log(counts) + special.log_ndtr((m - liked) / deviation)


def best_columns(
    ranked: Callable[[Array], tuple[Array, Array]], n_rows: int, n_columns: int, n: int, seen: sparse.csr_array | None
) -> tuple[Array, Array]:
    """Columns of the n largest scores of each row, best first, without the `seen` ones; and their predictions.

    ``ranked(rows)`` gives scores and predictions of some rows, ``seen`` stores what is left out, as a score of -inf is.
    Equal scores are ordered by column.  Where fewer than n are left, columns end with -1 and predictions with -inf.
    """
    n_kept = min(n, n_columns)
    columns = np.full((n_rows, n_kept), -1, np.int64)
    predictions = np.full((n_rows, n_kept), -np.inf)
    step = max(1, _BLOCK_ENTRIES // n_columns)
    for first in range(0, n_rows, step):
        rows = np.arange(first, min(n_rows, first + step))
        scores, values = ranked(rows)
        if seen is not None:
            there = seen[rows].tocoo()
            scores[there.row, there.col] = -np.inf
        found, best = _largest(scores, n_kept)
        left = best > -np.inf
        columns[rows] = np.where(left, found, -1)
        predictions[rows] = np.where(left, np.take_along_axis(values, found, axis=1), -np.inf)
    return columns, predictions


def _largest(block: Array, n: int) -> tuple[Array, Array]:
    """Positions of the n largest entries of each row, in order (equal ones by position), and these entries."""
    least = np.partition(block, -n, axis=1)[:, -n, None]
    above, equal = block > least, block == least
    # Of those equal to the least one the first ones fill what is left.
    kept = above | (equal & (np.cumsum(equal, axis=1) <= n - above.sum(axis=1, keepdims=True)))
    found = np.nonzero(kept)[1].reshape(len(block), n)
    values = np.take_along_axis(block, found, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(values, order, axis=1)
