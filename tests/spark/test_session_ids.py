"""Ids of sessions from the numbers of their first appearance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.data.parquet_io import save_ids
from embedrec.spark.session_ids import SessionIds
from embedrec.spark.vocabularies import SHIFT


@pytest.fixture
def ids(tmp_path: Path) -> SessionIds:
    for shard, (sessions, users) in enumerate([([5, 6], ["a", "b"]), ([7], ["c"])]):
        folder = tmp_path / f"s{shard}"
        folder.mkdir()
        save_ids(np.array(sessions), folder / "session.parquet")
        save_ids(np.array(users, dtype=object), folder / "user.parquet")
    return SessionIds(str(tmp_path), ("s0", "s1"), "session", "user", {"session": True, "user": False}, False, False)


KEYS = np.array([1, 1 << SHIFT, 0])


def test_ids_of_both_shards(ids: SessionIds) -> None:
    from dataclasses import replace

    none = np.zeros(3, dtype=bool)
    assert ids.before_cuts(KEYS, none, None).to_pylist() == [6, 7, 5]
    assert ids.ids("user", KEYS).to_pylist() == ["b", "c", "a"]
    assert (ids.whole_sessions, ids.whole_users) == (True, False)
    split = replace(ids, split=True)
    assert split.before_cuts(KEYS, none, None).to_pylist() == ["6", "7", "5"]
    some = np.array([True, False, True])
    made = split.before_cuts(KEYS, some, KEYS[::-1])
    assert made.to_pylist() == ["6-a", "7", "5-b"] and not split.whole_sessions
    assert replace(split, cut=True).after_cuts(made, np.array([1, 2, 1])).to_pylist() == ["6-a-1", "7-2", "5-b-1"]
    assert split.after_cuts(made, np.array([1, 2, 1])) is made
