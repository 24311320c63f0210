"""The k largest scores, against a sort."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.topk import empty_best, keep_best, merge_best, partition, replace_worst, sort_heap
from tests.conftest import read_only

scores = st.sampled_from([-2.5, -1.0, 0.0, 0.5, 1.0, 7.25])  # few, so that they tie


def best_of(pairs: list[tuple[int, float]], k: int) -> list[tuple[int, float]]:
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:k]


@given(st.integers(1, 6), st.lists(scores, max_size=30), st.randoms())
def test_the_heap_keeps_the_best_of_a_sort(k: int, values: list[float], random) -> None:  # type: ignore[no-untyped-def]
    pairs = list(enumerate(values))
    random.shuffle(pairs)
    rows, heap = np.full(k, 2**40), np.full(k, -np.inf)
    for row, score in pairs:
        if (score, -row) > (heap[0], -rows[0]):
            replace_worst(rows, heap, row, score)
            assert all((heap[(i - 1) // 2], -rows[(i - 1) // 2]) <= (heap[i], -rows[i]) for i in range(1, k))
    sort_heap(rows, heap)
    result = [pair for pair in zip(rows.tolist(), heap.tolist(), strict=True) if pair[1] > -np.inf]
    assert result == best_of(pairs, k)


@given(
    st.integers(1, 6), st.dictionaries(st.integers(0, 2**32 - 2), st.sampled_from([1e-38, 0.5, 1.0, 3e38]), max_size=30)
)
def test_keep_best_equals_a_sort(k: int, values: dict[int, float]) -> None:
    exact = [(row, float(np.float32(score))) for row, score in values.items()]
    rows = np.array([*values, 0], dtype=np.uint32)  # longer than what counts
    given_scores, keys = np.array([*values.values(), 9e9], dtype=np.float32), np.empty(len(rows), dtype=np.uint64)
    best_rows, best_scores = np.full(k, -1), np.full(k, -np.inf, dtype=np.float32)
    size = keep_best(read_only(rows), given_scores, len(values), keys, best_rows, best_scores)
    expected = best_of(exact, k)
    assert size == len(expected)
    assert list(zip(best_rows[:size].tolist(), best_scores[:size].tolist(), strict=True)) == expected
    assert (best_rows[size:] == -1).all() and np.isneginf(best_scores[size:]).all()


@given(
    st.integers(1, 6), st.lists(st.lists(scores | st.just(-np.inf), min_size=70, max_size=70), max_size=4), st.data()
)
def test_merge_best_equals_a_sort(k: int, lines: list[list[float]], data: st.DataObject) -> None:
    matrix = read_only(np.array(lines, dtype=np.float32).reshape(-1, 70))
    rows, best = empty_best(len(matrix), k)
    cuts = sorted({0, 70, *data.draw(st.lists(st.integers(0, 70), max_size=3))})
    for start, stop in pairwise(cuts):
        merge_best(matrix[:, start:stop], start, rows, best)
    for line, row, values in zip(lines, rows.tolist(), best.tolist(), strict=True):
        result = [pair for pair in zip(row, values, strict=True) if pair[1] > -np.inf]
        assert best_of(result, k) == best_of([pair for pair in enumerate(line) if pair[1] > -np.inf], k)
        assert row.count(-1) == k - len(result)


def test_merge_best_ignores_nan() -> None:
    rows, best = empty_best(1, 3)
    merge_best(np.array([[np.nan, 1.0, np.nan, -np.inf, 0.5]], dtype=np.float32), 10, rows, best)
    assert sorted(zip(rows[0], best[0], strict=True)) == [(-1, -np.inf), (11, 1.0), (14, 0.5)]


def test_empty_best_has_missing_rows() -> None:
    rows, best = empty_best(2, 3)
    assert rows.dtype == np.int64 and best.dtype == np.float32
    assert rows.tolist() == [[-1] * 3] * 2 and np.isneginf(best).all()
    assert empty_best(0, 3)[0].shape == (0, 3)


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=40), st.booleans(), st.data())
def test_the_largest_scores_come_to_the_front(values: list[int], with_rows: bool, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(values)))
    k = data.draw(st.integers(1, count))
    scores, rows = np.array(values, dtype=np.int64), np.arange(len(values))
    least = partition(rows if with_rows else None, scores, count, k)
    best = sorted(values[:count], reverse=True)[:k]
    assert sorted(scores[:k].tolist(), reverse=True) == best and least == best[-1]
    assert sorted(scores[:count].tolist()) == sorted(values[:count]) and scores[count:].tolist() == values[count:]
    if with_rows:  # they move with their scores
        assert [values[row] for row in rows] == scores.tolist() and sorted(rows) == list(range(len(values)))
