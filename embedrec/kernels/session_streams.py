"""Session-parallel batches: the event of each of B streams, step by step (Hidasi et al. 2016)."""

from __future__ import annotations

import numba


@numba.njit(nogil=True, cache=True)
def advance_streams(offsets, order, place, last, started, events):  # type: ignore[no-untyped-def]
    """Advance B streams by t steps; a stream whose session has ended takes the next session of the order.

    offsets      (S+1,) of the sessions
    order        sessions of two events or more, in the order in which streams take them
    place, last  (B,) int64, written: the next event of each stream and the last event of its session, which is
                 never an input; equal where a session is over, as at the beginning
    started        number of sessions that streams have taken
    events       (t, B) int64, written: the event of each step and stream, −1 for a stream that has no more

    Returns the new number of sessions that streams have taken.
    """
    for t in range(events.shape[0]):
        for b in range(place.shape[0]):
            if place[b] == last[b] and started < order.shape[0]:
                session = order[started]
                started += 1
                place[b], last[b] = offsets[session], offsets[session + 1] - 1
            if place[b] == last[b]:
                events[t, b] = -1
            else:
                events[t, b] = place[b]
                place[b] += 1
    return started
