"""Merged logs equal the log of one reading of all files."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from embedrec.data import Events, Features, Vocab
from embedrec.data.event_log import EventLog, ReadState
from embedrec.data.events import DAY
from embedrec.data.merge_logs import age_out, merge_logs
from embedrec.errors import DataError
from embedrec.storage.memory_budget import IN_MEMORY, spill
from tests.data.logs import Log, assert_equal_logs, logs, read_each, read_log
from tests.data.strategies import given


def both(log: Log) -> tuple[EventLog, EventLog]:
    """The merged log of the files, and that of one reading; both must fail alike."""
    with TemporaryDirectory() as folder:
        paths = log.write(Path(folder))
        try:
            parts = read_each(log, paths)
        except DataError:
            assume(False)
        return merge_logs(parts, IN_MEMORY), read_log(log.reader, paths)


@given(logs(), examples=150)
def test_merged_logs_equal_one_reading(log: Log) -> None:
    assert_equal_logs(*both(log))


@given(logs(timed=True, unique=False), examples=60)
def test_an_event_that_an_earlier_file_holds_is_dropped(log: Log) -> None:
    """The slow twin leaves out rows whose session, user, item and time an earlier file has."""
    blank = any(row[1] == "" for rows in log.files for row in rows) or "user" not in log.columns
    earlier: set[Any] = set()
    files = []
    for rows in log.files:
        keys = [(str(s).removesuffix(".0"), u * (not blank), i, round(t * 10_000)) for s, u, i, t, _ in rows]
        files.append([row for row, key in zip(rows, keys, strict=True) if key not in earlier])
        earlier |= set(keys)
    merged, _ = both(log)
    _, expected = both(Log(log.columns, [rows for rows in files if rows]))
    events, other = merged.events, expected.events
    assert events.sessions.ids[events.session].tolist() == other.sessions.ids[other.session].tolist()
    assert events.items.ids[events.item].tolist() == other.items.ids[other.item].tolist()
    assert events.time.tolist() == other.time.tolist()


def test_a_repetition_needs_the_same_kind_and_part_of_a_millisecond() -> None:
    def log(times: list[int], kinds: list[str], finer: list[int]) -> EventLog:
        events = Events.of(["s"] * len(times), ["a"] * len(times), time=np.array(times), kind=kinds)
        return EventLog(events, np.array(finer, dtype=np.int32))

    first = log([5, 5], ["click", "click"], [0, 0])
    merged = merge_logs([first, log([5, 5, 5, 6], ["buy", "click", "click", "click"], [0, 0, 7, 0])], IN_MEMORY)
    assert merged.events.time.tolist() == [5, 5, 5, 5, 6]  # the two of the first log stay
    assert merged.finer is not None and merged.finer.tolist() == [0, 0, 0, 7, 0]
    assert merged.events.kinds is not None and merged.events.kinds.ids[merged.events.kind].tolist() == [
        *("click", "click", "buy", "click", "click")
    ]


def test_a_session_that_is_read_at_once_is_a_repetition_as_a_whole() -> None:
    state = ReadState(whole=True)
    first = EventLog(Events.of([1, 1, 2], ["a", "b", "a"]), state=state)
    merged = merge_logs([first, EventLog(Events.of([2, 2, 3], ["a", "c", "d"]), state=state)], IN_MEMORY)
    assert merged.events.items.ids[merged.events.item].tolist() == ["a", "b", "a", "d"]
    goes_on = merge_logs([EventLog(first.events), EventLog(Events.of([2, 2], ["a", "c"]))], IN_MEMORY)
    assert goes_on.events.items.ids[goes_on.events.item].tolist() == ["a", "b", "a", "a", "c"]


def test_one_log_is_itself() -> None:
    log = EventLog(Events.of([1], ["a"]))
    assert merge_logs([log], IN_MEMORY) is log


def test_merging_in_files_equals_merging_in_memory(tmp_path: Path) -> None:
    parts = [
        EventLog(Events.of([1, 2, 1], ["a", "b", "c"], time=np.array([3, 2, 1]))),
        EventLog(Events.of([2, 3], ["a", "b"], time=np.array([1, 2]))),
    ]
    assert_equal_logs(merge_logs(parts, spill(tmp_path)), merge_logs(parts, IN_MEMORY))


@pytest.mark.parametrize(("first_names", "name"), [(True, "old"), (False, "new")])
def test_the_first_or_the_latest_name_counts(first_names: bool, name: str) -> None:
    state = ReadState(first_names=first_names)
    logs = [
        EventLog(Events.of([1], ["a"], names={"a": given_name}), state=state) for given_name in ("", "old", "new", "")
    ]
    merged = merge_logs(logs, IN_MEMORY)
    assert merged.events.items.names is not None and merged.events.items.names.tolist() == [name]


def test_the_latest_features_count() -> None:
    def log(ids: list[str], price: float) -> EventLog:
        features = Features(Vocab(ids), numeric={"price": np.full(len(ids), price)})
        return EventLog(Events(**{**vars(Events.of([1], ["a"])), "item_features": features}))

    features = merge_logs([log(["a", "b"], 1), log(["c", "a"], 2)], IN_MEMORY).events.item_features
    assert features is not None and features.vocab.ids.tolist() == ["c", "a", "b"]
    assert features.numeric["price"].tolist() == [2, 2, 1]


@given(logs(timed=True), st.integers(0, 30))
def test_aged_out_events_leave_nothing_behind(log: Log, seconds: int) -> None:
    _, whole = both(log)
    events = whole.events
    last = int(events.time.max())
    aged = age_out(whole, seconds * 1000 / DAY, last).events
    keep = events.time >= last - seconds * 1000
    for name, plural in (("session", "sessions"), ("item", "items")):
        ids = getattr(events, plural).ids[getattr(events, name)[keep]]
        assert getattr(aged, plural).ids[getattr(aged, name)].tolist() == ids.tolist()
        assert set(getattr(aged, plural).ids.tolist()) == set(ids.tolist())
    assert aged.time.tolist() == events.time[keep].tolist()


@given(logs(timed=True), st.integers(0, 30), examples=30)
def test_a_log_goes_on_after_events_aged_out(log: Log, seconds: int) -> None:
    """Merging what remains of the first files with the last one equals dropping the rows from the first files."""
    assume(len(log.files) > 1)
    with TemporaryDirectory() as folder:
        paths = log.write(Path(folder))
        try:
            parts = read_each(log, paths)
        except DataError:
            assume(False)
        first = merge_logs(parts[:-1], IN_MEMORY)
        last = int(first.events.time.max())
        merged = merge_logs([age_out(first, seconds * 1000 / DAY, last), parts[-1]], IN_MEMORY)
        since = (last - seconds * 1000) / 1000 - 1_600_000_000
        first_rows = [row for rows in log.files[:-1] for row in rows if round(row[3], 3) >= since]
        expected = read_log(log.reader, Log(log.columns, [first_rows, log.files[-1]]).write(Path(folder)))
    rows, wanted = (
        sorted(zip(one.items.ids[one.item].tolist(), one.time.tolist(), strict=True))
        for one in (merged.events, expected.events)
    )
    assert rows == wanted
