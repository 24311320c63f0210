"""The nearest past sessions of a history, against a search of one session after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.session_formulas import (
    LEAST_SHARED,
    MOST_SHARED,
    NEWEST,
    RANDOM,
    S_BINARY,
    S_COSINE,
    S_JACCARD,
    S_PEER_COSINE,
    S_VEC,
    W_COUNT,
    W_DIV,
    W_SAME,
    KnnFormula,
    new_scratch,
)
from embedrec.kernels.session_knn import (
    POSITION_MASK,
    buffer_sizes,
    distinct_items,
    nearest_sessions,
    select_largest,
    tie_break,
)
from tests.kernels.session_cases import N, flat, histories, index_of, past_sessions, rounded, slow_neighbours


@given(st.lists(st.sampled_from([0.0, 0.5, 0.5 + 1e-15, 0.7, 1.0]), max_size=12), st.integers(1, 13))
def test_positions_of_the_best_are_ascending(keys: list[float], k: int) -> None:
    """The places of the k best, ties by later session, ascend: sums over them have the same order for every k."""
    session = np.random.default_rng(len(keys)).permutation(len(keys)).astype(np.int32)
    chosen = np.empty(min(k, len(keys)) + 1, dtype=np.int64)
    count = select_largest(np.array(keys), session, k, chosen)
    order = sorted(range(len(keys)), key=lambda i: (-round(keys[i], 9), -session[i]))
    assert chosen[:count].tolist() == sorted(order[:k])


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_ties_are_lower_for_later_sessions(session: int, other: int, place: int) -> None:
    assert tie_break(session, place) & POSITION_MASK == place
    assert (tie_break(session, place) < tie_break(other, place)) == (session > other)


@dataclass
class Neighbours:
    """Sessions and similarities for each of some histories."""

    rows: list[list[int]]
    scores: list[list[float]]


def kernel_neighbours(
    past: list[list[int]],
    queries: list[list[int]],
    formula: KnnFormula,
    k: int,
    now: int = 0,
    proposed: np.ndarray | None = None,
) -> Neighbours:
    scratch = new_scratch(len(past), N)
    rows, scores = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
    candidates = np.empty((len(queries), 0), dtype=np.int32) if proposed is None else proposed
    index = index_of(past, formula, [], {})
    nearest_sessions(index, formula, *flat(queries), np.full(len(queries), now), candidates, scratch, rows, scores)
    assert (scratch.slot == -1).all() and not scratch.marks.any() and np.isneginf(scratch.totals).all()
    return Neighbours(rows.tolist(), scores.tolist())


def check(result: Neighbours, expected: list[list[tuple[int, float]]], k: int) -> None:
    for rows, scores, candidates in zip(result.rows, result.scores, expected, strict=True):
        pairs = [pair for pair in candidates if pair[1] > 0][:k]
        missing = k - len(pairs)
        assert rows == [s for s, _ in pairs] + [-1] * missing
        assert scores == pytest.approx([similarity for _, similarity in pairs] + [-np.inf] * missing, rel=1e-9)


FORMULAS: list[dict[str, Any]] = [
    {"similarity": S_VEC, "weight": W_DIV},
    {"similarity": S_COSINE, "weight": W_DIV, "fade": 2500.0},
    {"similarity": S_COSINE, "weight": W_DIV, "fade": 2500.0, "future": True},
    {"similarity": S_COSINE, "weight": W_COUNT},
    {"similarity": S_JACCARD, "weight": W_SAME},
    {"similarity": S_BINARY, "weight": W_SAME},
    {"similarity": S_PEER_COSINE, "weight": W_SAME},
]


@pytest.mark.parametrize("settings", FORMULAS, ids=str)
@given(past_sessions, histories, st.integers(1, 5), st.sampled_from([1, 2, 99]))
def test_nearest_sessions_equal_a_slow_loop(
    settings: dict[str, Any], past: list[list[int]], queries: list[list[int]], k: int, last: int
) -> None:
    formula = KnnFormula(neighbours=3, sample=99, last=last, **settings)
    result = kernel_neighbours(past, queries, formula, k, now=3000)
    check(result, [slow_neighbours(past, history, formula, 3000) for history in queries], k)


@pytest.mark.parametrize("sampling", [NEWEST, MOST_SHARED, LEAST_SHARED])
@given(past_sessions, histories, st.integers(1, 4))
def test_sampled_candidates_equal_a_slow_loop(
    sampling: int, past: list[list[int]], queries: list[list[int]], sample: int
) -> None:
    formula = KnnFormula(neighbours=3, sample=sample, sampling=sampling)
    result = kernel_neighbours(past, queries, formula, 9)
    check(result, [slow_neighbours(past, history, formula, 0) for history in queries], 9)


def test_the_newest_of_many_sessions_are_sampled() -> None:
    """Windows of sessions that are too narrow at first, and too wide at last."""
    rng = np.random.default_rng(0)
    past = [rng.integers(1, N, 3).tolist() for _ in range(2000)] + [[0]] * 3 + [[N - 1]] * 400
    for sample in (1, 2, 50, 700, 1700):
        formula = KnnFormula(neighbours=9, sample=sample)
        queries = [[1, 2], [0, 1], [3]]
        result = kernel_neighbours(past, queries, formula, 1800)
        check(result, [slow_neighbours(past, history, formula, 0) for history in queries], 1800)


def test_random_samples_depend_on_seed_and_history_only() -> None:
    past = [[0, 1 + s % 3] for s in range(60)]

    def sample(queries: list[list[int]], seed: int) -> list[set[int]]:
        formula = KnnFormula(neighbours=9, sample=10, sampling=RANDOM, seed=seed)
        return [set(rows) for rows in kernel_neighbours(past, queries, formula, 10).rows]

    first, other = sample([[0], [1, 0]], 5)
    assert len(first) == len(other) == 10 and -1 not in first
    assert first not in (other, set(range(50, 60)))
    assert sample([[2], [0]], 5)[1] == first
    assert sample([[0]], 6)[0] != first


@pytest.mark.parametrize("weight", [W_SAME, W_COUNT])
@given(past_sessions, histories, st.data())
def test_only_proposed_sessions_are_neighbours(
    weight: int, past: list[list[int]], queries: list[list[int]], data: st.DataObject
) -> None:
    formula = KnnFormula(neighbours=3, sample=99, weight=weight, similarity=S_COSINE)
    each = [data.draw(st.permutations(range(len(past)))) for _ in queries]
    width = max(len(past), 1)
    proposed = [[s if data.draw(st.booleans()) else -1 for s in row] + [-1] * (width - len(past)) for row in each]
    result = kernel_neighbours(past, queries, formula, 9, proposed=np.array(proposed, np.int32).reshape(-1, width))
    expected = [
        slow_neighbours(past, h, formula, 0, [s for s in p if s >= 0]) for h, p in zip(queries, proposed, strict=True)
    ]
    check(result, expected, 9)


@given(st.lists(st.integers(0, N - 1), max_size=7), st.integers(1, 8), st.sampled_from([W_DIV, W_COUNT]))
def test_distinct_items_of_a_history_equal_a_slow_loop(history: list[int], last: int, weight: int) -> None:
    formula = KnnFormula(neighbours=1, sample=1, last=last, weight=weight)
    scratch, size = new_scratch(0, N), len(history)
    rows, weights, steps = np.empty(size, np.int32), np.empty(size), np.empty(size, np.int64)
    m = distinct_items(formula, np.array(history, np.int32), scratch, rows, weights, steps)
    recent = history[-last:]
    expected = list(dict.fromkeys(reversed(recent)))
    assert rows[:m].tolist() == expected
    assert steps[:m].tolist() == [history[::-1].index(row) + 1 for row in expected]
    latest = {row: place / len(recent) for place, row in enumerate(recent, 1)}
    wanted = [recent.count(row) if weight == W_COUNT else latest[row] for row in expected]
    assert [rounded(w) for w in weights[:m]] == [rounded(w) for w in wanted]
    assert np.flatnonzero(scratch.marks).tolist() == sorted(set(history))
    assert np.isneginf(scratch.totals).all()


@given(past_sessions, histories, st.integers(0, 4))
def test_buffers_are_large_enough_for_every_history(
    past: list[list[int]], queries: list[list[int]], proposed: int
) -> None:
    index = index_of(past, KnnFormula(1, 1), [], {})
    met = [sum(row in session for row in history for session in past) for history in queries]
    size, longest = buffer_sizes(index, *flat(queries), proposed)
    assert size == min(max([0, proposed, *met]), len(past))
    assert longest == max([0, *map(len, queries)])
