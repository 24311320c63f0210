"""Artifacts as frames: the same sessions, whatever the slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Sessions, Vocab
from embedrec.errors import ArtifactError
from embedrec.spark.sessions_frame import events_of_slice, frame_of, open_sessions, slice_frame
from tests.conftest import tiny_sessions

pytestmark = pytest.mark.spark


def rich_sessions() -> Sessions:
    """Sessions with an empty one, a long one, times, weights, kinds and names."""
    rng = np.random.default_rng(3)
    lengths = np.array([2, 0, 40, 1, 0, 0, 7, 3])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    count = int(lengths.sum())
    vocab = Vocab([f"i{n}" for n in range(9)], np.array([f"name {n}" for n in range(9)], dtype=object), np.arange(9))
    return Sessions(
        offsets,
        rng.integers(0, 9, count).astype(np.int32),
        vocab,
        np.arange(len(lengths)) * 10,
        times=rng.integers(0, 10**12, count),
        weights=rng.random(count).astype(np.float32),
        kinds=rng.integers(0, 2, count).astype(np.int32),
        kind_names=np.array(["click", "buy"], dtype=object),
    )


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_events_are_those_of_the_artifact(spark: Any, tmp_path: Path, size: int) -> None:
    sessions = rich_sessions()
    sessions.save(tmp_path / "s", {})
    with open_sessions(spark, tmp_path / "s", size=size) as frame:
        assert (frame.n_sessions, frame.n_events, frame.n_items) == (8, 53, 9)
        assert frame.events.columns == ["session", "position", "item", "time", "weight", "kind"]
        rows = frame.events.orderBy("session", "position").collect()
        assert frame.slices.count() == -(-53 // size)
    assert [row.session for row in rows] == sessions.session_of.tolist()
    assert [row.position for row in rows] == sessions.position_of.tolist()
    for name, column in (("item", "items"), ("time", "times"), ("weight", "weights"), ("kind", "kinds")):
        assert [row[name] for row in rows] == getattr(sessions, column).tolist()


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_lists_are_the_sessions_in_pieces(spark: Any, tmp_path: Path, size: int) -> None:
    sessions = rich_sessions()
    sessions.save(tmp_path / "s", {})
    with open_sessions(spark, tmp_path / "s", size=size) as frame:
        rows = sorted((row.session, row.position, row["items"]) for row in frame.lists.collect())
    joined: dict[int, list[int]] = {}
    for session, position, items in rows:
        assert len(joined.setdefault(session, [])) == position
        joined[session] += items
    assert {s: items for s, items in joined.items() if items} == {
        s: sessions[s].tolist() for s in range(len(sessions)) if len(sessions[s])
    }


def test_items_and_sessions_have_their_rows(spark: Any, tmp_path: Path) -> None:
    sessions = rich_sessions()
    sessions.save(tmp_path / "s", {})
    frame = frame_of(spark, _artifact(tmp_path / "s"))
    items = frame.items.orderBy("row").collect()
    assert [(row.row, row.id, row.name, row["count"]) for row in items] == [
        (n, f"i{n}", f"name {n}", n) for n in range(9)
    ]
    assert [(row.row, row.id) for row in frame.sessions.orderBy("row").collect()] == [(n, 10 * n) for n in range(8)]


def test_no_events_are_one_empty_slice(spark: Any, tmp_path: Path) -> None:
    none = Sessions(np.zeros(1), np.zeros(0), Vocab([]), np.zeros(0, np.int64))
    none.save(tmp_path / "s", {})
    frame = frame_of(spark, _artifact(tmp_path / "s"))
    assert frame.events.count() == frame.lists.count() == frame.items.count() == 0


def test_slices_cover_all_rows(spark: Any) -> None:
    rows = slice_frame(spark, 10, 4).collect()
    assert [(row.start, row.stop) for row in rows] == [(0, 4), (4, 8), (8, 10)]
    assert [(row.start, row.stop) for row in slice_frame(spark, 0, 4).collect()] == [(0, 0)]


def test_a_slice_has_the_sessions_between_its_events() -> None:
    offsets = np.array([0, 2, 2, 5, 6])
    sessions, bounds = events_of_slice(offsets, 1, 4)
    assert (sessions.tolist(), bounds.tolist()) == ([0, 1, 2], [1, 2, 2, 4])
    sessions, bounds = events_of_slice(offsets, 2, 5)
    assert (sessions.tolist(), bounds.tolist()) == ([2], [2, 5])


def test_a_damaged_artifact_is_refused(spark: Any, tmp_path: Path) -> None:
    tiny_sessions().save(tmp_path / "s", {})
    with (tmp_path / "s" / "items.npy").open("r+b") as f:
        f.truncate(100)
    with pytest.raises(ArtifactError, match=r"items\.npy is damaged"), open_sessions(spark, tmp_path / "s"):
        pass


def _artifact(folder: Path) -> Any:
    from embedrec.storage import artifacts

    return artifacts.read(folder, "sessions")
