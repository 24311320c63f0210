"""Counts and scores of pairs, against loops over all pairs of mentions."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels import pair_counts as kernels
from embedrec.kernels.pair_counts import COUNT, LOG, RATIO, SUM, TIMES, UNION, Formula, Mentions
from embedrec.kernels.topk import empty_best
from tests.conftest import read_only

N = 6
sessions = st.lists(st.lists(st.integers(0, N - 1), max_size=6), max_size=6)
EMPTY = np.empty(0)


def flat(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    return read_only(offsets), read_only(np.array([i for one in lists for i in one], dtype=np.int32))


def session_of(lists: list[list[int]]) -> np.ndarray:
    return np.repeat(np.arange(len(lists), dtype=np.int32), [len(one) for one in lists])


def mentions_of(
    lists: list[list[int]],
    gap: list[float],
    factor: np.ndarray = EMPTY,
    times: np.ndarray = EMPTY,
    *,
    back: bool = True,
    itself: bool = False,
) -> Mentions:
    offsets, items = flat(lists)
    places = np.empty(len(items), dtype=np.int64)
    starts = kernels.index_mentions(items, N, places)
    session = session_of(lists)
    return Mentions(offsets, items, session, starts, places, np.array(gap), factor, times, back, itself, False)


def slow_counts(lists: list[list[int]], m: Mentions) -> dict[tuple[int, int], float]:
    """The count of each pair (a, b), pair of mentions by pair of mentions."""
    counts: dict[tuple[int, int], float] = defaultdict(float)
    for s, items in enumerate(lists):
        each = m.factor[s] if len(m.factor) else 1.0
        for i, a in enumerate(items):
            for j, b in enumerate(items):
                apart = j - i
                if i == j or abs(apart) >= len(m.gap) or (apart < 0 and not m.back) or (a == b and not m.itself):
                    continue
                counts[a, b] += m.gap[abs(apart)] * each
    return counts


@given(sessions)
def test_mentions_are_grouped_by_item(lists: list[list[int]]) -> None:
    _, items = flat(lists)
    places = np.empty(len(items), dtype=np.int64)
    starts = kernels.index_mentions(items, N, places)
    for row in range(N):
        assert places[starts[row] : starts[row + 1]].tolist() == np.flatnonzero(items == row).tolist()


@given(sessions, st.integers(1, 4), st.booleans(), st.booleans())
def test_the_number_of_reached_mentions_equals_a_slow_count(
    lists: list[list[int]], reach: int, back: bool, weighted: bool
) -> None:
    factor = np.linspace(0.5, 2, len(lists)) if weighted else EMPTY
    m = mentions_of(lists, [1.0] * (reach + 1), factor, back=back, itself=True)
    counts = slow_counts(lists, m)
    expected = [sum(count for (a, _), count in counts.items() if a == row) for row in range(N)]
    result = kernels.count_reached(*flat(lists), N, reach, back, read_only(factor))
    np.testing.assert_allclose(result, expected, atol=1e-12)


@given(sessions)
def test_weighted_mentions_are_summed(lists: list[list[int]]) -> None:
    factor = 2.0 ** np.arange(len(lists))
    expected = [sum(f * one.count(row) for f, one in zip(factor, lists, strict=True)) for row in range(N)]
    assert kernels.sum_factors(flat(lists)[1], session_of(lists), factor, N).tolist() == expected


@given(sessions, st.lists(st.integers(-1, N - 1), min_size=N, max_size=N), st.booleans())
def test_first_mentions_have_each_item_once_a_session(lists: list[list[int]], new: list[int], ascending: bool) -> None:
    offsets, items = flat(lists)
    ends, kept, session = np.empty(len(lists) + 1, np.int64), np.empty(len(items), np.int32), session_of(lists)
    size = kernels.first_mentions(offsets, items, read_only(np.array(new, np.int32)), N, ascending, ends, kept, session)
    expected = [list(dict.fromkeys(new[row] for row in one if new[row] >= 0)) for one in lists]
    expected = [sorted(one) if ascending else one for one in expected]
    assert ends.tolist() == [0, *np.cumsum([len(one) for one in expected]).tolist()]
    assert kept[:size].tolist() == [row for one in expected for row in one]
    assert session[:size].tolist() == session_of(expected).tolist()


@given(sessions, st.booleans())
def test_repeats_count_all_mentions_of_an_item(lists: list[list[int]], ascending: bool) -> None:
    offsets, items = flat(lists)
    ends, kept, session = np.empty(len(lists) + 1, np.int64), np.empty(len(items), np.int32), session_of(lists)
    size = kernels.first_mentions(offsets, items, np.arange(N, dtype=np.int32), N, ascending, ends, kept, session)
    times = np.full(size, -1.0)
    kernels.count_repeats(offsets, items, ends, kept[:size], N, times)
    assert times.tolist() == [lists[s].count(row) for s, row in zip(session[:size], kept[:size], strict=True)]


def counted(m: Mentions, item: int) -> tuple[dict[int, float], list[int]]:
    """The counts beside an item, and the items that were met."""
    total, touched = np.zeros(N), np.empty(N + 1, dtype=np.uint32)
    met = kernels.add_pairs(m, item, total, touched)
    return {row: total[row] for row in np.flatnonzero(total).tolist()}, touched[:met].tolist()


@given(sessions, st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=2, max_size=5), *[st.booleans()] * 3)
def test_counts_equal_a_slow_loop(
    lists: list[list[int]], gap: list[float], weighted: bool, back: bool, itself: bool
) -> None:
    factor = read_only(2.0 ** np.arange(len(lists))) if weighted else EMPTY
    m = mentions_of(lists, gap, factor, back=back, itself=itself)
    counts = slow_counts(lists, m)
    for item in range(N):
        result, met = counted(m, item)
        assert result == {b: count for (a, b), count in counts.items() if a == item}
        assert len(set(met)) == len(met) and set(result) <= set(met)


@given(sessions, st.booleans())
def test_counts_of_repeated_items(lists: list[list[int]], itself: bool) -> None:
    """Items once a session with their number of mentions count as the mentions do, in whole sessions."""
    distinct = [list(dict.fromkeys(one)) for one in lists]
    times = np.array([one.count(row) for one, rows in zip(lists, distinct, strict=True) for row in rows], dtype=float)
    whole = slow_counts(lists, mentions_of(lists, [1.0] * 7, itself=itself))
    m = mentions_of(distinct, [1.0] * 7, times=read_only(times), itself=itself)
    for item in range(N):
        result, _ = counted(m, item)
        if len(times):  # (0,) means that every item counts once
            assert result == {b: count for (a, b), count in whole.items() if a == item}


X, Y = np.linspace(1, 3, N), np.linspace(4, 2, N)
FORMULAS: dict[int, Any] = {
    COUNT: lambda a, b, c: c,
    TIMES: lambda a, b, c: c * X[a] * Y[b],
    RATIO: lambda a, b, c: c / (X[a] * Y[b] + 0.5),
    SUM: lambda a, b, c: c / (X[a] + Y[b]),
    UNION: lambda a, b, c: c / (X[a] + Y[b] - c + 0.5),
    LOG: lambda a, b, c: log(c / (X[a] * Y[b] + 0.5)) - 0.1,
}


@pytest.mark.parametrize("kind", FORMULAS)
def test_scores_equal_their_formulas(kind: int) -> None:
    f = Formula(kind, X, Y, 0.5, 0.1, 0.0)
    for a, b, c in ((0, 1, 1.0), (5, 0, 2.0), (3, 3, 0.25)):
        assert kernels.score(f, a, b, c) == pytest.approx(FORMULAS[kind](a, b, c), rel=1e-6)


def slow_scores(lists: list[list[int]], m: Mentions, kind: int, threshold: float) -> dict[int, list[tuple[int, float]]]:
    scores: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for (a, b), count in sorted(slow_counts(lists, m).items()):
        value = float(np.float32(FORMULAS[kind](a, b, count)))
        if value > 0 and value >= threshold:
            scores[a].append((b, value))
    return scores


@given(sessions, st.sampled_from(sorted(FORMULAS)), st.sampled_from([0.0, 0.4]), st.integers(1, N))
def test_best_lists_equal_a_slow_loop(lists: list[list[int]], kind: int, threshold: float, k: int) -> None:
    m = mentions_of(lists, [1.0, 1.0, 0.5])
    scores = slow_scores(lists, m, kind, threshold)
    rows, best = empty_best(N - 1, k)
    rows = rows.astype(np.int32)
    longest = kernels.best_neighbours(m, Formula(kind, X, Y, 0.5, 0.1, threshold), 1, N, rows, best)
    lengths = []
    for item in range(1, N):
        expected = sorted(scores[item], key=lambda pair: (-pair[1], pair[0]))[:k]
        lengths.append(len(expected))
        missing = k - len(expected)
        assert rows[item - 1].tolist() == [b for b, _ in expected] + [-1] * missing
        np.testing.assert_allclose(best[item - 1], [value for _, value in expected] + [-np.inf] * missing, rtol=1e-6)
    assert longest == max(lengths)


@given(sessions, st.sampled_from([COUNT, SUM]))
def test_pairs_equal_a_slow_loop(lists: list[list[int]], kind: int) -> None:
    m = mentions_of(lists, [1.0, 1.0, 0.5])
    scores = slow_scores(lists, m, kind, 0.0)
    starts, ends = np.arange(N - 1) * N, np.full(N - 1, -1)
    rows, values = np.full(N * N, -1, dtype=np.int32), np.zeros(N * N, dtype=np.float32)
    kernels.score_pairs(m, Formula(kind, X, Y, 0.0, 0.0, 0.0), 0, N - 1, starts, ends, rows, values)
    for item in range(N - 1):
        result = zip(rows[starts[item] : ends[item]].tolist(), values[starts[item] : ends[item]], strict=True)
        assert dict(result) == pytest.approx({b: value for b, value in scores[item] if b > item})


def test_pairs_have_the_order_of_their_first_occurrence() -> None:
    m = mentions_of([[0, 5, 3], [4, 0]], [1.0] * 3)
    starts, ends = np.zeros(N, dtype=np.int64), np.zeros(N, dtype=np.int64)
    rows, values = np.empty(N, dtype=np.int32), np.empty(N, dtype=np.float32)
    kernels.score_pairs(m, Formula(COUNT, EMPTY, EMPTY, 0.0, 0.0, 0.0), 0, 1, starts, ends, rows, values)
    assert rows[: ends[0]].tolist() == [5, 3, 4] and Counter(values[:3].tolist()) == {1.0: 3}
