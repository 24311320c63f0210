"""Libraries of nearest neighbours, each with what its authors recommend, for `index_peers.py`.

They are not dependencies; install those to compare with:
pip install hnswlib usearch voyager pyglass-portable rabitqlib scann scalable-vs ngt

The wheel of vsag 0.1 has only HNSW, one query a call, and is left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Search = Callable[[np.ndarray, int, Any], np.ndarray]
EFS = (20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)


@dataclass(frozen=True)
class Library:
    """A library.

    module   that is imported
    builds   settings of its build that are tried
    efforts  n → settings of a search, from the fastest to the most thorough
    build    vectors (n, d) float32, whether they are unit vectors, settings, threads → a search: queries (q, d), k,
             effort → rows (q, k). Items are compared by the dot product
    """

    module: str
    builds: Sequence[Mapping[str, Any]]
    efforts: Callable[[int], Sequence[Any]]
    build: Callable[[np.ndarray, bool, Mapping[str, Any], int], Search]


def _efs(n: int) -> Sequence[int]:
    return EFS


def _hnswlib(vectors: np.ndarray, unit: bool, settings: Mapping[str, Any], threads: int) -> Search:
    import hnswlib

    index = hnswlib.Index("ip", vectors.shape[1])
    index.init_index(len(vectors), M=settings["M"], ef_construction=settings["ef"])
    index.add_items(vectors, num_threads=threads)

    def search(queries: np.ndarray, k: int, ef: int) -> np.ndarray:
        index.set_ef(max(ef, k))
        return index.knn_query(queries, k, num_threads=threads)[0].astype(np.int64)

    return search


def _usearch(vectors: np.ndarray, unit: bool, settings: Mapping[str, Any], threads: int) -> Search:
    from usearch.index import Index

    index = Index(
        ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=settings["M"], expansion_add=settings["ef"]
    )
    index.add(np.arange(len(vectors)), vectors, threads=threads)

    def search(queries: np.ndarray, k: int, ef: int) -> np.ndarray:
        index.expansion_search = max(ef, k)
        return _matrix(index.search(queries, k, threads=threads).keys, len(queries))

    return search


def _voyager(vectors: np.ndarray, unit: bool, settings: Mapping[str, Any], threads: int) -> Search:
    import voyager

    space = voyager.Space.InnerProduct  # it adds the coordinate of `_augmented` itself
    index = voyager.Index(space, vectors.shape[1], settings["M"], settings["ef"], max_elements=len(vectors))
    index.add_items(vectors, num_threads=threads)

    def search(queries: np.ndarray, k: int, ef: int) -> np.ndarray:
        return index.query(queries, k, num_threads=threads, query_ef=max(ef, k))[0].astype(np.int64)

    return search


def _glass(vectors: np.ndarray, unit: bool, settings: Mapping[str, Any], threads: int) -> Search:
    import glass

    glass.set_num_threads(threads)
    graph = glass.Index("HNSW", "IP", quant="FP32", R=settings["R"], L=settings["L"]).build(vectors)
    searcher = glass.Searcher(graph, vectors, "IP", settings["quant"], "FP32")
    searcher.optimize(threads)

    def search(queries: np.ndarray, k: int, ef: int) -> np.ndarray:
        searcher.set_ef(max(ef, k))
        if len(queries) == 1:
            return _matrix(searcher.search(queries[0], k)[0], 1)
        return _matrix(searcher.batch_search(queries, k, threads)[0], len(queries))

    return search


def _symphonyqg(vectors: np.ndarray, unit: bool, settings: Mapping[str, Any], threads: int) -> Search:
    import rabitqlib

    index = rabitqlib.SymqgIndex(vectors.shape[1], settings["degree"], metric="ip", quantization_bits=settings["bits"])
    index.build(vectors, settings["ef"], num_threads=threads)

    def search(queries: np.ndarray, k: int, ef: int) -> np.ndarray:
        return _matrix(index.search(queries, k, max(ef, k), num_threads=threads)[0], len(queries))

    return search


def _rabitq_ivf(vectors: np.ndarray, unit: bool, settings: Mapping[str, Any], threads: int) -> Search:
    import faiss
    import rabitqlib

    faiss.omp_set_num_threads(threads)
    n, d = vectors.shape
    cells = round(4 * n**0.5)
    means = faiss.Kmeans(d, cells, niter=10, seed=1)
    means.train(vectors)
    own = means.index.search(vectors, 1)[1].ravel().astype(np.uint32)
    index = rabitqlib.IvfIndex(d, n, cells, settings["bits"], metric="ip")
    index.build(vectors, means.centroids, own, num_threads=threads)

    def search(queries: np.ndarray, k: int, probes: int) -> np.ndarray:
        return _matrix(index.search(queries, k, probes, num_threads=threads)[0], len(queries))

    return search


def _probes(n: int) -> Sequence[int]:
    cells = round(4 * n**0.5)
    return [p for p in (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512) if p <= cells]


def _scann(vectors: np.ndarray, unit: bool, settings: Mapping[str, Any], threads: int) -> Search:
    import scann

    n = len(vectors)
    builder = scann.scann_ops_pybind.builder(vectors, 21, "dot_product").tree(
        num_leaves=round(n**0.5),
        num_leaves_to_search=10,
        training_sample_size=min(n, 250_000),
        **({"soar_lambda": 1.5, "overretrieve_factor": 2.0} if settings["soar"] else {}),
    )
    index = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).build()
    index.set_num_threads(threads)

    def search(queries: np.ndarray, k: int, effort: tuple[int, int]) -> np.ndarray:
        given = {"final_num_neighbors": k, "leaves_to_search": effort[0], "pre_reorder_num_neighbors": effort[1]}
        if len(queries) == 1:
            return _matrix(index.search(queries[0], **given)[0], 1, k)
        return _matrix(index.search_batched_parallel(queries, **given)[0], len(queries), k)

    return search


def _leaves(n: int) -> Sequence[tuple[int, int]]:
    leaves = round(n**0.5)
    return [
        (probes, kept)
        for probes, kept in (
            (2, 60), (4, 60), (6, 100), (8, 100), (12, 100), (16, 150), (24, 150), (32, 200), (48, 200), (64, 250),
            (96, 300), (128, 400), (192, 400), (256, 600), (384, 800),
        )
        if probes <= leaves
    ]  # fmt: skip


def _svs(vectors: np.ndarray, unit: bool, settings: Mapping[str, Any], threads: int) -> Search:
    import svs

    parameters = svs.VamanaBuildParameters(
        alpha=0.95, graph_max_degree=settings["degree"], window_size=settings["window"]
    )
    with tempfile.TemporaryDirectory() as folder:
        data: Any = vectors
        if settings["bits"]:
            svs.write_vecs(vectors, f"{folder}/vectors.fvecs")
            loader = svs.VectorDataLoader(f"{folder}/vectors.fvecs", svs.DataType.float32, vectors.shape[1])
            data = svs.LVQLoader(loader, primary=settings["bits"][0], residual=settings["bits"][1])
        index = svs.Vamana.build(parameters, data, svs.DistanceType.MIP, num_threads=threads)
    index.num_threads = threads

    def search(queries: np.ndarray, k: int, window: int) -> np.ndarray:
        index.search_window_size = max(window, k)
        return _matrix(index.search(queries, k)[0], len(queries))

    return search


def _ngt(vectors: np.ndarray, unit: bool, settings: Mapping[str, Any], threads: int) -> Search:
    import ngtpy

    folder = tempfile.TemporaryDirectory()
    place = f"{folder.name}/index"
    items, wider = _augmented(vectors, unit)
    d = items.shape[1]
    ngtpy.create(place, d, distance_type="Normalized Cosine", edge_size_for_creation=settings["edges"])
    index = ngtpy.Index(place, log_disabled=True)
    index.batch_insert(items, num_threads=threads)

    def search(queries: np.ndarray, k: int, epsilon: float) -> np.ndarray:
        index.set(epsilon=epsilon, num_of_search_objects=k)
        found = ngtpy.BatchResults()
        index.batch_search(wider(queries), found, k)
        return _matrix(found.get_ids(), len(queries))

    search.folder = folder  # type: ignore[attr-defined]  # its files are needed as long as the search
    return search


def _epsilons(n: int) -> Sequence[float]:
    return (0.0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)


def _augmented(vectors: np.ndarray, unit: bool) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Unit vectors, and a function of queries, whose dot products rank like those of other vectors.

    Bachrach et al. 2014: one more coordinate fills each vector up to the greatest norm. For libraries that compare
    unit vectors only.
    """
    if unit:
        return vectors, lambda queries: queries
    norms = np.linalg.norm(vectors, axis=1)
    longest = norms.max()
    rest = np.sqrt(np.maximum(1 - (norms / longest) ** 2, 0))
    items = np.concatenate([vectors / longest, rest[:, None]], axis=1).astype(np.float32)

    def wider(queries: np.ndarray) -> np.ndarray:
        scaled = queries / np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-30)
        return np.concatenate([scaled, np.zeros((len(queries), 1))], axis=1).astype(np.float32)

    return items, wider


