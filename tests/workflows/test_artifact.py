"""Removing, renaming and tagging artifacts: what needs them finds them, or keeps them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import ArtifactError, SettingsError
from embedrec.storage import artifacts
from embedrec.storage.artifacts import FOLDERS, Artifact
from embedrec.storage.lineage import line_of, stale
from embedrec.storage.switch import switch
from embedrec.storage.version_tags import Tagged, read_tags
from embedrec.storage.workspace import Workspace
from embedrec.workflows.artifact import Removed, remove_artifacts, rename_artifacts, tag_artifacts
from embedrec.workflows.gc import collect_garbage
from embedrec.workflows.lineage import indexed_model, model_of, provenance, training_sessions
from embedrec.workflows.rollback import roll_back
from embedrec.workflows.versions import list_versions
from tests.storage.versioned import current, killed_at, put, stage, texts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace of sessions s, a model m of them, and an index i of this."""
    sessions = put(tmp_path, "sessions", "s", "1")
    model = put(tmp_path, "model", "m", "1", trained_on=provenance(sessions))
    put(tmp_path, "index", "i", "1", indexed=provenance(model))
    return tmp_path


def get(root: Path, kind: str, name: str) -> Artifact:
    return Workspace(root).find(kind, name)


def refresh(root: Path, text: str, *names: str) -> None:
    switch(Workspace(root), stage(root, text, *names), command="refresh")
    shutil.rmtree(root / ".staging")


def test_what_another_artifact_needs_is_not_removed(root: Path) -> None:
    workspace = Workspace(root)
    with pytest.raises(SettingsError, match="model m needs sessions s; remove that first, or both at once, or this"):
        remove_artifacts(workspace, ["s"])
    with pytest.raises(SettingsError, match="index i needs model m"):
        remove_artifacts(workspace, ["m", "s"])
    size = sum(file.stat().st_size for file in (root / "indexes" / "i").iterdir())
    assert remove_artifacts(workspace, ["i"]) == [Removed("index", "i", None, size)]
    assert [(one.kind, one.name) for one in remove_artifacts(workspace, ["m", "s"])] == [
        ("model", "m"),
        ("sessions", "s"),
    ]
    with pytest.raises(ArtifactError, match="no artifact 'm' in"):
        remove_artifacts(workspace, ["m"])


def test_force_removes_it(root: Path) -> None:
    assert [one.kind for one in remove_artifacts(Workspace(root), ["s"], force=True)] == ["sessions"]
    assert stale(Workspace(root), get(root, "index", "i")) is None


def test_what_is_kept_elsewhere_may_be_removed(root: Path) -> None:
    shutil.copytree(root / "sessions" / "s", root / "sessions" / "copy")
    remove_artifacts(Workspace(root), ["s"])
    assert training_sessions(Workspace(root), get(root, "model", "m")).name == "copy"


def test_versions_go_with_their_artifact(root: Path) -> None:
    workspace = Workspace(root)
    for kind in FOLDERS:
        put(root, kind, "x", "1")
    refresh(root, "2")
    tag_artifacts(workspace, "x@1", "good", "model")
    with pytest.raises(SettingsError, match="version 1 of model x has the tag 'good'; remove it with --force"):
        remove_artifacts(workspace, ["x"])
    assert [(one.kind, one.version) for one in remove_artifacts(workspace, ["x@1"], "index")] == [("index", 1)]
    assert [(one.kind, one.version) for one in remove_artifacts(workspace, ["x"], "sessions")] == [
        ("sessions", None), ("sessions", 2), ("sessions", 1)
    ]  # fmt: skip
    assert texts(root) == [None, "2", "2"]
    assert [r.kind for r in roll_back(workspace, to="good")] == ["model"]
    remove_artifacts(workspace, ["x"], force=True)
    assert read_tags(root) == {} and not [*(root / "versions").glob("[0-9]*")]
    with pytest.raises(SettingsError, match="nothing to roll back: what the last switch replaced was removed"):
        roll_back(workspace)


def test_a_damaged_artifact_is_removed(root: Path) -> None:
    (root / "models" / "m" / artifacts.MANIFEST).write_text("{")
    assert [one.name for one in remove_artifacts(Workspace(root), ["m"])] == ["m"]
    assert not (root / "models" / "m").exists()


def test_the_target_of_a_link_is_removed(root: Path) -> None:
    (root / "indexes" / "i").rename(root / "disk")
    (root / "indexes" / "i").symlink_to(root / "disk")
    remove_artifacts(Workspace(root), ["i"])
    assert not (root / "disk").exists() and [*(root / "indexes").iterdir()] == []


