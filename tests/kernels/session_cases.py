"""Indexes of past sessions for the kernels of session kNN, and a slow reference of their results."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import exp, sqrt

import numpy as np
from hypothesis import strategies as st

from embedrec.kernels.inverted_index import build_postings, mark_repeats, session_sizes
from embedrec.kernels.session_formulas import (
    EACH_MENTION,
    LEAST_SHARED,
    LESS_MEAN_OF_ALL,
    LESS_MEAN_OF_RATED,
    MOST_SHARED,
    NEAR_SHARED,
    S_BINARY,
    S_COSINE,
    S_JACCARD,
    S_VEC,
    SUM,
    W_COUNT,
    Index,
    KnnFormula,
    decay_at,
    weight_at,
)
from tests.conftest import read_only

N = 7
items = st.integers(0, N - 1)
past_sessions = st.lists(st.lists(items, max_size=5), max_size=9)
histories = st.lists(st.lists(items, max_size=5), max_size=4)
NEARNESS = read_only(np.exp(-np.arange(9) / 3))


def flat(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    return read_only(offsets), read_only(np.array([i for one in lists for i in one], dtype=np.int32))


def times_of(past: list[list[int]]) -> list[int]:
    return [1000 * s for s in range(len(past))]


def index_of(past: list[list[int]], formula: KnnFormula, factors: list[float], followers: dict[int, set[int]]) -> Index:
    """The index of past sessions, the oldest first; `followers` is empty where all items may be answered."""
    offsets, rows = flat(past)
    rows = mark_repeats(offsets, rows, N)
    counts = formula.weight == W_COUNT
    starts, postings, _ = build_postings(offsets, rows, N, np.empty(0, dtype=np.bool_), counts, 1 << 62)
    followed, after = np.empty(0, np.int64), np.empty(0, np.int32)
    if followers:
        followed, after = flat([sorted(followers.get(row, ())) for row in range(N)])
    sizes = session_sizes(offsets, rows, N, counts)
    times = np.array(times_of(past), dtype=np.int64)
    arrays = (offsets, rows, starts, postings, sizes, times, np.array(factors), followed, after, NEARNESS)
    return Index(*(read_only(array) for array in arrays))


def rounded(value: float) -> float:
    return float(f"{value:.9e}")


def slow_neighbours(
    past: list[list[int]], history: list[int], formula: KnnFormula, now: int, proposed: list[int] | None = None
) -> list[tuple[int, float]]:
    """All candidates with their similarities, the most similar first, ties by later session."""
    recent = history[-formula.last :]
    if not recent:
        return []
    weights = {row: weight_at(formula, place, len(recent)) for place, row in enumerate(recent, 1)}
    if formula.weight == W_COUNT:
        weights = {row: float(count) for row, count in Counter(recent).items()}
    shared = {s: set(past[s]) & set(recent) for s in range(len(past)) if set(past[s]) & set(recent)}
    pool = sorted(shared, reverse=True)
    if proposed is not None:
        pool = [s for s in proposed if s in shared]
    elif len(pool) > formula.sample:
        sign = {MOST_SHARED: -1, LEAST_SHARED: 1}.get(formula.sampling, 0)
        pool = sorted(pool, key=lambda s: (sign * len(shared[s]), -s))[: formula.sample]
    m, norm = len(weights), sqrt(sum(weight**2 for weight in weights.values()))
    results = []
    for s in pool:
        counts = Counter(past[s])
        size = len(counts)
        dot = sum(weights[row] for row in shared[s])
        if formula.weight == W_COUNT:
            dot = sum(weights[row] * counts[row] for row in shared[s])
            size = sum(count**2 for count in counts.values())
        similarity = {
            S_VEC: dot / m,
            S_COSINE: dot / (norm * sqrt(size)) if norm else 0.0,
            S_JACCARD: dot / (m + size - dot) if m + size != dot else np.inf,
            S_BINARY: 2 * dot / (2 * dot + m + size),
        }.get(formula.similarity, dot / sqrt(size) * sqrt(m))
        if formula.fade:
            age = now - times_of(past)[s]
            similarity *= exp(-(age if formula.future else max(age, 0)) / formula.fade)
        results.append((s, similarity))
    return sorted(results, key=lambda pair: (-rounded(pair[1]), -pair[0]))


def slow_scores(
    past: list[list[int]],
    history: list[int],
    formula: KnnFormula,
    now: int,
    factors: list[float],
    followers: dict[int, set[int]],
) -> dict[int, float]:
    """The scores of the items of the neighbours, whether they may be answered or not."""
    recent = history[-formula.last :]
    near = [pair for pair in slow_neighbours(past, history, formula, now)[: formula.neighbours] if pair[1] > 0]
    sums: dict[int, float] = defaultdict(float)
    total = mean = 0.0
    for s, similarity in near:
        session = past[s]
        step = min(history[::-1].index(row) + 1 for row in set(session) & set(recent))
        gain = similarity * decay_at(formula, step)
        total += similarity
        mean += similarity * len(session) / (len(set(session)) if formula.score == LESS_MEAN_OF_RATED else N)
        last_shared = max(place for place, row in enumerate(session) if row in history)
        for row in session if formula.adds == EACH_MENTION else set(session):
            if followers and row not in followers.get(history[-1], ()):
                continue
            last = max(place for place, other in enumerate(session) if other == row)
            sums[row] += gain * (NEARNESS[abs(last - last_shared)] if formula.adds == NEAR_SHARED else 1.0)
    scale, shift = 1.0, 0.0
    if formula.score != SUM:
        scale = 1 / total if total else 1.0
    if formula.score == LESS_MEAN_OF_ALL:
        shift = len(history) / N - mean * scale
    if formula.score == LESS_MEAN_OF_RATED:
        shift = len(history) / len(set(recent)) - mean * scale
    return {row: (value * scale + shift) * (factors[row] if factors else 1.0) for row, value in sums.items()}
