"""Sessions of one user each: numbers of sessions that begin anew for every user are told apart."""

from __future__ import annotations

import numpy as np

from embedrec.data.sort_events import Columns
from embedrec.data.vocab import Vocab
from embedrec.storage.memory_budget import MemoryBudget, chunks


def shared_sessions(columns: Columns, sessions: int) -> np.ndarray:
    """Which sessions (S,) bool have events of several users; "session" (E,) must ascend."""
    shared = np.zeros(sessions, dtype=bool)
    for here in chunks(len(columns["session"])):
        two = slice(max(here.start - 1, 0), here.stop)  # with the event before
        session, user = columns["session"][two], columns["user"][two]
        shared[session[1:][(session[1:] == session[:-1]) & (user[1:] != user[:-1])]] = True
    return shared


def by_user_too(
    columns: Columns, sessions: Vocab, users: Vocab, shared: np.ndarray, room: MemoryBudget
) -> tuple[Columns, Vocab]:
    """The columns, and the sessions, of which each has one user.

    columns  role → (E,), sorted by "session"; "user" is there
    shared   (S,) bool sessions that are parted; the parts are called SESSION-USER and follow each other in the order of
             their first events. All ids are texts then.
    """
    session = columns["session"]
    at = np.concatenate(  # (m,) events of these sessions
        [here.start + np.flatnonzero(shared[session[here]]) for here in chunks(len(session))]
    )
    pairs = session[at].astype(np.int64) * len(users) + columns["user"][at]
    _, first, pair = np.unique(pairs, return_index=True, return_inverse=True)
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    order = at[np.argsort(place[pair], kind="stable")]
    done: Columns = {}
    for role, column in columns.items():
        done[role] = room.empty(len(column), column.dtype)
        done[role][:] = column
        done[role][at] = column[order]
    begins = room.full(len(session), False, bool)
    for here in chunks(len(session)):
        two = slice(max(here.start - 1, 0), here.stop)
        rows, user = done["session"][two], done["user"][two]
        steps = (np.diff(rows) > 0) | ((np.diff(user) != 0) & shared[rows[1:]])
        begins[here.stop - len(steps) : here.stop] = steps
    begins[:1] = True
    starts = np.flatnonzero(begins)
    old, owner = done["session"][starts], done["user"][starts]
    ids = _names(sessions, users, old, owner, shared)
    before = -1
    for here in chunks(len(session)):
        done["session"][here] = before + np.cumsum(begins[here])
        before = int(done["session"][here.stop - 1])
    return done, Vocab.distinct(ids)


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
        between += "-"  # "1-2" of 3 and "1" of "2-3" would be one
