"""Nested JSON lines, such as OTTO's."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import DataError
from embedrec.readers import BadRows
from embedrec.readers.table import Table
from embedrec.tabular.read_settings import ReadSettings
from tests.readers.reading import rows, write

_OTTO = """\
{"session":1,"events":[{"aid":7,"ts":1661724000278,"type":"clicks"},{"aid":5,"ts":1661724000270,"type":"carts"}]}
{"session":2,"events":[]}
{"session":3,"events":[{"aid":7,"ts":1661724000279,"type":"orders"}]}
"""
_WANT = [(1, 5, 1661724000270, "carts"), (1, 7, 1661724000278, "clicks"), (3, 7, 1661724000279, "orders")]


def test_events_of_otto_are_read(tmp_path: Path) -> None:
    write(tmp_path, {"t.jsonl": _OTTO})
    named = Table(item="events[].aid", time="events[].ts", kind="events[].type")
    assert rows(named.read([tmp_path], ReadSettings()), "time", "kind") == _WANT
    guessed = Table(kind="events[].type")
    assert rows(guessed.read([tmp_path], ReadSettings()), "time", "kind") == _WANT


def test_keys_of_objects_are_columns(tmp_path: Path) -> None:
    text = '{"user": {"id": "u"}, "a.b": 1, "a": {"b": 2, "c": 3}}\n{"user": {"id": "u"}, "a": {"b": 4}}\n'
    write(tmp_path, {"t.jsonl": text})
    assert rows(Table(session="user.id", item="a.b").read([tmp_path], ReadSettings())) == [("u", 1), ("u", 4)]
    bad_rows = BadRows("skip")
    assert rows(Table(session="user.id", item="a.c").read([tmp_path], ReadSettings(bad_rows))) == [("u", 3)]
    assert bad_rows.counts == {"a.c is missing": 1}


def test_values_other_than_lists_of_objects_are_bad_rows(tmp_path: Path) -> None:
    write(
        tmp_path, {"t.jsonl": _OTTO + '{"session":4,"events":3}\n{"session":5}\n{"session":6,"events":[{"aid":[1]}]}\n'}
    )
    bad_rows = BadRows("skip")
    table = Table(item="events[].aid", time="-")
    assert [session for session, _ in rows(table.read([tmp_path], ReadSettings(bad_rows)))] == [1, 1, 3]
    assert bad_rows.counts == {"events must be a list of objects": 2, "events[].aid must be a text or a number": 1}
    assert bad_rows.examples["events must be a list of objects"][0].endswith("row 4")


def test_columns_of_two_lists_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"t.jsonl": '{"session":1,"a":[{"x":1}],"b":[{"y":1}]}\n'})
    with pytest.raises(DataError, match="belong to several lists; name the columns of one"):
        Table(item="a[].x", weight="b[].y").read([tmp_path], ReadSettings())
