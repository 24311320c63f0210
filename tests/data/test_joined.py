"""Joined sessions: kept inside the artifact, made again when needed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Events, Sessions
from embedrec.data.event_log import EventLog
from embedrec.data.filters import Filters
from embedrec.data.joined import joined, kept_join, segments
from embedrec.data.log_files import write_log
from embedrec.data.prepared import Rules
from embedrec.data.sessions import sessionize
from embedrec.errors import ArtifactError
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from tests.data.test_log_files import prepared

OLD = Events.of([1, 1, 2], ["a", "b", "a"], time=np.array([1, 2, 3]))
NEW = Events.of([2, 3, 3], ["b", "a", "c"], time=np.array([2, 5, 6]))


@pytest.fixture
def appended(tmp_path: Path) -> Artifact:
    """Sessions of at least two events, and a segment with which session 2 has as many."""
    base = prepared(EventLog(OLD), tmp_path / "base", Rules(Filters(min_length=2)))
    log = EventLog(NEW)
    segment = {"part": "log1_", "events": 3, "paths": ["new.csv"], "bad_rows": {"bad": 1}, "keep_days": None}
    segment["state"] = base.about["log"]["state"]
    about = {**base.about, "log": {**base.about["log"], "segments": [segment]}}
    with artifacts.writing(tmp_path / "appended", "sessions", about) as draft:
        for name in base.files:
            draft.link(base, name)
        write_log(draft, log, "log1_")
    return artifacts.read(tmp_path / "appended")


def items(sessions: Sessions) -> list[list[str]]:
    return [sessions.vocab.ids[sessions[s]].tolist() for s in range(len(sessions))]


def test_the_first_read_joins_segments_and_keeps_the_result(appended: Artifact, tmp_path: Path) -> None:
    assert [s["part"] for s in segments(appended)] == ["log1_"] and kept_join(appended) is None
    assert items(Sessions.load(appended)) == [["a", "b"], ["b", "a"], ["a", "c"]]
    kept = kept_join(appended)
    assert kept is not None and kept.about["joined"] == appended.digest
    assert (kept.about["sessions"], kept.about["paths"], kept.about["bad_rows"]) == (3, ["new.csv"], {"bad": 1})
    assert segments(kept) == [] and kept.about["log"]["events"] == 6
    appended.check()
    again = artifacts.read(appended.folder)
    assert (again.digest, again.fingerprint) == (appended.digest, appended.fingerprint)
    with joined(again, sessionize) as artifact:
        assert artifact.created == kept.created  # not made again
    artifacts.check_place(appended.folder)  # it can be replaced


def test_sessions_without_segments_are_read_as_they_are(tmp_path: Path) -> None:
    base = prepared(EventLog(OLD), tmp_path / "base", Rules(Filters(min_length=2)))
    with joined(base, sessionize) as artifact:
        assert artifact is base
    assert kept_join(base) is None and not (base.folder / artifacts.DERIVED).exists()


@pytest.mark.parametrize("damage", ["manifest", "other", "link"])
def test_a_kept_join_that_does_not_belong_here_is_made_again(appended: Artifact, tmp_path: Path, damage: str) -> None:
    Sessions.load(appended)
    derived = appended.folder / artifacts.DERIVED
    if damage == "manifest":
        (derived / "sessions" / artifacts.MANIFEST).write_text("{")
    elif damage == "other":
        shutil.rmtree(derived / "sessions")
        prepared(EventLog(OLD), derived / "sessions", Rules(Filters(min_length=1)))
    else:
        derived.rename(tmp_path / "elsewhere")
        derived.symlink_to(tmp_path / "elsewhere")
    assert kept_join(appended) is None
    assert items(Sessions.load(appended)) == [["a", "b"], ["b", "a"], ["a", "c"]]
    assert kept_join(appended) is not None


@pytest.mark.parametrize("name", ["log1_items.npy", "log1_sessions.parquet", "log_kept.npy", "items.npy"])
def test_damage_of_a_segment_is_one_sentence(appended: Artifact, name: str) -> None:
    path = appended.folder / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()  # the file is a link
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name} is damaged"):
        Sessions.load(artifacts.read(appended.folder))
    path.unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        Sessions.load(artifacts.read(appended.folder))


def test_a_folder_that_cannot_be_written_to_is_read(appended: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: appended.folder not in Path(path).parents and access(path, mode)
    )
    assert items(Sessions.load(appended)) == [["a", "b"], ["b", "a"], ["a", "c"]]
    assert kept_join(appended) is None
