"""Overlap and rank-biased overlap, against the formula over Python sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.rank_overlap import compare_lists, only_in
from tests.conftest import read_only

rankings = st.lists(
    st.permutations(range(7)).flatmap(lambda order: st.integers(0, 7).map(lambda size: order[:size])), max_size=4
)


def flat(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    return read_only(offsets), read_only(np.array([i for one in lists for i in one], dtype=np.int64))


def slow_biased_overlap(a: list[int], b: list[int], p: float) -> float:
    """Equation 32 of Webber, Moffat and Zobel (2010)."""
    short, long = sorted((a, b), key=len)
    s, n = len(short), len(long)
    if not n:
        return 1.0
    shared = [len(set(short[:d]) & set(long[:d])) for d in range(n + 1)]
    total = sum(shared[d] / d * p**d for d in range(1, n + 1))
    if s:
        total += sum(shared[s] * (d - s) / (s * d) * p**d for d in range(s + 1, n + 1))
    return (1 - p) / p * total + ((shared[n] - shared[s]) / n + (shared[s] / s if s else 0)) * p**n


def compared(old: list[list[int]], new: list[list[int]], pairs: list[tuple[int, int]], k: int, p: float) -> list:
    old_at, new_at = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    same, overlap, biased = np.empty(len(pairs), bool), np.empty(len(pairs)), np.empty(len(pairs))
    compare_lists(*flat(old), *flat(new), old_at, new_at, k, p, same, overlap, biased)
    return list(zip(same.tolist(), overlap.tolist(), biased.tolist(), strict=True))


@given(rankings, rankings, st.integers(1, 8), st.sampled_from([0.5, 0.9, 0.98]))
def test_overlaps_equal_those_of_sets(old: list[list[int]], new: list[list[int]], k: int, p: float) -> None:
    pairs = [(i, j) for i in range(len(old)) for j in range(len(new))]
    for (i, j), (same, overlap, biased) in zip(pairs, compared(old, new, pairs, k, p), strict=True):
        a, b = old[i][:k], new[j][:k]
        assert same == (a == b)
        assert overlap == (len(set(a) & set(b)) / max(len(a), len(b)) if a or b else 1)
        assert biased == pytest.approx(slow_biased_overlap(a, b, p), abs=1e-12)
        assert not same or biased == pytest.approx(1)
        assert overlap or biased == 0


def test_the_first_ranks_weigh_more() -> None:
    start, end = compared([[1, 2, 3, 4]], [[2, 1, 3, 4], [1, 2, 4, 3]], [(0, 0), (0, 1)], 4, 0.9)
    assert start[1] == end[1] == 1 and start[2] < end[2] < 1


@given(rankings, rankings, st.integers(1, 8))
def test_only_in_returns_items_of_one_list(old: list[list[int]], new: list[list[int]], k: int) -> None:
    for i, mine in enumerate(old):
        for j, others in enumerate(new):
            expected = [item for item in mine[:k] if item not in others[:k]]
            assert only_in(*flat(old), i, *flat(new), j, k).tolist() == expected
