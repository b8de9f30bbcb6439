"""What a column of numbers is, by its name and its values: measured, or times, days and identifiers of the rows.

A column of numbers that only count or name the rows could be completed, and would spoil the fit of all others. What a
person sees at a glance is looked for, wherever the column stands; who reads the table is told, and can overrule it.
"""

from __future__ import annotations

import re
from enum import StrEnum

import numpy as np

__all__ = ["Kind", "are_calendar_days", "called_identifier", "is_counter", "kind_of_numbers"]

#: Rows from which on integers that only grow are taken for identifiers, whatever the column is called.
_ENOUGH_ROWS = 8
_IDS = frozenset(
    (
        *("id", "ids", "uid", "uuid", "guid", "key", "rowid", "rowname", "rownames", "row.names", "row names"),
        *("row name", "row", "row number", "row no", "row no.", "index", "idx", "unnamed: 0", "#", "record"),
        *("serial", "serial no", "seqn", "seq", "zip", "zipcode", "zip code", "postal code", "postcode", "fips"),
    )
)
#: Names that mean a number of the row if the numbers all differ, and else perhaps nitric oxide.
_NUMBERS = frozenset({"no", "no.", "nr", "nr.", "num", "number", "n°", "nº", "s.no", "s.no.", "sno", "sl no", "sl.no"})
_TIMES = frozenset(
    (
        *("date", "datetime", "date time", "timestamp", "time", "epoch", "period", "day of year", "doy"),
        *("yyyymm", "yearmonth"),
    )
)
#: Names of parts of a date, and the integers that these can be.
_PARTS = {"year": (0, 3000), "yr": (0, 3000), "month": (1, 12), "mon": (1, 12), "day": (1, 366), "week": (0, 53)}
_PARTS |= {"yyyy": (0, 3000), "yy": (0, 3000), "mo": (1, 12), "dy": (1, 366), "hh": (0, 24)}
_PARTS |= {"hour": (0, 24), "hr": (0, 24), "minute": (0, 60), "weekday": (0, 7), "quarter": (1, 4), "julian": (1, 366)}


class Kind(StrEnum):
    """What a column is."""

    NUMBERS = "numbers"
    TEXT = "text"
    DATES = "dates or times"
    IDENTIFIERS = "identifiers"
    LABELS = "labels"
    EMPTY = "empty"
    MIXED = "numbers and text"


def kind_of_numbers(name: str, values: np.ndarray, *, whole: bool = True) -> Kind:
    """NUMBERS, DATES, IDENTIFIERS or EMPTY: what a column of this name (empty if it has none) is by its values.

    Parameters
    ----------
    name : str
    values : float array
        NaN where missing.
    whole : bool
        Whether the numbers came as integers. What is written 1.0, 2.0, 3.0 may be measured, and is no counter.
    """
    there = values[~np.isnan(values)]
    if not len(there):
        return Kind.EMPTY
    if _is_time(name, there) or are_calendar_days(there):
        return Kind.DATES
    counted = whole and is_counter(values)
    return Kind.IDENTIFIERS if counted or _is_identifier(name, there, len(values)) else Kind.NUMBERS


def is_counter(values: np.ndarray) -> bool:
    """Whether a column of some length has integers, one in each row, that only grow: row numbers, keys, years."""
    if len(values) < _ENOUGH_ROWS or not (np.diff(values) > 0).all():  # NaN is not greater
        return False
    return bool(values[0] >= 0) and _are_integers(values)


def are_calendar_days(there: np.ndarray) -> bool:
    """Whether all numbers are days as YYYYMMDD, with or without hours and minutes."""
    if len(there) < 2 or not _are_integers(there):
        return False
    for digits in (14, 12, 10):  # YYYYMMDDhhmmss, ...hhmm, ...hh
        if (there >= 10 ** (digits - 1)).all() and (there < 10**digits).all():
            there = there // 10 ** (digits - 8)
            break
    year, month, day = there // 10**4, there // 100 % 100, there % 100
    ranges = ((year, 1500, 2300), (month, 1, 12), (day, 1, 31))
    return all(bool(((low <= part) & (part <= high)).all()) for part, low, high in ranges)


def called_identifier(name: str) -> bool:
    """Whether a name is that of identifiers: id, row.names, station_id, PatientID."""
    name = name.strip()
    plain = name.lower()
    return (
        plain in _IDS
        or bool(re.search(r"[_ .-](?:id|no|nr|code|key)$|^id[_ .-]", plain))
        or bool(re.search(r"[a-z](ID|Id)$", name))
    )


def _is_identifier(name: str, there: np.ndarray, n_rows: int) -> bool:
    """Whether a column of numbers is called an identifier, and can be one."""
    if not _are_integers(there):
        return False
    if called_identifier(name):
        return True
    return name.strip().lower() in _NUMBERS and len(np.unique(there)) == n_rows


def _is_time(name: str, there: np.ndarray) -> bool:
    """Whether a column of numbers is called a time or a part of a date, and can be one."""
    plain = re.sub(r"[_ ]+", " ", name.strip().lower())
    if plain in _PARTS:
        low, high = _PARTS[plain]
        return _are_integers(there) and bool(((low <= there) & (there <= high)).all())
    return plain in _TIMES and (_are_integers(there) or bool((np.diff(there) >= 0).all()))


def _are_integers(there: np.ndarray) -> bool:
    return bool(np.isfinite(there).all() and (there == np.rint(there)).all())
