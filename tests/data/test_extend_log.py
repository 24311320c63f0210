"""A log that is extended by another equals both sorted together."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from embedrec.data import Events
from embedrec.data import extend_log as module
from embedrec.data.event_log import EventLog, ReadState
from embedrec.data.extend_log import extend_log
from embedrec.data.merge_logs import merge_all
from embedrec.data.sort_events import Columns
from embedrec.errors import DataError
from embedrec.storage import memory_budget
from embedrec.storage.memory_budget import IN_MEMORY, spill
from tests.data.logs import Log, assert_equal_logs, logs, read_each
from tests.data.strategies import given


def log(
    sessions: list[int], items: str, times: list[int] | None, state: ReadState | None = None, **more: list[str]
) -> EventLog:
    time = None if times is None else np.array(times)
    return EventLog(Events.of(sessions, list(items), time=time, **more), state=state or ReadState())  # type: ignore[arg-type]


@given(logs(unique=False), st.sampled_from([1, 3, 1 << 20]), examples=150)
def test_an_extended_log_equals_both_sorted_together(one: Log, chunk: int) -> None:
    assume(len(one.files) > 1)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_budget, "CHUNK_EVENTS", chunk)
        try:
            first, *others = read_each(one, one.write(Path(folder)))
        except DataError:  # users are blank, or times are ambiguous
            assume(False)
        for other in others:
            extended = extend_log(first, other, IN_MEMORY)
            first = merge_all([first, other], IN_MEMORY)
            if extended is not None:
                assert_equal_logs(extended, first)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.integers(0, 5)), min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abcd"), st.integers(0, 5)), min_size=1, max_size=20),
    st.booleans(),
    st.integers(1, 5),
)
def test_events_of_sessions_are_always_extended(
    old: list[tuple[int, str, int]], new: list[tuple[int, str, int]], timed: bool, chunk: int
) -> None:
    """Without users, nothing has to be sorted again but the sessions that go on."""
    logs_of = [
        log([s for s, _, _ in rows], "".join(i for _, i, _ in rows), [t for *_, t in rows] if timed else None)
        for rows in (old, new)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_budget, "CHUNK_EVENTS", chunk)
        extended = extend_log(*logs_of, IN_MEMORY)
    assert extended is not None
    assert_equal_logs(extended, merge_all(logs_of, IN_MEMORY))


def test_events_of_a_session_that_goes_on_by_hand() -> None:
    first = log([7, 7, 8, 9], "abca", [10, 20, 30, 40])
    extended = extend_log(first, log([8, 7, 5, 8], "dbee", [25, 20, 60, 30]), IN_MEMORY)
    assert extended is not None
    events = extended.events
    assert events.sessions.ids.tolist() == [7, 8, 9, 5]
    assert events.session.tolist() == [0, 0, 1, 1, 1, 2, 3]
    assert events.items.ids[events.item].tolist() == ["a", "b", "d", "c", "e", "a", "e"]  # b at 20 comes again
    assert events.time.tolist() == [10, 20, 25, 30, 30, 40, 60]


def test_only_sessions_that_go_on_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[int] = []
    sort = module.sort_rows

    def counted(columns: Columns, *given: Any, **more: Any) -> Columns:
        events.append(len(columns["item"]))
        return sort(columns, *given, **more)

    monkeypatch.setattr(module, "sort_rows", counted)
    first = log([*range(100), 99], "a" * 101, [*range(101)])
    assert extend_log(first, log([200, 201], "ab", [300, 301]), IN_MEMORY) is not None and events == []
    assert extend_log(first, log([99, 200], "ab", [300, 301]), IN_MEMORY) is not None and events == [3]


@pytest.mark.parametrize("case", ["columns", "ids", "users", "kinds"])
def test_what_is_no_mere_addition_is_left_to_sorting(case: str) -> None:
    first = log([1, 2], "ab", [1, 2])
    other = {
        "columns": log([3], "a", None),
        "ids": EventLog(Events.of(["x"], ["a"], time=np.array([3]))),
        "users": log([1], "a", [3], user=["u"]),
        "kinds": log([1], "a", [3], kind=["click"]),
    }[case]
    assert extend_log(first, other, IN_MEMORY) is None


def test_a_session_of_two_users_is_left_to_sorting() -> None:
    parted = ReadState(parted=True)
    first = log([1, 2], "ab", [1, 2], user=["u", "v"])
    assert extend_log(first, log([1], "c", [3], parted, user=["v"]), IN_MEMORY) is None
    extended = extend_log(first, log([1], "c", [3], parted, user=["u"]), IN_MEMORY)
    assert extended is not None and extended.events.session.tolist() == [0, 0, 1]
    whole = extend_log(first, log([1], "c", [3], user=["v"]), IN_MEMORY)  # where users do not split sessions
    assert whole is not None and whole.events.user is not None and whole.events.user.tolist() == [0, 1, 1]


def test_numbers_join_texts() -> None:
    first = EventLog(Events.of(["1", "x"], ["a", "b"]))
    extended = extend_log(first, EventLog(Events.of([1, 2], ["b", "c"])), IN_MEMORY)
    assert extended is not None
    assert extended.events.sessions.ids.tolist() == ["1", "x", "2"] and extended.events.session.tolist() == [0, 0, 1, 2]


def test_extending_in_files_equals_extending_in_memory(tmp_path: Path) -> None:
    parts = log([1, 2, 1], "abc", [3, 2, 1]), log([2, 3], "ab", [1, 2])
    extended = [extend_log(*parts, memory) for memory in (spill(tmp_path), IN_MEMORY)]
    assert extended[0] is not None and extended[1] is not None
    assert_equal_logs(extended[0], extended[1])
