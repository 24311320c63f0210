"""Sessions by user and sessions cut at pauses, against slow twins on lists."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data.events import Events
from embedrec.data.regroup import AS_READ, Regroup, cut_at_gaps, group_by_user, parse_gap
from embedrec.data.sessions import sessionize
from embedrec.errors import SettingsError
from embedrec.storage import memory_budget
from tests.conftest import read_only
from tests.data import strategies as draw

rows = st.lists(
    st.tuples(st.sampled_from(["s", "t", "s-1", "u"]), st.sampled_from("abc"), st.integers(0, 50), st.integers(0, 2)),
    max_size=40,
)


def events_of(rows: list[tuple], *, users: bool = True, times: bool = True) -> Events:
    session, item, time, user = zip(*rows, strict=True) if rows else ((), (), (), ())
    made = Events.of(
        session,
        item,
        time=np.array(time, dtype=np.int64) * 1000 if times else None,
        user=user if users else None,
        weight=np.arange(len(rows)),
    )
    columns = ("session", "item", "time", "weight", "user")
    return replace(made, **{c: read_only(getattr(made, c)) for c in columns if getattr(made, c) is not None})


def rows_of(events: Events) -> list[tuple]:
    """(session, item, weight) of each event; the weight is the number of its row."""
    sessions, items = events.sessions.ids[events.session], events.items.ids[events.item]
    assert events.weight is not None
    return list(zip(sessions.tolist(), items.tolist(), events.weight.astype(int).tolist(), strict=True))


@draw.given(rows, st.integers(0, 30), st.integers(1, 50), st.booleans(), examples=150)
def test_sessions_cut_at_gaps_equal_a_slow_loop(rows: list[tuple], gap: int, at_once: int, users: bool) -> None:
    events = events_of(rows, users=users)
    seconds = [r[2] for r in rows]
    want, last = [], None
    for session, _, row in rows_of(events):
        if last is None or session != last[0]:
            number = 1
        elif seconds[row] - last[1] > gap:
            number += 1
        want.append(f"{session}-{number}")
        last = (session, seconds[row])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_budget, "CHUNK_EVENTS", at_once)
        got = cut_at_gaps(events, gap * 1000)
    assert [session for session, _, _ in rows_of(got)] == want
    assert [t[1:] for t in rows_of(got)] == [t[1:] for t in rows_of(events)]
    assert len(got.sessions) == len(set(want))
    assert got.user is not None and got.users is not None
    user = got.users.ids[got.user].tolist()
    assert user == ([rows[row][3] if users else rows[row][0] for *_, row in rows_of(got)])


@draw.given(rows, st.booleans(), examples=100)
def test_sessions_by_user_equal_a_slow_loop(rows: list[tuple], times: bool) -> None:
    events = events_of(rows, times=times)
    before = rows_of(events)
    order = list(dict.fromkeys(r[3] for r in rows))  # users by first appearance
    number = {row: place for place, (*_, row) in enumerate(before)}
    want = sorted(range(len(rows)), key=lambda r: (order.index(rows[r][3]), rows[r][2] if times else 0, number[r]))
    got = group_by_user(events)
    assert rows_of(got) == [(rows[r][3], rows[r][1], r) for r in want]
    assert (got.time is not None) == times
    assert got.sessions is got.users is events.users


def test_sessions_by_user_are_cut_at_gaps() -> None:
    rows = [("s", "a", 0, 7), ("s", "b", 10, 7), ("t", "c", 5, 8), ("u", "a", 12, 7), ("u", "b", 100, 7)]
    sessions = sessionize(Regroup("user", "15s").apply(events_of(rows)))
    result = {i: "".join(sessions.vocab.ids[sessions[s]]) for s, i in enumerate(sessions.ids.tolist())}
    assert result == {"7-1": "aba", "7-2": "b", "8-1": "c"}
    assert sessions.users is not None and sessions.users.tolist() == [7, 7, 8]
    events = events_of(rows)
    assert AS_READ.apply(events) is events
    by = Regroup("user").apply(events)
    assert [k for k, _ in groupby(rows_of(by), key=lambda t: t[0])] == [7, 8]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("90s", 90_000), ("30min", 1_800_000), ("2h", 7_200_000), ("1d", 86_400_000), (" 1.5 h", 5_400_000)],
)
def test_gaps_are_parsed(text: str, milliseconds: int) -> None:
    assert parse_gap(text) == milliseconds


@pytest.mark.parametrize("text", ["", "30", "30m", "min", "-1h", "1h30min", "0s", "0.0h", "1e3s", "∞d", "٣h", "inf d"])
def test_invalid_gaps_are_refused(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Regroup(gap=text)
    assert str(refused.value) == (f"a gap must be a duration in s, min, h or d, such as 30min or 1.5h, but is {text!r}")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Regroup(by="user").apply(events_of([("s", "a", 1, 1)], users=False)),
            "sessions by user need the user of every event, but the data has none; name its column",
        ),
        (
            lambda: Regroup(gap="1h").apply(events_of([("s", "a", 1, 1)], times=False)),
            "cutting sessions at a gap needs the time of every event, but the data has none; name its column",
        ),
    ],
)
def test_missing_users_and_times_are_refused(make: Any, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        make()
    assert str(refused.value) == message
