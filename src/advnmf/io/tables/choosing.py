"""Which columns of a table are completed: those told, else all of numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence

from ...data.columns import Kind
from ..files import FileError
from .columns import Column, shown
from .numbers import text_of

__all__ = ["choose"]


def choose(
    path: str | os.PathLike[str],
    columns: Sequence[Column],
    told: Iterable[str | int],
    ignored: Iterable[str | int],
    place: Callable[[int, int], str],
) -> list[Column]:
    """The columns to be completed; FileError where one is not of numbers. `place` says where a cell stands."""
    ignored = set(_places(path, columns, ignored))
    told = list(told)
    if told:
        there = set(_places(path, columns, told)) - ignored
        chosen = [column for column in columns if column.at in there]
    else:
        chosen = [c for c in columns if c.kind in (Kind.NUMBERS, Kind.MIXED) and c.at not in ignored]
        # Where there is nothing else, what seems to count is what there is.
        chosen = chosen or [c for c in columns if c.by_pattern and c.kind is Kind.IDENTIFIERS and c.at not in ignored]
    if not chosen and all(column.kind is Kind.EMPTY for column in columns):
        raise FileError(f"{path}: all {len(columns) * len(columns[0].values)} values are missing")
    if not chosen:
        found = ", ".join(f"{column.label} ({column.kind})" for column in columns[:6])
        more = ", ..." if len(columns) > 6 else ""
        able = [c for c in columns if c.kind not in (Kind.TEXT, Kind.EMPTY) and not c.texts]
        cure = f"; --columns {able[0].at + 1} completes {able[0].label} all the same" if able and not told else ""
        raise FileError(f"{path}: there is no column of numbers: {found}{more}{cure}")
    for column in chosen:
        if column.kind is Kind.EMPTY:
            raise FileError(
                f"{path}: {column.label} has no number in it, nothing can be learnt for it: leave it out of --columns"
            )
    wrong = [column for column in chosen if column.texts]
    if wrong:
        raise _not_a_number(path, min(wrong, key=lambda column: (min(column.texts), column.at)), place)
    return chosen


def _places(path: str | os.PathLike[str], columns: Sequence[Column], told: Iterable[str | int]) -> list[int]:
    """Places, from 0, of columns that are told by name or number from 1, in text with commas and ranges such as 3-7."""
    names = [column.name for column in columns]
    found = []
    for one in told:
        parts = [str(one).strip()] if isinstance(one, int) or one.strip() in names else one.split(",")
        for part in map(str.strip, parts):
            found += [names.index(part)] if names.count(part) == 1 else _range(path, columns, part)
    return found


def _range(path: str | os.PathLike[str], columns: Sequence[Column], part: str) -> list[int]:
    """Places of the columns that "4" or "3-7" numbers from 1."""
    if [column.name for column in columns].count(part) > 1:
        raise FileError(f"{path}: there are several columns {shown(part)}: give them by number")
    number = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
    first, last = (int(number[1]), int(number[2] or number[1])) if number else (0, 0)
    if not 1 <= first <= last <= len(columns):
        there = ", ".join(column.label for column in columns[:12])
        raise FileError(f"{path}: there is no column {shown(part)}; there are {len(columns)}: {there}")
    return list(range(first - 1, last))


def _not_a_number(path: str | os.PathLike[str], column: Column, place: Callable[[int, int], str]) -> FileError:
    row = min(column.texts)
    text = text_of(column.texts[row])
    different = list(dict.fromkeys(text_of(column.texts[i]) for i in sorted(column.texts)))
    marks = " ".join(f"--na {shown(mark)}" for mark in different[:6])
    what = "the cell" if len(different) == 1 else "such cells"
    hint = f"--ignore-columns {column.at + 1} leaves the column alone, {marks} takes {what} for missing"
    if column.at == 0:
        hint = f"a column of labels: --index-columns 1; {hint}"
    return FileError(f"{path}: {place(row, column.at)} is not a number: {shown(text)} ({hint})")
