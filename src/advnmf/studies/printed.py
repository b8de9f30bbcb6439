"""The figures that the studies print."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

__all__ = ["Printed", "printed_at", "printed_values"]

_TABLES = "rmse_tables_2_to_8.csv"
_SLIDES = "atnmf_slides_synthetic.csv"
_PICTURES = "rmse_table_9.csv"
# The study shows its three masks without saying how they were made; these are the like of them.
_PICTURE_MASKS = {"rand": "random50", "small": "text_small", "large": "text_large"}


@dataclass(frozen=True)
class Printed:
    """A printed root mean square error over missing entries; the deviation is over random starts (table9: unknown)."""

    target: str
    dataset: str
    method: str
    mean: float
    fraction: float | None = None
    mask: str | None = None
    std: float | None = None


@functools.cache
def printed_values(target: str) -> Mapping[tuple[str, str, float | str], Printed]:
    """What the studies print for "table2" ... "table9" and "slides": {(data set, method, fraction or mask): figure}.

    Empty for other targets: of figures no numbers were printed.
    """
    if target == "slides":
        found = [_by_fraction("slides", row) for row in _read(_SLIDES)]
    elif target == "table9":
        found = [_by_mask(row) for row in _read(_PICTURES)]
    else:
        found = [_by_fraction(target, row) for row in _read(_TABLES) if row["table"] == target]
    return {(value.dataset, value.method, value.mask or value.fraction): value for value in found}


def printed_at(target: str, dataset: str, method: str, fraction: float, mask: str) -> Printed | None:
    """What was printed for a place, if anything was."""
    values = printed_values(target)
    return values.get((dataset, method, fraction)) or values.get((dataset, method, mask))


def _by_fraction(target: str, row: dict[str, str]) -> Printed:
    return Printed(
        target,
        row["dataset"],
        row["method"],
        float(row["rmse_mean"]),
        fraction=float(row["missing_fraction"]),
        std=float(row["rmse_std"]),
    )


def _by_mask(row: dict[str, str]) -> Printed:
    mask = _PICTURE_MASKS[row["mask"]]
    return Printed("table9", row["image"], row["method"], float(row["rmse_mean"]), mask=mask)


def _read(name: str) -> list[dict[str, str]]:
    with resources.files(__package__).joinpath("printed", name).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
