"""Parts that no model uses are listed and removed; models are never left without a part."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from embedrec import Fusion
from embedrec.errors import ArtifactError
from embedrec.models.serialization import load_model, part_artifacts, save_model
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace
from embedrec.training.context import TrainingContext
from embedrec.workflows.train import train_model
from embedrec.workflows.unused_parts import remove_unused_parts, unused_parts
from tests.conftest import of_lists
from tests.ranking.two_kinds import two_kinds

RECIPE = Fusion("sr=9,popular=5", window=0.3)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A fusion with the two parts that it uses, and two that were trained without the window."""
    two_kinds(200).save(tmp_path / "sessions" / "s", {})
    source = artifacts.read(tmp_path / "sessions" / "s", "sessions")
    train_model(RECIPE, source, tmp_path / "models" / "fused", context=TrainingContext(force=True))
    return Workspace(tmp_path)


def kept(workspace: Workspace) -> list[str]:
    return sorted(folder.name for folder in (workspace.root / "models" / "parts").iterdir())


def test_parts_without_a_model_are_removed(workspace: Workspace) -> None:
    fused, every = workspace.find("model", "fused"), kept(workspace)
    used = sorted(part.name for part in part_artifacts(fused).values())
    unused = unused_parts(workspace)
    assert len(used) == 2 and [part.name for part in unused] == sorted(set(every) - set(used))
    for part in unused:
        folder = workspace.root / "models" / "parts" / part.name
        assert part.bytes == sum(file.stat().st_size for file in folder.iterdir()) > 1000
    assert kept(workspace) == every
    assert remove_unused_parts(workspace) == unused
    assert kept(workspace) == used and unused_parts(workspace) == remove_unused_parts(workspace) == []
    assert load_model(fused).recommend(of_lists([["c3"]], load_model(fused).vocab), 3).rows.shape == (1, 3)
    shutil.rmtree(fused.folder)
    assert [part.name for part in remove_unused_parts(workspace)] == used


def test_a_workspace_without_parts(tmp_path: Path) -> None:
    assert unused_parts(Workspace(tmp_path)) == remove_unused_parts(Workspace(tmp_path)) == []


def test_nothing_is_removed_while_a_model_cannot_be_read(workspace: Workspace) -> None:
    (workspace.folder("model", "fused") / artifacts.MANIFEST).write_text("{")
    before = kept(workspace)
    for step in (unused_parts, remove_unused_parts):
        with pytest.raises(ArtifactError, match="which parts are used is unknown, as model fused cannot be read: "):
            step(workspace)
    assert kept(workspace) == before


def test_folders_with_other_files_stay(workspace: Workspace) -> None:
    name = unused_parts(workspace)[-1].name
    (workspace.root / "models" / "parts" / name / "notes.txt").write_text("mine")
    before = kept(workspace)
    with pytest.raises(ArtifactError, match=r"is not an artifact: it contains other files \(notes.txt\)"):
        remove_unused_parts(workspace)
    assert kept(workspace) == before


def test_a_model_holds_the_arrays_of_parts_that_were_removed_before_it_was_written(workspace: Workspace) -> None:
    fused = workspace.find("model", "fused")
    model, parts = load_model(fused), part_artifacts(fused)
    shutil.rmtree(parts["0"].folder)
    save_model(model, workspace.folder("model", "copy"), {}, parts=parts)
    copy = workspace.find("model", "copy")
    assert list(copy.about["parts"]) == ["1"] and any(name.startswith("0.") for name in copy.about["arrays"])
    queries = of_lists([["c3", "c4"]], model.vocab)
    assert load_model(copy).recommend(queries, 9).ids() == model.recommend(queries, 9).ids()


def test_a_part_that_is_removed_while_a_model_is_written_is_an_error(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused = workspace.find("model", "fused")
    model, parts = load_model(fused), part_artifacts(fused)
    save = "embedrec.models.serialization.save_vocab"

    def removing(vocab: Any, path: Path) -> None:
        shutil.rmtree(parts["1"].folder)

    monkeypatch.setattr(save, removing)
    with pytest.raises(ArtifactError, match=r"another process changed .*; try again"):
        save_model(model, workspace.folder("model", "copy"), {}, parts=parts)
    assert not workspace.folder("model", "copy").exists()
