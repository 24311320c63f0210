"""What the nearest past sessions say: the scores of their items, added up, and the best of them."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.prefetch import prefetch
from embedrec.kernels.session_formulas import (
    EACH_MENTION,
    LESS_MEAN_OF_ALL,
    LESS_MEAN_OF_RATED,
    NEAR_SHARED,
    SUM,
    decay_at,
    rounded,
)
from embedrec.kernels.session_knn import best, candidates, room
from embedrec.kernels.topk import replace_worst, sort_heap

_AHEAD = 8  # neighbours whose items are loaded in advance, which halves the time
_ASKED, _ALLOWED = np.uint8(1), np.uint8(2)


@numba.njit(nogil=True, cache=True)
def answer(index, way, offsets, items, now, seen, single, pad, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """The best items of each of q histories; none for a history whose items no session holds.

    index, way      what was learned, and how it is asked
    offsets, items  the histories; items are rows below n
    now             (q,) int64 times of the histories in ms
    seen            whether items of the history may come back
    single          whether scores are compared to 24 bits, as float32, instead of 40
    pad             scratch of this thread
    best_rows       (q, k) int64 of −1, written; ties by lower row
    best_scores     (q, k) float64 of −inf, written
    """
    size, longest = room(index, offsets, items)
    rows, weights, steps = np.empty(longest, np.int32), np.empty(longest, np.float64), np.empty(longest, np.int64)
    session, dot, latest = np.empty(size, np.int32), np.empty(size, np.float64), np.empty(size, np.int32)
    chosen = np.empty(min(size, way.neighbours), np.int64)
    filtered = index.followed.shape[0] > 0
    for h in range(best_rows.shape[0]):
        history = items[offsets[h] : offsets[h + 1]]
        if history.shape[0] == 0:
            continue
        m, found = candidates(index, way, history, now[h], pad, rows, weights, steps, session, dot, latest)
        last = history[history.shape[0] - 1]
        if filtered:
            for i in range(index.followed[last], index.followed[last + 1]):
                pad.marks[index.followers[i]] |= _ALLOWED
        count = best(dot[:found], session[:found], way.neighbours, chosen)
        met, total, mean = _add_up(index, way, chosen[:count], session, dot, latest, steps, filtered, pad)
        scale, shift = 1.0, 0.0
        if way.score != SUM:
            scale = 1 / total if total > 0 else 1.0
        if way.score == LESS_MEAN_OF_ALL:
            shift = history.shape[0] / pad.marks.shape[0] - mean * scale
        elif way.score == LESS_MEAN_OF_RATED:
            shift = history.shape[0] / m - mean * scale
        _rank(index, way, met, seen, single, last, scale, shift, pad, best_rows[h], best_scores[h])
        for i in range(history.shape[0]):
            pad.marks[history[i]] = 0
        if filtered:
            for i in range(index.followed[last], index.followed[last + 1]):
                pad.marks[index.followers[i]] = 0


@numba.njit(nogil=True, cache=True)
def _add_up(index, way, chosen, session, dot, latest, steps, filtered, pad):  # type: ignore[no-untyped-def]
    """Add what every neighbour counts to the totals of its items.

    chosen  (c,) places of the neighbours among the candidates
    Returns how many items are touched, the sum of the similarities, and that of similarities times mean play counts.
    """
    offsets, items, totals, marks = index.offsets, index.items, pad.totals, pad.marks
    met = 0
    total = mean = 0.0
    count = chosen.shape[0]
    for c in range(min(_AHEAD, count)):
        prefetch(offsets, session[chosen[c]])
    for c in range(count):
        i = chosen[c]
        if c + 2 * _AHEAD < count:
            prefetch(offsets, session[chosen[c + 2 * _AHEAD]])
        if c + _AHEAD < count:
            prefetch(items, offsets[session[chosen[c + _AHEAD]]])
        if dot[i] <= 0:
            continue
        begin, end = offsets[session[i]], offsets[session[i] + 1]
        gain = dot[i] * decay_at(way, steps[latest[i]])
        total += dot[i]
        if way.score == LESS_MEAN_OF_ALL:
            mean += dot[i] * ((end - begin) / marks.shape[0])
        elif way.score == LESS_MEAN_OF_RATED:
            rated = 0
            for e in range(begin, end):
                rated += items[e] >= 0
            mean += dot[i] * ((end - begin) / rated)
        shared = end - 1
        if way.adds == NEAR_SHARED:
            while items[shared] < 0 or not marks[items[shared]] & _ASKED:
                shared -= 1
        for e in range(begin, end):
            row = items[e]
            if row < 0:
                if way.adds != EACH_MENTION:
                    continue
                row = ~row
            if filtered and not marks[row] & _ALLOWED:
                continue
            # no branch: whether an item is new cannot be foreseen, and a wrong guess costs more than the rest
            more = gain * index.nearness[abs(e - shared)] if way.adds == NEAR_SHARED else gain
            old = totals[row]
            new = old == -np.inf
            pad.touched[met] = row
            met += new
            totals[row] = (0.0 if new else old) + more
    return met, total, mean


@numba.njit(nogil=True, cache=True)
def _rank(index, way, met, seen, single, last, scale, shift, pad, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """The best of the first `met` touched items by total · scale + shift, times their factors; clears the totals."""
    for t in range(met):
        row = pad.touched[t]
        score = pad.totals[row] * scale + shift
        pad.totals[row] = -np.inf
        if pad.marks[row] & _ASKED and (not seen or (row == last and not way.again)):
            continue
        if index.factors.shape[0] > 0:
            score *= index.factors[row]
        score = np.float64(np.float32(score)) if single else rounded(score)
        if score > best_scores[0] or (score == best_scores[0] and row < best_rows[0]):
            replace_worst(best_rows, best_scores, row, score)
    sort_heap(best_rows, best_scores)
