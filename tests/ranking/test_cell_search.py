"""Approximate search among the vectors of a part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec import Fusion
from embedrec.errors import DataError
from embedrec.models.imported import Vectors
from embedrec.ranking import cell_search
from embedrec.ranking.cell_search import build_cells, load_cells
from tests.conftest import of_lists, read_only, some_embeddings
from tests.ranking.test_composite import sessions


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_search, "SEARCHED_FROM", 30)


def model_of(metric: Any) -> Any:
    made = some_embeddings(400, 8, metric=metric, spread=0.3)
    return Vectors(metric=metric).from_arrays(made.vocab, {"items": made.vectors})


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_most_of_the_best_items_are_found_with_their_scores(metric: str) -> None:
    model, rng = model_of(metric), np.random.default_rng(0)
    cells = build_cells(model, 0)
    assert cells is not None and np.array_equal(cells, build_cells(model, 0))
    near = load_cells(model, read_only(cells))
    queries = rng.normal(size=(50, 8)).astype(np.float32)
    exact, found = model.searcher.search(queries, 5), near.searcher.search(queries, 5)
    shared = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(exact.rows, found.rows, strict=True)]
    assert np.mean(shared) > 1.5  # 6 of 80 cells of random vectors
    every = model.searcher.search(queries, 400)
    for q in range(50):
        score = dict(zip(every.rows[q].tolist(), every.scores[q].tolist(), strict=True))
        valid = found.rows[q] >= 0
        expected = [score[r] for r in found.rows[q][valid].tolist()]
        np.testing.assert_allclose(found.scores[q][valid], expected, rtol=1e-4, atol=1e-5)
    allowed = np.arange(10)
    among = [one.searcher.search(queries, 5, allowed=allowed).rows for one in (near, model)]
    assert np.array_equal(*among)


def test_distances_and_few_items_are_searched_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_cells(model_of("l2"), 0) is None
    monkeypatch.setattr(cell_search, "SEARCHED_FROM", 401)
    assert build_cells(model_of("cosine"), 0) is None


def test_damaged_indexes() -> None:
    model = model_of("cosine")
    cells = build_cells(model, 0)
    assert cells is not None
    for bad in (cells[:-1], cells[:100], np.zeros(10, np.uint8), cells.astype(np.int64)):
        with pytest.raises(DataError):
            load_cells(model, bad)
    other = some_embeddings(399, 8)
    with pytest.raises(DataError):
        load_cells(Vectors().from_arrays(other.vocab, {"items": other.vectors}), cells)


def test_a_composite_keeps_the_index_and_longer_lists_are_exact() -> None:
    small = {"word2vec": {"dim": 8, "epochs": 2, "min_count": 1, "sample": 0.0}, "mf": {"dim": 8}}
    model = Fusion("word2vec=5,mf=5", small, window=0.3).fit(sessions(True))
    assert {"0.search", "1.search"} <= set(model.arrays)
    again = model.recipe.from_arrays(model.vocab, {name: read_only(a) for name, a in model.arrays.items()})
    queries = of_lists([["i3", "i4"], ["i30"], []], model.vocab)
    whole = model.recommend(queries, 40, exclude_seen=False)
    assert np.array_equal(again.recommend(queries, 40, exclude_seen=False).rows, whole.rows)
    assert (np.sort(whole.rows, axis=1) == np.arange(40)).all()
    for k in (1, 7, 20):
        assert np.array_equal(model.recommend(queries, k, exclude_seen=False).rows, whole.rows[:, :k])
    with pytest.raises(DataError, match="a part of sr has no vectors, and cannot have an index of them"):
        other = Fusion("sr=5,mf=5", {"mf": {"dim": 8}}, window=0.3).fit(sessions(True))
        other.recipe.from_arrays(other.vocab, {**other.arrays, "0.search": other.arrays["1.search"]})
