"""What artifacts are made of, and where their sources are found after these were replaced or renamed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.errors import SettingsError
from embedrec.models.baselines.popular import Popular
from embedrec.models.serialization import save_model
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.switch import Staged, switch
from embedrec.storage.workspace import Workspace
from embedrec.workflows.lineage import counts, indexed_model, provenance, training_sessions
from tests.conftest import of_lists
from tests.storage.versioned import put


def test_counts_of_sessions_equal_those_of_the_manifest(prepared: Artifact) -> None:
    assert counts(Sessions.load(prepared)) == {k: prepared.about[k] for k in ("sessions", "items", "events")}
    assert np.isfinite(prepared.about["seconds"])


def test_sources_that_were_replaced_are_found_among_the_versions(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    old_sessions = save(tmp_path / "sessions" / "s", ["ab", "abc"])
    old_model = train(tmp_path / "models" / "m", old_sessions)
    index = put(tmp_path, "index", "i", "vectors", indexed=provenance(old_model))
    new_sessions = save(tmp_path / ".staging" / "sessions" / "s", ["ab", "abcd"])
    new_model = train(tmp_path / ".staging" / "models" / "m", new_sessions)
    assert training_sessions(workspace, old_model).folder == tmp_path / "sessions" / "s"
    switch(workspace, [Staged(new_sessions, old_sessions), Staged(new_model, old_model)], command="refresh")
    assert training_sessions(workspace, workspace.find("model", "m")).folder == tmp_path / "sessions" / "s"
    kept = training_sessions(workspace, old_model)
    assert kept.folder == tmp_path / "versions" / "1" / "sessions" / "s"
    assert len(Sessions.load(kept).vocab) == 3
    assert indexed_model(workspace, index).folder == tmp_path / "versions" / "1" / "models" / "m"
    (tmp_path / "versions").rename(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="sessions s have changed since model m was trained on them; train it"):
        training_sessions(workspace, old_model)
    with pytest.raises(SettingsError, match="model m was trained again after index i was built; build the index"):
        indexed_model(workspace, index)


def test_sources_that_were_renamed_are_found(tmp_path: Path) -> None:
    sessions = save(tmp_path / "sessions" / "s", ["ab", "abc"])
    model = train(tmp_path / "models" / "m", sessions)
    (tmp_path / "sessions" / "s").rename(tmp_path / "sessions" / "t")
    assert training_sessions(Workspace(tmp_path), model).name == "t"


def save(folder: Path, lists: list[str]) -> Artifact:
    of_lists(lists).drop_unused_items().save(folder, {})
    return artifacts.read(folder)


def train(folder: Path, sessions: Artifact) -> Artifact:
    save_model(Popular().fit(Sessions.load(sessions)), folder, {"trained_on": provenance(sessions)})
    return artifacts.read(folder)
