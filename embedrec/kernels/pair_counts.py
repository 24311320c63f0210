"""Co-occurrence counts: pairs of mentions in sessions, added up item by item.

An inverted index leads from an item to its mentions. Each item is counted in a dense scratch array, so that memory does
not grow with the number of pairs, and items can be assigned to threads in any way.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from embedrec.kernels.topk import keep_best

# Scores of a pair of items a and b by their count c, see `Formula`.
COUNT, TIMES, RATIO, SUM, UNION, LOG = range(6)


class Mentions(NamedTuple):
    """Mentions of n items in S sessions, and the weights of pairs.

    offsets, items  the sessions: (S+1,) int64, (E,) int32
    session         (E,) int32 session of each mention
    starts, places  (n+1,) int64, (E,) int64: item r is mentioned at places[starts[r]:starts[r + 1]], ascending
    gap             (g+1,) all positive: weight of a pair by the distance of its mentions, 1 … g; farther pairs do not
                    count. Counts have the dtype of `gap`: float64, or float32 for whole numbers below 2²⁴
    factor          (S,) float64, all positive: factor of the pairs of a session; (0,) for 1
    times           (E,) float64: multiplicity of each mention; (0,) for 1. With multiplicities every item is mentioned
                    once a session, and pairs of an item with itself are those among its own mentions
    back            whether pairs count in both directions
    itself          whether an item can be paired with itself
    ascending       whether rows ascend within each session; then all mentions of a session are paired
    """

    offsets: np.ndarray
    items: np.ndarray
    session: np.ndarray
    starts: np.ndarray
    places: np.ndarray
    gap: np.ndarray
    factor: np.ndarray
    times: np.ndarray
    back: bool
    itself: bool
    ascending: bool


class Formula(NamedTuple):
    """The score of item b as a neighbour of item a, by their count c. `kind` is one of

    COUNT  c
    TIMES  c · x[a] · y[b]
    RATIO  c / (x[a] · y[b] + plus)
    SUM    c / (x[a] + y[b])
    UNION  c / (x[a] + y[b] − c + plus)
    LOG    ln(c / (x[a] · y[b] + plus)) − less

    x, y       (n,) float64; (0,) for COUNT
    threshold  lower scores are dropped, and all that are not positive
    """

    kind: int
    x: np.ndarray
    y: np.ndarray
    plus: float
    less: float
    threshold: float


@numba.njit(nogil=True, cache=True)
def index_mentions(items, n, places):  # type: ignore[no-untyped-def]
    """The places of each item's mentions (counting sort), see `Mentions`: starts (n + 1,) int64.

    items   (E,) int32 rows below n
    places  (E,) int64, written
    """
    starts = np.zeros(n + 1, np.int64)
    for i in range(items.shape[0]):
        starts[items[i] + 1] += 1
    for r in range(n):
        starts[r + 1] += starts[r]
    free = starts[:n].copy()
    for i in range(items.shape[0]):
        places[free[items[i]]] = i
        free[items[i]] += 1
    return starts


@numba.njit(nogil=True, cache=True)
def count_reached(offsets, items, n, reach, back, factor):  # type: ignore[no-untyped-def]
    """The number of pairs of each item, multiplied by the factors of their sessions: (n,) float64.

    reach  greatest distance of a pair; all distances have weight 1
    The other arguments are those of `Mentions`.
    """
    total = np.zeros(n, np.float64)
    for s in range(offsets.shape[0] - 1):
        each = factor[s] if factor.shape[0] else 1.0
        for i in range(offsets[s], offsets[s + 1]):
            count = min(reach, offsets[s + 1] - 1 - i)
            if back:
                count += min(reach, i - offsets[s])
            total[items[i]] += count * each
    return total


@numba.njit(nogil=True, cache=True)
def sum_factors(items, session, factor, n):  # type: ignore[no-untyped-def]
    """The sum of the factors of the sessions that contain each item: (n,) float64."""
    total = np.zeros(n, np.float64)
    for i in range(items.shape[0]):
        total[items[i]] += factor[session[i]]
    return total


@numba.njit(nogil=True, cache=True)
def first_mentions(offsets, items, new, n, ascending, ends, kept, session):  # type: ignore[no-untyped-def]
    """Keep each item once a session, at its first mention.

    offsets, items  the sessions
    new             int32: new row below n of each item; −1 for dropped items
    ascending       whether to sort the items of a session by row, where their order has no meaning
    ends            (S+1,) int64, written: the offsets of the result
    kept, session   (E,) int32, written up to the returned number: items and their sessions
    """
    last = np.full(n, -1, np.int64)  # the latest session that contains the item
    at = 0
    ends[0] = 0
    for s in range(offsets.shape[0] - 1):
        for i in range(offsets[s], offsets[s + 1]):
            row = new[items[i]]
            if row >= 0 and last[row] != s:
                last[row] = s
                kept[at] = row
                session[at] = s
                at += 1
        ends[s + 1] = at
        if ascending:
            kept[ends[s] : at].sort()
    return at


@numba.njit(nogil=True, cache=True)
def count_repeats(offsets, items, ends, kept, n, times):  # type: ignore[no-untyped-def]
    """The multiplicity of each item in its session, for the result of `first_mentions` with all n rows unchanged.

    offsets, items  the sessions
    ends, kept      offsets and items of the result of `first_mentions`, sorted or not
    times           as long as `kept`, written
    """
    place = np.zeros(n, np.int64)
    for s in range(offsets.shape[0] - 1):
        for i in range(ends[s], ends[s + 1]):
            place[kept[i]] = i
            times[i] = 0
        for i in range(offsets[s], offsets[s + 1]):
            times[place[items[i]]] += 1


@numba.njit(nogil=True, cache=True)
def add_pairs(m, item, total, touched):  # type: ignore[no-untyped-def]
    """Add up the pairs of an item.

    m        Mentions
    total    (n,) of 0, written: the count of each neighbouring item
    touched  (> n,) uint32, written: neighbouring items in the order of their first pair
    Returns their number.
    """
    reach, met = m.gap.shape[0] - 1, 0
    for p in range(m.starts[item], m.starts[item + 1]):
        own_row = m.places[p]
        s = m.session[own_row]
        each = m.factor[s] if m.factor.shape[0] else m.gap.dtype.type(1)
        if m.times.shape[0]:
            for i in range(max(m.offsets[s], own_row - reach), min(m.offsets[s + 1], own_row + reach + 1)):
                row = np.uint32(m.items[i])
                other = m.times[i] - (i == own_row)
                if other == 0:
                    continue
                touched[met] = row
                met += total[row] == 0
                total[row] += m.gap[abs(i - own_row)] * each * m.times[own_row] * other
            continue
        if m.back:
            for i in range(max(m.offsets[s], own_row - reach), own_row):
                row = np.uint32(m.items[i])  # an unsigned index needs one check less
                touched[met] = row
                met += total[row] == 0
                total[row] += m.gap[own_row - i] * each
        for i in range(own_row + 1, min(m.offsets[s + 1], own_row + reach + 1)):
            row = np.uint32(m.items[i])
            touched[met] = row
            met += total[row] == 0
            total[row] += m.gap[i - own_row] * each
    if not m.itself:
        total[item] = 0
    return met


@numba.njit(nogil=True, cache=True)
def score(f, a, b, c):  # type: ignore[no-untyped-def]
    """The score of b as a neighbour of a, whose count is c, by a Formula: float32."""
    if f.kind == COUNT:
        return np.float32(c)
    if f.kind == TIMES:
        return np.float32(c * (f.x[a] * f.y[b]))
    if f.kind == RATIO:
        return np.float32(c / (f.x[a] * f.y[b] + f.plus))
    if f.kind == SUM:
        return np.float32(c / (f.x[a] + f.y[b]))
    if f.kind == UNION:
        return np.float32(c / (f.x[a] + f.y[b] - c + f.plus))
    return np.float32(np.log(c / (f.x[a] * f.y[b] + f.plus)) - f.less)


@numba.njit(nogil=True, cache=True)
def score_neighbours(m, f, item, above, total, touched, rows, scores):  # type: ignore[no-untyped-def]
    """The neighbours of an item and their scores, in the order of their first pair; returns their number.

    m, f          Mentions, Formula
    above         only higher rows count
    total         as in `add_pairs`; all 0 again afterwards
    touched       as in `add_pairs`
    rows, scores  (≥ neighbours,) int32 or uint32, float32, written; rows may be `touched` itself
    """
    count = 0
    for t in range(add_pairs(m, item, total, touched)):
        row = touched[t]
        value = score(f, item, row, total[row])
        total[row] = 0
        if value > 0 and value >= f.threshold and np.int64(row) > above:
            rows[count], scores[count] = row, value
            count += 1
    return count


@numba.njit(nogil=True, cache=True)
def best_neighbours(m, f, first, last, rows, scores):  # type: ignore[no-untyped-def]
    """The best neighbours of each of the items first … last − 1.

    m, f          Mentions, Formula
    rows, scores  (last − first, w) int32 of −1, float32 of −inf, written: best first, ties by lower row
    Returns the length of the longest list.
    """
    n, longest = m.starts.shape[0] - 1, 0
    total, touched, values = np.zeros(n, m.gap.dtype), np.empty(n + 1, np.uint32), np.empty(n, np.float32)
    keys = np.empty(n, np.uint64)
    for item in range(first, last):
        count = score_neighbours(m, f, item, -1, total, touched, touched, values)
        longest = max(longest, keep_best(touched, values, count, keys, rows[item - first], scores[item - first]))
    return longest


@numba.njit(nogil=True, cache=True)
def score_pairs(m, f, first, last, starts, ends, rows, scores):  # type: ignore[no-untyped-def]
    """The scores of the items first … last − 1 with items of higher rows, in the order of their first pair.

    m, f          Mentions, Formula
    starts        (last − first,) int64 place of each item's first neighbour in `rows` and `scores`
    ends          (last − first,) int64, written: place after each item's last neighbour
    rows, scores  int32 and float32, written
    """
    n = m.starts.shape[0] - 1
    total, touched = np.zeros(n, m.gap.dtype), np.empty(n + 1, np.uint32)
    for item in range(first, last):
        at = starts[item - first]
        ends[item - first] = at + score_neighbours(m, f, item, item, total, touched, rows[at:], scores[at:])
