"""Verification of artifacts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from embedrec import Fusion, SequentialRules
from embedrec.errors import ArtifactError, EmbedrecError
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace
from embedrec.training.context import TrainingContext
from embedrec.workflows.train import train_model
from embedrec.workflows.verify import verify_artifact, verify_workspace
from tests.conftest import tiny_sessions
from tests.ranking.two_kinds import two_kinds


def test_unknown_kinds_and_other_folders_are_reported(tmp_path: Path) -> None:
    tiny_sessions().save(tmp_path / "s", {})
    assert verify_artifact(tmp_path / "s") is None
    with artifacts.writing(tmp_path / "x", "poem", {}):
        pass
    assert verify_artifact(tmp_path / "x") == f"{tmp_path / 'x'} has the unknown kind 'poem'; write the artifact again"
    assert "is not an artifact" in (verify_artifact(tmp_path) or "")
    assert "is not an artifact" in (verify_artifact(tmp_path / "nowhere") or "")
    assert issubclass(ArtifactError, EmbedrecError)


@pytest.fixture
def composite(tmp_path: Path) -> Workspace:
    """A fusion of a model of the workspace and a kept part."""
    two_kinds(200).save(tmp_path / "sessions" / "s", {})
    source = artifacts.read(tmp_path / "sessions" / "s", "sessions")
    train_model(SequentialRules(), source, tmp_path / "models" / "mine")
    recipe = Fusion("mine=9,popular=5", window=0.3)
    train_model(recipe, source, tmp_path / "models" / "fused", context=TrainingContext(force=True))
    return Workspace(tmp_path)


def verdicts(workspace: Workspace) -> list[tuple[str, str, str]]:
    return [(v.kind, v.name, v.verdict) for v in verify_workspace(workspace, "fused").verdicts]


def test_the_parts_of_a_composite_are_listed(composite: Workspace) -> None:
    first, second = composite.find("model", "fused").about["parts"].values()
    assert verdicts(composite) == [
        ("models", "fused", "ok"),
        ("parts", "fused: mine", f"ok, fingerprint {first['fingerprint']}"),
        ("parts", f"fused: {second['name']}", f"ok, fingerprint {second['fingerprint']}"),
    ]
    whole = verify_workspace(composite)
    assert [v.name for v in whole.verdicts if v.kind != "parts"] == ["s", "fused", "mine"] and not whole.damaged


def test_missing_and_other_parts_are_named(composite: Workspace) -> None:
    first, second = composite.find("model", "fused").about["parts"].values()
    train_model(SequentialRules(steps=2), composite.find("sessions", "s"), composite.folder("model", "mine"))
    shutil.rmtree(composite.root / "models" / second["name"])
    other = composite.find("model", "mine").fingerprint
    (kind, name, why), *parts = verdicts(composite)
    assert (kind, name) == ("models", "fused")
    assert why.startswith("model fused was trained with another part mine than the one in ")
    assert parts == [
        ("parts", "fused: mine", f"another, fingerprint {other} in place of {first['fingerprint']}"),
        ("parts", f"fused: {second['name']}", f"missing, fingerprint {second['fingerprint']}"),
    ]
    with pytest.raises(ArtifactError, match=r"^1 of 3 artifacts are damaged; create them again$"):
        verify_workspace(composite).check()


def test_a_damaged_part_is_a_damaged_model(composite: Workspace) -> None:
    folder = composite.root / "models" / composite.find("model", "fused").about["parts"]["1"]["name"]
    file = folder / "counts.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    damaged = f"{file} is damaged (its checksum differs); write the artifact again"
    model, mine, popular = verdicts(composite)
    assert model == ("models", "fused", damaged)
    assert mine[2].startswith("ok, fingerprint ") and popular == ("parts", f"fused: parts/{folder.name}", damaged)


def test_a_part_outside_of_the_models(composite: Workspace) -> None:
    file = composite.folder("model", "fused") / artifacts.MANIFEST
    manifest = json.loads(file.read_text())
    manifest["about"]["parts"]["0"]["name"] = "../sessions/s"
    manifest.pop("digest")
    file.write_text(json.dumps({**manifest, "digest": artifacts.json_digest(manifest)}))
    assert verdicts(composite)[1][2].endswith("names the part '../sessions/s', which is no model beside it")
