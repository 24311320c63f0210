"""Filters: which sessions and items are kept, in the order of the playlist article."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from embedrec.data.events import Events
from embedrec.errors import DataError, SettingsError

_CHUNK = 1 << 22  # events counted at once: temporaries stay small beside the events
_SORTED_AT_ONCE = 1 << 16  # events; session, item and position fit into one int64 (31 + 16 + 16 bits)


@dataclass(frozen=True)
class Removed:
    """What one filter took away: its name and setting, and how many sessions, items and events are gone."""

    filter: str
    setting: int | str
    sessions: int
    items: int
    events: int


@dataclass(frozen=True)
class Filters:
    """Filters, applied in this order; None leaves one out.

    min_tracks  sessions with fewer rows go, counted before anything else is removed
    top         only the so many most mentioned items stay; among equals, those of smaller id
    min_count   items with fewer mentions go
    min_length  sessions with fewer rows left go
    max_length  sessions with more rows left go
    repeats     "first": one mention an item and session, the first; "all": every mention

    One pass each, not repeated until nothing changes. Raises SettingsError for a number below 1.
    """

    min_tracks: int | None = None
    top: int | None = None
    min_count: int | None = None
    min_length: int | None = 2
    max_length: int | None = None
    repeats: Literal["all", "first"] = "all"

    def __post_init__(self) -> None:
        for name in ("min_tracks", "top", "min_count", "min_length", "max_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"filter {name!r} must be at least 1, but is {value}")
        if self.min_length and self.max_length and self.min_length > self.max_length:
            raise SettingsError(
                f"no session can pass: min_length is {self.min_length}, but max_length is {self.max_length}"
            )

    def apply(self, events: Events) -> tuple[Events, list[Removed]]:
        """The events that pass, vocabularies as they are, and what each filter that is on removed.

        Raises DataError when nothing is left, naming the filter that took the last events.
        """
        kept = _Kept(events)
        removed = []
        for name, step in _STEPS.items():
            setting = getattr(self, name)
            if setting is None or setting == "all":
                continue
            before = kept.sizes()
            step(kept, setting)
            after = kept.sizes()
            if not after[2]:
                raise DataError(
                    f"the filter {name} = {setting} removed the last of {len(events):,} events; loosen it "
                    "or one of those before it"
                    if before[2]
                    else "there are no events to filter; check the input"
                )
            removed.append(Removed(name, setting, *(b - a for b, a in zip(before, after, strict=True))))
        return (events if kept.mask.all() else events.take(kept.mask)), removed


class _Kept:
    """A mask over the events, and counts under it."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.mask = np.ones(len(events), dtype=bool)  # (E,)
        self.ends = np.searchsorted(events.session, np.arange(len(events.sessions)), side="right")  # (S,)
        self.starts = np.concatenate([[0], self.ends[:-1]]).astype(np.int64)
        self._recount()

    def sizes(self) -> tuple[int, int, int]:
        """Sessions and items with events, and events."""
        return int((self.lengths > 0).sum()), int((self.counts > 0).sum()), int(self.lengths.sum())

    def keep_sessions(self, keep: np.ndarray) -> None:
        """Keep the sessions of a mask (S,)."""
        self.mask &= np.repeat(keep, self.ends - self.starts)
        self._recount()

    def keep_items(self, keep: np.ndarray) -> None:
        """Keep the items of a mask (n,)."""
        self.mask &= keep[self.events.item]
        self._recount()

    def keep_events(self, keep: np.ndarray) -> None:
        """Keep the events of a mask (E,)."""
        self.mask &= keep
        self._recount()

    def _recount(self) -> None:
        self.counts = np.zeros(len(self.events.items), dtype=np.int64)  # (n,) events an item
        for at in range(0, len(self.mask), _CHUNK):
            here = slice(at, at + _CHUNK)
            self.counts += np.bincount(self.events.item[here][self.mask[here]], minlength=len(self.counts))
        self.lengths = np.zeros(len(self.ends), dtype=np.int64)  # (S,) events a session
        some = self.ends > self.starts  # reduceat needs sessions that are not empty
        if some.any():
            self.lengths[some] = np.add.reduceat(self.mask, self.starts[some], dtype=np.int64)


def _min_rows(kept: _Kept, setting: int) -> None:
    kept.keep_sessions(kept.lengths >= setting)


def _max_rows(kept: _Kept, setting: int) -> None:
    kept.keep_sessions(kept.lengths <= setting)


def _min_count(kept: _Kept, setting: int) -> None:
    kept.keep_items(kept.counts >= setting)


def _top(kept: _Kept, setting: int) -> None:
    counts = kept.counts
    if setting >= (counts > 0).sum():
        return
    least = int(np.partition(counts, -setting)[-setting])  # mentions of the last item that stays
    keep = counts > least
    equal = np.flatnonzero(counts == least)
    order = np.argsort(kept.events.items.ids[equal], kind="stable")
    keep[equal[order[: setting - np.count_nonzero(keep)]]] = True
    kept.keep_items(keep)


def _first_mentions(kept: _Kept, _: str) -> None:
    kept.keep_events(first_mentions(kept.events, kept.mask))


def first_mentions(events: Events, mask: np.ndarray) -> np.ndarray:
    """Which events (E,) are the first mention of their item in their session, among those of `mask` (E,)."""
    first = np.zeros(len(events), dtype=bool)
    n = max(len(events.items), 1)
    ends = np.searchsorted(events.session, np.arange(len(events.sessions)), side="right")  # (S,)
    begin = 0
    while begin < len(events):
        # whole sessions, together at most _SORTED_AT_ONCE events, or one long session
        last = int(np.searchsorted(ends, begin + _SORTED_AT_ONCE, side="right")) - 1
        end = int(ends[max(last, int(np.searchsorted(ends, begin, side="right")))])
        here = begin + np.flatnonzero(mask[begin:end])  # (m,)
        begin = end
        if not len(here):
            continue
        session = events.session[here].astype(np.int64)
        session = np.cumsum(np.diff(session, prepend=session[0]) > 0)  # 0, 1, … in this part
        bits = len(here).bit_length()
        keys = np.sort((session * n + events.item[here] << bits) | np.arange(len(here)))
        new = np.diff(keys >> bits, prepend=-1) > 0  # the smallest position of every (session, item)
        first[here[keys[new] & ((1 << bits) - 1)]] = True
    return first


_STEPS: dict[str, Callable[[_Kept, Any], None]] = {
    "min_tracks": _min_rows,
    "top": _top,
    "min_count": _min_count,
    "min_length": _min_rows,
    "max_length": _max_rows,
    "repeats": _first_mentions,
}
