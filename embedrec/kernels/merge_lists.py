"""The union of several lists of items for each query: every item once, with its place and score in each list."""

from __future__ import annotations

import numba
import numpy as np

_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio (Knuth 1998, section 6.4)


@numba.njit(nogil=True, cache=True)
def merge_lists(rows, scores, starts, slots, shift, offsets, items, ranks, item_scores):  # type: ignore[no-untyped-def]
    """Merge P lists of each of q queries; item by item, in order of rank, equal ranks in order of the lists.

    rows         (q, c) int32: the lists of a query side by side, −1 for missing
    scores       (q, c) float32 beside them
    starts       (P+1,) int64: list p is columns starts[p] … starts[p + 1] − 1
    slots        (2^b,) int64 of −1, with 2^b ≥ 2·c: a hash table, written, and −1 again at the end
    shift        64 − b
    offsets      (q+1,) int64, written: the items of query i are offsets[i] … offsets[i + 1] − 1
    items        (≥ q·c,) int32, written
    ranks        (≥ q·c, P) int32, written: rank from 0 in each list, −1 where it is absent
    item_scores  (≥ q·c, P) float32, written: NaN where it is absent
    """
    lists, mask, longest = len(starts) - 1, len(slots) - 1, 0
    for p in range(lists):
        longest = max(longest, starts[p + 1] - starts[p])
    n = 0
    offsets[0] = 0
    for q in range(rows.shape[0]):
        for r in range(longest):
            for p in range(lists):
                column = starts[p] + r
                if column >= starts[p + 1] or rows[q, column] < 0:
                    continue
                item = rows[q, column]
                at = np.int64((np.uint64(item) * _MULTIPLY) >> np.uint64(shift))
                while slots[at] >= 0 and items[slots[at]] != item:
                    at = (at + 1) & mask
                if slots[at] < 0:
                    slots[at] = n
                    items[n] = item
                    for other in range(lists):
                        ranks[n, other], item_scores[n, other] = -1, np.nan
                    n += 1
                entry = slots[at]
                if ranks[entry, p] < 0:
                    ranks[entry, p], item_scores[entry, p] = r, scores[q, column]
        offsets[q + 1] = n
        slots[:] = -1
