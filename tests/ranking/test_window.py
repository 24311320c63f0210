"""The last window of training sessions."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.errors import DataError
from embedrec.ranking.window import all_histories, hold_out_window, relevant_items, session_numbers, similar_questions
from embedrec.splitting.holdout import HeldOut
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


def test_questions_of_similar_items_are_single_items_with_another_of_their_session() -> None:
    sessions = many()
    window = hold_out_window(sessions, 0.2, 10_000, seed=0, of="similar")
    assert window.train.ids.tolist() == [*range(160)]
    known = set(window.train.vocab.ids.tolist())
    lists = {s: set(sessions.vocab.ids[sessions[s]]) & known for s in range(160, 200)}
    asked = []
    for cases in (window.learning, window.stopping, window.validation):
        histories, targets = all_histories(cases), relevant_items(cases)
        assert histories.lengths.tolist() == [1] * len(cases)
        ids, held = window.train.vocab.ids, cases.sessions.ids[cases.session]
        for session, item, target in zip(held, ids[histories.items], ids[targets], strict=True):
            asked.append((session, item))
            assert item != target and {item, target} <= lists[session]
    assert sorted(asked) == sorted((s, item) for s, items in lists.items() if len(items) > 1 for item in items)
    parts = [window.learning, window.stopping, window.validation]
    groups = [set(part.sessions.ids[part.session].tolist()) for part in parts]
    assert not groups[0] & groups[1] and not groups[1] & groups[2] and not groups[0] & groups[2]


def test_rare_items_are_targets_as_often_as_their_weights_say() -> None:
    """Mentions of a, b and c are 100, 25 and 4: beside a, b and c are targets in proportion to 1/5 and 1/2."""
    train = of_lists([["a"]] * 100 + [["b"]] * 25 + [["c"]] * 4)
    test = of_lists([["a", "b", "c"]] * 7000)
    cases = similar_questions(HeldOut(test, np.zeros(7000, dtype=np.int64)), train, seed=0)
    ids = train.vocab.ids
    pairs = Counter(zip(ids[all_histories(cases).items], ids[relevant_items(cases)], strict=True))
    assert pairs["a", "b"] + pairs["a", "c"] == pairs["b", "a"] + pairs["b", "c"] == 7000
    assert pairs["a", "b"] / 7000 == pytest.approx(2 / 7, abs=0.02)
    assert pairs["b", "a"] / 7000 == pytest.approx(1 / 6, abs=0.02)
    assert pairs["c", "a"] / 7000 == pytest.approx(1 / 3, abs=0.02)


def test_session_numbers_are_those_of_the_held_out_sessions() -> None:
    for of in ("next", "similar"):
        cases = hold_out_window(many(), 0.2, 10_000, seed=0, of=of).learning  # type: ignore[arg-type]
        ids = cases.sessions.ids[cases.session].tolist()
        order = {one: number for number, one in enumerate(dict.fromkeys(ids))}
        assert session_numbers(cases).tolist() == [order[one] for one in ids]
    assert session_numbers(cases.filter(np.zeros(len(cases), dtype=bool))).tolist() == []


def test_sessions_of_one_item_have_no_questions_of_similar_items() -> None:
    with pytest.raises(DataError, match="has no questions, as no session in it has two items"):
        hold_out_window(of_lists(["ab"] * 20 + ["aa"] * 10), 0.2, 100, seed=0, of="similar")
