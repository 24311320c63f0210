"""Files of logs: what is read back is what was written, whatever the filters dropped."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from embedrec.data import Events
from embedrec.data.event_log import EventLog
from embedrec.data.filters import Filters
from embedrec.data.joined import base_log, log_entry, write_prepared
from embedrec.data.log_files import kept_lengths, one_user_a_session, read_log, session_users, write_log
from embedrec.data.prepared import Rules, prepare_log
from embedrec.data.regroup import Regroup
from embedrec.data.sessions import sessionize
from embedrec.errors import ArtifactError, DataError
from embedrec.storage import artifacts, memory_budget
from embedrec.storage.artifacts import Artifact
from embedrec.storage.memory_budget import IN_MEMORY, spill
from tests.data import logs as tables
from tests.data.logs import Log, assert_equal_logs, logs
from tests.data.strategies import given


def prepared(log: EventLog, folder: Path, rules: Rules) -> Artifact:
    origin = {"source": "table", "reader": {}, "paths": [], "bad_rows": {}, "filters": vars(rules.filters)}
    with artifacts.writing(folder, "sessions", {}) as draft:
        entry = log_entry({"on_bad_row": "fail", "memory": None}, log)
        write_prepared(draft, prepare_log([log], rules, sessionize), origin, entry, 0.0)
    return artifacts.read(folder)


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


_RULES = st.sampled_from(
    [
        Rules(Filters(min_length=1)),
        Rules(Filters(min_length=2, min_count=2)),
        Rules(Filters(top=2, min_length=1)),
        Rules(Filters(min_length=1), Regroup(gap="3s")),
        Rules(Filters(min_length=2, duplicates="all"), Regroup(gap="5s")),
        Rules(Filters(min_length=2, top=3), Regroup(by="user")),
    ]
)


@given(logs(timed=True), _RULES, examples=25)
def test_a_log_is_whole_beside_filtered_sessions(log: Log, rules: Rules) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        whole = tables.read_log(log.reader, log.write(folder))
        assume(whole.events.users is not None or rules.regroup.by == "session")
        try:
            artifact = prepared(whole, folder / "sessions", rules)
        except DataError:  # nothing passes the filters
            assume(False)
        assert_equal_logs(base_log(artifact, IN_MEMORY), whole)
        assert_equal_logs(base_log(artifact, spill(folder)), whole)


@given(logs(), examples=15)
def test_a_whole_log_is_read_back(log: Log) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        whole = tables.read_log(log.reader, log.write(folder))
        with artifacts.writing(folder / "log", "sessions", {}) as draft:
            write_log(draft, whole, "log1_")
        assert_equal_logs(read_log(artifacts.read(folder / "log"), "log1_", whole.state), whole)


def test_what_no_filter_drops_takes_no_space(tmp_path: Path) -> None:
    events = Events.of([1, 1, 2], ["a", "b", "a"], time=np.array([1, 2, 3]))
    assert not [f for f in prepared(EventLog(events), tmp_path / "a", Rules(Filters(min_length=1))).files if "log" in f]
    files = prepared(EventLog(events), tmp_path / "b", Rules(Filters(min_length=2))).files
    assert {f for f in files if "log" in f} == {
        *("log_kept.npy", "log_items.npy", "log_times.npy", "log_lengths.npy", "log_sessions.parquet")
    }


@given(st.lists(st.lists(st.booleans(), max_size=5), max_size=6), st.integers(1, 9))
def test_kept_lengths_count_the_events_of_sessions(sessions: list[list[bool]], chunk: int) -> None:
    mask = np.array([kept for session in sessions for kept in session], dtype=bool)
    lengths = np.array([len(session) for session in sessions], dtype=np.int64)
    with mock.patch.object(memory_budget, "CHUNK_EVENTS", chunk):
        assert kept_lengths(mask, lengths).tolist() == [sum(session) for session in sessions]


def test_a_session_of_several_users_is_seen() -> None:
    assert one_user_a_session(Events.of([1, 1, 2], ["a", "b", "c"], user=["u", "u", "v"]))
    assert not one_user_a_session(Events.of([1, 1, 2], ["a", "b", "c"], user=["u", "v", "v"]))
    assert one_user_a_session(Events.of([1], ["a"]))


def test_the_order_of_users_is_kept_where_that_of_sessions_differs() -> None:
    events = Events.of([1, 2], ["a", "b"], user=["u", "v"])
    users = session_users(events)
    assert users is not None and (users.ids.tolist(), users.order) == (["u", "v"], None)
    users = session_users(Events(**{**vars(events), "user": np.array([1, 0], dtype=np.int32)}))
    assert users is not None and users.order is not None
    assert (users.ids.tolist(), users.order.tolist()) == (["v", "u"], ["u", "v"])


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("log_kept", np.zeros(9, np.uint8), "has a log of 9 bytes for 3 events"),
        ("log_lengths", np.array([1, 1], np.int32), "do not have 3 events"),
        ("log_lengths", np.array([4, -1], np.int32), "do not have 3 events"),
        ("log_lengths", np.array([1, 1, 1], np.int32), "ids must be unique"),
        ("log_lengths", np.array([2, 1]), "must contain int32"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, name: str, array: np.ndarray, message: str) -> None:
    events = Events.of([1, 1, 2], ["a", "b", "a"], time=np.array([1, 2, 3]))
    artifact = prepared(EventLog(events), tmp_path / "a", Rules(Filters(min_length=2)))
    with artifacts.writing(tmp_path / "b", "sessions", artifact.about) as draft:
        for file in artifact.files:
            if file != f"{name}.npy":
                draft.link(artifact, file)
        draft.array(name, array)
    with pytest.raises((ArtifactError, DataError), match=message):
        base_log(artifacts.read(tmp_path / "b"), IN_MEMORY)
