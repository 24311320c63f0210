"""What every type of index promises, for every metric. A new type in INDEXES is covered as soon as it stands there."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedrec import artifacts
from embedrec.data import Vocab
from embedrec.embeddings import METRICS, Embeddings
from embedrec.errors import DataError, SettingsError
from embedrec.index.files import load_index, save_index
from embedrec.index.index import Index, build_index
from embedrec.index.specs import INDEXES
from tests.conftest import read_only, slow_nearest, slow_scores, some_embeddings

TYPES = [*INDEXES, "IVF8,Flat", "HNSW16"]
N, D = 150, 6


@pytest.fixture(scope="module")
def built() -> dict[tuple[str, str], Index]:
    """One index of each type and metric, of vectors whose lengths differ."""
    return {(t, m): build_index(some_embeddings(N, D, m, spread=1.0), t, seed=1) for t in TYPES for m in METRICS}


@pytest.fixture(params=[(t, m) for t in TYPES for m in METRICS], ids="-".join)
def index(request: pytest.FixtureRequest, built: dict[tuple[str, str], Index]) -> Index:
    return built[request.param]


def few(index: Index, n: int) -> Index:
    """An index of the same type and metric with n vectors."""
    kind = {"Flat": "flat", "HNSW16": "HNSW16"}.get(index.spec, "ivf")
    return build_index(some_embeddings(n, D, index.metric), kind)


def queries_for(index: Index, count: int = 30) -> np.ndarray:
    return read_only(np.random.default_rng(5).normal(size=(count, index.dim)).astype(np.float32))


def test_scores_are_exact_and_fall(index: Index) -> None:
    queries = queries_for(index)
    found = index.search(queries, 10)
    assert found.rows.shape == (30, 10) and found.vocab is index.vocab
    for q, query in enumerate(queries):
        slow = np.array(slow_scores(index.embeddings.vectors, query, index.metric), dtype=np.float32)
        there = found.rows[q] >= 0
        np.testing.assert_allclose(found.scores[q][there], slow[found.rows[q][there]], rtol=2e-7, atol=1e-12)
        assert len(set(found.rows[q][there].tolist())) == there.sum()


def test_exact_types_against_a_slow_twin(index: Index) -> None:
    nlist = getattr(index.faiss, "nlist", 0)
    if not nlist and index.spec != "Flat":
        assert index.facts["recall@20"] > 0.9  # approximate by nature
        return
    queries, nprobe = queries_for(index), nlist or None
    found = index.search(queries, 10, nprobe=nprobe)
    for q, query in enumerate(queries):
        assert found.rows[q].tolist() == slow_nearest(index.embeddings.vectors, query, index.metric, 10)
    near = index.neighbours(np.arange(N), 7, nprobe=nprobe)
    for row in range(N):
        own = index.embeddings.vectors[row]
        assert near.rows[row].tolist() == slow_nearest(index.embeddings.vectors, own, index.metric, 7, without=row)


def test_the_recall_it_says_is_the_recall_it_has(index: Index) -> None:
    assert index.facts["recall_queries"] == N  # all of them, so that the sample is known
    near = index.neighbours(np.arange(N), 20)
    hits = 0
    for row in range(N):
        own = index.embeddings.vectors[row]
        hits += len({*near.rows[row].tolist()} & {*slow_nearest(index.embeddings.vectors, own, index.metric, 20, row)})
    assert index.facts["recall@20"] == round(hits / (20 * N), 4)


def test_facts(index: Index) -> None:
    facts = index.facts
    assert 0 < facts["query_ms_p50"] <= facts["query_ms_p95"]
    assert facts["queries_per_second"] > 0 and facts["build_seconds"] >= 0
    assert all(isinstance(value, int | float) for value in facts.values())


def test_the_same_alone_and_in_a_batch(index: Index) -> None:
    queries = queries_for(index, 60)
    batch = index.search(queries, 5)
    for q in (0, 17, 59):
        alone = index.search(queries[q : q + 1], 5)
        assert (alone.rows == batch.rows[q : q + 1]).all()
        assert (alone.scores == batch.scores[q : q + 1]).all()


def test_the_same_from_several_threads(index: Index) -> None:
    queries = queries_for(index)
    expected, failed = index.search(queries, 5), []

    def search() -> None:
        for nprobe in (None, 2, None) if index.nprobe else (None, None, None):
            found = index.search(queries, 5, nprobe=nprobe)
            if nprobe is None and not ((found.rows == expected.rows).all() and (found.scores == expected.scores).all()):
                failed.append(found)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_saved_and_loaded(index: Index, tmp_path: Path) -> None:
    save_index(index, tmp_path / "x", {"seed": 1})
    loaded = load_index(artifacts.read(tmp_path / "x", "index"))
    for name in ("spec", "augmented", "nprobe", "facts", "metric", "dim"):
        assert getattr(loaded, name) == getattr(index, name), name
    assert len(loaded) == len(index) == N
    assert loaded.vocab.ids.tolist() == index.vocab.ids.tolist()
    assert loaded.vocab.counts is not None and loaded.vocab.counts.tolist() == list(range(N, 0, -1))
    queries = queries_for(index)
    for found, again in (
        (index.search(queries, 9), loaded.search(queries, 9)),
        (index.neighbours(np.arange(N), 9), loaded.neighbours(np.arange(N), 9)),
    ):
        assert (found.rows == again.rows).all() and (found.scores == again.scores).all()
    save_index(loaded, tmp_path / "y", {"seed": 1})
    assert artifacts.read(tmp_path / "x").fingerprint == artifacts.read(tmp_path / "y").fingerprint


def test_the_same_seed_gives_the_same_index(index: Index, tmp_path: Path) -> None:
    if index.spec.startswith("HNSW"):
        again = replace(index)  # its graph depends on the order in which threads come
    else:
        again = build_index(index.embeddings, index.spec, seed=1, nprobe=index.nprobe or None)
    save_index(replace(index, facts={}), tmp_path / "x", {})
    save_index(replace(again, facts={}), tmp_path / "y", {})
    assert artifacts.read(tmp_path / "x").fingerprint == artifacts.read(tmp_path / "y").fingerprint


def test_the_item_itself_is_left_out(index: Index) -> None:
    near = index.neighbours(read_only(np.arange(N)), 5)
    assert near.rows.shape == (N, 5)
    assert not (near.rows == np.arange(N)[:, None]).any()


def test_what_does_not_fit(index: Index) -> None:
    queries = queries_for(index)
    for k in (0, -3, N + 1):
        with pytest.raises(SettingsError, match=f"k must lie between 1 and the {N} items there are, but is {k}"):
            index.search(queries, k)
    for k in (0, N):
        with pytest.raises(SettingsError, match=f"has {N - 1} others, but {k} were asked for"):
            index.neighbours(np.array([0]), k)
    with pytest.raises(SettingsError, match=rf"queries must have shape \(q, {D}\)"):
        index.search(queries[:, :3], 1)
    with pytest.raises(SettingsError, match=rf"queries must have shape \(q, {D}\)"):
        index.search(queries[0], 1)
    for bad in (np.nan, np.inf):
        with pytest.raises(DataError, match="queries hold NaN, infinity"):
            index.search(np.where(queries > 1, bad, queries), 1)
    with pytest.raises(SettingsError, match="nprobe"):
        index.search(queries, 1, nprobe=0)
    if not index.nprobe:
        with pytest.raises(SettingsError, match="nprobe is a setting of IVF indexes, but this one is"):
            index.search(queries, 1, nprobe=3)


def test_all_of_the_catalogue(index: Index) -> None:
    found = index.search(queries_for(index), N, nprobe=getattr(index.faiss, "nlist", None))
    assert found.rows.shape == (30, N)
    if not index.spec.startswith("HNSW"):
        assert (np.sort(found.rows, axis=1) == np.arange(N)).all()


def test_no_queries(index: Index) -> None:
    assert index.search(np.empty((0, D), dtype=np.float32), 3).rows.shape == (0, 3)
    assert index.neighbours(np.empty(0, dtype=np.int64), 3).rows.shape == (0, 3)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_few_items(index: Index, n: int) -> None:
    small = few(index, n)
    found = small.search(small.embeddings.vectors, n)
    assert (np.sort(found.rows, axis=1) == np.arange(n)).all()
    if n == 1:
        with pytest.raises(SettingsError, match="in a catalogue of 1 an item has 0 others"):
            small.neighbours(np.array([0]), 1)
    else:
        near = small.neighbours(np.arange(n), n - 1)
        assert [sorted([r, *row.tolist()]) for r, row in enumerate(near.rows)] == [list(range(n))] * n


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("type_", TYPES)
def test_twins_and_zeros(type_: str, metric: str) -> None:
    """Equal vectors have equal scores, ties go by lower row, zero vectors break nothing."""
    vectors = some_embeddings(60, 4).vectors.copy()
    vectors[30:] = vectors[:30]  # every vector has a twin
    vectors[[5, 35, 17]] = 0
    index = build_index(Embeddings(read_only(vectors), Vocab(np.arange(60)), metric), type_)  # type: ignore[arg-type]
    nprobe = getattr(index.faiss, "nlist", None)
    found = index.search(vectors, 20, nprobe=nprobe)
    for q in range(60):
        there = found.rows[q] >= 0
        slow = np.array(slow_scores(vectors, vectors[q], metric), dtype=np.float32)[found.rows[q][there]]
        np.testing.assert_allclose(found.scores[q][there], slow, rtol=1e-6, atol=1e-6)
    for rows, scores in zip(found.rows, found.scores, strict=True):
        place = {int(r): i for i, r in enumerate(rows) if r >= 0}
        for low in set(place) & set(range(30)):
            if low + 30 in place and low != 17:
                assert scores[place[low]] == scores[place[low + 30]]
        tied = [(s, r) for s, r in zip((-scores).tolist(), rows.tolist(), strict=True) if r >= 0]
        assert tied == sorted(tied)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("type_", [*INDEXES, "IVF8,Flat"])
def test_ties_at_the_edge_go_by_lower_row(type_: str, metric: str) -> None:
    """FAISS itself keeps the higher rows of inner products that tie; k here is never a multiple of the ties."""
    vectors = np.tile(some_embeddings(40, 4, spread=0.3).vectors, (4, 1))
    index = build_index(Embeddings(vectors, Vocab(np.arange(160)), metric), type_)  # type: ignore[arg-type]
    for k in (3, 6):
        found = index.search(vectors[:40], k, nprobe=getattr(index.faiss, "nlist", None))
        for q in range(40):
            assert found.rows[q].tolist() == slow_nearest(vectors, vectors[q], metric, k)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("type_", TYPES)
def test_all_vectors_are_one(type_: str, metric: str) -> None:
    for value in (0.0, 0.5):
        vectors = np.full((50, 3), value, dtype=np.float32)
        index = build_index(Embeddings(vectors, Vocab(np.arange(50)), metric), type_)  # type: ignore[arg-type]
        near = index.neighbours(np.arange(50), 4)
        there = near.rows >= 0
        assert there.any() and not (near.rows == np.arange(50)[:, None]).any()
        assert len(set(near.scores[there].tolist())) == 1
