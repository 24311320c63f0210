"""The items of the nearest past sessions, against sums in dicts."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.session_formulas import (
    D_DIV,
    D_LINEAR,
    EACH_MENTION,
    EACH_ONCE,
    LESS_MEAN_OF_ALL,
    LESS_MEAN_OF_RATED,
    MEAN,
    NEAR_SHARED,
    S_COSINE,
    SUM,
    W_COUNT,
    W_DIV,
    KnnFormula,
    new_scratch,
)
from embedrec.kernels.session_scores import is_excluded, recommend, round_score
from tests.kernels.session_cases import N, flat, histories, index_of, past_sessions, rounded, slow_scores

FACTORS = [0.5, 1.0, 2.0, 1.0, 0.25, 4.0, 1.5]
FORMULAS: list[dict[str, Any]] = [
    {"weight": W_DIV, "decay": D_DIV},
    {"weight": W_DIV, "decay": D_LINEAR, "last": 2},
    {"similarity": S_COSINE, "adds": NEAR_SHARED},
    {"similarity": S_COSINE, "weight": W_COUNT, "adds": EACH_MENTION, "score": MEAN},
    {"similarity": S_COSINE, "weight": W_COUNT, "adds": EACH_MENTION, "score": LESS_MEAN_OF_ALL},
    {"similarity": S_COSINE, "weight": W_COUNT, "adds": EACH_MENTION, "score": LESS_MEAN_OF_RATED},
    {"adds": EACH_ONCE, "score": SUM, "again": False},
]


@pytest.mark.parametrize("settings", FORMULAS, ids=str)
@given(past_sessions, histories, st.integers(1, 4), st.integers(1, N + 1), *[st.booleans()] * 4)
def test_recommendations_equal_a_slow_loop(
    settings: dict[str, Any],
    past: list[list[int]],
    queries: list[list[int]],
    neighbours: int,
    k: int,
    seen: bool,
    single: bool,
    weighted: bool,
    filtered: bool,
) -> None:
    formula = KnnFormula(neighbours=neighbours, sample=99, **settings)
    factors = FACTORS if weighted else []
    followers: dict[int, set[int]] = {row: set() for row in range(N)} if filtered else {}
    for session in past if filtered else ():
        for row, after in itertools.pairwise(session):
            followers[row].add(after)
    scratch = new_scratch(len(past), N)
    rows, scores = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
    index, proposed = index_of(past, formula, factors, followers), np.empty((len(queries), 0), dtype=np.int32)
    now = np.full(len(queries), 4000)
    recommend(index, formula, *flat(queries), now, proposed, seen, single, scratch, rows, scores)
    assert (scratch.slot == -1).all() and not scratch.marks.any() and np.isneginf(scratch.totals).all()
    for q, history in enumerate(queries):
        expected = slow_scores(past, history, formula, 4000, factors, followers) if history else {}
        for row in set(history) if not seen else history[-1:] if not formula.again else ():
            expected.pop(row, None)
        order = sorted(expected, key=lambda row: (-round(expected[row], 6 if single else 9), row))[:k]
        missing = k - len(order)
        assert rows[q].tolist() == order + [-1] * missing
        exact = [expected[row] for row in order] + [-np.inf] * missing
        np.testing.assert_allclose(scores[q], exact, rtol=1e-6 if single else 1e-9, atol=1e-7 if single else 1e-10)


def test_a_history_without_matching_sessions_has_no_results() -> None:
    formula = KnnFormula(neighbours=3, sample=9)
    rows, scores = np.full((2, 2), -1), np.full((2, 2), -np.inf)
    index, proposed = index_of([[0, 1], [1]], formula, [], {}), np.empty((2, 0), dtype=np.int32)
    now = np.zeros(2, dtype=np.int64)
    recommend(index, formula, *flat([[5, 6], []]), now, proposed, True, True, new_scratch(2, N), rows, scores)
    assert (rows == -1).all() and np.isneginf(scores).all()


@pytest.mark.parametrize(
    ("queries", "latest", "seen", "again", "expected"),
    [
        (False, False, False, False, False),
        (True, False, False, True, True),
        (True, False, True, False, False),
        (True, True, True, False, True),
        (True, True, True, True, False),
    ],
)
def test_excluded_items_depend_on_the_flags(
    queries: bool, latest: bool, seen: bool, again: bool, expected: bool
) -> None:
    for allowed in (0, 2):
        assert is_excluded(np.uint8(queries | allowed), latest, seen, again) == expected


@pytest.mark.parametrize("value", [0.1, 1 / 3, -7e9, 0.0])
def test_scores_are_compared_in_their_precision(value: float) -> None:
    assert round_score(value, True) == np.float32(value)
    assert round_score(value, False) == round_score(value * (1 + 1e-14), False) == pytest.approx(value, rel=1e-11)
    assert rounded(round_score(value, False)) == rounded(value)
