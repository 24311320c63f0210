"""Products of byte codes by every instruction, against NumPy's."""

from __future__ import annotations

import sys
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from embedrec.kernels import byte_products
from embedrec.kernels.byte_products import (
    LANES,
    QUERIES,
    compare,
    compare_alone,
    compare_in_place,
    instruction,
    load_int32,
    lowest_bit,
    multiply,
    multiply_alone,
    transpose,
)

FEATURES = cpu_target.target_context.codegen().magic_tuple()[2]
NEEDED = {"vnni512": "+avx512vnni", "vnni256": "+avx512vl", "avx2": "+avx2", "any": ""}


def test_the_best_instruction_of_the_processor_is_chosen() -> None:
    assert instruction("+avx2,+avx512f,+avx512vnni,-avxvnni") == "vnni512"
    assert instruction("+avx2,-avx512vnni,+avxvnni") == "vnni256"
    assert instruction("-avx512vnni,+avx2") == "avx2"
    assert instruction("+sse4.2,-avx2") == instruction("") == "any"


def compare_with(name: str, *, one: bool) -> Any:
    """`compare`, or `compare_alone`, with one instruction."""

    @intrinsic
    def chosen(_: Any, blocks: Any, place: Any, queries: Any, who: Any, first: Any, least: Any, sums: Any) -> Any:
        return byte_products._compared(blocks, queries, who, least, sums, lambda context: name, alone=one)

    @numba.njit
    def call(blocks, place, queries, who, first, thresholds, sums):  # type: ignore[no-untyped-def]
        return chosen(blocks, place, queries, who, first, thresholds, sums)

    return call


@numba.njit
def compare_here(blocks, place, queries, who, first, thresholds, sums):  # type: ignore[no-untyped-def]
    return compare(blocks, place, queries, who, first, thresholds, sums)


