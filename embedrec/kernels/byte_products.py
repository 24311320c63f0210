"""Products of byte codes with queries in vector instructions, sixteen codes at a time.

A block holds the codes of sixteen vectors, four dimensions of each in a number of 32 bits. One instruction multiplies
four dimensions of sixteen codes with those of a query and adds them up: `vpdpbusd`, which processors with AVX-512 VNNI
or AVX-VNNI have. Others with AVX2 take two multiplications (`vpmaddwd`), the rest as many as their compiler needs. All
give the same sums. The instruction is chosen when a kernel is compiled, for the processor that it runs on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from embedrec.kernels.simd import splat

LANES = 16  # codes in a block
QUERIES = 4  # compared at a time with a block, so that it is read once for them; or blocks with a query

_byte, _short, _i32, _i64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_block = ir.VectorType(_i32, LANES)
_BITS = {"vnni512": 512, "vnni256": 256, "avx2": 256}  # of an instruction


def instruction(features: str) -> str:
    """The instruction for LLVM's list of the features of a processor: "vnni512", "vnni256", "avx2" or "any"."""
    has = {feature[1:] for feature in features.split(",") if feature.startswith("+")}
    if "avx512vnni" in has:
        return "vnni512"
    if "avxvnni" in has:
        return "vnni256"
    return "avx2" if "avx2" in has else "any"


def _compiled_for(context: Any) -> str:
    return instruction(context.codegen().magic_tuple()[2])


