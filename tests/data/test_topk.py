from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.data.topk import TopK, allowed_rows, sort_results
from embedrec.errors import DataError, SettingsError
from embedrec.models.vector_model import without_seen
from tests.conftest import of_lists, read_only

N = 12
VOCAB = Vocab([f"i{r}" for r in range(N)])
scores = st.sampled_from([-2.5, -1.0, 0.0, 0.5, 1.0, 7.25])  # few, so that they tie
found = st.dictionaries(st.integers(0, N - 1), scores, max_size=6)  # row → score of one query


@st.composite
def results(draw: st.DrawFn) -> tuple[list[list[tuple[int, float]]], int]:
    """For some queries, at most k (row, score) each in any order; and k."""
    each = draw(st.lists(found.map(lambda d: list(d.items())), max_size=4))
    k = draw(st.integers(max((len(e) for e in each), default=1) or 1, 8))
    return each, k


def unsorted(each: list[list[tuple[int, float]]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs as arrays (q, k), missing ones as row −1 beside any number."""
    rows, values = np.full((len(each), k), -1), np.full((len(each), k), 99.0, dtype=np.float32)
    for q, pairs in enumerate(each):
        for at, (row, score) in enumerate(pairs):
            rows[q, k - 1 - at], values[q, k - 1 - at] = row, score
    return read_only(rows), read_only(values)


def slow_order(pairs: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return sorted(pairs, key=lambda p: (-p[1], p[0]))


def as_pairs(top: TopK) -> list[list[tuple[int, float]]]:
    return [
        [(int(r), float(s)) for r, s in zip(rows, values, strict=True) if r >= 0]
        for rows, values in zip(top.rows, top.scores, strict=True)
    ]


@given(results())
def test_results_are_sorted_best_first(drawn: tuple[list[list[tuple[int, float]]], int]) -> None:
    each, k = drawn
    top = sort_results(*unsorted(each, k), VOCAB)
    assert as_pairs(top) == [slow_order(pairs) for pairs in each]
    assert top.rows.shape == (len(each), k) == (len(top), top.k)
    assert top.ids() == [[f"i{r}" for r, _ in slow_order(pairs)] for pairs in each]
    for q, pairs in enumerate(each):
        assert (top.rows[q, len(pairs) :] == -1).all()
        assert np.isneginf(top.scores[q, len(pairs) :]).all()


@given(results(), st.integers(1, 8))
def test_first_returns_the_k_best(drawn: tuple[list[list[tuple[int, float]]], int], k: int) -> None:
    each, width = drawn
    top = sort_results(*unsorted(each, width), VOCAB).first(k)
    assert as_pairs(top) == [slow_order(pairs)[:k] for pairs in each]
    assert top.k == min(k, width)


@given(results(), st.data())
def test_without_removes_one_row_of_each_query(
    drawn: tuple[list[list[tuple[int, float]]], int], data: st.DataObject
) -> None:
    each, k = drawn
    left_out = np.array([data.draw(st.integers(0, N - 1)) for _ in each], dtype=np.int64)
    top = sort_results(*unsorted(each, k), VOCAB).without(read_only(left_out))
    expected = [[p for p in slow_order(pairs) if p[0] != row] for pairs, row in zip(each, left_out, strict=True)]
    assert as_pairs(top) == [pairs[: k - 1] for pairs in expected]
    assert top.rows.shape == (len(each), k - 1)


@given(results(), st.integers(1, 10), st.data())
def test_excluding_removes_the_rows_of_each_history(
    drawn: tuple[list[list[tuple[int, float]]], int], k: int, data: st.DataObject
) -> None:
    each, width = drawn
    seen = [data.draw(st.lists(st.integers(0, N - 1), max_size=5)) for _ in each]  # with repeats
    histories = of_lists([[f"i{r}" for r in rows] for rows in seen], VOCAB)
    top = without_seen(sort_results(*unsorted(each, width), VOCAB), histories, k)
    expected = [[p for p in slow_order(pairs) if p[0] not in rows] for pairs, rows in zip(each, seen, strict=True)]
    assert as_pairs(top) == [pairs[:k] for pairs in expected]
    assert top.rows.shape == (len(each), k)


@pytest.mark.parametrize(
    ("rows", "values", "message"),
    [
        ([[0, 1]], [[1.0]], "must have the same shape"),
        ([0, 1], [1.0, 0.0], "must have the same shape"),
        ([[0, 1]], [[0.0, 1.0]], "must be in descending order"),
        ([[0, 1]], [[np.nan, 0.0]], "some are NaN"),
        ([[0, -1]], [[1.0, 0.0]], "both"),
        ([[0, 1]], [[1.0, -np.inf]], "both"),
    ],
)
def test_wrong_shapes_orders_and_scores_are_refused(rows: list, values: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        TopK(np.array(rows), np.array(values), VOCAB)


def test_no_queries() -> None:
    top = sort_results(np.empty((0, 3), dtype=np.int64), np.empty((0, 3), dtype=np.float32), VOCAB)
    assert (len(top), top.k, top.ids()) == (0, 3, [])
    assert top.without(np.empty(0, dtype=np.int64)).rows.shape == (0, 2)


def test_a_mask_of_zeros_and_ones_is_not_rows() -> None:
    for mask in (np.array([0, 1, 1, 0]), np.array([1, 1, 1], dtype=np.uint8), [0, 0, 1, 0, 0]):
        with pytest.raises(SettingsError, match=r"all of them 0 or 1; a mask must be bool: use mask.astype\(bool\)"):
            allowed_rows(np.asarray(mask), 4)
    assert allowed_rows(np.array([1, 0]), 4).tolist() == [0, 1]
    assert allowed_rows(np.array([0, 1, 1, 0]).astype(bool), 4).tolist() == [1, 2]
