"""The time scale of a history."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.ranking.feature_groups.history import HistoryFeatures

ITEMS = Vocab(["a", "b"])


def test_scale_is_the_median_gap_within_sessions() -> None:
    items, ids = np.array([0, 1, 0, 1, 0]), np.arange(2)
    sessions = Sessions(np.array([0, 3, 5]), items, ITEMS, ids, times=np.array([0, 10, 10, 5_000, 5_030]))
    group = HistoryFeatures.fit(sessions)
    assert group.scale == 20  # of 10 and 30; 0 is no gap
    assert HistoryFeatures.from_arrays(group.arrays) == group
    assert group.names[-2:] == ("duration", "last gap")
    still = Sessions(np.array([0, 2]), items[:2], ITEMS, ids[:1], times=np.array([7, 7]))
    assert HistoryFeatures.fit(still).scale == 1


def test_no_times() -> None:
    group = HistoryFeatures.fit(Sessions.of_lists([["a"]], ITEMS))
    assert not group.timed
    assert not HistoryFeatures.from_arrays(group.arrays).timed
    assert "duration" not in group.names
    for wrong in (0.0, -1.0, np.inf):
        with pytest.raises(DataError, match="must be positive"):
            HistoryFeatures.from_arrays({"history.scale": np.array([wrong])})
