"""The contract of every type of index in INDEXES, for every metric."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.errors import DataError, SettingsError, UnknownItemError
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.index import Index
from embedrec.index.index_types import INDEXES
from embedrec.index.search_parameters import settings_of_type
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.index.serialization import load_index, save_index
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import METRICS
from tests.conftest import read_only, slow_nearest, slow_scores, some_embeddings

# At 650 vectors every name is what it is at a million: below 624, codes are too few to train.
STRINGS = ["IVF8,Flat", "HNSW16", "SQ8", "OPQ3_6,IVF8,PQ3x4fs", "IVF8,PQ3x4np,RFlat", "PCA5,Flat", "IVF8_HNSW8,SQ8"]
SMALL = ["IVF8,Flat", "IVF4,PQ2x4fs", "HNSW16"]
PAIRS = [*((t, m) for t in INDEXES for m in METRICS), *zip(STRINGS, METRICS * 3, strict=False), ("IVF8,PQ3x4np", "dot")]
N, D = 650, 6
SOME = np.arange(0, N, 13)  # rows that slow twins look at


@pytest.fixture(params=PAIRS, ids="-".join)
def index(request: pytest.FixtureRequest) -> Index:
    """An index of each type and metric, of vectors whose lengths differ."""
    return built(*request.param)


@cache
def built(type_: str, metric: str) -> Index:
    return build_index(some_embeddings(N, D, metric, spread=0.5), type_, BuildSettings(seed=1))


def widest(index: Index) -> SearchSettings:
    """Settings of an exhaustive search; only a graph may miss results."""
    able = settings_of_type(index.faiss)
    most = {"nprobe": N, "ef_search": 4 * N, "rerank": N}
    return SearchSettings(**{name: value for name, value in most.items() if name in able})


def graph(index: Index) -> bool:
    return index.spec.startswith("HNSW")


def queries_for(index: Index, count: int = 30) -> np.ndarray:
    return read_only(np.random.default_rng(5).normal(size=(count, index.dim)).astype(np.float32))


def test_scores_are_exact_and_descending(index: Index) -> None:
    queries = queries_for(index)
    results = index.search(queries, 10)
    assert results.rows.shape == (30, 10) and results.vocab is index.vocab
    for q, query in enumerate(queries):
        slow = np.array(slow_scores(index.embeddings.vectors, query, index.metric), dtype=np.float32)
        valid = results.rows[q] >= 0
        np.testing.assert_allclose(results.scores[q][valid], slow[results.rows[q][valid]], rtol=2e-7, atol=1e-12)
        assert len(set(results.rows[q][valid].tolist())) == valid.sum()


def test_results_of_the_widest_search_equal_a_slow_search(index: Index) -> None:
    """With an exhaustive search; a graph may miss results, as its measured recall says."""
    queries = queries_for(index)
    results, near = index.search(queries, 10, widest(index)), index.neighbours(SOME, 7, widest(index))
    missed = 0
    for q, query in enumerate(queries):
        wanted = slow_nearest(index.embeddings.vectors, query, index.metric, 10)
        missed += len({*wanted} - {*results.rows[q].tolist()})
        assert graph(index) or results.rows[q].tolist() == wanted
    for q, row in enumerate(SOME.tolist()):
        wanted = slow_nearest(index.embeddings.vectors, index.embeddings.vectors[row], index.metric, 7, without=row)
        missed += len({*wanted} - {*near.rows[q].tolist()})
        assert graph(index) or near.rows[q].tolist() == wanted
    assert missed <= 0.05 * 10 * len(queries)


def test_measured_recall_equals_recall_against_exact_search(index: Index) -> None:
    assert index.measurements["recall_queries"] == N  # all of them, so that the sample is known
    exact = index.embeddings.search(index.embeddings.vectors, 21).without(np.arange(N)).rows
    near = index.neighbours(np.arange(N), 20).rows
    hits = sum(len({*near[row].tolist()} & {*exact[row].tolist()}) for row in range(N))
    assert index.measurements["recall@20"] == round(hits / (20 * N), 4) == index.measurements["recall_low"] >= 0.99
    for row in SOME[::5].tolist():
        own = index.embeddings.vectors[row]
        assert exact[row].tolist() == slow_nearest(index.embeddings.vectors, own, index.metric, 20, row)


def test_measurements_are_positive_numbers(index: Index) -> None:
    measurements = index.measurements
    assert 0 < measurements["query_ms_p50"] <= measurements["query_ms_p95"] <= measurements["query_ms_p99"]
    assert 0 < measurements["bytes_per_vector"] < 1000
    assert measurements["queries_per_second"] > 0 and measurements["build_seconds"] >= 0
    assert all(isinstance(value, int | float) for value in measurements.values())


def test_a_query_has_the_same_results_alone_and_in_a_batch(index: Index) -> None:
    queries = queries_for(index, 60)
    batch = index.search(queries, 5)
    for q in (0, 17, 59):
        alone = index.search(queries[q : q + 1], 5)
        assert (alone.rows == batch.rows[q : q + 1]).all()
        assert (alone.scores == batch.scores[q : q + 1]).all()


def test_searches_of_several_threads_have_the_same_results(index: Index) -> None:
    queries = queries_for(index)
    expected, failed = index.search(queries, 5), []

    def search() -> None:
        for settings in (AS_BUILT, widest(index), AS_BUILT):
            results = index.search(queries, 5, settings)
            same = (results.rows == expected.rows).all() and (results.scores == expected.scores).all()
            if settings is AS_BUILT and not same:
                failed.append(results)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_loaded_index_equals_the_saved_one(index: Index, tmp_path: Path) -> None:
    save_index(index, tmp_path / "x", {"seed": 1})
    loaded = load_index(artifacts.read(tmp_path / "x", "index"))
    for name in ("spec", "augmented", "settings", "measurements", "metric", "dim"):
        assert getattr(loaded, name) == getattr(index, name), name
    assert len(loaded) == len(index) == N
    assert loaded.vocab.ids.tolist() == index.vocab.ids.tolist()
    assert loaded.vocab.counts is not None and loaded.vocab.counts.tolist() == list(range(N, 0, -1))
    queries = queries_for(index)
    for result, again in (
        (index.search(queries, 9), loaded.search(queries, 9)),
        (index.neighbours(np.arange(N), 9), loaded.neighbours(np.arange(N), 9)),
    ):
        assert (result.rows == again.rows).all() and (result.scores == again.scores).all()
    save_index(loaded, tmp_path / "y", {"seed": 1})
    assert artifacts.read(tmp_path / "x").fingerprint == artifacts.read(tmp_path / "y").fingerprint


def test_the_same_seed_gives_the_same_index(index: Index, tmp_path: Path) -> None:
    """On one thread; with more, a graph depends on the order in which they come."""
    again = build_index(index.embeddings, index.spec, BuildSettings(search=index.settings, seed=1))
    save_index(replace(index, measurements={}), tmp_path / "x", {})
    save_index(replace(again, measurements={}), tmp_path / "y", {})
    assert artifacts.read(tmp_path / "x").fingerprint == artifacts.read(tmp_path / "y").fingerprint


def test_neighbours_exclude_the_item_itself(index: Index) -> None:
    near = index.neighbours(read_only(np.arange(N)), 5)
    assert near.rows.shape == (N, 5)
    assert not (near.rows == np.arange(N)[:, None]).any()


def test_wrong_k_shapes_and_settings_are_refused(index: Index) -> None:
    queries = queries_for(index)
    for k in (0, -3, N + 1):
        with pytest.raises(SettingsError, match=f"k must be between 1 and {N}, the number of items, but is {k}"):
            index.search(queries, k)
    for k in (0, N):
        with pytest.raises(SettingsError, match=f"must be between 1 and {N - 1} for {N} items, but is {k}"):
            index.neighbours(np.array([0]), k)
    with pytest.raises(SettingsError, match=rf"queries must have shape \(q, {D}\)"):
        index.search(queries[:, :3], 1)
    with pytest.raises(SettingsError, match=rf"queries must have shape \(q, {D}\)"):
        index.search(queries[0], 1)
    for bad in (np.nan, np.inf):
        with pytest.raises(DataError, match="queries contain NaN, infinity"):
            index.search(np.where(queries > 1, bad, queries), 1)
    able = settings_of_type(index.faiss)
    for name in ("nprobe", "ef_search", "rerank"):
        if name in able:
            assert index.search(queries, 1, SearchSettings(**{name: 3})).k == 1
        else:
            with pytest.raises(
                SettingsError, match=rf"{name} is a setting of \w+ .*, but this index is {index.spec}; leave"
            ):
                index.search(queries, 1, SearchSettings(**{name: 3}))


def test_search_returns_all_items_when_k_is_their_number(index: Index) -> None:
    for settings in (widest(index), AS_BUILT):
        results = index.search(queries_for(index, 5), N, settings)
        assert results.rows.shape == (5, N)
        assert (np.sort(results.rows, axis=1) == np.arange(N)).all()


def test_results_contain_allowed_rows_only(index: Index) -> None:
    """Few rows and most of them; as rows in any order, and as a mask."""
    queries = queries_for(index, 6)
    for count in (0, 1, 4, 60, N - 1):
        allowed = read_only(np.random.default_rng(count).permutation(N)[:count])
        mask = np.isin(np.arange(N), allowed)
        results, near = index.search(queries, 10, allowed=allowed), index.neighbours(SOME[:4], 10, allowed=mask)
        assert (results.rows == index.search(queries, 10, allowed=mask).rows).all()
        assert set(results.rows.ravel().tolist()) <= {*allowed.tolist(), -1}
        assert ((results.rows >= 0).sum(axis=1) == min(10, count)).all()
        for q, query in enumerate(queries):
            slow = slow_nearest(index.embeddings.vectors[mask], query, index.metric, 10)
            assert results.rows[q][: len(slow)].tolist() == np.flatnonzero(mask)[slow].tolist()
        for row, rows in zip(SOME, near.rows, strict=False):
            valid = rows[rows >= 0].tolist()
            assert row not in valid and len(valid) == min(10, count - int(mask[row])) and mask[valid].all()


def test_allowed_rows_outside_the_index_are_refused(index: Index) -> None:
    queries = queries_for(index, 1)
    for allowed, message in (
        (np.ones(N + 1, dtype=bool), rf"a mask of allowed items must have shape \({N},\), but has \({N + 1},\)"),
        (np.array([0, N]), f"allowed rows must be between 0 and {N - 1}, but one is {N}"),
        (np.array([-1, 3]), f"allowed rows must be between 0 and {N - 1}, but one is -1"),
        (np.array([0.5]), "allowed must be a mask or rows, but is float64"),
        (np.array([[1]]), "allowed must be a mask or rows, but is int64 of shape"),
    ):
        with pytest.raises(SettingsError, match=message):
            index.search(queries, 1, allowed=allowed)


def test_no_queries_have_empty_results(index: Index) -> None:
    assert index.search(np.empty((0, D), dtype=np.float32), 3).rows.shape == (0, 3)
    assert index.neighbours(np.empty(0, dtype=np.int64), 3).rows.shape == (0, 3)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("type_", [*INDEXES, "SQ8"])
def test_one_to_three_items_can_be_indexed(metric: str, type_: str, n: int) -> None:
    small = build_index(some_embeddings(n, D, metric), type_)
    results = small.search(small.embeddings.vectors, n)
    assert (np.sort(results.rows, axis=1) == np.arange(n)).all()
    if n == 1:
        with pytest.raises(SettingsError, match="neighbours must be between 1 and 0 for 1 items"):
            small.neighbours(np.array([0]), 1)
    else:
        near = small.neighbours(np.arange(n), n - 1)
        assert [sorted([r, *row.tolist()]) for r, row in enumerate(near.rows)] == [list(range(n))] * n


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("type_", [*INDEXES, *SMALL])
def test_equal_and_zero_vectors_are_ordered_by_row(type_: str, metric: str) -> None:
    """Equal vectors have equal scores, ties go by lower row, zero vectors break nothing."""
    vectors = some_embeddings(60, 4).vectors.copy()
    vectors[30:] = vectors[:30]  # every vector has a twin
    vectors[[5, 35, 17]] = 0
    index = build_index(Embeddings(read_only(vectors), Vocab(np.arange(60)), metric), type_)  # type: ignore[arg-type]
    results = index.search(vectors, 20, widest(index))
    for q in range(60):
        valid = results.rows[q] >= 0
        slow = np.array(slow_scores(vectors, vectors[q], metric), dtype=np.float32)[results.rows[q][valid]]
        np.testing.assert_allclose(results.scores[q][valid], slow, rtol=1e-6, atol=1e-6)
    for rows, scores in zip(results.rows, results.scores, strict=True):
        place = {int(r): i for i, r in enumerate(rows) if r >= 0}
        for low in set(place) & set(range(30)):
            if low + 30 in place and low != 17:
                assert scores[place[low]] == scores[place[low + 30]]
        if not vectors[q].any() and metric != "l2":
            assert rows.tolist() == list(range(20))
        tied = [(s, r) for s, r in zip((-scores).tolist(), rows.tolist(), strict=True) if r >= 0]
        assert tied == sorted(tied)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("type_", [*(t for t in INDEXES if "hnsw" not in t), *SMALL[:2]])
def test_ties_at_the_last_result_go_to_the_lower_row(type_: str, metric: str) -> None:
    """FAISS itself keeps the higher rows of inner products that tie; k here is never a multiple of the ties."""
    vectors = np.tile(some_embeddings(40, 4, spread=0.3).vectors, (4, 1))
    index = build_index(Embeddings(vectors, Vocab(np.arange(160)), metric), type_)  # type: ignore[arg-type]
    for k in (3, 6):
        results = index.search(vectors[:40], k, widest(index))
        for q in range(40):
            assert results.rows[q].tolist() == slow_nearest(vectors, vectors[q], metric, k)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("type_", [*INDEXES, "IVF8,Flat", "HNSW16"])
def test_equal_vectors_all_have_the_same_score(type_: str, metric: str) -> None:
    for value in (0.0, 0.5):
        vectors = np.full((50, 4), value, dtype=np.float32)
        index = build_index(Embeddings(vectors, Vocab(np.arange(50)), metric), type_)  # type: ignore[arg-type]
        near = index.neighbours(np.arange(50), 4)
        valid = near.rows >= 0
        assert valid.any() and not (near.rows == np.arange(50)[:, None]).any()
        assert len(set(near.scores[valid].tolist())) == 1


def test_unknown_rows_are_refused(index: Index) -> None:
    for rows in ([-1], [0, N], [-N]):
        with pytest.raises(UnknownItemError, match=f"rows must be between 0 and {N - 1}"):
            index.neighbours(np.array(rows), 2)
    with pytest.raises(UnknownItemError, match="-1 is the row of an unknown id"):
        index.neighbours(index.vocab.rows(["nope"]), 2)
