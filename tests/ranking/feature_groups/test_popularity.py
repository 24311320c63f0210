"""Popularity of items, over all time and recently."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from embedrec.data.events import DAY
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.ranking.feature_groups.popularity import PopularityFeatures

ITEMS = Vocab(["a", "b", "never"])


def test_windows_are_days_where_there_are_times() -> None:
    days = np.array([0, 5, 9, 10])
    sessions = Sessions(np.array([0, 4]), np.array([0, 0, 1, 0]), ITEMS, np.arange(1), times=days * DAY)
    group = PopularityFeatures.fit(sessions)
    a = dict(zip(group.names, group.table[0].tolist(), strict=True))
    assert a["popularity"] == pytest.approx(log(3.5 / (4 / 3 + 0.5)))
    assert a["popularity of last 1 days"] == pytest.approx(log(1.5 / (1 / 3 + 0.5)))
    assert a["popularity of last 3 days"] == pytest.approx(log(1.5 / (2 / 3 + 0.5)))
    assert a["trend of last 7 days"] == pytest.approx(log((2 + 2) / (3 * 3 / 4 + 2)))
    assert (a["age"], a["recency"]) == (10, 0)
    assert np.isnan(group.table[2]).all()


def test_windows_are_shares_of_events_without_times() -> None:
    sessions = Sessions.of_lists([["a"] * 190, ["b"] * 10], ITEMS)
    group = PopularityFeatures.fit(sessions)
    b = dict(zip(group.names, group.table[1].tolist(), strict=True))
    assert b["popularity of last 1 percent"] == pytest.approx(log(2.5 / (2 / 3 + 0.5)))
    assert b["trend of last 10 percent"] == pytest.approx(log((10 + 2) / (10 * 20 / 200 + 2)))
    assert (b["age"], b["recency"]) == (pytest.approx(9 / 200), 0)


def test_relative_counts_do_not_depend_on_the_number_of_sessions() -> None:
    once = PopularityFeatures.fit(Sessions.of_lists([["a", "a", "b"]] * 50, ITEMS)).table
    twice = PopularityFeatures.fit(Sessions.of_lists([["a", "a", "b"]] * 500, ITEMS)).table
    np.testing.assert_allclose(once[:2, 0], twice[:2, 0], atol=0.02)
