"""Offsets against a slow loop, and those whose differences overflow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data.offsets import check_offsets
from embedrec.errors import DataError
from tests.conftest import read_only, tiny_sessions

LARGEST = 2**63 - 1
MESSAGE = "offsets of lists must ascend from 0 to the number of words"


def valid(offsets: list[int], total: int) -> bool:
    """Whether the lists, one after the other, are all parts once."""
    parts: list[int] = []
    for i in range(len(offsets) - 1):
        if not 0 <= offsets[i] <= offsets[i + 1] <= total:
            return False
        parts += range(offsets[i], offsets[i + 1])
    return bool(offsets) and offsets[0] == 0 and offsets[-1] == total and parts == list(range(total))


@given(st.lists(st.integers(0, 4), max_size=6), st.integers(0, 4), st.booleans())
def test_offsets_are_checked_like_a_slow_loop(numbers: list[int], total: int, ascending: bool) -> None:
    offsets = sorted([0, *numbers, total]) if ascending else numbers
    array = read_only(np.array(offsets, dtype=np.int64))
    if valid(offsets, total):
        check_offsets(array, total, "lists", "words")
    else:
        with pytest.raises(DataError) as raised:
            check_offsets(array, total, "lists", "words")
        assert str(raised.value) == MESSAGE


@pytest.mark.parametrize(
    "offsets",
    [[0, LARGEST, -LARGEST - 1, -1, 5], [0, 6, 5], [1, 5], [0, 4], [], [[0, 5]], 5],
    ids=str,
)
def test_offsets_that_do_not_ascend_to_the_end_are_refused(offsets: object) -> None:
    with pytest.raises(DataError, match=f"^{MESSAGE}$"):
        check_offsets(np.array(offsets), 5, "lists", "words")


def test_differences_of_refused_offsets_may_overflow_to_positive_numbers() -> None:
    """Which is why neighbours are compared: `np.diff` sees ascending offsets."""
    overflowing = np.array([0, LARGEST, -LARGEST - 1, -1, 3])
    assert (np.diff(overflowing) >= 0).all()
    sessions = tiny_sessions()
    with pytest.raises(DataError, match="offsets of sessions must ascend from 0 to the number of"):
        type(sessions)(overflowing, [0, 0, 0], sessions.vocab, [1, 2, 3, 4])
