"""The state of filtering: a mask of the remaining events, and their counts for each session and item.

Passes read the events in chunks, so that temporary arrays stay small; columns may be memory-mapped.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from embedrec.data.events import Events
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget, chunks, count_rows

SORT_BLOCK = 1 << 13  # events, in the cache; session, item and position fit into one int64 (13 + 31 + 13 bits)


class FilterState:
    """The events that remain after the filters applied so far.

    mask     (E,) bool
    counts   (n,) int64 remaining events of each item
    lengths  (S,) int64 remaining events of each session
    """

    def __init__(self, events: Events) -> None:
        self.events = events
        self.mask = events.memory.full(len(events), True, bool)
        self.lengths = count_rows(events.session, len(events.sessions))
        self.counts = count_rows(events.item, len(events.items))

    def sizes(self) -> tuple[int, int, int]:
        """The numbers of sessions with events, items with events, and events."""
        return int((self.lengths > 0).sum()), int((self.counts > 0).sum()), int(self.lengths.sum())

    def keep_sessions(self, keep: np.ndarray) -> None:
        """Keep the sessions of a mask (S,)."""
        if ((self.lengths > 0) & ~keep).any():
            self.keep(lambda chunk: keep[self.events.session[chunk]])

    def keep_items(self, keep: np.ndarray) -> None:
        """Keep the items of a mask (n,)."""
        if ((self.counts > 0) & ~keep).any():
            self.keep(lambda chunk: keep[self.events.item[chunk]])

    def keep(self, mask_of: Callable[[slice], np.ndarray]) -> None:
        """Keep events: `mask_of(chunk)`, called for each chunk in order, is the mask (b,) of `events[chunk]`."""
        for chunk in chunks(len(self.mask)):
            dropped = chunk.start + np.flatnonzero(self.mask[chunk] & ~mask_of(chunk))
            if len(dropped):
                self.mask[dropped] = False
                self.counts -= np.bincount(self.events.item[dropped], minlength=len(self.counts))
                session = self.events.session[dropped]
                self.lengths[session[0] : session[-1] + 1] -= np.bincount(session - session[0])


def keep_top(state: FilterState, most: int) -> None:
    """Keep the `most` items with the most events; ties by id."""
    state.keep_items(most_frequent(state.counts, most, state.events.items.ids))


def most_frequent(counts: np.ndarray, most: int, ids: np.ndarray) -> np.ndarray:
    """Mask (n,) of the `most` items with the highest counts (n,), ties by id (n,); all, if no more have events."""
    if most >= (counts > 0).sum():
        return np.ones(len(counts), dtype=bool)
    least = int(np.partition(counts, -most)[-most])  # events of the last item that is kept
    keep = counts > least
    equal = np.flatnonzero(counts == least)
    order = np.argsort(ids[equal], kind="stable")
    keep[equal[order[: most - np.count_nonzero(keep)]]] = True
    return np.asarray(keep)


def keep_last(state: FilterState, most: int) -> None:
    """Keep the last `most` events of every session."""
    surplus = np.maximum(state.lengths - most, 0)  # (S,) first events to drop
    if not surplus.any():
        return
    before = np.cumsum(state.lengths) - state.lengths  # (S,) remaining events of all earlier sessions
    done = 0

    def last_events(chunk: slice) -> np.ndarray:
        nonlocal done
        rank = done + np.cumsum(state.mask[chunk])  # (b,) number of a remaining event among all, from 1
        done = int(rank[-1])
        session = state.events.session[chunk]
        return rank - before[session] > surplus[session]

    state.keep(last_events)


def keep_first_of_run(state: FilterState) -> None:
    """Keep the first of consecutive events of the same item in a session."""
    last = (-1, -1)  # session and item of the previous remaining event

    def first_events(chunk: slice) -> np.ndarray:
        nonlocal last
        at = np.flatnonzero(state.mask[chunk])
        session, item = state.events.session[chunk][at], state.events.item[chunk][at]
        keep = np.ones(chunk.stop - chunk.start, dtype=bool)
        if len(at):
            repeated = np.append((session[0], item[0]) == last, (np.diff(session) == 0) & (np.diff(item) == 0))
            keep[at[repeated]] = False
            last = (int(session[-1]), int(item[-1]))
        return keep

    state.keep(first_events)


def keep_first_mentions(state: FilterState) -> None:
    """Keep the first event of every item in a session."""
    events = state.events
    first = first_mentions(
        events.session, events.item, len(events.sessions), len(events.items), state.mask, memory=events.memory
    )
    state.keep(lambda chunk: first[chunk])


def first_mentions(
    session: np.ndarray,
    item: np.ndarray,
    sessions: int,
    items: int,
    mask: np.ndarray,
    *,
    memory: MemoryBudget = IN_MEMORY,
) -> np.ndarray:
    """Among the events of `mask` (E,) bool, those that are the first of their item in their session: a mask (E,).

    session  (E,) int32 rows below `sessions`, ascending
    item     (E,) int32 rows below `items`
    """
    first = memory.full(len(item), False, bool)
    n = max(items, 1)
    ends = np.cumsum(count_rows(session, sessions))  # (S,)
    begin = 0
    while begin < len(item):
        # whole sessions of at most SORT_BLOCK events in total, or one long session
        last = int(np.searchsorted(ends, begin + SORT_BLOCK, side="right")) - 1
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
