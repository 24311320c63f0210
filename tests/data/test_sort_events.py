"""Events sorted part by part are events sorted at once by NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import sort_events as ordering
from embedrec.data.sort_events import sort_events
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from tests.conftest import read_only
from tests.data import strategies as draw

few = st.lists(st.tuples(st.integers(0, 5), st.integers(-2, 2)), min_size=1, max_size=40)
one_long = st.lists(st.tuples(st.just(3), st.integers(-9, 9)), min_size=33, max_size=99)  # its session is merge-sorted


@pytest.mark.parametrize("kind", ["int64", "float64", None])
@pytest.mark.parametrize("in_memory", [True, False])
@draw.given(st.one_of(few, one_long), st.integers(1, 2), st.integers(1, 9))
def test_events_are_sorted_like_numpy_lexsort(
    kind: str | None, in_memory: bool, tmp_path: Path, rows: list[tuple[int, int]], threads: int, part: int
) -> None:
    session, key = (read_only(np.array(column)) for column in zip(*rows, strict=True))
    place = read_only(np.arange(len(rows), dtype=np.float32))
    columns = {"session": read_only(session.astype(np.int32)), "place": place}
    if kind:
        columns["key"] = read_only(key.astype(kind))
    want = np.lexsort([key, session] if kind else [session])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "KERNEL_EVENTS", 0)
        patch.setattr(ordering, "PART_EVENTS", part)
        patch.setattr(ordering, "BLOCK_BITS", 2)
        memory = IN_MEMORY if in_memory else MemoryBudget(256 << 20, tmp_path)
        fast = sort_events(dict(columns), 6, "key" if kind else None, memory, threads)
    slow = sort_events(dict(columns), 6, "key" if kind else None, IN_MEMORY)
    for result in (fast, slow):
        assert result.keys() == columns.keys()
        for role, column in columns.items():
            assert result[role].dtype == column.dtype
            assert result[role].tolist() == column[want].tolist()
