"""Rescoring and diversity against slow references."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.data.topk import TopK
from embedrec.export.policies.rerank import Csls, Discount, Diversity, mean_scores
from embedrec.export.policies.session_index import EMPTY, index_sessions
from tests.conftest import some_embeddings
from tests.export.lists import as_lists
from tests.export.policies.cases import (
    ITEMS,
    LISTS,
    N,
    apply_policy,
    assert_close,
    logs,
    sessions_of_items,
    sort_ranked,
)


def test_csls_equals_a_slow_reference() -> None:
    means = [float(np.mean([s for _, s in results[:3]])) if results else 0.0 for results in as_lists(LISTS)]
    blocks = [LISTS.scores[:7], LISTS.scores[7:]]
    assert mean_scores(blocks, 3) == pytest.approx(means, rel=1e-5)
    r = np.array(means, dtype=np.float32)
    expected = [
        sort_ranked([(row, float(np.float32(2) * np.float32(s) - r[seed] - r[row])) for row, s in results])
        for seed, results in enumerate(as_lists(LISTS))
    ]
    assert_close(apply_policy(Csls(r)), expected)


def test_csls_down_weights_hubs() -> None:
    """An item near to all seeds ranks below an item near to this seed only."""
    rows, scores = np.array([[1, 2], [0, 2], [1, 0]]), np.array([[0.9, 0.85], [0.9, 0.88], [0.88, 0.85]])
    changed = Csls(np.array([0.5, 0.9, 0.6])).apply(np.arange(3), TopK(rows, scores, Vocab(["a", "hub", "c"])))
    assert changed.rows.tolist() == [[2, 1], [0, 2], [0, 1]]


def test_discount_equals_a_slow_reference() -> None:
    counts = np.arange(N) ** 2
    expected = [
        sort_ranked(
            [(row, s / (1 + counts[row]) ** 0.3 if s > 0 else s * (1 + counts[row]) ** 0.3) for row, s in results]
        )
        for results in as_lists(LISTS)
    ]
    assert_close(apply_policy(Discount(0.3, counts)), expected)
    assert apply_policy(Discount(0.0, counts)) == as_lists(LISTS)


def slow_mmr(results: list[tuple[int, float]], cosine: np.ndarray, weight: float, k: int) -> list[tuple[int, float]]:
    scores = [score for _, score in results]
    low, high = min(scores, default=0), max(scores, default=0)
    remaining = [(row, (score - low) / (high - low) if high > low else 1.0) for row, score in results]
    selected: list[tuple[int, float]] = []
    while remaining and len(selected) < k:
        values = [
            (1 - weight) * relevance - weight * max([0.0, *(cosine[row, other] for other, _ in selected)])
            for row, relevance in remaining
        ]
        best = int(np.argmax(values))
        selected.append((remaining[best][0], values[best]))
        del remaining[best]
    return selected


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_diversity_by_vectors_equals_a_slow_reference(weight: float) -> None:
    vectors = some_embeddings(N, 6).vectors
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    cosine = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    expected = [slow_mmr(results, cosine, weight, 5) for results in as_lists(LISTS)]
    assert_close(apply_policy(Diversity(weight, 5, vectors, EMPTY)), expected)
    if weight == 0:
        assert [[row for row, _ in r] for r in expected] == [[row for row, _ in r[:5]] for r in as_lists(LISTS)]


def test_diversity_by_sessions_equals_a_slow_reference() -> None:
    sessions = logs()
    item_sessions = sessions_of_items(sessions)
    cosine = np.array([[len(a & b) / max((len(a) * len(b)) ** 0.5, 1) for b in item_sessions] for a in item_sessions])
    expected = [slow_mmr(results, cosine, 0.5, 4) for results in as_lists(LISTS)]
    assert_close(
        apply_policy(Diversity(0.5, 4, np.zeros((0, 0), np.float32), index_sessions(sessions, ITEMS))), expected
    )
