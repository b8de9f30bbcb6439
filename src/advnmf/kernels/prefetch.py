"""Fetch parts of an array into the cache before they are needed: no processor expects what indices ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_BYTE = ir.IntType(8).as_pointer()


@intrinsic
def prefetch(typing_context: Any, array: Any, i: Any, k: Any) -> tuple[Any, Callable]:
    """Ask for the cache line of ``array[i, k]``, and go on at once."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        at = [context.cast(builder, x, t, types.intp) for x, t in zip(arguments[1:], signature.args[1:], strict=True)]
        pointer = cgutils.get_item_pointer(
            context, builder, kind, context.make_array(kind)(context, builder, arguments[0]), at
        )
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", [_BYTE], ir.FunctionType(ir.VoidType(), [_BYTE, *[ir.IntType(32)] * 3])
        )
        # To be read (0), soon and often (3), data (1).
        constants = [ir.Constant(ir.IntType(32), number) for number in (0, 3, 1)]
        builder.call(function, [builder.bitcast(pointer, _BYTE), *constants])
        return context.get_dummy_value()

    return types.void(array, i, k), generate
