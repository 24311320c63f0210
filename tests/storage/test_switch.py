"""A switch puts several artifacts in place in one step, whatever happens in between."""

from __future__ import annotations

import os
import shutil
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import ArtifactError
from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import FOLDERS
from embedrec.storage.switch import Staged, keep_version, switch
from embedrec.storage.version_records import read_records
from embedrec.storage.versions import numbers, version_of
from embedrec.storage.workspace import Workspace
from tests.storage.versioned import current, killed_at, put, stage, texts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with sessions, a model and an index, all called x."""
    for kind in FOLDERS:
        put(tmp_path, kind, "x", "old")
    return tmp_path


def test_old_ones_become_versions_of_one_number(root: Path) -> None:
    before = [current(root, kind) for kind in FOLDERS]
    record = switch(Workspace(root), stage(root, "new"), command="refresh")
    assert texts(root) == ["new"] * 3
    assert (record.sequence, record.command, numbers(root)) == (1, "refresh", [2, 1])
    assert [(c.kind, c.name, c.put and c.put.version, c.replaced and c.replaced.version) for c in record.changes] == [
        (kind, "x", 2, 1) for kind in FOLDERS
    ]
    for old in before:
        assert old is not None
        kept = Workspace(root).version(old.kind, "x", old.fingerprint)
        assert kept is not None and (kept.digest, kept.name) == (old.digest, "x")
        assert kept.path("a").read_text() == "old"
        kept.check()
    assert read_records(root) == [record]
    again = switch(Workspace(root), stage(root, "newer"), command="refresh")
    assert [(c.put and c.put.version, c.replaced and c.replaced.version) for c in again.changes] == [(3, 2)] * 3
    assert read_records(root) == [record, again]


def test_files_of_versions_are_hard_links(root: Path) -> None:
    old = root / "models" / "x" / "a"
    inode = old.stat().st_ino
    switch(Workspace(root), stage(root, "new"), command="refresh")
    assert (root / "versions" / "1" / "models" / "x" / "a").stat().st_ino == inode
    assert (root / "versions" / "2" / "models" / "x" / "a").samefile(old)


def test_files_are_copied_where_there_are_no_hard_links(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    switch(Workspace(root), stage(root, "new"), command="refresh")
    shutil.rmtree(root / ".staging")
    assert texts(root) == ["new"] * 3
    assert (root / "versions" / "1" / "models" / "x" / "a").read_text() == "old"
    assert not (root / "versions" / "2" / "models" / "x" / "a").samefile(root / "models" / "x" / "a")


def test_artifacts_are_added_and_removed(root: Path) -> None:
    new = put(root / ".staging", "model", "y", "new")
    switch(Workspace(root), [Staged(new, None), Staged(None, current(root, "index"))], command="test")
    assert texts(root) == ["old", "old", None]
    assert texts(root, "y") == [None, "new", None]
    assert not (root / "indexes" / "x").exists()
    assert (root / "versions" / "1" / "indexes" / "x" / "a").read_text() == "old"
    with pytest.raises(ValueError, match="not neither"):
        switch(Workspace(root), [Staged(None, None)], command="test")


def test_a_current_artifact_that_changed_is_not_replaced(root: Path) -> None:
    staged = stage(root, "new")
    put(root, "model", "x", "other")
    with pytest.raises(ArtifactError, match=r"another process changed .*models/x in the meantime; try again"):
        switch(Workspace(root), staged, command="refresh")
    assert texts(root) == ["old", "other", "old"]
    shutil.rmtree(root / "models" / "x")
    with pytest.raises(ArtifactError, match=r"another process changed .*models/x"):
        switch(Workspace(root), staged, command="refresh")
    new = put(root / ".staging", "sessions", "x", "new")
    with pytest.raises(ArtifactError, match=r"another process changed .*sessions/x"):
        switch(Workspace(root), [Staged(new, None)], command="refresh")
    with pytest.raises(ArtifactError, match="an artifact is staged twice: sessions x, sessions x"):
        switch(Workspace(root), [Staged(new, None)] * 2, command="refresh")
    assert read_records(root) == []


def test_the_second_of_two_processes_fails(root: Path) -> None:
    """Both were made from the same artifacts; what the first put in place is not lost."""
    errors: list[ArtifactError] = []
    ready = threading.Barrier(2)

    def work(number: int) -> None:
        staged = [Staged(put(root / f".s{number}", k, "x", str(number)), before[k]) for k in FOLDERS]
        ready.wait()
        try:
            switch(Workspace(root), staged, command="refresh")
        except ArtifactError as e:
            errors.append(e)

    before = {kind: current(root, kind) for kind in FOLDERS}
    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 1 and "another process changed" in str(errors[0])
    assert texts(root) in (["0"] * 3, ["1"] * 3)


def test_readers_wait_for_a_switch(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that comes in the middle of a switch sees the new artifacts only."""
    seen: list[list[str | None]] = []
    readers: list[threading.Thread] = []
    swap = atomic._swap_in

    def swap_and_read(new: Path, path: Path) -> None:
        swap(new, path)
        if path.parent.parent == root and path.parent.name in FOLDERS.values():
            readers.append(threading.Thread(target=lambda: seen.append(texts(root))))
            readers[-1].start()

    staged = stage(root, "new")
    monkeypatch.setattr(atomic, "_swap_in", swap_and_read)
    switch(Workspace(root), staged, command="refresh")
    for reader in readers:
        reader.join()
    assert seen == [["new"] * 3] * 3


