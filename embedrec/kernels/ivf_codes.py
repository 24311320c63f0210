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

from embedrec.kernels.byte_products import (
    LANES,
    QUERIES,
    compare,
    compare_alone,
    load_int32,
    lowest_bit,
    multiply,
    multiply_alone,
    transpose,
)
from embedrec.kernels.prefetch import LINE, fetch, int64s, uint8s
from embedrec.kernels.rescore import fetch_row, fetch_rows, keep_best, read_query
from embedrec.kernels.topk import partition

_BATCH = 256  # queries that visit cells together
_BLOCKS = 64  # of a cell, arranged at a time
BUFFER = 4  # candidates, in units of k, that are kept until the worst are dropped
_MAX_KEPT = 1 << 20  # candidates of a batch
_FEW_CELLS = 2  # a query that visits fewer cells than one in so many blocks selects them among the best of blocks
_BINS = 512  # of the products of a query that visits more
_EACH = np.uint64(0x0001000100010001)  # a bit for each query of a comparison
_FETCHED = 1 << 14  # bytes of a cell that are prefetched while the one before is compared
_ONE = np.uint64(1)
_LEAST, _MOST = -(2.0**31), 2.0**31 - 1
LOW = 0xFFFFFFFF
_PLACE = 22  # bits of a column in a visit, below those of the place in the batch
_COLUMN = (1 << _PLACE) - 1
MAX_NORM = 2e18  # of a query, above which scores may overflow


