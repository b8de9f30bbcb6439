"""Array namespaces: the library that an array belongs to, and the ways between two of them.

Elementwise code takes its functions from the namespace of its arrays, `namespace(x)`, and uses only what the array API
standard has.  For NumPy arrays that is NumPy itself, at the price of one `isinstance`; for tensors it is what
array-api-compat makes of their library.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

# Of whatever namespace.
Array = Any

# Libraries whose arrays are computed in their own namespace; all others go through numpy.asarray.
_LIBRARIES = ("torch", "array_api_strict")


def is_tensor(x: object) -> bool:
    """Whether `x` is an array that keeps its namespace and device."""
    return any(cls.__module__.partition(".")[0] in _LIBRARIES for cls in type(x).__mro__)


def namespace(x: Array) -> ModuleType:
    """The functions for arrays such as `x`."""
    if isinstance(x, np.ndarray | np.generic):
        return np
    return _compat().array_namespace(x)


def _compat() -> ModuleType:
    try:
        import array_api_compat
    except ImportError as error:
        raise ImportError('tensors need array-api-compat: pip install "advnmf[torch]"') from error
    return array_api_compat


def device(x: Array) -> object:
    """Where a tensor lies."""
    return _compat().device(x)


def on_cpu(x: Array) -> bool:
    """Whether an array lies in the memory that NumPy sees."""
    return isinstance(x, np.ndarray) or "cpu" in str(device(x)).lower()


def wide(x: Array) -> object:
    """The dtype of sums that decide: float64, or float32 on a device that has no other."""
    if isinstance(x, np.ndarray):
        return np.float64
    return _widest(namespace(x), device(x))


@cache
def _widest(xp: ModuleType, device: object) -> object:
    has = xp.__array_namespace_info__().dtypes(device=device, kind="real floating")
    return has.get("float64", has["float32"])


def finfo(x: Array) -> Any:
    """Limits of the precision of `x`."""
    return namespace(x).finfo(x.dtype)


def is_bool(x: Array) -> bool:
    """Whether `x` holds booleans."""
    return str(x.dtype).endswith("bool")


def cast(x: Array, dtype: object) -> Array:
    """`x` in some precision; `x` itself where it has it."""
    if isinstance(x, np.ndarray):
        return x.astype(dtype, copy=False)
    return namespace(x).astype(x, dtype, copy=False)


def host_dtype(dtype: object) -> np.dtype:
    """NumPy's dtype of the same name."""
    return np.dtype(str(dtype).rpartition(".")[2])


def concat(arrays: Sequence[Array]) -> Array:
    """Arrays one after the other along their first axis."""
    xp = namespace(arrays[0])
    return np.concatenate(arrays) if xp is np else xp.concat(arrays)  # numpy.concat came with NumPy 2


def full(shape: tuple[int, ...], value: float, like: Array, dtype: object) -> Array:
    """One number throughout an array that lies where `like` does."""
    if isinstance(like, np.ndarray):
        return np.full(shape, value, dtype)
    return namespace(like).full(shape, value, dtype=dtype, device=device(like))


def contiguous(x: Array) -> Array:
    """`x` with its rows one after the other, as compiled code takes them; tensors as they are."""
    return np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x


def larger(x: Array, y: Array) -> Array:
    """max(x, y), in place of `y` where the library can."""
    return np.maximum(x, y, out=y) if isinstance(y, np.ndarray) else namespace(y).maximum(x, y)


def to_numpy(x: object) -> object:
    """A tensor as a NumPy array, which shares its memory on the CPU; anything else as it is."""
    if not is_tensor(x):
        return x
    return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)


def as_like(x: object, like: Array, dtype: object = None) -> Array:
    """`x` in the namespace and on the device of `like`, in some precision (its own unless given)."""
    if isinstance(like, np.ndarray):
        return np.asarray(to_numpy(x), dtype)
    xp = namespace(like)
    if is_tensor(x) and namespace(x) is xp:
        x = x.detach() if hasattr(x, "detach") else x
        return xp.astype(_compat().to_device(x, device(like)), x.dtype if dtype is None else dtype, copy=False)
    # PyTorch warns of memory that it must not write to, and knows no negative strides.
    return xp.asarray(np.require(to_numpy(x), requirements=["C", "W"]), dtype=dtype, device=device(like))


def returned(x: Array, X: object) -> Array:
    """A result for the user who gave `X`: in the namespace and on the device of `X` if that is a tensor."""
    return as_like(x, X) if is_tensor(X) else x
