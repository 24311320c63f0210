"""Fusion of several lists: reciprocal rank fusion, and sums of normalised scores."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.topk import replace_worst, sort_heap


@numba.njit(nogil=True, cache=True)
def list_values(offsets, ranks, scores, constant, by_rank, values):  # type: ignore[no-untyped-def]
    """What each list contributes to each candidate, before weights.

    offsets        (Q+1,) int64: candidates of each question
    ranks, scores  (N, P): rank from 0 and score in each list; −1 and NaN where it is absent
    constant       of reciprocal rank fusion: a list contributes constant / (constant + rank)
    by_rank        False: a list contributes its score between 0 and 1, the last of the list being above 0
    values         (N, P) float32, written; 0 where it is absent
    """
    for q in range(len(offsets) - 1):
        start, stop = offsets[q], offsets[q + 1]
        for p in range(ranks.shape[1]):
            low, high, count = np.inf, -np.inf, 0
            if not by_rank:
                for i in range(start, stop):
                    if ranks[i, p] >= 0:
                        low, high, count = min(low, scores[i, p]), max(high, scores[i, p]), count + 1
            for i in range(start, stop):
                if ranks[i, p] < 0:
                    values[i, p] = 0
                elif by_rank:
                    values[i, p] = constant / (constant + ranks[i, p])
                elif high > low:
                    share = (scores[i, p] - low) / (high - low)
                    values[i, p] = (share * count + 1) / (count + 1)
                else:
                    values[i, p] = 1


@numba.njit(nogil=True, cache=True)
def target_gains(offsets, values, weights, targets, most):  # type: ignore[no-untyped-def]
    """The sum over questions of the reciprocal ranks and of nDCG of the targets, by weighted sums of values.

    values   (N, P) float32
    weights  (P,) float64
    targets  (Q,) int64: the candidate that is the target, −1 if none is
    most     ranks beyond it gain nothing
    """
    reciprocal, gain = 0.0, 0.0
    for q in range(len(targets)):
        if targets[q] < 0:
            continue
        own = 0.0
        for p in range(len(weights)):
            own += weights[p] * values[targets[q], p]
        rank = 0
        for i in range(offsets[q], offsets[q + 1]):
            score = 0.0
            for p in range(len(weights)):
                score += weights[p] * values[i, p]
            rank += score >= own
        if rank <= most:
            reciprocal += 1 / rank
            gain += 1 / np.log2(rank + 1.0)
    return reciprocal, gain


@numba.njit(nogil=True, cache=True)
def top_candidates(offsets, items, scores, seen_offsets, seen, exclude_seen, best_rows, best_scores, lowest):  # type: ignore[no-untyped-def]
    """The k best candidates of each question, best first, ties by lower row.

    offsets, items, scores  candidates of each question, in any order; scores (N,) float32
    seen_offsets, seen      items of the history of each question
    exclude_seen            whether these are left out
    best_rows, best_scores  (Q, k) int64 of −1, float32 of −inf, written
    lowest                  (Q,) float64, written: the lowest score of the question's candidates, 0 without candidates
    """
    for q in range(len(offsets) - 1):
        start, stop = offsets[q], offsets[q + 1]
        heap_rows, heap_scores, least = best_rows[q], best_scores[q], np.inf
        for i in range(start, stop):
            row, score = items[i], scores[i]
            least = min(least, score)
            if exclude_seen:
                known = False
                for j in range(seen_offsets[q], seen_offsets[q + 1]):
                    if seen[j] == row:
                        known = True
                        break
                if known:
                    continue
            if score > heap_scores[0] or (score == heap_scores[0] and row < heap_rows[0]):
                replace_worst(heap_rows, heap_scores, row, score)
        sort_heap(heap_rows, heap_scores)
        lowest[q] = least if stop > start else 0.0
