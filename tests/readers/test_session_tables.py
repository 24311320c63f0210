"""Tables of sessions and their test parts: prefixes become sessions with exactly the same test cases."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from embedrec.data.sessions import sessionize
from embedrec.errors import DataError
from embedrec.readers import BadRows
from embedrec.readers.session_tables import SessionTables, sessions_from_prefixes
from embedrec.splitting.holdout import HeldOut
from embedrec.tabular.read_settings import ReadSettings
from tests.data import strategies as draw
from tests.readers.reading import SKIP, refusal, rows, write

Row = tuple[list[Any], Any]


def cases_of(test: HeldOut) -> list[Row]:
    """The test cases one by one, longest prefix first in every session."""
    queries = []
    ids = test.sessions.vocab.ids
    for s in range(len(test)):
        items = ids[test.sessions[s]].tolist()
        queries += [(items[:p], items[p]) for p in range(len(items) - 1, max(int(test.given[s]), 1) - 1, -1)]
    return queries


def case_counts(table: list[Row]) -> Counter[tuple[tuple[Any, ...], Any]]:
    return Counter((tuple(prefix), target) for prefix, target in table)


def held_out_of(table: list[Row]) -> HeldOut:
    flat = [i for prefix, _ in table for i in prefix]
    lengths = np.array([len(prefix) for prefix, _ in table])
    return sessions_from_prefixes(
        lengths, np.array(flat, dtype=object), np.array([target for _, target in table], dtype=object)
    )


prefixes = st.lists(st.tuples(st.lists(draw.few, min_size=1, max_size=5), draw.few), min_size=1, max_size=8)


@st.composite
def prefix_tables(draw_: st.DrawFn) -> list[Row]:
    """Rows as in published data sets: the longest prefix of each session, and shorter ones down to any length."""
    table: list[Row] = []
    for items in draw_(st.lists(st.lists(draw.few, min_size=2, max_size=6), min_size=1, max_size=5)):
        shortest = draw_(st.integers(1, len(items) - 1))
        table += [(items[:p], items[p]) for p in range(len(items) - 1, shortest - 1, -1)]
    return table


@draw.given(st.one_of(prefixes, prefix_tables()), examples=300)
def test_sessions_have_the_test_cases_of_the_table(table: list[Row]) -> None:
    table = [(list(prefix), target) for prefix, target in table]
    test = held_out_of(table)
    assert cases_of(test) == table  # in the same order
    assert case_counts(cases_of(test)) == case_counts(table)


@draw.given(prefix_tables())
def test_prefixes_of_a_session_are_joined(table: list[Row]) -> None:
    starts = sum(n == 0 or table[n - 1][0] != [*prefix, target] for n, (prefix, target) in enumerate(table))
    assert len(held_out_of(table)) == starts


def test_given_is_the_shortest_prefix() -> None:
    test = held_out_of(
        [(["a", "b", "c"], "d"), (["a", "b"], "c"), (["a"], "b"), (["a", "b", "c"], "d"), (["x"], "y"), (["b"], "d")]
    )
    assert [test.sessions.vocab.ids[test.sessions[s]].tolist() for s in range(4)] == [
        ["a", "b", "c", "d"],
        ["a", "b", "c", "d"],
        ["x", "y"],
        ["b", "d"],
    ]
    assert test.given.tolist() == [0, 3, 0, 0]
    assert test.sessions.ids.tolist() == ["test-1", "test-2", "test-3", "test-4"]


@pytest.mark.parametrize(
    ("columns", "suffix"),
    [
        ("SessionId\tItemId\tTime", "tsv"),
        ("sessionid,ITEMID,time", "csv"),
        ("session_id;item_id;timestamp", "csv"),
        ("SESSION|Item|TIME", "csv"),
        ("SessionId\tItemId\tTime", "txt"),
    ],
)
@pytest.mark.parametrize(
    "times", [("1462752003.5", "1462752001", "1462752000.0"), ("1462752003500", "1462752001000", "1462752000000")]
)
def test_columns_are_recognised_in_any_spelling(
    tmp_path: Path, columns: str, suffix: str, times: tuple[str, ...]
) -> None:
    delimiter = next(c for c in "\t,;|" if c in columns)
    lines = [columns, *(delimiter.join(("7", item, time)) for item, time in zip("abc", times, strict=True))]
    write(tmp_path, {f"train.{suffix}": "\n".join(lines)})
    events = SessionTables().read([tmp_path / f"train.{suffix}"], ReadSettings())
    assert rows(events, "time") == [(7, "c", 1462752000000), (7, "b", 1462752001000), (7, "a", 1462752003500)]
    assert events.user is None and events.weight is None


def test_positions_order_rows_without_a_time(tmp_path: Path) -> None:
    table = {"session": [1, 0, 1, 0], "pos": [1, 0, 0, 10], "item": [5, 6, 7, 8]}
    pq.write_table(pa.table(table), tmp_path / "train.parquet")
    events = SessionTables().read([tmp_path], ReadSettings())
    assert rows(events) == [(1, 7), (1, 5), (0, 6), (0, 8)]
    assert events.time is None


def test_all_sessions_of_a_test_file_are_held_out(tmp_path: Path) -> None:
    write(tmp_path, {"test.tsv": "SessionId\tItemId\tTime\n1\ta\t1462752001\n1\tb\t1462752000\n2\tnew\t1462752000\n"})
    test = SessionTables().read_test(tmp_path / "test.tsv", ReadSettings())
    assert test.given.tolist() == [0, 0]
    assert cases_of(test) == [(["b"], "a")]
    assert test.sessions.times.tolist() == [1462752000000, 1462752001000, 1462752000000]


def prefix_table(path: Path, prefix: Any, target: Any) -> Path:
    pq.write_table(pa.table({"prefix": prefix, "target": target}), path)
    return path


def test_bad_prefixes_are_skipped_and_counted(tmp_path: Path) -> None:
    lists = pa.array([["a", "b"], [], None, ["a", None], ["a"], ["a", ""]], pa.large_list(pa.string()))
    path = prefix_table(tmp_path / "t.parquet", lists, ["c", "x", "x", "x", None, "x"])
    bad_rows = BadRows("skip")
    test = SessionTables().read_test(path, ReadSettings(bad_rows))
    assert cases_of(test) == [(["a", "b"], "c")] and test.given.tolist() == [2]
    assert bad_rows.counts == {"prefix is empty": 2, "an item of prefix is missing": 2, "target is missing": 1}
    with pytest.raises(DataError) as error:
        SessionTables().read_test(path, ReadSettings())
    assert str(error.value) == f"{path}, row 2: prefix is empty, but is '[]'{SKIP}"


@pytest.mark.parametrize(
    ("prefix", "target", "message"),
    [
        (["a"], ["b"], "the column 'prefix' of {f} has the type string, but must contain lists of item ids"),
        (pa.array([[1.5]]), [1], "{f}, row 1: an item of prefix is missing, but is '[1.5]'" + SKIP),
        (pa.array([], pa.list_(pa.int64())), pa.array([], pa.int64()), "{f} contains no rows; check the file"),
        (pa.array([[True]]), [1], "the column 'prefix' has the type bool, but ids must be whole numbers or texts"),
    ],
)
def test_invalid_prefixes_are_refused(tmp_path: Path, prefix: Any, target: Any, message: str) -> None:
    path = prefix_table(tmp_path / "t.parquet", prefix, target)
    with pytest.raises(DataError) as error:
        SessionTables().read_test(path, ReadSettings())
    assert str(error.value) == message.replace("{f}", str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "SessionId\tItemId\tTime\n1\ta\tnoon\n",
            "{f}, row 1: Time must be a date as 2024-05-31 23:59:00, but is 'noon'" + SKIP,
        ),
        (
            "SessionId\tItemId\tTime\n1\ta\t5\n",
            "the times in 'Time' go from 5 to 5, and it is unclear whether these are seconds or milliseconds since "
            "1970; use --time-unit s or ms",
        ),
        ("SessionId\tTime\n1\t5\n", "{f} has no column of items; name one of SessionId, Time with --item"),
        (
            "SessionId\tItemId\tItemId\n1\t5\t6\n",
            "the column 'ItemId' occurs twice in {f}; its columns are SessionId, ItemId, ItemId",
        ),
        ("SessionId\tItemId\n", "no row of {f} can be used; check the files and the filters"),
        ("", "{f} is empty; remove it or get it again"),
    ],
)
def test_invalid_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    write(tmp_path, {"t.tsv": content})
    assert refusal(SessionTables(), [tmp_path / "t.tsv"]) == message.replace("{f}", f"{tmp_path}/t.tsv")


@pytest.mark.parametrize(
    ("name", "train", "queries"),
    [("diginetica", (186_670, 906_140, 43_097), 60_858), ("nowplaying", (128_077, 953_381, 60_416), 89_824)],
)
def test_the_splits_of_the_papers_have_known_sizes(
    data_folder: Path, name: str, train: tuple[int, ...], queries: int
) -> None:
    folder = data_folder / name
    sessions = sessionize(SessionTables().read([folder / "train_sessions.parquet"], ReadSettings()))
    assert (len(sessions), len(sessions.items), len(sessions.vocab)) == train
    test = SessionTables().read_test(folder / "test_prefixes.parquet", ReadSettings())
    table = pq.ParquetFile(folder / "test_prefixes.parquet").read()
    expected = list(zip(table["prefix"].to_pylist(), table["target"].to_pylist(), strict=True))
    assert len(expected) == queries
    assert cases_of(test) == expected


def test_prefixes_are_joined_without_a_call_per_prefix(tmp_path: Path) -> None:
    def count_calls(count: int) -> int:
        path = prefix_table(tmp_path / f"{count}.parquet", pa.array([[i, i + 1] for i in range(count)]), range(count))
        events = Counter[str]()
        sys.setprofile(lambda frame, event, _: events.update([event]))
        try:
            test = SessionTables().read_test(path, ReadSettings())
        finally:
            sys.setprofile(None)
        assert len(test) == count
        return events["call"]

    count_calls(10)  # imports and caches
    assert count_calls(20_000) - count_calls(2_000) < 1_000  # of 18,000 more prefixes


def test_prefixes_and_targets_of_different_types_are_texts(tmp_path: Path) -> None:
    path = prefix_table(tmp_path / "t.parquet", pa.array([[1, 2]]), ["b"])
    assert SessionTables().read_test(path, ReadSettings()).sessions.vocab.ids.tolist() == ["1", "2", "b"]
    path = prefix_table(tmp_path / "u.parquet", pa.array([["1", "2.0"], ["2"]]), ["1.0", "3"])
    assert sorted(SessionTables().read_test(path, ReadSettings()).sessions.vocab.ids.tolist()) == ["1", "2", "3"]
