"""What the commands do with files of ratings: open them, complete them, say what is odd about them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import rich_click as click

from ..io.files import FileError, check_target, suffix, write_bytes
from ..io.tables.columns import shown
from ..io.tables.frames import write_parquet
from ..io.tables.records import FORMATS, write_records
from ..io.triplets import Source, Triplets, read_source
from .fitting_ratings import fit_ratings
from .options import Settings
from .progress import note, warnings_as_notes

Array = np.ndarray
Columns = tuple[str, ...] | tuple[int, ...]


class ColumnsType(click.ParamType):
    """Three columns with commas: names, or numbers from 1."""

    name = "USER,ITEM,RATING"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Columns:
        """Three names, or three numbers."""
        if isinstance(value, tuple):
            return value
        parts = tuple(part.strip() for part in value.split(","))
        if len(parts) != 3 or len(set(parts)) != 3 or not all(parts):
            self.fail(
                f"{value!r} must be three columns with commas, user, item and rating: names, or numbers from 1 for a "
                "file without header",
                param,
                ctx,
            )
        return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else parts


def open_ratings(path: str, columns: Columns, quiet: bool, **format_: Any) -> Source:
    """A file of ratings, some of which there are; it is described in a note."""
    source = read_source(path, columns, **format_)
    triplets = source.triplets
    n_missing = int(np.count_nonzero(triplets.missing))
    if n_missing == len(triplets):
        raise FileError(f"{path}: all {n_missing} ratings are missing: there is nothing to learn from")
    note(
        f"{path}: {len(triplets) - n_missing} ratings of {len(triplets.users)} users and {len(triplets.items)} items, "
        f"{n_missing} missing",
        quiet,
    )
    with warnings_as_notes(quiet):
        _ = triplets.matrix  # says whether there are duplicates
    return source


def read_pairs(path: str, columns: Columns, delimiter: str | None, max_bytes: int | None = None) -> Source:
    """A file of pairs, with the first two of these columns."""
    return read_source(path, columns[:2], delimiter=delimiter, max_bytes=max_bytes)


def fill_ratings(source: Source, target: str, settings: Settings, force: bool, quiet: bool) -> int:
    """Write the file again with its missing ratings predicted; the exit code."""
    triplets = source.triplets
    if not triplets.missing.any():
        raise FileError(
            f"{source.path}: no {source.names[2]} is missing: name pairs to predict by --pairs FILE, "
            "or let advnmf recommend find the best items"
        )
    _check_copy_target(source, target, overwrite=force)
    note_unknown(triplets, triplets.row[triplets.missing], triplets.column[triplets.missing], quiet)
    fit = fit_ratings(triplets, settings, quiet)
    content = source.filled(fit.predict(triplets.row, triplets.column))
    if source.is_text:
        write_bytes(target, content, overwrite=force)
    else:
        write_parquet(target, content, overwrite=force)
    note(f"{fit.summary}; wrote {target}", quiet)
    return 130 if fit.interrupted else 0


def predict_pairs(source: Source, pairs: Source, target: str, settings: Settings, force: bool, quiet: bool) -> int:
    """Write the pairs with their predicted ratings; the exit code."""
    triplets, asked = source.triplets, pairs.triplets
    check_records_target(target, asked.users, asked.items, overwrite=force)
    row = places(triplets.users, asked.users)[asked.row]
    column = places(triplets.items, asked.items)[asked.column]
    note_unknown(triplets, row, column, quiet)
    fit = fit_ratings(triplets, settings, quiet)
    columns = asked.users[asked.row], asked.items[asked.column], fit.predict(row, column)
    write_records(target, dict(zip(source.names, columns, strict=True)), header=source.header, overwrite=force)
    note(f"{fit.summary}; wrote {target}", quiet)
    return 130 if fit.interrupted else 0


def check_records_target(path: str, *labels: Array, overwrite: bool) -> None:
    """FileError where `write_records` could not write this file, with these labels."""
    if suffix(path) not in FORMATS:
        raise FileError(f"{path}: the name must end in one of {', '.join('.' + name for name in FORMATS)}")
    if suffix(path) == "parquet":
        for label in itertools.chain(*(column.tolist() for column in labels)):
            if isinstance(label, str) and not label.isascii() and _is_undecoded(label):
                raise FileError(
                    f"{path}: label {shown(label)} is in an older encoding than UTF-8, which parquet cannot hold: "
                    "write a csv or tsv file, or convert the input to UTF-8"
                )
    check_target(path, overwrite=overwrite)


def _is_undecoded(label: str) -> bool:
    """Whether a label has bytes that were no UTF-8."""
    try:
        label.encode()
    except UnicodeEncodeError:
        return True
    return False


def places(known: Array, asked: Iterable) -> Array:
    """Where labels are among the known ones, -1 if nowhere; by their text: one file may hold 7, another "7"."""
    index = {str(label): n for n, label in enumerate(known.tolist())}
    return np.array([index.get(str(label), -1) for label in asked], np.int64)


def note_unknown(triplets: Triplets, row: Array, column: Array, quiet: bool) -> None:
    """One line if users or items that are to be predicted have no rating."""
    X = triplets.matrix
    counts = np.diff(X.indptr), np.bincount(X.indices, minlength=X.shape[1])
    unknown = [np.count_nonzero(np.append(n, 0)[asked] == 0) for n, asked in zip(counts, (row, column), strict=True)]
    if any(unknown):
        note(
            f"Warning: {unknown[0]} predictions are for a user and {unknown[1]} for an item without any rating: "
            "the average one stands in",
            quiet,
        )


def _check_copy_target(source: Source, target: str, *, overwrite: bool) -> None:
    """FileError where the file could not be written again under this name, all else as it was."""
    if source.is_text:
        sign = source.content.delimiter
        promised = {"csv": ",;", "tsv": "\t"}.get(suffix(target), sign)
        if suffix(target) == "parquet" or sign not in promised:
            words = {"\t": "tabs: name it .tsv"}.get(sign, f"{sign!r} between its cells: name it .csv")
            raise FileError(f"{target}: the file keeps its format, text with {words}")
    elif suffix(target) != "parquet":
        raise FileError(f"{target}: the file keeps its format: name it .parquet")
    check_target(target, overwrite=overwrite)
