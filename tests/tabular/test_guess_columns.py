"""Guesses of the roles of columns and of the formats of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import DataError
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.formats import JsonLines, Parquet
from embedrec.tabular.guess_columns import (
    SUFFIXES,
    column_of_role,
    display_name_column,
    find_column,
    format_columns,
    format_of,
    guess,
    normalize_name,
    table_suffixes,
)
from embedrec.tabular.source_files import Source


def source(name: str) -> Source:
    return Source(Path(name), None, 1, 1)


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("item_id:token", "itemid"),
        ("ItemId", "itemid"),
        ("events[].item_id", "itemid"),
        ("Item ID", "itemid"),
        ("__", ""),
    ],
)
def test_names_are_normalized(column: str, name: str) -> None:
    assert normalize_name(column) == name


@pytest.mark.parametrize(
    ("role", "columns", "column"),
    [
        ("session", ["user", "SessionId"], "SessionId"),
        ("session", ["pid", "playlist_id"], "playlist_id"),  # the most specific name first
        ("item", ["artist_name", "track_uri", "artist_uri"], "track_uri"),
        ("item", ["item_id", "ItemId"], "item_id"),  # the first of two equal names
        ("user", ["visitor_id"], "visitor_id"),
        ("time", ["event_time", "timestamp:float"], "timestamp:float"),
        ("weight", ["stars"], ""),
        ("order", ["session_position"], "session_position"),
    ],
)
def test_columns_are_guessed_by_role(role: str, columns: list[str], column: str) -> None:
    assert column_of_role(role, None, "t.csv", columns) == column


def test_columns_may_be_given() -> None:
    assert column_of_role("item", "sku", "t.csv", ["item", "sku"]) == "sku"
    assert column_of_role("user", "-", "t.csv", ["user"]) == ""
    assert find_column("item_id", "item", "t.inter", ["item_id:token", "user_id:token"]) == "item_id:token"
    for given, hint in (("itm", "; did you mean 'item'?"), ("zzz", "; its columns are item, user")):
        with pytest.raises(DataError) as error:
            find_column(given, "item", "t.csv", ["item", "user"])
        assert str(error.value) == f"t.csv has no column {given!r} for the item{hint}"
    with pytest.raises(DataError, match="has no column 'item'"):
        find_column("item", "item", "t.csv", ["item:token", "item:float"])  # ambiguous


@pytest.mark.parametrize(
    ("item", "columns", "column"),
    [
        ("track_uri", ["track_name", "artist_name"], "track_name"),
        ("item_id", ["item_title", "name"], "item_title"),
        ("movieId", ["title", "movieTitle"], "movieTitle"),
        ("item", ["title"], ""),
        ("name", ["name"], ""),
    ],
)
def test_columns_of_display_names_are_guessed(item: str, columns: list[str], column: str) -> None:
    assert display_name_column(item, columns) == column


def test_candidates_are_guessed_in_order() -> None:
    assert guess(("b", "a"), ["A", "B", "c"]) == "B"
    assert guess((), ["a"]) == guess(("a",), []) == ""


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("t.csv", Delimited()),
        ("t.tsv", Delimited("\t", quoted=False)),
        ("ml.inter", Delimited("\t", quoted=False)),
        ("T.PARQUET", Parquet()),
        ("t.pq", Parquet()),
        ("t.jsonl.gz", JsonLines()),
        ("t.ndjson", JsonLines()),
        ("t.json", JsonLines()),
    ],
)
def test_formats_are_guessed_by_suffix(name: str, form: object) -> None:
    assert format_of(source(name)) == form


def test_formats_may_be_given() -> None:
    assert format_of(source("t.txt"), "csv") == Delimited()
    assert format_of(source("t.csv"), "auto", ("a", "b")) == Delimited(names=("a", "b"))
    with pytest.raises(DataError, match=r"^t\.txt is not a table that can be read; names must end with \.csv, \.tsv"):
        format_of(source("t.txt"))
    with pytest.raises(DataError, match=r"^t\.parquet already names its columns; leave out --columns$"):
        format_of(source("t.parquet"), names=("a",))


def test_json_files_are_tables_only_if_named() -> None:
    assert table_suffixes(["folder", "t.csv"]) == tuple(SUFFIXES)
    for path in ("t.json", Path("t.JSON.gz")):
        assert table_suffixes(["folder", path]) == (*SUFFIXES, ".json")


def test_messages_list_at_most_20_columns() -> None:
    assert format_columns(["a", "b"]) == "a, b"
    assert format_columns([f"c{n}" for n in range(21)]).endswith("c19, …")
