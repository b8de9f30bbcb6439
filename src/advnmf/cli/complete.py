"""`advnmf complete`: fill the holes of a table."""

from __future__ import annotations

import os
from typing import cast

import numpy as np
import rich_click as click

from ..io.files import FileError, check_target
from ..io.tables import (
    Decimals,
    Table,
    all_missing,
    bounds_missing,
    check_table,
    check_table_target,
    like_triplets,
    read_table,
    write_table,
)
from .fitting import Fit, fit
from .options import AUTO, AUTO_SECONDS, BLEND, Settings, file_option, max_memory_option, table_model_options
from .progress import note
from .rating_files import Columns, ColumnsType, fill_ratings, open_ratings, predict_pairs, read_pairs
from .reading import describe
from .table_page import write_page
from .telling import column_names, tell_errors, tell_yardsticks


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", default="")
@file_option(
    "--header/--no-header",
    default=None,
    help="Whether the first row of a text table names the columns. [default: see above]",
)
@file_option(
    "--index-columns",
    type=click.IntRange(min=0),
    metavar="N",
    help="How many leading columns are labels. [default: see above]",
)
@file_option(
    "--columns",
    multiple=True,
    metavar="COLUMNS",
    help="Complete these columns of a text table and leave all others alone: names, or numbers from 1, with commas "
    "(2-5,temp); repeatable. [default: all of numbers, see above]",
)
@file_option(
    "--ignore-columns", multiple=True, metavar="COLUMNS", help="Leave these columns alone, given as for --columns."
)
@file_option("--na", multiple=True, metavar="TEXT", help="A further marker of missing cells, such as -999; repeatable.")
@file_option(
    "--keep-codes", is_flag=True, help="Take numbers that look like marks of missing cells (-999, 9999) for measured."
)
@file_option(
    "--delimiter",
    metavar="CHAR",
    help="What separates the cells of IN, and of OUT (with --triplets: of IN and FILE); a blank is white space. "
    "[default: the first of ; tab | :: , and white space that cuts the lines alike]",
)
@file_option(
    "--decimal",
    type=click.Choice([".", ","]),
    help="The decimal sign of a text table. [default: what its cells tell, mostly .]",
)
@file_option(
    "--thousands",
    metavar="CHAR",
    help="What separates thousands in a text table. [default: what its cells tell, mostly nothing]",
)
@file_option(
    "--skip-rows",
    type=click.IntRange(min=0),
    metavar="N",
    help="Lines at the beginning of a text table that are no part of it. [default: what its lines tell]",
)
@file_option(
    "--comment",
    metavar="CHAR",
    help="What comments of a text table begin with. [default: # % // or ! if some lines begin with it]",
)
@file_option(
    "--decimals",
    default="auto",
    metavar="N",
    help="Decimals of the filled cells of a text table: a number, auto (as many as the column has, none among "
    "integers) or full. [default: auto]",
)
@file_option("--key", metavar="NAME", help="The array or sheet to complete, where a file holds several.")
@file_option(
    "--unstored",
    type=click.Choice(["missing", "zero"]),
    help="What a sparse matrix does not store. [default: zero where it stores NaN and in h5ad files, else missing]",
)
@file_option("--dry-run", is_flag=True, help="Say what IN was read as and what is missing, and write nothing.")
@file_option(
    "--std",
    metavar="OUT2",
    help="Write the standard deviations of the filled cells to OUT2, a table like OUT with 0 for what was observed.",
)
@file_option(
    "--report",
    metavar="PAGE",
    help="Write a page (html, one file): what is missing, how far off filled cells are, and which are least sure.",
)
@file_option(
    "--scale-columns",
    is_flag=True,
    help="Give all columns the same weight in the fit: for columns in different units.",
)
@file_option(
    "--clip-negative",
    is_flag=True,
    help="Take negative values for 0 in the fit, such as reflectances that noise has put below 0.",
)
@file_option(
    "--fill-censored",
    is_flag=True,
    help="Fill cells that give a bound, too (<0.05 below a limit of detection, >200), by estimates that it allows. "
    "[default: they stay as they are, and the fit knows the bound]",
)
@file_option(
    "--triplets",
    type=ColumnsType(),
    help="IN is a table of ratings with these columns: names, or numbers from 1 (1,2,3) for a text file without "
    "header. Fills the empty ratings.",
)
@file_option(
    "--pairs",
    metavar="FILE",
    help="With --triplets: OUT gets the predicted ratings of the pairs that FILE lists in its columns USER and ITEM.",
)
@max_memory_option
@table_model_options
def complete(
    source: str,
    target: str,
    header: bool | None,
    index_columns: int | None,
    na: tuple[str, ...],
    delimiter: str | None,
    decimal: str | None,
    thousands: str | None,
    columns: tuple[str, ...],
    ignore_columns: tuple[str, ...],
    skip_rows: int | None,
    comment: str | None,
    decimals: str,
    key: str | None,
    unstored: str | None,
    std: str | None,
    report: str | None,
    dry_run: bool,
    scale_columns: bool,
    clip_negative: bool,
    keep_codes: bool,
    fill_censored: bool,
    triplets: Columns | None,
    pairs: str | None,
    max_memory: int | None,
    settings: Settings,
    force: bool,
    quiet: bool,
) -> int:
    """Fill the holes of the table IN and write it to OUT.

    Files: text of any extension (csv, tsv, white space; UTF-8, UTF-16 and older encodings), xlsx, parquet, feather,
    npy, npz, mat, HDF5 (h5, h5ad), Matrix Market (mtx), hdr; as they are or packed (gz, bz2, xz, zip); - is standard
    input or output. The name of OUT tells its format. NaN is missing, in text tables also cells that are empty, NA, N/A
    or null, and ? - . * ND None and the like in a column of numbers. Lines of preamble, comments, units and footers are
    passed over, and told; --dry-run only tells.

    A hyperspectral cube in ENVI files (cube.hdr beside cube.img or the like) is completed as the table of its
    pixels and bands. Its data ignore value is missing; bands that the header calls bad (bbl) take no part and come
    back as they are. OUT can be hdr, npy, npz or mat, lines x samples x bands.

    Cells such as <0.05 or >200 among numbers give bounds: the fit knows that the value lies below or above.

    What was observed comes back as it was: text cells as the very same text, arrays with their type and
    the other arrays of their file, cubes with their type and header.

    The first row of a text table is a header if it has text, and no number, above columns of numbers, or if its first
    cell is empty above a column of labels; it is none if no cell is text. Where that does not tell, say --header or
    --no-header. Columns of text, dates, times and identifiers (row numbers, integers that only grow, names such as id
    or year) and empty ones are left alone wherever they stand, which is told; --columns and --ignore-columns overrule.

    Values that are held out for it tell, within --time-limit seconds, what fills the holes: a blend of nearest
    neighbours, regressions, forests and NMF, whatever the units of the columns. With --rank or any other option that
    fixes the model there is nothing to search for: one fit of NMF, or of the --model named (of numbers from 0 on).

    Ratings (--triplets; csv, tsv, parquet): the same with offsets of users and items. Predictions lie within the range
    of the ratings; users and items without any take the average one. A pair rated several times counts with its mean.

    Ctrl-C ends the fit, writes OUT with what the model has by then, and exits with 130.
    """
    if not target and not dry_run:
        raise click.UsageError("OUT is missing: name the file to write, or - for standard output")
    if triplets is not None:
        flags = {"scale-columns": scale_columns, "clip-negative": clip_negative, "keep-codes": keep_codes}
        flags |= {"fill-censored": fill_censored}
        lists = {"columns": columns, "ignore-columns": ignore_columns}
        _refuse({"header": header, "index-columns": index_columns, "key": key, "thousands": thousands})
        _refuse({"skip-rows": skip_rows, "comment": comment, "unstored": unstored, "dry-run": dry_run or None})
        _refuse({"std": std, "report": report})
        _refuse({name: value or None for name, value in {**flags, **lists}.items()})
        format_ = {"na": na, "delimiter": delimiter, "decimal": decimal or ".", "max_bytes": max_memory}
        ratings = open_ratings(source, triplets, quiet, **format_)
        if pairs is None:
            return fill_ratings(ratings, target, settings, force, quiet)
        return predict_pairs(
            ratings, read_pairs(pairs, triplets, delimiter, max_memory), target, settings, force, quiet
        )
    if pairs is not None:
        raise click.UsageError("--pairs goes with --triplets USER,ITEM,RATING")
    digits = _decimals(decimals)
    table = read_table(
        source,
        key=key,
        header=header,
        index_columns=index_columns,
        na=na,
        delimiter=delimiter,
        decimal=decimal,
        thousands=thousands,
        columns=columns,
        ignore_columns=ignore_columns,
        skip_rows=skip_rows or 0,
        comment=comment,
        unstored=unstored,
        max_bytes=max_memory,
    )
    settings = settings.for_table(cube=table.cube is not None, scale_columns=scale_columns)
    for option, path in (("std", std), ("report", report)):
        if path is not None:
            _check_further(option, path, target, table, settings)
    if std is not None:
        check_table_target(std, table, delimiter=delimiter, overwrite=force)
    if report is not None:
        check_target(report, overwrite=force)
    if dry_run:
        for line in describe(table):
            note(line, quiet)
    check_table(table, allow_negative=clip_negative or settings.signed, allow_codes=keep_codes)
    if not columns and (names := like_triplets(table)):
        raise FileError(
            f"{source} looks like a list of values with the labels of their rows and columns: say --triplets "
            f"{','.join(names)}, or --columns {names[2]} for that column by itself"
        )
    if dry_run:
        return 0
    check_table_target(target, table, delimiter=delimiter, overwrite=force)
    for line in describe(table):
        note(line, quiet)
    to_fill = bounds_missing(table) if fill_censored else table
    if not to_fill.missing.any():
        write_table(target, table, delimiter=delimiter, overwrite=force)
        note(f"nothing is missing: {target} is a copy", quiet)
        return 0
    X = table.values.astype(np.float64)
    if clip_negative:
        np.maximum(X, 0.0, out=X)
    result = fit(X, settings, places=table.places, censored=table.censored, scale_columns=scale_columns, quiet=quiet)
    write_table(target, to_fill, result.values, delimiter=delimiter, decimals=digits, overwrite=force)
    note(f"{result.summary}; wrote {target}", quiet)
    told = [line for line in (tell_errors(result, table), _yardsticks(result, settings)) if line]
    for line in told:
        note(line, quiet)
    if std is not None:
        write_table(std, all_missing(table), result.std(), delimiter=delimiter, overwrite=force)
        note(f"wrote {std}: standard deviations, 0 for observed cells", quiet)
    if report is not None:
        lines = [*describe(table), result.summary, *told]
        write_page(report, table, column_names(table), result, lines, overwrite=force)
        note(f"wrote {report}", quiet)
    return 130 if result.interrupted else 0


