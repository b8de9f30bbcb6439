"""Columns of results, written to csv, tsv or parquet."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping

import numpy as np

from ..files import suffix, write_bytes
from .frames import make_table, write_parquet
from .numbers import number_text

FORMATS = ("csv", "tsv", "parquet")


def write_records(
    path: str | os.PathLike[str], columns: Mapping[str, np.ndarray], *, header: bool = True, overwrite: bool = False
) -> None:
    """A file with these columns, in the format that its name promises (parquet has a header in any case)."""
    if suffix(path) == "parquet":
        write_parquet(path, make_table(path, columns), overwrite=overwrite)
        return
    delimiter = "\t" if suffix(path) == "tsv" else ","
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows(zip(*(_texts(values) for values in columns.values()), strict=True))
    write_bytes(path, stream.getvalue().encode("utf-8", "surrogateescape"), overwrite=overwrite)


def _texts(values: np.ndarray) -> list:
    if values.dtype.kind == "f":
        return [number_text(value, ".", delimiter="\t") for value in values.tolist()]
    return values.tolist()
