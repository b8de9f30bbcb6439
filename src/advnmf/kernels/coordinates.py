"""What row kernels know of a penalty."""

from __future__ import annotations

from typing import NamedTuple

from ..arrays.namespaces import Array

Rows = slice | Array

# What a coordinate of a row may do.
NONNEGATIVE, FREE, FIXED = 0, 1, 2


class Coordinates(NamedTuple):
    """``sum_ik (2 l1_ik F_ik + l2_ik F_ik^2)``, with the kind of each coordinate k; one row or column serves all."""

    l1: Array
    l2: Array
    kinds: Array
