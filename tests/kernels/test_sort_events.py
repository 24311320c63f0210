"""The steps of a sort by session and key, each against NumPy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.sort_events import count, scatter, sort_part, sort_sessions
from tests.conftest import read_only

SESSIONS = 12
events = st.lists(st.integers(0, SESSIONS - 1), max_size=40)


def array(values: list[int]) -> np.ndarray:
    return read_only(np.array(values, dtype=np.int32))


@given(events)
def test_count_adds_to_existing_counts(session: list[int]) -> None:
    counts = np.ones(SESSIONS, dtype=np.int64)
    count(array(session), counts)
    assert counts.tolist() == [1 + session.count(s) for s in range(SESSIONS)]


@given(events, st.integers(0, 2))
def test_scatter_keeps_the_order_within_a_part(session: list[int], shift: int) -> None:
    blocks = (SESSIONS - 1 >> shift) + 1
    part = np.arange(blocks, dtype=np.int16) // 2
    parts = [int(part[s >> shift]) for s in session]
    starts = np.array([sum(p < i for p in parts) for i in range(part[-1] + 1)], dtype=np.int64)
    ends = [*starts[1:], len(session)]
    out = np.full(len(session), -1, dtype=np.int64)
    scatter(array(session), shift, read_only(part), starts, read_only(np.arange(len(session))), out)
    assert out.tolist() == np.argsort(parts, kind="stable").tolist()
    assert starts.tolist() == ends


@given(events, st.integers(0, 3))
def test_sort_part_is_stable(session: list[int], first: int) -> None:
    session = [s + first for s in session]
    offsets = np.array([sum(s - first < i for s in session) for i in range(SESSIONS + 1)], dtype=np.int64)
    order = np.full(len(session), -1, dtype=np.int32)
    sort_part(array(session), first, read_only(offsets), order)
    assert order.tolist() == np.argsort(session, kind="stable").tolist()


@given(
    st.lists(
        st.lists(st.integers(-2, 2), max_size=6) | st.lists(st.integers(-9, 9), min_size=31, max_size=50), max_size=5
    )
)
def test_sessions_are_sorted_by_key_and_equal_keys_keep_their_order(keys: list[list[int]]) -> None:
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in keys])]).astype(np.int64)
    flat = np.array([key for each in keys for key in each], dtype=np.float64)
    order = np.arange(len(flat), dtype=np.int32)
    sort_sessions(read_only(flat), read_only(offsets), order)
    session = np.repeat(np.arange(len(keys)), np.diff(offsets))
    assert order.tolist() == np.lexsort([flat, session]).tolist()
