"""Test cases of every protocol against slow references in plain lists."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.test_cases import TestCases, cooccurring_items, next_items, remaining_items
from tests.conftest import of_lists, read_only
from tests.data.plain import Plain, plain_sessions, sessions_of

Case = tuple[Any, list[Any], list[Any]]  # session id, history, targets; None for a target that is not known
NONE_LEFT = "no held-out session has an item after the first; hold out longer sessions"


@st.composite
def held_out(draw: st.DrawFn, *, given: bool | None = None) -> tuple[list[Plain], list[int]]:
    """Held-out sessions, and the number of given events of each; none are given if `given` is False."""
    plain = draw(plain_sessions())
    return plain, [0 if given is False else draw(st.integers(0, len(p.events))) for p in plain]


def held_out_of(plain: list[Plain], given: list[int]) -> HeldOut:
    return HeldOut(sessions_of(plain), read_only(np.array(given, dtype=np.int64)))


def plain_cases(test_cases: TestCases) -> list[Case]:
    """Test cases as plain lists."""
    ids = test_cases.sessions.vocab.ids
    histories = test_cases.histories(0, len(test_cases))
    assert histories.ids.tolist() == list(range(len(test_cases)))
    return [
        (
            test_cases.sessions.ids[test_cases.session[q] :][:1].tolist()[0],
            ids[histories[q]].tolist(),
            [None if t < 0 else ids[t] for t in test_cases.targets[slice(*test_cases.offsets[q : q + 2])].tolist()],
        )
        for q in range(len(test_cases))
    ]


def same(cases: list[Case], expected: list[Case]) -> bool:
    """Whether cases are equal up to the order of their targets."""
    return [(s, h, sorted(map(str, t))) for s, h, t in cases] == [(s, h, sorted(map(str, t))) for s, h, t in expected]


# ------------------------------------------------------------------------------------------------ next items


@given(held_out())
def test_next_items_equal_a_slow_reference(held: tuple[list[Plain], list[int]]) -> None:
    expected = [
        (p.id, p.items[:n], [p.items[n]])
        for p, given in zip(*held, strict=True)
        for n in range(max(given, 1), len(p.events))
    ]
    if not expected:
        with pytest.raises(DataError) as error:
            next_items(held_out_of(*held))
        assert str(error.value) == NONE_LEFT
        return
    test_cases = next_items(held_out_of(*held))
    assert plain_cases(test_cases) == expected
    assert test_cases.targets.dtype == np.int64 and test_cases.relevant.tolist() == [1] * len(expected)


@given(held_out())
def test_last_items_equal_a_slow_reference(held: tuple[list[Plain], list[int]]) -> None:
    expected = [
        (p.id, p.items[:-1], [p.items[-1]]) for p, given in zip(*held, strict=True) if len(p.events) > max(given, 1)
    ]
    if not expected:
        with pytest.raises(DataError) as error:
            next_items(held_out_of(*held), "last")
        assert str(error.value) == NONE_LEFT
        return
    assert plain_cases(next_items(held_out_of(*held), "last")) == expected


# -------------------------------------------------------------------------------------------------- the rest


@given(held_out(), st.integers(1, 4))
def test_remaining_items_after_a_number_equal_a_slow_reference(held: tuple[list[Plain], list[int]], first: int) -> None:
    lengths = [max(first, given) for given in held[1]]
    expected = [
        (p.id, p.items[:n], list(set(p.items[n:]))) for p, n in zip(held[0], lengths, strict=True) if p.items[n:]
    ]
    if not expected:
        with pytest.raises(DataError) as error:
            remaining_items(held_out_of(*held), first)
        message = "no held-out session is longer than its given part; hold out longer sessions"
        assert str(error.value) == message
        return
    assert same(plain_cases(remaining_items(held_out_of(*held), first)), expected)


@given(held_out())
def test_remaining_items_after_the_given_part_equal_a_slow_reference(held: tuple[list[Plain], list[int]]) -> None:
    with_given = [(p, n) for p, n in zip(*held, strict=True) if n]
    expected = [(p.id, p.items[:n], list(set(p.items[n:]))) for p, n in with_given if p.items[n:]]
    subset = held_out_of([p for p, _ in with_given], [n for _, n in with_given])
    if expected:
        assert same(plain_cases(remaining_items(subset)), expected)
    if len(with_given) < len(held[0]):
        with pytest.raises(SettingsError) as error:
            remaining_items(held_out_of(*held))
        assert str(error.value) == (
            "the held-out sessions have no given items; split in time by user (warm-time), or use "
            "--protocol rest with --given"
        )


@pytest.mark.parametrize("given", [0, -1])
def test_given_below_1_is_refused(given: int) -> None:
    with pytest.raises(SettingsError) as error:
        remaining_items(HeldOut(of_lists(["ab"]), np.zeros(1)), given)
    assert str(error.value) == f"given must be at least 1, but is {given}"


# ------------------------------------------------------------------------------------------------ companions


@given(held_out(), st.data())
def test_cooccurring_items_equal_a_slow_reference(held: tuple[list[Plain], list[int]], data: st.DataObject) -> None:
    plain = [p._replace(events=p.events[given:]) for p, given in zip(*held, strict=True)]
    items = sorted({i for p in plain for i in p.items})
    known = data.draw(st.lists(st.sampled_from(items), unique=True) if items else st.just([]))
    queries, seed = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 2**63 - 1))
    sets = {p.id: set(p.items) & set(known) for p in plain}
    long = [s for s, own in sets.items() if len(own) >= max(queries, 2)]
    test, vocab = held_out_of(*held), Vocab(known)
    if not long:
        with pytest.raises(DataError) as error:
            cooccurring_items(test, vocab, queries=queries, seed=seed)
        message = f"no session has {max(queries, 2)} held-out items that training knows"
        assert str(error.value) == f"{message}; hold out longer sessions"
        return
    test_cases = cooccurring_items(test, vocab, queries=queries, seed=seed)
    assert test_cases.sessions.vocab is vocab
    result = plain_cases(test_cases)
    assert [s for s, _ in groupby(result, key=lambda q: q[0])] == long
    for session, group in groupby(result, key=lambda q: q[0]):
        of_session = list(group)
        query_items = [h[0] for _, h, _ in of_session]
        assert len(set(query_items)) == len(query_items) == queries  # drawn without putting back
        for _, history, targets in of_session:
            assert len(history) == 1
            assert Counter(targets) == Counter(sets[session] - set(history))
    assert plain_cases(cooccurring_items(test, vocab, queries=queries, seed=seed)) == result


def test_query_items_are_drawn_equally_often() -> None:
    test = HeldOut(of_lists(["aabcdefgh"]), np.zeros(1))
    drawn = Counter(
        history[0]
        for seed in range(200)
        for _, history, _ in plain_cases(cooccurring_items(test, test.sessions.vocab, queries=2, seed=seed))
    )
    assert sorted(drawn) == list("abcdefgh") and 28 < min(drawn.values()) <= max(drawn.values()) < 72  # 50 each, ± 6


# --------------------------------------------------------------------------------------- in other vocabularies


@given(held_out(), st.data())
def test_reindex_equals_a_slow_reference(held: tuple[list[Plain], list[int]], data: st.DataObject) -> None:
    test = held_out_of(*held)
    if not any(len(p.events) > 1 for p in held[0]):
        return
    test_cases = remaining_items(HeldOut(test.sessions, np.zeros(len(test))), 1)
    known = data.draw(st.permutations(test.sessions.vocab.ids.tolist()))
    known = known[: data.draw(st.integers(0, len(known)))]
    result = test_cases.reindex(Vocab(known))
    expected = [
        (s, [i for i in h if i in known], [i if i in known else None for i in t]) for s, h, t in plain_cases(test_cases)
    ]
    assert plain_cases(result) == expected  # also the order of targets
    assert result.length.tolist() == [len(h) for _, h, _ in expected]
    answerable = [(s, h, [i for i in t if i is not None]) for s, h, t in expected]
    assert plain_cases(result.answerable()) == [q for q in answerable if q[2]]
    assert len(result.answerable().answerable()) == len(result.answerable())
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(result), max_size=len(result))), dtype=bool)
    assert plain_cases(result.filter(mask)) == [q for q, k in zip(expected, mask, strict=True) if k]
    if len(test_cases):
        start = data.draw(st.integers(0, len(test_cases)))
        assert result.histories(start, len(test_cases)).ids.tolist() == list(range(start, len(test_cases)))


def test_reindex_by_the_same_vocabulary_returns_the_same_test_cases() -> None:
    test_cases = next_items(HeldOut(of_lists(["abc"]), np.zeros(1)))
    assert test_cases.reindex(test_cases.sessions.vocab) is test_cases
    assert plain_cases(test_cases.reindex(Vocab([1, 2]))) == [(0, [], [None]), (0, [], [None])]
    assert len(test_cases.reindex(Vocab([])).answerable()) == 0


def test_histories_copy_columns_of_their_events() -> None:
    plain = [Plain("s1", "u", ()), Plain("s2", "v", tuple(sessions_events()))]
    test_cases = next_items(held_out_of(plain, [0, 2]))
    histories = test_cases.histories(0, 1)
    assert histories.times is not None and histories.times.tolist() == [1, 2]
    assert histories.weights is not None and histories.weights.tolist() == [3, 4]
    assert histories.users is not None and histories.users.tolist() == ["v"]


def sessions_events() -> list[Any]:
    from tests.data.plain import Event

    return [Event("a", 1, 3.0), Event("b", 2, 4.0), Event("c", 3, 5.0)]


# ---------------------------------------------------------------------------------------------- bad questions


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": [1]}, "every test case needs a session, a length and targets"),
        ({"session": [0, 1, 1]}, "every test case needs a session, a length and targets"),
        ({"offsets": [0, 2]}, "every test case needs a session, a length and targets"),
        ({"offsets": [0, 0, 2]}, "every test case needs a target"),
        ({"offsets": [0, 1, 3]}, "every test case needs a target"),
        ({"offsets": [1, 1, 2]}, "every test case needs a target"),
        ({"length": [1, 3]}, "histories must be prefixes of the sessions"),
        ({"length": [-1, 1]}, "histories must be prefixes of the sessions"),
        ({"session": [0, 2]}, "histories must be prefixes of the sessions"),
        ({"session": [-1, 0]}, "histories must be prefixes of the sessions"),
    ],
)
def test_inconsistent_arrays_are_refused(change: dict[str, list[int]], message: str) -> None:
    parts = {"session": [0, 1], "length": [1, 2], "offsets": [0, 1, 2], "targets": [0, 1]}
    sessions = of_lists(["abc", "ab"])
    assert len(TestCases(sessions, **{k: np.array(v) for k, v in parts.items()})) == 2
    with pytest.raises(DataError) as error:
        TestCases(sessions, **{k: np.array(v) for k, v in {**parts, **change}.items()})
    assert str(error.value) == message
