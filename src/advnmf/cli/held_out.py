"""The quality of recommendations: hits among held-out ratings, beside those of two rankings without a model."""

from __future__ import annotations

import copy
import time
import warnings
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from .. import NMF, AutoNMF
from ..metrics import ndcg_at_k, precision_at_k
from ..models.base import DataWarning
from ..models.ranking import best_columns

Array = np.ndarray

# One in this number of ratings of a user is held out.
_SHARE = 5
# With fewer users who have a held-out hit, the figures would be chance.
_FEWEST_USERS = 10
# Means of items are drawn to the mean of all ratings as if they had so many more ratings, each of that mean.
_PRIOR_RATINGS = 20


@dataclass(frozen=True)
class Hits:
    """Mean precision and NDCG over the users who have a held-out hit."""

    precision: float
    ndcg: float

    def __str__(self) -> str:
        return f"{self.precision:.3f} and {self.ndcg:.3f}"


@dataclass(frozen=True)
class Check:
    """Hits of the model, of the most rated items, and of the items of the best means."""

    model: Hits
    most_rated: Hits
    best_means: Hits
    n_held_out: int
    liked: float

    def describe(self, n: int, scale: float) -> str:
        """In one line; `scale` brings the ratings back to the user's."""
        return (
            f"a check on {self.n_held_out} held-out ratings, a hit is {self.liked * scale:.3g} or more: "
            f"precision and NDCG at {n} {self.model}; most rated items {self.most_rated}; "
            f"best means, shrunken by {_PRIOR_RATINGS} ratings, {self.best_means}"
        )


def check_recommendations(
    model: NMF | AutoNMF,
    X: sparse.csr_array,
    n: int,
    *,
    liked: float | None,
    seed: int,
    seconds: float | None,
    by: str,
    min_ratings: int,
) -> Check | None:
    """A fifth of each user's ratings is held out, the model fitted again to the others with the settings that it has.

    None where there are too few ratings to say anything, or the fit takes more than so many seconds.  The settings
    were chosen by all ratings, so the figures of the model flatter it a little.
    """
    train, held_out = split(X, np.random.default_rng(seed))
    liked = float(X.data.mean()) if liked is None else liked
    n_users = len(np.unique(held_out.nonzero()[0][held_out.data >= liked]))
    if n_users < _FEWEST_USERS:
        return None
    again = refitted(model, train, seconds)
    if again is None:
        return None

    def hits(columns: Array) -> Hits:
        return Hits(
            precision_at_k(held_out, columns, liked=liked),
            ndcg_at_k(held_out, columns, liked=liked),
        )

    threshold = liked if by == "expected_hits" else None
    columns, _ = again.recommend(n=n, exclude_seen=train, by=by, min_ratings=min_ratings, liked=threshold)
    counts = np.bincount(train.indices, minlength=X.shape[1])
    means = (train.sum(axis=0) + _PRIOR_RATINGS * train.data.mean()) / (counts + _PRIOR_RATINGS)
    most_rated, best_means = (hits(_same_for_all(scores, train, n)) for scores in (counts, means))
    return Check(hits(columns), most_rated, best_means, held_out.nnz, liked)


def split(X: sparse.csr_array, rng: np.random.Generator) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Ratings to learn from, and one in five of each row, at random, that are held out."""
    entries = X.tocoo()
    order = np.lexsort((rng.random(X.nnz), entries.row))
    place = np.arange(X.nnz) - X.indptr[entries.row[order]]
    held_out = np.zeros(X.nnz, bool)
    held_out[order] = place < np.diff(X.indptr)[entries.row[order]] // _SHARE

    def part(kept: Array) -> sparse.csr_array:
        return sparse.csr_array((entries.data[kept], (entries.row[kept], entries.col[kept])), shape=X.shape)

    return part(~held_out), part(held_out)


def refitted(model: NMF | AutoNMF, X: sparse.csr_array, seconds: float | None) -> NMF | AutoNMF | None:
    """A model of the same settings, fitted to other data; None if that takes longer."""
    if not isinstance(model, AutoNMF):
        return _fitted(model, X, seconds)
    fits, end = [], time.monotonic() + (np.inf if seconds is None else seconds)
    # The search ends its fits where the held-out error is lowest, not where they converge.
    n_sweeps = max(1, *(n_iter for _, _, n_iter, _, averaged in model.candidates_ if averaged))
    for each in model.models_:
        fit = _fitted(each, X, None if seconds is None else max(end - time.monotonic(), 0.01), max_iter=n_sweeps)
        if fit is None:
            return None
        fits.append(fit)
    again = copy.copy(model)
    again.models_ = fits
    return again


def _fitted(model: NMF, X: sparse.csr_array, seconds: float | None, **settings: object) -> NMF | None:
    fit = clone(model).set_params(callback=None, verbose=0, time_limit=seconds, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit.fit(X)
    return None if fit.stop_reason_ == "time_limit" else fit


def _same_for_all(scores: Array, seen: sparse.csr_array, n: int) -> Array:
    """The best columns by scores that are the same for all rows, without what a row has seen."""

    def ranked(rows: Array) -> tuple[Array, Array]:
        block = np.tile(scores.astype(np.float64), (len(rows), 1))
        return block, block

    n_rows, n_columns = seen.shape
    return best_columns(ranked, n_rows, n_columns, n, seen)[0]
