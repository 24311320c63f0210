"""Filters of events, sessions and items, and the order in which they are applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from embedrec.config import Settings
from embedrec.data.events import DAY, Events, filter_fields
from embedrec.data.filter_state import FilterState, keep_first_mentions, keep_first_of_run, keep_last, keep_top
from embedrec.errors import DataError, SettingsError, did_you_mean
from embedrec.storage.memory_budget import chunks

_NEVER = -(2**62)  # before all times
_WEEK = 7 * DAY  # a longer gap before the last events suggests that their times are wrong
Sizes = tuple[int, int, int]  # sessions, items and events
REPEATED = ("min_count", "min_length", "max_length")  # each of these filters may violate the condition of another


@dataclass(frozen=True)
class RemovedCounts:
    """The numbers of sessions, items and events that one filter removed, with its name and setting.

    rounds  rounds of the repeated filters that removed events; 1 for other filters
    note    a warning about the data, "" for none
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
    """Filters, applied in this order; None turns a filter off.

    kinds       keep only events of these kinds
    min_rating  drop events of lower weight
    days        keep only events of the last `days` days before the last event of the data
    min_tracks  drop sessions with fewer rows, repeated items included
    duplicates  drop repeated mentions of an item in a session, except the first: "all" of them, only "consecutive"
                ones, or "none"
    duplicates_at  "start": here, before anything is counted; "end": after all other filters, so that sessions may
                become shorter than min_length
    top         keep only the most frequent items, this many; ties by id
    min_count   drop items with fewer rows
    min_length  drop sessions with fewer rows
    max_length  limit of the rows of a session, see `long`
    long        "drop" sessions over max_length, or "cut" them to their last max_length events
    rounds      most repetitions of min_count, min_length and max_length, which depend on each other; None repeats them
                until nothing changes, 1 is a single pass

    Raises SettingsError for numbers out of range, and when no session could pass.
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

    def apply(self, events: Events) -> tuple[Events, list[RemovedCounts]]:
        """The events that pass, with unchanged vocabularies, and what each active filter removed.

        Raises SettingsError for a filter of a column that the events lack, and for an unknown kind; DataError when no
        event is left, with the filter that removed the last ones.
        """
        mask, removed = self.mask(events)
        if mask.all():
            return events, removed
        columns = vars(events).copy()
        del events  # so that the columns go one by one, if the caller holds none of them either
        return filter_fields(columns, mask), removed

    def mask(self, events: Events) -> tuple[np.ndarray, list[RemovedCounts]]:
        """The mask (E,) of the events that pass, and what each active filter removed. Raises as `apply` does."""
        state = FilterState(events)
        notes = {"days": _outlier_note(state, self.days)} if self.days else {}
        removed = self.run(len(events), state.sizes, lambda name: apply_filter(name, state, self), notes)
        return state.mask, removed

    def run(
        self, events: int, sizes: Callable[[], Sizes], step: Callable[[str], None], notes: Mapping[str, str]
    ) -> list[RemovedCounts]:
        """Apply the active filters in order; what each of them removed.

        events  number of events before all filters
        sizes   returns the numbers of sessions with events, items with events, and events that remain
        step    applies the filter of a name
        notes   name of a filter → a warning about the data

        Raises DataError when no event is left.
        """
        losses: dict[str, np.ndarray] = {}  # name → sessions, items and events
        rounds = 1
        for number, name in self._order(sizes):
            before = np.array(sizes())
            step(name)
            after = np.array(sizes())
            if not after[2]:
                raise DataError(
                    f"the filter {name} = {self._setting(name)} removed the last of {events:,} events; relax it "
                    "or an earlier filter"
                    if before[2]
                    else "there are no events to filter; check the input"
                )
            losses[name] = losses.get(name, 0) + before - after
            if before[2] > after[2]:
                rounds = max(rounds, number)
        return [
            RemovedCounts(
                name,
                self._setting(name),
                int(s),
                int(n),
                int(e),
                rounds if name in REPEATED else 1,
                notes.get(name, ""),
            )
            for name, (s, n, e) in losses.items()
        ]

    def _order(self, sizes: Callable[[], Sizes]) -> Iterator[tuple[int, str]]:
        """The round, from 1, and the name of each active filter, in order."""
        at_start = self.duplicates_at == "start"
        first = ("kinds", "min_rating", "days", "min_tracks", *(("duplicates",) if at_start else ()), "top")
        yield from ((1, name) for name in first if self._is_active(name))
        repeated, number, remaining = [name for name in REPEATED if self._is_active(name)], 0, -1
        while repeated and number != self.rounds and remaining != sizes()[2]:
            remaining, number = sizes()[2], number + 1
            yield from ((number, name) for name in repeated)
        if not at_start and self._is_active("duplicates"):
            yield 1, "duplicates"

    def _is_active(self, name: str) -> bool:
        return getattr(self, name) not in (None, "none")

    def _setting(self, name: str) -> Any:
        """The setting of a filter, for messages and `RemovedCounts`."""
        value = getattr(self, name)
        if isinstance(value, tuple):
            return ",".join(value)
        return int(value) if isinstance(value, float) and value.is_integer() else value


def _keep_kinds(state: FilterState, filters: Filters) -> None:
    column, kinds, wanted = needed_column(state.events, "kind", "kinds"), state.events.kinds, filters.kinds or ()
    known = [] if kinds is None else [str(kind) for kind in kinds.ids.tolist()]
    for kind in wanted:
        if kind not in known:
            raise SettingsError(
                f"no event is of kind {kind!r}{did_you_mean(kind, known)}; available kinds are {', '.join(known)}"
            )
    keep = np.array([kind in wanted for kind in known])  # (kinds,)
    state.keep(lambda chunk: keep[column[chunk]])


def _keep_ratings(state: FilterState, filters: Filters) -> None:
    weight = needed_column(state.events, "weight", "min_rating")
    state.keep(lambda chunk: weight[chunk] >= filters.min_rating)


def _keep_days(state: FilterState, filters: Filters) -> None:
    time = needed_column(state.events, "time", "days")
    if len(time):
        keep_since(state, int(time.max()) - int((filters.days or 0) * DAY))


def keep_since(state: FilterState, since: int) -> None:
    """Keep the events from a time on, in milliseconds."""
    time = needed_column(state.events, "time", "days")
    state.keep(lambda chunk: time[chunk] >= since)


@dataclass(frozen=True)
class LastCluster:
    """The events of the last `span` milliseconds: their number, the first of them, and the last event before them.

    before  -2^62 if there is none
    """

    span: int
    count: int
    first: int
    before: int

    @classmethod
    def of(cls, time: np.ndarray, last: int, span: int) -> LastCluster:
        """The cluster in times (E,), whose last is `last`."""
        parts = [time[chunk] for chunk in chunks(len(time))]
        return cls(
            span,
            sum(int((part >= last - span).sum()) for part in parts),
            min((int(part[part >= last - span].min(initial=last)) for part in parts), default=last),
            max((int(part[part < last - span].max(initial=_NEVER)) for part in parts), default=_NEVER),
        )

    @classmethod
    def join(cls, parts: Sequence[LastCluster]) -> LastCluster:
        """The cluster of all parts of the times."""
        count = sum(part.count for part in parts)
        return cls(parts[0].span, count, min(part.first for part in parts), max(part.before for part in parts))


def cluster_spans(days: float) -> tuple[int, int]:
    """The spans of the clusters that `outlier_note` looks at."""
    window = int(days * DAY)
    return min(DAY, window), window


def _outlier_note(state: FilterState, days: float | None) -> str:
    time = state.events.time
    if time is None or not len(time):
        return ""
    last = int(time.max())
    return outlier_note([LastCluster.of(time, last, span) for span in cluster_spans(days or 0)], len(time), last)


def outlier_note(clusters: Sequence[LastCluster], events: int, last: int) -> str:
    """A note if the last events come long after all others, so that the window of `days` contains few other events.

    clusters  of the spans of `cluster_spans`
    """
    window = clusters[-1].span
    for cluster, least in zip(clusters, (window // 2, window), strict=True):
        before, first = cluster.before, cluster.first
        if before > _NEVER and first - before > max(least, _WEEK) and 2 * cluster.count <= events:
            dates = [str(np.datetime64(moment, "ms").astype("datetime64[D]")) for moment in (first, last, before)]
            return (
                f"the last {cluster.count:,} events ({dates[0]} to {dates[1]}) come {(first - before) / DAY:,.0f} days "
                f"after all others, which end on {dates[2]}; days are counted back from the last event, so remove it "
                "if its time is wrong"
            )
    return ""


def _limit_length(state: FilterState, filters: Filters) -> None:
    most = filters.max_length or 0
    if filters.long == "cut":
        keep_last(state, most)
    else:
        state.keep_sessions(state.lengths <= most)


def needed_column(events: Events, name: str, setting: str) -> np.ndarray:
    """A column (E,) that a filter reads. Raises SettingsError if there is none."""
    column = getattr(events, name)
    if column is None:
        raise SettingsError(
            f"the filter {setting} needs the {name} of every event, but the data has none; "
            f"name its column with --{name}, or leave the filter out"
        )
    return column


_STEPS: dict[str, Any] = {
    "kinds": _keep_kinds,
    "min_rating": _keep_ratings,
    "days": _keep_days,
    "min_tracks": lambda state, filters: state.keep_sessions(state.lengths >= filters.min_tracks),
    "duplicates": lambda state, filters: (
        keep_first_mentions(state) if filters.duplicates == "all" else keep_first_of_run(state)
    ),
    "top": lambda state, filters: keep_top(state, filters.top),
    "min_count": lambda state, filters: state.keep_items(state.counts >= filters.min_count),
    "min_length": lambda state, filters: state.keep_sessions(state.lengths >= filters.min_length),
    "max_length": _limit_length,
}


def apply_filter(name: str, state: FilterState, filters: Filters) -> None:
    """Apply the filter of a name to a state."""
    _STEPS[name](state, filters)
