"""Rows of several runs brought together, beside what was printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .printed import Printed, printed_at
from .rows import Row

__all__ = ["Cell", "summarise"]

#: What counts as agreement with a printed mean: so many printed deviations, or this share of it.
DEVIATIONS, SHARE = 3, 0.03


@dataclass(frozen=True)
class Cell:
    """The runs of one setup: means and sample deviations over them, and the printed figure if there is one.

    ``setup`` is the same for rows that differ in their seed alone.  Where a heading has rows of several setups, made
    with other settings or another version, each is a cell of its own, and only the last one written is ``latest``.
    """

    target: str
    dataset: str
    fraction: float
    mask: str
    method: str
    protocol: str
    quick: bool
    setup: str
    latest: bool
    settings: Mapping[str, Any]
    point: Mapping[str, Any]
    n_runs: int
    rmse_mean: float
    rmse_std: float
    mae_mean: float
    mae_std: float
    seconds_mean: float
    printed: Printed | None

    @property
    def agrees(self) -> bool | None:
        """Whether the mean is within the larger of 3 printed deviations and 3 %; None where nothing was printed."""
        if self.printed is None:
            return None
        tolerance = max(DEVIATIONS * (self.printed.std or 0.0), SHARE * self.printed.mean)
        return abs(self.rmse_mean - self.printed.mean) <= tolerance


def summarise(rows: Iterable[Row]) -> list[Cell]:
    """The cells of some rows, in the order of the rows."""
    groups: dict[tuple[Any, ...], dict[str, list[Row]]] = {}
    for row in rows:
        place = (*row.heading, row.dataset, row.fraction, row.mask)
        groups.setdefault(place, {}).setdefault(row.setup, []).append(row)
    return [
        _cell(same, latest=same is list(setups.values())[-1]) for setups in groups.values() for same in setups.values()
    ]


def _cell(rows: list[Row], latest: bool) -> Cell:
    first = rows[0]
    rmse, mae = ([getattr(row, name) for row in rows] for name in ("rmse", "mae"))
    return Cell(
        first.target,
        first.dataset,
        first.fraction,
        first.mask,
        first.method,
        first.protocol,
        first.quick,
        first.setup,
        latest,
        first.settings,
        first.point,
        len(rows),
        float(np.mean(rmse)),
        _deviation(rmse),
        float(np.mean(mae)),
        _deviation(mae),
        float(np.mean([row.seconds for row in rows])),
        printed_at(first.target, first.dataset, first.method, first.fraction, first.mask),
    )


def _deviation(values: list[float]) -> float:
    """The sample deviation; 0 of a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
