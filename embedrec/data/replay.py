"""The sessions that a warm start trains on: those that changed, and a sample of the others.

Training on new sessions alone lets vectors drift away from what old sessions taught (catastrophic forgetting;
Robins 1995 replays some of the old examples).
"""

from __future__ import annotations

import numpy as np

from embedrec.data.session_changes import SessionChanges
from embedrec.data.sessions import Sessions


def replayed_rows(changes: SessionChanges, ratio: float, *, seed: int) -> np.ndarray:
    """Unchanged sessions of `changes.new`, `ratio` times as many as were added, drawn at random: (r,) int64, ascending.

    seed  together with the number of sessions, so that another day draws others
    """
    added, kept = changes.added, changes.kept_new
    count = min(round(ratio * len(added)), len(kept))
    return np.sort(np.random.default_rng([seed, len(changes.new), len(added)]).choice(kept, count, replace=False))


def replayed_sessions(changes: SessionChanges, ratio: float, *, seed: int) -> Sessions:
    """The added sessions, new and changed, and those of `replayed_rows`, in the order of `changes.new`.

    There are none if nothing was added.
    """
    chosen = np.concatenate([changes.added, replayed_rows(changes, ratio, seed=seed)])
    return changes.new.take(np.sort(chosen))