def _matrix(rows: Any, count: int, k: int | None = None) -> np.ndarray:
    """Rows (count, k) int64; −1 for what is missing."""
    if k is not None and len(rows) == count and not isinstance(rows, np.ndarray):
        padded = np.full((count, k), -1, dtype=np.int64)
        for at, found in enumerate(rows):
            padded[at, : len(found)] = found
        return padded
    matrix = np.asarray(rows).reshape(count, -1)
    if matrix.dtype.kind == "u":
        matrix = np.where(matrix < np.iinfo(np.int32).max, matrix, 0).astype(np.int64)
    return matrix.astype(np.int64)


_HNSW = ({"M": 16, "ef": 128}, {"M": 32, "ef": 200})
LIBRARIES: Mapping[str, Library] = {
    "hnswlib": Library("hnswlib", _HNSW, _efs, _hnswlib),
    "usearch": Library("usearch", _HNSW, _efs, _usearch),
    "voyager": Library("voyager", _HNSW, _efs, _voyager),
    "glass": Library(
        "glass", [{"R": 32, "L": 200, "quant": "SQ8U"}, {"R": 32, "L": 200, "quant": "SQ4U"}], _efs, _glass
    ),
    "symphonyqg": Library(
        "rabitqlib", [{"degree": 32, "ef": 200, "bits": 0}, {"degree": 64, "ef": 200, "bits": 0}], _efs, _symphonyqg
    ),
    "rabitq-ivf": Library("rabitqlib", [{"bits": 4}, {"bits": 7}], _probes, _rabitq_ivf),
    "scann": Library("scann", [{"soar": False}, {"soar": True}], _leaves, _scann),
    "svs": Library(
        "svs", [{"degree": 32, "window": 200, "bits": ()}, {"degree": 32, "window": 200, "bits": (4, 8)}], _efs, _svs
    ),
    "ngt": Library("ngtpy", [{"edges": 30}], _epsilons, _ngt),
}
