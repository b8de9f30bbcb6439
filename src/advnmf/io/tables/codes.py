"""Numbers that mark missing cells, such as -999 or 9999, found before a fit takes them for values."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

#: Largest and smallest numbers of types, and fill values of file formats, which instruments and programs write.
_FILLS = (2**15 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 3.4028234663852886e38, 9.969209968386869e36)
# Share of the negative values that must be codes before these are taken for the cause.
_NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Code:
    """A number that looks like a mark of missing cells."""

    value: float
    count: int
    where: tuple[int, int]  # the first one
    largest: float | None = None  # of the others in its column, for one that is far above them

    @property
    def text(self) -> str:
        """The number as it is given to --na."""
        return repr(float(self.value)).removesuffix(".0")


def find_codes(values: np.ndarray) -> list[Code]:
    """Numbers of a matrix that look like marks: nearly all of what is negative, or far above the rest of a column."""
    negative = _negative_codes(values)
    named = {code.value for code in negative}
    return [*negative, *(code for code in _low_codes(values) if code.value not in named), *_high_codes(values)]


def is_noise(values: np.ndarray) -> bool:
    """Whether what is negative is small beside the rest of its column, as noise around zero is."""
    columns = values[:, (values < 0).any(axis=0)].astype(np.float64)
    return bool((-_highest(-columns) >= -0.1 * _highest(columns)).all())


def _negative_codes(values: np.ndarray) -> list[Code]:
    """Negative numbers that look like marks, and are nearly all that is negative or far off the rest of it."""
    negative = values[values < 0].astype(np.float64)
    if not negative.size:
        return []
    numbers, counts = np.unique(negative, return_counts=True)
    highest = max(float(_highest(values).max()), 0.0)
    few = np.argsort(-counts, kind="stable")[:8]
    marks = [k for k in few.tolist() if _is_mark(float(numbers[k]), int(counts[k]), counts[k] / negative.size, highest)]
    share = counts[marks].sum() / negative.size
    rest = np.abs(np.delete(numbers, marks)).max(initial=0.0)
    # Codes among noise around zero stand far from it; codes among values of either sign do not tell themselves apart.
    marks = [k for k in marks if share >= _NEARLY_ALL or -numbers[k] >= 10 * rest]
    return [_code(values, numbers[k]) for k in marks]


def _is_mark(value: float, count: int, share: float, highest: float) -> bool:
    if _written_like_a_mark(-value) or value == -1 or _is_round(-value):
        return value != -1 or count > 1
    repeated = count > 1 and -value > highest
    return repeated or (count >= 10 and share >= _NEARLY_ALL and -value >= 0.05 * highest)


def _low_codes(values: np.ndarray) -> list[Code]:
    """The smallest number of a column where it is written like a mark and far below the others, whatever their sign."""
    found: dict[float, Code] = {}
    for j, bottom in enumerate((-_highest(-values.astype(np.float64))).tolist()):
        if bottom in found or not _written_like_a_mark(-bottom):
            continue
        column = values[:, j]
        others = column[column > bottom]
        if len(others) < 2 or not np.isfinite(others).all():
            continue
        gap, spread = float(others.min()) - bottom, float(np.ptp(others))
        if gap >= (0.5 if len(column[column == bottom]) > 1 else 1) * spread > 0:
            found[bottom] = _code(values, bottom)
    return list(found.values())


def _high_codes(values: np.ndarray) -> list[Code]:
    """The largest number of a column where it is written like a mark and far above all others there."""
    found: dict[float, Code] = {}
    for j, top in enumerate(_highest(values).tolist()):
        if top in found or not _written_like_a_mark(top):
            continue
        column = values[:, j]
        others = column[column < top]
        count = np.count_nonzero(column == top)
        if len(others) and count >= (2 if top < 100 else 1) and top >= 4 * abs(float(others.max())):
            found[top] = _code(values, top, float(others.max()))
    return list(found.values())


def _highest(values: np.ndarray) -> np.ndarray:
    """The largest number of each column, -inf where there is none; np.nanmax trips over NaN of damaged files."""
    if values.dtype.kind != "f":
        return values.astype(np.float64).max(axis=0)
    return np.max(values, axis=0, where=~np.isnan(values), initial=-np.inf)


def _code(values: np.ndarray, value: float, largest: float | None = None) -> Code:
    hits = values == value
    i, j = np.unravel_index(int(np.argmax(hits)), hits.shape)
    return Code(float(value), int(np.count_nonzero(hits)), (int(i), int(j)), largest)


def _written_like_a_mark(value: float) -> bool:
    """Whether a positive number is of equal digits 7, 8 or 9 (99, 999.9), a limit of a type, or a fill value."""
    if not np.isfinite(value) or value < 1:
        return False
    digits = np.format_float_positional(value, trim="-").replace(".", "") if value < 1e12 else ""
    if re.fullmatch(r"7{3,}|8{3,}|9{2,}", digits):
        return True
    return value >= 1e19 or any(abs(value - fill) <= 1e-6 * fill for fill in _FILLS)


def _is_round(value: float) -> bool:
    """100, 200, 1000: one digit and at least two zeros."""
    return value >= 100 and re.fullmatch(r"[1-9]0{2,}", f"{value:.0f}") is not None and value == round(value)
