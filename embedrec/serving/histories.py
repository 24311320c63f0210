"""Histories of requests as sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab, as_ids
from embedrec.errors import SettingsError
from embedrec.serving.schemas import MAX_TIME, HistoryRequest


@dataclass(frozen=True)
class History:
    """A history whose items are known.

    rows   of its items, oldest first
    times  ms since 1970 of each, or None
    kinds  the kind of each, or None
    user   None if unknown
    """

    rows: Sequence[int]
    times: Sequence[int] | None = None
    kinds: Sequence[str] | None = None
    user: int | str | None = None

    @property
    def columns(self) -> tuple[bool, bool, bool]:
        """Whether it has times, kinds and a user: sessions have them all or none of them."""
        return self.times is not None, self.kinds is not None, self.user is not None


def check_history(request: HistoryRequest) -> None:
    """Raises SettingsError unless there are as many times and kinds as items."""
    for name, values in (("times", request.times), ("kinds", request.kinds)):
        if values is not None and len(values) != len(request.items):
            raise SettingsError(f"a history of {len(request.items)} items needs as many {name}, but has {len(values)}")


def as_sessions(histories: Sequence[History], vocab: Vocab) -> Sessions:
    """Sessions of histories that have the same columns.

    Raises SettingsError if their columns differ, DataError for times that are out of range and ids of mixed types.
    """
    columns = histories[0].columns
    if any(history.columns != columns for history in histories):
        raise SettingsError("times, kinds and users must be given for all histories of a request, or for none")
    timed, of_kinds, of_users = columns
    offsets = np.zeros(len(histories) + 1, dtype=np.int64)
    np.cumsum([len(history.rows) for history in histories], out=offsets[1:])
    rows = np.fromiter((row for history in histories for row in history.rows), np.int32, int(offsets[-1]))
    numbers = np.arange(len(histories))
    if not any(columns):
        return Sessions(offsets, rows, vocab, numbers)
    times = [time for history in histories for time in history.times or ()] if timed else None
    kinds = names = None
    if of_kinds:
        given = [kind for history in histories for kind in history.kinds or ()]
        names, kinds = np.unique(np.array(given, dtype=object), return_inverse=True)
    return Sessions(
        offsets,
        rows,
        vocab,
        numbers,
        times=None if times is None else _times(times),
        kinds=kinds,
        kind_names=names,
        users=as_ids(np.array([history.user for history in histories], dtype=object)) if of_users else None,
    )


def _times(times: Sequence[int]) -> np.ndarray:
    """Times (E,) int64. Raises SettingsError for one that is no date."""
    wrong = next((time for time in times if not -MAX_TIME <= time <= MAX_TIME), None)
    if wrong is not None:
        raise SettingsError(f"times must be milliseconds since 1970, but one is {wrong}")
    return np.array(times, dtype=np.int64)
