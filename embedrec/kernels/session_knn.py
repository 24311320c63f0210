"""The nearest past sessions of a history, through an inverted index: the innermost loops of every session kNN.

Sessions are numbered so that higher numbers are preferred when a sample is taken: by recency, oldest first, for every
sampling but one. Lists of the inverted index descend: the newest sessions come first, and older ones need not be read.
A mention of an item that its session repeats later is stored as ~row, so that each item counts once, at its last
position, without a look-up. The variants differ in their `KnnFormula`, see `session_formulas`.
"""

from __future__ import annotations

from math import exp, sqrt

import numba
import numpy as np

from embedrec.kernels.sampling import STEP, mix
from embedrec.kernels.session_formulas import (
    MOST_SHARED,
    NEWEST,
    RANDOM,
    S_BINARY,
    S_COSINE,
    S_JACCARD,
    S_VEC,
    W_COUNT,
    round_sum,
    weight_at,
)
from embedrec.kernels.topk import replace_worst, sort_heap


@numba.njit(nogil=True, cache=True)
def distinct_items(formula, items, scratch, rows, weights, steps):  # type: ignore[no-untyped-def]
    """The distinct items among the last `formula.last` of a history, the latest first; marks all items with 1.

    items    (L,) int32 rows
    rows     (≥ L,) int32, weights (≥ L,) float64, steps (≥ L,) int64: written
    Returns their number.
    """
    first = max(0, items.shape[0] - formula.last)
    length = items.shape[0] - first
    m = 0
    for i in range(items.shape[0] - 1, first - 1, -1):
        if scratch.marks[items[i]] == 0:
            scratch.marks[items[i]] = 1
            rows[m], steps[m] = items[i], items.shape[0] - i
            weights[m] = weight_at(formula, i - first + 1, length)
            m += 1
    if formula.weight == W_COUNT:
        for j in range(m):
            weights[j] = 0
            scratch.totals[rows[j]] = j
        for i in range(first, items.shape[0]):
            weights[int(scratch.totals[items[i]])] += 1
        for j in range(m):
            scratch.totals[rows[j]] = -np.inf
    for i in range(first):
        scratch.marks[items[i]] = 1
    return m


@numba.njit(nogil=True, cache=True)
def buffer_sizes(index, offsets, items, proposed):  # type: ignore[no-untyped-def]
    """The largest number of candidates of any of these histories, `proposed` of them given, and the greatest length."""
    candidates = longest = 0
    for h in range(offsets.shape[0] - 1):
        met = 0
        for i in range(offsets[h], offsets[h + 1]):
            met += index.starts[items[i] + 1] - index.starts[items[i]]
        candidates = max(candidates, met)
        longest = max(longest, offsets[h + 1] - offsets[h])
    return min(max(candidates, proposed), index.offsets.shape[0] - 1), longest


POSITION_MASK = (1 << 31) - 1


@numba.njit(nogil=True, cache=True)
def tie_break(session, place):  # type: ignore[no-untyped-def]
    """The key that breaks ties in a heap: lower for a later session; `& POSITION_MASK` gives the place."""
    return ((np.int64(POSITION_MASK) - session) << 31) | place


@numba.njit(nogil=True, cache=True)
def select_largest(keys, session, k, chosen):  # type: ignore[no-untyped-def]
    """chosen[:k] = the places of the k largest keys, ascending, ties by later session; all places where c ≤ k.

    keys    (c,) float64, compared to 40 bits; session (c,) int32
    chosen  (> k,) or (≥ c,) int64, written
    Returns the number of chosen places.
    """
    c = keys.shape[0]
    if c <= k:
        for i in range(c):
            chosen[i] = i
        return c
    rows, scores = np.zeros(k, np.int64), np.full(k, -np.inf)
    for i in range(c):
        key, row = round_sum(keys[i]), tie_break(session[i], i)
        if key > scores[0] or (key == scores[0] and row < rows[0]):
            replace_worst(rows, scores, row, key)
    # ascending places make sums independent of the heap's order; no branch, because it would be unpredictable
    count, least, oldest = 0, scores[0], session[rows[0] & POSITION_MASK]
    for i in range(c):
        key = round_sum(keys[i])
        chosen[count] = i
        count += (key > least) | ((key == least) & (session[i] >= oldest))
    return count


