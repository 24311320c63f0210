"""Joined texts of trees, against the sum of the scores of LightGBM."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from embedrec.ranking.join_trees import join_trees
from embedrec.ranking.trees import Trees

FEATURES = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)


def boosted(objective: str, count: int, min_leaf: int = 5) -> lightgbm.Booster:
    """Trees of 30 questions of ten candidates each, the first of which is relevant."""
    parameters = {"objective": objective, "num_leaves": 4, "min_data_in_leaf": min_leaf, "verbosity": -1}
    relevant = np.tile(np.arange(10) == 0, 30).astype(np.uint8)
    data = lightgbm.Dataset(FEATURES, relevant, group=np.full(30, 10), params=parameters)
    return lightgbm.train(parameters, data, count)


@pytest.mark.parametrize("factor", [1.0, 0.037, 20.5])
def test_scores_are_added(factor: float) -> None:
    first, second = boosted("lambdarank", 12), boosted("rank_xendcg", 3)
    text = join_trees([first.model_to_string(), second.model_to_string()], [1.0, factor])
    trees = Trees.parse(text, features=3)
    assert len(trees) == 15
    expected = first.predict(FEATURES) + factor * second.predict(FEATURES)
    np.testing.assert_allclose(trees.predict(FEATURES), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(lightgbm.Booster(model_str=text.decode()).predict(FEATURES), expected, rtol=1e-9)
    parts = trees.contributions(FEATURES)
    np.testing.assert_allclose(parts.sum(axis=1), expected, rtol=1e-6, atol=1e-9)
    each = first.predict(FEATURES, pred_contrib=True) + factor * second.predict(FEATURES, pred_contrib=True)
    np.testing.assert_allclose(parts, each, rtol=1e-6, atol=1e-9)


def test_trees_of_one_leaf() -> None:
    first, second = boosted("lambdarank", 2), boosted("rank_xendcg", 2, min_leaf=200)  # too few rows for a node
    trees = Trees.parse(join_trees([first.model_to_string(), second.model_to_string()], [1.0, 2.0]), features=3)
    expected = first.predict(FEATURES) + 2 * second.predict(FEATURES)
    np.testing.assert_allclose(trees.predict(FEATURES), expected, rtol=1e-6)


def test_a_single_text_keeps_its_trees() -> None:
    text = boosted("lambdarank", 3).model_to_string()
    content, end, _ = text.partition("end of trees\n")
    assert join_trees([text], [1.0]) == f"{content}{end}".encode()
