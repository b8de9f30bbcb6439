"""Results as what can be handed on: a page that needs nothing else, a table a target, a picture a figure."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from ..io.files import FileError, reason, require, write_bytes
from .collecting import Study, collect
from .figures import DRAWINGS
from .page import Picture, make_page
from .store import read_rows
from .summaries import Cell

__all__ = ["write_report"]

PAGE = "index.html"
_DPI = 110
_PLACE = ("target", "dataset", "fraction", "mask", "protocol", "method")
_RESULTS = ("n_runs", "rmse_mean", "rmse_std", "mae_mean", "mae_std", "seconds_mean")


def write_report(
    folder: str | os.PathLike[str], out: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> list[Path]:
    """Make a report from the rows of a folder; nothing is computed again.

    Parameters
    ----------
    folder : path
        Where `Store` kept its rows.
    out : path, optional
        Folder of the report, made if need be; "report" within `folder` unless given.
    overwrite : bool, default=False
        Whether ``out`` may hold files: those of the same names are replaced, others left alone.

    Returns
    -------
    list of Path
        The files: "index.html", then a .csv for each target and a .png for each figure.

    Raises
    ------
    FileError
        If there are no rows, or they cannot be read, or ``out`` is in the way.
    """
    folder, out = Path(folder), Path(folder, "report") if out is None else Path(out)
    rows = read_rows(folder)
    if not rows:
        raise FileError(f"{folder} holds no results yet: its rows are made by advnmf reproduce")
    _make_folder(out, overwrite)
    studies = collect(rows)
    pictures = {study.name: _pictures(study, folder) for study in studies}
    contents = {f"{study.name}.csv": _table(study).encode() for study in studies}
    for each in pictures.values():
        contents |= {picture.file: picture.png for picture in each if picture.png}
    unknown = sorted({row.target for row in rows} - {study.name for study in studies})
    contents = {PAGE: make_page(studies, pictures, unknown).encode(), **contents}
    for name, content in contents.items():
        write_bytes(out / name, content, overwrite=overwrite)
    return [out / name for name in contents]


def _make_folder(out: Path, overwrite: bool) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not overwrite and any(out.iterdir()):
            raise FileError(f"{out} exists and is not empty: choose another folder, or replace what is there (--force)")
    except OSError as error:
        raise FileError(f"{out} cannot take a report: {reason(error)}") from error


def _pictures(study: Study, folder: Path) -> list[Picture]:
    """One for each protocol, or why there is none."""
    drawing = DRAWINGS.get(study.name)
    if drawing is None:
        return []
    pictures = []
    for protocol in study.protocols:
        png, missing = b"", ""
        try:
            png = _drawn(study, protocol, folder)
        except (FileError, ValueError) as error:  # rows that were copied without their arrays, or made up
            missing = reason(error)
        file, title = f"{study.name}-{protocol}.png", f"{study.target.title}, {protocol}"
        pictures.append(Picture(file, protocol, title, drawing.caption, png, missing))
    return pictures


def _drawn(study: Study, protocol: str, folder: Path) -> bytes:
    if not any(row.protocol == protocol and study.target.plans(row) for row in study.rows):
        raise FileError("none of its rows is of its own data, cases and methods")
    return _png(DRAWINGS[study.name].draw(study, protocol, str(folder)))


def _png(figure: Any) -> bytes:
    """A picture of 256 colours: a fraction of the size, and all that lines, maps and grey faces need."""
    image = require("PIL.Image", "plot")
    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", dpi=_DPI)
    with image.open(full) as picture:
        picture.convert("RGB").quantize(256, dither=image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def _table(study: Study) -> str:
    """A line for each cell that has rows."""
    points = dict.fromkeys(name for cell in study.cells for name in cell.point)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_PLACE, *map(_no_formula, points), "quick", *_RESULTS, "printed_mean", "printed_std", "agrees"])
    writer.writerows(_line(cell, list(points)) for cell in study.cells)
    return stream.getvalue()


def _line(cell: Cell, points: list[str]) -> list[Any]:
    printed = (cell.printed.mean, cell.printed.std) if cell.printed else (None, None)
    place = [getattr(cell, name) for name in _PLACE] + [cell.point.get(name) for name in points]
    return [*map(_no_formula, place), cell.quick, *(getattr(cell, name) for name in _RESULTS), *printed, cell.agrees]


def _no_formula(value: Any) -> Any:
    """Text that a spreadsheet would compute begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
