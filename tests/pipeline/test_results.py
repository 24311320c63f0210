"""Results are sequences and tables."""

from __future__ import annotations

import polars as pl

from embedrec.pipeline.results import ResultTable
from embedrec.workflows.neighbours import NeighbourSession
from embedrec.workflows.recommend import RecommendedItem
from embedrec.workflows.similar import SimilarItem

TABLE = ResultTable(
    (SimilarItem("a", 1, "b", 0.5, "<Bread>"), SimilarItem("a", 2, "c", 0.25, "Jam", None)),
    ("2 of 9 items are allowed",),
)


def test_a_table_is_a_sequence() -> None:
    assert len(TABLE) == 2 and TABLE[0].similar == "b" and TABLE.ids() == ["b", "c"]
    assert TABLE[1:].ids() == ["c"] and TABLE[1:].messages == TABLE.messages


def test_a_table_is_printed_with_its_messages() -> None:
    assert repr(TABLE).splitlines() == [
        "item  rank  similar  score   name",
        "a     1     b        0.5000  <Bread>",
        "a     2     c        0.2500  Jam",
        "2 of 9 items are allowed",
    ]
    assert (
        "<td>&lt;Bread&gt;</td>" in TABLE._repr_html_() and "<div>2 of 9 items are allowed</div>" in TABLE._repr_html_()
    )
    empty: ResultTable[SimilarItem] = ResultTable((), ("nothing",))
    assert repr(empty) == "no results\nnothing" and empty._repr_html_() == "<div>no results</div><div>nothing</div>"


def test_long_tables_are_shortened() -> None:
    table = ResultTable(tuple(RecommendedItem(n, n, 0.1, "") for n in range(1, 100)))
    assert repr(table).splitlines()[0] == "rank  item  score" and repr(table).splitlines()[-1] == "… 39 more"
    assert table._repr_html_().count("<tr>") == 61


def test_tables_become_frames() -> None:
    explained = ResultTable(
        (RecommendedItem(1, "b", 0.5, "Bread", [("s1", 0.7)]), RecommendedItem(2, "c", 0.4, "", []))
    )
    frame = explained.to_frame()
    assert list(frame.columns) == ["rank", "item", "score", "name", "sessions"] and frame.item[1] == "c"
    assert list(TABLE.to_frame().columns) == ["item", "rank", "similar", "score", "name"]
    assert explained.to_arrow()["sessions"].to_pylist() == [[{"session": "s1", "similarity": 0.7}], []]
    assert pl.DataFrame(TABLE)["similar"].to_list() == ["b", "c"]
    assert "s1 (0.7000)" in repr(explained)


def test_sessions_show_the_names_of_their_items() -> None:
    table = ResultTable((NeighbourSession(1, 7, 0.5, "", 1, ["a", "b"], ["Bread", "Jam"]),))
    assert repr(table).splitlines() == [
        "rank  session  score   shared  names",
        "1     7        0.5000  1       Bread | Jam",
    ]
    assert table.to_frame()["items"][0] == ["a", "b"] and table.ids() == [7]
