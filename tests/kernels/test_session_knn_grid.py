"""Places of targets for several numbers of neighbours, against the answers for one number after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.session_formulas import (
    D_DIV,
    EACH_MENTION,
    LESS_MEAN_OF_RATED,
    S_COSINE,
    W_COUNT,
    W_DIV,
    KnnFormula,
    new_scratch,
)
from embedrec.kernels.session_knn_grid import rank_targets
from embedrec.kernels.session_scores import recommend
from tests.kernels.session_cases import N, flat, histories, index_of, past_sessions

FORMULAS: list[dict[str, Any]] = [
    {"weight": W_DIV, "decay": D_DIV},
    {"similarity": S_COSINE, "again": False},
    {"similarity": S_COSINE, "weight": W_COUNT, "adds": EACH_MENTION, "score": LESS_MEAN_OF_RATED},
]
sizes_of_grid = st.sets(st.integers(1, 6), min_size=1, max_size=3).map(sorted)
targets = st.lists(st.integers(-1, N - 1), max_size=3, unique=True)


@pytest.mark.parametrize("settings", FORMULAS, ids=str)
@given(past_sessions, histories, sizes_of_grid, st.lists(targets, min_size=4, max_size=4), *[st.booleans()] * 3)
def test_ranks_of_targets_equal_those_of_full_lists(
    settings: dict[str, Any],
    past: list[list[int]],
    queries: list[list[int]],
    sizes: list[int],
    wanted: list[list[int]],
    seen: bool,
    weighted: bool,
    filtered: bool,
) -> None:
    factors = [0.5, 1.0, 2.0, 1.0, 0.25, 4.0, 1.5] if weighted else []
    followers = {row: {(row + 1) % N, (row + 2) % N} for row in range(N)} if filtered else {}
    formula = KnnFormula(neighbours=sizes[-1], sample=99, **settings)
    index, q = index_of(past, formula, factors, followers), len(queries)
    wanted, now = wanted[:q], np.zeros(q, dtype=np.int64)
    proposed, scratch = np.empty((q, 0), dtype=np.int32), new_scratch(len(past), N)
    higher, equal, own = (np.zeros((q, len(sizes)), dtype=np.int64) for _ in range(3))
    ends, goals = flat(wanted)
    grid = np.array(sizes, dtype=np.int64)
    goals = goals.astype(np.int64)
    rank_targets(index, formula, *flat(queries), now, proposed, ends, goals, grid, seen, scratch, higher, equal, own)
    assert (scratch.slot == -1).all() and not scratch.marks.any() and np.isneginf(scratch.totals).all()
    for g, size in enumerate(sizes):
        rows, scores = np.full((q, N), -1), np.full((q, N), -np.inf)
        alone = formula._replace(neighbours=size)
        recommend(index, alone, *flat(queries), now, proposed, seen, True, scratch, rows, scores)
        for h, goal in enumerate(wanted):
            result = {row: score for row, score in zip(rows[h].tolist(), scores[h].tolist(), strict=True) if row >= 0}
            top = max((result[row] for row in goal if row in result), default=None)
            expected = (0, 0, 0)
            if top is not None:
                tied = [row for row, score in result.items() if score == top]
                expected = (sum(s > top for s in result.values()), len(tied), len(set(tied) & set(goal)))
            assert (higher[h, g], equal[h, g], own[h, g]) == expected
