"""The first unseen items of a list or a shuffle, against loops over Python lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.first_unseen import shuffle_unseen, take_unseen
from embedrec.kernels.topk import empty_best
from tests.conftest import read_only

N = 9
histories = st.lists(st.lists(st.integers(0, N - 1), max_size=5), max_size=5)
ranking = st.permutations(range(N)).flatmap(lambda order: st.integers(0, N).map(lambda length: order[:length]))


def flat(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and items of histories."""
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    return read_only(offsets), read_only(np.array([i for one in lists for i in one], dtype=np.int32))


@given(st.lists(ranking, min_size=1, max_size=3), histories, st.integers(1, N + 1), st.booleans(), st.data())
def test_the_first_unseen_items_equal_a_slow_loop(
    rankings: list[list[int]], queries: list[list[int]], k: int, seen: bool, data: st.DataObject
) -> None:
    lists = np.array([[*one, *[-1] * (N - len(one))] for one in rankings], dtype=np.int32)
    scores = np.random.default_rng(0).random(lists.shape).astype(np.float32)
    which = np.array([data.draw(st.integers(-1, len(rankings) - 1)) for _ in queries], dtype=np.int64)
    rows, best = empty_best(len(queries), k)
    take_unseen(read_only(lists), read_only(scores), read_only(which), *flat(queries), N, seen, rows, best)
    for q, history in enumerate(queries):
        places = [] if which[q] < 0 else range(len(rankings[which[q]]))
        places = [j for j in places if seen or lists[which[q], j] not in history][:k]
        missing = k - len(places)
        assert rows[q].tolist() == [int(lists[which[q], j]) for j in places] + [-1] * missing
        assert best[q].tolist() == [float(scores[which[q], j]) for j in places] + [-np.inf] * missing


def shuffled(queries: list[list[int]], k: int, seed: int, seen: bool, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    rows, best = empty_best(len(queries), k)
    shuffle_unseen(*flat(queries), n, seed, seen, rows, best)
    return rows, best


@given(histories, st.integers(1, N + 1), st.integers(0, 2**40), st.booleans())
def test_shuffle_is_the_start_of_a_permutation(queries: list[list[int]], k: int, seed: int, seen: bool) -> None:
    whole, scores = shuffled(queries, N, seed, True)
    assert all(sorted(row) == list(range(N)) for row in whole.tolist())
    np.testing.assert_allclose(scores, np.tile(1 - np.arange(N) / N, (len(queries), 1)), rtol=1e-6)
    rows, best = shuffled(queries, k, seed, seen)
    for q, history in enumerate(queries):
        places = [j for j, row in enumerate(whole[q].tolist()) if seen or row not in history][:k]
        missing = k - len(places)
        assert rows[q].tolist() == whole[q][places].tolist() + [-1] * missing
        assert best[q].tolist() == scores[q][places].tolist() + [-np.inf] * missing


def test_shuffle_depends_on_the_seed_and_the_history_only() -> None:
    one, _ = shuffled([[1, 2]], N, 3, True)
    batch, _ = shuffled([[5], [1, 2], [2, 1], []], N, 3, True)
    assert batch[1].tolist() == one[0].tolist()
    assert len({tuple(row) for row in batch.tolist()}) == 4
    assert shuffled([[1, 2]], N, 4, True)[0].tolist() != one.tolist()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_shuffle_puts_every_item_first_equally_often(n: int) -> None:
    rows, _ = shuffled([[]], 1, 0, True, n)
    first = [int(shuffled([[]], 1, seed, True, n)[0][0, 0]) for seed in range(400)]
    assert first[0] == rows[0, 0]
    counts = np.bincount(first, minlength=n)
    assert len(counts) == n and (abs(counts - 400 / n) < 5 * np.sqrt(400 / n)).all()
