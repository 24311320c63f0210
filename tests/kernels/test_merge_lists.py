"""`kernels.merge_lists` through `ranking.candidates`, whose tests compare it with a slow reference."""

from __future__ import annotations

import numpy as np

from embedrec.kernels.merge_lists import merge_lists


def test_the_hash_table_is_empty_again_and_colliding_items_stay_apart() -> None:
    rows = np.array([[3, 7, 7, 1], [7, -1, 3, 7]], dtype=np.int32)  # two lists of two
    scores = np.arange(8, dtype=np.float32).reshape(2, 4)
    slots = np.full(8, -1, dtype=np.int64)
    offsets, items = np.empty(3, np.int64), np.empty(8, np.int32)
    ranks, item_scores = np.empty((8, 2), np.int32), np.empty((8, 2), np.float32)
    merge_lists(rows, scores, np.array([0, 2, 4]), slots, 61, offsets, items, ranks, item_scores)
    assert offsets.tolist() == [0, 3, 5] and items[:5].tolist() == [3, 7, 1, 7, 3]
    assert ranks[:5].tolist() == [[0, -1], [1, 0], [-1, 1], [0, 1], [-1, 0]]
    assert np.array_equal(item_scores[1], [1.0, 2.0]) and np.isnan(item_scores[0, 1])
    assert (slots == -1).all()
