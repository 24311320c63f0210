"""Which events are kept while filters run: a mask, and what is left of each session and item under it.

All passes go through the events in parts, so that temporaries stay small, and only read them: they may be memory maps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from embedrec.data.events import Events
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget, chunks, count_rows

_SORTED_AT_ONCE = 1 << 13  # events, in the cache; session, item and position fit into one int64 (13 + 31 + 13 bits)


class FilterState:
    """Events of which ever fewer are kept.

    mask     (E,) bool
    counts   (n,) int64 kept events of each item
    lengths  (S,) int64 kept events of each session
    """

    def __init__(self, events: Events) -> None:
        self.events = events
        self.mask = events.room.full(len(events), True, bool)
        self.lengths = count_rows(events.session, len(events.sessions))
        self.counts = count_rows(events.item, len(events.items))

    def sizes(self) -> tuple[int, int, int]:
        """Sessions and items with events, and events."""
        return int((self.lengths > 0).sum()), int((self.counts > 0).sum()), int(self.lengths.sum())

    def keep_sessions(self, keep: np.ndarray) -> None:
        """Keep the sessions of a mask (S,)."""
        if ((self.lengths > 0) & ~keep).any():
            self.keep(lambda chunk: keep[self.events.session[chunk]])

    def keep_items(self, keep: np.ndarray) -> None:
        """Keep the items of a mask (n,)."""
        if ((self.counts > 0) & ~keep).any():
            self.keep(lambda chunk: keep[self.events.item[chunk]])

    def keep(self, part: Callable[[slice], np.ndarray]) -> None:
        """Keep events: part after part, in order, `part(chunk)` says which of `events[chunk]`, as bool."""
        for chunk in chunks(len(self.mask)):
            gone = chunk.start + np.flatnonzero(self.mask[chunk] & ~part(chunk))
            if len(gone):
                self.mask[gone] = False
                self.counts -= np.bincount(self.events.item[gone], minlength=len(self.counts))
                session = self.events.session[gone]
                self.lengths[session[0] : session[-1] + 1] -= np.bincount(session - session[0])


def keep_top(kept: FilterState, most: int) -> None:
    """Keep the so many items of most events; among equals, those of smaller id."""
    counts = kept.counts
    if most >= (counts > 0).sum():
        return
    least = int(np.partition(counts, -most)[-most])  # events of the last item that stays
    keep = counts > least
    equal = np.flatnonzero(counts == least)
    order = np.argsort(kept.events.items.ids[equal], kind="stable")
    keep[equal[order[: most - np.count_nonzero(keep)]]] = True
    kept.keep_items(keep)


def keep_last(kept: FilterState, most: int) -> None:
    """Keep the last so many events of every session."""
    surplus = np.maximum(kept.lengths - most, 0)  # (S,) first events that go
    if not surplus.any():
        return
    before = np.cumsum(kept.lengths) - kept.lengths  # (S,) kept events of all sessions before
    done = 0

    def late(chunk: slice) -> np.ndarray:
        nonlocal done
        rank = done + np.cumsum(kept.mask[chunk])  # (b,) number of a kept event among all, from 1
        done = int(rank[-1])
        session = kept.events.session[chunk]
        return rank - before[session] > surplus[session]

    kept.keep(late)


def keep_first_of_run(kept: FilterState) -> None:
    """Of events of the same item that follow each other in a session, keep the first."""
    last = (-1, -1)  # session and item of the kept event before

    def first(chunk: slice) -> np.ndarray:
        nonlocal last
        at = np.flatnonzero(kept.mask[chunk])
        session, item = kept.events.session[chunk][at], kept.events.item[chunk][at]
        keep = np.ones(chunk.stop - chunk.start, dtype=bool)
        if len(at):
            again = np.append((session[0], item[0]) == last, (np.diff(session) == 0) & (np.diff(item) == 0))
            keep[at[again]] = False
            last = (int(session[-1]), int(item[-1]))
        return keep

    kept.keep(first)


def keep_first_mentions(kept: FilterState) -> None:
    """Of all events of an item in a session, keep the first."""
    events = kept.events
    first = first_mentions(
        events.session, events.item, len(events.sessions), len(events.items), kept.mask, room=events.room
    )
    kept.keep(lambda chunk: first[chunk])


def first_mentions(
    session: np.ndarray,
    item: np.ndarray,
    sessions: int,
    items: int,
    mask: np.ndarray,
    *,
    room: MemoryBudget = IN_MEMORY,
) -> np.ndarray:
    """Which events (E,) are the first mention of their item in their session, among those of `mask` (E,) bool.

    session  (E,) int32 rows below `sessions`, ascending
    item     (E,) int32 rows below `items`
    """
    first = room.full(len(item), False, bool)
    n = max(items, 1)
    ends = np.cumsum(count_rows(session, sessions))  # (S,)
    begin = 0
    while begin < len(item):
        # whole sessions, together at most _SORTED_AT_ONCE events, or one long session
        last = int(np.searchsorted(ends, begin + _SORTED_AT_ONCE, side="right")) - 1
        end = int(ends[max(last, int(np.searchsorted(ends, begin, side="right")))])
        positions = begin + np.flatnonzero(mask[begin:end])  # (m,)
        begin = end
        if not len(positions):
            continue
        rows = session[positions]
        number = np.cumsum(np.diff(rows, prepend=rows[0]) > 0)  # (m,) sessions of this part: 0, 1, …
        bits = len(positions).bit_length()
        keys = np.sort((number * n + item[positions] << bits) | np.arange(len(positions)))
        new = np.diff(keys >> bits, prepend=-1) > 0  # the smallest position of every (session, item)
        first[positions[keys[new] & ((1 << bits) - 1)]] = True
    return first
