"""Records of switches are read back as written, and refused with one sentence if they are damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.errors import ArtifactError
from embedrec.storage.artifacts import FOLDERS, json_digest
from embedrec.storage.version_records import (
    Change,
    Content,
    Record,
    read_record,
    read_records,
    record_path,
    write_record,
)

CONTENT = Content(3, "d" * 64, "f" * 64, "2026-11-29T00:00:00.000000+00:00")
RECORD = Record(7, "2026-11-29T00:00:00.000000+00:00", "refresh", [Change("model", "x", CONTENT, None)])


@given(st.text(), st.lists(st.tuples(st.sampled_from([*FOLDERS]), st.booleans(), st.booleans())))
def test_a_record_is_read_back(tmp_path_factory: pytest.TempPathFactory, command: str, given_: Any) -> None:
    changes = [Change(kind, "x", CONTENT if put else None, CONTENT if old else None) for kind, put, old in given_]
    record = Record(7, RECORD.time, command, changes)
    path = tmp_path_factory.getbasetemp() / "record.json"
    write_record(path, record)
    assert read_record(path) == record


def test_records_are_in_the_order_of_their_switches(tmp_path: Path) -> None:
    assert read_records(tmp_path) == []
    records = [Record(number, RECORD.time, "test", []) for number in (1_000_001, 2, 11)]
    for record in records:
        write_record(record_path(tmp_path, record.sequence), record)
    assert [record.sequence for record in read_records(tmp_path)] == [2, 11, 1_000_001]


def test_damaged_records_are_refused(tmp_path: Path) -> None:
    path = record_path(tmp_path, 7)
    write_record(path, RECORD)
    whole = path.read_bytes()
    for content in (b"", b"\xff", whole[:-20], whole.replace(b"refresh", b"replace"), b"[]", b"[" * 100_000, b"NaN"):
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match=rf"{path} is damaged \(.*\); remove it if `embedrec info` shows"):
            read_records(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "../models", "name": "x", "put": None, "replaced": None},
        {"kind": "model", "name": "../x", "put": None, "replaced": None},
        {"kind": "model", "name": "/x", "put": None, "replaced": None},
        {"kind": "model", "name": "x", "put": {"version": "../1"}, "replaced": None},
        {"kind": "model", "name": "x", "put": None, "replaced": {"version": 0}},
        {"kind": "model", "name": "x"},
        "x",
    ],
)
def test_names_and_versions_that_leave_the_workspace_are_refused(tmp_path: Path, change: Any) -> None:
    """Also in a record whose digest is right."""
    content = {"format": 1, "sequence": 7, "time": "", "command": "", "changes": [change]}
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**content, "digest": json_digest(content)}))
    with pytest.raises(ArtifactError, match=r"is damaged"):
        read_record(path)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    content = {"format": 2, "sequence": 7, "time": "", "command": "", "changes": []}
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**content, "digest": json_digest(content)}))
    with pytest.raises(ArtifactError, match="another format, of another version of embedrec"):
        read_record(path)
