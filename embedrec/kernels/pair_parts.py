"""Counting of item pairs in parts: sessions go to the parts of their items, and sums of one item from many sessions."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.pair_counts import add_pairs, score


@numba.njit(nogil=True, cache=True)
def add_loads(items, starts, ends, sizes, n):  # type: ignore[no-untyped-def]
    """For each item, its mentions in pieces of sessions and the sizes of these pieces, added up: two (n,) float64.

    items  (E,) int32; piece p has the mentions items[starts[p]:ends[p]] and the size sizes[p]
    """
    mentions, loads = np.zeros(n, np.float64), np.zeros(n, np.float64)
    for p in range(starts.shape[0]):
        for i in range(starts[p], ends[p]):
            mentions[items[i]] += 1
            loads[items[i]] += sizes[p]
    return mentions, loads


@numba.njit(nogil=True, cache=True)
def route_pieces(items, starts, ends, session, part_of, bases, salts, part, piece):  # type: ignore[no-untyped-def]
    """The parts that count the pairs of each piece of a session; returns their number.

    items    (E,) int32; piece p has the mentions items[starts[p]:ends[p]] of the session session[p]
    part_of  (n,) int32 range of each item
    bases    (ranges,) int64 first part of each range
    salts    (ranges,) int64 number of parts of each range, among which sessions are distributed
    part, piece  (≥ mentions of all pieces,) int32 and int64, written: each part of each piece once
    """
    latest = np.full(bases.shape[0], -1, np.int64)  # the piece that was last sent to the range
    count = 0
    for p in range(starts.shape[0]):
        for i in range(starts[p], ends[p]):
            chosen = part_of[items[i]]
            if latest[chosen] != p:
                latest[chosen] = p
                part[count] = bases[chosen] + session[p] % salts[chosen]
                piece[count] = p
                count += 1
    return count


@numba.njit(nogil=True, cache=True)
def copy_pieces(values, starts, ends, out):  # type: ignore[no-untyped-def]
    """Write values[starts[p]:ends[p]] of all p, one after another."""
    at = 0
    for p in range(starts.shape[0]):
        for i in range(starts[p], ends[p]):
            out[at] = values[i]
            at += 1


@numba.njit(nogil=True, cache=True)
def index_pieces(items, starts, ends, first, last, n, places):  # type: ignore[no-untyped-def]
    """The places of the mentions of some items in pieces, as in `Mentions`: starts (n + 1,) int64.

    items        (E,) int32; only the mentions items[starts[p]:ends[p]] of a piece p count
    first, last  only items first … last − 1
    places       (≥ such mentions,) int64, written
    """
    bounds = np.zeros(n + 1, np.int64)
    for p in range(starts.shape[0]):
        for i in range(starts[p], ends[p]):
            if first <= items[i] < last:
                bounds[items[i] + 1] += 1
    for r in range(n):
        bounds[r + 1] += bounds[r]
    free = bounds[first:last].copy()
    for p in range(starts.shape[0]):
        for i in range(starts[p], ends[p]):
            if first <= items[i] < last:
                places[free[items[i] - first]] = i
                free[items[i] - first] += 1
    return bounds


@numba.njit(nogil=True, cache=True)
def sum_pairs(m, item, total, touched, rows, sums):  # type: ignore[no-untyped-def]
    """The counts of an item with its neighbours, in the order of their first pair; returns their number.

    m               Mentions
    total, touched  as in `add_pairs`; total is all 0 again afterwards
    rows, sums      (≥ neighbours,) int32 and float64, written
    """
    count = 0
    for t in range(add_pairs(m, item, total, touched)):
        row = touched[t]
        if total[row] > 0:
            rows[count], sums[count] = row, total[row]
            total[row] = 0
            count += 1
    return count


@numba.njit(nogil=True, cache=True)
def add_sums(rows, sums, first, total):  # type: ignore[no-untyped-def]
    """Add counts of the neighbours `rows` to total, whose first entry is of row `first`."""
    for i in range(rows.shape[0]):
        total[rows[i] - first] += sums[i]


@numba.njit(nogil=True, cache=True)
def score_sums(f, item, above, total, first, rows, scores):  # type: ignore[no-untyped-def]
    """The neighbours of an item and their scores by added counts, by ascending row; returns their number.

    f             Formula
    above         only higher rows count
    total         counts of the rows first, first + 1, …
    rows, scores  (≥ neighbours,) uint32 and float32, written
    """
    count = 0
    for j in range(total.shape[0]):
        if total[j] > 0 and first + j > above:
            value = score(f, item, first + j, total[j])
            if value > 0 and value >= f.threshold:
                rows[count], scores[count] = first + j, value
                count += 1
    return count
