"""Sums over sessions by items, against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Sessions, Vocab
from embedrec.models.pair_counts import one_mention, totals, weight_sessions
from embedrec.spark.item_sums import count_mentions, sum_sessions, sum_weights
from embedrec.spark.pair_records import PairRules
from embedrec.spark.sessions_frame import open_sessions

pytestmark = pytest.mark.spark

N = 12


@pytest.mark.parametrize("window", [0, 2])
def test_sums_are_those_of_one_machine(spark: Any, tmp_path: Path, window: int) -> None:
    rng = np.random.default_rng(4)
    lists = [rng.integers(0, N, rng.integers(0, 8)).tolist() for _ in range(80)]
    sessions = Sessions.of_lists(lists, Vocab(np.arange(N)))
    sessions.save(tmp_path / "sessions", {})
    rows = np.arange(2, N)
    mentions = one_mention(sessions, rows, window)
    lengths = np.diff(mentions.offsets)
    new = np.full(N, -1, dtype=np.int32)
    new[rows] = np.arange(len(rows))
    weights = 2.0 ** -np.arange(lengths.max() + 1)
    weighted, norms = weight_sessions(mentions, weights[lengths])
    rules = PairRules(once=True, window=window)
    with open_sessions(spark, tmp_path / "sessions", size=50) as frame:
        assert count_mentions(frame).tolist() == np.bincount(sessions.items, minlength=N).tolist()
        shared = spark.sparkContext.broadcast(new)
        sums = sum_sessions(frame, rules, shared, len(rows))
        found = sum_weights(frame, rules, shared, len(rows), weights)
    assert sums.lengths.tolist() == np.bincount(lengths).tolist()
    assert sums.mentions.tolist() == np.diff(mentions.starts).tolist()
    paired = lengths > 1
    if not window:
        loads = np.bincount(mentions.items, np.repeat(np.where(paired, lengths, 0), lengths), minlength=len(rows))
        assert sums.loads.tolist() == loads.tolist()
    assert found[0].tolist() == norms.tolist() and found[1].tolist() == totals(weighted).tolist()
