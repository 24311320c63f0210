"""The staging workspace: resumed with the same key, emptied with another; damage is no obstacle."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import ArtifactError
from embedrec.storage.workspace import Workspace
from embedrec.workflows.refresh.staging import FOLDER, Staging, refreshing
from tests.conftest import tiny_sessions


def test_the_same_inputs_find_what_was_finished(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "s", {"files": {"a": "1"}})
    assert not staging.open()
    tiny_sessions().save(staging.workspace.folder("sessions", "clicks"), {})
    assert staging.open() and staging.finished("sessions", "clicks") is not None
    assert staging.finished("model", "clicks") is None
    other = Staging(tmp_path / "s", {"files": {"a": "2"}})
    assert not other.open() and other.finished("sessions", "clicks") is None


def test_a_damaged_artifact_or_state_is_made_again(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "s", {"files": {}})
    staging.open()
    tiny_sessions().save(staging.workspace.folder("sessions", "clicks"), {})
    (staging.workspace.folder("sessions", "clicks") / "manifest.json").write_text("{")
    assert staging.finished("sessions", "clicks") is None
    (tmp_path / "s" / "state.json").write_bytes(b"\x00")
    assert not staging.open() and list((tmp_path / "s").iterdir()) == [tmp_path / "s" / "state.json"]


def test_a_refused_candidate_stays_until_other_files_come(tmp_path: Path) -> None:
    staging, messages = Staging(tmp_path / "s", {"files": {"a.csv": "1"}}), list[str]()
    staging.open()
    staging.refuse(["too far"])
    assert staging.open()
    Staging(tmp_path / "s", {"files": {}}).open(lambda event, message: messages.append(message))
    assert messages == ["the refused candidate of a.csv is discarded; name its files again to include them"]


def test_values_are_saved(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "s", {})
    staging.open()
    assert staging.load("record") is None
    staging.save("record", {"a": [1]})
    assert staging.load("record") == {"a": [1]}
    staging.remove()
    staging.remove()
    assert not (tmp_path / "s").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("")
    with pytest.raises(ArtifactError, match="is not writable"), refreshing(Workspace(tmp_path)):
        pass
