"""Rows of a session, its items so far, and its next item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import DataError
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.item_lists import ItemLists, list_column_of
from embedrec.tabular.source_files import Source, expand

FORM = ItemLists(Delimited("\t", quoted=False), "session", "item_list", "item")


def table(folder: Path, *rows: tuple[str, str, str]) -> Source:
    """A table of (session, items so far, item)."""
    path = folder / "t.tsv"
    path.write_text("session\titem_list\titem\n" + "".join("\t".join(row) + "\n" for row in rows))
    (source,) = expand([path], (".tsv",))
    return source


def read(source: Source, bad_rows: BadRows | None = None) -> list[tuple[Any, ...]]:
    """Session, item and row number of every event."""
    (batch,) = FORM.batches(source, ["session", "item"], bad_rows or BadRows())
    assert batch.read == 1.0
    columns = [column.to_pylist() for column in batch.columns.values()]
    return list(zip(*columns, [int(row) for row in batch.rows], strict=True))


def test_a_row_is_a_session_of_its_items(tmp_path: Path) -> None:
    source = table(tmp_path, ("s", "a b", "c"), ("t", "", "x"))
    assert read(source) == [("s", "a", 1), ("s", "b", 1), ("s", "c", 1), ("t", "x", 2)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_rows_that_extend_each_other_are_one_session(tmp_path: Path, order: tuple[int, ...]) -> None:
    rows = [("s", "a", "b"), ("s", "a b", "c"), ("s", "a b c", "dd")]
    source = table(tmp_path, *(rows[number] for number in order), ("t", "x", "y"))
    longest = order.index(2) + 1
    expected = [("s", item, longest) for item in ("a", "b", "c", "dd")]
    assert read(source) == [*expected, ("t", "x", 4), ("t", "y", 4)]


def test_items_with_a_common_beginning_differ(tmp_path: Path) -> None:
    source = table(tmp_path, ("s", "a", "b"), ("s", "a", "bb"))
    with pytest.raises(DataError) as error:
        read(source)
    assert str(error.value) == (
        f"{source}, row 2: the items of a row must extend those of the other rows of its session, but row 1 of 's' "
        "differs; use --on-bad-row skip to leave such rows out"
    )


def test_bad_rows_are_skipped_and_counted(tmp_path: Path) -> None:
    source = table(tmp_path, ("s", "a", "b"), ("s", "c", "d"), ("", "a", "b"), ("t", "a", ""))
    bad_rows = BadRows("skip")
    assert read(source, bad_rows) == [("s", "a", 1), ("s", "b", 1)]
    problem = "the items of a row must extend those of the other rows of its session"
    assert bad_rows.counts == {problem: 1, "session is missing": 1, "item is missing": 1}


def test_the_column_of_lists_is_found(tmp_path: Path) -> None:
    assert FORM.columns(table(tmp_path)) == ["session", "item"] and not FORM.typed
    assert list_column_of("item_id:token", ["item_id:token", "item_id_list:token_seq"]) == "item_id_list:token_seq"
    assert list_column_of("item", ["items_list", "item_lists"]) == ""
