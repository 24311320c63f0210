"""Autotuning: the chosen index meets the target, measurements are reported, and an unmet target is an error."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.errors import SettingsError, TargetNotMet
from embedrec.index import autotune
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.construct import construct_index
from embedrec.index.index import Index
from embedrec.index.measure import faiss_bytes, sample_items
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index, save_index
from embedrec.index.target import SearchTarget
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import METRICS
from tests.conftest import some_embeddings


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower limits, so that catalogues of hundreds are tuned and those of a thousand are compressed."""
    monkeypatch.setattr(autotune, "MAX_EXACT", 300)


def clustered(n: int, d: int = 16, metric: str = "cosine", seed: int = 0) -> Embeddings:
    rng = np.random.default_rng(seed)
    made = some_embeddings(n, d, metric, seed=seed)
    vectors = rng.normal(size=(20, d))[rng.integers(0, 20, n)] + 0.7 * made.vectors
    return Embeddings(vectors.astype(np.float32), made.vocab, made.metric)


def test_few_vectors_are_searched_exactly() -> None:
    for n in (1, 2, 50):
        index = build_index(some_embeddings(n))
        assert index.spec == "Flat"
        assert index.measurements["promise"] == {"recall": 0.99, "k": 20, "p95_ms": None, "ram": None}
        (point,) = index.measurements["points"]
        assert point["kept"] and point["recall@20"] == 1 and point["recall_low"] == 1


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("recall", "k"), [(0.9, 20), (0.98, 10), (1.0, 5)])
def test_the_target_is_met_on_other_queries(recall: float, k: int, seed: int, small: None) -> None:
    embeddings = clustered(1500, metric=METRICS[seed % 3], seed=seed)
    index = build_index(embeddings, settings=BuildSettings(target=SearchTarget(recall, k), seed=seed))
    assert index.measurements["recall_low"] >= recall and f"recall@{k}" in index.measurements
    assert sample_items(embeddings, seed + 100, k=k).recall_of(index).mean >= recall - 0.01


def test_the_fastest_index_that_meets_the_target_is_chosen(small: None) -> None:
    index = build_index(
        clustered(1500, metric="l2"), settings=BuildSettings(target=SearchTarget(0.95, 10, ram=60_000))
    )  # only compressed types fit
    points = index.measurements["points"]
    assert {p["spec"] for p in points} == {"IVF38,SQ8", "IVF38,PQ8x4fsr", "IVF38,PQ4x4np"}
    (kept,) = [p for p in points if p["kept"]]
    assert kept["spec"] == index.spec and kept["recall_low"] >= 0.95
    assert SearchSettings(**{name: kept[name] for name in ("nprobe", "ef_search", "rerank")}) == index.settings
    beyond = [p for p in points if p["spec"] == kept["spec"] and p["nprobe"] > kept["nprobe"]]
    assert [p["nprobe"] for p in beyond][-2:] == [2 * kept["nprobe"], 4 * kept["nprobe"]]  # what more recall costs
    fulfil = [p for p in points if p["recall_low"] >= 0.95 and p not in beyond]
    assert kept["queries_per_second"] == max(p["queries_per_second"] for p in fulfil)
    assert kept["bytes"] == faiss_bytes(index)
    assert index.measurements["tuning_seconds"] > 0


def test_the_index_stays_within_the_memory_limit(small: None) -> None:
    embeddings = clustered(1500)
    plain, most = 1500 * 16 * 4, 60_000
    index = build_index(embeddings, settings=BuildSettings(target=SearchTarget(0.95, ram=most)))
    assert faiss_bytes(index) <= most < plain
    assert index.measurements["recall_low"] >= 0.95
    assert all(p["spec"] != "IVF38,Flat" for p in index.measurements["points"])  # known beforehand not to fit
    with pytest.raises(TargetNotMet, match="no index type fits into 1,000 bytes; raise --max-ram") as raised:
        build_index(embeddings, settings=BuildSettings(target=SearchTarget(ram=1000)))
    assert raised.value.points == []


def test_a_given_type_and_given_settings_are_not_changed(small: None) -> None:
    embeddings = clustered(1500)
    index = build_index(
        embeddings, "hnsw-sq8", BuildSettings(search=SearchSettings(rerank=2), target=SearchTarget(0.9))
    )
    assert index.spec == "HNSW16_SQ8" and index.settings.rerank == 2 and index.measurements["promise"]["recall"] == 0.9
    with pytest.raises(SettingsError, match="ef_search is a setting of HNSW indexes"):
        build_index(embeddings, "ivf", BuildSettings(search=SearchSettings(ef_search=20)))


def test_auto_tries_only_types_that_have_the_given_settings(small: None) -> None:
    for settings, kinds in (({"ef_search": 300}, {"HNSW16"}), ({"nprobe": 20}, {"IVF23,SQ8"})):
        index = build_index(
            clustered(900), "auto", BuildSettings(search=SearchSettings(**settings), target=SearchTarget(0.9))
        )
        assert {p["spec"] for p in index.measurements["points"]} == kinds
        assert index.settings in (SearchSettings(**settings), SearchSettings(**settings, rerank=1))
    with pytest.raises(SettingsError, match="no index type has both nprobe and ef_search; leave one out"):
        build_index(clustered(900), "auto", BuildSettings(search=SearchSettings(nprobe=2, ef_search=20)))


