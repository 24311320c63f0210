"""Slices of sessions; `test_als` compares the cells of slices and parts with one machine."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.spark import als_cells
from embedrec.spark.als_cells import slice_bounds

BLOCK = 32


def test_slices_are_whole_blocks_of_about_as_many_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(als_cells, "BLOCK_ROWS", BLOCK)
    lengths = np.ones(5 * BLOCK + 3, dtype=np.int64)
    lengths[BLOCK : 2 * BLOCK] = 10
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    first = [block * BLOCK for block in range(6)]
    assert slice_bounds(offsets, 10**6, 10**6).tolist() == [0, len(lengths)]
    assert slice_bounds(offsets, 1, 10**6).tolist() == [*first, len(lengths)]
    assert slice_bounds(offsets, 10**6, 4 * BLOCK).tolist() == [0, first[1], first[2], len(lengths)]
    assert slice_bounds(offsets, 2 * BLOCK, 10**6).tolist() == [0, first[2], first[4], len(lengths)]