@pytest.mark.parametrize("exchange", [True, False])
def test_a_kill_at_any_step_leaves_all_old_or_all_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    """Whoever reads next sees one of both, whole; the next switch works."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # these two take most of the time
    monkeypatch.setattr(artifacts, "_versions", dict)
    if not exchange:  # systems without an atomic exchange of folders
        monkeypatch.setattr(atomic, "exchange_folders", lambda a, b: False)
    start = tmp_path / "start"
    for kind in FOLDERS:
        put(start, kind, "x", "old")
    switch(Workspace(start), stage(start, "old"), command="test")
    gone = put(start, "model", "gone", "old")
    results, step = [], 0
    while True:
        step += 1
        root = tmp_path / str(step)
        shutil.copytree(start, root)
        staged = [*stage(root, "new"), Staged(None, artifacts.read(root / "models" / "gone"))]
        finished = not killed_at(step, partial(switch, Workspace(root), staged, command="refresh"))
        seen = texts(root)
        assert seen in (["old"] * 3, ["new"] * 3)
        assert texts(root, "gone") == [None, "old" if seen[0] == "old" else None, None]
        results.append(seen[0])
        old = Workspace(root).version("model", "gone", gone.fingerprint)
        assert old is not None
        old.check()
        switch(Workspace(root), stage(root, "next"), command="refresh")
        assert texts(root) == ["next"] * 3
        assert len({c.put.version for c in read_records(root)[-1].changes if c.put is not None}) == 1
        assert not [f for kind in FOLDERS.values() for f in (root / kind).glob(".*")]
        if finished:
            break
    assert results == sorted(results, reverse=True) and set(results) == {"old", "new"}
    assert step > 25


def test_a_read_only_workspace_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ArtifactError, match="is not writable; choose another workspace"):
        keep_version(Workspace(root), artifacts.read(root / "models" / "x"), command="tag")


def test_a_version_is_kept_once(root: Path) -> None:
    model = put(root, "model", "x", "good")
    assert keep_version(Workspace(root), model, command="tag") == 1
    assert keep_version(Workspace(root), model, command="tag") == 1
    put(root, "model", "x", "bad")
    kept = Workspace(root).version("model", "x", model.fingerprint)
    assert kept is not None and kept.folder == root / "versions" / "1" / "models" / "x"
    assert version_of(root, model) == 1
    with pytest.raises(ArtifactError, match="another process changed"):
        keep_version(Workspace(root), model, command="tag")
    switch(Workspace(root), stage(root, "new"), command="refresh")
    assert [(c.kind, c.replaced and c.replaced.version) for c in read_records(root)[-1].changes] == [
        ("sessions", 2), ("model", 2), ("index", 2)
    ]  # fmt: skip


def test_a_symbolic_link_keeps_pointing_to_the_artifact(root: Path) -> None:
    (root / "disk").mkdir()
    (root / "models" / "x").rename(root / "disk" / "x")
    (root / "models" / "x").symlink_to(root / "disk" / "x")
    switch(Workspace(root), stage(root, "new"), command="refresh")
    assert texts(root) == ["new"] * 3
    assert (root / "models" / "x").is_symlink() and (root / "disk" / "x" / "a").read_text() == "new"


def test_parts_of_staged_composite_models_are_put_beside_the_others(root: Path) -> None:
    with artifacts.writing(root / ".staging" / "models" / "parts" / "p-1", "model", {}) as draft:
        draft.path("a").write_text("part")
    part = artifacts.read(root / ".staging" / "models" / "parts" / "p-1")
    parts = {"p": {"name": "parts/p-1", "fingerprint": part.fingerprint}}
    parts["escape"] = {"name": "../../outside", "fingerprint": part.fingerprint}
    fusion = put(root / ".staging", "model", "fusion", "new", parts=parts)
    switch(Workspace(root), [Staged(fusion, None)], command="refresh")
    found = Workspace(root).version("model", "parts/p-1", part.fingerprint)
    assert found is not None and found.folder == root / "models" / "parts" / "p-1"
    assert Workspace(root).version("model", "../../outside", part.fingerprint) is None
