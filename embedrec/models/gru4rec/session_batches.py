"""Session-parallel mini-batches: B sessions side by side, each a step further in every batch.

Hidasi et al. 2016: a stream whose session has ended takes the next session, and forgets; when there is none left the
batch shrinks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.training.loop import Batch

_BLOCK = 1 << 17  # events dealt at a time: 1 MB


@dataclass(frozen=True, eq=False)
class Streams:
    """The sessions of a training as B streams.

    sessions  of which those of two events or more are dealt
    order     (m,) int64 these sessions, by the time of their first event where there are times
    count     B, the streams: no more than there are such sessions
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
        """Events that have one after them in their session."""
        return int((self.sessions.lengths[self.order] - 1).sum())

    def blocks(self) -> Iterator[np.ndarray]:
        """The event that each stream stands at in each step: (t, B) int64, −1 for none; the event after it is asked."""
        from embedrec.kernels.session_streams import deal_steps

        place, last = np.zeros(self.count, dtype=np.int64), np.zeros(self.count, dtype=np.int64)
        dealt, left = 0, self.examples
        while left:
            events = np.empty((max(1, _BLOCK // self.count), self.count), dtype=np.int64)
            dealt = deal_steps(self.sessions.offsets, self.order, place, last, dealt, events)
            there = np.count_nonzero(events >= 0, axis=1)
            yield events[: np.count_nonzero(there)]
            left -= int(there.sum())


@dataclass(frozen=True)
class StreamBatch(Batch):
    """A step of some streams, whose numbers are `each[0]`, ascending.

    streams  how many there were at first; each process keeps its part of them to the end, where their state is
    """

    streams: int = 0

    def part(self, number: int, count: int) -> Batch:
        """The rows of the streams of process `number` among `count`."""
        mine = self.each[0].tolist()
        start, stop = (bisect_left(mine, self.streams * n // count) for n in (number, number + 1))
        return Batch(tuple(tensor[start:stop] for tensor in self.each), self.shared)
