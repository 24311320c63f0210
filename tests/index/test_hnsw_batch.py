"""Batches of searches in a graph, against the search of FAISS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from embedrec.index import hnsw_batch
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index, save_index
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Metric
from tests.conftest import some_embeddings

METRICS = {"product": faiss.METRIC_INNER_PRODUCT, "distance": faiss.METRIC_L2}


def graph(n: int, d: int, metric: str, links: int = 8) -> tuple[Any, np.ndarray]:
    rng = np.random.default_rng(n + d)
    vectors = rng.normal(size=(n, d)).astype(np.float32)
    index = faiss.IndexHNSWFlat(d, links, METRICS[metric])
    index.add(vectors)
    return index, rng.normal(size=(200, d)).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "d"), [(1, 4), (3, 1), (40, 7), (2000, 33), (3000, 64), (500, 100)])
def test_batch_search_has_the_results_of_faiss(metric: str, n: int, d: int) -> None:
    """For queries that have their own entry, whose greedy way down is the same."""
    index, queries = graph(n, d, metric)
    found_graph = hnsw_batch.graph_of(index)
    assert found_graph is not None
    for ef in (5, 16, 64):
        reach = min(ef, n)
        index.hnsw.efSearch = ef
        expected = index.search(queries, reach)[1]
        rows = hnsw_batch.search_graph(found_graph, queries, reach, ef)
        same = [
            len(np.intersect1d(a[a >= 0], b[b >= 0])) / max((b >= 0).sum(), 1)
            for a, b in zip(rows, expected, strict=True)
        ]
        assert np.mean(same) > 0.999  # equal scores aside, the same
        assert rows.shape == (200, reach)
        scores = queries @ index.reconstruct_n(0, n).T
        if metric == "distance":
            scores = -((queries[:, None] - index.reconstruct_n(0, n)[None]) ** 2).sum(2)
        for query, row in zip(scores, rows, strict=True):
            valid = row[row >= 0]
            assert (np.diff(query[valid]) <= 1e-3).all() and len(np.unique(valid)) == len(valid)


def test_results_do_not_depend_on_order_batches_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    index, queries = graph(2000, 16, "product")
    graph_links = hnsw_batch.graph_of(index)
    assert graph_links is not None
    order = hnsw_batch.traversal_order(graph_links, queries)
    assert sorted(order) == list(range(200))
    np.testing.assert_array_equal(
        hnsw_batch.search_graph(graph_links, queries[order], 10, 20),
        hnsw_batch.search_graph(graph_links, queries, 10, 20)[order],
    )
    assert hnsw_batch.traversal_order(graph_links, queries[:0]).shape == (0,)
    whole = hnsw_batch.search_graph(graph_links, queries, 10, 20)
    before = faiss.omp_get_max_threads()
    try:
        for threads in (1, 3):
            faiss.omp_set_num_threads(threads)
            np.testing.assert_array_equal(hnsw_batch.search_graph(graph_links, queries, 10, 20), whole)
    finally:
        faiss.omp_set_num_threads(before)
    monkeypatch.setattr(hnsw_batch, "MAX_CANDIDATES", 0)  # in blocks of 64
    np.testing.assert_array_equal(hnsw_batch.search_graph(graph_links, queries, 10, 20), whole)
    for count in (0, 1, 7, 9):
        np.testing.assert_array_equal(hnsw_batch.search_graph(graph_links, queries[:count], 10, 20), whole[:count])


def test_other_indexes_have_no_graph() -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    for spec in ("Flat", "IVF4,Flat", "HNSW8_SQ8"):
        index = faiss.index_factory(8, spec)
        index.train(vectors)
        index.add(vectors)
        assert hnsw_batch.graph_of(index) is None
    assert hnsw_batch.graph_of(faiss.IndexHNSWFlat(8, 8)) is None  # nothing in it


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_large_batches_use_the_batch_search(metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one query after the other, but for what ties."""
    embeddings = some_embeddings(2000, 16, metric=metric)
    index = build_index(embeddings, "hnsw", BuildSettings(search=SearchSettings(ef_search=64)))
    queries = embeddings.vectors[:128]
    calls: list[int] = []
    whole = hnsw_batch.search_graph
    monkeypatch.setattr(hnsw_batch, "search_graph", lambda *given: calls.append(len(given[1])) or whole(*given))
    batch = index.search(queries, 10)
    assert calls == [128]
    alone = np.vstack([index.search(query[None], 10).rows for query in queries])
    assert calls == [128]
    assert (batch.rows == alone).mean() > 0.995


def test_a_loaded_index_uses_the_batch_search(tmp_path: Path) -> None:
    embeddings = some_embeddings(2000, 16)
    index = build_index(embeddings, "hnsw")
    save_index(index, tmp_path / "x", {})
    opened = load_index(artifacts.read(tmp_path / "x", "index"))
    rows = np.arange(500)
    np.testing.assert_array_equal(opened.neighbours(rows, 10).rows, index.neighbours(rows, 10).rows)
