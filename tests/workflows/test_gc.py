"""What gc removes, and what it keeps."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from embedrec.errors import ArtifactError, SettingsError
from embedrec.storage import artifacts
from embedrec.storage.artifacts import FOLDERS
from embedrec.storage.switch import switch
from embedrec.storage.version_records import read_records
from embedrec.storage.version_tags import Tagged, write_tags
from embedrec.storage.versions import numbers
from embedrec.storage.workspace import Workspace
from embedrec.workflows.gc import Freed, collect_garbage
from embedrec.workflows.refresh.staging import refreshing
from embedrec.workflows.rollback import roll_back
from embedrec.workflows.versions import list_versions
from tests.storage.versioned import put, stage, switched, texts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace whose artifacts x were "1" to "4", and are "5" now."""
    return switched(tmp_path, "12345")


def kept(root: Path) -> list[tuple[int, str]]:
    return [(version.version, version.kind) for version in list_versions(Workspace(root))]


def test_the_last_versions_of_each_artifact_are_kept(root: Path) -> None:
    put(root, "model", "x", "trained again")
    plan = collect_garbage(Workspace(root), 2, dry_run=True)
    assert len(kept(root)) == 15
    assert [(f.what, f.kind, f.version) for f in plan] == [
        ("version", "model", 3), ("version", "sessions", 2), ("version", "model", 2), ("version", "index", 2),
        ("version", "sessions", 1), ("version", "model", 1), ("version", "index", 1),
    ]  # fmt: skip
    assert all(freed.bytes > 0 for freed in plan)
    before = sum(file.lstat().st_size for file in (root / "versions").rglob("*") if file.is_file())
    assert collect_garbage(Workspace(root), 2) == plan
    assert numbers(root) == [5, 4, 3]
    left = sum(file.lstat().st_size for file in (root / "versions").rglob("*") if file.is_file())
    records = before - left - sum(freed.bytes for freed in plan)
    assert 0 < records < 3000  # the record of a switch whose versions are gone
    assert collect_garbage(Workspace(root), 2) == []
    assert texts(root) == ["5", "trained again", "5"]
    assert roll_back(Workspace(root), to="4")
    assert texts(root) == ["4"] * 3
    with pytest.raises(SettingsError, match=r"there is no version or tag '1' to roll back to; kept are 3, 4, 5, 6$"):
        roll_back(Workspace(root), to="1")


def test_numbers_are_not_used_again(root: Path) -> None:
    collect_garbage(Workspace(root), 0)
    assert kept(root) == [(5, kind) for kind in FOLDERS]
    shutil.rmtree(root / "versions" / "5")
    assert [record.sequence for record in read_records(root)] == [4]
    record = switch(Workspace(root), stage(root, "6"), command="refresh")
    assert {(c.replaced and c.replaced.version, c.put and c.put.version) for c in record.changes} == {(6, 7)}


def test_versions_with_a_tag_are_kept(root: Path) -> None:
    write_tags(root, {"good": [Tagged("model", "x", 1)]})
    collect_garbage(Workspace(root), 0)
    assert kept(root) == [*((5, kind) for kind in FOLDERS), (1, "model")]


def test_what_current_artifacts_were_made_from_is_kept(root: Path) -> None:
    """The sessions of a model, the model of an index, and the parts of a fusion and of a kept one."""
    versions = {(v, kind): artifacts.read(root / "versions" / str(v) / FOLDERS[kind] / "x") for v, kind in kept(root)}

    def entry(version: int, kind: str, name: str = "x") -> dict[str, str]:
        return {"name": name, "fingerprint": versions[version, kind].fingerprint}

    put(root, "model", "m", "1", trained_on=entry(1, "sessions"))
    put(root, "index", "i", "1", indexed=entry(2, "model"))
    put(root, "model", "fusion", "1", parts={"0": entry(3, "model")})
    switch(Workspace(root), stage(root, "new fusion", "fusion")[1:2], command="refresh")
    write_tags(root, {"t": [Tagged("model", "fusion", 6)]})
    collect_garbage(Workspace(root), 0)
    assert kept(root) == [
        (7, "model"), (6, "model"), *((5, kind) for kind in FOLDERS), (3, "model"), (2, "model"), (1, "sessions")
    ]  # fmt: skip


def test_parts_of_kept_versions_are_kept(root: Path) -> None:
    for name in ("used", "unused"):
        with artifacts.writing(root / "models" / "parts" / name, "model", {}) as draft:
            draft.path("a").write_text(name)
    part = artifacts.read(root / "models" / "parts" / "used")
    put(root, "model", "fusion", "1", parts={"0": {"name": "parts/used", "fingerprint": part.fingerprint}})
    switch(Workspace(root), stage(root, "2", "fusion")[1:2], command="refresh")
    freed = [one for one in collect_garbage(Workspace(root), 7) if one.what == "part"]
    assert freed == [Freed("part", "model", "unused", None, freed[0].bytes)]
    plan = collect_garbage(Workspace(root), 0, dry_run=True)
    assert [one.name for one in plan if one.what == "part"] == ["used"]
    assert collect_garbage(Workspace(root), 0) == plan


def test_nothing_is_removed_while_an_artifact_cannot_be_read(root: Path) -> None:
    (root / "models" / "x" / artifacts.MANIFEST).write_text("{")
    with pytest.raises(ArtifactError, match="which versions are needed is unknown, as model x cannot be read: "):
        collect_garbage(Workspace(root), 0)
    assert len(kept(root)) == 15


def test_a_damaged_version_is_removed_when_its_time_is_over(root: Path) -> None:
    (root / "versions" / "2" / "models" / "x" / artifacts.MANIFEST).unlink()
    assert [(f.kind, f.version) for f in collect_garbage(Workspace(root), 2)] == [
        ("sessions", 2), ("model", 2), ("index", 2), ("sessions", 1), ("model", 1), ("index", 1)
    ]  # fmt: skip


def test_an_empty_workspace_stays_empty(tmp_path: Path) -> None:
    assert collect_garbage(Workspace(tmp_path), 7) == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ArtifactError, match="absent is no folder; choose another workspace"):
        collect_garbage(Workspace(tmp_path / "absent"), 7)


def test_an_abandoned_refresh_is_removed(root: Path) -> None:
    workspace = Workspace(root)
    for name in ("old", "new"):
        put(root / ".refresh" / name, "model", "x", "staged")
    for file in ((root / ".refresh" / "old"), *(root / ".refresh" / "old").rglob("*")):
        os.utime(file, (0, time.time() - 8 * 86_400))
    size = sum(file.stat().st_size for file in (root / ".refresh" / "old" / "models" / "x").iterdir())
    with refreshing(workspace):
        assert collect_garbage(workspace, 7) == []
    plan = collect_garbage(workspace, 7, dry_run=True)
    assert plan == [Freed("refresh", "", "old", None, size)]
    assert collect_garbage(workspace, 7) == plan
    assert [one.name for one in collect_garbage(workspace, 7, days=0)] == ["new"]
    assert [*(root / ".refresh").iterdir()] == []
