"""Why a composite recommends an item: its parts, and what moved its score."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec import SKNN, Fusion
from embedrec.ranking.explanations import explain, session_knn_part
from tests.conftest import of_lists
from tests.ranking.test_composite import sessions


def test_parts_and_features_of_an_item() -> None:
    model = Fusion("sr=5,popular=5", window=0.3).fit(sessions(True))
    history = of_lists([["i3", "i4"]], model.vocab)
    results = model.recommend(history, 12)
    explained = explain(model, history, results.rows[0])
    lists = {part.name: part.lists(history, 5, exclude_seen=False)[0][0].tolist() for part in model.parts}
    for row, score, why in zip(results.rows[0].tolist(), results.scores[0].tolist(), explained, strict=True):
        expected = {name: rows.index(row) + 1 for name, rows in lists.items() if row in rows}
        assert why.parts == expected and list(why.parts.values()) == sorted(why.parts.values())
        assert set(why.features) <= set(expected)
        if expected:
            assert sum(why.features.values()) == pytest.approx(score, abs=1e-3)
    assert explained[-1].parts == explained[-1].features == {}  # it follows the candidates


def test_the_session_knn_part() -> None:
    with_one = Fusion("sr=5,sknn=5", window=0.3).fit(sessions(True))
    found = session_knn_part(with_one)
    assert found is not None and isinstance(found.recipe, SKNN)
    assert session_knn_part(Fusion("sr=5,popular=5", window=0.3).fit(sessions(True))) is None
    assert np.isin(found.neighbours(of_lists([["i3"]], with_one.vocab), 3)[0], np.arange(400)).all()
