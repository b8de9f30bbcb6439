"""Observed data: what was measured, and the algebra that only looks there.

One interface (`ObservedData`), four storages; losses, adversaries and solvers are written once over it:

- `DenseData`: an array with a mask or entry weights;
- `TensorData`: the same in another array namespace, such as PyTorch's, and on its device;
- `SparseData`: compressed rows, where an entry that is not stored is missing;
- `ZeroFilledData`: compressed rows, where an entry that is not stored is an observed zero.

What `predict` returns is handed back to the data unread: an array of the data's shape, the values at the stored
entries, or these together with the factors they came from.
"""

from __future__ import annotations

from ..arrays.namespaces import Array, cast, is_tensor
from .base import Groups, ObservedData, Prediction
from .dense import DenseData
from .sparse import SparseData
from .tensor import TensorData
from .zero_filled import ZeroFilledData

__all__ = [
    "DenseData",
    "Groups",
    "ObservedData",
    "Prediction",
    "SparseData",
    "TensorData",
    "ZeroFilledData",
    "array_data",
]


def array_data(values: Array, observed: Array | None = None, weights: Array | None = None) -> DenseData:
    """Data of an array, zero where nothing was observed (None: all was), in the storage that its namespace has."""
    omega = observed if weights is None else weights
    if is_tensor(values):
        return TensorData(values, None if omega is None else cast(omega, values.dtype))
    return DenseData(values, omega.view("u1") if omega is not None and omega.dtype == bool else omega)
