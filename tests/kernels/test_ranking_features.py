"""Kernels of features of candidates: those that tests/ranking/test_features.py cannot call alone."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.ranking_features import (
    inverse_norms,
    recent_items,
    shared_categories,
    write_history,
    write_pairs,
    write_parts,
    write_values,
)
from tests.conftest import read_only

N = 6
rows = st.lists(st.integers(0, N - 1), max_size=9)


def flat(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and items of lists."""
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    return read_only(offsets), read_only(np.array([i for one in lists for i in one], dtype=np.int32))


@given(st.lists(rows, max_size=4), st.integers(1, 8))
def test_recent_items(histories: list[list[int]], count: int) -> None:
    offsets, items = flat(histories)
    times = read_only(np.arange(len(items), dtype=np.int64) * 10)
    recent = np.full((len(histories), count), -1, dtype=np.int32)
    weights = np.zeros((len(histories), 2, count), dtype=np.float32)
    recent_items(offsets, items, times, 20.0, recent, weights)
    for i, history in enumerate(histories):
        distinct = [*dict.fromkeys(history[::-1])][:count]
        assert recent[i].tolist() == distinct + [-1] * (count - len(distinct))
        for j, item in enumerate(distinct):
            assert weights[i, 0, j] == np.float32(1 / (j + 1))
            assert weights[i, 1, j] == np.float32(1 / (1 + history[::-1].index(item) * 10 / 20))


@given(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))
def test_shared_categories(a: set[int], b: set[int]) -> None:
    starts, codes = flat([sorted(a), sorted(b)])
    result = shared_categories(starts, codes, 0, 1)
    assert result == len(a & b) / len(a | b) if a and b else math.isnan(result)


def test_parts() -> None:
    ranks = read_only(np.array([[0, -1], [1, 0], [-1, -1], [2, 0]], dtype=np.int32))
    scores = read_only(np.array([[4, np.nan], [1, -2], [np.nan, np.nan], [0, 0]], dtype=np.float32))
    out = np.full((4, 10), 7, dtype=np.float32)
    write_parts(read_only(np.array([0, 3, 3, 4])), ranks, scores, 60.0, out, 1)
    nan = np.nan
    expected = [
        [0, 4, 1, nan, nan, nan, 0, 1 / 61],
        [1, 1, 0.25, 0, -2, -1, 0, 1 / 62 + 1 / 61],
        [nan, nan, nan, nan, nan, nan, nan, 0],
        [2, 0, nan, 0, 0, nan, 0, 1 / 63 + 1 / 61],  # a first score of 0 has no ratio
    ]
    np.testing.assert_allclose(out[:, 1:-1], expected, rtol=1e-6)
    assert (out[:, [0, -1]] == 7).all()


@given(st.lists(rows, min_size=3, max_size=3), st.lists(st.permutations(range(N)), min_size=2, max_size=2))
def test_scratch_memory_and_other_columns_stay_as_they_were(lists: list[list[int]], orders: list[list[int]]) -> None:
    offsets, items = flat(orders)
    place, out = np.full(N, -1, dtype=np.int32), np.full((2 * N, 9), 7, dtype=np.float32)
    starts, columns = flat([sorted(set(one)) for one in lists] + [[]] * (N - 3))
    values = read_only(np.ones(len(columns), dtype=np.float32))
    recent = read_only(np.array([[0, 2], [1, -1]], dtype=np.int32))
    weights = read_only(np.ones((2, 2, 2), dtype=np.float32))
    write_pairs(starts, columns, values, recent, weights, True, offsets, items, place, out, 2)
    write_values(starts, columns, values, read_only(np.array([1, -1])), offsets, items, place, out, 6)
    assert (place == -1).all()
    assert (out[:, [0, 1, 7, 8]] == 7).all()
    assert out[:N, 6].tolist() == [float(item in lists[1]) for item in orders[0]]
    assert np.isnan(out[N:, 6]).all()
    assert out[N:, 2].tolist() == out[N:, 3].tolist() == [float(item in lists[1]) for item in orders[1]]
    wide = np.full((2 * N, 9), 7, dtype=np.float32)
    no_times = read_only(np.zeros(0, dtype=np.int64))
    write_history(*flat(lists[:2]), no_times, False, offsets, items, place, wide, 2)
    assert (place == -1).all()
    assert (wide[:, [0, 1, 6, 7, 8]] == 7).all()
    assert wide[:N, 2].tolist() == [lists[0].count(item) for item in orders[0]]


def test_inverse_norms() -> None:
    vectors = read_only(np.array([[3, 4], [0, 0], [0, 2]], dtype=np.float32))
    scale = np.empty(4, dtype=np.float32)
    inverse_norms(vectors, read_only(np.array([2, -1, 0, 1])), scale)
    assert scale.tolist() == [0.5, 0, np.float32(0.2), 0]
