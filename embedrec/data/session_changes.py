"""What differs between two versions of the sessions of one data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab

BLOCK_SESSIONS = 1 << 18  # compared at a time, so that memory does not grow with all events


@dataclass(frozen=True, eq=False)
class SessionChanges:
    """Which sessions and items of `old` and `new` are the same.

    old, new   the sessions
    removed    (m,) int64 ascending: old sessions that `new` lacks or has with another content
    added      (k,) int64 ascending: new sessions that `old` lacks or has with another content
    kept_old, kept_new  (u,) int64: the unchanged sessions in both, pairwise, ascending in `old`
    item_rows  (n_old,) int64: the new row of each old item, −1 where it is gone
    """

    old: Sessions
    new: Sessions
    removed: np.ndarray
    added: np.ndarray
    kept_old: np.ndarray
    kept_new: np.ndarray
    item_rows: np.ndarray

    @property
    def old_item_rows(self) -> np.ndarray:
        """The old row of each new item: (n_new,) int64, −1 where it is new."""
        rows = np.full(len(self.new.vocab), -1, dtype=np.int64)
        present = np.flatnonzero(self.item_rows >= 0)
        rows[self.item_rows[present]] = present
        return rows

    @property
    def removed_sessions(self) -> Sessions:
        """The old sessions that are gone or different, in the old vocabulary."""
        return self.old.take(self.removed)

    @property
    def added_sessions(self) -> Sessions:
        """The sessions that are new or different, in the new vocabulary."""
        return self.new.take(self.added)

    @property
    def same_order(self) -> bool:
        """Whether the unchanged sessions have the same order in both."""
        return bool((self.kept_new[1:] > self.kept_new[:-1]).all())

    @property
    def kept_share(self) -> float:
        """The share of the events of both that belong to unchanged sessions; 1 where there are none."""
        events = len(self.old.items) + len(self.new.items)
        return 2 * float(self.new.lengths[self.kept_new].sum()) / events if events else 1.0


def session_changes(old: Sessions, new: Sessions) -> SessionChanges:
    """Compare two versions of sessions.

    A session is unchanged if the other side has one of the same id with the same items, times, weights, kinds and user;
    rows may differ, ids count. A column that only one side has makes all its sessions different. Each session is
    unchanged at most once, also if ids repeat. The work grows with the events of both.

    >>> from embedrec import Sessions
    >>> old = Sessions.of_lists([["bread"], ["jam"]])
    >>> changes = session_changes(old, Sessions.of_lists([["bread"], ["jam", "nail"], ["nail"]]))
    >>> changes.removed.tolist(), changes.added.tolist(), changes.kept_new.tolist()
    ([1], [1, 2], [0])
    """
    item_rows = _rows(new.vocab.ids, old.vocab.ids)
    to = _rows(new.ids, old.ids)  # (S_old,) the new session of that id, −1 for none
    _, first = np.unique(to, return_index=True)
    at_old = np.sort(first[to[first] >= 0])
    at_new = to[at_old]
    starts = range(0, len(at_old), BLOCK_SESSIONS)
    blocks = (slice(start, start + BLOCK_SESSIONS) for start in starts)
    same = np.concatenate(
        [np.zeros(0, dtype=bool), *(_equal_sessions(old, new, at_old[b], at_new[b], item_rows) for b in blocks)]
    )
    kept_old, kept_new = at_old[same], at_new[same]
    removed, added = np.ones(len(old), dtype=bool), np.ones(len(new), dtype=bool)
    removed[kept_old] = added[kept_new] = False
    return SessionChanges(old, new, np.flatnonzero(removed), np.flatnonzero(added), kept_old, kept_new, item_rows)


def _rows(ids: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The row of each given id among `ids`, one of them where ids repeat: int64, −1 for missing ones."""
    if len(ids) and len(given) and ids.dtype != given.dtype:  # numbers are no strings, as in `Vocab.rows`
        return np.full(len(given), -1, dtype=np.int64)
    return Vocab.from_unique(ids).rows(given)


def _equal_sessions(
    old: Sessions, new: Sessions, at_old: np.ndarray, at_new: np.ndarray, item_rows: np.ndarray
) -> np.ndarray:
    """Whether each pair of sessions is equal: (p,) bool."""
    lengths = old.offsets[at_old + 1] - old.offsets[at_old]
    same = lengths == new.offsets[at_new + 1] - new.offsets[at_new]
    if (old.users is None) != (new.users is None):
        same[:] = False
    elif old.users is not None and new.users is not None:
        same &= _same_ids(old.users, new.users, at_old, at_new)
    for name in ("times", "weights", "kinds"):
        if (getattr(old, name) is None) != (getattr(new, name) is None):
            same[:] = False
    pairs = np.flatnonzero(same)
    lengths = lengths[pairs]
    first = np.cumsum(lengths) - lengths
    inside = np.arange(lengths.sum()) - np.repeat(first, lengths)
    events_old = np.repeat(old.offsets[at_old[pairs]], lengths) + inside
    events_new = np.repeat(new.offsets[at_new[pairs]], lengths) + inside
    equal = item_rows[old.items[events_old]] == new.items[events_new]
    if old.times is not None and new.times is not None:
        equal &= old.times[events_old] == new.times[events_new]
    if old.weights is not None and new.weights is not None:
        equal &= old.weights[events_old] == new.weights[events_new]
    if old.kinds is not None and new.kinds is not None:
        kinds = np.arange(np.max(old.kinds, initial=-1) + 1)
        if old.kind_names is not None and new.kind_names is not None:
            kinds = _rows(new.kind_names, old.kind_names)
        equal &= kinds[old.kinds[events_old]] == new.kinds[events_new]
    different = np.repeat(np.arange(len(pairs)), lengths)[~equal]
    same[pairs[different]] = False
    return same


def _same_ids(old: np.ndarray, new: np.ndarray, at_old: np.ndarray, at_new: np.ndarray) -> np.ndarray:
    """Whether ids are pairwise equal; those of another type are not: (p,) bool."""
    if old.dtype != new.dtype:
        return np.zeros(len(at_old), dtype=bool)
    return np.asarray(old[at_old] == new[at_new], dtype=bool)
