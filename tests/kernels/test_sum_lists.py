"""Weighted sums of lists, against a dict of totals."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.sum_lists import add_lists
from embedrec.kernels.topk import empty_best
from tests.conftest import read_only

N = 7
sizes = st.sampled_from([0.25, 0.5, 1.0, 2.0])  # few, so that sums are exact and tie
neighbours = st.lists(st.dictionaries(st.integers(0, N - 1), sizes, max_size=4), min_size=N, max_size=N)
histories = st.lists(
    st.lists(st.tuples(st.integers(0, N - 1), st.sampled_from([0.0, 1.0, 4.0])), max_size=5), max_size=4
)


@given(neighbours, histories, st.integers(1, N + 1), st.booleans())
def test_sums_of_lists_equal_those_of_a_dict(
    near: list[dict[int, float]], queries: list[list[tuple[int, float]]], k: int, seen: bool
) -> None:
    rows, scores = np.full((N, 4), -1, dtype=np.int32), np.zeros((N, 4), dtype=np.float32)
    for item, each in enumerate(near):
        rows[item, : len(each)], scores[item, : len(each)] = list(each), list(each.values())
    offsets = np.concatenate([[0], np.cumsum([len(query) for query in queries])]).astype(np.int64)
    items = np.array([item for query in queries for item, _ in query], dtype=np.int32)
    weights = np.array([weight for query in queries for _, weight in query], dtype=np.float64)
    best_rows, best_scores = empty_best(len(queries), k)
    given_arrays = [read_only(array) for array in (rows, scores, weights, offsets, items)]
    add_lists(*given_arrays, N, seen, best_rows, best_scores)
    for q, query in enumerate(queries):
        totals: dict[int, float] = defaultdict(float)
        for item, weight in query:
            for other, score in near[item].items():
                totals[other] += weight * score
        held = {item for item, _ in query}
        best = [(row, total) for row, total in totals.items() if total > 0 and (seen or row not in held)]
        best = sorted(best, key=lambda pair: (-pair[1], pair[0]))[:k]
        missing = k - len(best)
        assert best_rows[q].tolist() == [row for row, _ in best] + [-1] * missing
        assert best_scores[q].tolist() == [total for _, total in best] + [-np.inf] * missing


def test_sums_too_small_for_float32_are_omitted() -> None:
    rows, scores = np.array([[1], [-1]], dtype=np.int32), np.array([[1.0], [0.0]], dtype=np.float32)
    best_rows, best_scores = empty_best(1, 2)
    add_lists(
        rows, scores, np.array([1e-60]), np.array([0, 1]), np.array([0], np.int32), 2, True, best_rows, best_scores
    )
    assert best_rows.tolist() == [[-1, -1]] and np.isneginf(best_scores).all()


def test_repeated_items_do_not_fill_the_buffers() -> None:
    """In plain Python, where a write beyond the n + 1 touched rows raises: repeated rows, and sums that stay 0."""
    rows, scores = np.array([[1], [0]], dtype=np.int32), np.ones((2, 1), dtype=np.float32)
    items, offsets = np.zeros(9, dtype=np.int32), np.array([0, 9])
    for weight, expected in ((1.0, [1, -1]), (0.0, [-1, -1])):
        best_rows, best_scores = empty_best(1, 2)
        add_lists.py_func(rows, scores, np.full(9, weight), offsets, items, 2, True, best_rows, best_scores)
        assert best_rows.tolist() == [expected]
