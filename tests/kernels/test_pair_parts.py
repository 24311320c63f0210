"""Counting in parts against counting at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels import pair_parts as kernels
from embedrec.kernels.pair_counts import COUNT, Formula, Mentions, score_neighbours
from tests.kernels.test_pair_counts import EMPTY, N, mentions_of, sessions

PLAIN = Formula(COUNT, EMPTY, EMPTY, 0.0, 0.0, 0.0)


def whole(m: Mentions) -> tuple[np.ndarray, np.ndarray]:
    """Every session as one piece."""
    return m.offsets[:-1].copy(), m.offsets[1:].copy()


@given(sessions)
def test_loads(lists: list[list[int]]) -> None:
    m = mentions_of(lists, [1.0, 1.0])
    starts, ends = whole(m)
    mentions, loads = kernels.add_loads(m.items, starts, ends, (ends - starts).astype(np.int64), N)
    flat = [(item, len(items)) for items in lists for item in items]
    assert mentions.tolist() == [sum(item == r for item, _ in flat) for r in range(N)]
    assert loads.tolist() == [sum(size for item, size in flat if item == r) for r in range(N)]


@given(sessions, st.integers(1, 3))
def test_a_piece_goes_once_to_every_part_of_its_items(lists: list[list[int]], salt: int) -> None:
    m = mentions_of(lists, [1.0, 1.0])
    part_of = np.arange(N, dtype=np.int32) // 2
    ranges = int(part_of.max()) + 1
    salts = np.full(ranges, salt, dtype=np.int64)
    bases = np.arange(ranges, dtype=np.int64) * salt
    session = np.arange(len(lists), dtype=np.int64)
    part, piece = np.empty(len(m.items), dtype=np.int32), np.empty(len(m.items), dtype=np.int64)
    count = kernels.route_pieces(m.items, *whole(m), session, part_of, bases, salts, part, piece)
    expected = [
        (s, r // 2 * salt + s % salt) for s, items in enumerate(lists) for r in dict.fromkeys(i - i % 2 for i in items)
    ]
    assert list(zip(piece[:count].tolist(), part[:count].tolist(), strict=True)) == expected


def test_pieces_are_copied_one_after_another() -> None:
    out = np.empty(4, dtype=np.int32)
    kernels.copy_pieces(np.arange(9, dtype=np.int32), np.array([5, 0, 2]), np.array([7, 0, 4]), out)
    assert out.tolist() == [5, 6, 2, 3]


@given(sessions, st.integers(0, N - 1), st.integers(0, N))
def test_the_index_of_some_items(lists: list[list[int]], first: int, count: int) -> None:
    m, last = mentions_of(lists, [1.0, 1.0]), min(first + count, N)
    places = np.empty(len(m.items), dtype=np.int64)
    starts = kernels.index_pieces(m.items, *whole(m), first, last, N, places)
    for r in range(N):
        expected = m.places[m.starts[r] : m.starts[r + 1]].tolist() if first <= r < last else []
        assert places[starts[r] : starts[r + 1]].tolist() == expected


@given(sessions, st.integers(1, 3))
def test_sums_of_parts_of_the_sessions_score_as_all_sessions(lists: list[list[int]], parts: int) -> None:
    gap = [1.0, 1.0, 0.5]
    m = mentions_of(lists, gap)
    scratch = np.zeros(N), np.empty(N + 1, dtype=np.uint32)
    for item in range(N):
        total = np.zeros(N)
        for part in range(parts):
            sums = np.empty(N, dtype=np.int32), np.empty(N)
            one = mentions_of(lists[part::parts], gap)
            count = kernels.sum_pairs(one, item, *scratch, *sums)
            assert not scratch[0].any()
            kernels.add_sums(sums[0][:count], sums[1][:count], 0, total)
        rows, scores = np.empty(N, dtype=np.uint32), np.empty(N, dtype=np.float32)
        count = kernels.score_sums(PLAIN, item, 1, total[1:], 1, rows, scores)
        there, values = np.empty(N, dtype=np.uint32), np.empty(N, dtype=np.float32)
        expected = score_neighbours(m, PLAIN, item, 1, *scratch, there, values)
        found = dict(zip(rows[:count].tolist(), scores[:count].tolist(), strict=True))
        assert found == dict(zip(there[:expected].tolist(), values[:expected].tolist(), strict=True))
        assert rows[:count].tolist() == sorted(found)