@numba.njit(nogil=True, cache=True, error_model="numpy")
def search_codes(  # type: ignore[no-untyped-def]
    lists,
    code_size,
    steps,
    blocks,
    halves,
    residual,
    probes,
    queries,
    count,
    labels,
    vectors,
    rows,
    metric,
    best_rows,
    scores,
):
    """The vectors of largest inner product in the nearest cells of each query, and the best of them by exact scores.

    lists      (c, 3) int64: addresses of the codes (uint8) and labels (int64, below 2³²) of each cell, and their number
    code_size  bytes from one code to the next, at least d
    steps      (2, d) float32: what 1 of a code stands for in each dimension, of centroids and of vectors
    blocks     (≥ ⌈c / 16⌉, ⌈d / 4⌉, 16) int32 codes of the centroids, a multiple of four blocks, see `arrange`
    halves     (c,) float32 half the squared norms of the centroids, by which cells are ordered by distance from a query
               of norm 1; (0,) for an order by products
    residual   whether codes are of differences from centroids
    probes     number of cells that a query visits, at most c
    queries    (q, ≥ d) float32; dimensions beyond d do not count
    count      number of these vectors a query
    labels     (q, count) int64, written: the best first, −1 for missing; with best_rows (q, 0)
    vectors    (n, d) float32 exact vectors
    rows       (f,) int64 the row of each label; (0,) if labels are rows
    metric     see `rescore`
    best_rows  (q, k) int64, scores (q, k) float32: written; with labels (q, 0)

    Returns whether every query has k results and a norm below 2e18. A zero query has the first rows.
    """
    q, c, d, groups = queries.shape[0], lists.shape[0], steps.shape[1], blocks.shape[1]
    units, norms = np.empty((q, d), dtype=np.float32), np.empty(q)
    for i in range(q):
        norms[i] = scale_to_unit(queries[i], units[i])
    visited, bases = np.empty((q, probes), dtype=np.int64), np.empty((q, probes), dtype=np.float32)
    find_cells(steps[0], c, blocks, halves, units, visited, bases)
    if not residual:
        bases[:] = 0
    order = np.argsort(visited[:, 0], kind="mergesort") if q > 1 else np.zeros(q, dtype=np.int64)
    width = BUFFER * count + 1
    batch = max(1, min(_BATCH, q, _MAX_KEPT // width))
    kept, counts = np.empty((batch, width), dtype=np.int64), np.empty(batch, dtype=np.int64)
    least, scales = np.empty(batch, dtype=np.float32), np.empty(batch, dtype=np.float32)
    codes, arranged = np.empty((batch, groups), dtype=np.int32), np.empty((_BLOCKS, groups, LANES), dtype=np.int32)
    visits, starts = np.empty(batch * probes, dtype=np.int64), np.empty(c + 1, dtype=np.int64)
    state, visitors = (codes, scales, least, counts, kept), visitors_of(batch)
    exact, complete = (vectors, rows, queries, norms, metric, best_rows, scores), True
    for first in range(0, q, batch):
        members = order[first : first + batch]
        counts[:] = 0
        least[:] = -np.inf
        for a in range(members.shape[0]):
            scales[a] = quantise(units[members[a]], steps[1], codes[a])
        # the nearest cell first: few vectors of the other cells exceed its best
        for begin, end in ((0, 1), (1, probes)):
            number = _order_visits(visited, members, begin, end, visits, starts)
            _visit_cells(visits[:number], members, lists, code_size, d, arranged, bases, state, count, visitors)
            for a in range(members.shape[0]):
                if counts[a] > count:
                    least[a] = score_of(partition(None, kept[a], counts[a], count))
                    counts[a] = count
        for a in range(members.shape[0]):
            if labels.shape[1]:
                kept[a, : counts[a]].sort()
                _labels_of_keys(kept[a, : counts[a]], labels[members[a]])
            else:
                _labels_of_keys(kept[a, : counts[a]], kept[a, :count])
        if best_rows.shape[1]:
            complete &= _rescore(members, kept[:, :count], exact)
    return complete


@numba.njit(nogil=True, cache=True)
def _labels_of_keys(keys, labels):  # type: ignore[no-untyped-def]
    """Write the labels of the keys, the last first, and −1 after them; both may be one array."""
    size = keys.shape[0]
    for i in range((size + 1) // 2):
        low, high = keys[i] & LOW, keys[size - 1 - i] & LOW
        labels[i], labels[size - 1 - i] = high, low
    labels[size:] = -1


@numba.njit(nogil=True, cache=True, error_model="numpy")
def scale_to_unit(query, scaled):  # type: ignore[no-untyped-def]
    """Write the first d dimensions of a query, over its norm, to scaled (d,); returns the norm."""
    total = 0.0
    for j in range(scaled.shape[0]):
        total += np.float64(query[j]) * np.float64(query[j])
    norm = np.sqrt(total)
    factor = 1 / norm if norm > 0 else 0.0
    for j in range(scaled.shape[0]):
        scaled[j] = query[j] * factor
    return norm


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _rescore(members, labels, exact):  # type: ignore[no-untyped-def]
    """Write the best of the labels (m, count) of some queries (m,), neighbours of which share candidates; `labels` is
    overwritten. Returns whether all is complete, see `search_codes`."""
    vectors, _, queries, norms, metric, best_rows, scores = exact
    query, keys, complete = np.empty(vectors.shape[1]), np.empty(best_rows.shape[1]), True
    for a in range(-1, members.shape[0]):
        if a + 1 < members.shape[0]:
            _fetch_candidates(members[a + 1], labels[a + 1], exact)
        if a >= 0:
            i = members[a]
            keep_best(vectors, labels[a], query, read_query(queries, i, query), metric, best_rows[i], keys)
            for j in range(keys.shape[0]):
                scores[i, j] = keys[j]
            complete &= best_rows[i, keys.shape[0] - 1] >= 0 and norms[i] <= MAX_NORM
    return complete


@numba.njit(nogil=True, cache=True)
def _fetch_candidates(i, labels, exact):  # type: ignore[no-untyped-def]
    """Replace the labels (count,) of query i by rows, and prefetch what their scores need."""
    vectors, rows, queries, norms, _, best_rows, scores = exact
    if norms[i] == 0:
        for j in range(labels.shape[0]):
            labels[j] = j
    elif rows.shape[0]:
        for j in range(labels.shape[0]):
            labels[j] = rows[labels[j]] if labels[j] >= 0 else -1
    fetch_rows(vectors, labels)
    fetch_row(queries, i)
    fetch_row(scores, i)
    fetch_row(best_rows, i)


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
def find_cells(steps, c, blocks, halves, queries, visited, bases):  # type: ignore[no-untyped-def]
    """The cells of the centroids with the largest products with each query, less the halves of squared norms, see
    `search_codes`: visited (q, p), the nearest first, and these products, up to a constant of each query: bases
    (q, p)."""
    q, d, filled = visited.shape[0], steps.shape[0], -(-c // LANES)
    codes, scales = np.empty((QUERIES, blocks.shape[1]), dtype=np.int32), np.empty(QUERIES, dtype=np.float32)
    products = np.empty((QUERIES, blocks.shape[0] * LANES), dtype=np.int32)
    keys, counts = np.empty(c, dtype=np.int64), np.empty(max(_BINS + 1, filled), dtype=np.int64)
    for first in range(0, q, QUERIES):
        m = min(QUERIES, q - first)
        for a in range(m):
            scales[a] = quantise(queries[first + a, :d], steps, codes[a])
        if m == 1:
            multiply_alone(blocks, codes, products)
        else:
            codes[m:] = 0
            multiply(blocks, codes, products)
        for a in range(m):
            own, less = products[a], 1 / scales[a]
            own[c:] = np.int32(_LEAST)
            for cell in range(halves.shape[0]):
                own[cell] -= _whole(halves[cell], less)
            if _FEW_CELLS * visited.shape[1] <= filled:
                _select_few_cells(own[: filled * LANES], keys, counts, visited[first + a])
            else:
                _select_cells(own[:c], keys, counts, visited[first + a])
            for j in range(visited.shape[1]):
                cell = visited[first + a, j]
                product = own[cell] + _whole(halves[cell], less) if halves.shape[0] else own[cell]
                bases[first + a, j] = scales[a] * np.float32(product)


@numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _whole(half, less):  # type: ignore[no-untyped-def]
    """A half of a squared norm in units of products; far from overflow, where products differ by nothing else."""
    return np.int32(min(half * less, np.float32(1 << 29)))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _select_few_cells(products, keys, best, visited):  # type: ignore[no-untyped-def]
    """`_select_cells` for p at most the number of blocks of the products (16 · b,): the p-th largest of the best of
    each block is at most the p-th largest product.

    keys (≥ c,), best (≥ b,)  scratch
    """
    b, p = products.shape[0] // LANES, visited.shape[0]
    for block in range(b):
        highest = products[block * LANES]
        for cell in range(block * LANES + 1, (block + 1) * LANES):
            highest = max(highest, products[cell])
        best[block] = (np.int64(highest) << 32) | block
    least = partition(None, best, b, p) >> 32
    count = 0
    for i in range(b):
        if best[i] >> 32 >= least:
            block = best[i] & LOW
            for cell in range(block * LANES, (block + 1) * LANES):
                if products[cell] >= least:
                    keys[count] = (np.int64(products[cell]) << 32) | cell
                    count += 1
    if count > p:
        partition(None, keys, count, p)
    _write_cells(products, keys, 0, visited)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _select_cells(products, keys, bins, visited):  # type: ignore[no-untyped-def]
    """The cells of the p largest products (c,): visited (p,), the nearest first. By a histogram.

    keys (c,), bins (≥ _BINS + 1,)  scratch
    """
    c, p = products.shape[0], visited.shape[0]
    highest, lowest = products.max(), products.min()
    shift = 0  # a bin holds 2 ** shift products: a division takes longer than all the rest
    while (np.int64(highest) - lowest) >> shift >= _BINS:
        shift += 1
    bins[:] = 0
    for cell in range(c):
        bins[(np.int64(highest) - products[cell]) >> shift] += 1
    last, certain = 0, bins[0]  # the bin in which the p-th largest is, and the number up to it
    while certain < p:
        last += 1
        certain += bins[last]
    hits, count = 0, 0
    for cell in range(c):
        bin_ = (np.int64(highest) - products[cell]) >> shift
        if bin_ < last:
            visited[hits] = cell
            hits += 1
        elif bin_ == last:
            keys[count] = (np.int64(products[cell]) << 32) | cell
            count += 1
    if hits < p:
        partition(None, keys, count, p - hits)
    _write_cells(products, keys, hits, visited)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _write_cells(products, keys, hits, visited):  # type: ignore[no-untyped-def]
    """Complete the cells visited (p,), of which so many are known, by the first keys; the nearest comes first."""
    p = visited.shape[0]
    for i in range(p - hits):
        visited[hits + i] = keys[i] & LOW
    best = 0
    for j in range(1, p):
        best = j if products[visited[j]] > products[visited[best]] else best
    visited[0], visited[best] = visited[best], visited[0]


@numba.njit(nogil=True, cache=True)
def visitors_of(count):  # type: ignore[no-untyped-def]
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
def quantise(query, steps, codes):  # type: ignore[no-untyped-def]
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
    number, the place in members and the column in the lower, see `_PLACE`. Returns their number."""
    m, c = members.shape[0], starts.shape[0] - 1
    count = m * (end - begin)
    if count < c:  # sorting is faster than counting
        at = 0
        for a in range(m):
            for j in range(begin, end):
                visits[at] = (visited[members[a], j] << 32) | (a << _PLACE) | j
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
            visits[starts[cell]] = (cell << 32) | (a << _PLACE) | j
            starts[cell] += 1
    return count


@numba.njit(nogil=True, cache=True)
def _fetch_codes(lists, cell, code_size):  # type: ignore[no-untyped-def]
    """Prefetch the first codes of a cell."""
    size = min(lists[cell, 2] * code_size, _FETCHED)
    codes = carray(uint8s(lists[cell, 0]), (size,))
    for place in range(0, size, LINE):
        fetch(codes, place)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _visit_cells(visits, members, lists, code_size, d, arranged, bases, state, k, visitors):  # type: ignore[no-untyped-def]
    """Compare queries with the cells that they visit, and keep candidates for the k best of each."""
    who, own_bases, thresholds, _ = visitors
    _, scales, least, _, _ = state
    at = 0
    while at < visits.shape[0]:
        cell, m = visits[at] >> 32, 0
        while at < visits.shape[0] and visits[at] >> 32 == cell:
            a = (visits[at] & LOW) >> _PLACE
            base = bases[members[a], visits[at] & _COLUMN]
            who[m], own_bases[m], thresholds[m] = a, base, threshold_of(least[a], base, scales[a])
            m += 1
            at += 1
        if at < visits.shape[0]:
            _fetch_codes(lists, visits[at] >> 32, code_size)
        for a in range(m, min(m + QUERIES, thresholds.shape[0])):
            who[a], thresholds[a] = 0, np.int32(_MOST)
        size = lists[cell, 2]
        for start in range(0, size, _BLOCKS * LANES):
            number = min(_BLOCKS * LANES, size - start)
            arrange(lists[cell, 0] + start * code_size, code_size, d, number, arranged)
            rows = carray(int64s(lists[cell, 1] + 8 * start), (number,))
            compare_blocks(arranged, number, rows, m, state, k, visitors)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def compare_blocks(blocks, size, rows, m, state, k, visitors):  # type: ignore[no-untyped-def]
    """Compare m queries with codes, and keep candidates.

    blocks   (≥ ⌈size / 16⌉, g, 16) int32, a multiple of four
    rows     (size,) int64 labels
    state    of all queries: their codes, what 1 of a sum stands for, the score that candidates exceed, the number of
             candidates, and their keys, of which the k best count
    visitors the m queries, see `visitors_of`
    """
    who, bases, thresholds, sums = visitors
    codes, scales, least, counts, kept = state
    single = m - 1 if m % QUERIES == 1 else m  # a query that is left is compared with several blocks at a time
    for b in range(-(-size // LANES)):
        left = size - b * LANES
        for first in range(0, m, QUERIES):
            alone = first == single
            if not alone:
                lanes = np.uint64(min(LANES, left))
                bits = compare(blocks, b, codes, who, first, thresholds, sums) & (_EACH * ((_ONE << lanes) - _ONE))
            elif b % QUERIES == 0:
                bits = compare_alone(blocks, b, codes, who, first, thresholds, sums)
                if left < QUERIES * LANES:
                    bits &= (_ONE << np.uint64(left)) - _ONE
            else:
                continue
            while bits:
                bit = lowest_bit(bits)
                bits &= bits - _ONE
                a = first if alone else first + bit // LANES
                i = who[a]
                score = bases[a] + scales[i] * np.float32(sums[bit // LANES, bit % LANES])
                if score > least[i]:
                    count = counts[i]
                    kept[i, count] = key_of(score, rows[b * LANES + (bit if alone else bit % LANES)])
                    count += 1
                    if count == kept.shape[1]:
                        least[i], count = score_of(partition(None, kept[i], count, k)), k
                        thresholds[a] = threshold_of(least[i], bases[a], scales[i])
                    counts[i] = count


@numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def key_of(score, label):  # type: ignore[no-untyped-def]
    """The key of a score and a label."""
    bits = np.int64(np.float32(score).view(np.int32))
    return ((bits ^ ((bits >> 31) & 0x7FFFFFFF)) << 32) | label


@numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def score_of(key):  # type: ignore[no-untyped-def]
    """The score of a key."""
    bits = key >> 32
    return np.int32(bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(np.float32)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def threshold_of(least, base, scale):  # type: ignore[no-untyped-def]
    """The sum above which a score may exceed the least one; rounding errors of float32 are left to the comparison of
    scores."""
    exact = (np.float64(least) - base) / scale
    return np.int32(min(max(np.floor(exact - 1e-6 * abs(exact)) - 1, _LEAST), _MOST - 1))
