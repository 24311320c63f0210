"""Where targets stand for several numbers of neighbours at once: candidates are looked for once a history."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.session_formulas import rounded
from embedrec.kernels.session_knn import PLACE, best, candidates, room, tie
from embedrec.kernels.session_scores import add_up, allow, centred, compared, hidden, unmark
from embedrec.kernels.topk import replace_worst, sort_heap


@numba.njit(nogil=True, cache=True)
def stand(index, way, offsets, items, now, proposed, ends, targets, sizes, seen, pad, higher, equal, own):  # type: ignore[no-untyped-def]
    """Where the best target of each of q histories stands among the answers of so many neighbours.

    index … proposed, seen, pad  as of `session_scores.answer`; `way.neighbours` is the last size
    ends     (q+1,) int64, targets (T,) int64: the targets of history h are targets[ends[h] : ends[h + 1]]; −1 unknown
    sizes    (g,) int64 ascending numbers of neighbours
    higher   (q, g) int64 of 0, written: answers of a higher score, compared as float32
    equal    (q, g) int64 of 0, written: answers of the same score, itself among them; 0 where no target is answered
    own      (q, g) int64 of 0, written: how many of those are targets

    The sums of every size are made as `answer` makes them, by candidate and not by similarity, so that scores are equal
    to the last bit. The time goes into the candidates; the neighbours of all sizes are few beside them.
    """
    size, longest = room(index, offsets, items, proposed.shape[1])
    rows, weights, steps = np.empty(longest, np.int32), np.empty(longest, np.float64), np.empty(longest, np.int64)
    session, dot, latest = np.empty(size, np.int32), np.empty(size, np.float64), np.empty(size, np.int32)
    chosen = np.empty(min(size, way.neighbours) + 1, np.int64)
    nearer, part = np.empty(chosen.shape[0], np.int64), np.empty(chosen.shape[0], np.int64)
    weighted = index.factors.shape[0] > 0
    for h in range(higher.shape[0]):
        history, wanted = items[offsets[h] : offsets[h + 1]], targets[ends[h] : ends[h + 1]]
        if history.shape[0] == 0:
            continue
        arguments = (history, now[h], proposed[h])
        m, hits = candidates(index, way, *arguments, pad, rows, weights, steps, session, dot, latest)
        filtered, last = allow(index, history, pad), history[history.shape[0] - 1]
        count = best(dot[:hits], session[:hits], way.neighbours, chosen)
        _order(chosen[:count], dot, session, nearer)
        for g in range(sizes.shape[0]):
            if g > 0 and sizes[g - 1] >= count:  # there are no more neighbours
                higher[h, g], equal[h, g], own[h, g] = higher[h, g - 1], equal[h, g - 1], own[h, g - 1]
                continue
            c = 0
            for i in range(count):
                part[c] = chosen[i]
                c += nearer[i] < sizes[g]
            met, total, mean = add_up(index, way, part[:c], session, dot, latest, steps, filtered, pad)
            scale, shift = centred(way, history.shape[0], m, pad.marks.shape[0], total, mean)
            top = -np.inf
            for t in range(wanted.shape[0]):
                row = wanted[t]
                if row < 0 or pad.totals[row] == -np.inf or hidden(pad.marks[row], row == last, seen, way.again):
                    continue
                score = pad.totals[row] * scale + shift
                score = compared(score * index.factors[row] if weighted else score, True)
                own[h, g] = 1 if score > top else own[h, g] + (score == top)
                top = max(top, score)
            for t in range(met):
                row = pad.touched[t]
                score = pad.totals[row] * scale + shift
                pad.totals[row] = -np.inf
                if own[h, g] > 0 and not hidden(pad.marks[row], row == last, seen, way.again):
                    score = compared(score * index.factors[row] if weighted else score, True)
                    higher[h, g] += score > top
                    equal[h, g] += score == top
        unmark(index, history, pad)


@numba.njit(nogil=True, cache=True)
def _order(chosen, dot, session, nearer):  # type: ignore[no-untyped-def]
    """nearer[:c] = how many of the chosen (c,) are more similar than each, ties by later session."""
    rows, scores = np.zeros(chosen.shape[0], np.int64), np.full(chosen.shape[0], -np.inf)
    for i in range(chosen.shape[0]):
        replace_worst(rows, scores, tie(session[chosen[i]], i), rounded(dot[chosen[i]]))
    sort_heap(rows, scores)
    for place in range(chosen.shape[0]):
        nearer[rows[place] & PLACE] = place
