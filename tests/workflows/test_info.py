"""Descriptions of artifacts."""

from __future__ import annotations

import pytest

from embedrec.errors import ArtifactError
from embedrec.storage.workspace import Workspace
from embedrec.workflows.info import artifacts_named, describe_artifact, describe_sessions, list_artifacts


def test_artifacts_are_listed_by_kind_and_name(plays: Workspace) -> None:
    summaries, messages = list_artifacts(plays)
    assert [(s.kind, s.name) for s in summaries] == [
        ("sessions", "plays"), ("model", "cooccurrence"), ("model", "sknn"), ("model", "vectors"), ("index", "flat")
    ]  # fmt: skip
    assert messages == [] and all(len(s.created) == 19 for s in summaries)
    assert summaries[-1].content.startswith("Flat, 4 items, cosine, recall@")


def test_an_unreadable_artifact_is_last(plays: Workspace) -> None:
    (plays.root / "models" / "sknn" / "manifest.json").write_text("{")
    summaries, (message,) = list_artifacts(plays)
    assert (summaries[-1].name, summaries[-1].content) == ("sknn", "unreadable")
    assert message.startswith("cannot read models/sknn: ")
    with pytest.raises(ArtifactError):
        artifacts_named(plays, "sknn")


def test_an_artifact_is_described(plays: Workspace) -> None:
    (index,) = artifacts_named(plays, "flat")
    about = describe_artifact(plays, index)
    assert (about["kind"], about["name"], about["spec"]) == ("index", "flat", "Flat")
    assert "stale" not in about and about["indexed"]["name"] == "vectors"
    with pytest.raises(ArtifactError) as error:
        artifacts_named(plays, "nothing")
    assert str(error.value) == f"no artifact 'nothing' in {plays.root}; `embedrec info` lists them"


def test_sessions_are_described(plays: Workspace) -> None:
    about = describe_sessions(plays.find("sessions"))
    assert (about["sessions"], about["items"], about["events"], about["held_out"]) == (6, 5, 15, None)
