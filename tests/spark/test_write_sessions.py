"""Rows of items by count."""

from __future__ import annotations

import numpy as np

from embedrec.spark.write_sessions import rank_items


def test_items_by_count_and_number() -> None:
    rows, counts = rank_items(np.array([2, 0, 5, 2, 0, 7]))
    assert rows.tolist() == [2, -1, 1, 3, -1, 0]
    assert counts.tolist() == [7, 5, 2, 2]
