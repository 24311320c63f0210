"""Result lists, their blocks and columns, and values computed in order by several threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from embedrec.data import Vocab, result_lists
from embedrec.data.result_lists import LazyLists, ResultLists, item_lists, map_in_order, slices
from embedrec.data.topk import TopK
from embedrec.errors import DataError
from tests.export.lists import lists_of, some_lists, vocab_with_names

LISTS = some_lists(10, 4, seed=3)


def test_a_block_has_at_most_the_largest_k() -> None:
    lists = lists_of(LISTS)
    assert len(lists) == 10
    for k, width in ((2, 2), (4, 4), (9, 4)):
        block = lists.block(slice(3, 7), k)
        assert block.rows.tolist() == LISTS.rows[3:7, :width].tolist()
        assert block.scores.tolist() == LISTS.scores[3:7, :width].tolist()


def test_a_catalogue_of_one_item_has_empty_lists() -> None:
    def best(rows: np.ndarray, k: int) -> TopK:
        raise AssertionError("there are no results to compute")

    vocab = Vocab(["a"])
    block = ResultLists(vocab, vocab, best, 0).block(slice(0, 1), 5)
    assert block.rows.shape == block.scores.shape == (1, 0)


def test_columns_contain_seeds_and_results() -> None:
    plain = lists_of(LISTS)
    assert plain.column_names(False) == ["item", "rank", "similar", "score"]
    assert plain.vocabs() == [("item", plain.seeds), ("similar", plain.vocab)]
    vocab = vocab_with_names([*"abcdefghij"])
    with_names = lists_of(LISTS, vocab)
    assert with_names.column_names(True) == ["item", "rank", "similar", "score", "item_name", "similar_name"]
    assert with_names.column_names(False) == plain.column_names(False)
    histories = ResultLists(Vocab([1, 2]), vocab, plain.best, 4, ("history", "item"))
    assert histories.column_names(True) == ["history", "rank", "item", "score", "item_name"]
    with pytest.raises(DataError, match=r"^these items have no names; leave out --names$"):
        plain.column_names(True)


@dataclass(frozen=True)
class Shifted:
    """Items whose neighbours are the next k rows."""

    vocab: Vocab

    def neighbours(self, rows: np.ndarray, k: int) -> TopK:
        result = (rows[:, None] + 1 + np.arange(k)) % len(self.vocab)
        return TopK(result, np.tile(-np.arange(k, dtype=np.float32), (len(rows), 1)), self.vocab)


def test_every_item_has_a_list() -> None:
    lists = item_lists(Shifted(Vocab([*"abcd"])))
    assert (len(lists), lists.max_k, lists.columns) == (4, 3, ("item", "similar"))
    assert lists.block(slice(2, 4), 9).rows.tolist() == [[3, 0, 1], [0, 1, 2]]
    assert item_lists(Shifted(Vocab([]))).max_k == 0


def test_lazy_lists_have_the_rows_and_scores_of_the_lists() -> None:
    lazy = LazyLists(lists_of(LISTS), 3)
    assert (lazy.q, lazy.k) == (10, 3)
    rows, scores = lazy.block(slice(2, 5))
    assert (rows.dtype, scores.dtype) == (np.int32, np.float32)
    assert rows.tolist() == LISTS.rows[2:5, :3].tolist() and scores.tolist() == LISTS.scores[2:5, :3].tolist()
    assert LazyLists(lists_of(LISTS), 99).k == 4


def test_all_rows_of_lazy_lists_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_lists, "BLOCK", 3)
    rows = LazyLists(lists_of(LISTS), 2).mapped()
    assert rows.dtype == np.int32
    assert rows.tolist() == LISTS.rows[:, :2].tolist()
    assert LazyLists(lists_of(some_lists(0, 4, seed=3)), 2).mapped().shape == (0, 2)


def test_slices_cover_the_rows_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(slices(0, 7, 3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(slices(4, 4, 3)) == []
    monkeypatch.setattr(result_lists, "BLOCK", 5)
    assert list(slices(2, 9)) == [slice(2, 7), slice(7, 9)]


@pytest.mark.parametrize("threads", [1, 3])
def test_results_are_in_the_order_of_the_values(threads: int) -> None:
    """The first value waits for the second one where there are threads for both."""
    second = threading.Event()

    def square(value: int) -> int:
        if value == 1:
            second.set()
        if value == 0 and threads > 1:
            assert second.wait(10)
        return value * value

    assert list(map_in_order(square, range(20), threads)) == [value * value for value in range(20)]


def test_few_results_are_held() -> None:
    """Values are taken at most `threads` ahead of the result that is read."""
    taken: list[int] = []

    def values() -> Iterator[int]:
        for value in range(100):
            taken.append(value)
            yield value

    results = map_in_order(lambda value: value, values(), 2)
    for read in range(10):
        assert next(results) == read and len(taken) <= read + 3


def test_an_error_ends_the_results() -> None:
    def fail(value: int) -> int:
        if value == 3:
            raise ValueError("three")
        return value

    result: list[int] = []
    with pytest.raises(ValueError, match="three"):
        result.extend(map_in_order(fail, range(100), 2))
    results = map_in_order(fail, range(100), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
