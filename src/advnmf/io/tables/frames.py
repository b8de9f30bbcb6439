"""Columns of data frames of pandas, polars and pyarrow, and parquet and feather files through pyarrow or polars.

None of them is imported before a frame of its own, or a parquet file, is at hand.
"""

from __future__ import annotations

import importlib
import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..files import FileError, check_source, reason, replacing
from ..limits import check_size, max_bytes_of
from .children import ask_child

Array = np.ndarray

_FRAMES = ("pandas DataFrame", "polars DataFrame", "pyarrow Table")


def column_names(frame: Any) -> list:
    """The names of the columns; TypeError where it is no data frame."""
    kind = _library(frame)
    if kind:
        return list(frame.column_names if kind == "pyarrow" else frame.columns)
    raise TypeError(
        f"frame must be a data frame of pandas or polars or a table of pyarrow, got {type(frame).__name__}"
        + (": collect() it first" if type(frame).__name__ == "LazyFrame" else "")
    )


def encode(frame: Any, name: object) -> tuple[Array, Array]:
    """A column as numbers of its different values, -1 where missing; and these values, as they first appear."""
    kind = _library(frame)
    if not len(frame):
        return np.zeros(0, np.int64), np.zeros(0, object)
    if kind == "pandas":
        codes, labels = importlib.import_module("pandas").factorize(frame[name])
        return np.asarray(codes, np.int64), np.asarray(labels)
    if kind == "polars":
        pl = importlib.import_module("polars")
        values = frame[name]
        values = values.cast(pl.String) if values.dtype in (pl.Categorical, pl.Enum) else values
        labels = values.drop_nulls().unique(maintain_order=True)
        numbers = pl.Series(np.arange(len(labels)))
        codes = values.replace_strict(labels, numbers, default=None, return_dtype=pl.Int64)
        return codes.fill_null(-1).to_numpy(), labels.to_numpy()
    pa = importlib.import_module("pyarrow")
    values = frame[name]
    values = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    values = values.unify_dictionaries().combine_chunks()
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    codes = values.indices.cast("int64").fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, values.dictionary.to_numpy(zero_copy_only=False)


def numbers(frame: Any, name: object) -> Array:
    """A column as float64, NaN where missing; TypeError where it does not hold numbers."""
    kind, values = _library(frame), frame[name]
    if kind == "pandas":
        types = importlib.import_module("pandas.api.types")
        good = types.is_numeric_dtype(values.dtype) and not types.is_bool_dtype(values.dtype)
        found = values.to_numpy(np.float64, na_value=np.nan) if good else None
    elif kind == "polars":
        good = values.dtype.is_numeric() or values.is_null().all()
        found = values.cast(importlib.import_module("polars").Float64).to_numpy() if good else None
    else:
        types = importlib.import_module("pyarrow").types
        good = any(getattr(types, f"is_{what}")(values.type) for what in ("integer", "floating", "decimal", "null"))
        found = values.cast("float64", safe=False).to_numpy(zero_copy_only=False) if good else None
    if found is None:
        dtype = values.type if kind == "pyarrow" else values.dtype
        raise TypeError(f"column {name!r} holds {dtype}, not numbers: convert it first")
    return np.array(found, np.float64)


def read_parquet(path: str | os.PathLike[str], max_bytes: int | None = None) -> Any:
    """The table of a parquet file, of pyarrow or else of polars; read by a process that may die of it."""
    columns_library(path)
    check_source(path)
    return read_columns(path, "parquet", max_bytes_of(max_bytes, path))


def read_columns(path: str | os.PathLike[str], kind: str, limit: int, data: bytes | None = None) -> Any:
    """The table of a parquet or feather file, or of what it has been unpacked to (`data`)."""
    library = columns_library(path).__name__.partition(".")[0]
    with tempfile.TemporaryDirectory() as folder:
        stream = os.path.join(folder, "table.arrows")
        file = Path(path)
        if data is not None:
            file = Path(folder) / f"table.{kind}"
            file.write_bytes(data)
        _convert(path, file, kind, library, stream, limit)
        try:
            if library == "polars":
                return importlib.import_module("polars").read_ipc_stream(stream)
            pa = importlib.import_module("pyarrow")
            with pa.OSFile(stream) as source:
                return pa.ipc.open_stream(source).read_all()
        except Exception as error:  # each library has exceptions of its own
            raise FileError(f"{path} cannot be read as {kind}: {reason(error)}") from error


