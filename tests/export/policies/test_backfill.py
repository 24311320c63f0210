"""Back-off against a slow reference."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.data.features import Categories, Features
from embedrec.data.topk import TopK
from embedrec.export.policies import backfill
from embedrec.export.policies.backfill import BackOff, CappedBackOff
from embedrec.export.policies.session_index import index_sessions
from embedrec.export.policies.thresholds import cap_feature
from tests.conftest import of_lists
from tests.export.lists import as_lists
from tests.export.policies.cases import (
    ITEMS,
    LISTS,
    SEEDS,
    N,
    apply_policy,
    assert_close,
    logs,
    sessions_of_items,
    sort_ranked,
)


def slow_back_off(seed: int, results: list[tuple[int, float]], k: int, reach: int) -> list[tuple[int, float]]:
    if len(results) >= k:
        return results
    sessions = logs()
    item_sessions, counts = sessions_of_items(sessions), np.bincount(sessions.items, minlength=N)
    results, excluded = list(results), {seed, *(row for row, _ in results)}
    cooccurring = sort_ranked(
        [
            (
                row,
                len(item_sessions[seed] & item_sessions[row])
                / (len(item_sessions[seed]) * len(item_sessions[row])) ** 0.5,
            )
            for row in range(N)
            if row not in excluded and item_sessions[seed] & item_sessions[row]
        ]
    )
    popular = sorted((row for row in range(N)), key=lambda row: (-counts[row], row))
    for row, score in cooccurring + [(row, counts[row] / counts.max()) for row in popular]:
        if len(results) < reach and row not in {seed, *(r for r, _ in results)}:
            results.append((row, min([score, *(s for _, s in results)])))
    return results


@pytest.mark.parametrize("reach", [8, 12])
def test_back_off_equals_a_slow_reference(reach: int) -> None:
    sessions = logs()
    counts = np.bincount(sessions.items, minlength=N)
    expected = [slow_back_off(seed, results, 8, reach) for seed, results in enumerate(as_lists(LISTS))]
    assert_close(apply_policy(BackOff(8, reach, counts, index_sessions(sessions, ITEMS))), expected)
    assert all(len(results) >= 8 for results in expected)


@pytest.mark.parametrize(("limit", "values"), [(1, 10), (1, 5), (2, 4)])
def test_back_off_under_caps_fills_lists(limit: int, values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result equals filling every list with the whole catalogue before the cap."""
    monkeypatch.setattr(backfill, "BLOCK_RESULTS", 64)
    monkeypatch.setattr(backfill, "REACH_FACTOR", 2)
    sessions, k = logs(), 8
    counts, session_index = np.bincount(sessions.items, minlength=N), index_sessions(sessions, ITEMS)
    codes = (np.arange(N) % values).astype(np.int32)
    capped = cap_feature(
        limit,
        "artist",
        Features(ITEMS, categorical={"artist": Categories(codes, np.array([*"abcdefghij"[:values]]))}),
        ITEMS,
    )
    start = capped.apply(SEEDS, LISTS.first(k))
    result = CappedBackOff(BackOff(k, k, counts, session_index), N, (capped,)).apply(SEEDS, start)
    slow = capped.apply(SEEDS, BackOff(k, N, counts, session_index).apply(SEEDS, start)).first(k)
    assert np.array_equal(result.rows, slow.rows) and np.array_equal(result.scores, slow.scores)
    full = (result.rows >= 0).sum(axis=1)
    assert (full == min(k, limit * values)).all() and (start.rows < 0).any()
    short_reach = CappedBackOff(BackOff(k, k, counts, session_index), k, (capped,)).apply(SEEDS, start)
    assert ((short_reach.rows >= 0).sum(axis=1) < full).any()


def test_back_off_does_not_add_items_of_the_history() -> None:
    """Popular items are added first."""
    result = TopK(np.array([[3, -1], [-1, -1]]), [[0.2, -np.inf], [-np.inf, -np.inf]], Vocab([*"abcd"]))
    histories = of_lists(["ab", "d"], result.vocab)
    changed = BackOff(2, 2, np.array([9, 8, 7, 1]), None, histories).apply(np.arange(2), result)
    assert changed.rows.tolist() == [[3, 2], [0, 1]]
    assert changed.scores == pytest.approx(np.array([[0.2, 0.2], [1, 8 / 9]]))
