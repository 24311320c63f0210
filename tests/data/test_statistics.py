"""Statistics of sessions against slow twins on lists, and by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from statistics import mean, median

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.data.statistics import Bucket, LengthStatistics, describe
from embedrec.errors import DataError
from embedrec.splitting.holdout import HeldOut, HeldOutCounts, describe_held_out
from tests.conftest import of_lists, tiny_sessions
from tests.data import strategies as draw


@draw.given(st.lists(st.text("abcdefghij", max_size=40), min_size=1, max_size=12).filter(any), examples=150)
def test_statistics_equal_a_slow_count(lists: list[str]) -> None:
    statistics = describe(of_lists(lists, Vocab(list("abcdefghijk"))))
    lengths = sorted(map(len, lists))
    counts = sorted(Counter("".join(lists)).values(), reverse=True)
    events, n = sum(lengths), len(counts)
    assert (statistics.sessions, statistics.items, statistics.events) == (len(lists), n, events)
    assert (statistics.users, statistics.first, statistics.last) == (None, None, None)
    least = [next(x for x in lengths if sum(y <= x for y in lengths) >= share * len(lists)) for share in (0.9, 0.99)]
    assert statistics.lengths == LengthStatistics(
        lengths[0], median(lengths), pytest.approx(mean(lengths)), *least, lengths[-1]
    )
    distinct = sum(len(set(session)) for session in lists)
    assert statistics.sparsity == pytest.approx(1 - distinct / (len(lists) * n))
    assert statistics.repeats == pytest.approx(1 - distinct / events)
    assert statistics.top_1 == pytest.approx(counts[0] / events)  # of at most 10 items, rounded up
    assert statistics.top_10 == statistics.top_1
    differences = sum(abs(a - b) for a in counts for b in counts)
    assert statistics.gini == pytest.approx(differences / (2 * n * events), abs=1e-12)
    assert statistics.median_item == median(counts)
    assert sum(b.sessions for b in statistics.histogram) == len(lists)
    for b in statistics.histogram:
        assert b.sessions == sum(b.least <= length <= b.most for length in lengths)
    assert statistics.histogram[0].sessions and statistics.histogram[-1].sessions
    assert all(a.most + 1 == b.least for a, b in zip(statistics.histogram, statistics.histogram[1:], strict=False))


def test_the_limits_of_lengths_double() -> None:
    statistics = describe(of_lists(["a" * length for length in (1, 2, 3, 4, 5, 17)]))
    assert statistics.histogram == (
        Bucket(1, 1, 1), Bucket(2, 2, 1), Bucket(3, 4, 2), Bucket(5, 8, 1), Bucket(9, 16, 0), Bucket(17, 32, 1)
    )  # fmt: skip
    assert describe(of_lists(["", "a"])).histogram == (Bucket(0, 0, 1), Bucket(1, 1, 1))


def test_statistics_contain_users_and_times() -> None:
    sessions = tiny_sessions()
    users = np.arange(len(sessions)) % 3
    statistics = describe(replace(sessions, users=users, times=np.arange(len(sessions.items))[::-1] * 1000))
    assert (statistics.users, statistics.first, statistics.last) == (3, 0, (len(sessions.items) - 1) * 1000)


def test_empty_sessions_have_no_statistics() -> None:
    with pytest.raises(DataError, match="there are no events to describe; prepare some sessions"):
        describe(of_lists([""]))


def test_statistics_of_held_out_sessions() -> None:
    held_out = HeldOut(of_lists(["aab", "", "c"]), np.array([1, 0, 1]))
    assert describe_held_out(held_out) == HeldOutCounts(3, 3, 4, 2)