def test_sources_are_found_under_their_new_names(root: Path) -> None:
    workspace = Workspace(root)
    lines = [line_of(workspace, get(root, *key)) for key in (("sessions", "s"), ("model", "m"), ("index", "i"))]
    assert set(lines) == {("sessions", "s")}
    assert [one.folder for one in rename_artifacts(workspace, "s", "t")] == [root / "sessions" / "t"]
    rename_artifacts(workspace, "m", "n")
    model, index = get(root, "model", "n"), get(root, "index", "i")
    assert training_sessions(workspace, model).name == "t"
    assert indexed_model(workspace, index).name == model_of(workspace, index).name == "n"
    assert stale(workspace, index) is None
    lines = [line_of(workspace, artifact) for artifact in (get(root, "sessions", "t"), model, index)]
    assert set(lines) == {("sessions", "t")}
    put(root, "model", "m", "another")  # takes the old name
    assert model_of(workspace, index).name == "n"


def test_versions_and_tags_follow_a_new_name(root: Path) -> None:
    workspace = Workspace(root)
    for kind in FOLDERS:
        put(root, kind, "x", "1")
    refresh(root, "2")
    tag_artifacts(workspace, "x@1", "good")
    rename_artifacts(workspace, "x", "y", "model")
    assert read_tags(root)["good"] == [Tagged("sessions", "x", 1), Tagged("model", "y", 1), Tagged("index", "x", 1)]
    assert get(root, "model", "y@good").path("a").read_text() == "1"
    assert sorted({v.name for v in list_versions(workspace) if v.kind == "model"}) == ["y"]
    roll_back(workspace)
    assert texts(root) == ["1", None, "1"] and texts(root, "y") == [None, "1", None]
    with pytest.raises(SettingsError, match="there is a sessions x already; remove it first, or choose another name"):
        rename_artifacts(workspace, "s", "x")
    with pytest.raises(SettingsError, match="x@1 is a version; rename x, and its versions follow"):
        rename_artifacts(workspace, "x@1", "z")
    with pytest.raises(ArtifactError, match="cannot name an artifact"):
        rename_artifacts(workspace, "x", "../z")


def test_a_killed_renaming_is_completed_by_the_same_command(root: Path) -> None:
    workspace, step = Workspace(root), 0
    put(root, "model", "x", "1")
    refresh(root, "2", "m")
    while killed_at(step := step + 1, lambda: rename_artifacts(workspace, "m", "n")):
        if current(root, "model", "m") is None and current(root, "index", "m") is None:
            break
    for kind in FOLDERS:
        if current(root, kind, "m") is not None:
            rename_artifacts(workspace, "m", "n", kind)
    assert texts(root, "n") == ["2"] * 3
    assert {v.name for v in list_versions(workspace)} == {"n"}
    roll_back(workspace)
    assert texts(root, "n") == [None, "1", None]


def test_a_tag_keeps_what_is_overwritten(root: Path) -> None:
    workspace = Workspace(root)
    assert tag_artifacts(workspace, "m", "friday") == [Tagged("model", "m", 1)]
    assert tag_artifacts(workspace, "i", "friday") == [Tagged("index", "i", 2)]
    put(root, "model", "m", "worse")
    collect_garbage(workspace, 0)
    assert get(root, "model", "m@friday").path("a").read_text() == "1"
    assert stale(workspace, get(root, "index", "i")) is not None
    assert stale(workspace, get(root, "index", "i@friday")) is None  # an earlier version is what it is
    assert [(r.kind, r.version) for r in roll_back(workspace, to="friday")] == [("model", 1)]
    assert texts(root, "m") == [None, "1", None]
    put(root, "model", "m", "better")
    assert tag_artifacts(workspace, "m", "friday") == [Tagged("model", "m", 4)]
    assert read_tags(root) == {"friday": [Tagged("index", "i", 2), Tagged("model", "m", 4)]}
    assert tag_artifacts(workspace, "m", "friday", delete=True) == [Tagged("model", "m", 4)]
    with pytest.raises(SettingsError, match="m has no tag 'friday'; `embedrec info --versions` lists tags"):
        tag_artifacts(workspace, "m", "friday", delete=True)
    for tag in ("3", "../x"):
        with pytest.raises(SettingsError, match="cannot be a tag"):
            tag_artifacts(workspace, "m", tag)


def test_a_part_that_was_refreshed_is_kept_for_its_composite(root: Path) -> None:
    part: dict[str, Any] = {"name": "m", "fingerprint": get(root, "model", "m").fingerprint}
    put(root, "model", "fusion", "all", parts={"0": part})
    refresh(root, "2", "m")
    with pytest.raises(SettingsError, match="model fusion needs model m"):
        remove_artifacts(Workspace(root), ["m"], "model")
    remove_artifacts(Workspace(root), ["fusion", "m"], "model", force=True)
