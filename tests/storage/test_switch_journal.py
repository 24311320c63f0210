"""The journal of an interrupted switch: completed by readers that may write, and a clear sentence for others."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import ArtifactError
from embedrec.storage import atomic, switch_journal
from embedrec.storage.artifacts import FOLDERS
from embedrec.storage.switch import switch
from embedrec.storage.version_records import journal_path, read_record, read_records
from embedrec.storage.workspace import Workspace
from tests.storage.versioned import killed_at, put, stage, texts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace whose switch from "old" to "new" was killed right after its journal was written."""
    for kind in FOLDERS:
        put(tmp_path, kind, "x", "old")
    staged, step = stage(tmp_path, "new"), 0
    while not journal_path(tmp_path).exists():
        step += 10
        assert killed_at(step, lambda: switch(Workspace(tmp_path), staged, command="refresh"))
    shutil.rmtree(tmp_path / ".staging")
    return tmp_path


def test_the_next_reader_completes_a_switch(root: Path) -> None:
    assert read_records(root) == []
    assert texts(root) == ["new"] * 3
    assert not journal_path(root).exists()
    assert [record.command for record in read_records(root)] == ["refresh"]


@pytest.mark.parametrize("read", ["folders", "version"])
def test_every_way_to_open_a_workspace_completes_it(root: Path, read: str) -> None:
    workspace = Workspace(root)
    _ = workspace.folders("index") if read == "folders" else workspace.version("model", "x", "")
    assert not journal_path(root).exists()


def test_an_artifact_that_was_written_since_stays(root: Path) -> None:
    put(root, "model", "x", "newer")
    assert texts(root) == ["new", "newer", "new"]


def test_a_reader_without_permission_gets_one_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(os, "mkdir", refuse)
        patched.setattr(Path, "mkdir", refuse)
        with pytest.raises(ArtifactError, match=r"was interrupted, and cannot be completed \(.*Permission denied\); "):
            texts(root)
    assert texts(root) == ["new"] * 3


def test_a_damaged_journal_is_one_sentence(root: Path) -> None:
    path = journal_path(root)
    path.write_bytes(path.read_bytes()[:-30])
    for read in (lambda: texts(root), lambda: switch(Workspace(root), [], command="test")):
        with pytest.raises(ArtifactError, match=r"switch.json is damaged .*; remove it if `embedrec info` shows"):
            read()
    path.unlink()
    assert set(texts(root)) <= {"old", "new"}


def test_a_version_that_is_gone_is_one_sentence(root: Path) -> None:
    before = [(root / kind / "x" / "a").read_text() for kind in FOLDERS.values()]
    put_ = read_record(journal_path(root)).changes[2].put
    assert put_ is not None
    shutil.rmtree(root / "versions" / str(put_.version) / "indexes")
    with pytest.raises(ArtifactError, match=r"versions/\d+/indexes/x, which it needs, is missing or damaged; remove "):
        texts(root)
    journal_path(root).unlink()
    assert texts(root) == before  # nothing was put in place before all were checked


def test_a_kill_while_it_is_completed_changes_nothing(root: Path) -> None:
    step = 0
    while killed_at(step := step + 1, lambda: switch_journal.finish_switch(root)) and step < 200:
        pass
    assert step > 5
    assert texts(root) == ["new"] * 3
    assert atomic.sweep(root / "models") == []
