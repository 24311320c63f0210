"""Lines of lists, put together byte by byte from texts that were made once."""

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
    """What stands around seeds, results and scores in the line of a list; bytes as uint8 arrays.

    start + seed + counted[results] + (seed, if twice and there are results) + first + result + middle + score + after +
    between + result + … + end
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
def weave_lists(line, seeds, words, scores, queries, rows, out):  # type: ignore[no-untyped-def]
    """A line for every list; returns how many bytes of `out` were written.

    seeds, words  Texts; scores: Texts, one for every result there is, in order, or none at all
    queries       (b,) int64 texts of the seeds; rows (b, k) int32 texts of the results, from the left, −1 for missing
    out           (≥ size,) uint8, written
    """
    at, score, scored = 0, 0, scores.ends.shape[0] > 1
    for i in range(rows.shape[0]):
        _ask_ahead(words, rows, i)
        count = 0
        while count < rows.shape[1] and rows[i, count] >= 0:
            count += 1
        at = _put(out, at, line.start, 0, line.start.shape[0])
        at = _put(out, at, seeds.data, seeds.ends[queries[i]], seeds.ends[queries[i] + 1])
        at = _put(out, at, line.counted.data, line.counted.ends[count], line.counted.ends[count + 1])
        if line.twice and count > 0:
            at = _put(out, at, seeds.data, seeds.ends[queries[i]], seeds.ends[queries[i] + 1])
        for j in range(count):
            before = line.between if j > 0 else line.first
            at = _put(out, at, before, 0, before.shape[0])
            at = _put(out, at, words.data, words.ends[rows[i, j]], words.ends[rows[i, j] + 1])
            if scored:
                at = _put(out, at, line.middle, 0, line.middle.shape[0])
                at = _put(out, at, scores.data, scores.ends[score], scores.ends[score + 1])
                at = _put(out, at, line.after, 0, line.after.shape[0])
                score += 1
        at = _put(out, at, line.end, 0, line.end.shape[0])
    return at


@numba.njit(nogil=True, cache=True)
def weave_pairs(separator, ranks, seeds, words, scores, seed_ends, word_ends, queries, rows, out):  # type: ignore[no-untyped-def]
    """A line for every result: seed, rank, result, score, and what else is known; returns how many bytes were written.

    separator             between these four: a byte
    ranks                 Texts of 1 … k
    seed_ends, word_ends  Texts that follow the score, one a seed and one a word, or none at all

    Other arguments are as of `weave_lists`.
    """
    seed_ended, word_ended = seed_ends.ends.shape[0] > 1, word_ends.ends.shape[0] > 1
    at, score = 0, 0
    for i in range(rows.shape[0]):
        _ask_ahead(words, rows, i)
        for j in range(rows.shape[1]):
            if rows[i, j] < 0:
                break
            at = _put(out, at, seeds.data, seeds.ends[queries[i]], seeds.ends[queries[i] + 1])
            out[at] = separator
            at = _put(out, at + 1, ranks.data, ranks.ends[j], ranks.ends[j + 1])
            out[at] = separator
            at = _put(out, at + 1, words.data, words.ends[rows[i, j]], words.ends[rows[i, j] + 1])
            out[at] = separator
            at = _put(out, at + 1, scores.data, scores.ends[score], scores.ends[score + 1])
            if seed_ended:
                at = _put(out, at, seed_ends.data, seed_ends.ends[queries[i]], seed_ends.ends[queries[i] + 1])
            if word_ended:
                at = _put(out, at, word_ends.data, word_ends.ends[rows[i, j]], word_ends.ends[rows[i, j] + 1])
            out[at] = 10
            at += 1
            score += 1
    return at


@numba.njit(nogil=True, cache=True)
def _put(out, at, data, start, stop):  # type: ignore[no-untyped-def]
    to, begin, size = np.uint64(at), np.uint64(start), np.uint64(stop - start)
    for i in range(size):  # an index that may be below 0 would be looked at, and the loop not be vectorised
        out[to + i] = data[begin + i]
    return at + stop - start


@numba.njit(nogil=True, cache=True)
def _ask_ahead(words, rows, i):  # type: ignore[no-untyped-def]
    """Words lie anywhere in memory: those of the next list are asked for now, and where they begin a list earlier."""
    if i + 2 < rows.shape[0]:
        for j in range(rows.shape[1]):
            fetch(words.ends, max(rows[i + 2, j], 0))
    if i + 1 < rows.shape[0]:
        for j in range(rows.shape[1]):
            fetch(words.data, words.ends[max(rows[i + 1, j], 0)])