@intrinsic
def transpose(_: Any, address: Any, stride: Any, last: Any, blocks: Any, place: Any, chunks: Any) -> Any:
    """Write the first 64 · chunks bytes of sixteen codes to blocks[place].

    address, stride  of the codes (uint8), in bytes
    last             code that is read in place of later ones
    blocks           (b, g, 16) int32, g ≥ 16 · chunks
    """
    signature = types.void(address, types.int64, types.int64, blocks, types.int64, types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start, step, last, _, number, count = args
        to = context.make_array(sig.args[3])(context, builder, args[3])
        groups = cgutils.unpack_tuple(builder, to.shape)[1]
        lanes = ir.Constant(_i64, LANES)
        out = builder.gep(to.data, [builder.mul(builder.mul(number, groups), lanes)])
        starts = _row_addresses(builder, start, step, ir.Constant(_i64, 0), last)
        with cgutils.for_range(builder, count) as loop:
            offset = builder.mul(loop.index, ir.Constant(_i64, 4 * LANES))
            rows = []
            for row in starts:
                value = builder.load(builder.inttoptr(builder.add(row, offset), _block.as_pointer()))
                value.align = 1
                rows.append(value)
            place = builder.mul(loop.index, ir.Constant(_i64, LANES * LANES))
            for group, value in enumerate(_transposed(builder, rows)):
                at = builder.gep(out, [builder.add(place, ir.Constant(_i64, group * LANES))])
                builder.store(value, builder.bitcast(at, _block.as_pointer())).align = 4
        return context.get_dummy_value()

    return signature, generate


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """The columns of a square matrix of 32-bit numbers, given its rows: halves change places, then quarters, …"""
    half = LANES // 2
    while half:
        mixed = list(rows)
        for row in range(LANES):
            if not row & half:
                mixed[row], mixed[row | half] = _exchanged(builder, rows[row], rows[row | half], half)
        rows, half = mixed, half // 2
    return rows


def _exchanged(builder: Any, first: Any, second: Any, half: int) -> tuple[Any, Any]:
    """The lanes of two rows that are `half` apart: those without that bit of both, and those with it."""
    low, high = [], []
    for lane in range(LANES):
        partner = lane ^ half
        low.append(lane if not lane & half else LANES + partner)
        high.append(partner if not lane & half else LANES + lane)
    places = (ir.Constant(_block, lanes) for lanes in (low, high))
    without, with_ = (builder.shuffle_vector(first, second, lanes) for lanes in places)
    return without, with_


def _row_addresses(builder: Any, start: Any, stride: Any, first: Any, last: Any) -> list[Any]:
    """The addresses of sixteen codes from number `first` on; that of `last` for later ones."""
    addresses = []
    for code in range(LANES):
        number = builder.add(first, ir.Constant(_i64, code))
        row = builder.select(builder.icmp_signed("<", number, last), number, last)
        addresses.append(builder.add(start, builder.mul(row, stride)))
    return addresses


@intrinsic
def compare(_: Any, blocks: Any, place: Any, queries: Any, who: Any, first: Any, thresholds: Any, sums: Any) -> Any:
    """Compare a block with four queries: a bit for every sum above the threshold of its query, 16 bits a query.

    blocks      (b, g, 16) int32, codes of 0 to 255; that at `place` is compared
    queries     (q, g) int32, codes of −127 to 127
    who         (m,) int64 rows of queries, of which four from `first` on are compared
    thresholds  (m,) int32
    sums        (4, 16) int32, written if there is a bit
    """
    return _compared(blocks, queries, who, thresholds, sums, _compiled_for)


@intrinsic
def compare_alone(
    _: Any, blocks: Any, place: Any, queries: Any, who: Any, first: Any, thresholds: Any, sums: Any
) -> Any:
    """`compare` of one query with four blocks, from `place` on: 16 bits a block, and the sums (4, 16) of each."""
    return _compared(blocks, queries, who, thresholds, sums, _compiled_for, alone=True)


@intrinsic
def compare_in_place(_: Any, address: Any, stride: Any, last: Any, queries: Any, least: Any, sums: Any) -> Any:
    """`compare_alone` of the first query with up to 64 codes where they are: a bit a code, and the sums (4, 16).

    address, stride  of the codes (uint8), of which a multiple of 64 dimensions is compared, in bytes
    last             number of the last code, below 64; what is beyond is undefined
    queries          (≥ 1, g) int32
    least            int32 that a sum must exceed
    """
    return _compared_in_place(queries, sums, _compiled_for)


def _compared_in_place(queries: Any, sums: Any, how: Callable[[Any], str]) -> Any:
    signature = types.uint64(types.int64, types.int64, types.int64, queries, types.int32, sums)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start, stride, last, _, least, _ = args
        given, out = (context.make_array(sig.args[i])(context, builder, args[i]) for i in (3, 5))
        groups, lanes = cgutils.unpack_tuple(builder, given.shape)[1], ir.Constant(_i64, LANES)
        chunks, add = builder.sdiv(groups, lanes), _adder(builder, how(context))
        threshold, zero = splat(builder, least, LANES), ir.Constant(_block, [0] * LANES)
        bits = cgutils.alloca_once_value(builder, ir.Constant(_i64, 0))
        totals = [cgutils.alloca_once(builder, _block) for _ in range(LANES)]
        with cgutils.for_range(builder, builder.add(builder.sdiv(last, lanes), ir.Constant(_i64, 1))) as block:
            first = builder.mul(block.index, lanes)
            rows = _row_addresses(builder, start, stride, first, last)
            for total in totals:
                builder.store(zero, total)
            with cgutils.for_range(builder, chunks) as loop:
                place = builder.mul(loop.index, lanes)
                query = builder.load(builder.bitcast(builder.gep(given.data, [place]), _block.as_pointer()))
                query.align = 4
                for row, total in zip(rows, totals, strict=True):
                    at = builder.add(row, builder.mul(loop.index, ir.Constant(_i64, 4 * LANES)))
                    codes = builder.load(builder.inttoptr(at, _block.as_pointer()))
                    codes.align = 1
                    builder.store(add(builder.load(total), codes, query), total)
            total = _row_sums(builder, [builder.load(total) for total in totals])
            mask = builder.zext(builder.bitcast(builder.icmp_signed(">", total, threshold), _short), _i64)
            builder.store(builder.or_(builder.load(bits), builder.shl(mask, first)), bits)
            builder.store(total, builder.bitcast(builder.gep(out.data, [first]), _block.as_pointer())).align = 4
        return builder.load(bits)

    return signature, generate


def _row_sums(builder: Any, rows: list[Any]) -> Any:
    """The sums of sixteen rows, in a lane each: of halves of two rows, then of quarters of four, …"""
    while len(rows) > 1:
        half = len(rows) // 2
        rows = [builder.add(*_exchanged(builder, rows[i], rows[i + half], half)) for i in range(half)]
    return rows[0]


def _compared(
    blocks: Any, queries: Any, who: Any, thresholds: Any, sums: Any, how: Callable[[Any], str], *, alone: bool = False
) -> Any:
    signature = types.uint64(blocks, types.int64, queries, who, types.int64, thresholds, sums)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        codes, given, members, least, out = (
            context.make_array(sig.args[i])(context, builder, args[i]) for i in (0, 2, 3, 5, 6)
        )
        groups, lanes = cgutils.unpack_tuple(builder, codes.shape)[1], ir.Constant(_i64, LANES)
        size = builder.mul(groups, lanes)
        places = [builder.add(args[4], ir.Constant(_i64, i)) for i in range(1 if alone else QUERIES)]
        numbers = [builder.add(args[1], ir.Constant(_i64, i)) for i in range(QUERIES if alone else 1)]
        starts = [builder.gep(codes.data, [builder.mul(number, size)]) for number in numbers]
        rows = []
        for at in places:
            member = builder.load(builder.gep(members.data, [at]))
            rows.append(builder.gep(given.data, [builder.mul(member, groups)]))
        totals = _totals(builder, _adder(builder, how(context)), starts, rows, groups)
        bits = ir.Constant(_i64, 0)
        for i, (at, total) in enumerate(zip(places * (QUERIES // len(places)), totals, strict=True)):
            threshold = splat(builder, builder.load(builder.gep(least.data, [at])), LANES)
            above = builder.icmp_signed(">", total, threshold)
            mask = builder.zext(builder.bitcast(above, _short), _i64)
            bits = builder.or_(bits, builder.shl(mask, ir.Constant(_i64, LANES * i)))
        with builder.if_then(builder.icmp_unsigned("!=", bits, ir.Constant(_i64, 0)), likely=False):
            for i, total in enumerate(totals):
                at = builder.gep(out.data, [ir.Constant(_i64, LANES * i)])
                builder.store(total, builder.bitcast(at, _block.as_pointer())).align = 4
        return bits

    return signature, generate


@intrinsic
def multiply(_: Any, blocks: Any, queries: Any, products: Any) -> Any:
    """The products of all blocks with four queries.

    blocks    (b, g, 16) int32, codes of 0 to 255
    queries   (≥ 4, g) int32, codes of −127 to 127
    products  (≥ 4, 16 · b) int32, written
    """
    return _multiplied(blocks, queries, products, _compiled_for)


@intrinsic
def multiply_alone(_: Any, blocks: Any, queries: Any, products: Any) -> Any:
    """`multiply` of the first query alone, four blocks at a time; their number is a multiple of four."""
    return _multiplied(blocks, queries, products, _compiled_for, alone=True)


def _multiplied(blocks: Any, queries: Any, products: Any, how: Callable[[Any], str], *, alone: bool = False) -> Any:
    signature = types.void(blocks, queries, products)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        codes, given, out = (context.make_array(sig.args[i])(context, builder, args[i]) for i in range(3))
        count, groups, _ = cgutils.unpack_tuple(builder, codes.shape)
        lanes, add = ir.Constant(_i64, LANES), _adder(builder, how(context))
        size, width = builder.mul(groups, lanes), builder.mul(count, lanes)
        queries_ = [ir.Constant(_i64, i) for i in range(1 if alone else QUERIES)]
        rows = [builder.gep(given.data, [builder.mul(i, groups)]) for i in queries_]
        results = [builder.gep(out.data, [builder.mul(i, width)]) for i in queries_]
        step = ir.Constant(_i64, QUERIES if alone else 1)
        with cgutils.for_range_slice(builder, ir.Constant(_i64, 0), count, step, _i64) as (first, _):
            numbers = [builder.add(first, ir.Constant(_i64, i)) for i in range(QUERIES if alone else 1)]
            starts = [builder.gep(codes.data, [builder.mul(number, size)]) for number in numbers]
            places = [builder.gep(row, [builder.mul(number, lanes)]) for number in numbers for row in results]
            for place, total in zip(places, _totals(builder, add, starts, rows, groups), strict=True):
                builder.store(total, builder.bitcast(place, _block.as_pointer())).align = 4
        return context.get_dummy_value()

    return signature, generate


def _totals(builder: Any, add: Adder, starts: list[Any], rows: list[Any], groups: Any) -> list[Any]:
    """The sums of products of the blocks from some addresses on with each of some queries."""
    lanes, zero = ir.Constant(_i64, LANES), ir.Constant(_block, [0] * LANES)
    totals = [cgutils.alloca_once(builder, _block) for _ in range(len(starts) * len(rows))]
    for total in totals:
        builder.store(zero, total)
    with cgutils.for_range(builder, groups) as loop:
        values = []
        for block in starts:
            at = builder.gep(block, [builder.mul(loop.index, lanes)])
            values.append(builder.load(builder.bitcast(at, _block.as_pointer())))
            values[-1].align = 4
        wanted = [splat(builder, builder.load(builder.gep(row, [loop.index])), LANES) for row in rows]
        pairs = [(value, query) for value in values for query in wanted]
        for (value, query), total in zip(pairs, totals, strict=True):
            builder.store(add(builder.load(total), value, query), total)
    return [builder.load(total) for total in totals]


Adder = Callable[[Any, Any, Any], Any]  # sums (16 × i32), codes and codes of queries (16 × 4 bytes) → sums


def _adder(builder: Any, name: str) -> Adder:
    """A function that emits the sums of products with the instruction of a name."""
    if name == "any":
        return lambda total, codes, query: _widened(builder, total, codes, query)
    lanes = _BITS[name] // 32
    vector = ir.VectorType(_i32, lanes)
    parts = [list(range(start, start + lanes)) for start in range(0, LANES, lanes)]
    empty = ir.Constant(_block, ir.Undefined)
    step = _two_products if name == "avx2" else _one_product

    def add(total: Any, codes: Any, query: Any) -> Any:
        sums = []
        for part in parts:
            mask = ir.Constant(vector, part)
            sums.append(step(builder, *(builder.shuffle_vector(value, empty, mask) for value in (total, codes, query))))
        if len(sums) == 1:
            return sums[0]
        return builder.shuffle_vector(*sums, ir.Constant(_block, list(range(LANES))))

    return add


def _one_product(builder: Any, total: Any, codes: Any, query: Any) -> Any:
    kind = total.type
    name = f"llvm.x86.avx512.vpdpbusd.{32 * kind.count}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    return builder.call(function, [total, codes, query])


def _two_products(builder: Any, total: Any, codes: Any, query: Any) -> Any:
    """Even and odd bytes as numbers of 16 bits, multiplied and added in pairs."""
    kind, shorts = total.type, ir.VectorType(_short, 2 * total.type.count)
    name = "llvm.x86.avx2.pmadd.wd"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [shorts] * 2), name)
    eight = ir.Constant(shorts, [8] * shorts.count)
    codes, query = builder.bitcast(codes, shorts), builder.bitcast(query, shorts)
    even = (
        builder.and_(codes, ir.Constant(shorts, [255] * shorts.count)),
        builder.ashr(builder.shl(query, eight), eight),
    )
    odd = builder.lshr(codes, eight), builder.ashr(query, eight)
    for pair in (even, odd):
        total = builder.add(total, builder.call(function, list(pair)))
    return total


def _widened(builder: Any, total: Any, codes: Any, query: Any) -> Any:
    """Byte by byte in numbers of 32 bits."""
    for byte in range(4):
        shift = ir.Constant(_block, [8 * byte] * LANES)
        code = builder.and_(builder.lshr(codes, shift), ir.Constant(_block, [255] * LANES))
        left, right = (ir.Constant(_block, [bits] * LANES) for bits in (24 - 8 * byte, 24))
        own = builder.ashr(builder.shl(query, left), right)
        total = builder.add(total, builder.mul(code, own))
    return total


@intrinsic
def lowest_bit(_: Any, bits: Any) -> Any:
    """The position of the lowest bit of a number other than 0."""
    signature = types.int64(types.uint64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return signature, generate


@intrinsic
def load_int32(_: Any, address: Any) -> Any:
    """The 32 bits at an address that need not be a multiple of 4."""
    signature = types.int32(types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = builder.load(builder.inttoptr(args[0], _i32.as_pointer()))
        value.align = 1
        return value

    return signature, generate
