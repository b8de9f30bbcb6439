"""Observed data: what was measured, and the algebra that only looks there.

One interface (`ObservedData`), three storages; losses, adversaries and solvers are written once over it:

- `DenseData`: an array with a mask or entry weights;
- `SparseData`: compressed rows, where an entry that is not stored is missing;
- `ZeroFilledData`: compressed rows, where an entry that is not stored is an observed zero.

What `predict` returns is handed back to the data unread: an array of the data's shape, the values at the stored
entries, or these together with the factors they came from.
"""

from __future__ import annotations

from .base import Groups, ObservedData, Prediction
from .dense import DenseData
from .sparse import SparseData
from .zero import ZeroFilledData

__all__ = ["DenseData", "Groups", "ObservedData", "Prediction", "SparseData", "ZeroFilledData"]
