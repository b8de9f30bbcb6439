"""Types of what users hand to public functions."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import ArrayLike

__all__ = ["ArrayLike", "MatrixLike"]


class SparseLike(Protocol):
    """A sparse matrix or array of SciPy, which has no types of its own."""

    def tocsr(self, copy: bool = ...) -> Any:
        """The same, compressed by rows."""


#: Arrays, lists of lists, data frames, tensors and sparse matrices.
MatrixLike = ArrayLike | SparseLike
