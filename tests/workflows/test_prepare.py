"""Preparation of sessions artifacts, and their manifest."""

from __future__ import annotations

from pathlib import Path

from embedrec.data import Sessions
from embedrec.storage.artifacts import Artifact
from tests.conftest import LISTS


def test_a_sessions_artifact_records_its_origin(prepared: Artifact, tmp_path: Path) -> None:
    sessions = Sessions.load(prepared)
    assert [[str(i) for i in sessions.vocab.ids[items]] for items in map(sessions.__getitem__, range(3))] == [
        ["A", "B", "A", "C"],
        ["A", "B", "D"],
        ["B", "C", "A"],
    ]
    about = prepared.about
    assert about["source"] == "letters" and about["reader"] == {"upper": True}
    assert about["paths"] == [str(tmp_path / "words")]
    assert about["read"] == {"events": sum(map(len, LISTS)), "sessions": len(LISTS), "items": 6}
    assert (about["sessions"], about["items"], about["events"]) == (11, 6, sum(map(len, LISTS)) - 1)
    assert about["filters"]["min_length"] == 2
    assert about["removed"][0]["sessions"] == 1
