"""Descriptive statistics of sessions: lengths, time span, sparsity, and concentration on popular items."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from embedrec.data.filter_state import first_mentions
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError


@dataclass(frozen=True)
class LengthStatistics:
    """Events per session; p90 and p99 are the smallest lengths that 90 % and 99 % of sessions do not exceed."""

    min: int
    median: float
    mean: float
    p90: int
    p99: int
    max: int


@dataclass(frozen=True)
class Bucket:
    """Sessions of `least` to `most` events."""

    least: int
    most: int
    sessions: int


@dataclass(frozen=True)
class SessionStatistics:
    """Statistics of sessions.

    items         distinct items that occur
    users         distinct users, or None if unknown
    first, last   times of the first and the last event, in milliseconds since 1970-01-01 UTC, or None
    sparsity      share of all pairs of a session and an item that do not occur
    repeats       share of events whose item occurs earlier in the session
    top_1, top_10 share of the events of the most frequent 1 % and 10 % of items, rounded up
    gini          Gini index of the item counts: 0 if all are equally frequent, towards 1 if one dominates (Gini 1912)
    median_item   events of the median item
    histogram     sessions by length, in buckets of doubling width: 1, 2, 3–4, 5–8, …
    """

    sessions: int
    items: int
    events: int
    users: int | None
    first: int | None
    last: int | None
    lengths: LengthStatistics
    sparsity: float
    repeats: float
    top_1: float
    top_10: float
    gini: float
    median_item: float
    histogram: tuple[Bucket, ...]


def describe(sessions: Sessions) -> SessionStatistics:
    """Statistics of sessions. Raises DataError when they have no events."""
    events, lengths = len(sessions.items), sessions.lengths
    if not events:
        raise DataError("there are no events to describe; prepare some sessions")
    counts = np.bincount(sessions.items)
    counts = np.sort(counts[counts > 0])  # (items,) ascending
    n = len(counts)
    session = np.repeat(np.arange(len(sessions), dtype=np.int32), lengths)
    everything = np.ones(events, dtype=bool)
    pairs = int(first_mentions(session, sessions.items, len(sessions), len(sessions.vocab), everything).sum())
    times = sessions.times
    p90, p99 = np.percentile(lengths, [90, 99], method="inverted_cdf").tolist()
    return SessionStatistics(
        sessions=len(sessions),
        items=n,
        events=events,
        users=None if sessions.users is None else len(set(sessions.users.tolist())),
        first=None if times is None else int(times.min()),
        last=None if times is None else int(times.max()),
        lengths=LengthStatistics(
            int(lengths.min()), float(np.median(lengths)), float(lengths.mean()), p90, p99, int(lengths.max())
        ),
        sparsity=1 - pairs / (len(sessions) * n),
        repeats=1 - pairs / events,
        top_1=float(counts[-ceil(n / 100) :].sum() / events),
        top_10=float(counts[-ceil(n / 10) :].sum() / events),
        gini=gini(counts),
        median_item=float(np.median(counts)),
        histogram=_histogram(lengths),
    )


def gini(counts: np.ndarray) -> float:
    """The Gini index (1912) of counts (n,): 0 if all are equal, (n − 1)/n if one has all; 0 for no counts."""
    total, n = int(counts.sum()), len(counts)
    if not total:
        return 0.0
    return float(2 * (np.arange(1, n + 1) @ np.sort(counts)) / (n * total) - (n + 1) / n)


def _histogram(lengths: np.ndarray) -> tuple[Bucket, ...]:
    """Buckets from the shortest to the longest session, including empty ones in between."""
    edges = [0, *(1 << b for b in range(int(lengths.max()).bit_length() + 1))]  # upper bounds: 0, 1, 2, 4, …
    counts = np.bincount(np.searchsorted(edges, lengths), minlength=len(edges)).tolist()
    filled = [b for b, count in enumerate(counts) if count]
    return tuple(
        Bucket(edges[b - 1] + 1 if b else 0, edges[b], counts[b]) for b in range(filled[0], filled[-1] + 1)
    )  # fmt: skip
