"""Searches of byte codes by products of integers find what FAISS finds."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from embedrec.errors import DataError, SettingsError
from embedrec.index import ivf_bytes as module
from embedrec.index import update
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.exact_results import rescore
from embedrec.index.index import Index
from embedrec.index.ivf_bytes import byte_cells_of, is_worthwhile, search_bytes
from embedrec.index.search_parameters import faiss_parameters
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index, save_index
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings
from tests.conftest import some_embeddings
from tests.index.conftest import check_batch, record_batches


def built(metric: str, n: int, d: int, cells: int, nprobe: int = 1) -> Index:
    settings = BuildSettings(search=SearchSettings(nprobe=nprobe))
    return build_index(some_embeddings(n, d, metric, spread=0.5), f"IVF{cells},SQ8", settings)


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("n", "d", "cells", "count"), [
    (650, 6, 8, 30), (2000, 64, 40, 28), (900, 70, 16, 900), (40, 3, 1, 5), (3000, 130, 9, 7),
])  # fmt: skip
def test_all_cells_have_about_the_nearest_of_faiss(
    metric: str, threads: int, n: int, d: int, cells: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of FAISS, whose queries are not codes, but for the last ones; and the nearest first."""
    monkeypatch.setattr(module, "_SERIAL_COMPARISONS", 1000)
    index = built(metric, n, d, cells)
    queries = index.prepare_queries(np.random.default_rng(1).normal(size=(101, d)).astype(np.float32))
    byte_cells = index.byte_cells
    assert byte_cells is not None and byte_cells.lists[:, 2].sum() == n
    faiss.omp_set_num_threads(threads)
    labels = search_bytes(byte_cells, queries, count, cells)
    wanted = index.faiss.search(queries, count, params=faiss_parameters(index.faiss, SearchSettings(nprobe=cells)))[1]
    common = [len({*a} & {*b}) for a, b in zip(labels.tolist(), wanted.tolist(), strict=True)]
    assert np.mean(common) >= 0.97 * count and min(map(len, map(set, labels.tolist()))) == count
    stored = index.faiss.reconstruct_n(0, n)[:, :d]
    scores = np.take_along_axis(queries[:, :d] @ stored.T, labels, axis=1)
    slack = 0.02 * np.abs(scores).max()
    assert (scores[:, 1:] - scores[:, :-1] < slack).all()


def test_few_cells_have_about_the_recall_of_faiss() -> None:
    """Cells are found by products with codes of their centroids, less half the squared norms of these where vectors
    differ in norm."""
    for metric in ("cosine", "dot"):
        index = built(metric, 5000, 16, 100)
        exact = index.embeddings.search(index.embeddings.vectors[::5], 10).rows
        queries = index.prepare_queries(index.embeddings.vectors[::5])
        for nprobe in (1, 5, 20):
            parameters = faiss_parameters(index.faiss, SearchSettings(nprobe=nprobe))
            found = search_bytes(index.byte_cells, queries, 20, nprobe)  # type: ignore[arg-type]
            of_faiss = index.faiss.search(queries, 20, params=parameters)[1]
            recalls = [(rows[:, None] == exact[:, :, None]).any(axis=2).mean() for rows in (found, of_faiss)]
            assert recalls[0] >= recalls[1] - 0.005


def test_batches_and_single_queries_have_the_same_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = built("cosine", 600, 6, 20, nprobe=5)
    save_index(made, tmp_path / "x", {})
    loaded = load_index(artifacts.read(tmp_path / "x"))  # mapped from disk
    sizes = record_batches(monkeypatch, module, "_search", 2)
    for index in (made, loaded):
        check_batch(index)
    assert sizes == [100, 100]  # one query has a kernel of its own


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("rerank", [1, 4])
def test_results_are_the_best_candidates_by_exact_scores(metric: str, rerank: int) -> None:
    """As if labels came first; also where labels are not rows, and for queries of any size, and 0."""
    index = built(metric, 700, 6, 20, nprobe=5)
    index = replace(index, settings=SearchSettings(nprobe=5, rerank=rerank))
    rng = np.random.default_rng(3)
    queries = (rng.normal(size=(150, 6)) * 10.0 ** rng.integers(-30, 17, (150, 1))).astype(np.float32)
    queries[7] = 0
    vectors, order = index.embeddings.vectors, rng.permutation(700)
    moved = Embeddings(vectors[np.argsort(order)], index.vocab, index.metric)
    for at in (index, replace(index, embeddings=moved, rows=order)):
        found = [at.search(some, 9) for some in (queries, *queries[:20, None])]
        rows = at.candidates(queries, 9)
        wanted = rescore(at.embeddings.vectors, queries, rows, 9, at.metric, at.vocab)
        assert (found[0].rows == wanted.rows).all() and (found[0].scores == wanted.scores).all()
        for alone, row in zip(found[1:], range(20), strict=True):
            assert (alone.rows == wanted.rows[row]).all() and (alone.scores == wanted.scores[row]).all()


