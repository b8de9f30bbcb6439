"""Lines of a text table, cut into cells that keep their text, and the sign between the cells found out.

The sign is one of ``; tab | , ::``, any other that is told, or a blank for white space of any length.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from ..files import FileError
from .numbers import is_marker, is_signed_number, unquote

__all__ = ["BLANK", "check_delimiter", "cut", "find_delimiter", "join", "quoted", "replaced"]

#: The delimiter that stands for white space of any length.
BLANK = " "
# Signs that stand within no number come first; then the comma, and white space.
_SURE = (";", "\t", "|", "::")
_TOKEN = re.compile(r'"[^"]*"(?=\s|\Z)|\'[^\']*\'(?=\s|\Z)|\S+')
_TWO_NUMBERS = re.compile(r"\s*[+-]?[\d.]+\s+[+-]?[\d.]+\s*")
# Lines by which the delimiter is judged, at the beginning and at the end of a file.
_FIRST, _LAST = 400, 100
# Characters of these lines: a few wide ones tell as much.
_ENOUGH = 100_000


def cut(line: str, sign: str) -> list[str]:
    """The raw cells of a line without its end, quotes and blanks included."""
    if sign == BLANK:
        return line.split() if '"' not in line and "'" not in line else _TOKEN.findall(line)
    if '"' not in line:
        return line.split(sign)
    cells = line.split(sign)
    # Where every quote encloses a whole piece, no sign stands within quotes.
    if all(cell[:1] != '"' or (len(cell) > 1 and cell[-1] == '"') for cell in cells):
        return cells
    return [found[1] for found in _matches(line, sign)]


def replaced(line: str, sign: str, texts: Mapping[int, str]) -> str:
    """A line with other texts in some of its cells, all else as it was."""
    if sign != BLANK:
        cells = cut(line, sign)
        for at, text in texts.items():
            cells[at] = text
        return sign.join(cells)
    spans = [found.span() for found in _TOKEN.finditer(line)]
    pieces, at = [], 0
    for k, (start, end) in enumerate(spans):
        gap, cell = line[at:start], line[start:end]
        if k in texts:
            gap, cell = _aligned(gap, texts[k], end - start), texts[k]
        pieces += [gap, cell]
        at = end
    return "".join([*pieces, line[at:]])


def _aligned(gap: str, text: str, width: int) -> str:
    """The blanks before a cell that gets another text, so that its end stays where it was if there is room."""
    longer = len(text) - width
    if longer < 0:
        return gap + " " * -longer if len(gap) > 1 and gap.isspace() and "\t" not in gap else gap
    spare = len(gap) - len(gap.rstrip(" ")) - 1
    return gap[: len(gap) - min(longer, spare)] if spare > 0 else gap


def join(cells: Iterable[str], sign: str) -> str:
    """A line of raw cells, quoted where they hold the sign."""
    return sign.join(quoted(cell, sign) for cell in cells)


def quoted(raw: str, sign: str) -> str:
    """A raw cell for a file with this delimiter."""
    if sign == BLANK:
        return raw if raw and not re.search(r"\s", raw) else f'"{unquote(raw)}"'
    if sign in raw and not raw.startswith('"'):
        return '"' + raw.replace('"', '""') + '"'
    return raw


def opens_quote(line: str, sign: str) -> bool:
    """Whether a quoted cell begins in a line and does not end in it."""
    if line.count('"') % 2 == 0 or sign == BLANK:
        return False
    for found in _matches(line, sign):
        if found[1].startswith('"') and not re.match(r'"[^"]*(?:""[^"]*)*"', found[1]):
            return True
    return False


def _matches(line: str, sign: str) -> list[re.Match[str]]:
    found = list(_cell(sign).finditer(line))
    # After the last sign there is one more cell; the empty match at the end is one only then.
    return found if len(found) < 2 or found[-2][2] else found[:-1]


@cache
def _cell(sign: str) -> re.Pattern[str]:
    end = rf"({re.escape(sign)}|\Z)"
    rest = f"[^{re.escape(sign)}]*" if len(sign) == 1 else ".*?"
    return re.compile(rf'("[^"]*(?:""[^"]*)*"{rest}|{rest}){end}', re.DOTALL)


def check_delimiter(path: str | os.PathLike[str], delimiter: str, decimal: str = ".") -> None:
    """FileError where cells and numbers could not be told apart with this delimiter and decimal sign."""
    if decimal not in (".", ","):
        raise FileError(f"the decimal sign must be '.' or ',', not {decimal!r}")
    if (len(delimiter) != 1 and delimiter != "::") or delimiter in '"\r\n.' or delimiter.isalnum():
        raise FileError(f"{path}: {delimiter!r} cannot be a delimiter")
    if delimiter == decimal:
        raise FileError(f"{path}: {delimiter!r} cannot be both delimiter and decimal sign")


def find_delimiter(lines: Sequence[str]) -> str:
    """The sign that cuts the most lines in a row into equally many cells, numbers among them.

    Of several the one comes first that stands within no number; a comma is not it where it leaves pairs of numbers
    with a blank between them (1,5 2,5).
    """
    lines = [line for line in lines if line.strip()]
    few = max(10, _ENOUGH // (1 + max(map(len, lines[:_FIRST]), default=0)))
    first, last = min(_FIRST, few), min(_LAST, few // 4)
    lines = [*lines[:first], *lines[-last:]] if len(lines) > first + last else lines
    runs = {sign: _longest_run(lines, sign) for sign in (*_SURE, ",", BLANK)}
    longest = max(map(len, runs.values()))
    least = 1 if len(lines) == 1 else 2
    runs = {sign: run for sign, run in runs.items() if least <= len(run) and 2 * len(run) >= longest}
    numeric = {sign: _numeric_columns([cut(line, sign) for line in run]) for sign, run in runs.items()}
    for sign in _SURE:
        if numeric.get(sign):
            return sign
    if numeric.get(",") and not (numeric.get(BLANK) and _leaves_pairs(runs[","])):
        return ","
    if numeric.get(BLANK, 0) > 1:
        return BLANK
    return next((sign for sign in (*_SURE, ",") if sign in runs), ",")


def _longest_run(lines: list[str], sign: str) -> list[str]:
    """The most lines in a row that are cut into the same number of cells, which is more than one."""
    widths = [len(cut(line, sign)) for line in lines]
    best, start = (0, 0), 0
    for i in range(1, len(widths) + 1):
        if i == len(widths) or widths[i] != widths[start]:
            if widths[start] > 1:
                best = max(best, (i - start, -start))
            start = i
    return lines[-best[1] :][: best[0]]


def _numeric_columns(rows: list[list[str]]) -> int:
    """How many columns have numbers in most of their rows, the first row apart."""
    below = rows[1:] or rows
    counts = Counter(k for row in below for k, cell in enumerate(row) if _numeric(cell))
    empty = Counter(k for row in below for k, cell in enumerate(row) if _missing(cell))
    return sum(1 for k, count in counts.items() if 2 * count > len(below) - empty[k])


def _numeric(raw: str) -> bool:
    return is_signed_number(unquote(raw).strip())


def _missing(raw: str) -> bool:
    text = unquote(raw).strip()
    return not text or text.lower() in ("na", "nan", "null", "n/a") or is_marker(raw)


def _leaves_pairs(lines: list[str]) -> bool:
    """Whether cells that a comma cuts off hold two numbers with a blank between them, in most lines."""
    pairs = sum(any(map(_TWO_NUMBERS.fullmatch, cut(line, ","))) for line in lines)
    return 2 * pairs > len(lines)
