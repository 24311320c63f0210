"""The self-attentive model: what it learns, cold items, an index, and arrays that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.errors import DataError
from embedrec.models.transformer.recipe import SASRec
from tests.conftest import of_lists
from tests.models.transformer.toy_learner import SMALL
from tests.training.toy import clustered_sessions, featured


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"query": "last", "gates": True, "hardest": 4},
        {"loss": "gbce", "scoring": "dot", "temperature": 0.3, "positions": "none", "learning_rate": 0.3},
    ],
)
def test_it_learns_which_items_go_together(settings: Any) -> None:
    sessions = clustered_sessions(240)
    model = SASRec(**{**SMALL, "epochs": 15, "patience": None, **settings}).fit(sessions, seed=2)
    groups = np.array([int(str(i)[1:]) // 5 for i in sessions.vocab.ids])
    answer = model.recommend(sessions, 3, exclude_seen=False).rows
    assert (groups[answer] == groups[sessions.items[sessions.offsets[:-1]]][:, None]).mean() > 0.95


def test_it_learns_an_order() -> None:
    """Sessions go around a circle of ten, in one of two directions, which only the order of items shows."""
    rng = np.random.default_rng(0)
    lists = []
    for session in range(400):
        start, step = rng.integers(10), 1 if session % 2 else -1
        lists.append([f"i{(start + step * place) % 10}" for place in range(5)])
    sessions = of_lists(lists)
    settings = {"dim": 16, "epochs": 30, "query": "last", "dropout": 0.0, "block_dropout": 0.0, "patience": None}
    model = SASRec(**{**SMALL, **settings, "learning_rate": 0.3, "layer_rate": 0.01}).fit(sessions, seed=0)
    histories = of_lists([["i3", "i4"], ["i5", "i4"]], model.vocab)
    assert [ids[0] for ids in model.recommend(histories, 1).ids()] == ["i5", "i3"]


@pytest.mark.parametrize("query", ["last", "convex"])
def test_scores_are_cosines_of_the_query_and_the_items(query: Any) -> None:
    sessions = clustered_sessions(40)
    model = SASRec(**{**SMALL, "query": query}).fit(sessions, seed=0)
    queries = model.encode(sessions).vectors.astype(np.float64)
    items = model.embeddings.vectors.astype(np.float64)
    norms = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(items, axis=1)
    cosines = queries @ items.T / norms
    result = model.recommend(sessions, len(items), exclude_seen=False)
    assert np.abs(result.scores).max() <= 1 + 1e-6
    np.testing.assert_allclose(result.scores, np.take_along_axis(cosines, result.rows, axis=1), atol=1e-5)
    longer = SASRec(**{**SMALL, "query": query, "scoring": "dot"}).fit(sessions, seed=0)
    products = longer.encode(sessions).vectors.astype(np.float64) @ longer.embeddings.vectors.T
    result = longer.recommend(sessions, len(items), exclude_seen=False)
    np.testing.assert_allclose(result.scores, np.take_along_axis(products, result.rows, axis=1), atol=1e-4)


def test_cold_items_are_found() -> None:
    sessions = featured(clustered_sessions(240))
    model = SASRec(**{**SMALL, "epochs": 25, "patience": None, "id_dropout": 0.3}).fit(sessions, seed=0)
    n = len(sessions.vocab)
    assert len(model.vocab) == n + 12 and model.arrays["cold"].tolist() == [0] * n + [1] * 12
    groups = np.array([(int(str(i)[1:]) % 100) // 5 for i in model.vocab.ids])
    near = model.embeddings.search(model.embeddings.vectors[n:], 5).rows
    assert (groups[near] == groups[n:, None]).mean() > 0.9
    without = SASRec(**{**SMALL, "features": False}).fit(sessions, seed=0)
    assert len(without.vocab) == n


@pytest.mark.parametrize(
    "settings", [{"users": True, "gates": True}, {"query": "last", "positions": "learned"}, {"positions": "none"}]
)
def test_arrays_that_do_not_fit(settings: Any) -> None:
    model = SASRec(**{**SMALL, **settings}).fit(clustered_sessions(), seed=0)
    for name, array in model.arrays.items():
        with pytest.raises(DataError):
            model.recipe.from_arrays(model.vocab, {**model.arrays, name: array[:-1]})
    less = {name: array for name, array in model.arrays.items() if name != "merge1"}
    with pytest.raises(DataError, match=r"merge1 of a sasrec model must have shape \(8, 8\), but is missing"):
        model.recipe.from_arrays(model.vocab, less)
