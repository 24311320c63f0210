"""Splitting of sessions by user, for session numbers that restart for every user."""

from __future__ import annotations

import numpy as np

from embedrec.data.sort_events import Columns
from embedrec.data.vocab import Vocab
from embedrec.storage.memory_budget import MemoryBudget, chunks


def shared_sessions(columns: Columns, sessions: int) -> np.ndarray:
    """Mask (S,) of the sessions with events of several users; "session" (E,) must ascend."""
    shared = np.zeros(sessions, dtype=bool)
    for chunk in chunks(len(columns["session"])):
        window = slice(max(chunk.start - 1, 0), chunk.stop)  # with the event before
        session, user = columns["session"][window], columns["user"][window]
        shared[session[1:][(session[1:] == session[:-1]) & (user[1:] != user[:-1])]] = True
    return shared


def split_by_user(
    columns: Columns, sessions: Vocab, users: Vocab, shared: np.ndarray, memory: MemoryBudget
) -> tuple[Columns, Vocab, np.ndarray]:
    """The columns and the vocabulary of sessions, each with one user; and the row in `sessions` of each (S',).

    columns  role → (E,), sorted by "session", with "user"
    shared   (S,) bool sessions to split; the parts are named SESSION-USER and ordered by their first events. All ids
             become texts.
    """
    session = columns["session"]
    at = np.concatenate(  # (m,) events of these sessions
        [chunk.start + np.flatnonzero(shared[session[chunk]]) for chunk in chunks(len(session))]
    )
    pairs = session[at].astype(np.int64) * len(users) + columns["user"][at]
    _, first, pair = np.unique(pairs, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    order = at[np.argsort(rank[pair], kind="stable")]
    result: Columns = {}
    for role, column in columns.items():
        result[role] = memory.empty(len(column), column.dtype)
        result[role][:] = column
        result[role][at] = column[order]
    begins = memory.full(len(session), False, bool)
    for chunk in chunks(len(session)):
        window = slice(max(chunk.start - 1, 0), chunk.stop)
        rows, user = result["session"][window], result["user"][window]
        steps = (np.diff(rows) > 0) | ((np.diff(user) != 0) & shared[rows[1:]])
        begins[chunk.stop - len(steps) : chunk.stop] = steps
    begins[:1] = True
    starts = np.flatnonzero(begins)
    old, owner = result["session"][starts], result["user"][starts]
    ids = _names(sessions, users, old, owner, shared)
    before = -1
    for chunk in chunks(len(session)):
        result["session"][chunk] = before + np.cumsum(begins[chunk])
        before = int(result["session"][chunk.stop - 1])
    return result, Vocab.from_unique(ids), old


def _names(sessions: Vocab, users: Vocab, old: np.ndarray, owner: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Ids (S',) of the new sessions, texts."""
    plain = [str(i) for i in sessions.ids[old].tolist()]
    parted = shared[old].tolist()
    kept = {i for i, part in zip(plain, parted, strict=True) if not part}
    names, between = [str(u) for u in users.ids[owner].tolist()], "-"
    while True:
        ids = [f"{i}{between}{u}" if part else i for i, u, part in zip(plain, names, parted, strict=True)]
        new = {i for i, part in zip(ids, parted, strict=True) if part}
        if len(new) == sum(parted) and new.isdisjoint(kept):
            return np.array(ids, dtype=object)
        between += "-"  # "1-2" of 3 and "1" of "2-3" would have the same id
