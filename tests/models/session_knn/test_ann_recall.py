"""Recall of FAISS candidates, and the tuning of nprobe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.models.session_knn import ann_candidates, ann_recall
from embedrec.models.session_knn.variants import SKNN
from tests.conftest import of_lists
from tests.models.session_knn.random_sessions import topic_sessions


def test_nprobe_doubles_until_the_target_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ann_candidates, "FLAT_BELOW", 100)
    train, histories, measurements = topic_sessions(3000, 600), topic_sessions(50, 600, seed=1), {}
    ann = SKNN(20, 300, candidates="ann", dim=64).fit(
        train, report=lambda event, **numbers: measurements.update(numbers)
    )
    assert measurements["nprobe"] > 1 and measurements["nearest_found"] >= 0.95
    exact = SKNN(20, 0).fit(train)
    reached = ann.neighbours(histories, 20)[1] >= exact.neighbours(histories, 20)[1].min(axis=1, keepdims=True) - 1e-9
    assert reached.mean() > 0.9
    monkeypatch.setattr(ann_recall, "TARGET_RECALL", 0.0)
    assert SKNN(20, 300, candidates="ann", dim=64).fit(train).arrays["nprobe"].tolist() == [1]


def test_few_sessions() -> None:
    for lists in ([], [[]], [[1]], [[1, 2]]):
        sessions = of_lists(lists, Vocab(np.array([1, 2])))
        measurements: dict[str, Any] = {}
        recipe = SKNN(20, 50, candidates="ann", dim=8)
        model = recipe.fit(sessions, report=lambda event, **numbers: measurements.update({event: numbers}))  # noqa: B023
        assert measurements["candidates"] == {"asked": 0, "candidates": 50, "nprobe": 0}
        rows = model.recommend(of_lists([[1]], Vocab(np.array([1]))), 1).rows.tolist()
        assert rows == ([[1]] if lists == [[1, 2]] else [[-1]])
