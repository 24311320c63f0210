"""Rollback: what one switch replaced comes back together, and a second rollback undoes the first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from embedrec.errors import ArtifactError, SettingsError
from embedrec.storage import artifacts
from embedrec.storage.artifacts import FOLDERS
from embedrec.storage.switch import Staged, keep_version, switch
from embedrec.storage.version_records import read_records
from embedrec.storage.version_tags import Tagged, write_tags
from embedrec.storage.workspace import Workspace
from embedrec.workflows.rollback import RolledBack, roll_back
from tests.storage.versioned import current, killed_at, put, stage, texts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace whose artifacts x were "1", then "2", and are "3" now."""
    for kind in FOLDERS:
        put(tmp_path, kind, "x", "1")
    for text in "23":
        refresh(tmp_path, text)
    return tmp_path


def refresh(root: Path, text: str, *names: str) -> None:
    switch(Workspace(root), stage(root, text, *names), command="refresh")
    shutil.rmtree(root / ".staging")


def test_a_second_rollback_undoes_the_first(root: Path) -> None:
    workspace = Workspace(root)
    for version, before, text in ((2, 3, "2"), (3, 2, "3"), (2, 3, "2")):
        assert roll_back(workspace) == [RolledBack(kind, "x", version, before) for kind in FOLDERS]
        assert texts(root) == [text] * 3
    assert [record.command for record in read_records(root)] == ["refresh"] * 2 + ["rollback"] * 3
    refresh(root, "4")
    assert [version for version, *_ in [(r.version, r.before) for r in roll_back(workspace)]] == [2] * 3
    assert texts(root) == ["2"] * 3


def test_rollback_to_a_version_goes_back_several_switches(root: Path) -> None:
    workspace = Workspace(root)
    assert {r.version for r in roll_back(workspace, to="1")} == {1}
    assert texts(root) == ["1"] * 3
    assert {r.version for r in roll_back(workspace, to="3")} == {3}
    assert texts(root) == ["3"] * 3
    with pytest.raises(SettingsError, match="the artifacts are as 3 has them already"):
        roll_back(workspace, to="3")
    for label in ("4", "friday", "0"):
        with pytest.raises(SettingsError, match=rf"no version or tag '{label}' to roll back to; kept are 1, 2, 3$"):
            roll_back(workspace, to=label)


def test_what_did_not_exist_is_removed_again(root: Path) -> None:
    workspace = Workspace(root)
    new = put(root / ".staging", "model", "y", "1")
    switch(workspace, [Staged(new, None)], command="refresh")
    assert roll_back(workspace) == [RolledBack("model", "y", None, 4)]
    assert texts(root, "y") == [None] * 3 and texts(root) == ["3"] * 3
    assert roll_back(workspace) == [RolledBack("model", "y", 4, None)]
    assert texts(root, "y") == [None, "1", None]


def test_what_was_written_since_is_kept_as_a_version(root: Path) -> None:
    put(root, "model", "x", "trained again")
    assert [(r.kind, r.version, r.before) for r in roll_back(Workspace(root))] == [
        ("sessions", 2, 3), ("model", 2, 4), ("index", 2, 3)
    ]  # fmt: skip
    roll_back(Workspace(root))
    assert texts(root) == ["3", "trained again", "3"]


def test_names_of_other_data_stay(root: Path) -> None:
    """The newest switch of a name, together with all that it changed; not those of other artifacts."""
    for kind in FOLDERS:
        put(root, kind, "other", "1")
    refresh(root, "2", "other")
    roll_back(Workspace(root), "x")
    assert texts(root) == ["2"] * 3 and texts(root, "other") == ["2"] * 3
    refresh(root, "5", "x", "other")
    refresh(root, "6", "other")
    with pytest.raises(SettingsError, match=r"sessions other, which was replaced together with x, was replaced again"):
        roll_back(Workspace(root), "x")
    with pytest.raises(SettingsError, match=r"nothing of z to roll back: no switch is recorded in"):
        roll_back(Workspace(root), "z")


def test_a_kept_version_comes_back_after_it_was_overwritten(root: Path) -> None:
    """A version that is kept before `train` writes over it is what a rollback brings back."""
    workspace = Workspace(root)
    model = put(root, "model", "m", "good")
    keep_version(workspace, model, command="artifact tag")
    assert roll_back(workspace)[0].name == "x"  # the model is current still
    put(root, "model", "m", "bad")
    assert roll_back(workspace, "m") == [RolledBack("model", "m", 4, 5)]
    assert texts(root, "m") == [None, "good", None]
    roll_back(workspace, "m")
    assert texts(root, "m") == [None, "bad", None]


def test_rollback_to_a_tag(root: Path) -> None:
    write_tags(root, {"friday": [Tagged("model", "x", 1), Tagged("index", "x", 2)]})
    assert roll_back(Workspace(root), to="friday") == [RolledBack("model", "x", 1, 3), RolledBack("index", "x", 2, 3)]
    assert texts(root) == ["3", "1", "2"]
    with pytest.raises(SettingsError, match="there is no version or tag 'friday' of z to roll back to; none is kept"):
        roll_back(Workspace(root), "z", "friday")


def test_a_version_that_is_gone(root: Path) -> None:
    shutil.rmtree(root / "versions" / "2" / "models")
    with pytest.raises(ArtifactError, match="version 2 of model x is no longer kept in"):
        roll_back(Workspace(root))
    assert texts(root) == ["3"] * 3


def test_an_empty_workspace_has_nothing_to_roll_back(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nothing to roll back: no switch is recorded"):
        roll_back(Workspace(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", [1, 5, 9, 13])
def test_a_killed_rollback_is_all_or_nothing(root: Path, step: int) -> None:
    assert killed_at(step, lambda: roll_back(Workspace(root)))
    assert texts(root) in (["2"] * 3, ["3"] * 3)
    for kind in FOLDERS:
        artifact = current(root, kind)
        assert artifact is not None
        artifacts.read(artifact.folder).check()
