"""Filters over partitions; `test_preparation` compares their results with those of one machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embedrec.spark.filter_partitions import items_of, save_counts
from embedrec.spark.part_files import load_part, save_part


def test_items_of_a_partition(tmp_path: Path) -> None:
    save_part(tmp_path / "item.npy", np.array([7, 3, 7, 900], dtype=np.int32))
    items, rows = items_of(tmp_path)
    assert (items.tolist(), rows.tolist(), rows.dtype) == ([3, 7, 900], [1, 0, 1, 2], np.int32)


def test_counts_in_two_files(tmp_path: Path) -> None:
    name = save_counts(tmp_path, 2, np.array([3, 7]), np.array([1, 2**40]))
    assert load_part(tmp_path / f"{name}-items.npy").tolist() == [3, 7]
    assert load_part(tmp_path / f"{name}-counts.npy").tolist() == [1, 2**40]
