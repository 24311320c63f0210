from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import ArtifactError
from embedrec.storage import artifacts
from embedrec.storage.artifacts import FOLDERS
from embedrec.storage.workspace import Workspace
from embedrec.workflows.verify import verify_artifact


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def put(workspace: Workspace, kind: str, *names: str) -> None:
    """Artifacts of a kind, the last the latest."""
    for name in names:
        with artifacts.writing(workspace.folder(kind, name), kind, {}) as draft:
            draft.path("a").write_text(name)


@pytest.mark.parametrize("kind", list(FOLDERS))
def test_the_latest_artifact_is_the_default(kind: str, workspace: Workspace) -> None:
    put(workspace, kind, "b", "c", "a")
    assert workspace.find(kind).name == "a"
    assert [a.name for a in workspace.artifacts(kind)] == ["b", "c", "a"]
    put(workspace, kind, "b")
    assert workspace.find(kind).name == "b"
    assert workspace.find(kind, "c").name == "c"
    assert workspace.find(kind, "c").folder == workspace.root / FOLDERS[kind] / "c"


@pytest.mark.parametrize("kind", list(FOLDERS))
def test_an_empty_workspace_names_the_command_to_run(kind: str, workspace: Workspace) -> None:
    message = {"sessions": "prepare SOURCE PATH", "model": "train word2vec", "index": "build-index"}[kind]
    for name in (None, "a"):
        with pytest.raises(ArtifactError, match=rf"no {kind} artifact.* in .*; make one with `embedrec {message}`"):
            workspace.find(kind, name)
    assert workspace.artifacts(kind) == []
    assert list(workspace.root.iterdir()) == []


def test_near_misses_of_names_are_suggested(workspace: Workspace) -> None:
    put(workspace, "model", "word2vec", "popular")
    with pytest.raises(ArtifactError, match=r"no model artifact is called 'wordvec' in .*; did you mean 'word2vec'"):
        workspace.find("model", "wordvec")
    with pytest.raises(ArtifactError, match=r"; available are word2vec, popular$"):
        workspace.find("model", "xyz")


@pytest.mark.parametrize("name", ["../sessions/s", "/etc", "", ".", "..", "m/", "./m", "a b", ".m"])
def test_names_outside_the_workspace_are_refused(name: str, workspace: Workspace) -> None:
    put(workspace, "model", "m")
    put(workspace, "sessions", "s")
    with pytest.raises(ArtifactError, match=r"is called|available are m"):
        workspace.find("model", name)
    with pytest.raises(ArtifactError, match="cannot name an artifact"):
        workspace.folder("model", name)


def test_other_files_and_folders_are_ignored(workspace: Workspace) -> None:
    """Files, hidden folders and what killed writers left are passed over, and so are folders of others."""
    put(workspace, "index", "a")
    parent = workspace.root / "indexes"
    (parent / "README.md").write_text("")
    (parent / ".cache").mkdir()
    (parent / ".b.999999999-00000000.tmp").mkdir()
    assert [f.name for f in workspace.folders("index")] == ["a"]
    assert sorted(f.name for f in parent.iterdir()) == [".cache", "README.md", "a"]
    (parent / "empty").mkdir()
    (parent / "bert").mkdir()
    (parent / "bert" / "weights.h5").touch()
    (parent / "torn").mkdir()
    (parent / "torn" / "vocab.parquet").touch()
    assert [f.name for f in workspace.folders("index")] == ["a", "torn"]
    assert workspace.find("index").name == workspace.find("index", "a").name == "a"
    assert [f.name for f in workspace.unreadable("index")] == ["torn"]
    shutil.rmtree(parent / "a")
    for name in (None, "torn"):
        with pytest.raises(ArtifactError, match="torn is not an artifact of embedrec"):
            workspace.find("index", name)


def test_an_old_artifact_that_a_kill_moved_is_restored(workspace: Workspace) -> None:
    put(workspace, "model", "m")
    folder = workspace.folder("model", "m")
    folder.rename(folder.with_name(".m.999999999-00000000.old"))
    assert workspace.find("model").name == workspace.find("model", "m").name == "m"


def test_folders_without_permission_are_an_error(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    put(workspace, "model", "a", "b")
    exists, lstat = Path.exists, Path.lstat

    def refuse(do: Any) -> Any:
        def refused(self: Path) -> Any:
            if self.parent.name == "b":
                raise PermissionError(errno.EACCES, "Permission denied", str(self))
            return do(self)

        return refused

    monkeypatch.setattr(Path, "exists", refuse(exists))
    monkeypatch.setattr(Path, "lstat", refuse(lstat))
    assert workspace.find("model").name == "a"
    assert [str(e).endswith("cannot be read (Permission denied)") for e in workspace.unreadable("model").values()] == [
        True
    ]
    assert str(verify_artifact(workspace.folder("model", "b"))).endswith("cannot be read (Permission denied)")


def test_an_artifact_in_the_folder_of_another_kind_is_refused(workspace: Workspace) -> None:
    put(workspace, "model", "m")
    shutil.copytree(workspace.folder("model", "m"), workspace.folder("index", "m"))
    for name in (None, "m"):
        with pytest.raises(ArtifactError, match="is of kind model, but an artifact of kind index is needed"):
            workspace.find("index", name)


def test_a_file_instead_of_a_folder_has_no_artifacts(workspace: Workspace) -> None:
    (workspace.root / "models").write_text("")
    assert workspace.folders("model") == []
    with pytest.raises(ArtifactError, match="make one with"):
        workspace.find("model")
