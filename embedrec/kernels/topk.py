"""The k largest of each row of a score matrix, ties by lower column; and the heap that the k best are kept in."""

from __future__ import annotations

import numba
import numpy as np

_LOOKED_AT = 32  # scores looked at at a time


@numba.njit(nogil=True, cache=True)
def replace_worst(heap_rows, heap_scores, row, score):  # type: ignore[no-untyped-def]
    """Put a row and its score in the place of the worst of a heap: lowest score, then highest row, at 0."""
    k, hole = heap_rows.shape[0], 0
    while True:
        child = 2 * hole + 1
        if child >= k:
            break
        right = child + 1
        if right < k and (
            heap_scores[right] < heap_scores[child]
            or (heap_scores[right] == heap_scores[child] and heap_rows[right] > heap_rows[child])
        ):
            child = right
        if heap_scores[child] < score or (heap_scores[child] == score and heap_rows[child] > row):
            heap_scores[hole], heap_rows[hole] = heap_scores[child], heap_rows[child]
            hole = child
        else:
            break
    heap_scores[hole], heap_rows[hole] = score, row


@numba.njit(nogil=True, cache=True)
def sort_heap(heap_rows, heap_scores):  # type: ignore[no-untyped-def]
    """Sort a heap of `replace_worst` in place: best first, ties by lower row."""
    for end in range(heap_rows.shape[0] - 1, 0, -1):
        row, score = heap_rows[0], heap_scores[0]
        replace_worst(heap_rows[:end], heap_scores[:end], heap_rows[end], heap_scores[end])
        heap_rows[end], heap_scores[end] = row, score


@numba.njit(nogil=True, cache=True)
def keep_best(rows, scores, count, keys, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """The k best of `count` results, fewer where there are fewer, best first, ties by lower row; returns how many.

    rows, scores  (≥ count,) uint32, float32 in any order; scores are positive, so that their bits order as they do
    keys          (≥ count,) uint64, scratch
    best_rows, best_scores  (k,), written as far as there are results
    """
    bits, size = scores.view(np.uint32), min(count, best_rows.shape[0])
    for i in range(count):
        keys[i] = (np.uint64(bits[i]) << np.uint64(32)) | np.uint64(~rows[i])
    if size < count:
        for hole in range(size // 2 - 1, -1, -1):
            _sink_key(keys[:size], hole, keys[hole])
        for i in range(size, count):
            if keys[i] > keys[0]:
                _sink_key(keys[:size], 0, keys[i])
    keys[:size].sort()
    for i in range(size):
        key = keys[size - 1 - i]
        best_rows[i] = ~np.uint32(key & np.uint64(0xFFFFFFFF))
        bits[i] = np.uint32(key >> np.uint64(32))
        best_scores[i] = scores[i]
    return size


@numba.njit(nogil=True, cache=True)
def _sink_key(heap, hole, key):  # type: ignore[no-untyped-def]
    """Put a key at `hole` of a heap whose smallest is at 0, or below where smaller ones move up."""
    while True:
        child = 2 * hole + 1
        if child >= heap.shape[0]:
            break
        if child + 1 < heap.shape[0] and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[hole] = heap[child]
        hole = child
    heap[hole] = key


@numba.njit(nogil=True, cache=True)
def merge_best(scores, first, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """Merge a block of scores into the running k best of each query.

    scores       (q, b) float32, the block's columns first, first + 1, …; −inf is never taken
    first        row that the block's first column stands for
    best_rows    (q, k) int64, written: a heap by (score, row), worst at 0; −1 for empty
    best_scores  (q, k) float32, written; −inf for empty
    """
    b = scores.shape[1]
    for i in range(scores.shape[0]):
        row, heap_rows, heap_scores = scores[i], best_rows[i], best_scores[i]
        worst = heap_scores[0]
        for start in range(0, b, _LOOKED_AT):
            stop = min(start + _LOOKED_AT, b)
            above = 0
            for j in range(start, stop):  # in vector instructions; few of the parts hold a score that counts
                above += row[j] > worst
            if above:
                for j in range(start, stop):
                    # Columns come in ascending order, so that a tie with the worst never replaces it.
                    if row[j] > worst:
                        replace_worst(heap_rows, heap_scores, first + j, row[j])
                        worst = heap_scores[0]


def empty_best(q: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Empty `best_rows` and `best_scores` (q, k) for `merge_best`."""
    return np.full((q, k), -1, dtype=np.int64), np.full((q, k), -np.inf, dtype=np.float32)
