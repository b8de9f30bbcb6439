"""How much memory the unpacking of a file may take, and how that limit is raised.

A file of some kilobytes can unpack to gigabytes. What a compressed file says it unpacks to is therefore compared with
a limit before anything is unpacked, and no decoder is asked for more than that. Unless another limit is set, large
files may unpack to more than small ones: real data are seldom packed to a twentieth.
"""

from __future__ import annotations

import os
import re

from .files import FileError

__all__ = ["DEFAULT_BYTES", "DEFAULT_RATIO", "ENVIRONMENT", "check_size", "max_bytes_of", "parse_bytes", "size_text"]

#: Bytes that a file may unpack to unless told otherwise, and how many for each of its own.
DEFAULT_BYTES = 10**9
DEFAULT_RATIO = 20
#: The environment variable that sets another limit, such as ``8GB``.
ENVIRONMENT = "ADVNMF_MAX_MEMORY"

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def parse_bytes(text: str) -> int:
    """Bytes of ``"500MB"``, ``"8 GB"``, ``"1.5GiB"`` or a plain number; ValueError otherwise."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]{0,3})", text.strip())
    unit = found and _UNITS.get(found[2].upper())
    n_bytes = int(float(found[1]) * unit) if found and unit else 0
    if n_bytes < 1:
        raise ValueError(f"{text!r} is no size: give bytes or a unit, such as 500MB or 8GB")
    return n_bytes


def max_bytes_of(max_bytes: int | None, path: str | os.PathLike[str] | None = None) -> int:
    """The limit for a file: `max_bytes` itself, else that of the environment variable, else the default."""
    if max_bytes is not None:
        return max_bytes
    text = os.environ.get(ENVIRONMENT)
    try:
        if text:
            return parse_bytes(text)
    except ValueError as error:
        raise ValueError(f"the environment variable {ENVIRONMENT}: {error}") from None
    return max(DEFAULT_BYTES, DEFAULT_RATIO * os.path.getsize(path)) if path is not None else DEFAULT_BYTES


def check_size(path: str | os.PathLike[str], n_bytes: int, max_bytes: int | None = None) -> None:
    """FileError where a file unpacks to more than the limit."""
    limit = max_bytes_of(max_bytes, path if os.path.isfile(path) else None)
    if n_bytes > limit:
        raise FileError(
            f"{path} would take {size_text(n_bytes)} of memory unpacked, more than {size_text(limit)}: "
            "--max-memory (max_bytes=) raises this limit, where the file is trusted"
        )


def size_text(n_bytes: int) -> str:
    """``"2.9 GB"`` for a number of bytes."""
    if n_bytes >= 10**15:  # of a crafted file: it may have thousands of digits
        return "more than 1000 TB"
    for unit in ("TB", "GB", "MB", "kB"):
        if n_bytes >= _UNITS[unit.upper()]:
            return f"{n_bytes / _UNITS[unit.upper()]:.3g} {unit}"
    return f"{n_bytes} bytes"
