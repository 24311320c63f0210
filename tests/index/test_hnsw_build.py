"""Graphs that are linked in batches, against those of FAISS, which links one vector after the other."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from embedrec.index import hnsw_build
from embedrec.index.hnsw_build import is_graph, link_vectors, local_order
from embedrec.vectors.faiss_structure import innermost, run_parallel

METRICS = {"product": faiss.METRIC_INNER_PRODUCT, "distance": faiss.METRIC_L2}


def some(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Clusters of unequal sizes, in order."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(max(n // 100, 1), d))
    of = np.sort(rng.zipf(1.5, size=n) % len(centres))
    made: np.ndarray = (centres[of] + rng.normal(size=(n, d))).astype(np.float32)
    return made


def linked(spec: str, vectors: np.ndarray, metric: str = "distance", seed: int = 0) -> Any:
    index = faiss.index_factory(vectors.shape[1], spec, METRICS[metric])
    index.train(vectors)
    innermost(index).hnsw.efConstruction = 64
    link_vectors(index, len(vectors), lambda rows: vectors[rows], seed=seed)
    return index


def recall(index: Any, vectors: np.ndarray, queries: np.ndarray, ef: int) -> float:
    exact = faiss.IndexFlat(vectors.shape[1], index.metric_type)
    exact.add(vectors)
    innermost(index).hnsw.efSearch = ef
    results, right = index.search(queries, 10)[1], exact.search(queries, 10)[1]
    return float((results[:, :, None] == right[:, None, :]).any(axis=1).mean())


def links_of(index: Any) -> list[list[np.ndarray]]:
    """Of each row, and each of its levels, the lowest first."""
    links = innermost(index).hnsw
    all_, begins = faiss.vector_to_array(links.neighbors), faiss.vector_to_array(links.offsets).astype(int)
    steps, levels = faiss.vector_to_array(links.cum_nneighbor_per_level), faiss.vector_to_array(links.levels)
    return [
        [all_[begin + steps[level] : begin + steps[level + 1]] for level in range(count)]
        for begin, count in zip(begins, levels, strict=False)
    ]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "d"), [(3000, 8), (6000, 33)])
def test_recall_is_that_of_graphs_linked_by_faiss(metric: str, n: int, d: int) -> None:
    vectors = some(n, d)
    if metric == "product":
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[:: n // 500] + 0.1 * np.random.default_rng(1).normal(size=(500, d)).astype(np.float32)
    theirs = faiss.IndexHNSWFlat(d, 8, METRICS[metric])
    theirs.hnsw.efConstruction = 64
    theirs.add(vectors)
    ours = linked("HNSW8", vectors, metric)
    for ef in (10, 40):
        assert recall(ours, vectors, queries, ef) > recall(theirs, vectors, queries, ef) - 0.01
    assert recall(ours, vectors, queries, 200) > 0.98


@pytest.mark.parametrize("n", [1, 2, 9, 256, 257, 300, 2500])
def test_links_are_distinct_other_rows_of_the_level(n: int) -> None:
    index = linked("HNSW4", some(n, 5))
    result, levels = links_of(index), faiss.vector_to_array(innermost(index).hnsw.levels)
    assert len(result) == n == index.ntotal
    assert levels[index.hnsw.entry_point] == levels.max() == index.hnsw.max_level + 1
    for row, each in enumerate(result):
        assert len(each) == levels[row]
        for level, links in enumerate(each):
            valid = links[links >= 0]
            assert (links[len(valid) :] == -1).all() and len(links) == (4 if level else 8)
            assert row not in valid and len(set(valid)) == len(valid)
            assert (levels[valid] > level).all()
            assert len(valid) or (levels > level).sum() == 1


def test_levels_have_the_frequencies_of_faiss() -> None:
    ours, theirs = linked("HNSW4", some(20_000, 2)), faiss.IndexHNSWFlat(2, 4)
    theirs.hnsw.set_default_probas(4, 1 / np.log(4))
    share = np.bincount(faiss.vector_to_array(ours.hnsw.levels))[1:] / 20_000
    np.testing.assert_allclose(share[:3], faiss.vector_to_array(theirs.hnsw.assign_probas)[:3], atol=0.02)


@pytest.mark.parametrize("threads", [1, 3])
def test_links_do_not_depend_on_the_number_of_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = some(3000, 8)
    first, other = linked("HNSW8", vectors), linked("HNSW8", vectors, seed=1)
    monkeypatch.setattr(faiss, "omp_get_max_threads", lambda: threads)
    again = linked("HNSW8", vectors)
    before, now, otherwise = (faiss.vector_to_array(index.hnsw.neighbors) for index in (first, again, other))
    np.testing.assert_array_equal(now, before)
    assert (otherwise[:1000] != before[:1000]).any()


@pytest.mark.parametrize("spec", ["HNSW8", "HNSW8_SQ8", "HNSW8_PQ4", "PCA8,HNSW8", "PCA12,PCA8,HNSW8_SQ8"])
def test_graphs_of_codes_and_transforms_have_the_recall_of_faiss(spec: str) -> None:
    vectors, queries = some(3000, 16), some(200, 16, 1)
    index = linked(spec, vectors)
    theirs = faiss.index_factory(16, spec)
    theirs.train(vectors)
    innermost(theirs).hnsw.efConstruction = 64
    theirs.add(vectors)
    assert recall(index, vectors, queries, 50) > recall(theirs, vectors, queries, 50) - 0.02
    index.add(queries)  # FAISS goes on from what it finds
    exact = faiss.IndexFlat(16)
    exact.add(np.vstack([vectors, queries]))
    assert index.ntotal == 3200
    assert recall(index, np.vstack([vectors, queries]), queries, 100) > recall(index, vectors, queries, 50) - 0.5
    results = index.search(queries, 1)[1][:, 0]
    assert (results == np.arange(3000, 3200)).mean() > (0.5 if "PQ" in spec else 0.95)


def test_only_plain_graphs_are_linked() -> None:
    kinds = {"HNSW8": True, "PCA4,HNSW8_SQ8": True, "HNSW8,RFlat": False, "IVF4,Flat": False, "Flat": False}
    assert {spec: is_graph(faiss.index_factory(8, spec)) for spec in kinds} == kinds


@pytest.mark.parametrize("seed", range(3))
def test_many_equal_vectors_are_all_reachable(seed: int) -> None:
    """More of them than links: all are found, and ways lead out of them."""
    vectors = np.vstack([np.ones((60, 4)), some(900, 4, seed)]).astype(np.float32)
    index = linked("HNSW8", vectors, seed=seed)
    innermost(index).hnsw.efSearch = 100
    results = index.search(np.ones((1, 4), dtype=np.float32), 60)[1][0]
    assert sorted(results) == list(range(60))
    assert recall(index, vectors, vectors[60:], 100) > 0.98


def test_progress_is_reported_after_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hnsw_build, "MAX_BATCH", 700)
    vectors, reports = some(3000, 4), []
    index = faiss.IndexHNSWFlat(4, 8)
    link_vectors(
        index, 3000, lambda rows: vectors[rows], report=lambda event, **numbers: reports.append((event, numbers))
    )
    assert [event for event, _ in reports] == ["progress"] * len(reports)
    done = [numbers["done"] for _, numbers in reports]
    assert done == sorted(done) and done[-1] == 3000 and max(np.diff(done)) <= 700
    assert reports[0][1].keys() == {"done", "total", "unit"} and reports[0][1]["unit"] == "vectors"


def test_parallel_work_covers_each_item_once() -> None:
    seen = np.zeros(10, dtype=int)

    def work(here: slice) -> None:
        seen[here] += 1

    run_parallel(10, work)
    assert (seen == 1).all()


@pytest.mark.parametrize("n", [0, 1, 256, 257, 3000])
def test_the_local_order_is_a_permutation(n: int) -> None:
    vectors = np.random.default_rng(n).normal(size=(n, 5)).astype(np.float32)
    order = local_order(vectors.__getitem__, n)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(n))
    np.testing.assert_array_equal(order, local_order(vectors.__getitem__, n))


def test_consecutive_rows_of_the_local_order_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hnsw_build, "LEAF", 8)
    monkeypatch.setattr(hnsw_build, "PROJECTION_BLOCK", 100)
    vectors = np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float32)
    result = vectors[local_order(vectors.__getitem__, 2000)]
    apart, apart_as_given = (np.linalg.norm(np.diff(v, axis=0), axis=1).mean() for v in (result, vectors))
    assert apart < apart_as_given / 3


def test_the_first_cut_is_across_the_longest_axis() -> None:
    """Twins lie in the same half: 0 to 299 on the left, the others on the right, whatever their order."""
    rng = np.random.default_rng(1)
    left = rng.permutation(600) < 300
    vectors = rng.normal(size=(600, 4)).astype(np.float32)
    vectors[:, 2] += np.where(left, -20, 20)
    order = local_order(vectors.__getitem__, 600)
    assert left[order[:300]].all() or left[order[300:]].all()


def test_equal_vectors_have_a_local_order() -> None:
    vectors = np.ones((1000, 4), dtype=np.float32)
    assert sorted(local_order(vectors.__getitem__, 1000)) == list(range(1000))
