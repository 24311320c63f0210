"""What a split rule selects from sessions, and what it knows of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.splitting.holdout import HeldOut


@dataclass(frozen=True, eq=False)
class Facts:
    """What a rule knows of all sessions when it selects from some of them.

    cut    moment in ms from which events are held out, for rules in time
    known  (n,) bool items with a training event, for `WarmTime`
    held   (S,) bool held-out sessions, for rules that choose among all sessions
    """

    cut: int = 0
    known: np.ndarray | None = None
    held: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Selection:
    """The parts of S sessions with E events.

    train, test    (S,) bool sessions of the training part and of the held-out part
    given          (S,) int64 first events of a held-out session that are given
    train_events   (E,) bool events of the training part, None for all of its sessions
    test_events    the same of the held-out part
    """

    train: np.ndarray
    test: np.ndarray
    given: np.ndarray
    train_events: np.ndarray | None = None
    test_events: np.ndarray | None = None

    @classmethod
    def whole(cls, held: np.ndarray) -> Selection:
        """Hold out the sessions of a mask (S,)."""
        return cls(~held, held, np.zeros(len(held), dtype=np.int64))

    def train_part(self, sessions: Sessions) -> Sessions:
        """The training part of these sessions, in their vocabulary."""
        return _part(sessions, self.train, self.train_events)

    def test_part(self, sessions: Sessions) -> HeldOut:
        """The held-out part of these sessions, in their vocabulary."""
        return HeldOut(_part(sessions, self.test, self.test_events), self.given[self.test])


class Moments(Protocol):
    """The times of E events in order."""

    def __len__(self) -> int: ...

    def last(self) -> int:
        """The last, in ms."""
        ...

    def nth(self, place: int) -> int:
        """The one at a place, from 0, in ms."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayMoments:
    """The times (E,) of events as `Moments`."""

    times: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    def last(self) -> int:
        """See `Moments.last`."""
        return int(self.times.max())

    def nth(self, place: int) -> int:
        """See `Moments.nth`."""
        return int(np.partition(self.times, place)[place])


def _part(sessions: Sessions, chosen: np.ndarray, events: np.ndarray | None) -> Sessions:
    kept = sessions if events is None else sessions.filter_events(events)
    return kept.take(np.flatnonzero(chosen))
