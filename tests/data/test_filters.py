"""Filters against a slow reference on lists, one by one and all together, and at a fixed point."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import filter_state
from embedrec.data.events import Events
from embedrec.data.filters import REPEATED, Filters, RemovedCounts
from embedrec.errors import DataError, SettingsError
from embedrec.storage import memory_budget
from tests.conftest import read_only
from tests.data import strategies as draw

DAY = 86_400_000


class Row(NamedTuple):
    """An event of the slow reference; the time is in days."""

    session: int
    item: str
    kind: str = "play"
    rating: int = 0
    time: int = 0


rows = st.lists(
    st.builds(
        Row,
        st.integers(0, 5),
        st.sampled_from("abcdefgh"),
        st.sampled_from(["play", "buy"]),
        st.integers(0, 5),
        st.integers(0, 9),
    ),
    max_size=60,
).map(lambda rows: sorted(rows, key=lambda r: (first_seen(rows)[r.session], r.time)))
limit = st.one_of(st.none(), st.none(), st.integers(1, 5))
settings = st.builds(
    lambda **k: k,
    kinds=st.sampled_from([None, None, ("play", "buy"), ("play",)]),
    min_rating=st.sampled_from([None, None, 1.0, 2.5]),
    days=st.sampled_from([None, None, 3.0, 6.5]),
    min_tracks=limit,
    duplicates=st.sampled_from(["none", "consecutive", "all"]),
    duplicates_at=st.sampled_from(["start", "end"]),
    top=limit,
    min_count=limit,
    min_length=limit,
    max_length=st.one_of(st.none(), st.integers(5, 12)),
    long=st.sampled_from(["drop", "cut"]),
    rounds=st.sampled_from([None, None, 1, 2]),
)


def first_seen(rows: list[Row]) -> dict[int, int]:
    """The sessions, numbered by first appearance."""
    return {session: n for n, session in enumerate(dict.fromkeys(r.session for r in rows))}


def events_of(rows: list[Row]) -> Events:
    session, item, kind, rating, time = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    made = Events.of(
        session, item, time=np.array(time, dtype=np.int64) * DAY, weight=np.array(rating), kind=kind
    )  # fmt: skip
    columns = {name: read_only(getattr(made, name)) for name in ("session", "item", "time", "weight", "kind")}
    return replace(made, **columns)


def slowly(rows: list[Row], name: str, s: dict[str, Any], last: int) -> list[Row]:
    """One filter."""
    setting = s[name]
    lengths, counts = Counter(r.session for r in rows), Counter(r.item for r in rows)

    def fits(i: int, r: Row) -> bool:
        earlier = rows[i - 1 : i] if setting == "consecutive" and i else rows[:i] if setting == "all" else []
        rest = lengths[r.session] if s["long"] == "drop" else sum(o.session == r.session for o in rows[i:])
        return {
            "kinds": lambda: r.kind in setting,
            "min_rating": lambda: r.rating >= setting,
            "days": lambda: r.time >= last - setting,
            "min_tracks": lambda: lengths[r.session] >= setting,
            "duplicates": lambda: (r.session, r.item) not in [(o.session, o.item) for o in earlier],
            "top": lambda: r.item in sorted(counts, key=lambda i: (-counts[i], i))[:setting],
            "min_count": lambda: counts[r.item] >= setting,
            "min_length": lambda: lengths[r.session] >= setting,
            "max_length": lambda: rest <= setting,
        }[name]()

    return [r for i, r in enumerate(rows) if fits(i, r)]


def slow_filters(rows: list[Row], s: dict[str, Any]) -> tuple[list[Row], list[RemovedCounts]]:
    """All filters in their order. Raises DataError like the filters."""
    gone: dict[str, list[int]] = {}
    last = max((r.time for r in rows), default=0)

    def run(name: str, rows: list[Row]) -> list[Row]:
        left = slowly(rows, name, s, last)
        if not left:
            raise DataError(f"the filter {name} = " if rows else "no events to filter")
        sizes = [len({r[n] for r in rows}) - len({r[n] for r in left}) for n in (0, 1)] + [len(rows) - len(left)]
        gone[name] = [a + b for a, b in zip(gone.get(name, [0, 0, 0]), sizes, strict=True)]
        return left

    def on(*names: str) -> list[str]:
        return [name for name in names if s[name] not in (None, "none")]

    at = s["duplicates_at"]
    for name in on("kinds", "min_rating", "days", "min_tracks", *(["duplicates"] if at == "start" else []), "top"):
        rows = run(name, rows)
    number = changed = 0
    while on(*REPEATED) and number != s["rounds"]:
        before, number = rows, number + 1
        for name in on(*REPEATED):
            rows = run(name, rows)
        if rows == before:
            break
        changed = number
    if at == "end":
        for name in on("duplicates"):
            rows = run(name, rows)
    removed = []
    for name, sizes in gone.items():
        setting = ",".join(s[name]) if name == "kinds" else s[name]
        removed.append(RemovedCounts(name, setting, *sizes, rounds=max(1, changed) if name in REPEATED else 1))
    return rows, removed


def check(rows: list[Row], settings: dict[str, Any]) -> None:
    s = {f: getattr(Filters(min_length=None), f) for f in Filters.__dataclass_fields__} | settings
    events = events_of(rows)
    if settings.get("kinds") and not {"play", "buy"} <= {r.kind for r in rows}:
        return
    try:
        left, want = slow_filters(rows, s)
    except DataError as e:
        with pytest.raises(DataError, match=str(e)):
            Filters(**s).apply(events)
        return
    got, removed = Filters(**s).apply(events)
    assert removed == want
    ids = got.sessions.ids[got.session].tolist(), got.items.ids[got.item].tolist()
    assert got.kinds is not None and got.kind is not None and got.weight is not None and got.time is not None
    columns = (*ids, got.kinds.ids[got.kind].tolist(), got.weight.astype(int).tolist(), (got.time // DAY).tolist())
    assert [Row(*row) for row in zip(*columns, strict=True)] == left
    assert got.items is events.items


ALONE: list[dict[str, Any]] = [
    {"kinds": ("buy",)}, {"min_rating": 2.0}, {"days": 4.0}, {"min_tracks": 3}, {"duplicates": "all"},
    {"duplicates": "consecutive"}, {"duplicates": "all", "duplicates_at": "end"}, {"top": 3}, {"min_count": 4},
    {"min_length": 5}, {"max_length": 6}, {"max_length": 6, "long": "cut"}, {"min_count": 4, "min_length": 4},
]  # fmt: skip


@pytest.mark.parametrize("alone", ALONE, ids=str)
@draw.given(rows, examples=100)
def test_each_filter_equals_a_slow_reference(alone: dict[str, Any], rows: list[Row]) -> None:
    check(rows, alone)


@draw.given(rows, settings, examples=300)
def test_all_filters_equal_a_slow_reference(rows: list[Row], settings: dict[str, Any]) -> None:
    check(rows, settings)


@draw.given(rows, settings, st.integers(1, 20), examples=100)
def test_results_do_not_depend_on_the_chunk_size(rows: list[Row], settings: dict[str, Any], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_budget, "CHUNK_EVENTS", at_once)
        patch.setattr(filter_state, "SORT_BLOCK", at_once)
        check(rows, settings)


@draw.given(rows, limit, limit, st.one_of(st.none(), st.integers(5, 9)), st.sampled_from(["drop", "cut"]), examples=200)
def test_filters_applied_again_remove_nothing(
    rows: list[Row], min_count: int, min_length: int, max_length: int, long: Any
) -> None:
    filters = Filters(min_count=min_count, min_length=min_length, max_length=max_length, long=long)
    try:
        once, _ = filters.apply(events_of(rows))
    except DataError:
        return
    again, removed = filters.apply(once)
    assert again is once
    assert all((r.sessions, r.items, r.events, r.rounds) == (0, 0, 0, 1) for r in removed)
    if min_count:
        assert np.bincount(once.item)[once.item].min() >= min_count
    lengths = np.bincount(once.session)[once.session]
    assert min_length is None or lengths.min() >= min_length
    assert max_length is None or lengths.max() <= max_length


def of_words(*words: str) -> Events:
    return Events.of([s for s, word in enumerate(words) for _ in word], [i for word in words for i in word])


def words_of(events: Events) -> list[str]:
    items = events.items.ids[events.item]
    return ["".join(items[events.session == s]) for s in dict.fromkeys(events.session.tolist())]


def test_filters_repeat_until_nothing_is_removed() -> None:
    """d is mentioned once; without it the last session is too short, and without that c is too rare …"""
    events = of_words("ababab", "abc", "cd")
    got, removed = Filters(min_count=2).apply(events)
    assert words_of(got) == ["ababab", "ab"]
    assert removed == [RemovedCounts("min_count", 2, 0, 2, 2, 2), RemovedCounts("min_length", 2, 1, 0, 1, 2)]
    got, removed = Filters(min_count=2, rounds=1).apply(events)
    assert words_of(got) == ["ababab", "abc"]
    assert removed == [RemovedCounts("min_count", 2, 0, 1, 1), RemovedCounts("min_length", 2, 1, 0, 1)]


def test_duplicates_are_removed_first_or_last() -> None:
    events = of_words("aaab", "aabaa")
    assert words_of(Filters(duplicates="consecutive").apply(events)[0]) == ["ab", "aba"]
    assert words_of(Filters(duplicates="all").apply(events)[0]) == ["ab", "ab"]
    at_start = {"duplicates": "consecutive", "min_length": 3}
    assert words_of(Filters(**at_start).apply(events)[0]) == ["aba"]
    assert words_of(Filters(**at_start, duplicates_at="end").apply(events)[0]) == ["ab", "aba"]


def test_long_sessions_keep_their_end() -> None:
    events = of_words("abcde", "ab")
    assert words_of(Filters(max_length=3, long="cut").apply(events)[0]) == ["cde", "ab"]
    assert words_of(Filters(max_length=3).apply(events)[0]) == ["ab"]


def test_min_tracks_counts_events_with_duplicates() -> None:
    got, removed = Filters(min_tracks=3, duplicates="all", min_length=1).apply(of_words("aaa", "ab"))
    assert words_of(got) == ["a"]
    assert removed == [
        RemovedCounts("min_tracks", 3, 1, 1, 2),
        RemovedCounts("duplicates", "all", 0, 0, 2),
        RemovedCounts("min_length", 1, 0, 0, 0),
    ]


def test_kinds_may_be_integers() -> None:
    events = Events.of(["s"] * 4, list("abca"), kind=[0, 1, 1, 0])
    got, removed = Filters(kinds=("1",)).apply(events)
    assert words_of(got) == ["bc"]
    assert removed[0] == RemovedCounts("kinds", "1", 0, 1, 2)


def test_filters_that_remove_nothing_return_the_same_events() -> None:
    events = of_words("ab")
    got, removed = Filters().apply(events)
    assert got is events
    assert removed == [RemovedCounts("min_length", 2, 0, 0, 0)]
    assert Filters(min_length=None).apply(events)[1] == []


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Filters(min_count=3).apply(of_words("ab")),
            DataError,
            "the filter min_count = 3 removed the last of 2 events; relax it or an earlier filter",
        ),
        (
            lambda: Filters(min_rating=2.0).apply(replace(of_words("ab"), weight=np.ones(2, dtype=np.float32))),
            DataError,
            "the filter min_rating = 2 removed the last of 2 events; relax it or an earlier filter",
        ),
        (lambda: Filters().apply(of_words()), DataError, "there are no events to filter; check the input"),
        (lambda: Filters(top=0), SettingsError, "filter 'top' must be at least 1, but is 0"),
        (lambda: Filters(rounds=0), SettingsError, "filter 'rounds' must be at least 1, but is 0"),
        (
            lambda: Filters(days=-1.0),
            SettingsError,
            "filter 'days' must be a positive number of days, but is -1.0",
        ),
        (
            lambda: Filters(min_length=5, max_length=4),
            SettingsError,
            "no session can pass: min_length is 5, but max_length is 4",
        ),
        (
            lambda: Filters(kinds=("bye",)).apply(events_of([Row(1, "a", "buy"), Row(1, "b", "play")])),
            SettingsError,
            "no event is of kind 'bye'; did you mean 'buy'?; available kinds are buy, play",
        ),
        (
            lambda: Filters(days=2.0).apply(of_words("ab")),
            SettingsError,
            "the filter days needs the time of every event, but the data has none; name its column with --time, or "
            "leave the filter out",
        ),
        (
            lambda: Filters(min_rating=2.0).apply(of_words("ab")),
            SettingsError,
            "the filter min_rating needs the weight of every event, but the data has none; name its column with "
            "--weight, or leave the filter out",
        ),
        (
            lambda: Filters(kinds=("buy",)).apply(of_words("ab")),
            SettingsError,
            "the filter kinds needs the kind of every event, but the data has none; name its column with --kind, or "
            "leave the filter out",
        ),
    ],
)
def test_invalid_filters_are_refused(make: Any, error: type, message: str) -> None:
    with pytest.raises(error) as refused:
        make()
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("days", "last", "has_note"), [(90, 40_000, True), (90, 160, True), (90, 120, False), (9, 99, False)]
)
def test_a_note_reports_an_event_far_after_all_others(days: float, last: int, has_note: bool) -> None:
    """Days are counted back from the last event, so that one wrong time drops all others."""
    times = np.array([*range(100), last], dtype=np.int64) * DAY
    events = Events.of(np.arange(101) % 7, np.arange(101) % 9, time=times)
    _, (removed, *_) = Filters(days=days, min_length=None).apply(events)
    assert removed.filter == "days"
    assert bool(removed.note) == has_note
    if has_note:
        assert removed.note.startswith("the last 1 events (") and "others, which end on 1970-04-10" in removed.note
