"""Ids as rows: compiled tables give the same rows as a dict, for all batches and types."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from embedrec.errors import DataError
from embedrec.storage.memory_budget import MemoryBudget
from embedrec.tabular import code_ids
from embedrec.tabular.code_ids import Ids
from tests.data import strategies as draw

BUDGET = 256 << 20

numbers = st.lists(st.one_of(st.integers(-3, 9), draw.numbers), max_size=12)
texts = st.lists(st.one_of(draw.few, draw.texts, st.integers(-3, 9).map(str), st.just("x" * 9)), max_size=12)
batches = st.lists(st.one_of(numbers, texts), max_size=5)


def code_lists(lists: list[list], *, typed: bool, **settings: Any) -> tuple[list[int], list]:
    """Rows and distinct ids of consecutive lists, each a slice of a longer column.

    typed  whether texts are texts in the data itself
    """
    vocab = Ids(**settings)
    parts = []
    for given in lists:
        kind = pa.int64() if given and isinstance(given[0], int) else pa.string()
        column = pa.array([*given[:1], *given], kind)[min(len(given), 1) :]
        parts.append(vocab.rows(column, texts=typed and kind == pa.string()))
    distinct, new = vocab.final()
    rows = np.concatenate([np.zeros(0, np.int32), *parts])
    assert rows.dtype == np.int32
    return (rows if new is None else new[rows]).tolist(), distinct.tolist()


@pytest.mark.parametrize("threshold", [0, 9, 1 << 18], ids=["compiled", "changing", "dict"])
@draw.given(batches)
def test_ids_are_numbered_by_first_appearance(threshold: int, lists: list[list]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_ids, "DICT_IDS", threshold)
        patch.setattr(code_ids, "INITIAL_SLOTS", 4)  # tables grow
        rows, distinct = code_lists(lists, typed=True)
    flat: list[Any] = [i for given in lists for i in given]
    if any(isinstance(i, str) for i in flat):
        flat = [str(i) for i in flat]
    assert distinct == list(dict.fromkeys(flat))
    assert [distinct[row] for row in rows] == flat


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize("many", [True, False])
def test_an_id_depends_only_on_its_value(many: bool, typed: bool) -> None:
    rows, distinct = code_lists([["3", "4.0"], ["3.0", "4", "5"]], typed=typed, many=many)
    assert (rows, distinct) == ([0, 1, 0, 1, 2], ["3", "4", "5"] if typed else [3, 4, 5])
    for others in (["x"], ["3.5"], ["9223372036854775808"], ["03"]):
        rows, distinct = code_lists([["3", *others], ["3.0", "0.00"], [3, 0]], typed=typed, many=many)
        assert (rows, distinct) == ([0, 1, 0, 2, 0, 2], ["3", *others, "0"])
        assert code_lists([[3, 0], ["3.0", *others]], typed=typed, many=many) == ([0, 1, 0, 2], ["3", "0", *others])


@draw.given(st.lists(st.sampled_from(["5", "5.0", "5.00", "05", "-5.0", "5.5", "x", ".0", "1e5", "٥.0"]), max_size=8))
def test_batches_and_their_order_do_not_change_ids(texts: list[str]) -> None:
    normalized = {"5.0": "5", "5.00": "5", "-5.0": "-5"}
    for column in (texts, texts[::-1]):
        rows, distinct = code_lists([column], typed=True)
        assert [distinct[row] for row in rows] == [normalized.get(text, text) for text in column]
        separate_rows, separate_ids = code_lists([[text] for text in column], typed=False)
        assert [str(separate_ids[row]) for row in separate_rows] == [distinct[row] for row in rows]


@pytest.mark.parametrize("many", [True, False])
def test_the_type_of_ids_may_be_given(many: bool) -> None:
    assert code_lists([["3", "3.0", "03"]], typed=False, many=many, kind="text") == ([0, 1, 2], ["3", "3.0", "03"])
    assert code_lists([[3, 4]], typed=True, many=many, kind="text") == ([0, 1], ["3", "4"])
    assert code_lists([["3", "3.0", "4"]], typed=True, many=many, kind="number") == ([0, 0, 1], [3, 4])


@draw.given(batches)
def test_tables_in_files_give_the_rows_of_tables_in_memory(tmp_path: Path, lists: list[list]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_ids, "DICT_IDS", 0)
        patch.setattr(code_ids, "INITIAL_SLOTS", 4)
        for typed in (True, False):
            assert code_lists(lists, typed=typed, memory=MemoryBudget(BUDGET, tmp_path)) == code_lists(
                lists, typed=typed
            )


def test_a_memory_budget_puts_tables_into_files(tmp_path: Path) -> None:
    for column in (pa.array(range(9)), pa.array(["a", "b"])):
        vocab = Ids(many=True, memory=MemoryBudget(BUDGET, tmp_path))
        vocab.rows(column)
        table = vocab.table
        assert not isinstance(table, code_ids.DictTable)
        for array in (
            table.slots,
            table.known,
            *((table.hashes, table.ends) if isinstance(table, code_ids.TextTable) else ()),
        ):
            assert isinstance(array.base.obj, mmap.mmap)  # type: ignore[union-attr]


def test_long_texts_use_the_compiled_table_earlier() -> None:
    vocab = Ids()
    vocab.rows(pa.array([f"{i:09}" + "x" * 10_000 for i in range(2000)]))  # 20 MB
    assert isinstance(vocab.table, code_ids.TextTable)


def test_ids_beyond_the_budget_are_an_error(tmp_path: Path) -> None:
    vocab = Ids(role="item", memory=MemoryBudget(BUDGET, tmp_path))
    batch = "x" * 10_000
    vocab.rows(pa.array([f"{i:09}{batch}" for i in range(9000)]))
    with pytest.raises(DataError) as error:
        vocab.rows(pa.array([f"{i:09}{batch}" for i in range(9000, 18000)]))
    assert str(error.value) == (
        "the distinct ids and names take 173M so far (173M of them for items), but a memory budget of 256M leaves 160M "
        "for them; raise the budget or read fewer files"
    )
    Ids(role="item").rows(pa.array([f"{i:09}{batch}" for i in range(18000)]))


def test_texts_of_whole_numbers_are_stored_as_numbers(tmp_path: Path) -> None:
    budget = MemoryBudget(BUDGET, tmp_path)
    vocab = Ids(many=True, memory=budget)
    vocab.rows(pa.array(["1", "2.0"]))
    assert vocab.whole
    vocab.rows(pa.array(["2.0", "x"]))
    assert not vocab.whole
