"""Ratings of films."""

from __future__ import annotations

import zipfile

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch

from ..io.files import FileError, reason
from .fetching import fetch, local

_SHAPE = (943, 1682)
_N_RATINGS = {"base": 80000, "test": 20000}
_DESCR = """MovieLens 100K, fold {fold} of the five that come with it: ratings from 1 to 5 that 943 users gave
to 1682 films, 80000 to learn from and 20000 to test. What a matrix does not store is missing, not zero.
Source: GroupLens, University of Minnesota, https://grouplens.org/datasets/movielens/100k/ (for research; not to
be redistributed without permission, nor to be used commercially)."""


def fetch_movielens_100k(*, fold: int = 1) -> Bunch:
    """MovieLens 100K: ratings of 943 users (rows) for 1682 films (columns).

    Parameters
    ----------
    fold : 1, 2, 3, 4 or 5
        Which of the five released splits.

    Returns
    -------
    Bunch
        ``X``, the 80000 ratings to learn from, and ``X_test``, the other 20000: sparse CSR arrays in which an absent
        entry is missing, so fit with ``sparse_missing="absent"``; ``train`` and ``test``, the same as triplets (users,
        films, ratings) counted from 0, in the order of the files; ``masks`` (empty); ``DESCR``.
    """
    if fold not in range(1, 6):
        raise ValueError(f"fold must be 1, 2, 3, 4 or 5, not {fold!r}")
    train, test = (_triplets(fold, part) for part in ("base", "test"))
    return Bunch(
        X=_matrix(train), X_test=_matrix(test), train=train, test=test, masks={}, DESCR=_DESCR.format(fold=fold)
    )


def _triplets(fold: int, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, films and ratings of a file with lines of user, film, rating, time, numbered from 1."""
    name = f"u{fold}.{part}"
    # People keep the files of the archive, whose SHA-256 are not published.
    source = local(f"ratings/{name}")
    if source is not None:
        content = source.read_bytes()
    else:
        source = fetch("ratings/ml-100k.zip")
        with zipfile.ZipFile(source) as archive:
            content = archive.read(f"ml-100k/{name}")
    try:
        users, films, ratings, _ = np.array(content.split(), dtype=np.int64).reshape(-1, 4).T
    except ValueError as error:
        raise FileError(f"{source}: {name} has lines other than user, film, rating, time ({reason(error)})") from error
    if len(ratings) != _N_RATINGS[part]:
        raise FileError(f"{source}: {name} has {len(ratings)} ratings; {_N_RATINGS[part]} were expected")
    return users - 1, films - 1, ratings.astype(np.float64)


def _matrix(triplets: tuple[np.ndarray, np.ndarray, np.ndarray]) -> sparse.csr_array:
    users, films, ratings = triplets
    return sparse.csr_array((ratings, (users, films)), shape=_SHAPE)
