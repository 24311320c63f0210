"""Lines of result lists, assembled byte by byte from prepared texts."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from embedrec.kernels.prefetch import fetch


class Texts(NamedTuple):
    """Texts end to end: the bytes of text t are `data[ends[t]:ends[t + 1]]`; data uint8, ends (n+1,) int64."""

    data: np.ndarray
    ends: np.ndarray


class Line(NamedTuple):
    """The bytes around seeds, results and scores in the line of a list, as uint8 arrays:

    start + seed + counted[number of results] + (seed, if `twice` and there are results) + first + result + middle +
    score + after + between + result + … + end
    """

    start: np.ndarray
    counted: Texts
    twice: bool
    first: np.ndarray
    middle: np.ndarray
    after: np.ndarray
    between: np.ndarray
    end: np.ndarray


@numba.njit(nogil=True, cache=True)
def format_lists(line, seeds, words, scores, queries, rows, out):  # type: ignore[no-untyped-def]
    """Write a line per list; returns the number of bytes written.

    seeds, words  Texts; scores: Texts, one per result in order, or none
    queries       (b,) int64 texts of the seeds; rows (b, k) int32 texts of the results, from the left, −1 for missing
    out           (≥ size,) uint8, written
    """
    position, score, has_scores = 0, 0, scores.ends.shape[0] > 1
    for i in range(rows.shape[0]):
        _prefetch_words(words, rows, i)
        count = 0
        while count < rows.shape[1] and rows[i, count] >= 0:
            count += 1
        position = _put(out, position, line.start, 0, line.start.shape[0])
        position = _put(out, position, seeds.data, seeds.ends[queries[i]], seeds.ends[queries[i] + 1])
        position = _put(out, position, line.counted.data, line.counted.ends[count], line.counted.ends[count + 1])
        if line.twice and count > 0:
            position = _put(out, position, seeds.data, seeds.ends[queries[i]], seeds.ends[queries[i] + 1])
        for j in range(count):
            before = line.between if j > 0 else line.first
            position = _put(out, position, before, 0, before.shape[0])
            position = _put(out, position, words.data, words.ends[rows[i, j]], words.ends[rows[i, j] + 1])
            if has_scores:
                position = _put(out, position, line.middle, 0, line.middle.shape[0])
                position = _put(out, position, scores.data, scores.ends[score], scores.ends[score + 1])
                position = _put(out, position, line.after, 0, line.after.shape[0])
                score += 1
        position = _put(out, position, line.end, 0, line.end.shape[0])
    return position


@numba.njit(nogil=True, cache=True)
def format_pairs(separator, ranks, seeds, words, scores, seed_ends, word_ends, queries, rows, out):  # type: ignore[no-untyped-def]
    """Write a line per result: seed, rank, result, score, and further texts; returns the number of bytes written.

    separator             byte between the first four
    ranks                 Texts of 1 … k
    seed_ends, word_ends  Texts after the score, one per seed and one per word, or none

    Other arguments are those of `format_lists`.
    """
    has_seed_ends, has_word_ends = seed_ends.ends.shape[0] > 1, word_ends.ends.shape[0] > 1
    position, score = 0, 0
    for i in range(rows.shape[0]):
        _prefetch_words(words, rows, i)
        for j in range(rows.shape[1]):
            if rows[i, j] < 0:
                break
            position = _put(out, position, seeds.data, seeds.ends[queries[i]], seeds.ends[queries[i] + 1])
            out[position] = separator
            position = _put(out, position + 1, ranks.data, ranks.ends[j], ranks.ends[j + 1])
            out[position] = separator
            position = _put(out, position + 1, words.data, words.ends[rows[i, j]], words.ends[rows[i, j] + 1])
            out[position] = separator
            position = _put(out, position + 1, scores.data, scores.ends[score], scores.ends[score + 1])
            if has_seed_ends:
                position = _put(
                    out, position, seed_ends.data, seed_ends.ends[queries[i]], seed_ends.ends[queries[i] + 1]
                )
            if has_word_ends:
                position = _put(
                    out, position, word_ends.data, word_ends.ends[rows[i, j]], word_ends.ends[rows[i, j] + 1]
                )
            out[position] = 10
            position += 1
            score += 1
    return position


@numba.njit(nogil=True, cache=True)
def _put(out, position, data, start, stop):  # type: ignore[no-untyped-def]
    to, begin, size = np.uint64(position), np.uint64(start), np.uint64(stop - start)
    for i in range(size):  # an index that may be negative is checked, which prevents vectorisation
        out[to + i] = data[begin + i]
    return position + stop - start


@numba.njit(nogil=True, cache=True)
def _prefetch_words(words, rows, i):  # type: ignore[no-untyped-def]
    """Prefetch the words of the next list, scattered in memory, and the offsets of those of the list after it."""
    if i + 2 < rows.shape[0]:
        for j in range(rows.shape[1]):
            fetch(words.ends, max(rows[i + 2, j], 0))
    if i + 1 < rows.shape[0]:
        for j in range(rows.shape[1]):
            fetch(words.data, words.ends[max(rows[i + 1, j], 0)])
