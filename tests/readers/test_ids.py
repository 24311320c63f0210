"""Ids as rows: compiled tables number as a dict does, however ids come."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from embedrec.data.room import Room
from embedrec.errors import DataError
from embedrec.readers import ids
from embedrec.readers.ids import Ids
from tests.data import strategies as draw

BUDGET = 256 << 20

numbers = st.lists(st.one_of(st.integers(-3, 9), draw.numbers), max_size=12)
texts = st.lists(st.one_of(draw.few, draw.texts, st.integers(-3, 9).map(str), st.just("x" * 9)), max_size=12)
batches = st.lists(st.one_of(numbers, texts), max_size=5)


def coded(lists: list[list], **settings: Any) -> tuple[list[int], list]:
    """Rows and distinct ids of lists that come one after the other, each as a slice of a longer column."""
    vocab = Ids(**settings)
    parts = []
    for given in lists:
        kind = pa.int64() if given and isinstance(given[0], int) else pa.string()
        parts.append(vocab.rows(pa.array([*given[:1], *given], kind)[min(len(given), 1) :]))
    distinct, new = vocab.final()
    rows = np.concatenate([np.zeros(0, np.int32), *parts])
    assert rows.dtype == np.int32
    return (rows if new is None else new[rows]).tolist(), distinct.tolist()


@pytest.mark.parametrize("few", [0, 9, 1 << 18], ids=["compiled", "changing", "dict"])
@draw.given(batches)
def test_ids_are_numbered_by_first_appearance(few: int, lists: list[list]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "_FEW", few)
        patch.setattr(ids, "_SLOTS", 4)  # tables grow
        rows, distinct = coded(lists, typed=True)
    flat: list[Any] = [i for given in lists for i in given]
    if any(isinstance(i, str) for i in flat):
        flat = [str(i) for i in flat]
    assert distinct == list(dict.fromkeys(flat))
    assert [distinct[row] for row in rows] == flat


@pytest.mark.parametrize("many", [True, False])
def test_texts_that_are_whole_numbers_become_one(many: bool) -> None:
    rows, distinct = coded([["3", "4.0"], ["3.0", "4", "5"]], typed=False, many=many)
    assert (rows, distinct) == ([0, 1, 0, 1, 2], [3, 4, 5])
    assert coded([["3", "x"], ["3.0"]], typed=False, many=many) == ([0, 1, 2], ["3", "x", "3.0"])
    assert coded([["3"], ["3.0"]], typed=True, many=many) == ([0, 1], ["3", "3.0"])


@draw.given(batches)
def test_tables_in_files_number_as_those_in_memory(tmp_path: Path, lists: list[list]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "_FEW", 0)
        patch.setattr(ids, "_SLOTS", 4)
        for typed in (True, False):
            assert coded(lists, typed=typed, room=Room(BUDGET, tmp_path)) == coded(lists, typed=typed)


def test_tables_lie_in_files_under_a_budget(tmp_path: Path) -> None:
    for column in (pa.array(range(9)), pa.array(["a", "b"])):
        vocab = Ids(typed=True, many=True, room=Room(BUDGET, tmp_path))
        vocab.rows(column)
        table = vocab.table
        assert not isinstance(table, ids._Dict)
        for array in (table.slots, table.known, *((table.hashes, table.ends) if isinstance(table, ids._Texts) else ())):
            assert isinstance(array.base.obj, mmap.mmap)  # type: ignore[union-attr]


def test_long_texts_leave_the_dict_sooner() -> None:
    vocab = Ids(typed=True)
    vocab.rows(pa.array([f"{i:09}" + "x" * 10_000 for i in range(2000)]))  # 20 MB
    assert isinstance(vocab.table, ids._Texts)


def test_ids_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    vocab = Ids(typed=True, role="item", room=Room(BUDGET, tmp_path))
    batch = "x" * 10_000
    vocab.rows(pa.array([f"{i:09}{batch}" for i in range(9000)]))
    with pytest.raises(DataError) as refused:
        vocab.rows(pa.array([f"{i:09}{batch}" for i in range(9000, 18000)]))
    assert str(refused.value) == (
        "the distinct ids and names take 173M so far (173M of them for items), but a memory of 256M leaves 160M for "
        "them; give more memory, or read fewer files"
    )
    Ids(typed=True, role="item").rows(pa.array([f"{i:09}{batch}" for i in range(18000)]))


def test_texts_that_may_be_whole_numbers_are_held_as_these(tmp_path: Path) -> None:
    rooms = Room(BUDGET, tmp_path)
    vocab = Ids(typed=False, many=True, room=rooms)
    vocab.rows(pa.array(["1", "2.0"]))
    assert vocab.whole
    vocab.rows(pa.array(["2.0", "x"]))
    assert not vocab.whole
