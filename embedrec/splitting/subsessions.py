"""Sub-sessions: every beginning of every session as a session of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import DataError, SettingsError

_MOST = 1 << 32  # events, which take 16 GB
_EVENTS = 1 << 20  # written at a time, so that temporaries stay small beside the result


def sub_sessions(sessions: Sessions, shortest: int = 2) -> Sessions:
    """The prefixes of `shortest` and more events of every session (the article on SSCF in Python expands so).

    A session of L events becomes L − shortest + 1 rows: from short to long, in the place of the session, and with its
    user; a shorter session becomes none. Times, weights and kinds come along. The vocabulary stays as it is, counts
    included, so that it may hold items of no row. Rows are sessions of their own, with ids 0, 1, … in this order.

    Events grow with the square of the length: about L²/2 of a session, 4 bytes each, and 8 more where there are times.
    Nothing else of that size is held meanwhile. Raises SettingsError when `shortest` is below 1, and DataError where
    that would be more than 2³² events.
    """
    if shortest < 1:
        raise SettingsError(f"the shortest sub-sessions must have at least 1 event, but have {shortest}")
    lengths = sessions.lengths
    counts = np.maximum(lengths - (shortest - 1), 0)  # (S,) rows of each session
    events = int((counts * (lengths + shortest) // 2).sum())
    if events > _MOST:
        longest = int(np.argmax(lengths))
        id_, size = sessions.ids[longest : longest + 1].tolist()[0], int(lengths[longest])
        raise DataError(
            f"all sub-sessions of {len(sessions):,} sessions have {events:,} events, which are too many: they grow "
            f"with the square of the length, and the longest session, {id_!r}, has {size:,} events; "
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
        stop = max(start + 1, int(np.searchsorted(offsets, offsets[start] + _EVENTS, side="right")) - 1)
        part = sessions.take(session[start:stop], length[start:stop])
        for name, column in columns.items():
            column[offsets[start] : offsets[stop]] = getattr(part, name)
        start = stop
    users = None if sessions.users is None else sessions.users[session]
    return replace(sessions, offsets=offsets, ids=np.arange(len(session)), users=users, **columns)
