"""Options of several parts, and names of artifacts."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import ArtifactError, SettingsError
from embedrec.pipeline.context import PipelineContext, split_options
from embedrec.pipeline.steps import PreparedSessions
from embedrec.storage.workspace import Workspace


def test_options_go_to_their_part() -> None:
    parts = {"a": ["x", "y"], "b": ["y", "z"]}
    assert split_options({"x": 1, "y": 2, "z": 3}, parts, "it") == {"a": {"x": 1, "y": 2}, "b": {"z": 3}}
    with pytest.raises(SettingsError, match="it has no argument 'w'; valid are x, y, z"):
        split_options({"w": 1}, parts, "it")


def test_a_workspace_keeps_the_names_of_the_command_line(tmp_path: Path) -> None:
    context = PipelineContext.of(tmp_path)
    (tmp_path / "models" / "svd").mkdir(parents=True)
    (tmp_path / "models" / "svd" / "manifest.json").write_text("{}")
    assert context.folder("model", None, "svd") == tmp_path / "models" / "svd"
    assert PipelineContext.of(Workspace(tmp_path)).workspace.root == tmp_path
    temporary = PipelineContext.of(None)
    for name in ("svd", "svd-2", "svd-3"):
        folder = temporary.folder("model", None, "svd")
        assert folder.name == name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    assert temporary.folder("model", "svd", "als").name == "svd"


def test_an_empty_workspace_has_nothing_to_open(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no sessions artifact in"):
        PreparedSessions.open(tmp_path)
