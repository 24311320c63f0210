"""One query through the cells of an IVF index of byte codes: `ivf_codes.search_codes` without what batches need.

What is searched comes by address, so that a call converts few arguments and no references to arrays are counted: that
takes as long as the cells of an easy query.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import carray

from embedrec.kernels.byte_products import LANES, QUERIES, compare_alone, compare_in_place, lowest_bit
from embedrec.kernels.ivf_codes import (
    BUFFER,
    LOW,
    MAX_NORM,
    arrange,
    find_cells,
    key_of,
    quantise,
    scale_to_unit,
    score_of,
    threshold_of,
)
from embedrec.kernels.prefetch import LINE, fetch_address, floats, int32s, int64s
from embedrec.kernels.rescore import fetch_row, keep_best, read_query
from embedrec.kernels.topk import partition

_AHEAD = 1 << 16  # bytes of cells that are prefetched before they are compared
_FETCHED = 1 << 14  # of one cell
_CHUNK = 64  # dimensions; of a multiple, codes are compared where they are


@numba.njit(nogil=True, cache=True, error_model="numpy")
def search_query(search, query, best_rows, scores):  # type: ignore[no-untyped-def]
    """The k best by exact scores of the candidates of one query.

    search     (18,) int64, the arguments of `ivf_codes.search_codes`: addresses of lists, steps, blocks, halves,
               vectors and rows; c, d, blocks, ⌈d / 4⌉, halves, n and rows (f); code_size, residual, probes, count
               and metric
    query      (1, ≥ d) float32
    best_rows  (1, k) int64, scores (1, k) float32: written

    Returns whether there are k results and the norm is below 2e18.
    """
    c, d, b, g = search[6], search[7], search[8], search[9]
    lists, steps = carray(int64s(search[0]), (c, 3)), carray(floats(search[1]), (2, d))
    blocks, halves = carray(int32s(search[2]), (b, g, LANES)), carray(floats(search[3]), (search[10],))
    vectors, rows = carray(floats(search[4]), (search[11], d)), carray(int64s(search[5]), (search[12],))
    code_size, residual, probes, count, metric = search[13], search[14], search[15], search[16], search[17]
    unit = np.empty((1, d), dtype=np.float32)
    norm = scale_to_unit(query[0], unit[0])
    visited, bases = np.empty((1, probes), dtype=np.int64), np.empty((1, probes), dtype=np.float32)
    find_cells(steps[0], c, blocks, halves, unit, visited, bases)
    codes, kept = np.empty((1, g), dtype=np.int32), np.empty(BUFFER * count + 1, dtype=np.int64)
    scale, least, filled = quantise(unit[0], steps[1], codes[0]), np.float32(-np.inf), 0
    arranged, sums = np.empty((QUERIES, g, LANES), dtype=np.int32), np.empty((QUERIES, LANES), dtype=np.int32)
    who, threshold = np.zeros(1, dtype=np.int64), np.empty(1, dtype=np.int32)
    next_cell, pending = 0, 0
    for j in range(probes):
        while next_cell < probes and (pending < _AHEAD or next_cell <= j):
            pending += _fetch_codes(lists[visited[0, next_cell], 0], lists[visited[0, next_cell], 2] * code_size)
            next_cell += 1
        cell = visited[0, j]
        size = lists[cell, 2]
        pending -= min(size * code_size, _FETCHED)
        base = bases[0, j] if residual else np.float32(0)
        threshold[0] = threshold_of(least, base, scale)
        for start in range(0, size, QUERIES * LANES):
            number, address = min(QUERIES * LANES, size - start), lists[cell, 0] + start * code_size
            if d % _CHUNK:
                arrange(address, code_size, d, number, arranged)
                bits = compare_alone(arranged, 0, codes, who, 0, threshold, sums)
            else:
                bits = compare_in_place(address, code_size, number - 1, codes, threshold[0], sums)
            if number < QUERIES * LANES:
                bits &= (np.uint64(1) << np.uint64(number)) - np.uint64(1)
            while bits:
                bit = lowest_bit(bits)
                bits &= bits - np.uint64(1)
                score = base + scale * np.float32(sums[bit // LANES, bit % LANES])
                if score > least:
                    place = lists[cell, 1] + 8 * (start + bit)
                    kept[filled] = key_of(score, carray(int64s(place), (1,))[0])
                    filled += 1
                    if filled == kept.shape[0]:
                        least, filled = score_of(partition(None, kept, filled, count)), count
                        threshold[0] = threshold_of(least, base, scale)
        if filled > count and (j == 0 or j == probes - 1):
            # few vectors of the other cells exceed the best of the nearest one
            least, filled = score_of(partition(None, kept, filled, count)), count
            threshold[0] = threshold_of(least, base, scale)
    filled = count if norm == 0 else min(filled, count)
    for i in range(filled):
        kept[i] = i if norm == 0 else _row_of(kept[i], rows)
        fetch_row(vectors, max(kept[i], 0))
    own, keys = np.empty(d), np.empty(best_rows.shape[1])
    keep_best(vectors, kept[:filled], own, read_query(query, 0, own), metric, best_rows[0], keys)
    for i in range(keys.shape[0]):
        scores[0, i] = keys[i]
    return best_rows[0, keys.shape[0] - 1] >= 0 and norm <= MAX_NORM


@numba.njit(nogil=True, cache=True)
def _row_of(key, rows):  # type: ignore[no-untyped-def]
    """The row of the label of a key, −1 for one that was removed."""
    label = key & LOW
    return rows[label] if rows.shape[0] else label


@numba.njit(nogil=True, cache=True)
def _fetch_codes(address, size):  # type: ignore[no-untyped-def]
    """Prefetch the first of the bytes of codes at an address; returns their number."""
    first = min(size, _FETCHED)
    for place in range(0, first, LINE):
        fetch_address(address + place)
    return first
