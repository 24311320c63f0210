"""The last window of training sessions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.errors import DataError
from embedrec.ranking.window import all_histories, hold_out_window, relevant_items
from tests.conftest import of_lists


def many(count: int = 200, seed: int = 0) -> Sessions:
    rng = np.random.default_rng(seed)
    return of_lists([[*map(str, rng.integers(0, 12, rng.integers(1, 7)))] for _ in range(count)]).drop_unused_items()


def test_without_times_the_last_sessions_are_the_window() -> None:
    sessions = many()
    window = hold_out_window(sessions, 0.2, 10_000, seed=0)
    assert window.train.ids.tolist() == [*range(160)]
    parts = [window.learning, window.stopping, window.validation]
    held = [set(part.sessions.ids[part.session].tolist()) for part in parts]
    assert held[0] | held[1] | held[2] <= set(range(160, 200))
    assert not held[0] & held[1] and not held[1] & held[2] and not held[0] & held[2]
    assert max(held[0]) < min(held[1] | held[2])
    known = set(window.train.vocab.ids.tolist())
    questions = sum(
        max(0, len(sessions[s]) - 1) for s in range(160, 200) if set(sessions.vocab.ids[sessions[s]]) <= known
    )
    assert sum(map(len, parts)) == questions
    assert any("none of the 40 held-out sessions" in message for message in window.leak_check)


def test_with_times_the_window_is_later() -> None:
    sessions = many()
    order = np.random.default_rng(1).permutation(len(sessions))
    start = np.repeat(order * 100_000, sessions.lengths)
    timed = dataclasses.replace(sessions, times=start + sessions.position_of)
    window = hold_out_window(timed, 0.2, 10_000, seed=0)
    assert window.train.times is not None
    later = np.setdiff1d(timed.ids, window.train.ids)
    assert window.train.times.max() < min(timed.times[timed.offsets[s]] for s in later)  # type: ignore[index]


def test_histories_of_users_lose_their_last_events() -> None:
    lists = [[f"i{(u + k) % 30}" for k in range(25)] for u in range(40)]
    made = of_lists(lists).drop_unused_items()
    sessions = dataclasses.replace(made, users=np.arange(40))
    window = hold_out_window(sessions, 0.2, 10_000, seed=0)
    assert window.train.lengths.tolist() == [20] * 40 and window.exclude_seen
    assert len(window.learning) == 24 * 5 and set(window.learning.length) == {20, 21, 22, 23, 24}
    history, target = all_histories(window.learning)[3], relevant_items(window.learning)[3]
    ids = window.learning.sessions.vocab.ids
    assert ids[history].tolist() == lists[0][:23] and ids[target] == lists[0][23]


def test_questions_are_sampled_by_the_seed() -> None:
    sessions = many()
    one, same, other = (hold_out_window(sessions, 0.5, 60, seed=seed) for seed in (1, 1, 2))
    for part in ("learning", "stopping", "validation"):
        a, b, c = (getattr(window, part) for window in (one, same, other))
        assert np.array_equal(a.session, b.session) and np.array_equal(a.length, b.length)
        assert not (np.array_equal(a.session, c.session) and np.array_equal(a.length, c.length))
    assert len(one.learning) + len(one.stopping) + len(one.validation) == 60


def test_repeats_are_noticed() -> None:
    assert not hold_out_window(of_lists(["aba", "ab", "ba"] * 20), 0.2, 100, seed=0).exclude_seen
    assert hold_out_window(of_lists(["ab", "ba", "abc"] * 20), 0.2, 100, seed=0).exclude_seen


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (["ab"] * 9 + ["a"], "has no questions, as no session in it has two items; set a larger window"),
        (["ab"] * 8 + ["ab"] * 2, "has 1 sessions with a known item to predict, but needs 3; prepare more sessions"),
        (["ab"] * 9 + ["ax"], "has 0 sessions with a known item to predict, but needs 3"),
    ],
)
def test_a_window_without_questions(lists: list[str], message: str) -> None:
    with pytest.raises(DataError) as error:
        hold_out_window(of_lists(lists), 0.1, 100, seed=0)
    assert message in str(error.value)
