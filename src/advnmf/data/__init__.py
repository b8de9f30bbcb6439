"""Observed data: what was measured, and the algebra that only looks there.

Models see `ObservedData`: how much there is, where, how large, and blocks of rows.  A `Block` has the algebra that
solvers are written in; losses and adversaries see no more of it than a `ResidualView`: values, the prediction at them,
and sums.  The storages, each without weights and with a mask or weights, are blocks as a whole:

- `CompleteData`, `MaskedData`: a NumPy array, with compiled kernels;
- `CompleteTensor`, `MaskedTensor`: an array of another namespace, such as PyTorch's, and on its device;
- `CensoredData`, `CensoredTensor`: the same, with entries that are known only to lie below or above a bound;
- `SparseData`, `WeightedSparseData`: compressed rows, where an entry that is not stored is missing;
- `ZeroFilledData`, `ZeroFilledWithHoles`: compressed rows, where an entry that is not stored is an observed zero.

A storage that is not in memory as a whole (rows in a file, say) derives from `ObservedData`, has `values`, `omega` (or
None) and `sample_axis`, and writes

    shape, T, take(rows)                        what it is, transposed, and some rows as one of the blocks above
    counts, column_counts, positive             where its entries are
    mean, value_range, observed_entries         how large they are
    with_values                                 other values; for ``attack="alternating"`` and narrow losses alone

A new kind of block is a frozen dataclass that derives from `Block`, and writes of these the first two lines, and

    predict, times, rtimes, descend             products with factors (descend for "hals" alone)
    columns, per_sample, sum_rows, reweighted   what belongs to a column or a row, sums of rows, entry weights

`Weighted` adds the weights ``omega``; a block with entries that are known within bounds has `nearest` and `measured`
of its own.  All else follows, and is overridden where kernels are faster.

What `predict` returns is handed back to the data unread: an array of the data's shape, the values at the stored
entries, or these together with the factors they came from.
"""

from __future__ import annotations

import numpy as np

from ..arrays.namespaces import Array, cast, is_bool, is_tensor
from .array import ArrayData, DenseData
from .base import Block, ObservedData, Prediction, ResidualView
from .censored import CensoredData, CensoredTensor
from .complete import CompleteData, CompleteTensor
from .masked import MaskedData, MaskedTensor
from .sparse import SparseData, WeightedSparseData
from .zero_filled import ZeroFilledData, ZeroFilledWithHoles

__all__ = [
    "ArrayData",
    "Block",
    "CensoredData",
    "CensoredTensor",
    "CompleteData",
    "CompleteTensor",
    "DenseData",
    "MaskedData",
    "MaskedTensor",
    "ObservedData",
    "Prediction",
    "ResidualView",
    "SparseData",
    "WeightedSparseData",
    "ZeroFilledData",
    "ZeroFilledWithHoles",
    "array_data",
    "sparse_data",
    "zero_filled_data",
]


def array_data(values: Array, omega: Array | None = None, sides: Array | None = None) -> ArrayData:
    """Data of an array, zero where nothing was observed, with a mask or weights; None: all was observed once.

    Beside a mask or weights, sides say of which entries the value is a bound, see `censored`; None: of none.
    """
    tensor = is_tensor(values)
    if omega is None:
        return CompleteTensor(values) if tensor else CompleteData(values)
    if tensor:
        omega = cast(omega, values.dtype)
        return MaskedTensor(values, omega) if sides is None else CensoredTensor(values, omega, sides=sides)
    omega = omega.view(np.uint8) if is_bool(omega) else omega
    return MaskedData(values, omega) if sides is None else CensoredData(values, omega, sides=sides)


def sparse_data(values: Array, indices: Array, indptr: Array, n_columns: int, omega: Array | None = None) -> SparseData:
    """Data of compressed rows that store what was observed, with weights."""
    if omega is None:
        return SparseData(values, indices, indptr, n_columns)
    return WeightedSparseData(values, indices, indptr, n_columns, omega=omega)


def zero_filled_data(
    values: Array, indices: Array, indptr: Array, n_columns: int, known: Array | None = None
) -> ZeroFilledData:
    """Data of compressed rows that store what is not zero, with flags (bytes) of those that are `known`."""
    if known is None:
        return ZeroFilledData(values, indices, indptr, n_columns)
    return ZeroFilledWithHoles(values, indices, indptr, n_columns, omega=known)
