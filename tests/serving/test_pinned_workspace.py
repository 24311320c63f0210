"""A workspace whose artifacts stay those that were found first."""

from __future__ import annotations

import pytest

from embedrec.data.sessions import Sessions
from embedrec.errors import ArtifactError
from embedrec.serving.pinned_workspace import PinnedWorkspace
from embedrec.storage.workspace import Workspace
from tests.conftest import of_lists


def test_the_sources_of_an_artifact_stay_those_found_first(plays: Workspace) -> None:
    pinned = PinnedWorkspace(plays.root)
    pinned.pin_sources(plays.find("model", "cooccurrence"))
    before = plays.find("sessions", "plays")
    of_lists(["ab", "bc"]).save(plays.folder("sessions", "plays"), {})
    assert plays.find("sessions", "plays").fingerprint != before.fingerprint
    assert pinned.find("sessions", "plays").fingerprint == before.fingerprint
    with pytest.raises(ArtifactError, match="was replaced while it was read"):
        Sessions.load(pinned.find("sessions", "plays"))


def test_other_artifacts_are_found_as_in_a_workspace(plays: Workspace) -> None:
    pinned = PinnedWorkspace(plays.root)
    assert pinned.find("index", of="items").name == "flat"
    with pytest.raises(ArtifactError, match="no model artifact is called 'sknm'"):
        pinned.find("model", "sknm")
