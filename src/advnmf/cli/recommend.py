"""`advnmf recommend`: the best items for each user."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import rich_click as click

from ..io.files import FileError
from ..io.tables.records import write_records
from ..io.triplets import Triplets
from .fitting_ratings import RatingsFit, fit_ratings
from .held_out import check_recommendations
from .options import Settings, file_option, max_memory_option, rating_options
from .progress import note
from .rating_files import Columns, ColumnsType, check_records_target, open_ratings, places

# Ratings that are checked unasked, and the seconds and the share of --time-limit that this may take.
_MOST_CHECKED, _CHECK_SECONDS, _CHECK_SHARE = 1_000_000, 10.0, 0.2


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@file_option(
    "--triplets",
    type=ColumnsType(),
    required=True,
    help="The columns of IN: names, or numbers from 1 (1,2,3) for a text file without header.",
)
@file_option(
    "-n", "count", type=click.IntRange(min=1), metavar="N", default=10, show_default=True, help="Items for each user."
)
@file_option(
    "--users",
    metavar="A,B,...",
    help="These users only; quote a label that has a comma: '\"Doe, J\",B'. [default: all]",
)
@file_option(
    "--by",
    type=click.Choice(["lower-bound", "prediction", "expected-hits"]),
    default="lower-bound",
    show_default=True,
    help="What items are ranked by: a lower bound of the rating, which is low where an item has few ratings; the "
    "prediction alone; or the probability that a user rates the item at all, and that with --liked or more.",
)
@file_option(
    "--liked", type=float, metavar="X", help="From this rating on an item is liked. [default: the mean rating]"
)
@file_option(
    "--min-ratings",
    type=click.IntRange(min=0),
    metavar="N",
    default=1,
    show_default=True,
    help="Leave out items with fewer ratings.",
)
@file_option(
    "--check/--no-check",
    default=None,
    help="Fit once more without a fifth of the ratings, and tell how many of those are found again. "
    f"[default: where it takes no more than {_CHECK_SECONDS:g} seconds]",
)
@file_option("--na", multiple=True, metavar="TEXT", help="A further marker of missing ratings; repeatable.")
@file_option("--delimiter", metavar="CHAR", help="What separates the cells of IN. [default: found out]")
@file_option("--decimal", type=click.Choice([".", ","]), default=".", show_default=True, help="The decimal sign of IN.")
@max_memory_option
@rating_options
def recommend(
    source: str,
    target: str,
    triplets: Columns,
    count: int,
    users: str | None,
    by: str,
    liked: float | None,
    min_ratings: int,
    check: bool | None,
    na: tuple[str, ...],
    delimiter: str | None,
    decimal: str,
    max_memory: int | None,
    settings: Settings,
    force: bool,
    quiet: bool,
) -> int:
    """Write the best items for the users of IN, of those that they have not rated.

    IN: a table of ratings with a column each of users, items and ratings: csv, tsv, parquet. OUT: csv, tsv or parquet
    with the columns USER, rank, ITEM, RATING, best first; the rating is predicted, within the range of those in IN. It
    need not fall from rank to rank: of two items with the same prediction the better known one is the safer choice.

    The model is chosen by held-out ratings, as by advnmf complete --triplets; with --rank or another option that fixes
    the model it is NMF with offsets of users and items. A user who has rated all items gets none.

    Ctrl-C ends the fit, writes OUT with what the model has by then, and exits with 130.
    """
    format_ = {"na": na, "delimiter": delimiter, "decimal": decimal, "max_bytes": max_memory}
    ratings = open_ratings(source, triplets, quiet, **format_)
    check_records_target(target, ratings.triplets.users, ratings.triplets.items, overwrite=force)
    table = ratings.triplets
    rows = np.arange(len(table.users)) if users is None else _rows(table, users, source)
    fit = fit_ratings(table, settings, quiet)
    ranking: dict[str, Any] = {"by": by.replace("-", "_"), "min_ratings": min_ratings}
    liked = None if liked is None else liked / fit.scale
    threshold = liked if by == "expected-hits" else None
    columns, predictions = fit.model.recommend(rows, count, exclude_seen=table.matrix[rows], liked=threshold, **ranking)
    found = columns >= 0
    user, item, rating = ratings.names
    result = {
        user: np.repeat(table.users[rows], found.sum(axis=1)),
        "place" if "rank" in ratings.names else "rank": np.ones_like(columns).cumsum(axis=1)[found],
        item: table.items[columns[found]],
        rating: fit.in_units(predictions[found]),
    }
    write_records(target, result, header=ratings.header, overwrite=force)
    note(f"{fit.summary}; wrote {target}", quiet)
    if fit.interrupted:
        return 130
    if check or (check is None and not quiet and table.matrix.nnz <= _MOST_CHECKED):
        return _check(table, fit, count, ranking, liked, settings, asked=bool(check))
    return 0


def _check(
    table: Triplets,
    fit: RatingsFit,
    count: int,
    ranking: dict[str, Any],
    liked: float | None,
    settings: Settings,
    *,
    asked: bool,
) -> int:
    """One line on hits among held-out ratings; the exit code."""
    limit = np.inf if settings.time_limit is None else _CHECK_SHARE * settings.time_limit
    try:
        found = check_recommendations(
            fit.model,
            table.matrix / fit.scale,
            count,
            liked=liked,
            seed=settings.seed,
            seconds=None if asked else min(_CHECK_SECONDS, limit),
            **ranking,
        )
    except KeyboardInterrupt:
        note("interrupted in the check on held-out ratings; the recommendations are written", False)
        return 130
    if found is not None:
        note(found.describe(count, fit.scale), False)
    elif asked:
        note("too few ratings to hold any out for a check", False)
    return 0


def _rows(table: Triplets, users: str, path: str) -> np.ndarray:
    """The rows of the users with these labels."""
    labels = next(csv.reader([users]), [])
    rows = places(table.users, labels)
    unknown = [label for label, row in zip(labels, rows, strict=True) if row < 0]
    if unknown or not labels:
        raise FileError(f"{path}: there is no user {', '.join(map(repr, unknown)) or repr(users)} (--users)")
    return rows
