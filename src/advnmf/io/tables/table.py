"""A matrix with holes, and what of its file has to survive the filling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data.observed import as_signs
from .arrays import Container
from .columnar import Columnar
from .columns import Column
from .envi import Cube
from .hdf import Hdf
from .sheets import Sheet
from .sparse import Coordinates
from .text import TextLayout

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """A matrix with NaN where it has holes, and what of its file has to survive the filling."""

    values: np.ndarray
    path: str = "table"
    kind: str = ""  # the format of the file
    text: TextLayout | None = None
    container: Container | None = None
    stored: np.ndarray | None = None  # as an array file has it: integers cannot say "missing"
    markers: tuple[float, ...] = ()  # what says it instead
    cube: Cube | None = None
    sheet: Sheet | None = None
    columnar: Columnar | None = None
    hdf: Hdf | None = None
    coordinates: Coordinates | None = None

    @property
    def missing(self) -> np.ndarray:
        """Boolean array of the shape of `values`, True at the holes."""
        return np.isnan(self.values)

    @property
    def places(self) -> dict[str, Any]:
        """Where the rows and columns of a cube lie, as `AutoNMF` takes it: pixels on a grid, bands in order."""
        if self.cube is None:
            return {}
        lines, samples, _ = self.cube.shape
        return {"samples_grid": (lines, samples), "features_order": np.flatnonzero(self.cube.good)}

    @property
    def censored(self) -> np.ndarray | None:
        """Signs "<" and ">" of the cells that give a bound, such as <0.05, whose value is the bound; None without any.

        For `NMF.fit` and the like; such cells count as observed, and are written back as they are.
        """
        return None if self.text is None or self.text.sides is None else as_signs(self.text.sides)

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns of the matrix are called; empty where nothing says it."""
        if self.hdf is not None:
            return self.hdf.names
        if self.columnar is not None:
            return tuple(self.columnar.names[at] for at in self.columnar.columns)
        if self.text is None or not self.text.header:
            return ()
        return tuple(self.text.names[at] or f"column {at + 1}" for at in self.text.columns)

    @property
    def labels(self) -> tuple[str, ...]:
        """What the rows of an array are called; empty where nothing says it."""
        return () if self.hdf is None else self.hdf.rows

    @property
    def left_alone(self) -> tuple[Column, ...]:
        """The columns of the file that take no part."""
        return next((form.left_alone for form in (self.text, self.columnar) if form is not None), ())

    @property
    def skipped(self) -> dict[str, int]:
        """Lines of the file that are no rows of the table, by kind."""
        return {} if self.text is None else self.text.skipped

    @property
    def notes(self) -> tuple[str, ...]:
        """What else a user should know of how the file was taken."""
        notes = []
        unstored = next(
            (form.unstored for form in (self.hdf, self.coordinates) if form is not None and form.sparse), ""
        )
        if unstored:
            other = "zero" if unstored == "missing" else "missing"
            notes.append(f"what the sparse matrix does not store is taken for {unstored}; --unstored {other} overrules")
        if self.sheet is not None and self.sheet.losses:
            notes.append(f"an xlsx file that is written keeps no {' and no '.join(self.sheet.losses)}")
        return tuple(notes)

    def place(self, i: int, j: int) -> str:
        """Where entry (i, j), counted from 0, stands in the file, counted from 1 as people do."""
        if self.cube is not None:
            return self.cube.place(i, j)
        if self.columnar is not None:
            return f"row {i + 1}, column {self.columnar.columns[j] + 1}"
        if self.text is None:
            return f"row {i + 1}, column {j + 1}"
        if self.sheet is not None:
            return f"row {self.text.record(i) + 1}, column {self.text.columns[j] + 1}"
        return f"line {self.text.line(i)}, column {self.text.columns[j] + 1}"
