"""Lists that are longer than those whose recall was measured: as long as they should be, and as good."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import faiss
import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.index import hnsw_batch, search_parameters, update
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.index import Index
from embedrec.index.measure import Recall, sample_items
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.index.target import SearchTarget
from embedrec.vectors.embeddings import Embeddings
from tests.conftest import some_embeddings

TYPES = ["hnsw", "hnsw-sq8", "ivf", "ivf-sq8", "ivfpq", "fastscan", "IVF64,PQ4x4np,RFlat", "OPQ4_8,IVF64,PQ4x4np"]
N = 3000


def clustered(n: int, d: int = 8, metric: str = "cosine") -> Embeddings:
    """Vectors in clusters of 60, so that long lists reach beyond one."""
    rng = np.random.default_rng(n)
    centres = rng.normal(size=(n // 60, d))
    vectors = centres[np.arange(n) % len(centres)] + 0.4 * rng.normal(size=(n, d))
    return Embeddings(vectors.astype(np.float32), Vocab(np.arange(n)), metric)  # type: ignore[arg-type]


@cache
def built(type_: str) -> Index:
    return build_index(clustered(N), type_, BuildSettings(seed=1))


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("k", [60, 200, 1000, N - 1])
@pytest.mark.parametrize("count", [1, 80])
def test_long_lists_are_complete_and_have_high_recall(type_: str, k: int, count: int) -> None:
    """Alone and in a batch, which kernels answer."""
    index = built(type_)
    rows = np.arange(0, N, N // count)[:count]
    results = index.neighbours(rows, k)
    assert results.rows.shape == (count, k) and (results.rows >= 0).all()
    assert all(len({row, *near}) == k + 1 for row, near in zip(rows.tolist(), results.rows.tolist(), strict=True))
    exact = index.embeddings.search(index.embeddings.vectors[rows], k + 1).without(rows)
    assert Recall.of(results, exact).mean >= min(0.99, index.measurements["recall@20"]) - 0.01


def test_long_lists_of_graphs_without_clusters_are_complete() -> None:
    """FAISS ends its own walk at as many candidates as it keeps, with fewer results than k."""
    index = build_index(some_embeddings(2000, 16), "hnsw")
    for row in (5, 900):
        results = index.neighbours(np.array([row]), 500)
        exact = index.embeddings.search(index.embeddings.vectors[[row]], 501).without(np.array([row]))
        assert (results.rows >= 0).all() and Recall.of(results, exact).mean > 0.98


@pytest.mark.parametrize("type_", TYPES)
def test_lists_are_complete_with_the_lowest_settings(type_: str) -> None:
    index = built(type_)
    least = SearchSettings(**dict.fromkeys(index.settings.numbers(), 1))
    for count in (1, 80):
        results = index.search(index.embeddings.vectors[:count], 700, least)
        assert (results.rows >= 0).all()
    assert index.effective_settings(least, 700) == least


@pytest.mark.parametrize("type_", ["hnsw", "ivf", "ivfpq", "fastscan"])
def test_lists_are_complete_after_removals_and_with_filters(type_: str) -> None:
    index = built(type_)
    left = update.remove(index, range(0, N, 2))
    assert (left.neighbours(np.arange(5), len(left) - 1).rows >= 0).all()
    assert (left.search(index.embeddings.vectors[:80], 400).rows >= 0).all()
    for share in (0.05, 0.5, 0.9):
        allowed = np.random.default_rng(3).random(N) < share
        for count in (1, 80):
            results = index.search(index.embeddings.vectors[:count], 600, allowed=allowed)
            assert ((results.rows >= 0).sum(axis=1) == min(600, allowed.sum())).all() and allowed[
                results.rows[:, :100]
            ].all()


@pytest.mark.parametrize("count", [1, 80])
def test_a_graph_without_links_returns_complete_lists(count: int) -> None:
    """Vectors that no link leads to are found by an exact search."""
    whole = build_index(clustered(N), "hnsw")
    links = whole.faiss.hnsw.neighbors
    faiss.copy_array_to_vector(np.full(links.size(), -1, dtype=np.int32), links)
    queries = whole.embeddings.vectors[:count]
    assert ((whole.search_once(queries, 30).rows >= 0).sum(axis=1) == 1).all()
    assert hnsw_batch.is_large_batch(count) == (count == 80)
    assert (whole.search(queries, 30).rows == whole.embeddings.search(queries, 30).rows).all()


def test_settings_are_those_of_the_index_up_to_the_measured_k() -> None:
    for type_ in TYPES:
        index = built(type_)
        assert index.measured_k == 21
        assert index.effective_settings(AS_BUILT, 21) == index.settings and not index.prefers_exact(21, AS_BUILT)
    promised = build_index(clustered(N), "ivf", BuildSettings(target=SearchTarget(0.9, 100)))
    assert promised.measured_k == 101 and promised.effective_settings(AS_BUILT, 101) == promised.settings
    more = promised.effective_settings(AS_BUILT, 200)
    assert promised.settings.cells < more.cells <= promised.faiss.nlist


@pytest.mark.parametrize("name", ["nprobe", "ef_search"])
def test_settings_grow_with_k(name: str) -> None:
    index = built("ivf" if name == "nprobe" else "hnsw")
    grown = [
        getattr(search_parameters.scale_with_k(index.settings, index.faiss, k, 21), name)
        for k in (1, 21, 22, 50, 200, 2000, 10**6)
    ]
    assert grown[0] == grown[1] == getattr(index.settings, name)
    assert grown == sorted(grown) and grown[2] <= 2 * grown[1] + 2 and grown[3] > grown[1]
    assert grown[-1] == (index.faiss.nlist if name == "nprobe" else N)


def test_incomplete_lists_are_searched_with_higher_settings_and_then_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    index = replace(built("IVF64,Flat"), settings=SearchSettings(nprobe=1))
    calls: list[int | None] = []
    once = Index.search_once

    def counted(self: Index, queries: np.ndarray, k: int, settings: SearchSettings, *more: object) -> object:
        calls.append(settings.nprobe)
        return once(self, queries, k, settings, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Index, "search_once", counted)
    assert (index.search(index.embeddings.vectors[:5], 100, SearchSettings(nprobe=1)).rows >= 0).all()
    assert calls[:2] == [1, 4] and len(calls) <= 3


def test_recall_at_larger_k_stays_high() -> None:
    """On a sample, so that the growth of settings cannot be wrong without a word."""
    index = built("ivf")
    for k in (20, 100, 300):
        assert sample_items(index.embeddings, 7, 200, k).recall_of(index).mean > 0.98