@numba.njit(nogil=True, cache=True)
def _gather(index, formula, rows, weights, slot, session, dot, latest):  # type: ignore[no-untyped-def]
    """Collect the candidates of a history: sessions that share an item, by default the newest `formula.sample` of them.

    Sessions are read in windows from the newest down, and in each window the lists of all items, so that sessions older
    than the sample are not read, however long the lists are. The last window may exceed the sample and is cut.

    rows, weights  (m,) distinct items of the history, the latest first
    slot           (S,) int32 of −1; written for the candidates
    session, dot, latest  (≥ c,) written: session, weight of the shared items, position in `rows` of the latest one
    Returns c.
    """
    m, oldest = rows.shape[0], index.offsets.shape[0] - 1
    cursor, left = np.empty(m, np.int64), np.int64(0)
    density = 0.0  # postings a session
    for j in range(m):
        begin, end = index.starts[rows[j]], index.starts[rows[j] + 1]
        cursor[j] = begin
        left += end - begin
        if end > begin:
            density += (end - begin) / (oldest - index.postings[end - 1])
    sample = formula.sample if formula.sampling == NEWEST else oldest
    whole = left <= sample
    hits = before = 0
    while left > 0 and hits < sample:
        needed = sample - hits
        low = np.int64(0) if whole else max(np.int64(0), oldest - 1 - np.int64(needed / density))
        before = hits
        for j in range(m):
            c, end, weight = cursor[j], index.starts[rows[j] + 1], weights[j]
            while c < end:
                v = index.postings[c]
                if v < low:
                    break
                if slot[v] < 0:
                    slot[v] = hits
                    session[hits], dot[hits], latest[hits] = v, weight, j
                    hits += 1
                else:
                    dot[slot[v]] += weight
                c += 1
            left -= c - cursor[j]
            cursor[j] = c
        oldest = low
        if hits - before < needed // 4:  # older sessions are sparser
            density /= 2
    if hits > sample:
        hits = _drop_oldest(slot, session, dot, latest, before, hits, sample)
    return hits


@numba.njit(nogil=True, cache=True)
def _match_proposed(index, formula, rows, weights, proposed, totals, session, dot, latest):  # type: ignore[no-untyped-def]
    """Like `_gather`, with the sessions of `proposed` (c,), −1 for none, that share an item with the history."""
    for j in range(rows.shape[0]):
        totals[rows[j]] = j
    hits = 0
    for i in range(proposed.shape[0]):
        v = proposed[i]
        if v < 0:
            continue
        session[hits], dot[hits], latest[hits] = v, 0.0, rows.shape[0]
        for e in range(index.offsets[v], index.offsets[v + 1]):
            row = index.items[e]
            if row < 0:
                if formula.weight != W_COUNT:
                    continue
                row = ~row
            if totals[row] >= 0:
                place = np.int32(totals[row])
                dot[hits] += weights[place]
                latest[hits] = min(latest[hits], place)
        hits += latest[hits] < rows.shape[0]
    for j in range(rows.shape[0]):
        totals[rows[j]] = -np.inf
    return hits


@numba.njit(nogil=True, cache=True)
def _drop_oldest(slot, session, dot, latest, first, hits, keep):  # type: ignore[no-untyped-def]
    """Drop the oldest of the candidates first … hits − 1 until `keep` are left in all; returns `keep`."""
    surplus = hits - keep
    oldest = np.partition(session[first:hits], surplus)[surplus]  # of those that stay
    at = first
    for i in range(first, hits):
        v = session[i]
        if v < oldest:
            slot[v] = -1
        else:
            slot[v] = at
            session[at], dot[at], latest[at] = v, dot[i], latest[i]
            at += 1
    return at


@numba.njit(nogil=True, cache=True)
def _sample(index, formula, rows, history, slot, session, dot, latest, hits):  # type: ignore[no-untyped-def]
    """Sample the candidates by their number of shared items, or at random.

    A random sample depends on the seed, the history and the session, not on the other histories of a batch.
    """
    keys = np.zeros(hits, np.float64)
    if formula.sampling == RANDOM:
        now = mix(np.uint64(formula.seed) + STEP)
        for i in range(history.shape[0]):
            now = mix(now + STEP * (np.uint64(history[i]) + np.uint64(1)))
        for i in range(hits):
            keys[i] = float(mix(now + STEP * (np.uint64(session[i]) + np.uint64(1))) >> np.uint64(24))
    else:
        sign = 1.0 if formula.sampling == MOST_SHARED else -1.0
        for j in range(rows.shape[0]):
            for c in range(index.starts[rows[j]], index.starts[rows[j] + 1]):
                keys[slot[index.postings[c]]] += sign
    chosen = np.empty(formula.sample + 1, np.int64)
    select_largest(keys, session[:hits], formula.sample, chosen)
    for i in range(hits):
        slot[session[i]] = -1
    for i in range(formula.sample):
        session[i], dot[i], latest[i] = session[chosen[i]], dot[chosen[i]], latest[chosen[i]]
        slot[session[i]] = i
    return formula.sample


