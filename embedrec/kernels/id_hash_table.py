"""Ids as rows, numbered by first appearance: hash tables with open addressing, at most half full.

A table is arrays that the caller makes, and doubles when a kernel stops because half the slots are taken:
`slots` (2^k,) int32 holds rows of known ids, −1 where empty. Measured on 10 million shuffled ids, 2 million of them
distinct: 0.23 s, where Arrow's dictionary_encode takes 1.2 s and a dict 12 s.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_MULTIPLY = np.uint64(0xFF51AFD7ED558CCD)  # the finalizer of MurmurHash3 (Appleby 2011)
_AND_AGAIN = np.uint64(0xC4CEB9FE1A85EC53)
_HALF = np.uint64(33)


@numba.njit(nogil=True, cache=True, inline="always")
def _mixed(x):  # type: ignore[no-untyped-def]
    x = (x ^ (x >> _HALF)) * _MULTIPLY
    x = (x ^ (x >> _HALF)) * _AND_AGAIN
    return x ^ (x >> _HALF)


@numba.njit(nogil=True, cache=True)
def code_numbers(ids, begin, rows, slots, known, n):  # type: ignore[no-untyped-def]
    """Rows of ids[begin:], until the table is full; new ids are added to it.

    ids    (b,) int64
    rows   (b,) int32, written
    slots  (2^k,) int32, written
    known  (2^k / 2,) int64, written: the distinct ids, of which there are n

    Returns where it stopped, b when all are coded, and the new n.
    """
    mask = np.uint64(len(slots) - 1)
    for i in range(begin, len(ids)):
        x = ids[i]
        at = _mixed(np.uint64(x)) & mask
        while True:
            row = slots[at]
            if row < 0:
                if n == len(known):
                    return i, n
                slots[at], known[n], rows[i] = n, x, n
                n += 1
                break
            if known[row] == x:
                rows[i] = row
                break
            at = (at + np.uint64(1)) & mask
    return len(ids), n


@numba.njit(nogil=True, cache=True)
def code_texts(texts, offsets, begin, rows, slots, hashes, ends, known, n):  # type: ignore[no-untyped-def]
    """As `code_numbers`, for texts.

    texts    bytes of the texts, uint8; text i is texts[offsets[i]:offsets[i + 1]]
    offsets  (b+1,) int64
    hashes   (2^k / 2,) uint64, written: the hashes of the distinct texts
    ends     (2^k / 2 + 1,) int64, written: distinct text r is known[ends[r]:ends[r + 1]]
    known    bytes, uint8, written; room for all of `texts` must be left in it
    """
    mask = np.uint64(len(slots) - 1)
    for i in range(begin, len(offsets) - 1):
        start, length = offsets[i], offsets[i + 1] - offsets[i]
        hashed = _hashed(texts, start, length)
        at = hashed & mask
        while True:
            row = slots[at]
            if row < 0:
                if n == len(hashes):
                    return i, n
                end = ends[n]
                known[end : end + length] = texts[start : start + length]
                slots[at], hashes[n], ends[n + 1], rows[i] = n, hashed, end + length, n
                n += 1
                break
            if hashes[row] == hashed and _equal(known, ends[row], ends[row + 1] - ends[row], texts, start, length):
                rows[i] = row
                break
            at = (at + np.uint64(1)) & mask
    return len(offsets) - 1, n


@numba.njit(nogil=True, cache=True)
def fill_numbers(slots, known):  # type: ignore[no-untyped-def]
    """Put known ids (n,) int64 into empty slots (2^k,)."""
    mask = np.uint64(len(slots) - 1)
    for row in range(len(known)):
        at = _mixed(np.uint64(known[row])) & mask
        while slots[at] >= 0:
            at = (at + np.uint64(1)) & mask
        slots[at] = row


@numba.njit(nogil=True, cache=True)
def fill_hashed(slots, hashes):  # type: ignore[no-untyped-def]
    """Put rows with known hashes (n,) uint64 into empty slots (2^k,)."""
    mask = np.uint64(len(slots) - 1)
    for row in range(len(hashes)):
        at = hashes[row] & mask
        while slots[at] >= 0:
            at = (at + np.uint64(1)) & mask
        slots[at] = row


@numba.njit(nogil=True, cache=True)
def _hashed(texts, start, length):  # type: ignore[no-untyped-def]
    hashed = np.uint64(length)
    at, end = start, start + length
    while at + 8 <= end:
        hashed = (hashed ^ _eight(texts, at)) * _MULTIPLY
        hashed ^= hashed >> _HALF
        at += 8
    rest = np.uint64(0)
    while at < end:
        rest = (rest << np.uint64(8)) | np.uint64(texts[at])
        at += 1
    return _mixed(hashed ^ rest)


@numba.njit(nogil=True, cache=True)
def _equal(a, a_start, a_length, b, b_start, b_length):  # type: ignore[no-untyped-def]
    if a_length != b_length:
        return False
    k = 0
    while k + 8 <= a_length:
        if _eight(a, a_start + k) != _eight(b, b_start + k):
            return False
        k += 8
    while k < a_length:
        if a[a_start + k] != b[b_start + k]:
            return False
        k += 1
    return True


@intrinsic
def _eight(_: Any, texts: Any, at: Any) -> Any:
    """texts[at:at + 8] as one uint64, wherever it begins."""
    signature = types.uint64(texts, types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(sig.args[0])(context, builder, args[0])
        pointer = builder.gep(array.data, [args[1]])
        value = builder.load(builder.bitcast(pointer, ir.IntType(64).as_pointer()))
        value.align = 1
        return value

    return signature, generate
