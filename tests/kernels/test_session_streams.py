"""Streams of sessions, event by event, against a queue."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.session_streams import advance_streams
from tests.conftest import read_only


@given(st.lists(st.integers(2, 5), max_size=8), st.integers(1, 4), st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_steps_of_blocks_equal_a_slow_loop(lengths: list[int], streams: int, blocks: list[int]) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    order = np.random.default_rng(0).permutation(len(lengths))
    place, last, dealt = np.zeros(streams, np.int64), np.zeros(streams, np.int64), 0
    waiting = [list(range(offsets[s], offsets[s + 1] - 1)) for s in order]
    current: list[list[int]] = [[] for _ in range(streams)]
    for steps in blocks:
        events = np.full((steps, streams), 99)
        dealt = advance_streams(read_only(offsets), read_only(order), place, last, dealt, events)
        for step in events.tolist():
            for b, event in enumerate(step):
                if not current[b] and waiting:
                    current[b] = waiting.pop(0)
                assert event == (current[b].pop(0) if current[b] else -1)
        assert dealt == len(lengths) - len(waiting)
