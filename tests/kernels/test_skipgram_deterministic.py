"""Learning on copies of rows, against learning in place."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.row_blas import LANES, padded
from embedrec.kernels.sampling import alias_table, keep_probabilities, noise_weights
from embedrec.kernels.skipgram import FILLERS, SIGMOID, cbow, plan, skipgram
from embedrec.kernels.skipgram_deterministic import add_changes, collect_rows, learn_lane, split_lanes
from tests.conftest import read_only

N, NEGATIVE, HEAVIEST = 12, 5, 4
KERNELS = {"skip-gram": skipgram, "cbow": cbow}


def tiles_of(architecture: str, window: int, lengths: list[int], seed: int = 3) -> tuple[Any, ...]:
    """A plan without the sessions of its tiles: centre, left, right, tiles, drawn, noise."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    items = rng.integers(0, N - 1, offsets[-1]).astype(np.int32)
    counts = np.bincount(items, minlength=N)
    tables = (keep_probabilities(counts, 0.05), *alias_table(noise_weights(counts, 0.75)))
    shared = architecture == "skip-gram"
    sessions = (offsets, items, 0, len(lengths))
    made = plan(*sessions, 5, 1, window, False, False, NEGATIVE, HEAVIEST, shared, *tables)
    return made[:4] + made[5:]


@pytest.mark.parametrize("architecture", KERNELS)
@pytest.mark.parametrize("window", [0, 2])
def test_lanes_in_turn_equal_updates_in_place(architecture: str, window: int) -> None:
    made = tiles_of(architecture, window, [4, 0, 1, 9, 2, 30, 3])
    rate = np.full(len(made[3]) - 1, 0.05, np.float32)
    start = np.random.default_rng(0).normal(0, 0.4, (2, N, LANES)).astype(np.float32)
    x, y = padded(start[0], N), padded(start[1], N + FILLERS)
    expected = KERNELS[architecture](x, y, *made, rate, NEGATIVE, SIGMOID)
    x2, y2, slot = padded(start[0], N), padded(start[1], N + FILLERS), np.full(N, -1, np.int32)
    cuts = split_lanes(*made[1:5], 150)
    assert (cuts[0], cuts[-1]) == (0, len(rate)) and 3 < len(cuts) < len(rate)
    loss, pairs = 0.0, 0
    for begin, end in pairwise(cuts):
        unchanged = x2.copy(), y2.copy()
        inputs, outputs, dx, dy, more, count = learn_lane(
            x2, y2, *made, rate, NEGATIVE, SIGMOID, architecture == "skip-gram", begin, end, slot
        )
        assert (x2 == unchanged[0]).all() and (y2 == unchanged[1]).all()
        loss, pairs = loss + more, pairs + count
        for part in range(3):
            add_changes(x2, y2, inputs, outputs, dx, dy, part, 3)
    assert (slot == -1).all() and pairs == expected[1]
    assert loss == pytest.approx(expected[0], rel=1e-5)
    assert x2 == pytest.approx(x, abs=1e-5) and y2 == pytest.approx(y, abs=1e-5)
    assert np.abs(x2 - start[0]).max() > 0.05


@given(st.lists(st.integers(0, 5), max_size=9), st.lists(st.integers(0, 5), max_size=9))
def test_rows_are_numbered_by_first_appearance(first: list[int], second: list[int]) -> None:
    slot, rows, places = np.full(6, -1, np.int32), np.empty(18, np.int32), np.empty(18, np.int32)
    known = collect_rows(np.array(first, np.int32), slot, places, rows, 0)
    assert rows[:known].tolist() == list(dict.fromkeys(first))
    assert rows[places[: len(first)]].tolist() == first
    known = collect_rows(np.array(second, np.int32), slot, places, rows, known)
    assert rows[:known].tolist() == list(dict.fromkeys(first + second))
    assert rows[places[: len(second)]].tolist() == second
    assert slot.tolist() == [rows[:known].tolist().index(row) if row in first + second else -1 for row in range(6)]


@given(st.lists(st.integers(2, 12), min_size=1, max_size=8), st.sampled_from([1, 40, 150, 10**6]))
def test_a_lane_ends_when_its_budget_is_used(lengths: list[int], budget: int) -> None:
    _, left, right, tiles, drawn, _ = tiles_of("skip-gram", 2, lengths)
    work = [
        sum(int(right[i] - left[i] + drawn[j + 1] - drawn[j]) for i in range(tiles[j], tiles[j + 1]))
        for j in range(len(tiles) - 1)
    ]
    cuts = split_lanes(left, right, tiles, drawn, budget).tolist()
    assert cuts == sorted(set(cuts)) and cuts[0] == 0
    assert cuts[-1] == len(work)
    for begin, end in pairwise(cuts):
        assert end == begin + 1 or sum(work[begin:end]) <= budget
        assert end == len(work) or sum(work[begin : end + 1]) > budget


@pytest.mark.parametrize("parts", [1, 3])
def test_every_part_adds_its_own_rows(parts: int) -> None:
    x, y = np.zeros((5, 2), np.float32), np.zeros((5, 2), np.float32)
    inputs, outputs = np.array([4, 1], np.int32), np.array([0, 3, 2], np.int32)
    dx, dy = np.arange(4, dtype=np.float32).reshape(2, 2) + 1, np.arange(6, dtype=np.float32).reshape(3, 2) + 1
    for part in range(parts):
        add_changes(x, y, read_only(inputs), read_only(outputs), read_only(dx), read_only(dy), part, parts)
        done = [row for row in range(5) if row % parts <= part]
        assert sorted(np.flatnonzero(x.any(axis=1))) == [row for row in (1, 4) if row in done]
        assert sorted(np.flatnonzero(y.any(axis=1))) == [row for row in (0, 2, 3) if row in done]
    assert (x[inputs] == dx).all() and (y[outputs] == dy).all()
