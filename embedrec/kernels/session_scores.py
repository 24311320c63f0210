"""Scores of items by the nearest past sessions, and the items of the highest scores.

Passing an index or a scratch to a function is slow: small functions that take one are inlined, and a function called
for every item takes numbers only.
"""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.prefetch import fetch
from embedrec.kernels.session_formulas import (
    EACH_MENTION,
    LESS_MEAN_OF_ALL,
    LESS_MEAN_OF_RATED,
    MARK_ALLOWED,
    MARK_IN_HISTORY,
    NEAR_SHARED,
    SUM,
    decay_at,
    round_sum,
)
from embedrec.kernels.session_knn import buffer_sizes, find_candidates, select_largest
from embedrec.kernels.topk import replace_worst, sort_heap

_AHEAD = 8  # neighbours whose items are loaded in advance, which halves the time


@numba.njit(nogil=True, cache=True)
def recommend(index, formula, offsets, items, now, proposed, seen, single, scratch, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """The best items of each of q histories; none for a history whose items no session contains.

    index, formula  see `session_formulas`
    offsets, items  the histories; items are rows below n
    now             (q,) int64 times of the histories in ms
    proposed        (q, c) int32 candidates, −1 for none; (q, 0) to take them from the inverted index
    seen            whether items of the history may be recommended
    single          whether scores are compared to 24 bits, as float32, instead of 40
    scratch         scratch of this thread
    best_rows       (q, k) int64 of −1, written; ties by lower row
    best_scores     (q, k) float64 of −inf, written
    """
    size, longest = buffer_sizes(index, offsets, items, proposed.shape[1])
    rows, weights, steps = np.empty(longest, np.int32), np.empty(longest, np.float64), np.empty(longest, np.int64)
    session, dot, latest = np.empty(size, np.int32), np.empty(size, np.float64), np.empty(size, np.int32)
    chosen = np.empty(min(size, formula.neighbours) + 1, np.int64)
    for h in range(best_rows.shape[0]):
        history = items[offsets[h] : offsets[h + 1]]
        if history.shape[0] == 0:
            continue
        arguments = (history, now[h], proposed[h])
        m, hits = find_candidates(index, formula, *arguments, scratch, rows, weights, steps, session, dot, latest)
        filtered = mark_allowed(index, history, scratch)
        count = select_largest(dot[:hits], session[:hits], formula.neighbours, chosen)
        met, total, mean = add_neighbours(
            index, formula, chosen[:count], session, dot, latest, steps, filtered, scratch
        )
        scale, shift = scale_and_shift(formula, history.shape[0], m, scratch.marks.shape[0], total, mean)
        _rank(index, formula, met, seen, single, history, scale, shift, scratch, best_rows[h], best_scores[h])
        clear_marks(index, history, scratch)


@numba.njit(nogil=True, cache=True, inline="always")
def mark_allowed(index, history, scratch):  # type: ignore[no-untyped-def]
    """Mark the items that may be recommended; returns whether the recommendations are restricted to them."""
    if index.followed.shape[0] == 0:
        return False
    last = history[history.shape[0] - 1]
    for i in range(index.followed[last], index.followed[last + 1]):
        scratch.marks[index.followers[i]] |= MARK_ALLOWED
    return True


@numba.njit(nogil=True, cache=True, inline="always")
def clear_marks(index, history, scratch):  # type: ignore[no-untyped-def]
    """Clear the marks of `find_candidates` and `mark_allowed`."""
    for i in range(history.shape[0]):
        scratch.marks[history[i]] = 0
    if index.followed.shape[0] > 0:
        last = history[history.shape[0] - 1]
        for i in range(index.followed[last], index.followed[last + 1]):
            scratch.marks[index.followers[i]] = 0


@numba.njit(nogil=True, cache=True, inline="always")
def scale_and_shift(formula, length, m, n, total, mean):  # type: ignore[no-untyped-def]
    """Scale and shift that turn a sum into the score of an item.

    length       events of the history, m of distinct items; n items in all
    total, mean  see `add_neighbours`
    """
    scale, shift = 1.0, 0.0
    if formula.score != SUM:
        scale = 1 / total if total > 0 else 1.0
    if formula.score == LESS_MEAN_OF_ALL:
        shift = length / n - mean * scale
    elif formula.score == LESS_MEAN_OF_RATED:
        shift = length / m - mean * scale
    return scale, shift


@numba.njit(nogil=True, cache=True)
def add_neighbours(index, formula, chosen, session, dot, latest, steps, filtered, scratch):  # type: ignore[no-untyped-def]
    """Add the weight of every neighbour to the totals of its items.

    chosen  (c,) places of the neighbours among the candidates
    Returns the number of items with a score, the sum of the similarities, and that of similarities times mean play
    counts.
    """
    offsets, items, totals, marks = index.offsets, index.items, scratch.totals, scratch.marks
    met = 0
    total = mean = 0.0
    count = chosen.shape[0]
    for c in range(min(_AHEAD, count)):
        fetch(offsets, session[chosen[c]])
    for c in range(count):
        i = chosen[c]
        if c + 2 * _AHEAD < count:
            fetch(offsets, session[chosen[c + 2 * _AHEAD]])
        if c + _AHEAD < count:
            fetch(items, offsets[session[chosen[c + _AHEAD]]])
        if dot[i] <= 0:
            continue
        begin, end = offsets[session[i]], offsets[session[i] + 1]
        gain = dot[i] * decay_at(formula, steps[latest[i]])
        total += dot[i]
        if formula.score == LESS_MEAN_OF_ALL:
            mean += dot[i] * ((end - begin) / marks.shape[0])
        elif formula.score == LESS_MEAN_OF_RATED:
            rated = 0
            for e in range(begin, end):
                rated += items[e] >= 0
            mean += dot[i] * ((end - begin) / rated)
        shared = end - 1
        if formula.adds == NEAR_SHARED:
            while items[shared] < 0 or not marks[items[shared]] & MARK_IN_HISTORY:
                shared -= 1
        for e in range(begin, end):
            row = items[e]
            if row < 0:
                if formula.adds != EACH_MENTION:
                    continue
                row = ~row
            if filtered and not marks[row] & MARK_ALLOWED:
                continue
            # no branch: whether an item is new is unpredictable, and a misprediction costs more than the rest
            more = gain * index.nearness[abs(e - shared)] if formula.adds == NEAR_SHARED else gain
            old = totals[row]
            new = old == -np.inf
            scratch.touched[met] = row
            met += new
            totals[row] = (0.0 if new else old) + more
    return met, total, mean


@numba.njit(nogil=True, cache=True)
def is_excluded(mark, latest, seen, again):  # type: ignore[no-untyped-def]
    """Whether the history excludes an item; `latest` says that it is the last item of the history."""
    return mark & MARK_IN_HISTORY != 0 and (not seen or (latest and not again))


@numba.njit(nogil=True, cache=True)
def round_score(score, single):  # type: ignore[no-untyped-def]
    """Round a score as scores are compared."""
    return np.float64(np.float32(score)) if single else round_sum(score)


@numba.njit(nogil=True, cache=True)
def _rank(index, formula, met, seen, single, history, scale, shift, scratch, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """The best of the first `met` touched items by total · scale + shift, times their factors; clears the totals."""
    last, weighted = history[history.shape[0] - 1], index.factors.shape[0] > 0
    for t in range(met):
        row = scratch.touched[t]
        score = scratch.totals[row] * scale + shift
        scratch.totals[row] = -np.inf
        if is_excluded(scratch.marks[row], row == last, seen, formula.again):
            continue
        score = round_score(score * index.factors[row] if weighted else score, single)
        if score > best_scores[0] or (score == best_scores[0] and row < best_rows[0]):
            replace_worst(best_rows, best_scores, row, score)
    sort_heap(best_rows, best_scores)
