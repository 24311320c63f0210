"""Memory access of compiled kernels: arrays of other libraries by address, and prefetching.

`carray(floats(address), shape)` is an array; the memory must stay valid while the kernel runs.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 64  # bytes of a cache line

_i32, _byte = ir.IntType(32), ir.IntType(8).as_pointer()


@intrinsic
def floats(_: Any, address: Any) -> Any:
    """The pointer of an address to float32."""
    return _pointer(types.float32)


@intrinsic
def uint8s(_: Any, address: Any) -> Any:
    """The pointer of an address to uint8."""
    return _pointer(types.uint8)


@intrinsic
def int32s(_: Any, address: Any) -> Any:
    """The pointer of an address to int32."""
    return _pointer(types.int32)


@intrinsic
def int64s(_: Any, address: Any) -> Any:
    """The pointer of an address to int64."""
    return _pointer(types.int64)


@intrinsic
def fetch(_: Any, array: Any, place: Any) -> Any:
    """Prefetch the cache line of the element at a place of a contiguous array.

    The place is not checked and may be outside the array.
    """
    signature = types.void(array, types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return _prefetch(context, builder, builder.bitcast(builder.gep(data, [args[1]]), _byte))

    return signature, generate


@intrinsic
def fetch_address(_: Any, address: Any) -> Any:
    """Prefetch the cache line at an address, which may be outside the memory of the process."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _prefetch(context, builder, builder.inttoptr(args[0], _byte))

    return types.void(types.int64), generate


def _prefetch(context: Any, builder: Any, address: Any) -> Any:
    kind = ir.FunctionType(ir.VoidType(), [_byte, _i32, _i32, _i32])
    # to read (0), into all caches (3), data (1)
    how = [ir.Constant(_i32, value) for value in (0, 3, 1)]
    builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch"), [address, *how])
    return context.get_dummy_value()


def _pointer(of: Any) -> Any:
    pointer = types.CPointer(of)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(pointer))

    return pointer(types.int64), generate
