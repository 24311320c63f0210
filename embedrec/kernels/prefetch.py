"""Asking memory for what will be needed soon."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_i32 = ir.IntType(32)
_byte = ir.IntType(8).as_pointer()


@intrinsic
def prefetch(_: Any, array: Any, i: Any) -> Any:
    """Begin to load element i of a one-dimensional array into the cache; i is not checked, and may lie outside."""
    signature = types.void(array, types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), _byte)
        kind = ir.FunctionType(ir.VoidType(), [_byte, _i32, _i32, _i32])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, soon, of_data = (ir.Constant(_i32, k) for k in (0, 3, 1))
        builder.call(call, [place, read, soon, of_data])
        return context.get_dummy_value()

    return signature, generate