@numba.njit(nogil=True, cache=True)
def _compute_similarities(index, formula, weights, now, session, dot):  # type: ignore[no-untyped-def]
    """Replace the dot products by similarities; a session whose similarity is not positive is no neighbour.

    weights  (m,) weights of the history's distinct items
    now      time of the history in ms
    """
    m, squares = weights.shape[0], 0.0
    for j in range(m):
        squares += weights[j] * weights[j]
    norm = sqrt(squares)
    for i in range(session.shape[0]):
        v, d = session[i], dot[i]
        if formula.similarity == S_VEC:
            s = d / m
        elif formula.similarity == S_COSINE:
            s = d / (norm * sqrt(index.sizes[v])) if norm > 0 else 0.0
        elif formula.similarity == S_JACCARD:
            s = d / (m + index.sizes[v] - d)
        elif formula.similarity == S_BINARY:
            s = 2 * d / (2 * d + m + index.sizes[v])
        else:
            s = d / sqrt(index.sizes[v]) * sqrt(m)
        if formula.fade > 0:
            age = float(now - index.times[v])
            s *= exp(-(age if formula.future else max(age, 0.0)) / formula.fade)
        dot[i] = s


@numba.njit(nogil=True, cache=True)
def find_candidates(index, formula, history, now, proposed, scratch, rows, weights, steps, session, dot, latest):  # type: ignore[no-untyped-def]
    """Find the candidates of a history and their similarities.

    proposed  (c,) int32 candidates, −1 for none; (0,) to take them from the inverted index
    The items stay marked in the scratch. Returns the numbers of distinct items and of candidates; `dot` holds the
    similarities.
    """
    m = distinct_items(formula, history, scratch, rows, weights, steps)
    if proposed.shape[0] > 0:
        hits = _match_proposed(index, formula, rows[:m], weights[:m], proposed, scratch.totals, session, dot, latest)
    else:
        hits = _gather(index, formula, rows[:m], weights[:m], scratch.slot, session, dot, latest)
        if hits > formula.sample:
            hits = _sample(index, formula, rows[:m], history, scratch.slot, session, dot, latest, hits)
        for i in range(hits):
            scratch.slot[session[i]] = -1
    _compute_similarities(index, formula, weights[:m], now, session[:hits], dot[:hits])
    return m, hits


@numba.njit(nogil=True, cache=True)
def nearest_sessions(index, formula, offsets, items, now, proposed, scratch, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """The k nearest sessions of each of q histories, the most similar first, ties by later session.

    offsets, items  the histories; items are rows below n
    now             (q,) int64 times of the histories in ms
    proposed        (q, c) int32 candidates, see `find_candidates`
    best_rows       (q, k) int64 of −1, written: sessions
    best_scores     (q, k) float64 of −inf, written: similarities, all above 0
    """
    size, longest = buffer_sizes(index, offsets, items, proposed.shape[1])
    rows, weights, steps = np.empty(longest, np.int32), np.empty(longest, np.float64), np.empty(longest, np.int64)
    session, dot, latest = np.empty(size, np.int32), np.empty(size, np.float64), np.empty(size, np.int32)
    k = best_rows.shape[1]
    for h in range(best_rows.shape[0]):
        history = items[offsets[h] : offsets[h + 1]]
        arguments = (history, now[h], proposed[h])
        _, hits = find_candidates(index, formula, *arguments, scratch, rows, weights, steps, session, dot, latest)
        for i in range(history.shape[0]):
            scratch.marks[history[i]] = 0
        heap_rows, heap_scores = np.zeros(k, np.int64), np.full(k, -np.inf)
        for i in range(hits):
            key, row = round_sum(dot[i]), tie_break(session[i], i)
            if key > 0 and (key > heap_scores[0] or (key == heap_scores[0] and row < heap_rows[0])):
                replace_worst(heap_rows, heap_scores, row, key)
        sort_heap(heap_rows, heap_scores)
        for i in range(min(k, hits)):
            if heap_scores[i] > 0:
                place = heap_rows[i] & POSITION_MASK
                best_rows[h, i], best_scores[h, i] = session[place], dot[place]
