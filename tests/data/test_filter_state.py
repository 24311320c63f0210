"""The state of filtering against slow loops over lists, also when few events are processed at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import filter_state
from embedrec.data.events import Events
from embedrec.data.filter_state import (
    FilterState,
    first_mentions,
    keep_first_mentions,
    keep_first_of_run,
    keep_last,
    keep_top,
)
from embedrec.storage import memory_budget
from embedrec.storage.memory_budget import MemoryBudget
from tests.conftest import read_only

Rows = list[tuple[int, str]]  # session and item of each event
LISTS = [["a", "b", "a"], [], ["c", "c", "b", "c"], ["a"], ["b", "b", "d"]]
session_lists = st.lists(st.lists(st.sampled_from("abcde"), max_size=7), min_size=1, max_size=5)


@pytest.fixture(params=[1, 2, 3, 1 << 20], ids=lambda events: f"{events}-at-once", autouse=True)
def events_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(memory_budget, "CHUNK_EVENTS", request.param)
        patch.setattr(filter_state, "SORT_BLOCK", request.param)
        yield


def rows_of(lists: list[list[str]]) -> Rows:
    return [(number, item) for number, items in enumerate(filter(None, lists)) for item in items]


def state_of(rows: Rows) -> FilterState:
    return FilterState(Events.of([session for session, _ in rows], [item for _, item in rows]))


def remaining(state: FilterState) -> Rows:
    """The remaining events; the counts of the state fit them."""
    events = state.events
    rows = [
        (int(events.sessions.ids[s]), str(events.items.ids[i]))
        for s, i, kept in zip(events.session, events.item, state.mask, strict=True)
        if kept
    ]
    lengths, counts = Counter(session for session, _ in rows), Counter(item for _, item in rows)
    assert state.lengths.tolist() == [lengths[s] for s in events.sessions.ids.tolist()]
    assert state.counts.tolist() == [counts[i] for i in events.items.ids.tolist()]
    assert state.sizes() == (len(lengths), len(counts), len(rows))
    return rows


def slow_top(rows: Rows, most: int) -> Rows:
    counts = Counter(item for _, item in rows)
    kept = sorted(counts, key=lambda item: (-counts[item], item))[:most]
    return [row for row in rows if row[1] in kept]


def slow_last(rows: Rows, most: int) -> Rows:
    return [row for at, row in enumerate(rows) if sum(later[0] == row[0] for later in rows[at:]) <= most]


def slow_first_of_run(rows: Rows) -> Rows:
    return [row for at, row in enumerate(rows) if not at or rows[at - 1] != row]


def slow_first_mentions(rows: Rows) -> Rows:
    return list(dict.fromkeys(rows))


PASSES: dict[str, tuple[Callable[[FilterState], None], Callable[[Rows], Rows]]] = {
    **{f"top-{most}": (lambda s, m=most: keep_top(s, m), lambda r, m=most: slow_top(r, m)) for most in (1, 2, 3, 9)},
    **{f"last-{most}": (lambda s, m=most: keep_last(s, m), lambda r, m=most: slow_last(r, m)) for most in (1, 2, 9)},
    "first-of-run": (keep_first_of_run, slow_first_of_run),
    "first-mentions": (keep_first_mentions, slow_first_mentions),
}


@given(session_lists, st.lists(st.sampled_from(sorted(PASSES)), min_size=1, max_size=4))
def test_passes_equal_slow_loops_in_any_order(lists: list[list[str]], names: list[str]) -> None:
    """A pass counts only what the passes before it have left."""
    rows = rows_of(lists)
    state = state_of(rows)
    assert remaining(state) == rows
    for name in names:
        fast, slow = PASSES[name]
        fast(state)
        rows = slow(rows)
        assert remaining(state) == rows


@given(session_lists, st.sets(st.integers(0, 4)), st.sets(st.sampled_from("abcde")))
def test_sessions_and_items_are_kept_by_masks(lists: list[list[str]], sessions: set[int], items: set[str]) -> None:
    rows = rows_of(lists)
    state = state_of(rows)
    state.keep_sessions(read_only(np.isin(state.events.sessions.ids.astype(int), list(sessions))))
    rows = [row for row in rows if row[0] in sessions]
    assert remaining(state) == rows
    state.keep_items(read_only(np.array([item in items for item in state.events.items.ids.tolist()], dtype=bool)))
    assert remaining(state) == [row for row in rows if row[1] in items]


def test_masks_that_drop_nothing_read_no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    state = state_of(rows_of(LISTS))
    state.keep_items(state.events.items.ids != "d")

    def read(_: object) -> None:
        raise AssertionError("the events are read")

    monkeypatch.setattr(state, "keep", read)
    state.keep_items(state.events.items.ids != "d")
    state.keep_sessions(state.lengths > 0)
    keep_top(state, 3)
    keep_last(state, 4)
    with pytest.raises(AssertionError, match="the events are read"):
        keep_last(state, 3)


def test_items_of_equal_counts_are_kept_in_the_order_of_their_ids() -> None:
    state = state_of(rows_of([["d", "c"], ["b", "a", "e", "e"]]))
    keep_top(state, 3)
    assert remaining(state) == [(1, "b"), (1, "a"), (1, "e"), (1, "e")]


def test_masks_of_chunks_come_in_order() -> None:
    state = state_of(rows_of(LISTS))
    seen: list[int] = []

    def every_second(chunk: slice) -> np.ndarray:
        positions = np.arange(chunk.start, chunk.stop)
        seen.extend(positions.tolist())
        return positions % 2 == 0

    state.keep(every_second)
    assert seen == list(range(11))
    assert remaining(state) == rows_of(LISTS)[::2]


@given(session_lists, st.data())
def test_first_mentions_among_masked_events_against_a_slow_loop(lists: list[list[str]], data: st.DataObject) -> None:
    rows = rows_of(lists)
    mask = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    mentioned: set[tuple[int, str]] = set()
    expected = []
    for row, masked in zip(rows, mask, strict=True):
        expected.append(masked and row not in mentioned)
        mentioned |= {row} if masked else set()
    session = np.array([s for s, _ in rows], dtype=np.int32)
    item = np.array(["abcde".index(i) for _, i in rows], dtype=np.int32)
    first = first_mentions(read_only(session), read_only(item), 6, 5, read_only(np.array(mask, dtype=bool)))
    assert first.tolist() == expected


def test_first_mentions_under_a_memory_budget_are_in_a_file(tmp_path: object) -> None:
    session, item = np.zeros(5, dtype=np.int32), np.array([2, 0, 2, 1, 0], dtype=np.int32)
    first = first_mentions(session, item, 1, 3, np.ones(5, dtype=bool), memory=MemoryBudget(1 << 30))
    assert first.tolist() == [True, True, False, True, False]
    assert not first.flags.owndata
