"""Rules "after this item, that one": what stands near the mentions of an item, added up item by item.

An inverted index leads from an item to its mentions. One item at a time is counted in a dense scratch pad, so that
memory does not grow with the number of pairs, and items can be dealt to threads in any way.
"""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.topk import replace_worst, sort_heap


@numba.njit(nogil=True, cache=True)
def mentions(items, n):  # type: ignore[no-untyped-def]
    """Where each item is mentioned: item r at places[starts[r]:starts[r + 1]], ascending (counting sort).

    items  (E,) int32 rows below n
    Returns starts (n + 1,) and places (E,), int64.
    """
    starts = np.zeros(n + 1, np.int64)
    for i in range(items.shape[0]):
        starts[items[i] + 1] += 1
    for r in range(n):
        starts[r + 1] += starts[r]
    free = starts[:n].copy()
    places = np.empty(items.shape[0], np.int64)
    for i in range(items.shape[0]):
        places[free[items[i]]] = i
        free[items[i]] += 1
    return starts, places


@numba.njit(nogil=True, cache=True)
def pairs(offsets, items, n, reach, back):  # type: ignore[no-untyped-def]
    """How many other mentions the mentions of each item reach: (n,) int64; see `rules`."""
    count = np.zeros(n, np.int64)
    for s in range(offsets.shape[0] - 1):
        for i in range(offsets[s], offsets[s + 1]):
            count[items[i]] += min(reach, offsets[s + 1] - 1 - i)
            if back:
                count[items[i]] += min(reach, i - offsets[s])
    return count


@numba.njit(nogil=True, cache=True)
def rules(offsets, items, session, starts, places, weight, back, itself, first, room):  # type: ignore[no-untyped-def]
    """The best rules of c items, first … first + c − 1: what comes after them, by the sum of weights.

    offsets, items   the sessions
    session          (E,) int32 session of each event
    starts, places   from `mentions`
    weight           (g + 1,) float64, all positive: what an item counts that comes 1 … g places later, by that number
    back             whether what comes before counts as much
    itself           whether an item can come after itself
    room             (c,) int64: at most so many rules of each
    Returns how many rules each has (c,) int64, and rows int32 and scores float32 of all of them, one item's after the
    other's, best first, ties by lower row.
    """
    n, reach = starts.shape[0] - 1, weight.shape[0] - 1
    total = np.zeros(n, np.float64)
    touched = np.empty(n, np.int32)
    found = np.zeros(room.shape[0], np.int64)
    rows, scores = np.full(room.sum(), -1, np.int32), np.full(room.sum(), -np.inf, np.float32)
    at = 0
    for c in range(room.shape[0]):
        item, met = first + c, 0
        for p in range(starts[item], starts[item + 1]):
            here = places[p]
            begin, end = offsets[session[here]], offsets[session[here] + 1]
            for i in range(max(begin, here - reach) if back else here + 1, min(end, here + reach + 1)):
                if i == here or (items[i] == item and not itself):
                    continue
                if total[items[i]] == 0:
                    touched[met] = items[i]
                    met += 1
                total[items[i]] += weight[abs(i - here)]
        size = min(met, room[c])
        best_rows, best_scores = rows[at : at + size], scores[at : at + size]
        for t in range(met):
            row = touched[t]
            score = np.float32(total[row])
            total[row] = 0
            if size and (score > best_scores[0] or (score == best_scores[0] and row < best_rows[0])):
                replace_worst(best_rows, best_scores, row, score)
        sort_heap(best_rows, best_scores)
        found[c] = size
        at += size
    return found, rows[:at].copy(), scores[:at].copy()
