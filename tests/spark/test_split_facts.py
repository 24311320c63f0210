"""Facts for split rules, against NumPy; and slices of whole sessions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.spark import split_facts
from embedrec.spark.sessions_frame import open_sessions
from embedrec.spark.split_facts import SessionSlices, SparkMoments
from tests.conftest import of_lists

pytestmark = pytest.mark.spark


def test_moments(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_facts, "_BINS", 8)
    times = np.random.default_rng(0).integers(-50, 100, 12)
    times[:3] = times[3]
    replace(of_lists(["abc"] * 4), times=times).save(tmp_path / "s", {})
    with open_sessions(spark, tmp_path / "s", size=5) as frame:
        moments = SparkMoments(frame)
        assert len(moments) == 12 and moments.last() == times.max()
        for place in (0, 4, 11):
            assert moments.nth(place) == np.sort(times)[place]


def test_slices_have_whole_sessions(spark: Any, tmp_path: Path) -> None:
    sessions = of_lists(["ab", "", "cdefgh", "a", "", "", "b", "a"])
    sessions.save(tmp_path / "s", {})
    with open_sessions(spark, tmp_path / "s", size=3) as frame:
        slices = SessionSlices.of(frame)
    assert slices.bounds == (0, 2, 3, 6, 8)
    read = [slices.read(number) for number in range(len(slices))]
    assert [part[s].tolist() for part in read for s in range(len(part))] == [
        sessions[s].tolist() for s in range(len(sessions))
    ]
    assert np.concatenate([part.ids for part in read]).tolist() == list(range(8))
    ids = [slices.ids(number, "sessions").to_pylist() for number in range(len(slices))]
    assert [i for part in ids for i in part] == sessions.ids.tolist()
