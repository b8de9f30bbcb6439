"""What a command says of the table that it has read."""

from __future__ import annotations

import numpy as np

from ..io.tables import Table

_MOST_NAMES = 6
_SKIPPED = {
    "preamble": "of preamble",
    "comments": "of comments",
    "units": "of units",
    "footer": "of footer",
    "empty rows": "without any cell filled, at the end",
}


def describe(table: Table) -> list[str]:
    """Short lines: what was read as what, what was left alone and why, what was skipped, what is missing."""
    lines = [f"read: {_size(table)}"]
    if alone := _left_alone(table):
        lines.append(alone)
    if table.skipped:
        told = ", ".join(_lines(count, _SKIPPED[what]) for what, count in table.skipped.items())
        lines.append(f"skipped: {told}; OUT has them as they are")
    if bounds := _bounds(table):
        lines.append(bounds)
    return [*lines, *table.notes, _missing(table)]


def _size(table: Table) -> str:
    rows, columns = table.values.shape
    if table.cube is not None:
        lines, samples, bands = table.cube.shape
        return f"{lines} lines x {samples} samples x {bands} bands, {bands - columns} of them bad"
    text = f"{rows} x {columns} values"
    if table.text is None:
        return f"{text} ({table.kind})"
    names = f"columns {_some(table.names)}" if table.names else "no header"
    return f"{text}, {names}"


def _left_alone(table: Table) -> str:
    """The columns that take no part, by kind; empty where all do."""
    kinds: dict[str, list[str]] = {}
    for column in table.left_alone:
        kinds.setdefault(column.kind, []).append(column.label)
    groups = [f"{_some(names)} ({kind})" for kind, names in kinds.items()]
    return f"left alone: {', '.join(groups)}; --columns and --ignore-columns overrule" if groups else ""


def _missing(table: Table) -> str:
    """How many values are missing, and in which columns most of them."""
    counts = np.count_nonzero(table.missing, axis=0)
    total = int(counts.sum())
    text = f"missing: {total} of {table.values.size} values ({total / table.values.size:.1%})"
    if table.text is not None and table.text.markers:
        text += f", {table.text.markers} of them by markers such as ? or -"
    if table.names and 0 < np.count_nonzero(counts) < len(counts):
        where = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        text += f": {_some([f'{table.names[j]} {counts[j]}' for j in where.tolist()])}"
    return text


def _bounds(table: Table) -> str:
    """How many cells give a bound, and in which columns; empty where none does."""
    if table.censored is None:
        return ""
    counts = np.count_nonzero(table.censored != "", axis=0)
    where = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    names = table.names or [f"column {j + 1}" for j in range(len(counts))]
    cells = _some([f"{names[j]} {counts[j]}" for j in where.tolist()])
    return f"bounds: {counts.sum()} cells such as <0.05 or >200: {cells}; --fill-censored writes estimates there"


def _lines(count: int, what: str) -> str:
    return f"{count} {'line' if count == 1 else 'lines'} {what}"


def _some(names: list[str] | tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
