"""Random sessions for session kNN."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embedrec.data import Sessions, Vocab
from tests.conftest import of_lists


def long_tail_sessions(sessions: int = 4000, n: int = 800, seed: int = 0) -> Sessions:
    """Sessions of popular and rare items, some of them popular only for a while; with times."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, sessions)
    where = np.repeat(np.arange(sessions), lengths)
    items = (n * rng.random(len(where)) ** 4).astype(np.int64)
    burst = (where // 300 % 3 == 1) & (rng.random(len(where)) < 0.5)
    items[burst] = 1 + where[burst] // 900
    made = of_lists(np.split(items, np.cumsum(lengths)[:-1]), Vocab(np.arange(n)))
    return replace(made, times=where * 1000)


def long_histories(n: int, count: int = 600) -> Sessions:
    rng = np.random.default_rng(1)
    lists = [(n * rng.random(rng.integers(0, 30)) ** rng.integers(1, 6)).astype(int).tolist() for _ in range(count)]
    return of_lists(lists, Vocab(np.arange(n)))


def topic_sessions(count: int, n: int = 60, seed: int = 0) -> Sessions:
    """Sessions with repeats and times, around topics of ten items."""
    rng = np.random.default_rng(seed)
    topics = rng.integers(0, n // 10, count)
    lists = [(10 * t + rng.integers(0, 10, rng.integers(1, 9))).tolist() for t in topics]
    sessions = of_lists(lists, Vocab(np.arange(n), counts=np.full(n, 9)))
    times = np.sort(rng.integers(0, 10**10, count))
    return replace(sessions, times=np.repeat(times, sessions.lengths))
