"""Which events an earlier log holds, with a set as the slow twin."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from embedrec.data.deliveries import first_deliveries
from tests.data.strategies import given

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), max_size=8)  # session, item, time


@given(st.lists(ROWS, min_size=2, max_size=4).filter(lambda logs: len(logs[0]) > 0))
def test_events_of_earlier_logs_are_repetitions(logs: list[list[tuple[int, int, int]]]) -> None:
    rows = np.array([row for log in logs for row in log])
    columns = {name: rows[:, c].astype(np.int32) for c, name in enumerate(("session", "item", "time"))}
    starts = np.cumsum([0, *map(len, logs)])
    kept = first_deliveries(columns, starts, 4, whole=False)
    whole = first_deliveries(columns, starts, 4, whole=True)
    untimed = {name: columns[name] for name in ("session", "item")}
    assert first_deliveries(untimed, starts, 4, whole=False).all()
    expected, expected_whole, events, sessions = [], [], set[tuple[int, int, int]](), set[int]()
    for log in logs:
        expected += [row not in events for row in log]
        expected_whole += [row[0] not in sessions for row in log]
        events |= set(log)
        sessions |= {session for session, _, _ in log}
    assert kept.tolist() == expected and whole.tolist() == expected_whole
