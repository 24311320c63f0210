"""The inverted index of sessions: which sessions contain an item, the newest first."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def mark_repeats(offsets, items, n):  # type: ignore[no-untyped-def]
    """Items (E,) int32 rows below n, as ~row where its session repeats the item later: (E,) int32."""
    out = np.empty(items.shape[0], np.int32)
    last = np.full(n, -1, np.int64)  # the latest session that contains the item
    for s in range(offsets.shape[0] - 1):
        for e in range(offsets[s + 1] - 1, offsets[s] - 1, -1):
            row = items[e]
            out[e] = ~row if last[row] == s else row
            last[row] = s
    return out


@numba.njit(nogil=True, cache=True)
def session_sizes(offsets, items, n, squares):  # type: ignore[no-untyped-def]
    """The number of distinct items of each session, or the sum of its squared play counts: (S,) int32.

    items  as `mark_repeats` returns them
    """
    sizes = np.zeros(offsets.shape[0] - 1, np.int32)
    count = np.zeros(n if squares else 0, np.int32)
    for s in range(sizes.shape[0]):
        for e in range(offsets[s], offsets[s + 1]):
            row = items[e]
            if squares:  # the last of c mentions makes (c − 1)² into c²
                sizes[s] += 2 * count[max(row, ~row)] + 1
                count[max(row, ~row)] += 1
            else:
                sizes[s] += row >= 0
        if squares:
            for e in range(offsets[s], offsets[s + 1]):
                count[max(items[e], ~items[e])] = 0
    return sizes


@numba.njit(nogil=True, cache=True)
def build_postings(offsets, items, n, eligible, mentions, most):  # type: ignore[no-untyped-def]
    """Build the inverted index of the sessions that can be found.

    offsets, items  the sessions; items as `mark_repeats` returns them
    eligible        (S,) bool: sessions to index; (0,) for all
    mentions        whether the list of an item contains a session once a mention instead of once
    most            greatest length of a list; it keeps the newest sessions
    Returns starts (n+1,) int64, postings (P,) int32, descending in each list, and the lengths (n,) int64 of
    the lists without `most`.
    """
    lengths = np.zeros(n, np.int64)
    for s in range(offsets.shape[0] - 1):
        if eligible.shape[0] == 0 or eligible[s]:
            for e in range(offsets[s], offsets[s + 1]):
                if items[e] >= 0:
                    lengths[items[e]] += 1
                elif mentions:
                    lengths[~items[e]] += 1
    starts = np.zeros(n + 1, np.int64)
    for r in range(n):
        starts[r + 1] = starts[r] + min(lengths[r], most)
    free = starts[:n].copy()
    postings = np.empty(starts[n], np.int32)
    for s in range(offsets.shape[0] - 2, -1, -1):
        if eligible.shape[0] == 0 or eligible[s]:
            for e in range(offsets[s], offsets[s + 1]):
                if items[e] >= 0 or mentions:
                    row = max(items[e], ~items[e])
                    if free[row] < starts[row + 1]:
                        postings[free[row]] = s
                        free[row] += 1
    return starts, postings, lengths
