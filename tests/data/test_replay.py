"""The sessions of a warm start: all that changed, and some of the others."""

from __future__ import annotations

import numpy as np

from embedrec.data.replay import replayed_rows, replayed_sessions
from embedrec.data.session_changes import SessionChanges, session_changes
from tests.conftest import of_lists

OLD = of_lists(["ab", "bc", "cd", "de", "ea", "ac"])
NEW = of_lists(["ab", "bc", "cd", "de", "ea", "acf", "fa"])  # one grew, one is new


def changes() -> SessionChanges:
    return session_changes(OLD, NEW)


def test_every_changed_session_is_trained_on_and_as_many_others_as_asked_for() -> None:
    for ratio, others in ((0, 0), (0.5, 1), (1, 2), (2, 4), (9, 5)):
        chosen = replayed_sessions(changes(), ratio, seed=0)
        assert {5, 6} <= set(chosen.ids.tolist()) and len(chosen) == 2 + others
        assert chosen.vocab is NEW.vocab and (np.diff(chosen.ids) > 0).all()
        assert len(np.unique(chosen.ids)) == len(chosen)


def test_the_others_are_unchanged_ones_drawn_by_the_seed() -> None:
    drawn = {seed: replayed_rows(changes(), 1, seed=seed).tolist() for seed in range(20)}
    assert all(set(rows) <= {0, 1, 2, 3, 4} for rows in drawn.values())
    assert drawn[0] == replayed_rows(changes(), 1, seed=0).tolist()
    assert len({tuple(rows) for rows in drawn.values()}) > 3


def test_nothing_added_leaves_nothing_to_train_on() -> None:
    assert len(replayed_sessions(session_changes(NEW, OLD.take(np.arange(5))), 4, seed=0)) == 0
