from __future__ import annotations

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.measure import Recall
from embedrec.index.search_settings import SearchSettings
from embedrec.vectors.embeddings import Embeddings
from tests.conftest import some_embeddings


@pytest.mark.parametrize(("kind", "name"), [("ivf", "nprobe"), ("hnsw", "ef_search"), ("ivf-sq8", "rerank")])
@pytest.mark.parametrize("count", [1, 9])
def test_settings_above_the_size_of_the_index_search_all_of_it(kind: str, name: str, count: int) -> None:
    """They are those of all of it: FAISS has them as an int."""
    index = build_index(some_embeddings(80, 8), kind)
    queries = index.embeddings.vectors[:count]
    exact = index.embeddings.search(queries, 5)
    for value in (80, 2**31 - 1, 2**31, 2**62):
        results = index.search(
            queries, 5, SearchSettings(**{"nprobe": 80, name: value} if kind != "hnsw" else {name: value})
        )
        np.testing.assert_array_equal(results.rows, exact.rows)


def test_results_missing_after_one_search_are_padded() -> None:
    """One cell has fewer than k vectors; the search is widened until it returns k results."""
    index = build_index(some_embeddings(60), "IVF30,Flat", BuildSettings(search=SearchSettings(nprobe=1)))
    results = index.search_once(index.embeddings.vectors, 60, SearchSettings(nprobe=1))
    assert results.rows.shape == (60, 60)
    missing = results.rows < 0
    assert missing.any(axis=1).all()
    assert (results.rows[missing] == -1).all() and np.isneginf(results.scores[missing]).all()
    assert (np.sort(missing, axis=1) == missing).all()  # they come last
    whole = index.search(index.embeddings.vectors, 60)
    assert (np.sort(whole.rows, axis=1) == np.arange(60)).all()
    near = index.neighbours(np.arange(60), 59)
    assert near.rows.shape == (60, 59) and (near.rows >= 0).all()
    assert not (near.rows == np.arange(60)[:, None]).any()


@pytest.mark.parametrize("spread", [0.0, 2.0, 5.0])
def test_dot_products_of_very_different_norms_have_high_recall(spread: float) -> None:
    """Cells must find what inner products find though lengths differ by 10¹⁵, and queries are tiny or huge."""
    embeddings = some_embeddings(1000, 8, "dot", spread=spread)
    index = build_index(embeddings, "ivf")
    assert index.augmented and index.measurements["recall@20"] >= 0.99
    queries = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
    exact = embeddings.search(queries, 10)
    for scale in (1e-10, 1.0, 1e10):
        results = index.search(queries * np.float32(scale), 10, SearchSettings(nprobe=index.faiss.nlist))
        assert Recall.of(results, embeddings.search(queries * np.float32(scale), 10)).mean == 1
        np.testing.assert_allclose(results.scores, exact.scores * scale, rtol=1e-4)


def test_building_and_searching_do_not_modify_vectors() -> None:
    vectors = some_embeddings(100, metric="cosine").vectors
    before = vectors.copy()
    index = build_index(Embeddings(vectors, Vocab(np.arange(100))), "ivf")
    index.search(vectors, 3)
    assert not vectors.flags.writeable and (vectors == before).all()
