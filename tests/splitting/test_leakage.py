"""Leak checks find every leak and accept splits without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from embedrec.data import Sessions, Vocab
from embedrec.errors import DataError
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.leakage import check_leaks
from embedrec.splitting.rules import SPLITS, LastItem, Rule, Split, Tail, Time, WarmTime
from tests.conftest import of_lists
from tests.data.plain import Plain, plain_sessions, sessions_of


def sessions_with_times(lists: list[str], times: list[list[int]], ids: list[Any] | None = None) -> Sessions:
    sessions = of_lists(lists).drop_unused_items()
    sessions = replace(sessions, times=np.array([t for one in times for t in one], dtype=np.int64))
    return sessions if ids is None else replace(sessions, ids=np.array(ids, dtype=object))


SPLIT = Time(at="1970-01-01T00:00:00.010").split(
    sessions_with_times(
        ["abc", "bca", "cab", "bcc"], [[1, 2, 3], [4, 5, 6], [8, 11, 12], [13, 14, 15]], ["p", "q", "r", "s"]
    )
)


def assert_refused(train: Sessions, test: HeldOut, message: str, *, in_time: bool = False) -> None:
    with pytest.raises(DataError) as error:
        check_leaks(train, test, in_time=in_time)
    assert str(error.value) == message


def test_a_split_in_time_without_leaks_passes() -> None:
    assert check_leaks(*SPLIT, in_time=True) == [
        "all 3 items of the training vocabulary are in training sessions",
        "none of the 2 held-out sessions has the id of a training session",
        "0 of 2 held-out sessions of 3 items or more equal a training session item by item",
        "all training events are before the end of every held-out session",
    ]


@pytest.mark.parametrize("rule", [r for name, r in SPLITS.items() if "time" not in name], ids=lambda r: r.name)
@given(plain=plain_sessions(users=True))
def test_no_rule_leaks(rule: Callable[..., Rule], plain: list[Plain]) -> None:
    assert_no_leak(rule(), sessions_of(plain))


@pytest.mark.parametrize("rule", [Time(share=0.3), WarmTime(share=0.3), WarmTime(min_rating=3)], ids=str)
@given(plain=plain_sessions(times=True, weights=True))
def test_no_rule_in_time_leaks(rule: Rule, plain: list[Plain]) -> None:
    assert_no_leak(rule, sessions_of(plain))


def assert_no_leak(rule: Rule, sessions: Sessions) -> None:
    try:
        split = rule.split(sessions)
    except DataError:  # parts would be empty; see the tests of the rules
        return
    result = check_leaks(*split, in_time=isinstance(rule, Time | WarmTime))
    assert result[0].startswith(f"all {len(split.train.vocab)} items ")


def test_a_vocabulary_with_items_outside_training_is_a_leak() -> None:
    vocab = Vocab([*SPLIT.train.vocab.ids, "x", "y"])
    assert_refused(
        replace(SPLIT.train, vocab=vocab),
        SPLIT.test,
        "leak: 2 items of the training vocabulary, such as 'x', are in no training session; build the vocabulary from "
        "the training part only",
    )
    whole = of_lists(["ab", "bc"])
    not_compacted = Split(whole.take(np.array([0])), Tail(0.5).split(whole).test)
    assert_refused(
        *not_compacted,
        "leak: 1 items of the training vocabulary, such as 'c', are in no training session; build the vocabulary from "
        "the training part only",
    )


def test_integer_ids_are_named_as_integers() -> None:
    train = of_lists([[7]], Vocab([7, 8]))
    assert_refused(
        train,
        HeldOut(of_lists([[7, 7]]), np.zeros(1)),
        "leak: 1 items of the training vocabulary, such as 8, are in no training session; build the vocabulary from "
        "the training part only",
    )


@pytest.mark.parametrize("known", ["cab", "ca", "c"])
def test_a_held_out_session_in_training_is_a_leak(known: str) -> None:
    """So is the beginning of one without given events."""
    train = sessions_with_times(
        ["abc", "bca", known], [[1, 2, 3], [4, 5, 6], [8, 11, 12][: len(known)]], ["p", "q", "r"]
    )
    assert_refused(
        train,
        SPLIT.test,
        "leak: training has session 'r' beyond the 0 given events; split by session, or remove it from training",
    )


def test_equal_ids_and_items_at_other_times_are_no_leak() -> None:
    train = sessions_with_times(["abc", "bca", "cab"], [[1, 2, 3], [4, 5, 6], [7, 8, 9]], ["p", "q", "r"])
    assert check_leaks(train, SPLIT.test)[1] == (
        "training has the ids of 1 of the 2 held-out sessions too, but nothing beyond the given part"
    )


def test_without_times_one_equal_session_in_a_hundred_is_accepted() -> None:
    lists = ["ab"] + ["ba"] * 99
    test = HeldOut(of_lists(["abb"] * 100), np.zeros(100))
    assert check_leaks(of_lists(lists).drop_unused_items(), test)[1] == (
        "1 of 100 held-out sessions have the id and items of a training session"
    )
    assert_refused(
        of_lists(["ab", *lists[:-1]]).drop_unused_items(),
        test,
        "leak: training has session 0 beyond the 0 given events; split by session, or remove it from training",
    )


def test_training_events_beyond_the_given_part_are_a_leak() -> None:
    sessions = of_lists(["abc", "cab", "bb"]).drop_unused_items()
    test = LastItem().split(sessions).test
    assert_refused(
        sessions,
        test,
        "leak: training has session 0 beyond the 2 given events; split by session, or remove it from training",
    )
    only_one = replace(test, given=np.array([2, 1, 1]))
    known = of_lists(["ab", "ca", "b"]).drop_unused_items()
    assert_refused(
        known,
        only_one,
        "leak: training has session 1 beyond the 1 given events; split by session, or remove it from training",
    )
    assert check_leaks(known, test)[1] == (
        "training has the ids of 3 of the 3 held-out sessions too, but nothing beyond the given part"
    )


def test_the_same_id_of_another_session_is_no_leak() -> None:
    """Files of training and test sessions may both be numbered from 0."""
    train = of_lists(["ab", "bc", "xa"]).drop_unused_items()
    test = HeldOut(of_lists(["ba", "cb", "yab"]), np.zeros(3))
    assert check_leaks(train, test)[1] == (
        "training has the ids of 3 of the 3 held-out sessions too, but nothing beyond the given part"
    )
    text = replace(train, ids=np.array(["0", "1", "2"], dtype=object))
    assert check_leaks(text, test) == check_leaks(train, test)
    assert_refused(
        text,
        HeldOut(of_lists(["ab"]), np.zeros(1)),
        "leak: training has session 0 beyond the 0 given events; split by session, or remove it from training",
    )


@pytest.mark.parametrize("with_times", [False, True])
@pytest.mark.parametrize(
    ("whole", "kept"),
    [("xaybz", [1, 3]), ("abcabd", [0, 1, 2, 5]), ("aabbc", [0, 2, 4]), ("abcd", [2, 3]), ("xabcyd", [2, 3, 5])],
    ids=["rare items", "all duplicates", "consecutive duplicates", "cut", "rare items and cut"],
)
def test_filters_of_the_training_part_hide_no_leak(whole: str, kept: list[int], with_times: bool) -> None:
    """`prepare --test` filters the training part only."""
    test, train = (
        sessions_with_times([whole], [[*range(len(whole))]]),
        sessions_with_times(["".join(whole[p] for p in kept)], [kept]),
    )
    if not with_times:
        test, train = replace(test, times=None), replace(train, times=None)
    assert_refused(
        train,
        HeldOut(test, np.zeros(1)),
        "leak: training has session 0 beyond the 0 given events; split by session, or remove it from training",
    )


@pytest.mark.parametrize("items", ["aa", "aaa", "abab", "aab", "abcc"])
def test_repeated_items_are_no_leak(items: str) -> None:
    """If the last item also occurs earlier, training may contain it."""
    train, test = LastItem().split(of_lists([items]))
    assert check_leaks(train, test)[1].endswith("but nothing beyond the given part")


def test_copies_under_another_id_are_counted() -> None:
    train = of_lists(["abc", "ab", "cba", "abca"]).drop_unused_items()
    lists = ["abc", "abc", "ab", "cba", "acb", "abx", "abcab"]  # two of them too short, or with an unknown item
    other = replace(of_lists(lists), ids=np.arange(10, 17))
    assert check_leaks(train, HeldOut(other, np.zeros(7)))[2] == (
        "3 of 6 held-out sessions of 3 items or more equal a training session item by item"
    )
    partly = HeldOut(other, np.array([1, 0, 0, 1, 1, 1, 1]))  # training has the beginning of those anyway
    assert check_leaks(train, partly)[2] == (
        "1 of 1 held-out sessions of 3 items or more equal a training session item by item"
    )
    assert not any("equal" in line for line in check_leaks(train, HeldOut(other, np.ones(7))))


LATE = "leak: a training event is not before all held-out events, though the split is by time"


@pytest.mark.parametrize(("time", "leaks"), [(11, False), (12, True), (99, True)])
def test_training_events_after_the_first_held_out_end_are_a_leak(time: int, leaks: bool) -> None:
    """Held-out sessions end at 12 and 15."""
    train = sessions_with_times(["abc", "bca", "a"], [[1, 2, 3], [4, 5, 6], [time]], ["p", "q", "late"])
    if leaks:
        assert_refused(train, SPLIT.test, LATE, in_time=True)
    else:
        assert check_leaks(train, SPLIT.test, in_time=True)[-1].startswith("all training events are before")
    assert check_leaks(train, SPLIT.test)[-1] == (
        "14.3% of training events are not before the first target: the split is not by time"
    )


def test_training_before_the_first_target_is_reported() -> None:
    """Without a split in time, too."""
    train = sessions_with_times(["abc", "bca"], [[1, 2, 3], [4, 5, 6]], ["p", "q"])
    assert check_leaks(train, SPLIT.test)[-1] == "all training events are before the first target"


@pytest.mark.parametrize(("time", "leaks"), [(5, False), (6, True), (7, True)])
def test_training_events_after_the_first_target_are_a_leak(time: int, leaks: bool) -> None:
    """The first target is at 6; given events have no bound."""
    test = HeldOut(sessions_with_times(["abc", "cb"], [[1, 6, 8], [2, 7]], ["p", "q"]), np.array([1, 1]))
    train = sessions_with_times(["a", "c", "b"], [[1], [2], [time]], ["p", "q", "other"])
    if leaks:
        assert_refused(train, test, LATE, in_time=True)
    else:
        assert check_leaks(train, test, in_time=True)[-1] == "all training events are before all held-out events"


def test_order_is_not_checked_without_times_or_test_cases() -> None:
    message = "there are no times, so the order of training and held-out events was not checked"
    for rule, part in ((LastItem(), ["ab", "bc"]), (Tail(0.5), ["abc", "bca"])):
        assert check_leaks(*rule.split(of_lists(part)))[-1] == message
    train, test = SPLIT
    assert check_leaks(replace(train, times=None), test, in_time=True)[-1] == message
    assert check_leaks(train, replace(test, sessions=replace(test.sessions, times=None)))[-1] == message
    single = HeldOut(sessions_with_times(["a", "b"], [[20], [21]], ["y", "z"]), np.zeros(2))
    assert len(check_leaks(train, single)) == 2  # neither long enough to be copies, nor to be asked about


def test_an_empty_held_out_part_passes() -> None:
    none = HeldOut(of_lists([]), np.zeros(0))
    assert check_leaks(of_lists(["ab"]), none)[:2] == [
        "all 2 items of the training vocabulary are in training sessions",
        "none of the 0 held-out sessions has the id of a training session",
    ]


def test_copies_of_most_sessions_under_other_ids_are_a_leak() -> None:
    lists = [f"abc{'def'[n % 3]}{'def'[n // 3 % 3]}" for n in range(120)]
    sessions = of_lists(lists).drop_unused_items()
    test = HeldOut(replace(sessions, ids=np.arange(1000, 1120)), np.zeros(120))
    assert_refused(
        sessions,
        test,
        "leak: 120 of 120 held-out sessions of 3 items or more equal a training session item by item, under other ids; "
        "remove the held-out part from training",
    )
