"""The rows of a folder sorted into studies: what a report tells, and where something is missing."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .printed import Printed, printed_at, printed_values
from .recipes import PROTOCOLS
from .rows import Row
from .summaries import Cell, summarise
from .targets import TARGETS, Target

__all__ = ["PRINT", "Case", "Study", "collect", "smallest"]

#: Stands among the protocols for what was printed.
PRINT = "print"

Case = tuple[float, str]


@dataclass(frozen=True)
class Study:
    """A target and the rows that tell of it: those made last of each place, quick ones only where there are no others.

    ``n_left_out`` counts the rest.
    """

    name: str
    target: Target
    rows: Sequence[Row]
    cells: Sequence[Cell]
    n_left_out: int

    @property
    def quick(self) -> bool:
        """Whether all that is there was made with few iterations."""
        return self.rows[0].quick

    @property
    def protocols(self) -> list[str]:
        """Those that have rows."""
        return [name for name in PROTOCOLS if any(cell.protocol == name for cell in self.cells)]

    @property
    def datasets(self) -> list[str]:
        """Those of the target, with rows or without, and any others that have rows."""
        return _merged(self.target.datasets, (cell.dataset for cell in self.cells))

    @property
    def methods(self) -> list[str]:
        """The same of methods."""
        return _merged((variant.name for variant in self.target.variants), (cell.method for cell in self.cells))

    @property
    def cases(self) -> list[Case]:
        """The same of (fraction, mask)."""
        return _merged(self.target.cases, ((cell.fraction, cell.mask) for cell in self.cells))

    def only(self, dataset: str, protocol: str) -> Study:
        """What there is of a data set under a protocol; others that have rows elsewhere are not told of."""
        cells = [cell for cell in self.cells if (cell.dataset, cell.protocol) == (dataset, protocol)]
        return replace(self, cells=cells)

    @property
    def has_print(self) -> bool:
        """Whether figures were printed."""
        return bool(printed_values(self.name))

    def cell(self, dataset: str, protocol: str, method: str, case: Case) -> Cell | None:
        """What came out, if it was run."""
        return self._by_place.get((dataset, protocol, method, case))

    def printed(self, dataset: str, method: str, case: Case) -> Printed | None:
        """What was printed, whether or not it was run."""
        return printed_at(self.name, dataset, method, *case)

    def means(self, dataset: str, protocol: str, case: Case) -> dict[str, float]:
        """Mean error by method, of those that have one; ``protocol`` may be `PRINT`."""
        if protocol == PRINT:
            printed = {method: self.printed(dataset, method, case) for method in self.methods}
            return {method: value.mean for method, value in printed.items() if value}
        cells = {method: self.cell(dataset, protocol, method, case) for method in self.methods}
        return {method: cell.rmse_mean for method, cell in cells.items() if cell}

    def rows_of(self, protocol: str, method: str) -> list[Row]:
        """The rows under a heading."""
        return [row for row in self.rows if (row.protocol, row.method) == (protocol, method)]

    @functools.cached_property
    def _by_place(self) -> dict[tuple[Any, ...], Cell]:
        return {(cell.dataset, cell.protocol, cell.method, (cell.fraction, cell.mask)): cell for cell in self.cells}


def collect(rows: Iterable[Row]) -> list[Study]:
    """The studies that have rows, in the order of `TARGETS`."""
    by_target: dict[str, list[Row]] = {name: [] for name in TARGETS}
    for row in rows:
        by_target.setdefault(row.target, []).append(row)
    return [_study(name, found) for name, found in by_target.items() if name in TARGETS and found]


def _study(name: str, rows: list[Row]) -> Study:
    thorough = [row for row in rows if not row.quick] or rows
    cells = [cell for cell in summarise(thorough) if cell.latest]
    latest = {_setup(cell) for cell in cells}
    kept = [row for row in thorough if _setup(row) in latest]
    return Study(name, TARGETS[name], kept, cells, len(rows) - len(kept))


def _setup(told: Row | Cell) -> tuple[Any, ...]:
    return told.protocol, told.method, told.dataset, told.fraction, told.mask, told.setup


def _merged(known: Iterable[Any], found: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys([*known, *found]))


def smallest(means: dict[str, float]) -> list[str]:
    """The methods that have the smallest mean; more than one where they are equal."""
    return [method for method, value in means.items() if value == min(means.values())]
