"""Partitions have about equal numbers of events, and sessions as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from embedrec.data.event_log import ReadState
from embedrec.spark.part_files import load_part
from embedrec.spark.partitions import Layout, WritePartition, _bits, _bounds, count_blocks
from embedrec.spark.shards import Shard


def test_blocks_are_joined_until_they_are_full() -> None:
    assert _bounds([{"0": 5, "2": 1}, {"0": 3, "3": 9, "7": 2, "8": 2}], 1, 9) == [0, 6, 14]
    assert _bounds([{"0": 50, "1": 1, "2": 50}], 0, 9) == [0, 1, 2]
    assert _bounds([{}], 4, 9) == [0]


def test_events_of_blocks() -> None:
    numbers = np.array([0, 1, 2, 3, 9, 8])
    assert count_blocks(numbers, np.array([1, 2, 3, 4, 5, 6]), 1) == {"0": 3, "1": 7, "4": 11}
    assert _bits(10) == 0 and 100_000 >> _bits(100_000) <= 1 << 12


def test_users_are_read_if_all_files_have_them() -> None:
    def shard(*columns: str, **state: bool) -> Shard:
        return Shard(
            "x", ("item", *columns), {}, {}, ["a", "b"] if "kind" in columns else None, False, ReadState(**state)
        )

    layout = Layout.of([shard("user", "time", parted=True), shard("user", "time", "finer", parted=True)])
    assert (layout.columns, layout.split, layout.keys) == (("item", "user", "time", "finer"), True, ["time", "finer"])
    layout = Layout.of([shard("user", parted=True), shard(parted=True)])
    assert (layout.columns, layout.split, layout.keys) == (("item",), False, [])
    assert Layout.of([shard("kind", "order")]).keys == ["order"]
    assert Layout.of([shard("kind"), shard("kind")]).kinds == ("a", "b")


def test_sessions_go_on_from_batch_to_batch(tmp_path: Path) -> None:
    session = np.array([5, 5, 5, 7, 7, 9, 9, 9, 9])
    batches = [
        pa.record_batch({"session": session[a:b], "item": np.arange(a, b, dtype=np.int32)})
        for a, b in ((0, 2), (2, 2), (2, 5), (5, 6), (6, 9))
    ]
    result = WritePartition(str(tmp_path), ("item",), False, None, None)(0, iter(batches))
    folder = tmp_path / result["folder"]
    assert load_part(folder / "key.npy").tolist() == [5, 7, 9]
    assert load_part(folder / "length.npy").tolist() == [3, 2, 4]
    assert load_part(folder / "item.npy").tolist() == list(range(9))
    assert (result["events"], result["sessions"], result["as_read"]) == (9, 3, 3)


def test_an_empty_partition(tmp_path: Path) -> None:
    result = WritePartition(str(tmp_path), ("item", "user", "time"), True, 10, 3)(0, iter([]))
    assert (result["events"], result["sessions"], result["blocks"]) == (0, 0, {})
