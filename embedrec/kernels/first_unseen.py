"""The first items of a list, or of a shuffled catalogue, that a history does not hold."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.sampling import STEP, below, mix


@numba.njit(nogil=True, cache=True)
def take(lists, scores, which, offsets, items, n, seen, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """Answer each of q histories with the first k of its list.

    lists           (l, m) int32 rows, best first; −1 where a list ends early
    scores          (l, m) float32 beside them
    which           (q,) int64: the list of a history, −1 for none
    offsets, items  the histories; items are rows below n
    seen            whether items of the history may come back
    best_rows       (q, k) int64 of −1, written
    best_scores     (q, k) float32 of −inf, written
    """
    met = np.zeros(0 if seen else n, np.int32)  # number of the last history that holds the item, from 1
    for h in range(which.shape[0]):
        if which[h] < 0:
            continue
        if not seen:
            for i in range(offsets[h], offsets[h + 1]):
                met[items[i]] = h + 1
        count = 0
        for j in range(lists.shape[1]):
            row = lists[which[h], j]
            if row < 0 or count == best_rows.shape[1]:
                break
            if seen or met[row] != h + 1:
                best_rows[h, count], best_scores[h, count] = row, scores[which[h], j]
                count += 1


@numba.njit(nogil=True, cache=True)
def shuffle(offsets, items, n, seed, seen, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """Answer each of q histories with the first k of a shuffle of all n items (Fisher & Yates 1938; Durstenfeld 1964).

    The shuffle depends on the seed and on the items of the history in their order, and only as much of it is made as is
    looked at. The score of the item at place 0, 1, … of the shuffle is 1 − place/n. Arguments are those of `take`.
    """
    order = np.arange(n).astype(np.int32)
    other = np.empty(n, np.int32)  # place that was swapped with place 0, 1, …
    met = np.zeros(0 if seen else n, np.int32)
    for h in range(best_rows.shape[0]):
        now = mix(np.uint64(seed) + STEP)
        for i in range(offsets[h], offsets[h + 1]):
            now = mix(now + STEP * (np.uint64(items[i]) + np.uint64(1)))
            if not seen:
                met[items[i]] = h + 1
        drawn = count = 0
        while count < best_rows.shape[1] and drawn < n:
            now += STEP
            place = drawn + below(mix(now), n - drawn)
            row = order[place]
            order[place], order[drawn], other[drawn] = order[drawn], row, place
            if seen or met[row] != h + 1:
                best_rows[h, count], best_scores[h, count] = row, 1 - drawn / n
                count += 1
            drawn += 1
        for place in range(drawn - 1, -1, -1):  # unmake it, so that the next shuffle starts from the same order
            row = order[place]
            order[place], order[other[place]] = order[other[place]], row
