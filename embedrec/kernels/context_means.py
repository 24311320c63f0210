"""Means of the vectors beside a mention, in a window that slides along each session."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def add_context_means(offsets, items, vectors, window, sums, counts):  # type: ignore[no-untyped-def]
    """For each item, the sum over its mentions of the mean vector of the mentions beside it.

    offsets, items  S sessions: (S+1,) int64, (E,) int32 rows below n
    vectors         (n, d) float32
    window          mentions on each side; 0 is the whole session. The mention itself does not count
    sums            (n, d) float64, added to
    counts          (n,) int64, added to: mentions that have another beside them
    """
    d = vectors.shape[1]
    total = np.empty(d, np.float64)  # of the window of a mention, with it
    for s in range(offsets.shape[0] - 1):
        start, end = offsets[s], offsets[s + 1]
        if end - start < 2:
            continue
        reach = window if window > 0 else end - start
        total[:] = 0
        right = start  # the first mention that is not yet in the window
        for at in range(start, end):
            while right < min(end, at + reach + 1):
                for j in range(d):
                    total[j] += vectors[items[right], j]
                right += 1
            left = at - reach - 1
            if left >= start:
                for j in range(d):
                    total[j] -= vectors[items[left], j]
            row, others = items[at], right - max(start, left + 1) - 1
            for j in range(d):
                sums[row, j] += (total[j] - vectors[row, j]) / others
            counts[row] += 1
