"""The union of the lists of several models."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedrec.ranking.candidates import Candidates, ModelLists, merge_lists


def slow_merge(lists: list[ModelLists]) -> list[list[tuple[int, list[int], list[float]]]]:
    """The obvious twin: for every question its items, with ranks and scores."""
    merged = []
    for q in range(len(lists[0][0])):
        found: dict[int, tuple[list[int], list[float]]] = {}
        for r in range(max(rows.shape[1] for rows, *_ in lists)):
            for p, (rows, scores, _) in enumerate(lists):
                if r < rows.shape[1] and rows[q, r] >= 0:
                    ranks, values = found.setdefault(int(rows[q, r]), ([-1] * len(lists), [float("nan")] * len(lists)))
                    ranks[p], values[p] = r, float(scores[q, r])
        merged.append([(item, ranks, values) for item, (ranks, values) in found.items()])
    return merged


@st.composite
def model_lists(draw: st.DrawFn) -> list[ModelLists]:
    questions, models = draw(st.integers(0, 4)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    lists = []
    for _ in range(models):
        width = draw(st.integers(0, 7))
        rows = np.array([rng.permutation(1000 if draw(st.booleans()) else 9)[:width] for _ in range(questions)])
        rows = rows.reshape(questions, width).astype(np.int64)
        rows[np.arange(width) >= rng.integers(0, width + 1, questions)[:, None]] = -1  # some lists end early
        lists.append(ModelLists(rows, -np.sort(-rng.random((questions, width)).astype(np.float32), axis=1)))
    return lists


@given(model_lists())
def test_candidates_are_the_union_of_the_lists(lists: list[ModelLists]) -> None:
    merged, expected = merge_lists(lists), slow_merge(lists)
    assert len(merged) == len(expected)
    assert merged.ranks.shape == merged.scores.shape == (len(merged.items), len(lists))
    for q, items in enumerate(expected):
        part = slice(*merged.offsets[q : q + 2])
        assert merged.items[part].tolist() == [item for item, _, _ in items]
        assert merged.ranks[part].tolist() == [ranks for _, ranks, _ in items]
        np.testing.assert_array_equal(
            merged.scores[part], np.array([s for *_, s in items], np.float32).reshape(-1, len(lists))
        )


def test_candidates_of_a_mask() -> None:
    rows, scores = np.array([[4, 2], [2, -1], [1, 4]]), np.array([[0.9, 0.5], [0.4, -np.inf], [0.3, 0.2]])
    queries = np.ones((3, 2), np.float32)
    merged = merge_lists([ModelLists(rows, scores.astype(np.float32), queries)])
    assert merged.question_of.tolist() == [0, 0, 1, 2, 2]
    kept = merged.filter(merged.items != 4)
    assert isinstance(kept, Candidates)
    assert kept.offsets.tolist() == [0, 1, 2, 3] and kept.items.tolist() == [2, 2, 1]
    assert kept.ranks.tolist() == [[1], [0], [0]]
    assert kept.queries[0] is queries
