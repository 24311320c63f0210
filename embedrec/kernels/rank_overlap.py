"""Similarity of two rankings: overlap and rank-biased overlap."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def compare_lists(old_offsets, old_items, new_offsets, new_items, old_at, new_at, k, p, same, overlap, biased):  # type: ignore[no-untyped-def]
    """Of each pair of lists, cut to k, the overlap and the extrapolated rank-biased overlap (Webber et al. 2010, 32).

    offsets, items  list i is items[offsets[i]:offsets[i + 1]], best first, each item once
    old_at, new_at  (m,) int64: the lists of each pair; k: results compared
    p               weight of depth d + 1 over that of depth d
    same            (m,) bool, written: whether both are the same results in the same order
    overlap         (m,) float64, written: shared results over the longer list; 1 for two empty ones
    biased          (m,) float64, written: 1 for equal rankings, 0 for disjoint ones
    """
    for i in range(old_at.shape[0]):
        a = old_items[old_offsets[old_at[i]] : min(old_offsets[old_at[i] + 1], old_offsets[old_at[i]] + k)]
        b = new_items[new_offsets[new_at[i]] : min(new_offsets[new_at[i] + 1], new_offsets[new_at[i]] + k)]
        if a.shape[0] > b.shape[0]:
            a, b = b, a
        short, long = a.shape[0], b.shape[0]
        same[i] = short == long and (a == b).all()
        if long == 0:
            overlap[i], biased[i] = 1.0, 1.0
            continue
        shared, at_short, total, weight = 0, 0, 0.0, 1.0
        for d in range(1, long + 1):
            for j in range(min(d, short)):
                if a[j] == b[d - 1]:
                    shared += 1
            if d <= short:
                for j in range(d - 1):
                    if b[j] == a[d - 1]:
                        shared += 1
            weight *= p
            total += shared / d * weight
            if d == short:
                at_short = shared
            if d > short > 0:
                total += at_short * (d - short) / (short * d) * weight
        tail = (shared - at_short) / long + (at_short / short if short > 0 else 0.0)
        overlap[i] = shared / long
        biased[i] = (1 - p) / p * total + tail * weight


@numba.njit(nogil=True, cache=True)
def only_in(offsets, items, at, other_offsets, other_items, other_at, k):  # type: ignore[no-untyped-def]
    """The items of list `at`, cut to k, that are not in list `other_at` of others, cut to k."""
    mine = items[offsets[at] : min(offsets[at + 1], offsets[at] + k)]
    others = other_items[other_offsets[other_at] : min(other_offsets[other_at + 1], other_offsets[other_at] + k)]
    out = np.empty(mine.shape[0], dtype=np.int64)
    count = 0
    for item in mine:
        present = False
        for other in others:
            present = present or item == other
        if not present:
            out[count] = item
            count += 1
    return out[:count]
