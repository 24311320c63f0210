"""Selections: those of slices of sessions are the slices of the selection of all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.splitting.rules import SPLITS
from embedrec.splitting.selection import ArrayMoments
from tests.conftest import of_lists


def some_sessions() -> Sessions:
    rng = np.random.default_rng(0)
    sessions = of_lists(["abcabca"[: rng.integers(0, 7)] for _ in range(40)])
    times = np.sort(rng.integers(0, 1000, len(sessions.items)))
    users = np.array([f"u{s % 7}" for s in range(40)], dtype=object)
    return replace(sessions, times=times, weights=rng.integers(1, 6, len(times)), users=users)


@pytest.mark.parametrize("name", list(SPLITS))
def test_rules_select_from_slices_as_from_all(name: str) -> None:
    sessions, rule = some_sessions(), SPLITS[name]()
    facts = rule.facts(sessions, seed=3)
    whole = rule.select(sessions, facts)
    train, test = [], []
    for start in range(0, 40, 11):
        own = sessions.take(np.arange(start, min(start + 11, 40)))
        held = None if facts.held is None else facts.held[start : start + 11]
        selection = rule.select(own, replace(facts, held=held))
        train.append(selection.train_part(own))
        test.append(selection.test_part(own))
    held_out = whole.test_part(sessions)
    for every, slices in ((whole.train_part(sessions), train), (held_out.sessions, [part.sessions for part in test])):
        assert every.ids.tolist() == [i for part in slices for i in part.ids.tolist()]
        assert every.items.tolist() == [i for part in slices for i in part.items.tolist()]
    assert held_out.given.tolist() == [g for part in test for g in part.given.tolist()]


def test_moments_of_an_array() -> None:
    moments = ArrayMoments(np.array([5, 1, 9, 5]))
    assert (len(moments), moments.last(), [moments.nth(place) for place in range(4)]) == (4, 9, [1, 5, 5, 9])
