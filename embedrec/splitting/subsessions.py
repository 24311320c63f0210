"""Sub-sessions: every prefix of every session as a session of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import DataError, SettingsError

_MOST = 1 << 32  # events, which take 16 GB
COPIED_EVENTS = 1 << 20  # copied at a time, which keeps temporaries small


def sub_sessions(sessions: Sessions, shortest: int = 2) -> Sessions:
    """The prefixes of every session with at least `shortest` events (as in the article on SSCF in Python).

    A session of L events becomes L − shortest + 1 rows, in order of length, at the session's position and with its
    user; a shorter session becomes none. Rows keep times, weights and kinds, and have ids 0, 1, … The vocabulary and
    its counts do not change, so that it may contain items of no row.

    The number of events grows with the square of the length: about L²/2 a session, of 4 bytes, and 8 more with times.
    No other array of that size is allocated. Raises SettingsError for `shortest` below 1, and DataError for more than
    2³² events.
    """
    if shortest < 1:
        raise SettingsError(f"shortest must be at least 1, but is {shortest}")
    lengths = sessions.lengths
    counts = np.maximum(lengths - (shortest - 1), 0)  # (S,) rows of each session
    events = int((counts * (lengths + shortest) // 2).sum())
    if events > _MOST:
        longest = int(np.argmax(lengths))
        id_, size = sessions.ids[longest : longest + 1].tolist()[0], int(lengths[longest])
        raise DataError(
            f"all sub-sessions of {len(sessions):,} sessions have {events:,} events, which is too many: the number "
            f"grows with the square of the length, and the longest session, {id_!r}, has {size:,} events; "
            "prepare the sessions again with --max-length, or use --whole-sessions"
        )
    session = np.repeat(np.arange(len(sessions)), counts)  # (R,)
    length = np.arange(len(session)) - np.repeat(np.cumsum(counts) - counts, counts) + shortest  # (R,)
    offsets = np.concatenate([[0], np.cumsum(length)])
    columns: dict[str, Any] = {
        name: np.empty(offsets[-1], column.dtype)
        for name in ("items", "times", "weights", "kinds")
        if (column := getattr(sessions, name)) is not None
    }
    start = 0
    while start < len(session):
        stop = max(start + 1, int(np.searchsorted(offsets, offsets[start] + COPIED_EVENTS, side="right")) - 1)
        part = sessions.take(session[start:stop], length[start:stop])
        for name, column in columns.items():
            column[offsets[start] : offsets[stop]] = getattr(part, name)
        start = stop
    users = None if sessions.users is None else sessions.users[session]
    return replace(sessions, offsets=offsets, ids=np.arange(len(session)), users=users, **columns)
