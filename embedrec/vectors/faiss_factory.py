"""Create a FAISS index from a factory string, train it on a sample, and fill it in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np

from embedrec.errors import SettingsError
from embedrec.progress import Report, quiet
from embedrec.runtime.native_stderr import discard_native_stderr
from embedrec.vectors import POINTS_PER_CELL
from embedrec.vectors.embeddings import Metric
from embedrec.vectors.faiss_structure import innermost, transforms

_TRAINING_PER_CELL = 64  # training vectors; more take longer and do not raise recall
_TRAINING = 1 << 16  # training vectors that suffice for any quantizer
_KMEANS_ITERATIONS = 12  # for cells, of FAISS's 25: half the time, recall .0015 less with 4 cells, .0003 with 64
_OPQ_ITERATIONS = 10  # of FAISS's 50: a third of the time, recall .9998 instead of .9999
_EF_CONSTRUCTION = 128  # with 64, searches for recall .99 keep four times as many candidates
ADD_BLOCK = 1 << 16  # vectors added at a time
_METRICS = {"cosine": faiss.METRIC_INNER_PRODUCT, "dot": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}


def create_index(spec: str, d: int, metric: Metric) -> Any:
    """An empty index; "cosine" is for vectors of norm 1. Raises SettingsError if FAISS rejects `spec`."""
    if not (spec.isascii() and spec.isprintable()):
        raise SettingsError(f"a FAISS factory string consists of printable ASCII characters, but is {spec!r}")
    try:
        index = faiss.index_factory(d, spec, _METRICS[metric])
    except RuntimeError as e:
        raise _build_error(spec, f"{d} dimensions", e) from None
    deepest = innermost(index)
    graphs = (deepest, faiss.downcast_index(deepest.quantizer) if isinstance(deepest, faiss.IndexIVF) else None)
    if any(isinstance(graph, faiss.IndexHNSW) and not graph.hnsw.assign_probas.size() for graph in graphs):
        raise SettingsError(f"a graph needs at least 2 links a vector, but {spec!r} has fewer; use HNSW16")
    return index


@discard_native_stderr()
def train(
    index: Any,
    spec: str,
    n: int,
    vectors: Callable[[Any], np.ndarray],
    *,
    max_training: int | None = None,
    centroids: np.ndarray | None = None,
    seed: int = 0,
) -> None:
    """Train an index of n vectors, if necessary.

    vectors       rows (m,) int64 or a slice → (m, d) float32, of which a sample is held at a time
    max_training  maximum number of training vectors; None for as many as improve the index
    centroids     (c, any width) of another index of the same vectors, which replace k-means; they may be padded more or
                  less than this index

    Raises SettingsError if FAISS needs more vectors than there are, or cells need more than `max_training`.
    """
    deepest = innermost(index)
    nlist = deepest.nlist if isinstance(deepest, faiss.IndexIVF) else 0
    if nlist > n:
        raise SettingsError(f"{spec} needs at least {nlist} vectors, but there are {n}; use fewer cells or 'flat'")
    if isinstance(deepest, faiss.IndexHNSW):
        deepest.hnsw.efConstruction = _EF_CONSTRUCTION
    if index.is_trained:
        return
    count = min(n, max(_TRAINING, _TRAINING_PER_CELL * nlist))
    if max_training is not None and max_training < count:
        needed = min(n, POINTS_PER_CELL * nlist)
        if max_training < needed:
            raise SettingsError(
                f"{nlist} cells need at least {needed:,} training vectors, but the memory budget allows "
                f"{max_training:,}; raise --memory, or use fewer cells, such as --type IVF1024,Flat"
            )
        count = max_training
    sample = np.random.default_rng(seed).choice(n, count, replace=False) if count < n else np.arange(n)
    try:
        opq_quantizers = _configure_kmeans(index, seed)
        _train(index, _gather(vectors, np.sort(sample), index.d), centroids)
        for transform, _ in opq_quantizers:
            transform.pq = None
    except RuntimeError as e:
        raise _build_error(spec, f"{n} vectors of {index.d} dimensions", e) from None


@discard_native_stderr()
def fill(
    index: Any,
    spec: str,
    n: int,
    vectors: Callable[[slice], np.ndarray],
    report: Report = quiet,
) -> None:
    """Add n vectors to a trained index.

    vectors  rows → (m, d) float32; a block is held at a time, for a graph all vectors
    report   called as report("progress", done=, total=, unit="vectors")

    Raises SettingsError if FAISS rejects the vectors.
    """
    # a graph that is built block by block has lower recall
    block = n if isinstance(innermost(index), faiss.IndexHNSW) else ADD_BLOCK
    try:
        for start in range(0, n, block):
            stop = min(start + block, n)
            index.add(vectors(slice(start, stop)))
            report("progress", done=stop, total=n, unit="vectors")
    except RuntimeError as e:
        raise _build_error(spec, f"{n} vectors of {index.d} dimensions", e) from None


def _gather(vectors: Callable[[Any], np.ndarray], rows: np.ndarray, d: int) -> np.ndarray:
    """The vectors (m, d) of rows (m,), read in blocks."""
    gathered = np.empty((len(rows), d), dtype=np.float32)
    for start in range(0, len(rows), ADD_BLOCK):
        gathered[start : start + ADD_BLOCK] = vectors(rows[start : start + ADD_BLOCK])
    return gathered


def _train(index: Any, vectors: np.ndarray, centroids: np.ndarray | None) -> None:
    """Train transforms, cells and codes. Only cells use several threads: the others are many small k-means, for which
    threads that wait for each other take ten times as long as one."""
    if isinstance(index, faiss.IndexPreTransform):
        for transform in transforms(index):
            if not transform.is_trained:
                with _one_thread():
                    transform.train(vectors)
            vectors = transform.apply(vectors)
        _train(faiss.downcast_index(index.index), vectors, centroids)
        index.is_trained = True
        return
    if isinstance(index, faiss.IndexRefine):
        _train(faiss.downcast_index(index.base_index), vectors, centroids)
        index.is_trained = True
        return
    if isinstance(index, faiss.IndexIVF):
        if centroids is not None:
            padded = np.pad(centroids, ((0, 0), (0, max(index.d - centroids.shape[1], 0))))
            index.quantizer.add(np.ascontiguousarray(padded[:, : index.d]))
        index.train_q1(len(vectors), faiss.swig_ptr(vectors), False, index.metric_type)  # type: ignore[attr-defined]
    with _one_thread():
        index.train(vectors)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit FAISS to one thread in a block; other threads of the process keep their setting."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _configure_kmeans(index: Any, seed: int) -> list[tuple[Any, Any]]:
    """Seed every k-means below an index and set its limits; FAISS does not warn about few training vectors then.

    Returns OPQ transforms with the quantizers that are lent to them for training, which must live as long.
    """
    deepest, opq_quantizers = innermost(index), []
    quantizer = getattr(deepest, "pq", None)
    clusterings = [] if quantizer is None else [quantizer.cp]
    if isinstance(deepest, faiss.IndexIVF):
        deepest.cp.max_points_per_centroid = _TRAINING_PER_CELL
        deepest.cp.niter = _KMEANS_ITERATIONS
        clusterings.append(deepest.cp)
    while isinstance(index, faiss.IndexRefine):
        index = faiss.downcast_index(index.base_index)
    for transform in transforms(index):
        if isinstance(transform, faiss.OPQMatrix):
            bits = 8 if quantizer is None else quantizer.nbits
            transform.pq = own = faiss.ProductQuantizer(transform.d_out, transform.M, bits)
            transform.niter = _OPQ_ITERATIONS
            opq_quantizers.append((transform, own))
            clusterings.append(own.cp)
    for clustering in clusterings:
        clustering.seed = (seed + 1) % 2**31
        clustering.min_points_per_centroid = 1
    return opq_quantizers


def _build_error(spec: str, size: str, error: RuntimeError) -> SettingsError:
    """FAISS's message without the source location before it."""
    return SettingsError(f"FAISS cannot build {spec!r} for {size}: {str(error).strip().rpartition(': ')[2]}")
