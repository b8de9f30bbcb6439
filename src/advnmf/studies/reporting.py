"""The report of a results folder: a page that needs no other file, a table for each experiment, the figures."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from ..inspection.pages import png
from ..io.files import FileError, reason, write_bytes
from .figures import DRAWINGS
from .folder import read_results
from .page import Picture, make_page
from .summaries import ExperimentResults, Summary, collect

__all__ = ["write_report"]

PAGE = "index.html"
# Columns of the tables: name and attribute.
_PLACE = {"target": "experiment"} | {name: name for name in ("dataset", "fraction", "mask", "protocol", "method")}
_RESULTS = ("n_runs", "rmse_mean", "rmse_std", "mae_mean", "mae_std", "seconds_mean")


def write_report(
    folder: str | os.PathLike[str], out: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> list[Path]:
    """Make a report from the results of a folder; nothing is computed again.

    Parameters
    ----------
    folder : path
        The folder of a `Store`.
    out : path, optional
        Folder of the report, made if need be; "report" within `folder` unless given.
    overwrite : bool, default=False
        Whether ``out`` may hold files: those of the same names are replaced, others left alone.

    Returns
    -------
    list of Path
        The files: "index.html", then a .csv for each experiment and a .png for each figure.

    Raises
    ------
    FileError
        If there are no results, they cannot be read, or ``out`` holds files.
    """
    folder, out = Path(folder), Path(folder, "report") if out is None else Path(out)
    results = read_results(folder)
    if not results:
        raise FileError(f"{folder} holds no results yet: its rows are made by advnmf reproduce")
    _make_folder(out, overwrite)
    experiments = collect(results)
    pictures = {each.name: _pictures(each, folder) for each in experiments}
    contents = {f"{each.name}.csv": _table(each).encode() for each in experiments}
    for each in pictures.values():
        contents |= {picture.file: picture.png for picture in each if picture.png}
    unknown = sorted({each.experiment for each in results} - pictures.keys())
    contents = {PAGE: make_page(experiments, pictures, unknown).encode(), **contents}
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


def _pictures(results: ExperimentResults, folder: Path) -> list[Picture]:
    """One for each protocol, or the reason why there is none."""
    drawing = DRAWINGS.get(results.name)
    if drawing is None:
        return []
    pictures = []
    for protocol in results.protocols:
        content, missing = b"", ""
        try:
            own = results.own(protocol)
            if not own.results:
                raise FileError("none of its rows is of its own data, cases and methods")
            content = png(drawing.draw(own, str(folder)))
        except (FileError, ValueError) as error:  # results without their arrays, or made up
            missing = reason(error)
        file, title = f"{results.name}-{protocol}.png", f"{results.experiment.title}, {protocol}"
        pictures.append(Picture(file, protocol, title, drawing.caption, content, missing))
    return pictures


def _table(results: ExperimentResults) -> str:
    """A line for each summary."""
    points = dict.fromkeys(name for each in results.summaries for name in each.point)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_PLACE, *map(_no_formula, points), "quick", *_RESULTS, "printed_mean", "printed_std", "agrees"])
    writer.writerows(_line(each, list(points)) for each in results.summaries)
    return stream.getvalue()


def _line(summary: Summary, points: list[str]) -> list[Any]:
    printed = (summary.printed.mean, summary.printed.std) if summary.printed else (None, None)
    place = [getattr(summary, name) for name in _PLACE.values()] + [summary.point.get(name) for name in points]
    numbers = [getattr(summary, name) for name in _RESULTS]
    return [*map(_no_formula, place), summary.quick, *numbers, *printed, summary.agrees]


def _no_formula(value: Any) -> Any:
    """Text that a spreadsheet would compute begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
