"""Filters: which events, sessions and items are kept, in one order that is written once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from embedrec.config import Settings
from embedrec.data.events import DAY, Events
from embedrec.data.filter_state import FilterState, keep_first_mentions, keep_first_of_run, keep_last, keep_top
from embedrec.errors import DataError, SettingsError, did_you_mean
from embedrec.storage.memory_budget import chunks

_WEEK = 7 * DAY  # so long nothing happens in data that is well
REPEATED = ("min_count", "min_length", "max_length")  # filters that each may undo what another has made sure of


@dataclass(frozen=True)
class Removed:
    """What one filter took away: its name and setting, and how many sessions, items and events are gone.

    rounds  in how many rounds of the repeated filters; 1 for the others
    note    what is odd about it, "" for nothing
    """

    filter: str
    setting: int | float | str
    sessions: int
    items: int
    events: int
    rounds: int = 1
    note: str = field(default="", compare=False)


@dataclass(frozen=True)
class Filters(Settings):
    """Filters, applied in this order; None leaves one out.

    kinds       only events of these kinds stay
    min_rating  events of smaller weight go
    days        only events within so many days before the last event of the data stay
    min_tracks  sessions with fewer rows go, however often they mention an item
    duplicates  repeated mentions of an item in a session go, the first stays: "all" of them, or those that follow each
                other without another between ("consecutive"); "none" go
    duplicates_at  "start": here, before anything is counted; "end": after all other filters, which then count rows, and
                sessions may end up shorter than min_length
    top         only the so many most mentioned items stay; among equals, those of smaller id
    min_count   items with fewer rows left go
    min_length  sessions with fewer rows left go
    max_length  sessions with more rows left go, or lose their first ones, as `long` says
    long        "drop" sessions over max_length, or "cut" them to their last max_length events
    rounds      min_count, min_length and max_length depend on each other: they are repeated until nothing changes, or
                so many times; 1 is a single pass

    Raises SettingsError for a number that is too small, and when no session could pass.
    """

    kinds: tuple[str, ...] | None = None
    min_rating: float | None = None
    days: float | None = None
    min_tracks: int | None = None
    duplicates: Literal["none", "consecutive", "all"] = "none"
    duplicates_at: Literal["start", "end"] = "start"
    top: int | None = None
    min_count: int | None = None
    min_length: int | None = 2
    max_length: int | None = None
    long: Literal["drop", "cut"] = "drop"
    rounds: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("min_tracks", "top", *REPEATED, "rounds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"filter {name!r} must be at least 1, but is {value}")
        if self.days is not None and not 0 < self.days < np.inf:
            raise SettingsError(f"filter 'days' must be a positive number of days, but is {self.days}")
        if self.min_length and self.max_length and self.min_length > self.max_length:
            raise SettingsError(
                f"no session can pass: min_length is {self.min_length}, but max_length is {self.max_length}"
            )

    def apply(self, events: Events) -> tuple[Events, list[Removed]]:
        """The events that pass, vocabularies as they are, and what each filter that is on removed.

        Raises SettingsError for a filter of a column that the events do not have, and for a kind that is none of
        theirs; DataError when nothing is left, naming the filter that took the last events.
        """
        kept = FilterState(events)
        gone: dict[str, np.ndarray] = {}  # name → sessions, items and events
        notes = {"days": _alone(kept, self.days)} if self.days else {}
        rounds = 1
        for number, name in self._order(kept):
            before = np.array(kept.sizes())
            _STEPS[name](kept, self)
            after = np.array(kept.sizes())
            if not after[2]:
                raise DataError(
                    f"the filter {name} = {self._setting(name)} removed the last of {len(events):,} events; loosen it "
                    "or one of those before it"
                    if before[2]
                    else "there are no events to filter; check the input"
                )
            gone[name] = gone.get(name, 0) + before - after
            if before[2] > after[2]:
                rounds = max(rounds, number)
        removed = [
            Removed(
                name,
                self._setting(name),
                int(s),
                int(n),
                int(e),
                rounds if name in REPEATED else 1,
                notes.get(name, ""),
            )
            for name, (s, n, e) in gone.items()
        ]
        return (events if kept.mask.all() else events.take(kept.mask)), removed

    def _order(self, kept: FilterState) -> Iterator[tuple[int, str]]:
        """The round, from 1, and the name of each filter that is on, as they are to be run."""
        at_start = self.duplicates_at == "start"
        first = ("kinds", "min_rating", "days", "min_tracks", *(("duplicates",) if at_start else ()), "top")
        yield from ((1, name) for name in first if self._on(name))
        repeated, number, left = [name for name in REPEATED if self._on(name)], 0, -1
        while repeated and number != self.rounds and left != kept.sizes()[2]:
            left, number = kept.sizes()[2], number + 1
            yield from ((number, name) for name in repeated)
        if not at_start and self._on("duplicates"):
            yield 1, "duplicates"

    def _on(self, name: str) -> bool:
        return getattr(self, name) not in (None, "none")

    def _setting(self, name: str) -> Any:
        """The setting of a filter in a message and in `Removed`."""
        value = getattr(self, name)
        if isinstance(value, tuple):
            return ",".join(value)
        return int(value) if isinstance(value, float) and value.is_integer() else value


def _kinds(kept: FilterState, filters: Filters) -> None:
    column, kinds, wanted = _column(kept.events, "kind", "kinds"), kept.events.kinds, filters.kinds or ()
    known = [] if kinds is None else [str(kind) for kind in kinds.ids.tolist()]
    for kind in wanted:
        if kind not in known:
            raise SettingsError(
                f"no event is of the kind {kind!r}{did_you_mean(kind, known)}; there are {', '.join(known)}"
            )
    keep = np.array([kind in wanted for kind in known])  # (kinds,)
    kept.keep(lambda chunk: keep[column[chunk]])


def _min_rating(kept: FilterState, filters: Filters) -> None:
    weight = _column(kept.events, "weight", "min_rating")
    kept.keep(lambda chunk: weight[chunk] >= filters.min_rating)


def _days(kept: FilterState, filters: Filters) -> None:
    time = _column(kept.events, "time", "days")
    if len(time):
        since = int(time.max()) - int((filters.days or 0) * DAY)
        kept.keep(lambda chunk: time[chunk] >= since)


def _alone(kept: FilterState, days: float | None) -> str:
    """What to say where the last events come so long after all others that the last days hold few others."""
    time, window = kept.events.time, int((days or 0) * DAY)
    if time is None or not len(time):
        return ""
    last = int(time.max())
    for cluster, least in ((min(DAY, window), window // 2), (window, window)):
        parts = [time[chunk] for chunk in chunks(len(time))]
        before = max((int(part[part < last - cluster].max(initial=-(2**62))) for part in parts), default=-(2**62))
        first = min(int(part[part >= last - cluster].min(initial=last)) for part in parts)
        count = sum(int((part >= last - cluster).sum()) for part in parts)
        if before > -(2**62) and first - before > max(least, _WEEK) and 2 * count <= len(time):
            dates = [str(np.datetime64(moment, "ms").astype("datetime64[D]")) for moment in (first, last, before)]
            return (
                f"the last {count:,} events ({dates[0]} to {dates[1]}) come {(first - before) / DAY:,.0f} days after "
                f"all others, which end on {dates[2]}; days are counted back from the last event: leave it out if its "
                "time is wrong"
            )
    return ""


def _max_length(kept: FilterState, filters: Filters) -> None:
    most = filters.max_length or 0
    if filters.long == "cut":
        keep_last(kept, most)
    else:
        kept.keep_sessions(kept.lengths <= most)


def _column(events: Events, name: str, setting: str) -> np.ndarray:
    column = getattr(events, name)
    if column is None:
        raise SettingsError(
            f"the filter {setting} needs a {name} of every event, but the data has none; "
            f"name its column with --{name}, or leave the filter out"
        )
    return column


_STEPS: dict[str, Any] = {
    "kinds": _kinds,
    "min_rating": _min_rating,
    "days": _days,
    "min_tracks": lambda kept, filters: kept.keep_sessions(kept.lengths >= filters.min_tracks),
    "duplicates": lambda kept, filters: (
        keep_first_mentions(kept) if filters.duplicates == "all" else keep_first_of_run(kept)
    ),
    "top": lambda kept, filters: keep_top(kept, filters.top),
    "min_count": lambda kept, filters: kept.keep_items(kept.counts >= filters.min_count),
    "min_length": lambda kept, filters: kept.keep_sessions(kept.lengths >= filters.min_length),
    "max_length": _max_length,
}
