"""Weighted sums of item lists over the items of a history."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.topk import keep_best


@numba.njit(nogil=True, cache=True)
def add_lists(lists, scores, weights, offsets, items, n, seen, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """The best items of each of q histories by the weighted sum of its items' lists.

    lists           (n, m) int32 rows; −1 where a list ends early
    scores          (n, m) float32 beside them, positive
    weights         (E,) weight of each event of the histories, not negative
    offsets, items  the histories; items are rows below n
    seen            whether items of the history may be recommended
    best_rows       (q, k) int64 of −1, written
    best_scores     (q, k) float32 of −inf, written
    """
    total, touched = np.zeros(n, np.float64), np.empty(n + 1, np.uint32)
    values, keys = np.empty(n, np.float32), np.empty(n, np.uint64)
    for h in range(best_rows.shape[0]):
        met = 0
        for e in range(offsets[h], offsets[h + 1]):
            for j in range(lists.shape[1]):
                row = lists[items[e], j]
                if row < 0:
                    break
                more = weights[e] * scores[items[e], j]
                if more > 0:  # a total that stays 0 would be added to the list again
                    touched[met] = row
                    met += total[row] == 0
                    total[row] += more
        if not seen:
            for e in range(offsets[h], offsets[h + 1]):
                total[items[e]] = 0
        count = 0
        for t in range(met):
            row = touched[t]
            touched[count], values[count] = row, total[row]
            count += values[count] > 0
            total[row] = 0
        keep_best(touched, values, count, keys, best_rows[h], best_scores[h])
