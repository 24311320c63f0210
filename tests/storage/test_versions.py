"""Versions of artifacts are found by number, by fingerprint, and by both names of one that was renamed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from embedrec.errors import ArtifactError
from embedrec.storage import artifacts, versions
from embedrec.storage.artifacts import FOLDERS
from embedrec.storage.workspace import Workspace
from tests.storage.versioned import put, switched


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace whose artifacts x were "1", then "2" and now are "3"."""
    return switched(tmp_path, "123", command="test")


def test_versions_are_found_by_their_fingerprint(root: Path) -> None:
    workspace = Workspace(root)
    for kind in FOLDERS:
        kept = dict(versions.kept_versions(root, kind, "x"))
        assert [(number, a.path("a").read_text()) for number, a in kept.items()] == [(3, "3"), (2, "2"), (1, "1")]
        for number, artifact in kept.items():
            found = workspace.version(kind, "x", artifact.fingerprint)
            assert found is not None and found.digest == artifact.digest
            assert versions.version_of(root, artifact) == number
        current = workspace.find(kind)
        again = workspace.version(kind, "x", current.fingerprint)
        assert again is not None and again.folder == root / FOLDERS[kind] / "x"
        assert workspace.version(kind, "x", "0" * 64) is None


def test_renamed_artifacts_are_found_by_their_fingerprint(root: Path) -> None:
    model = Workspace(root).find("model", "x")
    shutil.rmtree(root / "versions")
    (root / "models" / "x").rename(root / "models" / "y")
    found = Workspace(root).version("model", "x", model.fingerprint)
    assert found is not None and found.name == "y"
    put(root, "model", "x", "another")
    found = Workspace(root).version("model", "x", model.fingerprint)
    assert found is not None and found.name == "y"


def test_a_damaged_version_is_passed_over(root: Path) -> None:
    kept = dict(versions.kept_versions(root, "model", "x"))
    (kept[1].folder / artifacts.MANIFEST).unlink()
    assert [number for number, _ in versions.kept_versions(root, "model", "x")] == [3, 2]
    assert Workspace(root).version("model", "x", kept[1].fingerprint) is None


@pytest.mark.parametrize("name", ["../x", "/x", "..", "", "a/x", "parts/../x", "parts/", ".x", "@1"])
def test_names_never_leave_the_workspace(root: Path, name: str) -> None:
    model = Workspace(root).find("model", "x")
    assert Workspace(root).version("model", name, model.fingerprint) is None
    with pytest.raises(ArtifactError, match="cannot name an artifact"):
        versions.version_folder(root, 1, "model", name)


def test_other_folders_are_no_versions(root: Path) -> None:
    for name in ("01", "0", "-1", "x", "9999999999", "٣", ".4"):
        (root / "versions" / name).mkdir()
    assert versions.numbers(root) == [3, 2, 1]
    assert versions.numbers(root / "absent") == []


def test_the_workspace_of_a_version(root: Path) -> None:
    workspace = Workspace(root)
    current = workspace.find("model", "x")
    old = dict(versions.kept_versions(root, "model", "x"))[1]
    assert Workspace.of(current).root == Workspace.of(old).root == root.absolute()


def test_a_link_to_an_artifact_is_checked(root: Path) -> None:
    model = Workspace(root).find("model", "x")
    copy = versions.link_artifact(model, root / "models" / "copy")
    assert (copy.digest, copy.name) == (model.digest, "copy")
    assert not (root / "models" / "copy" / ".checked").exists()
    (model.folder / "a").unlink()
    with pytest.raises(ArtifactError, match=r"x/a is missing; write the artifact again"):
        versions.link_artifact(model, root / "models" / "copy")
    (model.folder / "a").symlink_to(root / "models" / "copy" / "a")
    with pytest.raises(ArtifactError, match=r"x/a is not a plain file; write the artifact again"):
        versions.link_artifact(model, root / "models" / "copy")
    put(root, "model", "x", "another")
    with pytest.raises(ArtifactError, match="another process changed"):
        versions.link_artifact(model, root / "models" / "copy")
    assert (root / "models" / "copy" / "a").read_text() == "3"


def test_what_was_computed_from_an_artifact_is_taken_over(root: Path) -> None:
    """Unless it is damaged."""
    model = Workspace(root).find("model", "x")
    for name in ("whole", "torn"):
        with artifacts.writing(model.folder / artifacts.DERIVED / name, "model", {}) as draft:
            draft.path("b").write_text(name)
    (model.folder / artifacts.DERIVED / "torn" / "b").unlink()
    (model.folder / artifacts.DERIVED / "file").touch()
    versions.link_artifact(model, root / "models" / "copy").check()
    derived = root / "models" / "copy" / artifacts.DERIVED
    assert [folder.name for folder in derived.iterdir()] == ["whole"]
    assert (derived / "whole" / "b").samefile(model.folder / artifacts.DERIVED / "whole" / "b")
    assert artifacts.read(derived / "whole").path("b").read_text() == "whole"
