"""Policies of result lists, against loops over Python sets."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.rerank import (
    choose_diverse,
    count_shared,
    fill_cooccurring,
    fill_popular,
    find_mutual,
    keep_capped,
)
from tests.conftest import read_only

N, K = 7, 4
baskets = st.lists(st.sets(st.integers(0, N - 1)), max_size=8)
lists = st.lists(st.lists(st.integers(0, N - 1), unique=True, max_size=K), max_size=4)


class Sets(NamedTuple):
    """Sets end to end: set i is values[starts[i]:starts[i + 1]]."""

    starts: np.ndarray
    values: np.ndarray


def flat(sets: list[set[int]] | list[list[int]]) -> Sets:
    starts = np.concatenate([[0], np.cumsum([len(one) for one in sets])]).astype(np.int64)
    return Sets(read_only(starts), read_only(np.array([i for one in sets for i in sorted(one)], dtype=np.int64)))


def sessions_of_items(sessions: list[set[int]], n: int = N) -> list[set[int]]:
    return [{s for s, items in enumerate(sessions) if item in items} for item in range(n)]


def table(rows: list[list[int]], width: int = K) -> np.ndarray:
    return read_only(np.array([[*row, *[-1] * (width - len(row))] for row in rows], dtype=np.int64).reshape(-1, width))


def cosine(a: set[int], b: set[int]) -> float:
    return len(a & b) / sqrt(len(a) * len(b)) if a and b else 0.0


@given(baskets, lists, st.integers(0, N - 1))
def test_shared_sessions_are_counted(sessions: list[set[int]], rows: list[list[int]], seed: int) -> None:
    held = sessions_of_items(sessions)
    out = np.full((len(rows), K), 99)
    count_shared(*flat(held), read_only(np.full(len(rows), seed)), table(rows), out)
    for row, counts in zip(rows, out.tolist(), strict=True):
        assert counts == [len(held[seed] & held[item]) for item in row] + [0] * (K - len(row))


def test_shared_sessions_of_a_rare_and_a_frequent_item() -> None:
    """The longer list is searched, not walked, where it is more than 16 times as long."""
    rng = np.random.default_rng(0)
    held = [set(range(0, 400, 2)), {0, 7, 200, 398}, {399}, set(rng.choice(400, 5, replace=False).tolist())]
    out = np.empty((4, 4), dtype=np.int64)
    count_shared(*flat(held), np.arange(4), table([[0, 1, 2, 3]] * 4), out)
    assert out.tolist() == [[len(a & b) for b in held] for a in held]


@given(st.lists(st.lists(st.integers(0, N - 1), max_size=3), min_size=N, max_size=N), lists)
def test_only_mutual_neighbours_are_kept(near: list[list[int]], rows: list[list[int]]) -> None:
    seeds = np.arange(len(rows))
    keep = np.ones((len(rows), K), dtype=np.bool_)
    find_mutual(read_only(table(near, 3).astype(np.int32)), read_only(seeds), table(rows), keep)
    for seed, row, kept in zip(seeds, rows, keep.tolist(), strict=True):
        assert kept == [seed in near[item] for item in row] + [False] * (K - len(row))


@given(st.lists(st.sets(st.integers(0, 2)), min_size=N, max_size=N), st.integers(1, 3), lists)
def test_at_most_the_given_number_of_a_value_is_kept(values: list[set[int]], most: int, rows: list[list[int]]) -> None:
    keep = np.ones((len(rows), K), dtype=np.bool_)
    keep_capped(*flat(values), most, table(rows), keep)
    for row, kept in zip(rows, keep.tolist(), strict=True):
        chosen: list[int] = []
        for item in row:
            if all(sum(value in values[other] for other in chosen) < most for value in values[item]):
                chosen.append(item)
        assert kept == [item in chosen for item in row] + [False] * (K - len(row))


def slow_diverse(rows: list[int], relevance: list[float], weight: float, similarity: np.ndarray, k: int) -> list:
    chosen: list[tuple[int, float]] = []
    left = dict(zip(rows, relevance, strict=True))
    while left and len(chosen) < k:
        gains = {
            item: (1 - weight) * value - weight * max([0.0, *(similarity[other, item] for other, _ in chosen)])
            for item, value in left.items()
        }
        best = max(gains, key=lambda item: gains[item])  # the first of those that tie
        chosen.append((best, gains[best]))
        del left[best]
    return chosen


@pytest.mark.parametrize("by_vectors", [True, False])
@given(baskets, lists, st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, K + 1))
def test_maximal_marginal_relevance_equals_a_slow_loop(
    by_vectors: bool, sessions: list[set[int]], rows: list[list[int]], weight: float, k: int
) -> None:
    rng = np.random.default_rng(len(rows))
    vectors = rng.normal(size=(N, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    held = sessions_of_items(sessions)
    similarity = np.array([[cosine(a, b) for b in held] for a in held])
    if by_vectors:
        similarity = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    relevance = -np.sort(-rng.random((len(rows), K)))
    best_rows, best_scores = np.full((len(rows), k), 99), np.zeros((len(rows), k))
    given_vectors = vectors if by_vectors else np.empty((0, 0), dtype=np.float32)
    choose_diverse(
        read_only(given_vectors), *flat(held), table(rows), read_only(relevance), weight, best_rows, best_scores
    )
    for i, row in enumerate(rows):
        expected = slow_diverse(row, relevance[i, : len(row)].tolist(), weight, similarity, k)
        missing = k - len(expected)
        assert best_rows[i].tolist() == [item for item, _ in expected] + [-1] * missing
        np.testing.assert_allclose(best_scores[i], [gain for _, gain in expected] + [-np.inf] * missing, atol=1e-6)


@given(baskets, lists, st.sets(st.integers(0, N - 1)))
def test_short_lists_are_filled_with_items_of_the_same_sessions(
    sessions: list[set[int]], rows: list[list[int]], blocked: set[int]
) -> None:
    held = sessions_of_items(sessions)
    free = np.array([item not in blocked for item in range(N)])
    out, scores = table(rows).copy(), np.where(table(rows) >= 0, 0.5, -np.inf)
    seeds, scratch = np.arange(len(rows)), np.zeros(N, dtype=np.int64)
    met = np.empty(N, dtype=np.int64)
    fill_cooccurring(*flat(held), *flat(sessions), read_only(seeds), read_only(free), out, scores, scratch, met)
    assert not scratch.any()
    for seed, row, filled, values in zip(seeds.tolist(), rows, out.tolist(), scores.tolist(), strict=True):
        near = {item: cosine(held[seed], held[item]) for item in range(N) if free[item] and item not in [seed, *row]}
        order = sorted((item for item in near if near[item] > 0), key=lambda item: (-near[item], item))
        added = order[: K - len(row)]
        missing = K - len(row) - len(added)
        assert filled == row + added + [-1] * missing
        expected = [0.5] * len(row) + [min(0.5, near[item]) if row else near[item] for item in added]
        assert values == pytest.approx(expected + [-np.inf] * missing)


@given(st.permutations(range(N)), lists, st.lists(st.sets(st.integers(0, N - 1)), min_size=4, max_size=4))
def test_short_lists_are_filled_with_popular_items(
    popular: list[int], rows: list[list[int]], known: list[set[int]]
) -> None:
    shares = read_only(np.linspace(0.9, 0.1, N))
    out, scores = table(rows).copy(), np.where(table(rows) >= 0, 0.5, -np.inf)
    fill_popular(read_only(np.array(popular)), shares, *flat(known[: len(rows)]), out, scores)
    for i, row in enumerate(rows):
        places = [p for p, item in enumerate(popular) if item not in row and item not in known[i]][: K - len(row)]
        missing = K - len(row) - len(places)
        assert out[i].tolist() == row + [popular[p] for p in places] + [-1] * missing
        expected = [0.5] * len(row) + [min(0.5, shares[p]) if row else shares[p] for p in places]
        assert scores[i].tolist() == expected + [-np.inf] * missing
