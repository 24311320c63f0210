"""Queries through the cells of an IVF index of byte codes.

Codes are compared with codes of the query by products of integers, see `byte_products`; if they are codes of residuals,
the product of the query with the centroid, itself a code, is added. The queries of a batch are ordered by their nearest
cell, and some hundred of them visit cells together, so that the codes of a cell are arranged for the comparison once
for all of them.

Candidates are keys: the score in the upper half of a number, so that keys are in its order, the label in the lower.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import carray

from embedrec.kernels.byte_products import LANES, QUERIES, compare, load_int32, lowest_bit, transpose
from embedrec.kernels.prefetch import int64s, uint8s
from embedrec.kernels.topk import partition

_BATCH = 128  # queries that visit cells together
_BLOCKS = 64  # of a cell, arranged at a time
_BUFFER = 4  # candidates, in units of k, that are kept until the worst are dropped
_MAX_KEPT = 1 << 20  # candidates of a batch
_MANY_CELLS = 16  # a query that visits more than one in so many compares its products with all of them
_BINS = 512  # of these products
_EACH = np.uint64(0x0001000100010001)  # a bit for each query of a comparison
_LEAST, _MOST = -(2.0**31), 2.0**31 - 1
_LOW = 0xFFFFFFFF


@numba.njit(nogil=True, cache=True, error_model="numpy")
def search_codes(lists, code_size, steps, blocks, residual, probes, queries, labels):  # type: ignore[no-untyped-def]
    """The vectors of largest inner product in the nearest cells of each query.

    lists      (c, 3) int64: addresses of the codes (uint8) and labels (int64, below 2³²) of each cell, and their number
    code_size  bytes from one code to the next, at least d
    steps      (2, d) float32: what 1 of a code stands for in each dimension, of centroids and of vectors
    blocks     (⌈c / 16⌉, ⌈d / 4⌉, 16) int32 codes of the centroids, see `arrange`
    residual   whether codes are of differences from centroids
    probes     number of cells that a query visits, at most c
    queries    (q, ≥ d) float32; dimensions beyond d do not count
    labels     (q, k) int64, written: the best first, −1 for missing
    """
    q, c, d = queries.shape[0], lists.shape[0], steps.shape[1]
    k, groups = labels.shape[1], blocks.shape[1]
    visited, bases = np.empty((q, probes), dtype=np.int64), np.empty((q, probes), dtype=np.float32)
    if probes * _MANY_CELLS <= c:
        _find_few_cells(steps[0], c, blocks, queries, visited, bases)
    else:
        _find_many_cells(steps[0], c, blocks, queries, visited, bases)
    if not residual:
        bases[:] = 0
    order = np.argsort(visited[:, 0], kind="mergesort") if q > 1 else np.zeros(q, dtype=np.int64)
    width = _BUFFER * k + 1
    batch = max(1, min(_BATCH, q, _MAX_KEPT // width))
    kept, counts = np.empty((batch, width), dtype=np.int64), np.empty(batch, dtype=np.int64)
    least, scales = np.empty(batch, dtype=np.float32), np.empty(batch, dtype=np.float32)
    codes, arranged = np.empty((batch, groups), dtype=np.int32), np.empty((_BLOCKS, groups, LANES), dtype=np.int32)
    visits, starts = np.empty(batch * probes, dtype=np.int64), np.empty(c + 1, dtype=np.int64)
    state, visitors = (codes, scales, least, counts, kept), _visitors(batch)
    for first in range(0, q, batch):
        members = order[first : first + batch]
        counts[:] = 0
        least[:] = -np.inf
        for a in range(members.shape[0]):
            scales[a] = _quantise(queries[members[a], :d], steps[1], codes[a])
        # the nearest cell first: few vectors of the other cells exceed its best
        for begin, end in ((0, 1), (1, probes)):
            count = _order_visits(visited, members, begin, end, visits, starts)
            _visit_cells(visits[:count], members, lists, code_size, d, arranged, bases, state, k, visitors)
            for a in range(members.shape[0]):
                if counts[a] > k:
                    least[a] = _score_of(partition(None, kept[a], counts[a], k))
                    counts[a] = k
        for a in range(members.shape[0]):
            keys, result = kept[a, : counts[a]], labels[members[a]]
            keys.sort()
            for i in range(keys.shape[0]):
                result[i] = keys[keys.shape[0] - 1 - i] & _LOW
            result[keys.shape[0] :] = -1


@numba.njit(nogil=True, cache=True)
def arrange(address, code_size, d, size, blocks):  # type: ignore[no-untyped-def]
    """Write codes (size, d) uint8, so many bytes apart, to blocks (≥ ⌈size / 16⌉, ⌈d / 4⌉, 16) int32.

    blocks[b, g, i] holds dimensions 4g to 4g + 3 of code 16b + i, the first in the lowest byte; 0 beyond d
    """
    whole = d // (4 * LANES)
    for b in range(-(-size // LANES)):
        start, last = address + b * LANES * code_size, min(LANES, size - b * LANES) - 1
        if whole:
            transpose(start, code_size, last, blocks, b, whole)
        for g in range(whole * LANES, blocks.shape[1]):
            for i in range(LANES):
                code = start + min(i, last) * code_size + 4 * g
                if 4 * g + 4 <= d:
                    blocks[b, g, i] = load_int32(code)
                else:
                    value, tail = np.int64(0), carray(uint8s(code), (d - 4 * g,))
                    for byte in range(d - 4 * g):
                        value |= np.int64(tail[byte]) << (8 * byte)
                    blocks[b, g, i] = value


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _find_few_cells(steps, c, blocks, queries, visited, bases):  # type: ignore[no-untyped-def]
    """The cells of the centroids with the largest products with each query: visited (q, p), the nearest first, and
    these products, up to a constant of each query: bases (q, p)."""
    q, p = visited.shape
    d, groups, width = steps.shape[0], blocks.shape[1], _BUFFER * p + 1
    batch = max(1, min(_BATCH, q))
    kept, counts = np.empty((batch, width), dtype=np.int64), np.empty(batch, dtype=np.int64)
    least, scales = np.empty(batch, dtype=np.float32), np.empty(batch, dtype=np.float32)
    codes, cells, visitors = np.empty((batch, groups), dtype=np.int32), np.arange(c), _visitors(batch)
    who, own_bases, thresholds, _ = visitors
    who[:], own_bases[:] = 0, 0
    who[:batch] = np.arange(batch)
    for first in range(0, q, batch):
        m = min(batch, q - first)
        counts[:] = 0
        least[:] = -np.inf
        thresholds[:] = np.int32(_MOST)
        thresholds[:m] = np.int32(_LEAST)
        for a in range(m):
            scales[a] = _quantise(queries[first + a, :d], steps, codes[a])
        _compare_blocks(blocks, c, cells, m, (codes, scales, least, counts, kept), p, visitors)
        for a in range(m):
            if counts[a] > p:
                partition(None, kept[a], counts[a], p)
            keys = kept[a, :p]
            keys.sort()
            for j in range(p):
                key = keys[p - 1 - j]
                visited[first + a, j], bases[first + a, j] = key & _LOW, _score_of(key)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _find_many_cells(steps, c, blocks, queries, visited, bases):  # type: ignore[no-untyped-def]
    """`_find_few_cells` for a large share of the cells: by a histogram of the products with all of them."""
    q, d, b = visited.shape[0], steps.shape[0], blocks.shape[0]
    codes, who = np.empty((QUERIES, blocks.shape[1]), dtype=np.int32), np.arange(QUERIES)
    scales, thresholds = np.empty(QUERIES, dtype=np.float32), np.full(QUERIES, _LEAST).astype(np.int32)
    sums, products = np.empty((QUERIES, LANES), dtype=np.int32), np.empty((QUERIES, b * LANES), dtype=np.int32)
    uncertain, bins = np.empty(c, dtype=np.int64), np.empty(_BINS + 1, dtype=np.int64)
    for first in range(0, q, QUERIES):
        m = min(QUERIES, q - first)
        for a in range(QUERIES):
            scales[a] = _quantise(queries[min(first + a, q - 1), :d], steps, codes[a])
        for block in range(b):
            sums[:] = _LEAST
            compare(blocks, block, codes, who, 0, thresholds, sums)
            products[:, block * LANES : (block + 1) * LANES] = sums
        for a in range(m):
            _select_cells(products[a, :c], scales[a], uncertain, bins, visited[first + a], bases[first + a])


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _select_cells(products, scale, uncertain, bins, visited, bases):  # type: ignore[no-untyped-def]
    """The cells of the p largest products (c,): visited (p,), the nearest first, and the scaled products: bases (p,).

    uncertain (c,), bins (_BINS + 1,)  scratch
    """
    c, p = products.shape[0], visited.shape[0]
    highest, lowest = products.max(), products.min()
    width = (np.int64(highest) - lowest) // _BINS + 1
    bins[:] = 0
    for cell in range(c):
        bins[(np.int64(highest) - products[cell]) // width] += 1
    last, certain = 0, bins[0]  # the bin in which the p-th largest is, and the number up to it
    while certain < p:
        last += 1
        certain += bins[last]
    hits, count = 0, 0
    for cell in range(c):
        bin_ = (np.int64(highest) - products[cell]) // width
        if bin_ < last:
            visited[hits] = cell
            hits += 1
        elif bin_ == last:
            uncertain[count] = (np.int64(products[cell]) << 32) | cell
            count += 1
    if hits < p:
        partition(None, uncertain, count, p - hits)
    for i in range(p - hits):
        visited[hits + i] = uncertain[i] & _LOW
    best = 0
    for j in range(p):
        bases[j] = scale * np.float32(products[visited[j]])
        best = j if bases[j] > bases[best] else best
    visited[0], visited[best] = visited[best], visited[0]
    bases[0], bases[best] = bases[best], bases[0]


@numba.njit(nogil=True, cache=True)
def _visitors(count):  # type: ignore[no-untyped-def]
    """Arrays of up to `count` queries that are compared with a block, padded to whole comparisons: their places in the
    batch, products with the centroid, and thresholds of sums; and the sums of a comparison."""
    padded = -(-count // QUERIES) * QUERIES
    return (
        np.zeros(padded, dtype=np.int64),
        np.zeros(padded, dtype=np.float32),
        np.empty(padded, dtype=np.int32),
        np.empty((QUERIES, LANES), dtype=np.int32),
    )


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _quantise(query, steps, codes):  # type: ignore[no-untyped-def]
    """Write codes (g,) of the products of a query (d,) with the steps; returns what 1 of a product of codes stands
    for."""
    largest = np.float32(0)
    for j in range(query.shape[0]):
        largest = max(largest, abs(query[j] * steps[j]))
    scale = largest / np.float32(127) if largest > 0 else np.float32(1)
    for g in range(codes.shape[0]):
        value = np.int64(0)
        for byte in range(min(4, query.shape[0] - 4 * g)):
            code = np.int64(np.rint(query[4 * g + byte] * steps[4 * g + byte] / scale))
            value |= (code & 255) << (8 * byte)
        codes[g] = value
    return scale


@numba.njit(nogil=True, cache=True)
def _order_visits(visited, members, begin, end, visits, starts):  # type: ignore[no-untyped-def]
    """Write the visits of the cells visited[members, begin:end], ordered by cell: the cell in the upper half of a
    number, the place in members and the column in the quarters below. Returns their number."""
    m, c = members.shape[0], starts.shape[0] - 1
    count = m * (end - begin)
    if count < c:  # sorting is faster than counting
        at = 0
        for a in range(m):
            for j in range(begin, end):
                visits[at] = (visited[members[a], j] << 32) | (a << 24) | j
                at += 1
        if m > 1:
            visits[:count].sort()
        return count
    starts[:] = 0
    for a in range(m):
        for j in range(begin, end):
            starts[visited[members[a], j] + 1] += 1
    for cell in range(c):
        starts[cell + 1] += starts[cell]
    for a in range(m):
        for j in range(begin, end):
            cell = visited[members[a], j]
            visits[starts[cell]] = (cell << 32) | (a << 24) | j
            starts[cell] += 1
    return count


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _visit_cells(visits, members, lists, code_size, d, arranged, bases, state, k, visitors):  # type: ignore[no-untyped-def]
    """Compare queries with the cells that they visit, and keep candidates for the k best of each."""
    who, own_bases, thresholds, _ = visitors
    _, scales, least, _, _ = state
    at = 0
    while at < visits.shape[0]:
        cell, m = visits[at] >> 32, 0
        while at < visits.shape[0] and visits[at] >> 32 == cell:
            a = (visits[at] >> 24) & 255
            base = bases[members[a], visits[at] & 0xFFFFFF]
            who[m], own_bases[m], thresholds[m] = a, base, _threshold(least[a], base, scales[a])
            m += 1
            at += 1
        for a in range(m, min(m + QUERIES, thresholds.shape[0])):
            who[a], thresholds[a] = 0, np.int32(_MOST)
        size = lists[cell, 2]
        for start in range(0, size, _BLOCKS * LANES):
            number = min(_BLOCKS * LANES, size - start)
            arrange(lists[cell, 0] + start * code_size, code_size, d, number, arranged)
            rows = carray(int64s(lists[cell, 1] + 8 * start), (number,))
            _compare_blocks(arranged, number, rows, m, state, k, visitors)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _compare_blocks(blocks, size, rows, m, state, k, visitors):  # type: ignore[no-untyped-def]
    """Compare m queries with codes, and keep candidates.

    blocks   (≥ ⌈size / 16⌉, g, 16) int32
    rows     (size,) int64 labels
    state    of all queries: their codes, what 1 of a sum stands for, the score that candidates exceed, the number of
             candidates, and their keys, of which the k best count
    visitors the m queries, see `_visitors`
    """
    who, bases, thresholds, sums = visitors
    codes, scales, least, counts, kept = state
    for b in range(-(-size // LANES)):
        lanes = min(LANES, size - b * LANES)
        valid = np.uint64((1 << lanes) - 1) * _EACH
        for first in range(0, m, QUERIES):
            bits = compare(blocks, b, codes, who, first, thresholds, sums) & valid
            while bits:
                bit = lowest_bit(bits)
                bits &= bits - np.uint64(1)
                a, lane = first + bit // LANES, bit % LANES
                i = who[a]
                score = bases[a] + scales[i] * np.float32(sums[bit // LANES, lane])
                if score > least[i]:
                    count = counts[i]
                    kept[i, count] = _key_of(score, rows[b * LANES + lane])
                    count += 1
                    if count == kept.shape[1]:
                        least[i], count = _score_of(partition(None, kept[i], count, k)), k
                        thresholds[a] = _threshold(least[i], bases[a], scales[i])
                    counts[i] = count


@numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _key_of(score, label):  # type: ignore[no-untyped-def]
    """The key of a score and a label."""
    bits = np.int64(np.float32(score).view(np.int32))
    return ((bits ^ ((bits >> 31) & 0x7FFFFFFF)) << 32) | label


@numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _score_of(key):  # type: ignore[no-untyped-def]
    """The score of a key."""
    bits = key >> 32
    return np.int32(bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(np.float32)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _threshold(least, base, scale):  # type: ignore[no-untyped-def]
    """The sum above which a score may exceed the least one; rounding errors of float32 are left to the comparison of
    scores."""
    exact = (np.float64(least) - base) / scale
    return np.int32(min(max(np.floor(exact - 1e-6 * abs(exact)) - 1, _LEAST), _MOST - 1))
