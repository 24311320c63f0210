"""Counts of popular items by slices, against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Sessions, Vocab
from embedrec.models.baselines.popular import Popular
from embedrec.spark.mention_counts import popular_counts
from embedrec.spark.sessions_frame import open_sessions

pytestmark = pytest.mark.spark

DAY = 86_400_000


def test_recent_mentions(spark: Any, tmp_path: Path) -> None:
    plain = Sessions.of_lists([["a", "b"], ["a", "c"], ["b"]], Vocab(["a", "b", "c", "d"]))
    times = np.array([0, 0, 8, 9, 10]) * DAY
    Sessions(plain.offsets, plain.items, plain.vocab, plain.ids, times=times).save(tmp_path / "sessions", {})
    with open_sessions(spark, tmp_path / "sessions", size=2) as frame:
        counts = {
            name: popular_counts(Popular(**settings), frame).tolist()  # type: ignore[arg-type]
            for name, settings in {"all": {}, "days": {"days": 2}, "half": {"half_life": 2}}.items()
        }
    assert counts == {"all": [2, 2, 1, 0], "days": [1, 1, 1, 0], "half": [2**-5 + 0.5, 2**-5 + 1, 2**-0.5, 0]}
