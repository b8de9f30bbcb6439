"""What row kernels know of a penalty."""

from __future__ import annotations

from typing import NamedTuple

from ..arrays.namespaces import Array

Rows = slice | Array

# What a coordinate of a row may do.
NONNEGATIVE, FREE, HELD = 0, 1, 2


class Coordinates(NamedTuple):
    """``scale_i sum_k (2 l1_k F_ik + l2_k F_ik^2)`` as row kernels take it, with the kind of each coordinate."""

    l1: Array
    l2: Array
    kinds: Array
    scale: Array

    def take(self, rows: Rows) -> Coordinates:
        """Those of some rows."""
        return self._replace(scale=self.scale[rows])