def _decimals(text: str) -> Decimals:
    if text in ("auto", "full"):
        return cast(Decimals, text)
    if not text.isdecimal() or int(text) > 15:
        raise click.UsageError(f"--decimals {text!r}: say auto, full or a number from 0 to 15")
    return int(text)


def _refuse(table_options: dict[str, object]) -> None:
    """UsageError for options that have no meaning for ratings."""
    given = [name for name, value in table_options.items() if value is not None]
    if given:
        raise click.UsageError(f"--{given[0]} has no meaning with --triplets")


def _check_further(option: str, path: str, target: str, table: Table, settings: Settings) -> None:
    """Refuse `--std` and `--report` where nothing is known of errors, or the file is OUT as well."""
    if settings.model not in (AUTO, BLEND):
        raise click.UsageError(f"--{option} needs held-out values: leave out what fixes the model ({settings.model})")
    if table.cube is not None:
        raise click.UsageError(f"--{option} is for tables, not for cubes: leave it out")
    if os.path.abspath(path) == os.path.abspath(target):
        raise click.UsageError(f"--{option} {path} is OUT as well: give it another name")


def _yardsticks(result: Fit, settings: Settings) -> str:
    """How simpler methods do, in the time that is left."""
    limit = AUTO_SECONDS if settings.time_limit is None else settings.time_limit
    return tell_yardsticks(result, max(limit - result.seconds, 1.0), settings.seed)
