"""The first items of a list, or of a shuffled catalogue, that a history does not contain."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.sampling import STEP, mix, random_below


@numba.njit(nogil=True, cache=True)
def take_unseen(lists, scores, which, offsets, items, n, include_seen, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """The first k items of the list of each of q histories.

    lists           (l, m) int32 rows, best first; −1 where a list ends early
    scores          (l, m) float32 beside them
    which           (q,) int64: the list of a history, −1 for none
    offsets, items  the histories; items are rows below n
    include_seen    whether items of the history may be returned
    best_rows       (q, k) int64 of −1, written
    best_scores     (q, k) float32 of −inf, written
    """
    last_history = np.zeros(
        0 if include_seen else n, np.int32
    )  # number, from 1, of the last history that contains the item
    for h in range(which.shape[0]):
        if which[h] < 0:
            continue
        if not include_seen:
            for i in range(offsets[h], offsets[h + 1]):
                last_history[items[i]] = h + 1
        count = 0
        for j in range(lists.shape[1]):
            row = lists[which[h], j]
            if row < 0 or count == best_rows.shape[1]:
                break
            if include_seen or last_history[row] != h + 1:
                best_rows[h, count], best_scores[h, count] = row, scores[which[h], j]
                count += 1


@numba.njit(nogil=True, cache=True)
def shuffle_unseen(offsets, items, n, seed, include_seen, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """The first k items of a shuffle of all n items, for each of q histories (Fisher & Yates 1938; Durstenfeld 1964).

    The shuffle depends on the seed and on the ordered items of the history, and is computed only as far as needed. The
    score of the item at position 0, 1, … of the shuffle is 1 − position/n. Arguments are those of `take_unseen`.
    """
    order = np.arange(n).astype(np.int32)
    swapped = np.empty(n, np.int32)  # position that was swapped with position 0, 1, …
    last_history = np.zeros(0 if include_seen else n, np.int32)
    for h in range(best_rows.shape[0]):
        counter = mix(np.uint64(seed) + STEP)
        for i in range(offsets[h], offsets[h + 1]):
            counter = mix(counter + STEP * (np.uint64(items[i]) + np.uint64(1)))
            if not include_seen:
                last_history[items[i]] = h + 1
        drawn = count = 0
        while count < best_rows.shape[1] and drawn < n:
            counter += STEP
            position = drawn + random_below(mix(counter), n - drawn)
            row = order[position]
            order[position], order[drawn], swapped[drawn] = order[drawn], row, position
            if include_seen or last_history[row] != h + 1:
                best_rows[h, count], best_scores[h, count] = row, 1 - drawn / n
                count += 1
            drawn += 1
        for position in range(drawn - 1, -1, -1):  # undo it, so that the next shuffle starts from the same order
            row = order[position]
            order[position], order[swapped[position]] = order[swapped[position]], row