def test_graphs_are_tried_when_cells_visit_many_vectors(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for visited, specs in ((0, ["HNSW16"]), (1e9, ["IVF38,SQ8"])):
        monkeypatch.setattr(autotune, "MAX_VISITED", visited)
        index = build_index(clustered(1500), settings=BuildSettings(target=SearchTarget(0.9)))
        assert list(dict.fromkeys(p["spec"] for p in index.measurements["points"])) == specs
    monkeypatch.setattr(autotune, "MAX_VISITED", 0)
    assert build_index(clustered(1500), "ivf", BuildSettings(target=SearchTarget(0.9))).spec == "IVF38,Flat"
    little = build_index(
        clustered(1500), settings=BuildSettings(target=SearchTarget(0.9, ram=150_000))
    )  # a graph takes 480 kB
    assert {p["spec"] for p in little.measurements["points"]} == {"IVF38,SQ8"}
    with pytest.raises(TargetNotMet) as raised:
        build_index(clustered(1500), settings=BuildSettings(target=SearchTarget(0.9, p95_ms=1e-6)))
    types = list(dict.fromkeys(p["spec"] for p in raised.value.points))
    assert types == ["HNSW16", "IVF38,SQ8", "IVF38,Flat", "IVF38,PQ4x4np", "IVF38,PQ8x4fsr", "HNSW16_SQ8"]


def test_cells_that_visit_many_vectors_are_tried_when_graphs_miss_the_target(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autotune, "MAX_VISITED", 0)
    measure_search = autotune.measure_search

    def slow_graphs(index: Any, *arguments: Any) -> dict[str, Any]:
        times = {"query_ms_p95": 2e6} if index.spec == "HNSW16" else {}
        return {**measure_search(index, *arguments), **times}

    monkeypatch.setattr(autotune, "measure_search", slow_graphs)
    index = build_index(clustered(1500), settings=BuildSettings(target=SearchTarget(0.9, p95_ms=1e6)))
    assert index.spec == "IVF38,SQ8" and index.settings.cells > 1
    assert [p["spec"] for p in index.measurements["points"][:2]] == ["HNSW16", "IVF38,SQ8"]


def test_vectors_compared_by_distance_are_tried_before_their_codes(small: None) -> None:
    for metric, spec in (("cosine", "IVF38,SQ8"), ("dot", "IVF38,SQ8"), ("l2", "IVF38,Flat")):
        index = build_index(clustered(1500, metric=metric), settings=BuildSettings(target=SearchTarget(0.9)))
        assert {p["spec"] for p in index.measurements["points"]} == {spec}


def test_an_unmet_target_lists_the_closest_indexes(small: None) -> None:
    with pytest.raises(TargetNotMet) as raised:
        build_index(clustered(700), settings=BuildSettings(target=SearchTarget(0.9, 10, p95_ms=1e-6)))
    message, points = str(raised.value), raised.value.points
    assert message.startswith("no index meets the target; the closest are ")
    assert message.count(" ms is above 1e-06 ms") == 3 and "\n" not in message
    assert {p["spec"] for p in points} >= {"IVF17,Flat", "IVF17,SQ8", "HNSW16", "HNSW16_SQ8"}
    with pytest.raises(TargetNotMet, match=r"IVF2,Flat nprobe 1: recall@20 0\.\d+ is below 1") as raised:
        build_index(
            clustered(700), "IVF2,Flat", BuildSettings(search=SearchSettings(nprobe=1), target=SearchTarget(1.0))
        )
    json.dumps(raised.value.points)


def test_centroids_are_trained_once(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bool] = []
    construct_index = autotune.construct_index

    def watched(*arguments: Any, centroids: Any, **more: Any) -> Any:
        given.append(centroids is not None)
        return construct_index(*arguments, centroids=centroids, **more)

    monkeypatch.setattr(autotune, "construct_index", watched)
    for metric in METRICS:  # with another width of its vectors where they are augmented
        with pytest.raises(TargetNotMet):
            build_index(clustered(1500, 15, metric), settings=BuildSettings(target=SearchTarget(0.9, p95_ms=1e-6)))
    assert given == ([False] + [True] * 5) * 3


def test_measurements_are_saved(small: None, tmp_path: Path) -> None:
    index = build_index(clustered(1500), settings=BuildSettings(target=SearchTarget(0.95, 10, 1e6, 10**9)))
    save_index(index, tmp_path / "x", {})
    loaded = load_index(artifacts.read(tmp_path / "x"))
    assert loaded.measurements == index.measurements and loaded.settings == index.settings
    assert loaded.measurements["promise"] == {"recall": 0.95, "k": 10, "p95_ms": 1e6, "ram": 10**9}


@pytest.mark.parametrize("coarse", [False, True])
def test_byte_codes_that_lose_nothing_are_searched_for_few_candidates(
    coarse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the recalls of a search for many; coarse codes, of steps as long as vectors, are searched for many."""
    embeddings = some_embeddings(3000, 16, "dot", spread=0.5)
    if coarse:
        vectors = embeddings.vectors.copy()
        vectors[0], vectors[1] = 4000, -4000
        embeddings = replace(embeddings, vectors=vectors)
    index = construct_index(embeddings, "IVF20,SQ8")
    sample = sample_items(embeddings, 0, 500, 10)
    searched: list[int | None] = []
    whole = Index.candidates

    def recorded(index: Index, queries: np.ndarray, k: int, settings: SearchSettings) -> np.ndarray:
        searched.append(settings.rerank)
        return whole(index, queries, k, settings)

    monkeypatch.setattr(Index, "candidates", recorded)
    settings = SearchSettings(nprobe=20)
    found = autotune._recalls(index, sample, settings, autotune._RERANKS)
    assert searched == ([2, 32] if coarse else [2])
    wanted = autotune._recalls_of_prefixes(index, sample, settings, autotune._RERANKS)
    assert found[:2] == wanted[:2] and len(found) == len(wanted)
    assert np.allclose([r.mean for r in found], [r.mean for r in wanted], atol=0 if coarse else 1e-4)
