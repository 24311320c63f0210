"""Lists and sessions for tests of policies, and comparisons with slow references."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.data.topk import TopK
from embedrec.export.policies.base import Policy
from tests.conftest import of_lists
from tests.export.lists import Lists, as_lists, some_lists

N = 40

SEEDS = np.arange(N)

LISTS = some_lists(N, 12, seed=1)

ITEMS = LISTS.vocab


def logs(seed: int = 0) -> Sessions:
    """Sessions of items of which low rows are popular; items come twice in some, and one item is in none."""
    rng = np.random.default_rng(seed)
    lists = [[f"i{int(row)}" for row in (N - 1) * rng.random(rng.integers(1, 9)) ** 2] for _ in range(150)]
    return of_lists(lists, ITEMS)


def sessions_of_items(sessions: Sessions) -> list[set[int]]:
    """The sessions that contain each item."""
    return [{s for s in range(len(sessions)) if row in sessions[s]} for row in range(N)]


def apply_policy(policy: Policy, lists: TopK = LISTS) -> Lists:
    rows, scores = lists.rows.copy(), lists.scores.copy()
    result = policy.apply(SEEDS, lists)
    assert np.array_equal(lists.rows, rows) and np.array_equal(lists.scores, scores)
    return as_lists(result)


def assert_close(lists: Lists, expected: Lists) -> None:
    assert [[row for row, _ in results] for results in lists] == [[row for row, _ in results] for results in expected]
    for pairs, other in zip(lists, expected, strict=True):
        assert [score for _, score in pairs] == pytest.approx([score for _, score in other], rel=1e-5, abs=1e-6)


def sort_ranked(results: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return sorted(results, key=lambda result: (-np.float32(result[1]), result[0]))
