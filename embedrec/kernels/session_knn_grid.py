"""Ranks of targets for several numbers of neighbours at once: candidates are searched once a history."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.session_formulas import round_sum
from embedrec.kernels.session_knn import POSITION_MASK, buffer_sizes, find_candidates, select_largest, tie_break
from embedrec.kernels.session_scores import (
    add_neighbours,
    clear_marks,
    is_excluded,
    mark_allowed,
    round_score,
    scale_and_shift,
)
from embedrec.kernels.topk import replace_worst, sort_heap


@numba.njit(nogil=True, cache=True)
def rank_targets(  # type: ignore[no-untyped-def]
    index, formula, offsets, items, now, proposed, ends, targets, sizes, seen, scratch, higher, equal, own
):
    """The rank of the best target of each of q histories, for each number of neighbours.

    index … proposed, seen, scratch  as in `session_scores.recommend`; `formula.neighbours` is the last size
    ends     (q+1,) int64, targets (T,) int64: the targets of history h are targets[ends[h] : ends[h + 1]]; −1 unknown
    sizes    (g,) int64 ascending numbers of neighbours
    higher   (q, g) int64 of 0, written: items of a higher score, compared as float32
    equal    (q, g) int64 of 0, written: items of the same score, itself included; 0 where no target has a score
    own      (q, g) int64 of 0, written: number of targets among those

    Sums add candidates in the order of `recommend`, not of similarity, so that scores are equal to the last bit.
    Finding the candidates takes most of the time.
    """
    size, longest = buffer_sizes(index, offsets, items, proposed.shape[1])
    rows, weights, steps = np.empty(longest, np.int32), np.empty(longest, np.float64), np.empty(longest, np.int64)
    session, dot, latest = np.empty(size, np.int32), np.empty(size, np.float64), np.empty(size, np.int32)
    chosen = np.empty(min(size, formula.neighbours) + 1, np.int64)
    nearer, part = np.empty(chosen.shape[0], np.int64), np.empty(chosen.shape[0], np.int64)
    weighted = index.factors.shape[0] > 0
    for h in range(higher.shape[0]):
        history, own_targets = items[offsets[h] : offsets[h + 1]], targets[ends[h] : ends[h + 1]]
        if history.shape[0] == 0:
            continue
        arguments = (history, now[h], proposed[h])
        m, hits = find_candidates(index, formula, *arguments, scratch, rows, weights, steps, session, dot, latest)
        filtered, last = mark_allowed(index, history, scratch), history[history.shape[0] - 1]
        count = select_largest(dot[:hits], session[:hits], formula.neighbours, chosen)
        _count_nearer(chosen[:count], dot, session, nearer)
        for g in range(sizes.shape[0]):
            if g > 0 and sizes[g - 1] >= count:  # no more neighbours exist
                higher[h, g], equal[h, g], own[h, g] = higher[h, g - 1], equal[h, g - 1], own[h, g - 1]
                continue
            c = 0
            for i in range(count):
                part[c] = chosen[i]
                c += nearer[i] < sizes[g]
            met, total, mean = add_neighbours(index, formula, part[:c], session, dot, latest, steps, filtered, scratch)
            scale, shift = scale_and_shift(formula, history.shape[0], m, scratch.marks.shape[0], total, mean)
            top = -np.inf
            for t in range(own_targets.shape[0]):
                row = own_targets[t]
                if (
                    row < 0
                    or scratch.totals[row] == -np.inf
                    or is_excluded(scratch.marks[row], row == last, seen, formula.again)
                ):
                    continue
                score = scratch.totals[row] * scale + shift
                score = round_score(score * index.factors[row] if weighted else score, True)
                own[h, g] = 1 if score > top else own[h, g] + (score == top)
                top = max(top, score)
            for t in range(met):
                row = scratch.touched[t]
                score = scratch.totals[row] * scale + shift
                scratch.totals[row] = -np.inf
                if own[h, g] > 0 and not is_excluded(scratch.marks[row], row == last, seen, formula.again):
                    score = round_score(score * index.factors[row] if weighted else score, True)
                    higher[h, g] += score > top
                    equal[h, g] += score == top
        clear_marks(index, history, scratch)


@numba.njit(nogil=True, cache=True)
def _count_nearer(chosen, dot, session, nearer):  # type: ignore[no-untyped-def]
    """nearer[:c] = the number of chosen candidates (c,) more similar than each, ties by later session."""
    rows, scores = np.zeros(chosen.shape[0], np.int64), np.full(chosen.shape[0], -np.inf)
    for i in range(chosen.shape[0]):
        replace_worst(rows, scores, tie_break(session[chosen[i]], i), round_sum(dot[chosen[i]]))
    sort_heap(rows, scores)
    for place in range(chosen.shape[0]):
        nearer[rows[place] & POSITION_MASK] = place
