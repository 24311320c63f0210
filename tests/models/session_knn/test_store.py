"""The stored sessions of session kNN against lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.errors import DataError
from embedrec.models.session_knn.store import Order, SessionStore
from tests.data import strategies as draw
from tests.models.session_knn.past_sessions import LETTERS, pasts, sessions_of
from tests.models.session_knn.slow_knn import Past

Stored = list[tuple[int, str, int | None, float | None]]  # number, items, time, mean weight of each session


def contents(store: SessionStore) -> Stored:
    """The sessions of a store in their order; also checks the mark of items that occur again later in a session."""
    rows = np.maximum(store.items, ~store.items)
    stored: Stored = []
    for s in range(len(store)):
        part = slice(store.offsets[s], store.offsets[s + 1])
        items = rows[part].tolist()
        assert (store.items[part] < 0).tolist() == [item in items[place + 1 :] for place, item in enumerate(items)]
        time = None if store.times is None else int(store.times[s])
        weight = None if store.weights is None else float(store.weights[s])
        stored.append((int(store.numbers[s]), "".join(LETTERS.ids[items]), time, weight))
    return stored


def sorted_sessions(past: list[Past], order: Order) -> Stored:
    """Slow reference of a store: by mean weight if that is the order, then by time, then by number."""
    stored: Stored = []
    for number, one in enumerate(past):
        time = None if one.times is None else one.times[0 if order == "first" else -1] if one.times else LONG_AGO
        weight = None if order != "weight" else sum(one.weights or []) / len(one.items) if one.items else 0.0
        stored.append((number, "".join(one.items), time, weight))
    return sorted(stored, key=lambda s: (s[3] or 0, s[2] or 0, s[0]))


LONG_AGO = np.iinfo(np.int64).min
ORDERS: list[Order] = ["last", "first", "weight"]


@draw.given(pasts(), st.sampled_from(ORDERS))
def test_sessions_are_sorted_by_preference(past: list[Past], order: Order) -> None:
    store = SessionStore.of(sessions_of(past), order)
    assert contents(store) == sorted_sessions(past, order)
    again = SessionStore.from_arrays(store.arrays, len(LETTERS))
    assert contents(again) == contents(store)
    sessions = store.sessions(LETTERS)
    assert [sessions[s].tolist() for s in range(len(sessions))] == [
        LETTERS.rows(list(items)).tolist() for _, items, _, _ in contents(store)
    ]
    assert sessions.ids.tolist() == store.numbers.tolist()


@draw.given(pasts(), st.integers(0, 12), st.sampled_from(ORDERS))
def test_joined_stores_equal_the_store_of_all_sessions(past: list[Past], cut: int, order: Order) -> None:
    old, new = past[:cut], past[cut:]
    if old and new:
        joined = SessionStore.of(sessions_of(old), order).join(SessionStore.of(sessions_of(new), order))
        assert contents(joined) == sorted_sessions(past, order)


@draw.given(pasts(), st.integers(0, 13))
def test_the_newest_sessions(past: list[Past], count: int) -> None:
    store = SessionStore.of(sessions_of(past), "last")
    newest = sorted_sessions(past, "last")[max(0, len(past) - count) :]
    mask = store.newest(count)
    assert [stored for stored, keep in zip(contents(store), mask, strict=True) if keep] == newest
    kept = store.filter(mask)  # numbered again from 0, in the order of the old numbers
    order = sorted(number for number, *_ in newest)
    assert contents(kept) == [(order.index(number), *rest) for number, *rest in newest]


def test_sessions_with_a_required_event() -> None:
    past = [Past(list("ab"), kinds=["view", "buy"]), Past([], kinds=[]), Past(["c"], kinds=["view"])]
    store = SessionStore.of(sessions_of(past), "last", "buy")
    assert store.eligible is not None and store.eligible.tolist() == [1, 0, 0]
    assert store.arrays["found"] is store.eligible and "eligible" not in store.arrays


@pytest.mark.parametrize(
    ("past", "order", "kind", "message"),
    [
        (
            [Past(["a"])],
            "weight",
            None,
            "sampling by weighted_events needs a weight of every event, but the sessions have none; name their column "
            "when preparing, or choose another sampling",
        ),
        (
            [Past(["a"])],
            "last",
            "buy",
            "required_event='buy' needs kinds of events, but the sessions have none; name their column "
            "when preparing, or leave required_event out",
        ),
        ([Past(["a"], kinds=["buy"])], "last", "sell", "no event is of the kind 'sell'; kinds are 'buy', 'view'"),
    ],
)
def test_missing_columns(past: list[Past], order: Order, kind: str | None, message: str) -> None:
    with pytest.raises(DataError) as error:
        SessionStore.of(sessions_of(past), order, kind)
    assert str(error.value) == message


def test_stores_with_and_without_times() -> None:
    timed, untimed = (SessionStore.of(sessions_of([Past(["a"], times)]), "last") for times in ([5], None))
    for store, newer, ours, theirs in ((timed, untimed, "times", "no times"), (untimed, timed, "no times", "times")):
        with pytest.raises(DataError) as error:
            store.join(newer)
        assert str(error.value) == (
            f"the model's sessions have {ours}, but the new ones have {theirs}; prepare both alike"
        )


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("offsets", [1, 2, 4], "offsets of sessions must ascend from 0"),
        ("offsets", [0, 5, 4], "offsets of sessions must ascend from 0"),
        ("items", [0, 1, 6, 1], "items of sessions must be rows of 6 items, but some are out of range"),
        ("items", [0, 1, -7, 1], "items of sessions must be rows of 6 items, but some are out of range"),
        ("numbers", [1, 1], "2 sessions must have the numbers 0 … 1, each once"),
        ("times", [5, 4], "sessions must be sorted by times, but are not"),
        ("times", [5, 6, 7], "times of 2 sessions must be int64"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, array: list[int], message: str) -> None:
    arrays = SessionStore.of(sessions_of([Past(list("ab"), [1, 2]), Past(list("bc"), [3, 4])]), "last").arrays
    arrays[name] = np.array(array, dtype=arrays[name].dtype)
    with pytest.raises(DataError, match=message):
        SessionStore.from_arrays(arrays, len(LETTERS))
