"""Sums over a row in eight lanes of float64, in vector instructions and in a fixed order.

A compiled loop adds one number after the other, because the compiler may not change the order of a sum. Here the order
is that of eight sums of every eighth number, one instruction. Measured, 64 dimensions: 20 ns; compiled loop: 150 ns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8

_float, _double = ir.FloatType(), ir.DoubleType()
_floats, _doubles = ir.VectorType(_float, LANES), ir.VectorType(_double, LANES)


@intrinsic
def products(_: Any, x: Any, i: Any, y: Any) -> Any:
    """The eight lanes of the product of row i of x (n, d) float32 with y (d,) float64, up to the last whole eight."""
    return _lanes(x, y, lambda builder, a, b: builder.fmul(a, b))


@intrinsic
def squares(_: Any, x: Any, i: Any, y: Any) -> Any:
    """The eight lanes of the squared norm of row i of x, up to the last whole eight; y is unused."""
    return _lanes(x, y, lambda builder, a, b: builder.fmul(a, a))


@intrinsic
def products_and_squares(_: Any, x: Any, i: Any, y: Any) -> Any:
    """`products` and `squares` in one pass."""
    return _lanes(x, y, lambda builder, a, b: builder.fmul(a, b), lambda builder, a, b: builder.fmul(a, a))


@intrinsic
def distances(_: Any, x: Any, i: Any, y: Any) -> Any:
    """The eight lanes of the squared distance of row i of x from y, up to the last whole eight."""

    def squared(builder: Any, a: Any, b: Any) -> Any:
        difference = builder.fsub(a, b)
        return builder.fmul(difference, difference)

    return _lanes(x, y, squared)


Term = Callable[[Any, Any, Any], Any]


def _lanes(x: Any, y: Any, *terms: Term) -> Any:
    sums = types.UniTuple(types.float64, LANES)
    signature = (sums if len(terms) == 1 else types.UniTuple(sums, len(terms)))(x, types.int64, y)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        left = context.make_array(sig.args[0])(context, builder, args[0])
        right = context.make_array(sig.args[2])(context, builder, args[2])
        d = cgutils.unpack_tuple(builder, left.shape)[1]
        row = builder.gep(left.data, [builder.mul(args[1], d)])
        whole = builder.and_(d, ir.Constant(d.type, -LANES))
        totals = [cgutils.alloca_once_value(builder, ir.Constant(_doubles, [0.0] * LANES)) for _ in terms]
        bounds = (ir.Constant(d.type, 0), whole, ir.Constant(d.type, LANES))
        with cgutils.for_range_slice(builder, *bounds, d.type) as (k, _):
            a = builder.fpext(_load(builder, row, k, _floats, 4), _doubles)
            b = _load(builder, right.data, k, _doubles, 8)
            for total, term in zip(totals, terms, strict=True):
                builder.store(builder.fadd(builder.load(total), term(builder, a, b)), total)
        made = [context.make_tuple(builder, sums, _elements(builder, builder.load(total))) for total in totals]
        return made[0] if len(made) == 1 else context.make_tuple(builder, sig.return_type, made)

    return signature, generate


def _elements(builder: Any, lanes: Any) -> list[Any]:
    return [builder.extract_element(lanes, ir.Constant(ir.IntType(32), lane)) for lane in range(LANES)]


def _load(builder: Any, data: Any, k: Any, vector: Any, align: int) -> Any:
    value = builder.load(builder.bitcast(builder.gep(data, [k]), vector.as_pointer()))
    value.align = align
    return value


def splat(builder: Any, scalar: Any, lanes: int) -> Any:
    """A vector of the scalar in every lane."""
    empty = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))
