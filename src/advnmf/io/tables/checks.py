"""Whether what a table holds can be completed, and what looks like marks of missing cells."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from ..files import FileError
from .codes import Code, find_codes, is_noise
from .table import Table

__all__ = ["check_table"]


def check_table(table: Table, *, allow_negative: bool = False, allow_codes: bool = False) -> None:
    """FileError where nothing is observed, or where an observed entry is no measured, nonnegative, finite number.

    Numbers that look like marks of missing cells (nearly all of what is negative is -999, or 9999 stands far above the
    rest of a column) are refused unless `allow_codes`: as values they would spoil a fit, and as zeros, too.
    """
    values = table.values
    if table.missing.all():
        raise FileError(f"{table.path}: all {values.size} values are missing")
    if np.isinf(values).any():
        _refuse_values(table, np.isinf(values), "infinite", "--na inf --na -inf takes them for missing")
    codes = [] if allow_codes else find_codes(values)
    if codes:
        raise FileError(f"{table.path}: {_about_codes(table, codes)}")
    if not allow_negative and (values < 0).any():
        _refuse_values(table, values < 0, "negative", _about_negative(table))


def _refuse_values(table: Table, wrong: np.ndarray, word: str, cure: str) -> NoReturn:
    i, j = np.argwhere(wrong)[0]
    raise FileError(
        f"{table.path}: {word} value {table.values[i, j]:g} at {table.place(i, j)} "
        f"({np.count_nonzero(wrong)} in all); observed values must be finite and not negative ({cure})"
    )


def _about_codes(table: Table, codes: list[Code]) -> str:
    """What looks like marks of missing cells, and the options that say so."""
    first = codes[0]
    sign = "negative " if first.value < 0 else ""
    far = "" if first.largest is None else f", far above all else in its column (at most {first.largest:g}),"
    options = " ".join(f"--na {code.text}" for code in codes[:6])
    return (
        f"{sign}value {first.text} at {table.place(*first.where)} ({first.count} in all){far} looks like a mark of "
        f"missing cells: say {options}, or --keep-codes if it was measured"
    )


def _about_negative(table: Table) -> str:
    """What can be done about negative values: noise around zero, or data of either sign."""
    if is_noise(table.values):
        return "--clip-negative takes them for 0 in the fit"
    columns = np.flatnonzero((table.values < 0).any(axis=0))
    alone = ""
    if table.text is not None and len(columns) < table.values.shape[1]:
        places = ",".join(str(table.text.columns[j] + 1) for j in columns[:12])
        alone = f"; --ignore-columns {places} leaves such columns alone" if len(columns) <= 12 else ""
    return f"too far below 0 for noise: --model hqasd takes data of either sign{alone}"
