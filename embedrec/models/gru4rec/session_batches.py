"""Session-parallel mini-batches: B sessions in parallel, each advances one step per batch.

Hidasi et al. 2016: a stream whose session ends takes the next session and resets its state; when none is left, the
batch shrinks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.training.loop import Batch

BLOCK_EVENTS = 1 << 17  # events of a block: 1 MB


@dataclass(frozen=True, eq=False)
class Streams:
    """Training sessions as B streams.

    sessions  those with two or more events are used
    order     (m,) int64 these sessions, by the time of their first event where there are times
    count     B, the streams: at most as many as such sessions
    """

    sessions: Sessions
    order: np.ndarray
    count: int

    @classmethod
    def of(cls, sessions: Sessions, batch: int) -> Streams:
        """Sessions in at most `batch` streams."""
        order = np.flatnonzero(sessions.lengths >= 2)
        if sessions.times is not None:
            order = order[np.argsort(sessions.times[sessions.offsets[order]], kind="stable")]
        return cls(sessions, order, min(batch, len(order)))

    @property
    def examples(self) -> int:
        """Events that are not the last of their session."""
        return int((self.sessions.lengths[self.order] - 1).sum())

    def blocks(self) -> Iterator[np.ndarray]:
        """The input event of each stream in each step: (t, B) int64, −1 for none; the next event is the target."""
        from embedrec.kernels.session_streams import advance_streams

        place, last = np.zeros(self.count, dtype=np.int64), np.zeros(self.count, dtype=np.int64)
        started, left = 0, self.examples
        while left:
            events = np.empty((max(1, BLOCK_EVENTS // self.count), self.count), dtype=np.int64)
            started = advance_streams(self.sessions.offsets, self.order, place, last, started, events)
            lengths = np.count_nonzero(events >= 0, axis=1)
            yield events[: np.count_nonzero(lengths)]
            left -= int(lengths.sum())


@dataclass(frozen=True)
class StreamBatch(Batch):
    """A step of some streams, whose numbers are `each[0]`, ascending.

    streams  the initial number; each process keeps the same part of them, whose states it holds
    """

    streams: int = 0

    def part(self, number: int, count: int) -> Batch:
        """The rows of the streams of process `number` among `count`."""
        streams = self.each[0].tolist()
        start, stop = (bisect_left(streams, self.streams * n // count) for n in (number, number + 1))
        return Batch(tuple(tensor[start:stop] for tensor in self.each), self.shared)
