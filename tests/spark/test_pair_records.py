"""Records of sessions: a shuffle in this process gives each part what it counts."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.kernels.pair_counts import COUNT, Formula, best_neighbours
from embedrec.models.pair_counts import NO_NUMBERS, PairCounting, every_mention, every_pair, one_mention
from embedrec.progress import quiet
from embedrec.spark import pair_records
from embedrec.spark.pair_records import PairRules, Routes, cut, part_input, read_block, records
from tests.conftest import of_lists
from tests.data import strategies as draw

N = 6
LISTS = st.lists(st.lists(st.integers(0, N - 1), max_size=9), max_size=8)
PLAIN = Formula(COUNT, NO_NUMBERS, NO_NUMBERS, 0.0, 0.0, 0.0)


def saved(lists: list[list[int]], folder: Path) -> tuple[Sessions, str]:
    """Sessions, and the folder of their arrays."""
    sessions = of_lists(lists, Vocab(np.arange(N)))
    np.save(folder / "offsets.npy", sessions.offsets)
    np.save(folder / "items.npy", sessions.items)
    return sessions, str(folder)


def counted_in_parts(folder: str, events: int, rules: PairRules, step: int, ranges: int) -> dict[str, list[object]]:
    """The lists of all items, from parts of N / ranges items each, and slices of `step` events."""
    part_of = (np.arange(N) * ranges // N).astype(np.int32)
    routes = Routes(part_of, np.arange(ranges), np.ones(ranges, dtype=np.int64))
    sent: dict[int, list[object]] = {part: [] for part in range(ranges)}
    for start in range(0, max(events, 1), step):
        identity = np.arange(N, dtype=np.int32)
        block = read_block(folder, "", start, min(start + step, events), rules, identity, N)
        for batch in records(block, cut(block, rules), NO_NUMBERS, routes):
            for row in range(len(batch)):
                sent[batch.column("part")[row].as_py()].insert(0, batch.slice(row, 1))  # in another order
    rows, scores = np.full((N, N), -1, dtype=np.int32), np.full((N, N), -np.inf, dtype=np.float32)
    for part, batches in sent.items():
        items = np.flatnonzero(part_of == part)
        first, last = int(items[0]), int(items[-1]) + 1
        given = part_input(batches, rules, False, first, last, N)
        best_neighbours(given.mentions, PLAIN, first, last, rows[first:last], scores[first:last])
    return {"items": rows.tolist(), "scores": scores.tolist()}


def padded(mentions: object) -> dict[str, list[object]]:
    lists = PairCounting(mentions, PLAIN, 1, quiet).best_lists(N)  # type: ignore[arg-type]
    spare = ((0, 0), (0, N - lists["items"].shape[1]))
    items = np.pad(lists["items"], spare, constant_values=-1)
    return {"items": items.tolist(), "scores": np.pad(lists["scores"], spare, constant_values=-np.inf).tolist()}


@draw.given(LISTS, st.integers(1, 12), st.sampled_from([1, 2, 3]), st.sampled_from([0, 1, 3]))
def test_parts_of_first_mentions(lists: list[list[int]], step: int, ranges: int, window: int) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_records, "PIECE", 2)
        patch.setattr(pair_records, "_BATCH", 5)
        sessions, path = saved(lists, Path(folder))
        rules = PairRules(once=True, window=window)
        expected = padded(one_mention(sessions, np.arange(N), window))
        assert counted_in_parts(path, len(sessions.items), rules, step, ranges) == expected


@draw.given(LISTS, st.integers(1, 12), st.sampled_from([1, 2, 3]), st.booleans())
def test_parts_of_repeated_mentions(lists: list[list[int]], step: int, ranges: int, itself: bool) -> None:
    with TemporaryDirectory() as folder:
        sessions, path = saved(lists, Path(folder))
        rules = PairRules(once=True, window=0, repeats=True, itself=itself)
        expected = padded(every_pair(sessions, itself=itself))
        assert counted_in_parts(path, len(sessions.items), rules, step, ranges) == expected


@draw.given(LISTS, st.integers(1, 12), st.sampled_from([1, 2, 3]), st.booleans())
def test_parts_of_mentions_by_distance(lists: list[list[int]], step: int, ranges: int, itself: bool) -> None:
    gap = np.array([1.0, 1.0, 0.5])
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_records, "PIECE", 3)
        sessions, path = saved(lists, Path(folder))
        rules = PairRules(once=False, window=2, back=False, itself=itself, gap=gap)
        expected = padded(every_mention(sessions, gap, back=False, itself=itself))
        assert counted_in_parts(path, len(sessions.items), rules, step, ranges) == expected
