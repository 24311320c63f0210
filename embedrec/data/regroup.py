"""Other sessions from the same events: all of a user's in one, or cut where nothing happened for a while."""

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
from embedrec.storage.memory_budget import chunks

_UNITS = {"s": 1_000, "min": 60_000, "h": 3_600_000, "d": DAY}  # milliseconds


@dataclass(frozen=True)
class Regroup(Settings):
    """What a session is: as it was read, or all events of a user; then cut at pauses.

    by   "session", or "user": a session is all of a user's events in order of time
    gap  a pause longer than this between neighbouring events begins a new session ("90s", "30min", "2h", "1d"); None
         for no cuts

    Raises SettingsError for a gap that is no length of time.
    """

    by: Literal["session", "user"] = "session"
    gap: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gap is not None:
            parse_gap(self.gap)

    def apply(self, events: Events) -> Events:
        """The same events in these sessions. Raises SettingsError where users or times are needed and missing."""
        if self.by == "user":
            events = by_user(events)
        return events if self.gap is None else cut(events, parse_gap(self.gap))


AS_READ = Regroup()


def parse_gap(text: str) -> int:
    """Milliseconds of "90s", "30min", "1.5h" or "1d". Raises SettingsError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|min|h|d)", text.strip())
    if match is None or float(match[1]) == 0:
        raise SettingsError(f"a gap is a length of time with s, min, h or d, such as 30min or 1.5h, but is {text!r}")
    return round(float(match[1]) * _UNITS[match[2]])


def by_user(events: Events) -> Events:
    """Events with users for sessions, sorted by (user, time, order so far); without times, by (user, order so far).

    Raises SettingsError when the events have no users.
    """
    if events.user is None or events.users is None:
        raise SettingsError("sessions by user need a user of every event, but the data has none; name its column")
    columns = {name: getattr(events, name) for name in ("item", "time", "weight", "kind")}
    given = {"session": events.user} | {name: column for name, column in columns.items() if column is not None}
    key = None if events.time is None else "time"
    done: dict[str, Any] = sort_events(given, len(events.users), key, events.room)
    return replace(events, **done, sessions=events.users, user=done["session"])


def cut(events: Events, gap_ms: int) -> Events:
    """Events whose sessions are cut where the time from one event to the next is longer than the gap.

    Ids of sessions are the texts "OLD-1", "OLD-2", …, also where there is no cut. Where the events have no users, the
    old sessions become users. Raises SettingsError when the events have no times.
    """
    if events.time is None:
        raise SettingsError(
            "cutting sessions at a gap needs a time of every event, but the data has none; name its column"
        )
    first = events.room.full(len(events), True, bool)  # (E,) whether a session begins here
    for chunk in chunks(len(events)):
        two = slice(max(chunk.start - 1, 0), chunk.stop)  # with the event before
        begins = (np.diff(events.session[two]) > 0) | (np.diff(events.time[two]) > gap_ms)
        first[chunk.stop - len(begins) : chunk.stop] = begins
    old = events.session[first]  # (S,) old session of each new one, ascending
    number = np.arange(len(old)) - np.searchsorted(old, old) + 1
    ids = [f"{i}-{k}" for i, k in zip(events.sessions.ids[old].tolist(), number.tolist(), strict=True)]
    session, before = events.room.empty(len(events), np.int32), -1
    for chunk in chunks(len(events)):
        session[chunk] = before + np.cumsum(first[chunk])
        before = int(session[chunk.stop - 1])
    cut_up = replace(events, session=session, sessions=Vocab.distinct(np.array(ids, dtype=object)))
    return replace(cut_up, user=events.session, users=events.sessions) if events.user is None else cut_up
