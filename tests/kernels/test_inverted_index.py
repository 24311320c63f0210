"""The inverted index of sessions, against dicts of lists."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.inverted_index import build_postings, mark_repeats, session_sizes
from tests.conftest import read_only

N = 6
sessions = st.lists(st.lists(st.integers(0, N - 1), max_size=7), max_size=7)


def flat(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    return read_only(offsets), read_only(np.array([i for one in lists for i in one], dtype=np.int32))


@given(sessions)
def test_repeated_items_are_marked_except_the_last(lists: list[list[int]]) -> None:
    expected = [~row if row in one[place + 1 :] else row for one in lists for place, row in enumerate(one)]
    result = mark_repeats(*flat(lists), N)
    assert result.dtype == np.int32 and result.tolist() == expected


@given(sessions)
def test_session_sizes_count_items_or_mentions(lists: list[list[int]]) -> None:
    offsets, items = flat(lists)
    rows = read_only(mark_repeats(offsets, items, N))
    assert session_sizes(offsets, rows, N, False).tolist() == [len(set(one)) for one in lists]
    squares = [sum(count * count for count in Counter(one).values()) for one in lists]
    assert session_sizes(offsets, rows, N, True).tolist() == squares


@given(sessions, st.booleans(), st.sampled_from([1, 2, 99]), st.none() | st.integers(0, 2**7 - 1))
def test_postings_contain_the_newest_eligible_sessions(
    lists: list[list[int]], mentions: bool, most: int, chosen: int | None
) -> None:
    offsets, items = flat(lists)
    eligible = [chosen is None or bool(chosen >> s & 1) for s in range(len(lists))]
    given_eligible = np.array([] if chosen is None else eligible, dtype=np.bool_)
    starts, postings, held = build_postings(
        offsets, read_only(mark_repeats(offsets, items, N)), N, given_eligible, mentions, most
    )
    for row in range(N):
        expected = [
            s
            for s in reversed(range(len(lists)))
            if eligible[s]
            for _ in range(lists[s].count(row) if mentions else row in lists[s])
        ]
        assert held[row] == len(expected)
        assert postings[starts[row] : starts[row + 1]].tolist() == expected[:most]
    assert len(postings) == starts[N] and starts[0] == 0
