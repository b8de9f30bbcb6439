"""Columns of data frames of pandas, polars and pyarrow, and parquet files through pyarrow or polars.

None of them is imported before a frame of its own, or a parquet file, is at hand.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..files import FileError, check_source, reason, replacing
from ..limits import check_size, max_bytes_of

Array = np.ndarray

# After which the reading of a parquet file is given up.
_LONGEST_SECONDS = 600
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
        found = values.cast("float64").to_numpy(zero_copy_only=False) if good else None
    if found is None:
        dtype = values.type if kind == "pyarrow" else values.dtype
        raise TypeError(f"column {name!r} holds {dtype}, not numbers: convert it first")
    return np.array(found, np.float64)


def read_parquet(path: str | os.PathLike[str], max_bytes: int | None = None) -> Any:
    """The table of a parquet file, of pyarrow or else of polars; read by a process that may die of it."""
    library = _parquet_library(path).__name__.partition(".")[0]
    check_source(path)
    with tempfile.TemporaryDirectory() as folder:
        stream = os.path.join(folder, "table.arrows")
        _convert(path, library, stream, max_bytes)
        try:
            if library == "polars":
                return importlib.import_module("polars").read_ipc_stream(stream)
            pa = importlib.import_module("pyarrow")
            with pa.OSFile(stream) as source:
                return pa.ipc.open_stream(source).read_all()
        except Exception as error:  # each library has exceptions of its own
            raise FileError(f"{path} cannot be read as parquet: {reason(error)}") from error


def _convert(path: str | os.PathLike[str], library: str, stream: str, max_bytes: int | None) -> None:
    """Have the file written as an Arrow stream; FileError where that fails, however it does."""
    child = Path(__file__).with_name("parquet_child.py")
    limit = max_bytes_of(max_bytes, path)
    # -P: the modules beside the program are not those of the standard library that are called like them.
    command = [sys.executable, "-P", str(child), library, os.path.abspath(path), stream, str(limit)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=_LONGEST_SECONDS
        )
        answer = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise FileError(f"{path} cannot be read as parquet: it took more than {_LONGEST_SECONDS} s") from error
    except (ValueError, IndexError) as error:
        raise FileError(f"{path} cannot be read as parquet: its reader died of it (code {done.returncode})") from error
    if "too_large" in answer:
        check_size(path, answer["too_large"], limit)
    if "done" not in answer:
        raise FileError(f"{path} cannot be read as parquet: {reason(ValueError(answer.get('error', '')))}")


def with_column(frame: Any, name: str, values: Array) -> Any:
    """A parquet table with a column replaced: in its own floating type, or as float64."""
    if _library(frame) == "polars":
        pl = importlib.import_module("polars")
        dtype = frame[name].dtype if frame[name].dtype.is_float() else pl.Float64
        return frame.with_columns(pl.Series(name, values).cast(dtype))
    pa = importlib.import_module("pyarrow")
    old = frame.schema.field(name).type
    new = pa.array(values, old if pa.types.is_floating(old) else pa.float64())
    return frame.set_column(frame.column_names.index(name), name, new)


def make_table(path: str | os.PathLike[str], columns: Mapping[str, Array]) -> Any:
    """A table of pyarrow or else of polars, for a parquet file."""
    library = _parquet_library(path)
    if library.__name__ == "polars":
        return library.DataFrame({name: values.tolist() for name, values in columns.items()})
    return importlib.import_module("pyarrow").table(
        {name: values.tolist() if values.dtype == object else values for name, values in columns.items()}
    )


def write_parquet(path: str | os.PathLike[str], table: Any, *, overwrite: bool = False) -> None:
    """A parquet file, written whole or not at all."""
    library = _parquet_library(path)
    with replacing(path, overwrite=overwrite) as temporary:
        if library.__name__ == "polars":
            table.write_parquet(temporary)
        else:
            library.write_table(table, temporary)


def _library(frame: Any) -> str:
    """The library of a frame, or of the class that its own is derived from; empty if it is none."""
    kinds = (f"{base.__module__.partition('.')[0]} {base.__name__}" for base in type(frame).__mro__)
    return next((kind.partition(" ")[0] for kind in kinds if kind in _FRAMES), "")


def _parquet_library(path: str | os.PathLike[str]) -> ModuleType:
    for name in ("pyarrow.parquet", "polars"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ImportError(f"{path}: parquet needs pyarrow or polars, none is installed: pip install 'advnmf[ratings]'")
