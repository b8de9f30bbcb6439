"""`advnmf recommend`: the items that each user would rate highest."""

from __future__ import annotations

import csv

import numpy as np
import rich_click as click

from ..files import FileError
from ..tables.records import write_records
from ..triplets import Triplets
from .fitting_ratings import fit_ratings
from .options import Settings, rating_options
from .progress import note
from .ratings import Columns, ColumnsType, check_records_target, open_ratings, places


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@click.option(
    "--triplets",
    type=ColumnsType(),
    required=True,
    help="The columns of IN: names, or numbers from 1 (1,2,3) for a text file without header.",
)
@click.option(
    "-n", "count", type=click.IntRange(min=1), metavar="N", default=10, show_default=True, help="Items for each user."
)
@click.option(
    "--users",
    metavar="A,B,...",
    help="These users only; quote a label that has a comma: '\"Doe, J\",B'. [default: all]",
)
@click.option("--na", multiple=True, metavar="TEXT", help="A further marker of missing ratings; repeatable.")
@click.option("--delimiter", metavar="CHAR", help="What separates the cells of IN. [default: found out]")
@click.option(
    "--decimal", type=click.Choice([".", ","]), default=".", show_default=True, help="The decimal sign of IN."
)
@rating_options
def recommend(
    source: str,
    target: str,
    triplets: Columns,
    count: int,
    users: str | None,
    na: tuple[str, ...],
    delimiter: str | None,
    decimal: str,
    settings: Settings,
    force: bool,
    quiet: bool,
) -> int:
    """Write the items that the users of IN would rate highest, of those that they have not rated.

    IN: a table of ratings with a column each of users, items and ratings: csv, tsv, parquet. OUT: csv, tsv or parquet
    with the columns USER, rank, ITEM, RATING, best first; the rating is predicted, within the range of those in IN.

    The model is chosen by held-out ratings, as by advnmf complete --triplets; with --rank or another option that fixes
    the model it is NMF with offsets of users and items. A user who has rated all items gets none.

    Ctrl-C ends the fit, writes OUT with what the model has by then, and exits with 130.
    """
    ratings = open_ratings(source, triplets, quiet, na=na, delimiter=delimiter, decimal=decimal)
    check_records_target(target, ratings.triplets.users, ratings.triplets.items, overwrite=force)
    table = ratings.triplets
    rows = np.arange(len(table.users)) if users is None else _rows(table, users, source)
    fit = fit_ratings(table, settings, quiet)
    columns, predictions = fit.model.recommend(rows, count, exclude_seen=table.matrix[rows])
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
    return 130 if fit.interrupted else 0


def _rows(table: Triplets, users: str, path: str) -> np.ndarray:
    """The rows of the users with these labels."""
    labels = next(csv.reader([users]), [])
    rows = places(table.users, labels)
    unknown = [label for label, row in zip(labels, rows, strict=True) if row < 0]
    if unknown or not labels:
        raise FileError(f"{path}: there is no user {', '.join(map(repr, unknown)) or repr(users)} (--users)")
    return rows
