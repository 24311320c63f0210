"""Times of the day and of the week."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.ranking.candidates import Candidates
from embedrec.ranking.feature_groups.clock import ClockFeatures
from embedrec.ranking.features import FeatureTables

ITEMS = Vocab(["a", "b"])


def at(*times: str) -> Sessions:
    """A session of a, b, a, b … at these times."""
    stamps = np.array(times, dtype="datetime64[ms]")
    return Sessions(np.array([0, len(times)]), np.arange(len(times)) % 2, ITEMS, np.arange(1), times=stamps)


def test_hour_and_weekday() -> None:
    train = at("2026-11-27T07:00", "2026-11-28T07:00", "2026-11-29T07:00", "2026-11-29T13:00")  # from a Friday on
    candidates = Candidates(
        np.array([0, 2]),
        np.array([0, 1], dtype=np.int32),
        np.zeros((2, 0), dtype=np.int32),
        np.zeros((2, 0), dtype=np.float32),
        (),
    )
    tables = FeatureTables.fit(train, [])
    columns = [tables.names.index(name) for name in ("hour", "weekday", "popularity at this time")]
    result = tables.compute(at("2026-11-20T00:00", "2026-11-22T08:30"), candidates)[:, columns]
    assert result[:, :2].tolist() == [[8.5, 6]] * 2
    assert result[:, 2].tolist() == pytest.approx([log((1 + 2) / (2 * 0.5 + 2)), log((1 + 2) / (2 * 0.5 + 2))])
    none = tables.compute(Sessions.of_lists([["a"]], ITEMS), candidates)[:, columns]
    assert np.isnan(none).all()


def test_no_times() -> None:
    assert ClockFeatures.fit(Sessions.of_lists([["a"]], ITEMS)) == []
    assert ClockFeatures.from_arrays(2, {}) == []
