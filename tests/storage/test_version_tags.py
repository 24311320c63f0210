"""Tags name versions, and NAME@LABEL finds one by tag or number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedrec.errors import ArtifactError, SettingsError
from embedrec.storage.artifacts import FOLDERS, json_digest
from embedrec.storage.switch import switch
from embedrec.storage.version_tags import Tagged, check_tag, find_version, read_tags, write_tags
from embedrec.storage.workspace import Workspace
from tests.storage.versioned import put, stage


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace whose artifacts x were "1" and are "2" now; the old model has the tag friday."""
    for kind in FOLDERS:
        put(tmp_path, kind, "x", "1")
    switch(Workspace(tmp_path), stage(tmp_path, "2"), command="refresh")
    write_tags(tmp_path, {"friday": [Tagged("model", "x", 1)], "none": []})
    return tmp_path


def test_tags_are_read_back(root: Path, tmp_path: Path) -> None:
    assert read_tags(root) == {"friday": [Tagged("model", "x", 1)]}
    assert read_tags(tmp_path / "absent") == {}


def test_a_version_is_found_by_number_and_tag_wherever_a_name_is_taken(root: Path) -> None:
    workspace = Workspace(root)
    for name in ("x@1", "x@friday"):
        old = workspace.find("model", name)
        assert (old.name, old.folder) == ("x", root / "versions" / "1" / "models" / "x")
        assert old.path("a").read_text() == "1"
    assert workspace.find("index", "x@2").path("a").read_text() == "2"
    assert workspace.find("model", "x").folder == root / "models" / "x"
    for kind, name, hint in (
        ("index", "x@friday", "no version 'friday' of index x is kept in .*; kept are 2, 1$"),
        ("model", "x@fridya", "did you mean 'friday'"),
        ("model", "y@1", "no version '1' of model y is kept in .*; none is kept$"),
        ("model", "x@", "no version '' of model x is kept in"),
        ("model", "x@../1", "no version '../1' of model x is kept in"),
        ("model", "../x@1", "no model artifact is called '../x@1'"),
    ):
        with pytest.raises(ArtifactError, match=hint):
            workspace.find(kind, name)
    with pytest.raises(ArtifactError, match="cannot name an artifact"):
        find_version(root, "model", "..", "1")


def test_numbers_and_paths_are_no_tags() -> None:
    for tag in ("friday", "v1", "2026-11-29"):
        check_tag(tag)
    for tag in ("1", "12", "", "../x", "a b", ".a", "a/b", "a@b"):
        with pytest.raises(SettingsError, match="cannot be a tag; use letters"):
            check_tag(tag)


@pytest.mark.parametrize(
    "tags",
    [
        {"../x": []},
        {"3": []},
        {"t": [{"kind": "model", "name": "../x", "version": 1}]},
        {"t": [{"kind": "checkpoint", "name": "x", "version": 1}]},
        {"t": [{"kind": "model", "name": "x", "version": 0}]},
        [],
    ],
)
def test_forged_tags_are_refused(root: Path, tags: object) -> None:
    content = {"format": 1, "tags": tags}
    (root / "versions" / "tags.json").write_text(json.dumps({**content, "digest": json_digest(content)}))
    with pytest.raises(ArtifactError, match=r"tags.json is damaged \(.*\); remove it and tag the versions again"):
        read_tags(root)
