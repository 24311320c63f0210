"""The k largest scores of each row of a matrix, ties by lower column; the heap of the k best; selection in place."""

from __future__ import annotations

import numba
import numpy as np

_BLOCK = 32  # scores compared at a time


@numba.njit(nogil=True, cache=True)
def replace_worst(heap_rows, heap_scores, row, score):  # type: ignore[no-untyped-def]
    """Replace the worst entry of a heap, at 0: the lowest score, then the highest row."""
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
    """Select the k best of `count` results, best first, ties by lower row; returns min(count, k).

    rows, scores  (≥ count,) uint32, float32 in any order, overwritten; positive scores, whose bits have the same order
    keys          (≥ count,) uint64, scratch
    best_rows, best_scores  (k,), of which min(count, k) are written
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
    """Insert a key at `hole` of a heap whose smallest key is at 0, and sink it below smaller keys."""
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

    scores       (q, b) float32, the block's columns first, first + 1, …; −inf is never selected
    first        row of the block's first column
    best_rows    (q, k) int64, written: a heap by (score, row), worst at 0; −1 for empty
    best_scores  (q, k) float32, written; −inf for empty
    """
    b = scores.shape[1]
    for i in range(scores.shape[0]):
        row, heap_rows, heap_scores = scores[i], best_rows[i], best_scores[i]
        worst = heap_scores[0]
        for start in range(0, b, _BLOCK):
            stop = min(start + _BLOCK, b)
            above = 0
            for j in range(start, stop):  # in vector instructions; few blocks contain a higher score
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


@numba.njit(nogil=True, cache=True)
def partition(rows, scores, count, k):  # type: ignore[no-untyped-def]
    """Bring the k largest of `count` ≥ k scores to the front; returns the least of them (Hoare 1961).

    rows  what moves with the scores; None for scores alone
    """
    low, high = 0, count - 1
    while low < high:
        pivot = scores[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while scores[i] > pivot:
                i += 1
            while scores[j] < pivot:
                j -= 1
            if i <= j:
                scores[i], scores[j] = scores[j], scores[i]
                if rows is not None:
                    rows[i], rows[j] = rows[j], rows[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    return scores[:k].min()
