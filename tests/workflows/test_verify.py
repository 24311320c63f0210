"""Verification of artifacts."""

from __future__ import annotations

from pathlib import Path

from embedrec.errors import ArtifactError, EmbedrecError
from embedrec.storage import artifacts
from embedrec.workflows.verify import verify_artifact
from tests.conftest import tiny_sessions


def test_unknown_kinds_and_other_folders_are_reported(tmp_path: Path) -> None:
    tiny_sessions().save(tmp_path / "s", {})
    assert verify_artifact(tmp_path / "s") is None
    with artifacts.writing(tmp_path / "x", "poem", {}):
        pass
    assert verify_artifact(tmp_path / "x") == f"{tmp_path / 'x'} has the unknown kind 'poem'; write the artifact again"
    assert "is not an artifact" in (verify_artifact(tmp_path) or "")
    assert "is not an artifact" in (verify_artifact(tmp_path / "nowhere") or "")
    assert issubclass(ArtifactError, EmbedrecError)
