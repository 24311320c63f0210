"""Events that are delivered again: a later log holds an event that an earlier one has."""

from __future__ import annotations

import numpy as np

from embedrec.data.sort_events import Columns
from embedrec.storage.memory_budget import chunks


def first_deliveries(columns: Columns, starts: np.ndarray, sessions: int, *, whole: bool) -> np.ndarray:
    """Mask (E,) of the events that no earlier log holds.

    starts  (logs + 1,) where each log begins in the columns
    whole   whether a session is read at once, and a later one of its id is a repetition
    """
    session, new = columns["session"], int(starts[1])
    keep = np.ones(len(session), dtype=bool)
    keys = [columns[role] for role in ("time", "finer", "order") if role in columns]
    if not keys and not whole:
        return keep
    touched = np.zeros(sessions, dtype=bool)
    touched[session[new:]] = True
    at = np.concatenate([chunk.start + np.flatnonzero(touched[session[chunk]]) for chunk in chunks(len(session))])
    part = np.searchsorted(starts, at, side="right")  # (m,)
    if whole:
        first = np.full(sessions, len(starts))
        np.minimum.at(first, session[at], part)
        keep[at[part > first[session[at]]]] = False
        return keep
    keys += [columns[role] for role in ("item", "user", "kind") if role in columns]
    candidates = [part, *(column[at] for column in keys), session[at]]
    order = np.lexsort(candidates)
    begins = np.ones(len(at), dtype=bool)  # whether an event differs from the one before
    begins[1:] = np.any([np.diff(column[order]) != 0 for column in candidates[1:]], axis=0)
    first_part = part[order][begins][np.cumsum(begins) - 1]
    keep[at[order[part[order] > first_part]]] = False
    return keep
