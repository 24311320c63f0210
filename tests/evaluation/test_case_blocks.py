"""Blocks of test cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.evaluation import case_blocks as module


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 4), st.integers(1, 20))
def test_blocks_are_bounded_in_test_cases_and_events(length: list[int], test_cases: int, events: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_CASES", test_cases)
        patch.setattr(module, "BLOCK_EVENTS", events)
        blocks = list(module.case_blocks(np.array(length, dtype=np.int64)))
    assert [q for start, stop in blocks for q in range(start, stop)] == list(range(len(length)))
    for start, stop in blocks:
        assert 0 < stop - start <= test_cases
        assert sum(length[start:stop]) <= events or stop - start == 1
