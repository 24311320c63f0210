"""Regroup events into other sessions: one session per user, or sessions cut at pauses."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from embedrec.config import Settings
from embedrec.data.events import DAY, Events
from embedrec.data.sort_events import sort_events
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget, chunks

_UNITS = {"s": 1_000, "min": 60_000, "h": 3_600_000, "d": DAY}  # milliseconds


@dataclass(frozen=True)
class Regroup(Settings):
    """The definition of a session: as read, or all events of a user; optionally cut at pauses.

    by   "session" keeps the sessions; "user" makes one session of all events of a user, in order of time
    gap  a pause between consecutive events longer than this begins a new session ("90s", "30min", "2h", "1d"); None
         for no cuts

    Raises SettingsError for a gap that is not a duration.
    """

    by: Literal["session", "user"] = "session"
    gap: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gap is not None:
            parse_gap(self.gap)

    def apply(self, events: Events) -> Events:
        """The same events in these sessions. Raises SettingsError if users or times are needed and missing."""
        if self.by == "user":
            events = group_by_user(events)
        return events if self.gap is None else cut_at_gaps(events, parse_gap(self.gap))


AS_READ = Regroup()


def parse_gap(text: str) -> int:
    """Milliseconds of "90s", "30min", "1.5h" or "1d". Raises SettingsError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|min|h|d)", text.strip())
    if match is None or float(match[1]) == 0:
        raise SettingsError(f"a gap must be a duration in s, min, h or d, such as 30min or 1.5h, but is {text!r}")
    return round(float(match[1]) * _UNITS[match[2]])


def group_by_user(events: Events) -> Events:
    """Events with users as sessions, sorted by user, then time if there are times; the sort is stable.

    Raises SettingsError when the events have no users.
    """
    if events.user is None or events.users is None:
        raise SettingsError("sessions by user need the user of every event, but the data has none; name its column")
    columns = {name: getattr(events, name) for name in ("item", "time", "weight", "kind")}
    unsorted = {"session": events.user} | {name: column for name, column in columns.items() if column is not None}
    key = None if events.time is None else "time"
    result: dict[str, Any] = sort_events(unsorted, len(events.users), key, events.memory)
    return replace(events, **result, sessions=events.users, user=result["session"])


def cut_at_gaps(events: Events, gap_ms: int) -> Events:
    """Events whose sessions are cut between consecutive events that are further apart than the gap.

    Session ids become the strings "OLD-1", "OLD-2", …, also for sessions without cuts. If the events have no users,
    the old sessions become the users. Raises SettingsError when the events have no times.
    """
    if events.time is None:
        raise SettingsError(
            "cutting sessions at a gap needs the time of every event, but the data has none; name its column"
        )
    first, old, number = find_cuts(events.session, events.time, gap_ms, events.memory)
    ids = [f"{i}-{k}" for i, k in zip(events.sessions.ids[old].tolist(), number.tolist(), strict=True)]
    session, before = events.memory.empty(len(events), np.int32), -1
    for chunk in chunks(len(events)):
        session[chunk] = before + np.cumsum(first[chunk])
        before = int(session[chunk.stop - 1])
    result = replace(events, session=session, sessions=Vocab.from_unique(np.array(ids, dtype=object)))
    return replace(result, user=events.session, users=events.sessions) if events.user is None else result


def find_cuts(
    session: np.ndarray, time: np.ndarray, gap_ms: int, memory: MemoryBudget = IN_MEMORY
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where sessions begin if they are cut at gaps: a mask (E,) of the first events of the new sessions; the old
    session (S',) of each of these, and its number in that, from 1.

    session  (E,) ascending rows
    time     (E,) milliseconds
    """
    first = memory.full(len(session), True, bool)
    for chunk in chunks(len(session)):
        pairs = slice(max(chunk.start - 1, 0), chunk.stop)  # with the previous event
        begins = (np.diff(session[pairs]) > 0) | (np.diff(time[pairs]) > gap_ms)
        first[chunk.stop - len(begins) : chunk.stop] = begins
    old = session[first]
    return first, old, np.arange(len(old)) - np.searchsorted(old, old) + 1