def test_prepared_searches_check_what_others_check() -> None:
    index = built("cosine", 600, 6, 20, nprobe=2)
    queries = np.random.default_rng(3).normal(size=(30, 6)).astype(np.float32)
    expected = index.search(queries, 9)
    for same in (queries.astype(np.float64), np.asfortranarray(queries), queries.tolist()):
        assert (index.search(same, 9).rows == expected.rows).all()
    for value in (np.nan, np.inf, 1e19):
        bad = queries.copy()
        bad[4, 2] = value
        for some in (bad, bad[4:5]):
            with pytest.raises(DataError, match="queries contain NaN, infinity or vectors with a norm above"):
                index.search(some, 9)
    for wrong in (queries[:, :5], queries[0]):
        with pytest.raises(SettingsError, match="queries must have shape"):
            index.search(wrong, 9)
    assert index.search(queries[:0], 9).rows.shape == (0, 9)
    many = [index.search(some, 500) for some in (queries, queries, queries[:1])]  # more than cells hold
    assert all((results.rows >= 0).all() for results in many) and (many[0].rows == many[1].rows).all()


def test_many_visits_are_searched_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    index = built("dot", 600, 6, 20)
    queries = index.prepare_queries(index.embeddings.vectors)
    whole = search_bytes(index.byte_cells, queries, 12, 7)  # type: ignore[arg-type]
    monkeypatch.setattr(module, "_MAX_VISITS", 100)
    assert (search_bytes(index.byte_cells, queries, 12, 7) == whole).all()  # type: ignore[arg-type]
    assert search_bytes(index.byte_cells, queries[:0], 12, 7).shape == (0, 12)  # type: ignore[arg-type]


def test_a_changed_index_is_searched_with_its_own_cells() -> None:
    index = built("cosine", 600, 6, 20, nprobe=20)
    index = update.remove(index, index.vocab.ids[:100])
    more = some_embeddings(30, 6, seed=9)
    added = Embeddings(more.vectors, type(more.vocab)([f"new{i}" for i in range(30)]), "cosine")
    index = update.add(index, added)
    found = index.neighbours(np.arange(500, 530), 5)
    exact = index.embeddings.search(added.vectors, 6).without(np.arange(500, 530))
    assert (found.rows == exact.rows).all()


def test_other_indexes_are_not_searched_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = record_batches(monkeypatch, module, "_search", 2)
    for kind, metric in (
        ("IVF20,SQ8", "l2"), ("IVF20,Flat", "cosine"), ("PCA4,IVF20,SQ8", "cosine"), ("IVF20,SQ4", "dot"),
        ("IVF20_HNSW8,SQ8", "cosine"), ("SQ8", "dot"),
    ):  # fmt: skip
        index = build_index(some_embeddings(600, 6, metric), kind)
        index.neighbours(np.arange(600), 5)
        assert index.byte_cells is None
    assert sizes == []
    assert byte_cells_of(index.faiss, index.embeddings.vectors) is None


def test_the_kernel_is_not_loaded_for_few_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_worthwhile(1, 4, 1000, 10**6)
    monkeypatch.delitem(sys.modules, "numba")  # then it must be imported first
    assert not is_worthwhile(1000, 4, 1000, 10**6) and is_worthwhile(100_000, 4, 1000, 10**6)