def _convert(path: str | os.PathLike[str], file: Path, kind: str, library: str, stream: str, limit: int) -> None:
    """Have the file written as an Arrow stream; FileError where that fails, however it does."""
    arguments = [library, kind, os.path.abspath(file), stream, str(limit)]
    answer = ask_child(path, "columns_child.py", arguments, kind, 2 * limit)
    if "too_large" in answer:
        check_size(path, answer["too_large"], limit)
    if "done" not in answer:
        raise FileError(f"{path} cannot be read as {kind}: {reason(ValueError(answer.get('error', '')))}")


def with_column(frame: Any, name: str, values: Array, at: int | None = None) -> Any:
    """A table with a column replaced (the one at place `at` of several): in its own floating type, or as it comes."""
    floats = values.dtype.kind == "f"
    if _library(frame) == "polars":
        pl = importlib.import_module("polars")
        old = frame[name].dtype
        return frame.with_columns(pl.Series(name, values).cast(old if old.is_float() or not floats else pl.Float64))
    pa = importlib.import_module("pyarrow")
    at = frame.column_names.index(name) if at is None else at
    field = frame.schema.field(at)
    old = field.type if pa.types.is_floating(field.type) or not floats else pa.float64()
    new = pa.array(values).cast(old)
    return frame.set_column(at, field.with_type(old), new)


def cells(frame: Any, at: int) -> list:
    """The values of a column of a pyarrow or polars table, None where missing."""
    column = frame[frame.columns[at]] if _library(frame) == "polars" else frame.column(at)
    return column.to_list() if _library(frame) == "polars" else column.to_pylist()


def integers(frame: Any, name: str) -> Array:
    """A column of integers in its own type, 0 where missing: nothing passes through floating point."""
    if _library(frame) == "polars":
        return frame[name].fill_null(0).to_numpy().copy()
    pa = importlib.import_module("pyarrow")
    column = frame[name].combine_chunks()
    return column.fill_null(pa.scalar(0, column.type)).to_numpy(zero_copy_only=False).copy()


def type_of(frame: Any, at: int) -> str:
    """What a column of a pyarrow or polars table holds: i integers, f other numbers, d dates or times, t text."""
    if _library(frame) == "polars":
        dtype = frame.dtypes[at]
        kinds = ((dtype.is_integer(), "i"), (dtype.is_numeric(), "f"), (dtype.is_temporal(), "d"))
    else:
        types, dtype = importlib.import_module("pyarrow").types, frame.schema.types[at]
        number = types.is_floating(dtype) or types.is_decimal(dtype) or types.is_null(dtype)
        kinds = ((types.is_integer(dtype), "i"), (number, "f"), (types.is_temporal(dtype), "d"))
    return next((letter for holds, letter in kinds if holds), "t")


def make_table(path: str | os.PathLike[str], columns: Mapping[str, Array]) -> Any:
    """A table of pyarrow or else of polars, for a parquet file."""
    library = columns_library(path)
    if library.__name__ == "polars":
        return library.DataFrame({name: values.tolist() for name, values in columns.items()})
    return importlib.import_module("pyarrow").table(
        {name: values.tolist() if values.dtype == object else values for name, values in columns.items()}
    )


def write_parquet(path: str | os.PathLike[str], table: Any, *, overwrite: bool = False) -> None:
    """A parquet file, written whole or not at all."""
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(rendered(table, "parquet"))


def rendered(table: Any, kind: str) -> bytes:
    """The bytes of a parquet or feather file with this table."""
    stream = io.BytesIO()
    if _library(table) == "polars":
        (table.write_parquet if kind == "parquet" else table.write_ipc)(stream)
    elif kind == "parquet":
        importlib.import_module("pyarrow.parquet").write_table(table, stream)
    else:
        importlib.import_module("pyarrow.feather").write_feather(table, stream)
    return stream.getvalue()


def _library(frame: Any) -> str:
    """The library of a frame, or of the class that its own is derived from; empty if it is none."""
    kinds = (f"{base.__module__.partition('.')[0]} {base.__name__}" for base in type(frame).__mro__)
    return next((kind.partition(" ")[0] for kind in kinds if kind in _FRAMES), "")


def columns_library(path: str | os.PathLike[str]) -> ModuleType:
    """pyarrow.parquet, or else polars; ImportError where neither is there."""
    for name in ("pyarrow.parquet", "polars"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ImportError(
        f"{path}: parquet and feather need pyarrow or polars, none is installed: pip install 'advnmf[ratings]'"
    )
