"""Searches and k-means on a GPU: the torch paths on the CPU, against exact search; the rest where there is a GPU."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from embedrec.errors import SettingsError
from embedrec.index import gpu
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.construct import construct_index
from embedrec.index.gpu import GpuExactSearch, GpuIndex, centroids_on_gpu, check_gpu_limit, kmeans, on_gpu
from embedrec.index.measure import Recall
from embedrec.index.search_settings import SearchSettings
from embedrec.vectors.exact_search import METRICS
from tests.conftest import some_embeddings

needs_faiss = pytest.mark.skipif(not gpu.faiss_sees_gpu(), reason="FAISS sees no GPU")
needs_torch = pytest.mark.skipif(not gpu.torch_sees_gpu(), reason="torch sees no GPU")


def check_exact(exact: GpuExactSearch) -> None:
    """The same rows and scores as an index that compares all."""
    embeddings = exact.embeddings
    flat = construct_index(embeddings, "Flat")
    queries = np.random.default_rng(3).normal(size=(30, embeddings.dim)).astype(np.float32)
    queries[7] = 0
    allowed = np.random.default_rng(4).permutation(len(embeddings))[:50]
    for k, some in ((1, None), (10, None), (len(embeddings), None), (10, allowed), (60, allowed), (3, allowed[:0])):
        a, b = exact.search(queries, k, allowed=some), flat.search(queries, k, allowed=some)
        assert (a.rows == b.rows).all() and (a.scores == b.scores).all()
    rows = np.arange(0, len(embeddings), 7)
    assert (exact.neighbours(rows, 5).rows == flat.neighbours(rows, 5).rows).all()
    assert exact.search(queries[:0], 3).rows.shape == (0, 3)
    with pytest.raises(SettingsError, match="k must be between 1 and"):
        exact.search(queries, 0)
    with pytest.raises(SettingsError, match="but is 300"):
        exact.neighbours(rows, 300)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("at_once", [1 << 26, 1000])
def test_exact_search_in_torch_equals_exact_search(metric: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "BLOCK_SCORES", at_once)  # three queries at a time
    embeddings = some_embeddings(300, 7, metric, spread=0.5)
    check_exact(GpuExactSearch.of(embeddings, "cpu"))


def test_distances_far_from_the_origin_keep_their_precision() -> None:
    embeddings = some_embeddings(300, 7, "l2")
    moved = type(embeddings)(embeddings.vectors + 1000, embeddings.vocab, "l2")
    check_exact(GpuExactSearch.of(moved, "cpu"))


@pytest.mark.parametrize("spherical", [False, True])
def test_kmeans_in_torch_is_as_good_as_that_of_faiss(spherical: bool) -> None:
    """As good as FAISS's, and from the seed; no cell stays empty, though most vectors are the same."""
    vectors = some_embeddings(2000, 8).vectors
    if spherical:
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centres = kmeans(vectors, 32, "cpu", spherical=spherical, seed=1)
    assert centres.shape == (32, 8) and (centres == kmeans(vectors, 32, "cpu", spherical=spherical, seed=1)).all()
    if spherical:
        np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, rtol=1e-5)
    theirs = faiss.Kmeans(8, 32, niter=10, seed=1, spherical=spherical, min_points_per_centroid=1)
    theirs.train(vectors)
    ours = ((vectors[:, None] - centres[None]) ** 2).sum(axis=2).min(axis=1).sum()
    assert ours <= 1.03 * ((vectors[:, None] - theirs.centroids[None]) ** 2).sum(axis=2).min(axis=1).sum()
    same = np.concatenate([np.ones((500, 8)), vectors[:100]]).astype(np.float32)
    centres = kmeans(same, 40, "cpu", spherical=False)
    nearest = ((same[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert len(np.unique(nearest)) > 25 and np.isfinite(centres).all()


@pytest.mark.parametrize(
    ("kind", "metric", "shape"),
    [("ivf", "cosine", (25, 6)), ("auto", "l2", (25, 6)), ("ivf", "dot", (25, 7)), ("IVF9,SQ8", "l2", (9, 6))]
    + [(kind, "cosine", None) for kind in ("flat", "hnsw", "IVF9_HNSW4,Flat", "PCA4,IVF9,Flat", "IVF2000,Flat")],
)
def test_centroids_have_the_number_and_dimension_of_the_type(
    kind: str, metric: str, shape: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "torch_sees_gpu", lambda: True)
    monkeypatch.setattr(gpu, "kmeans", lambda v, n, device, **given: kmeans(v, n, "cpu", **given))
    embeddings = some_embeddings(1000, 6, metric)
    cells = centroids_on_gpu(embeddings, kind)
    assert (None if cells is None else cells.shape) == shape
    if shape is not None:
        built = build_index(embeddings, kind, BuildSettings(device="cuda"))
        assert built.measurements["recall@20"] >= 0.98


def test_more_results_than_a_gpu_can_return_are_refused() -> None:
    check_gpu_limit(2048, SearchSettings(nprobe=2048))
    with pytest.raises(SettingsError, match="no more than 2048 on a GPU, but this is nprobe 3000; use --device"):
        check_gpu_limit(10, SearchSettings(nprobe=3000))
    with pytest.raises(SettingsError, match=r"but this is 2049 candidates \(results times rerank, and 8 more\)"):
        check_gpu_limit(2049, SearchSettings())


@pytest.mark.parametrize("kind", ["hnsw", "hnsw-sq8", "IVF8,PQ2x4fs", "SQ8", "IVF8,PQ2x4np,RFlat"])
def test_types_without_gpu_support_are_refused(kind: str) -> None:
    index = construct_index(some_embeddings(700, 4), kind)
    with pytest.raises(SettingsError, match="does not support GPUs; build flat, ivf, ivf-sq8 or ivfpq, or use"):
        GpuIndex.of(index)


@needs_torch
@pytest.mark.parametrize("metric", METRICS)
def test_exact_search_on_a_gpu_equals_exact_search(metric: str) -> None:
    check_exact(GpuExactSearch.of(some_embeddings(300, 7, metric, spread=0.5), "cuda"))


@needs_torch
def test_an_index_built_on_a_gpu_has_high_recall() -> None:
    assert build_index(some_embeddings(5000, 16), "ivf", BuildSettings(device="cuda")).measurements["recall@20"] >= 0.98


@needs_faiss
@pytest.mark.parametrize("kind", ["flat", "ivf", "ivf-sq8", "IVF64,PQ8"])
def test_an_index_on_a_gpu_has_the_results_of_the_cpu(kind: str) -> None:
    index = build_index(some_embeddings(20_000, 16), kind)
    gpu_index = on_gpu(index)
    queries = index.embeddings.vectors[:500]
    assert Recall.of(gpu_index.search(queries, 10), index.search(queries, 10)).mean > 0.98
    allowed = np.arange(0, 20_000, 3)
    exact = index.embeddings.search(queries, 10, allowed=allowed)
    assert Recall.of(gpu_index.search(queries, 10, allowed=allowed), exact).mean > 0.98
    with pytest.raises(SettingsError, match="no more than 2048"):
        gpu_index.search(queries, 3000)
