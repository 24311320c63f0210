"""Measured recall, and its confidence interval."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.data.topk import TopK, sort_results
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.exact_results import score_keys
from embedrec.index.measure import Recall, faiss_bytes, measure_index, recall_sample, sample_items, sample_queries
from embedrec.index.search_settings import SearchSettings
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import METRICS
from tests.conftest import some_embeddings


def test_recall_by_hand() -> None:
    vocab = Vocab(np.arange(9))

    of_rows = np.array([[9, 8, 7, 6, 5, 4, 3, 2, 1], [0, 0, 0, 0, 0, 6, 7, 8, 9]])  # what each query gives each row

    def answer(*rows: list[int]) -> TopK:
        scores = [[of_rows[q, r] if r >= 0 else -np.inf for r in row] for q, row in enumerate(rows)]
        return sort_results(np.array(rows), np.array(scores), vocab)

    exact = answer([0, 1, 2, 3], [8, 7, 6, -1])
    assert Recall.of(exact, exact) == Recall(1, 1)
    assert Recall.of(answer([3, 2, 1, 0], [6, 7, 8, -1]), exact).mean == 1
    assert Recall.of(answer([0, 1, 8, 7], [-1, -1, -1, -1]), exact).mean == 2 / 7
    assert Recall.of(answer([8, 7, 6, 5], [0, 1, 2, 3]), exact).mean == 0  # another query's do not count


def test_the_lower_bound_of_recall_holds_for_95_percent_of_samples() -> None:
    """Against its meaning: of many samples, about 95 of 100 have their end below the recall of all."""
    rng = np.random.default_rng(0)
    everyone = rng.random((5000, 20)) < rng.beta(20, 1, size=(5000, 1))  # what each of all queries finds
    hits, wanted = everyone.sum(axis=1), np.full(5000, 20)
    below = 0
    for _ in range(400):
        some = rng.choice(5000, 500, replace=False)
        below += Recall.of_counts(hits[some], wanted[some], 5000).low <= everyone.mean()
    assert 0.92 <= below / 400 <= 0.98
    assert Recall.of_counts(hits, wanted, 5000) == Recall(everyone.mean(), everyone.mean())  # nothing is left to chance


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [1.0, 1e-12])
def test_any_of_equal_vectors_counts_as_found(metric: str, size: float) -> None:
    """Among equal vectors any is right: what is measured is the share of results that are as near as the exact ones."""
    vectors = np.repeat(np.random.default_rng(3).normal(size=(10, 8)) * size, 40, axis=0).astype(np.float32)
    given = Embeddings(vectors, Vocab(np.arange(400)), metric)  # type: ignore[arg-type]
    index = build_index(given, "IVF10,Flat", BuildSettings(search=SearchSettings(nprobe=10)))
    sample = sample_items(given, 1, 100)
    assert sample.recall_of(index) == Recall(1, 1)
    among = index.search(vectors[::40], 20, allowed=np.arange(400) % 2 == 1)  # others than the lowest rows
    assert Recall.of(among, given.search(vectors[::40], 20)).mean == 1
    worse = sort_results((sample.exact.rows + 40) % 400, sample.exact.scores - 1, given.vocab)
    assert Recall.of(worse, sample.exact).mean == 0


def test_recall_of_tiny_vectors_distinguishes_them() -> None:
    """Squared distances of 1e-60 are 0 in float32, but not all are as near."""
    vectors = (np.random.default_rng(0).normal(size=(300, 6)) * 1e-30).astype(np.float32)
    given = Embeddings(vectors, Vocab(np.arange(300)), "l2")
    sample = sample_items(given, 0, 50, 10)
    assert sample.recall_of(build_index(given, "flat")) == Recall(1, 1)
    keys = score_keys(vectors, sample.queries, (sample.exact.rows + 150) % 300, "l2")
    assert sample.recall_of_keys(keys, sample.thresholds(given)).mean < 0.2


def test_recall_of_graphs_counts_large_and_small_batches() -> None:
    """Among many equal vectors a walk through a graph may end in another group, in large or in small batches."""
    vectors = np.repeat(np.random.default_rng(3).normal(size=(20, 16)), 200, axis=0).astype(np.float32)
    given = Embeddings(vectors, Vocab(np.arange(4000)), "cosine")
    index = build_index(given, "hnsw")
    index.search(np.tile(vectors, (2, 1)), 1)  # loads the compiled walk
    assert index.uses_graph_batch(4000) and not index.uses_graph_batch(63)
    sample = sample_items(given, 0)
    for ef in (16, 64, int(index.settings.candidates)):
        settings = SearchSettings(ef_search=ef)
        whole = index.search_once(vectors, 21, settings)
        parts = [index.search_once(vectors[start : start + 63], 21, settings) for start in range(0, 4000, 63)]
        shares = [float((result >= 1 - 1e-6).mean()) for result in (whole.scores, np.vstack([p.scores for p in parts]))]
        recall = sample.recall_of(index, settings, once=True).mean
        assert recall <= min(shares) + 0.025, (ef, recall, shares)
    assert index.measurements["recall@20"] >= 0.99


def test_samples_are_distinct_items_or_the_first_queries() -> None:
    given = some_embeddings(50, 4)
    items = recall_sample(given, None, seed=3, count=20, k=7)
    assert items.rows is not None and len(set(items.rows.tolist())) == 20 and (np.diff(items.rows) > 0).all()
    assert items.exact.rows.shape == (20, 7) and not (items.exact.rows == items.rows[:, None]).any()
    assert (items.queries == given.vectors[items.rows]).all()
    assert len(recall_sample(given, None, seed=3).queries) == 50
    queries = -given.vectors[:9]
    for sample in (recall_sample(given, queries, seed=0, count=6, k=7), sample_queries(given, queries[:6], 7)):
        assert sample.rows is None and (sample.queries == queries[:6]).all()
        assert (sample.exact.rows == given.search(queries[:6], 7).rows).all()
    few = sample_items(some_embeddings(3, 4), 0)
    assert (few.k, few.at) == (2, 20)


def test_an_exact_index_has_recall_1() -> None:
    index = build_index(some_embeddings(300, 8), "flat")
    result = measure_index(index, sample_items(index.embeddings, 0, 100, 10))
    assert (result["recall@10"], result["recall_low"], result["recall_queries"]) == (1, 1, 100)
    assert 0 < result["query_ms_p50"] <= result["query_ms_p95"] <= result["query_ms_p99"]
    assert result["queries_per_second"] > 0
    assert faiss_bytes(index) == len(faiss.serialize_index(index.faiss))
    assert result["bytes_per_vector"] == round(faiss_bytes(index) / 300, 1)
    assert 32 <= result["bytes_per_vector"] < 33


def test_a_single_item_has_recall_1() -> None:
    given = some_embeddings(1, 4)
    assert sample_items(given, 0).recall_of(build_index(given, "flat")) == Recall(1.0, 1.0)
    assert Recall(0.9, 0.85).high == pytest.approx(0.95)


def test_recall_of_given_queries_is_measured() -> None:
    """By hand: 3 nearest of 2 queries, of which an index that visits one cell finds what lies there."""
    embeddings = some_embeddings(50, 4, metric="dot")
    queries = np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32)
    sample = sample_queries(embeddings, queries, 3)
    scores = queries @ embeddings.vectors.T
    np.testing.assert_array_equal(sample.exact.rows, np.argsort(-scores, axis=1)[:, :3])
    assert sample.recall_of(build_index(embeddings, "flat", queries=queries)).mean == 1
    some = build_index(embeddings, "IVF10,Flat", BuildSettings(search=SearchSettings(nprobe=1)), queries=queries)
    results = some.search(queries, 3).rows
    hits = sum(len(np.intersect1d(a, b)) for a, b in zip(results, sample.exact.rows, strict=True))
    assert some.measurements["recall@20"] <= 1 and sample.recall_of(some).mean == pytest.approx(hits / 6)
