"""Event logs: all events that were read, before any filter, with what later events need to join them.

Reading arranges rows in sessions, and filters drop events; neither can be undone from sessions alone. A log keeps the
rest: positions and parts of a millisecond that order events, the sessions before they were split by user, and how
columns were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from embedrec.data.events import Events
from embedrec.data.sort_events import Columns, sort_events, sort_finer
from embedrec.data.vocab import Ids, Vocab
from embedrec.errors import DataError
from embedrec.storage.memory_budget import MemoryBudget
from embedrec.tabular.given_sessions import shared_sessions, split_by_user


@dataclass(frozen=True)
class ReadState:
    """How rows were read, for the rows of later files.

    plan         the columns of each role, fields of `tabular.read_rows.Plan`; empty for readers without columns
    times        what is known of the column of times, see `Times.state`
    even         nanoseconds within the millisecond of a time that names none
    parted       whether sessions are split by user
    blank_users  whether a row had no user, so that no users are read
    keep_users   whether users are read; else they only split sessions
    first_names  whether an item keeps the first name that it had; else the latest counts
    whole        whether a session is read at once: it does not go on, and a second one of its id is a repetition
    """

    plan: Mapping[str, Any] = field(default_factory=dict)
    times: Mapping[str, Any] = field(default_factory=dict)
    even: int = 0
    parted: bool = False
    blank_users: bool = False
    keep_users: bool = True
    first_names: bool = True
    whole: bool = False


@dataclass(frozen=True, eq=False)
class EventLog:
    """E events as read, in S sessions.

    events   with users also where they only split sessions
    finer    (E,) int32 nanoseconds within the millisecond of each time, or None
    order    (E,) float64 positions that order events in place of times, or None
    unsplit  (S,) ids of the sessions before they were split by user; None if none was split
    places   (E,) int64 position of each event before that, or None
    state    how they were read

    Raises DataError when lengths differ.
    """

    events: Events
    finer: np.ndarray | None = None
    order: np.ndarray | None = None
    unsplit: Ids | None = None
    places: np.ndarray | None = None
    state: ReadState = field(default_factory=ReadState)

    def __post_init__(self) -> None:
        sizes = {"finer": len(self.events), "order": len(self.events), "places": len(self.events)}
        sizes["unsplit"] = len(self.events.sessions)
        for name, size in sizes.items():
            column = getattr(self, name)
            if column is not None and column.shape != (size,):
                raise DataError(f"{name!r} of an event log must have {size} values, but has shape {column.shape}")

    def as_read(self) -> Events:
        """The events that the reader returns."""
        return self.events if self.state.keep_users else replace(self.events, user=None, users=None)

    def with_names_and_features(self, events: Events) -> EventLog:
        """The same log with the names and features of the same events, which readers add at the end."""
        given = self.events
        named = replace(given, items=events.items, item_features=events.item_features)
        return replace(self, events=replace(named, user_features=events.user_features))


def arrange(
    columns: Columns,
    vocabs: dict[str, Vocab],
    state: ReadState,
    memory: MemoryBudget,
    *,
    threads: int = 1,
    notes: list[str] | None = None,
) -> EventLog:
    """The log of rows in the order of files: sorted by session, time (or position) and original order, and each session
    split by user.

    columns  role ("session", "item", "user", "kind", "time", "finer", "order", "weight") → (E,), rows into `vocabs`;
             the dict is emptied, to free memory early
    vocabs   role → vocabulary
    notes    receives a sentence if sessions are split
    """
    sessions = vocabs["session"]
    columns = sort_rows(columns, len(sessions), memory, threads=threads)
    unsplit = None
    if state.parted and "user" in columns:
        shared = shared_sessions(columns, len(sessions))
        if shared.any():
            columns["places"] = np.arange(len(columns["session"]))
            columns, vocabs["session"], old = split_by_user(columns, sessions, vocabs["user"], shared, memory)
            unsplit = sessions.ids[old]
            if notes is not None:
                odd = sessions.id(int(np.flatnonzero(shared)[0]))
                notes.append(split_note(int(shared.sum()), len(sessions), odd, state))
    finer, order, places = (columns.pop(name, None) for name in ("finer", "order", "places"))
    events = Events(
        **columns,  # type: ignore[arg-type]
        sessions=vocabs["session"],
        items=vocabs["item"],
        users=vocabs.get("user"),
        kinds=vocabs.get("kind"),
        memory=memory,
    )
    return EventLog(events, finer, order, unsplit, places, state)


def sort_rows(columns: Columns, sessions: int, memory: MemoryBudget, *, threads: int = 1) -> Columns:
    """Rows sorted by session, position or time, and original order; `columns` as of `arrange`, which it empties.

    sessions  number of sessions
    """
    if "order" not in columns and "time" in columns and "finer" in columns:
        return sort_finer(columns, columns["finer"], sessions, memory, threads)
    key = next((role for role in ("order", "time") if role in columns), None)
    return sort_events(columns, sessions, key, memory, threads)


SPLIT_NOTE = "have events of several users"  # in the sentence of `split_note`


def split_note(divided: int, sessions: int, odd: Any, state: ReadState) -> str:
    """The sentence on sessions that were split by user: their number, that of all sessions, and the id of one."""
    join = "; --user - joins them" if state.keep_users else ""
    return (
        f"{divided:,} of {sessions:,} sessions, such as {odd!r}, {SPLIT_NOTE} (session numbers restart for each user): "
        f"they are split by {state.plan['user']!r}{join}"
    )
