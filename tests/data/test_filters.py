"""Filters against a slow twin on lists, in the article's order."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import filters
from embedrec.data.events import Events
from embedrec.data.filters import Filters, Removed
from embedrec.errors import DataError, SettingsError
from tests.data import strategies as draw

_STEPS = ("min_tracks", "top", "min_count", "min_length", "max_length", "repeats")
rows = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcdefgh")), max_size=60)
limit = st.one_of(st.none(), st.none(), st.integers(1, 5))
settings = st.builds(
    lambda **k: k,
    min_tracks=limit,
    top=limit,
    min_count=limit,
    min_length=limit,
    max_length=st.one_of(st.none(), st.integers(5, 12)),
    repeats=st.sampled_from(["all", "first"]),
)


def slowly(rows: list[tuple[int, str]], step: str, setting: int | str) -> list[tuple[int, str]]:
    """One filter, on a list of (session, item)."""
    lengths, counts = Counter(r[0] for r in rows), Counter(r[1] for r in rows)
    if step in ("min_tracks", "min_length"):
        return [r for r in rows if lengths[r[0]] >= setting]
    if step == "max_length":
        return [r for r in rows if lengths[r[0]] <= setting]
    if step == "top":
        top = sorted(counts, key=lambda i: (-counts[i], i))[:setting]
        return [r for r in rows if r[1] in top]
    if step == "min_count":
        return [r for r in rows if counts[r[1]] >= setting]
    return list(dict.fromkeys(rows))  # the first mention of an item in a session


@pytest.mark.parametrize("step", _STEPS)
@draw.given(rows, st.integers(1, 8), examples=100)
def test_each_filter_against_a_slow_twin(step: str, rows: list, setting: int) -> None:
    alone = dict.fromkeys(_STEPS) | {"repeats": "all", step: "first" if step == "repeats" else setting}
    check(rows, alone)


@draw.given(rows, settings, examples=150)
def test_all_filters_against_a_slow_twin(rows: list, settings: dict) -> None:
    check(rows, settings)


def test_raw_rows_are_counted_before_anything_is_removed() -> None:
    rows = [(1, "a"), (1, "b"), (1, "c"), (2, "a"), (2, "b"), (3, "c"), (3, "c"), (3, "d")]
    check(rows, {**dict.fromkeys(_STEPS), "repeats": "all", "min_tracks": 3, "top": 1})
    got, removed = Filters(min_tracks=3, top=1, min_length=1).apply(Events.of(*zip(*rows, strict=True)))
    assert got.items.ids[got.item].tolist() == ["c", "c", "c"]
    assert [(r.filter, r.sessions, r.items, r.events) for r in removed] == [
        ("min_tracks", 1, 0, 2),
        ("top", 0, 3, 3),
        ("min_length", 0, 0, 0),
    ]


def check(rows: list, settings: dict) -> None:
    events = Events.of([r[0] for r in rows], [r[1] for r in rows])
    left = sorted(rows, key=lambda r: list(dict.fromkeys(s for s, _ in rows)).index(r[0]))
    want = []
    for step in _STEPS:
        if settings[step] in (None, "all"):
            continue
        before = left
        left = slowly(left, step, settings[step])
        if not left:
            with pytest.raises(DataError, match=f"the filter {step} = " if rows else "no events to filter"):
                Filters(**settings).apply(events)
            return
        gone = [len({r[n] for r in before}) - len({r[n] for r in left}) for n in (0, 1)]
        want.append(Removed(step, settings[step], *gone, len(before) - len(left)))
    got, removed = Filters(**settings).apply(events)
    assert removed == want
    assert [(got.sessions.ids[s], got.items.ids[i]) for s, i in zip(got.session, got.item, strict=True)] == left
    assert got.items is events.items


@draw.given(rows, st.integers(1, 20))
def test_first_mentions_in_small_parts(rows: list, at_once: int) -> None:
    events = Events.of([r[0] for r in rows], [r[1] for r in rows])
    mask = np.arange(len(rows)) % 4 > 0
    whole = filters.first_mentions(events, mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters, "_SORTED_AT_ONCE", at_once)
        patch.setattr(filters, "_CHUNK", at_once)
        assert filters.first_mentions(events, mask).tolist() == whole.tolist()
    seen: set = set()
    want = []
    for session, item, there in zip(events.session.tolist(), events.item.tolist(), mask.tolist(), strict=True):
        want.append(there and (session, item) not in seen)
        seen |= {(session, item)} if there else set()
    assert whole.tolist() == want


def test_times_and_weights_stay_with_their_events() -> None:
    events = Events.of(
        ["s", "s", "s", "t"], ["a", "b", "a", "b"], time=np.array([1, 2, 3, 4]), weight=np.array([5, 6, 7, 8])
    )
    got, _ = Filters(min_length=2, repeats="first").apply(events)
    assert (got.time.tolist(), got.weight.tolist()) == ([1, 2], [5, 6])


def test_nothing_to_do_gives_the_same_events() -> None:
    events = Events.of(["s", "s"], ["a", "b"])
    got, removed = Filters().apply(events)
    assert got is events
    assert removed == [Removed("min_length", 2, 0, 0, 0)]
    assert Filters(min_length=None).apply(events)[1] == []


def test_repeats_are_removed_after_lengths_were_counted() -> None:
    got, removed = Filters(min_length=3, repeats="first").apply(Events.of(["s"] * 3, ["a"] * 3))
    assert len(got) == 1
    assert removed == [Removed("min_length", 3, 0, 0, 0), Removed("repeats", "first", 0, 0, 2)]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Filters(min_count=3).apply(Events.of(["s", "s"], ["a", "b"])),
            DataError,
            "the filter min_count = 3 removed the last of 2 events; loosen it or one of those before it",
        ),
        (
            lambda: Filters().apply(Events.of([], [])),
            DataError,
            "there are no events to filter; check the input",
        ),
        (lambda: Filters(top=0), SettingsError, "filter 'top' must be at least 1, but is 0"),
        (
            lambda: Filters(min_length=5, max_length=4),
            SettingsError,
            "no session can pass: min_length is 5, but max_length is 4",
        ),
    ],
)
def test_refused(make, error: type, message: str) -> None:
    with pytest.raises(error) as refused:
        make()
    assert str(refused.value) == message
