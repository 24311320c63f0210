"""Events: sorted by (session, time, original order), coded, validated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data.events import Events, factorize
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from tests.data import strategies as draw

rows = st.lists(st.tuples(draw.few, draw.few, st.integers(0, 3), st.floats(0, 5, width=32)), max_size=30)


@draw.given(rows)
def test_sorted_by_session_time_and_original_order(rows: list) -> None:
    events = Events.of(
        [r[0] for r in rows],
        [r[1] for r in rows],
        time=np.array([r[2] for r in rows], dtype=np.int64),
        weight=np.array([r[3] for r in rows], dtype=np.float32),
        kind=[r[1] for r in rows],
        user=[r[0] for r in rows],
        names={"a": "A", "zz": "not there"},
    )
    sessions = list(dict.fromkeys(r[0] for r in rows))
    want = sorted(rows, key=lambda r: (sessions.index(r[0]), r[2]))  # sorted() is stable
    assert events.sessions.ids.tolist() == sessions
    got = zip(
        events.sessions.ids[events.session].tolist(),
        events.items.ids[events.item].tolist(),
        events.time.tolist(),
        events.weight.tolist(),
        strict=True,
    )
    assert list(got) == want
    assert events.kinds.ids[events.kind].tolist() == [r[1] for r in want]
    assert events.users.ids[events.user].tolist() == [r[0] for r in want]
    assert [events.items.name(i) for i in events.item] == ["A" if r[1] == "a" else "" for r in want]


@draw.given(st.lists(st.tuples(draw.few, draw.few), max_size=30))
def test_without_time_the_original_order_counts(rows: list) -> None:
    events = Events.of([r[0] for r in rows], [r[1] for r in rows])
    sessions = list(dict.fromkeys(r[0] for r in rows))
    assert events.items.ids[events.item].tolist() == [r[1] for r in sorted(rows, key=lambda r: sessions.index(r[0]))]


@draw.given(draw.ids)
def test_factorize_numbers_by_first_appearance(ids: list) -> None:
    rows, vocab = factorize(ids)
    distinct = list(dict.fromkeys(ids))
    assert vocab.ids.tolist() == distinct
    assert rows.tolist() == [distinct.index(i) for i in ids]
    assert rows.dtype == np.int32


@draw.given(st.lists(st.tuples(draw.few, draw.few, st.booleans()), max_size=30))
def test_take_keeps_columns_together(rows: list) -> None:
    events = Events.of([r[0] for r in rows], [r[1] for r in rows], time=np.arange(len(rows)))
    keep = np.array([rows[t][2] for t in events.time], dtype=bool)
    part = events.filter(keep)
    assert part.time.tolist() == [t for t in events.time.tolist() if rows[t][2]]
    assert part.items.ids[part.item].tolist() == [rows[t][1] for t in part.time]
    assert part.items is events.items


def test_input_may_be_read_only() -> None:
    columns = [np.array([2, 1, 2]), np.array([5, 6, 7]), np.array([3, 2, 1]), np.array([1, 2, 3], np.float32)]
    for column in columns:
        column.flags.writeable = False
    events = Events.of(columns[0], columns[1], time=columns[2], weight=columns[3])
    assert events.items.ids[events.item].tolist() == [7, 5, 6]
    assert events.weight.tolist() == [3, 1, 2]


_AB = Vocab(["a", "b"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Events.of(["a"], ["x", "y"]),
            "columns of events must have the same length, but have [1, 2]",
        ),
        (
            lambda: Events(np.array([0, 1]), np.array([0, 0]), _AB, _AB, time=np.array([1])),
            "2 events were given 1 values of 'time'",
        ),
        (
            lambda: Events(np.array([1, 0]), np.array([0, 0]), _AB, _AB),
            "events must be sorted by session; make them with Events.of",
        ),
        (
            lambda: Events(np.array([0, 0]), np.array([0, 2]), _AB, _AB),
            "rows of 'item' must be in [0, 2), but range from 0 to 2",
        ),
        (
            lambda: Events(np.array([-1, 0]), np.array([0, 1]), _AB, _AB),
            "rows of 'session' must be in [0, 2), but range from -1 to 0",
        ),
        (
            lambda: Events.of(["a"], ["x"], weight=np.array([np.nan])),
            "weights of events must be finite; drop or repair the rows with NaN or infinity",
        ),
        (
            lambda: Events.of(["a"], ["x"], weight=np.array([np.inf])),
            "weights of events must be finite; drop or repair the rows with NaN or infinity",
        ),
    ],
)
def test_invalid_events_are_refused(make, message: str) -> None:
    with pytest.raises(DataError) as refused:
        make()
    assert str(refused.value) == message
