"""The inverted index of items and sessions, against lists made by hand and a slow reference."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.export.policies.session_index import EMPTY, ItemSessionIndex, index_sessions
from tests.conftest import of_lists
from tests.export.policies.cases import ITEMS, N, logs, sessions_of_items


def lists_of(starts: np.ndarray, values: np.ndarray) -> list[list[int]]:
    return [values[start:stop].tolist() for start, stop in pairwise(starts)]


def test_lists_by_hand() -> None:
    """Items that occur twice in a session are listed once; items outside of the vocabulary are left out."""
    index = index_sessions(of_lists(["bab", "c", "xa", "x"]), Vocab([*"abcd"]))
    assert lists_of(index.starts, index.sessions) == [[0, 2], [0], [1], []]
    assert lists_of(index.offsets, index.items) == [[0, 1], [2], [0], []]
    dtypes = [array.dtype.name for array in (index.starts, index.sessions, index.offsets, index.items)]
    assert dtypes == ["int64", "int32", "int64", "int32"]


@pytest.mark.parametrize("seed", [0, 1])
def test_lists_equal_a_slow_reference(seed: int) -> None:
    sessions = logs(seed)
    index = index_sessions(sessions, ITEMS)
    assert lists_of(index.starts, index.sessions) == [sorted(of) for of in sessions_of_items(sessions)]
    assert lists_of(index.offsets, index.items) == [sorted(set(items.tolist())) for items in sessions]
    assert len(index.starts) == N + 1


def test_no_sessions_have_empty_lists() -> None:
    index = index_sessions(of_lists([], ITEMS), ITEMS)
    assert (len(index.starts), len(index.offsets), len(index.sessions), len(index.items)) == (N + 1, 1, 0, 0)
    assert isinstance(EMPTY, ItemSessionIndex) and (len(EMPTY.starts), len(EMPTY.offsets)) == (1, 1)
