"""A parquet or feather file as an Arrow stream, by a process of its own.

    columns_child.py LIBRARY FORMAT FILE STREAM MAX_BYTES

Such a file is taken apart by compiled code, which a damaged file can crash and a small one can make allocate
gigabytes. That happens here, where it harms nobody: this process has a limit of memory, and what it writes is checked.
It imports nothing of the package. One line of JSON on standard output says what became of it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

_BATCH = 1 << 16
# Bytes that a row of (user, item, rating) takes beside those of the table, while its labels are numbered and sorted.
_PER_ROW = 96


class TooLarge(Exception):
    """The table has more bytes than are allowed."""


def main(library: str, kind: str, file: str, stream: str, max_bytes: int) -> dict[str, Any]:
    """Convert; the answer to be printed."""
    try:
        if library == "polars":
            _by_polars(kind, file, stream, max_bytes)
        elif kind == "parquet":
            _by_pyarrow(file, stream, max_bytes)
        else:
            _feather_by_pyarrow(file, stream, max_bytes)
    except TooLarge as error:
        return {"too_large": error.args[0]}
    except BaseException as error:  # the panics of polars are no Exception
        return {"error": f"{type(error).__name__}: {error}"[:2000]}
    return {"done": True}


def _by_pyarrow(file: str, stream: str, max_bytes: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = pq.ParquetFile(file)
    schema = source.schema_arrow
    others = source.metadata.num_rows * _PER_ROW
    _check(others + source.metadata.num_rows * sum(map(_width, schema.types)), max_bytes)
    groups = range(source.metadata.num_row_groups)
    _check(sum(source.metadata.row_group(k).total_byte_size for k in groups), max_bytes)
    n_bytes = 0
    with pa.OSFile(stream, "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in source.iter_batches(_BATCH):
            batch.validate(full=True)
            n_bytes += batch.nbytes
            _check(others + n_bytes, max_bytes)
            writer.write_batch(batch)


def _feather_by_pyarrow(file: str, stream: str, max_bytes: int) -> None:
    import pyarrow as pa
    import pyarrow.feather as feather

    with open(file, "rb") as source:
        first_version = source.read(4) == b"FEA1"
    if first_version:
        whole = feather.read_table(file, memory_map=False)
        schema, batches = whole.schema, whole.to_batches(_BATCH)
    else:
        reader = pa.ipc.open_file(file)
        schema = reader.schema
        batches = (reader.get_batch(k) for k in range(reader.num_record_batches))
    n_bytes = 0
    with pa.OSFile(stream, "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            batch.validate(full=True)
            n_bytes += batch.nbytes + batch.num_rows * _PER_ROW
            _check(n_bytes, max_bytes)
            writer.write_batch(batch)


def _width(kind: Any) -> int:
    """The least bytes of a value."""
    try:
        return max(kind.bit_width // 8, 1)
    except ValueError:  # text has no width
        return 4


def _by_polars(kind: str, file: str, stream: str, max_bytes: int) -> None:
    import polars as pl

    lazy = pl.scan_parquet(file) if kind == "parquet" else pl.scan_ipc(file)
    rows = int(lazy.select(pl.len()).collect().item())
    _check(rows * (_PER_ROW + 4 * len(lazy.collect_schema())), max_bytes)
    frame = lazy.collect()
    _check(rows * _PER_ROW + int(frame.estimated_size()), max_bytes)
    frame.write_ipc_stream(stream)


def _check(n_bytes: int, max_bytes: int) -> None:
    if n_bytes > max_bytes:
        raise TooLarge(n_bytes)


if __name__ == "__main__":
    library, kind, file, stream, max_bytes = sys.argv[1:]
    print(json.dumps(main(library, kind, file, stream, int(max_bytes))))