@pytest.mark.parametrize("name", [*NEEDED, "here"])
def test_sums_and_bits_are_those_of_integers(name: str) -> None:
    """With the largest and smallest codes among them, whose products exceed 16 bits."""
    if NEEDED.get(name, "") not in FEATURES:
        pytest.skip(f"this processor has no {name}")
    call = compare_here if name == "here" else compare_with(name, one=False)
    rng = np.random.default_rng(0)
    for d in (4, 20, 256):
        codes = rng.integers(0, 256, (2 * LANES, d)).astype(np.uint8)
        queries, who = rng.integers(-127, 128, (9, d)).astype(np.int8), np.array([0, 0, 3, 8, 1, 2])
        codes[LANES], codes[LANES + 1, ::2], queries[3], queries[8] = 255, 0, 127, -127
        expected = codes[LANES:].astype(np.int64) @ queries[who[2:]].T.astype(np.int64)  # (16, 4)
        thresholds = np.full(QUERIES + 2, 2**31 - 1, dtype=np.int32)
        thresholds[2:] = np.sort(expected, axis=0)[[0, 5, 15, 14], range(QUERIES)]
        blocks = np.ascontiguousarray(codes.view(np.int32).reshape(2, LANES, d // 4).transpose(0, 2, 1))
        sums = np.full((QUERIES, LANES), -7, dtype=np.int32)
        bits = call(blocks, 1, queries.view(np.int32), who, 2, thresholds, sums)
        assert (sums == expected.T).all()
        above = (expected > thresholds[2:]).T.ravel()
        assert [bits >> i & 1 for i in range(QUERIES * LANES)] == above.tolist() and above.any()
        thresholds[2:], sums[:] = expected.max(axis=0), -7
        assert call(blocks, 1, queries.view(np.int32), who, 2, thresholds, sums) == 0
        assert (sums == -7).all()  # nothing is above


@numba.njit
def compare_alone_here(blocks, place, queries, who, first, thresholds, sums):  # type: ignore[no-untyped-def]
    return compare_alone(blocks, place, queries, who, first, thresholds, sums)


@pytest.mark.parametrize("name", [*NEEDED, "here"])
def test_a_query_alone_is_compared_with_four_blocks(name: str) -> None:
    if NEEDED.get(name, "") not in FEATURES:
        pytest.skip(f"this processor has no {name}")
    call = compare_alone_here if name == "here" else compare_with(name, one=True)
    rng = np.random.default_rng(0)
    for d in (4, 20, 256):
        codes = rng.integers(0, 256, ((QUERIES + 1) * LANES, d)).astype(np.uint8)
        queries, who = rng.integers(-127, 128, (9, d)).astype(np.int8), np.array([0, 5])
        expected = codes[LANES:].astype(np.int64) @ queries[5].astype(np.int64)
        thresholds = np.array([0, np.sort(expected)[40]], dtype=np.int32)
        blocks = np.ascontiguousarray(codes.view(np.int32).reshape(QUERIES + 1, LANES, d // 4).transpose(0, 2, 1))
        sums = np.full((QUERIES, LANES), -7, dtype=np.int32)
        bits = call(blocks, 1, queries.view(np.int32), who, 1, thresholds, sums)
        assert (sums.ravel() == expected).all()
        assert [bits >> i & 1 for i in range(QUERIES * LANES)] == (expected > thresholds[1]).tolist()


@numba.njit
def transpose_here(address, stride, last, blocks, place, chunks):  # type: ignore[no-untyped-def]
    transpose(address, stride, last, blocks, place, chunks)


@pytest.mark.parametrize("last", [0, 8, 15])
def test_blocks_hold_four_dimensions_of_every_code(last: int) -> None:
    codes = np.random.default_rng(1).integers(0, 256, (LANES, 135)).astype(np.uint8)
    blocks = np.full((3, 34, LANES), -1, dtype=np.int32)
    transpose_here(codes.ctypes.data, 135, last, blocks, 1, 2)
    read = np.minimum(np.arange(LANES), last)
    for group in range(32):
        assert (blocks[1, group] == codes[read, 4 * group : 4 * group + 4].copy().view(np.int32)[:, 0]).all()
    assert (blocks[[0, 2]] == -1).all() and (blocks[1, 32:] == -1).all()


def test_the_lowest_bit_and_unaligned_numbers_are_found() -> None:
    @numba.njit
    def lowest(bits):  # type: ignore[no-untyped-def]
        return lowest_bit(bits)

    @numba.njit
    def load(address):  # type: ignore[no-untyped-def]
        return load_int32(address)

    assert [lowest(np.uint64(bits)) for bits in (1, 40, 1 << 63, (1 << 63) | 256)] == [0, 3, 63, 8]
    content = np.arange(1, 9, dtype=np.uint8)
    wanted = [int.from_bytes(content[i : i + 4].tobytes(), sys.byteorder) for i in range(4)]
    assert [load(content.ctypes.data + i) for i in range(4)] == wanted


def in_place_with(name: str) -> Any:
    """`compare_in_place` with one instruction."""

    @intrinsic
    def chosen(_: Any, address: Any, stride: Any, last: Any, queries: Any, least: Any, sums: Any) -> Any:
        return byte_products._compared_in_place(queries, sums, lambda context: name)

    @numba.njit
    def call(address, stride, last, queries, least, sums):  # type: ignore[no-untyped-def]
        return chosen(address, stride, last, queries, least, sums)

    return call


@numba.njit
def compare_in_place_here(address, stride, last, queries, least, sums):  # type: ignore[no-untyped-def]
    return compare_in_place(address, stride, last, queries, least, sums)


@pytest.mark.parametrize("name", [*NEEDED, "here"])
def test_codes_are_compared_where_they_are(name: str) -> None:
    if NEEDED.get(name, "") not in FEATURES:
        pytest.skip(f"this processor has no {name}")
    call = compare_in_place_here if name == "here" else in_place_with(name)
    rng = np.random.default_rng(1)
    for d, spare, count in ((64, 0, 64), (64, 1, 50), (128, 3, 17), (192, 0, 16), (64, 2, 1)):
        codes = rng.integers(0, 256, (count, d + spare)).astype(np.uint8)
        query = rng.integers(-127, 128, (1, d)).astype(np.int8)
        codes[0], query[0, : d // 2] = 255, 127
        expected = codes[:, :d].astype(np.int64) @ query[0].astype(np.int64)
        least = int(np.sort(expected)[count // 3]) - 1
        sums = np.full((QUERIES, LANES), -7, dtype=np.int32)
        bits = call(codes.ctypes.data, d + spare, count - 1, query.view(np.int32), np.int32(least), sums)
        assert (sums.ravel()[:count] == expected).all()
        assert [bits >> i & 1 for i in range(count)] == (expected > least).tolist()


@numba.njit
def multiply_here(blocks, queries, products, alone):  # type: ignore[no-untyped-def]
    if alone:
        multiply_alone(blocks, queries, products)
    else:
        multiply(blocks, queries, products)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(("count", "d"), [(4, 4), (8, 64), (12, 28)])
def test_products_of_all_blocks_are_those_of_integers(count: int, d: int, alone: bool) -> None:
    rng = np.random.default_rng(count)
    codes = rng.integers(0, 256, (count * LANES, d)).astype(np.uint8)
    queries = rng.integers(-127, 128, (QUERIES, d)).astype(np.int8)
    blocks = np.ascontiguousarray(codes.view(np.int32).reshape(count, LANES, d // 4).transpose(0, 2, 1))
    products = np.full((QUERIES, count * LANES), -7, dtype=np.int32)
    multiply_here(blocks, queries.view(np.int32), products, alone)
    expected = queries.astype(np.int64) @ codes.T.astype(np.int64)
    assert (products[: 1 if alone else QUERIES] == expected[: 1 if alone else QUERIES]).all()
    assert not alone or (products[1:] == -7).all()
