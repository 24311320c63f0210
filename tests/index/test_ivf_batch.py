"""Going by cells finds what FAISS finds, query by query."""

from __future__ import annotations

import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from embedrec.index import ivf_batch as module
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.index import Index
from embedrec.index.ivf_batch import is_worthwhile, lists_of, search_by_cell
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index, save_index
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings
from tests.conftest import some_embeddings
from tests.index.conftest import check_batch, record_batches


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("n", "d", "cells", "nprobe", "reach"), [
    (600, 6, 20, 4, 12), (600, 64, 20, 20, 29), (600, 17, 20, 1, 9), (50, 3, 1, 1, 50), (300, 16, 150, 9, 25),
])  # fmt: skip
def test_search_by_cell_has_the_results_of_faiss(
    metric: str, threads: int, n: int, d: int, cells: int, nprobe: int, reach: int
) -> None:
    index = build_index(
        some_embeddings(n, d, metric, spread=0.5),
        f"IVF{cells},Flat",
        BuildSettings(search=SearchSettings(nprobe=nprobe)),
    )
    queries = index.prepare_queries(np.random.default_rng(1).normal(size=(101, d)).astype(np.float32))
    lists = lists_of(index.faiss)
    assert lists is not None and lists[:, 2].sum() == n
    faiss.omp_set_num_threads(threads)
    results = search_by_cell(index.faiss, lists, queries, reach, nprobe)
    parameters = faiss.SearchParametersIVF(nprobe=nprobe)  # type: ignore[call-arg]
    assert (np.sort(results) == np.sort(index.faiss.search(queries, reach, params=parameters)[1])).all()


def test_ascending_scores_displace_all_earlier_candidates() -> None:
    """Scores that rise along a cell: every vector displaces another."""
    vectors = np.outer(np.linspace(0.1, 1, 500), np.ones(4)).astype(np.float32)
    index = build_index(Embeddings(vectors, some_embeddings(500).vocab, "dot"), "IVF1,Flat")
    lists, query = lists_of(index.faiss), index.prepare_queries(np.ones((40, 4), dtype=np.float32))
    assert lists is not None
    for reach in (1, 2, 7, 100):
        assert (np.sort(search_by_cell(index.faiss, lists, query, reach, 1)) == np.arange(500 - reach, 500)).all()


def test_large_batches_of_uncompressed_vectors_are_searched_by_cell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built = build_index(some_embeddings(600, 6), "IVF20,Flat", BuildSettings(search=SearchSettings(nprobe=5)))
    save_index(built, tmp_path / "x", {})
    loaded = load_index(artifacts.read(tmp_path / "x"))  # mapped from disk
    sizes = record_batches(monkeypatch, module, "search_by_cell", 2)
    for index in (built, loaded):
        check_batch(index)
    index.search(index.embeddings.vectors, 3, allowed=np.arange(9))
    assert sizes == [100, 100]


def test_other_indexes_are_not_searched_by_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = record_batches(monkeypatch, module, "search_by_cell", 2)
    for kind, metric in (("IVF20,Flat", "l2"), ("IVF20,SQ8", "cosine"), ("PCA4,IVF20,Flat", "cosine"), ("Flat", "dot")):
        index: Index = build_index(some_embeddings(600, 6, metric), kind)
        index.neighbours(np.arange(600), 5)
    assert sizes == []


def test_search_by_cell_is_used_for_large_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_worthwhile(1000, 4, 1000, 10**6) and not is_worthwhile(100, 4, 1000, 10**6)
    monkeypatch.delitem(sys.modules, "numba")  # then it must be imported first
    assert not is_worthwhile(1000, 4, 1000, 10**6) and is_worthwhile(100_000, 4, 1000, 10**6)
