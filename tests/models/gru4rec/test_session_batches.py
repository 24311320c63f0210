"""Session-parallel batches: against a loop over sessions, and shared out among processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.models.gru4rec import session_batches
from embedrec.models.gru4rec.session_batches import StreamBatch, Streams

LENGTHS = st.lists(st.integers(0, 6), max_size=12)


def sessions_of(lengths: list[int], times: np.ndarray | None = None) -> Sessions:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    items = np.arange(offsets[-1]) % 7
    return Sessions(offsets, items, Vocab(np.arange(7)), np.arange(len(lengths)), times=times)


def slow_steps(sessions: Sessions, order: list[int], count: int) -> list[list[int]]:
    """The events of each step, from lists of what each stream has yet to stand at."""
    waiting = [list(range(sessions.offsets[s], sessions.offsets[s + 1] - 1)) for s in order]
    streams: list[list[int]] = [[] for _ in range(count)]
    steps = []
    while any(streams) or waiting:
        events = []
        for b in range(count):
            if not streams[b] and waiting:
                streams[b] = waiting.pop(0)
            events.append(streams[b].pop(0) if streams[b] else -1)
        steps.append(events)
    return steps


@given(LENGTHS, st.integers(1, 5), st.integers(1, 9))
def test_streams_against_a_slow_loop(lengths: list[int], batch: int, block: int) -> None:
    sessions = sessions_of(lengths)
    streams = Streams.of(sessions, batch)
    order = [s for s, length in enumerate(lengths) if length >= 2]
    assert streams.order.tolist() == order and streams.count == min(batch, len(order))
    assert streams.examples == sum(lengths[s] - 1 for s in order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_batches, "BLOCK_EVENTS", block)
        result = [events.tolist() for block in streams.blocks() for events in block]
    assert result == slow_steps(sessions, order, streams.count)


def test_sessions_are_assigned_in_order_of_time() -> None:
    times = np.array([50, 60, 10, 90, 10, 20, 70, 71, 72])
    streams = Streams.of(sessions_of([2, 2, 1, 2, 2], times), 2)
    assert streams.order.tolist() == [1, 3, 0, 4]  # begin at 10, 20, 50, 71; the third is too short


def test_a_process_keeps_its_streams() -> None:
    count = 5
    for left in ([0, 1, 2, 3, 4], [0, 3, 4], [1], []):
        streams = torch.tensor(left, dtype=torch.int64)
        batch = StreamBatch((streams, streams * 10), (torch.arange(3),), count)
        parts = [batch.part(number, 2) for number in range(2)]
        assert parts[0].each[0].tolist() == [b for b in left if b < 2]
        assert parts[1].each[1].tolist() == [b * 10 for b in left if b >= 2]
        assert all(torch.equal(part.shared[0], torch.arange(3)) for part in parts)
