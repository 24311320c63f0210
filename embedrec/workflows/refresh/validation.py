"""The newest sessions as a test of a refreshed model: it is trained once more, without them."""

from __future__ import annotations

import numpy as np

from embedrec.data.session_changes import SessionChanges
from embedrec.data.vocab import Vocab
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.rules import Split

SHARE = 0.2  # of the new sessions, the newest
MOST, FEWEST = 2000, 10  # sessions; fewer measure nothing


def newest_window(changes: SessionChanges) -> Split | None:
    """The new sessions without the newest of those that came or grew, and these; None if they are too few.

    Of a session that grew, the events that the old sessions have are given; the others are the targets. A session that
    changed in another way, as by a late event, is no part of the window.
    """
    new, rows = changes.new, changes.added
    given = _known_events(changes)
    useful = (given >= 0) & (new.lengths[rows] > np.maximum(given, 1))
    rows, given = rows[useful], given[useful]
    if new.times is not None:
        order = np.argsort(new.times[new.offsets[rows + 1] - 1], kind="stable")
        rows, given = rows[order], given[order]
    count = min(MOST, int(SHARE * len(rows)))
    if count < FEWEST:
        return None
    rows, given = rows[-count:], given[-count:]
    order = np.argsort(rows)
    rows, given = rows[order], given[order]
    lengths = new.lengths
    lengths[rows] = given
    kept = np.flatnonzero(lengths)
    train = new.take(kept, lengths[kept]).drop_unused_items()
    return Split(train, HeldOut(new.take(rows).drop_unused_items(), given))


def _known_events(changes: SessionChanges) -> np.ndarray:
    """Of each added session, the number of its first events that are the old session of its id: (k,) int64.

    0 for a new id, −1 if the old session is not its beginning.
    """
    old, new, rows = changes.old, changes.new, changes.added
    same_type = len(old.ids) and old.ids.dtype == new.ids.dtype
    at = Vocab.from_unique(old.ids).rows(new.ids[rows]) if same_type else np.full(len(rows), -1)
    given = np.where(at >= 0, old.lengths[at], 0) if len(at) else np.zeros(0, dtype=np.int64)
    given[given > new.lengths[rows]] = -1
    grown = np.flatnonzero(given > 0)
    if not len(grown):
        return given
    first, before = new.take(rows[grown], given[grown]), old.take(at[grown])
    equal = changes.item_rows[before.items] == first.items
    if before.times is not None and first.times is not None:
        equal &= before.times == first.times
    same = np.logical_and.reduceat(equal, first.offsets[:-1])
    given[grown[~same]] = -1
    return given
