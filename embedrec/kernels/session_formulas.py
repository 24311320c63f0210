"""Formulas of the session-kNN variants by number, their constants, and the arrays that all variants share."""

from __future__ import annotations

from math import exp, log10
from typing import NamedTuple

import numba
import numpy as np

# selection of candidates among the sessions that share an item with the history
NEWEST, MOST_SHARED, LEAST_SHARED, RANDOM = range(4)
# weight of an item whose last position in the history is p of L, from 1
(W_SAME, W_DIV, W_LINEAR, W_QUADRATIC, W_LOG, W_EXP, W_PLACE, W_COUNT, W_PEER_LINEAR) = range(9)
# similarity from the dot product and the sizes of both sessions
S_VEC, S_COSINE, S_JACCARD, S_BINARY, S_PEER_COSINE = range(5)
# factor of a neighbour whose latest shared item is `step` events from the end of the history, from 1
D_SAME, D_DIV, D_LINEAR, D_QUADRATIC, D_LOG, D_EXP, D_PEER_LINEAR = range(7)
# what a neighbour adds to the scores: each item once, each event, or items near the shared one
EACH_ONCE, EACH_MENTION, NEAR_SHARED = range(3)
# score: the sum, or the mean over the neighbours, of play counts, raw or minus the mean of their session
SUM, MEAN, LESS_MEAN_OF_ALL, LESS_MEAN_OF_RATED = range(4)
# marks of items while a history is processed
MARK_IN_HISTORY, MARK_ALLOWED = np.uint8(1), np.uint8(2)


class Index(NamedTuple):
    """Inverted index of S sessions with E events of n items; arrays that a variant does not use are empty.

    offsets   (S+1,) int64, items (E,) int32: the sessions; a mention of an item that its session repeats later is ~row
    starts    (n+1,) int64, postings (P,) int32: sessions of item r at postings[starts[r]:starts[r + 1]], descending
    sizes     (S,) int32: distinct items a session, or the sum of its squared play counts
    times     (S,) int64 ms
    factors   (n,) float64: factor of each item's score
    followed  (n+1,) int64, followers (F,) int32: items that directly followed item r
    nearness  (longest,) float64: weight of an item by its distance from the shared item
    """

    offsets: np.ndarray
    items: np.ndarray
    starts: np.ndarray
    postings: np.ndarray
    sizes: np.ndarray
    times: np.ndarray
    factors: np.ndarray
    followed: np.ndarray
    followers: np.ndarray
    nearness: np.ndarray


class KnnFormula(NamedTuple):
    """How neighbours are selected and weighted; numbers name the formulas above.

    neighbours  number of neighbours
    sample      number of candidates
    last        number of last events of a history that count
    shift, scale    constants of the weight: (p + shift)/L, scale/log10(L − p + shift), exp((p − L)/scale)
    decay_scale     constant of the decay: a factor, the λ of exp((1 − step)/λ), or the last step of D_PEER_LINEAR
    fade        ms in which a session's similarity falls to 1/e; 0 for never
    future      whether sessions newer than the history gain weight, instead of counting as if simultaneous
    again       whether the last item of a history may be recommended where seen items may
    seed        of random samples
    """

    neighbours: int
    sample: int
    sampling: int = NEWEST
    last: int = 1 << 62
    weight: int = W_SAME
    shift: float = 0.0
    scale: float = 1.0
    similarity: int = S_VEC
    decay: int = D_SAME
    decay_scale: float = 1.0
    fade: float = 0.0
    future: bool = False
    adds: int = EACH_ONCE
    score: int = SUM
    again: bool = True
    seed: int = 0


class Scratch(NamedTuple):
    """Scratch arrays of one thread; kernels restore their initial values.

    slot     (S,) int32 of −1: position of a session among the candidates
    marks    (n,) uint8 of 0: MARK_IN_HISTORY for an item of the history, MARK_ALLOWED for one that may be recommended
    totals   (n,) float64 of −inf: scores
    touched  (n+1,) int32: items with a score; content undefined between calls
    """

    slot: np.ndarray
    marks: np.ndarray
    totals: np.ndarray
    touched: np.ndarray


def new_scratch(sessions: int, n: int) -> Scratch:
    """Scratch for an index of `sessions` sessions and n items."""
    return Scratch(
        np.full(sessions, -1, dtype=np.int32),
        np.zeros(n, dtype=np.uint8),
        np.full(n, -np.inf),
        np.empty(n + 1, dtype=np.int32),
    )


@numba.njit(nogil=True, cache=True)
def round_sum(value):  # type: ignore[no-untyped-def]
    """Round a float64 to 40 bits, about 1 in 10¹²: sums that differ only by the order of their terms become equal."""
    big = value * 8193.0
    return big - (big - value)


@numba.njit(nogil=True, cache=True)
def weight_at(formula, p, length):  # type: ignore[no-untyped-def]
    """The weight of an item whose last position in the history is p of `length`, from 1."""
    if formula.weight == W_DIV:
        return (p + formula.shift) / length
    if formula.weight == W_LINEAR:
        return max(0.0, 1 - 0.1 * (length - p))
    if formula.weight == W_QUADRATIC:
        return (p / length) ** 2
    if formula.weight == W_LOG:
        return formula.scale / log10(length - p + formula.shift)
    if formula.weight == W_EXP:
        return exp((p - length) / formula.scale)
    if formula.weight == W_PLACE:
        return float(p)
    if formula.weight == W_PEER_LINEAR:
        return 1 - 0.1 * (length - p) if p <= 10 else 0.0
    return 1.0


@numba.njit(nogil=True, cache=True)
def decay_at(formula, step):  # type: ignore[no-untyped-def]
    """The factor of a neighbour whose latest shared item is `step` events from the end of the history, from 1."""
    if formula.decay == D_DIV:
        return 1 / step
    if formula.decay == D_LINEAR:
        return max(0.0, 1 - 0.1 * step) * formula.decay_scale
    if formula.decay == D_QUADRATIC:
        return 1 / (step * step)
    if formula.decay == D_LOG:
        return formula.decay_scale / log10(step + 1.7)
    if formula.decay == D_EXP:
        return exp((1 - step) / formula.decay_scale)
    if formula.decay == D_PEER_LINEAR:
        return 1 - 0.1 * step if step <= formula.decay_scale else 0.0
    return 1.0
