"""The list of versions, and what artifacts need."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from embedrec.errors import ArtifactError
from embedrec.storage import artifacts
from embedrec.storage.artifacts import FOLDERS
from embedrec.storage.switch import keep_version, switch
from embedrec.storage.version_tags import Tagged, write_tags
from embedrec.storage.workspace import Workspace
from embedrec.workflows.versions import freed_bytes, list_versions, recorded_version, sources_of
from tests.storage.versioned import put, stage


def test_versions_the_newest_first(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for kind in FOLDERS:
        put(tmp_path, kind, "x", "1")
    switch(workspace, stage(tmp_path, "2"), command="refresh")
    shutil.rmtree(tmp_path / ".staging")
    keep_version(workspace, put(tmp_path, "model", "y", "1"), command="artifact tag")
    write_tags(
        tmp_path, {"good": [Tagged("model", "x", 1)], "best": [Tagged("model", "x", 1), Tagged("model", "y", 3)]}
    )
    (tmp_path / "versions" / "1" / "indexes" / "x" / artifacts.MANIFEST).unlink()
    seen = [(v.version, v.kind, v.name, v.state, v.tags, v.command, v.bytes > 0) for v in list_versions(workspace)]
    assert seen == [
        (3, "model", "y", "current", "best", "artifact tag", False),
        (2, "sessions", "x", "current", "", "refresh", False),
        (2, "model", "x", "current", "", "refresh", False),
        (2, "index", "x", "current", "", "refresh", False),
        (1, "sessions", "x", "kept", "", "", True),
        (1, "model", "x", "kept", "good best", "", True),
        (1, "index", "x", "unreadable", "", "", True),
    ]
    assert [v.version for v in list_versions(workspace, "y")] == [3]
    with pytest.raises(ArtifactError, match="no version of 'z' is kept"):
        list_versions(workspace, "z")
    assert recorded_version(tmp_path, "model", "x", 1).path("a").read_text() == "1"
    with pytest.raises(ArtifactError, match="version 3 of model x is no longer kept"):
        recorded_version(tmp_path, "model", "x", 3)


def test_shared_files_free_nothing(tmp_path: Path) -> None:
    model = put(tmp_path, "model", "x", "1")
    size = sum(file.stat().st_size for file in model.folder.iterdir())
    assert freed_bytes(model.folder) == size
    keep_version(Workspace(tmp_path), model, command="test")
    assert freed_bytes(model.folder) == freed_bytes(tmp_path / "versions" / "1" / "models" / "x") == 0
    shutil.rmtree(model.folder)
    assert freed_bytes(tmp_path / "versions" / "1" / "models" / "x") == size


def test_sources_according_to_the_manifest(tmp_path: Path) -> None:
    source = {"name": "s", "fingerprint": "f"}
    parts = {"0": {"name": "parts/p", "fingerprint": "g"}}
    model = put(tmp_path, "model", "m", "1", trained_on=source, parts=parts)
    assert list(sources_of(model)) == [("sessions", "s", "f"), ("model", "parts/p", "g")]
    index = put(tmp_path, "index", "i", "1", indexed=source, trained_on=None)
    assert list(sources_of(index)) == [("model", "s", "f")]
    sessions = put(tmp_path, "sessions", "s", "1", of={"name": "all"})
    assert list(sources_of(sessions)) == []
