"""A FAISS index from a factory string, trained on a sample and filled in blocks."""

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

_PER_CELL = 64  # more take longer and find no more
_ENOUGH = 1 << 16  # vectors that any quantiser is trained well on
_ROUNDS = 12  # of k-means for cells, of FAISS's 25: half the time, recall .0015 less with 4 cells, .0003 with 64
_OPQ_ROUNDS = 10  # of FAISS's 50: a third of the time, recall .9998 instead of .9999
_CONSTRUCTION = 128  # candidates for links of a graph; with 64, searches for recall .99 keep four times as many
ADD = 1 << 16  # vectors added at a time
_METRICS = {"cosine": faiss.METRIC_INNER_PRODUCT, "dot": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}


def create_index(spec: str, d: int, metric: Metric) -> Any:
    """An empty index; "cosine" is for vectors that have length 1. Raises SettingsError for what FAISS cannot build."""
    if not (spec.isascii() and spec.isprintable()):
        raise SettingsError(f"a factory string of FAISS is of letters, digits and signs, but is {spec!r}")
    try:
        index = faiss.index_factory(d, spec, _METRICS[metric])
    except RuntimeError as e:
        raise _refused(spec, f"{d} dimensions", e) from None
    deepest = innermost(index)
    graphs = (deepest, faiss.downcast_index(deepest.quantizer) if isinstance(deepest, faiss.IndexIVF) else None)
    if any(isinstance(graph, faiss.IndexHNSW) and not graph.hnsw.assign_probas.size() for graph in graphs):
        raise SettingsError(f"a graph needs 2 links a vector at least, which {spec!r} does not have; take HNSW16")
    return index


@discard_native_stderr()
def fill(
    index: Any,
    spec: str,
    n: int,
    vectors: Callable[[Any], np.ndarray],
    *,
    most: int | None = None,
    centroids: np.ndarray | None = None,
    seed: int = 0,
    report: Report = quiet,
) -> None:
    """Train an index where it needs it, and add n vectors.

    vectors  rows (m,) int64 or a slice → (m, d) float32; no more than a sample of them is held at a time, but all of a
             graph's
    most     vectors that it may be trained on; None for as many as do it good
    cells    centres of cells of another index of the same vectors, so that they are not sought again: (c, any width);
             what they have more or less than d is the padding of one of both
    report   called as report("progress", done=, total=, unit="vectors")

    Raises SettingsError when FAISS needs more vectors than there are, or cells more than `most`.
    """
    train(index, spec, n, vectors, most=most, centroids=centroids, seed=seed)
    try:
        block = (
            n if isinstance(innermost(index), faiss.IndexHNSW) else ADD
        )  # region by region, a graph would find little
        for start in range(0, n, block):
            stop = min(start + block, n)
            index.add(vectors(slice(start, stop)))
            report("progress", done=stop, total=n, unit="vectors")
    except RuntimeError as e:
        raise _refused(spec, f"{n} vectors of {index.d} dimensions", e) from None


@discard_native_stderr()
def train(
    index: Any,
    spec: str,
    n: int,
    vectors: Callable[[Any], np.ndarray],
    *,
    most: int | None = None,
    centroids: np.ndarray | None = None,
    seed: int = 0,
) -> None:
    """Train an index, where it needs it, for n vectors that are added elsewhere; see `fill`."""
    deepest = innermost(index)
    nlist = deepest.nlist if isinstance(deepest, faiss.IndexIVF) else 0
    if nlist > n:
        raise SettingsError(f"{spec} needs at least {nlist} vectors, but there are {n}; take fewer cells or 'flat'")
    if isinstance(deepest, faiss.IndexHNSW):
        deepest.hnsw.efConstruction = _CONSTRUCTION
    if index.is_trained:
        return
    enough = min(n, max(_ENOUGH, _PER_CELL * nlist))
    if most is not None and most < enough:
        least = min(n, POINTS_PER_CELL * nlist)
        if most < least:
            raise SettingsError(
                f"{nlist} cells are sought among {least:,} vectors at least, but the memory holds {most:,} beside all "
                "else; allow more, or name fewer cells, such as --type IVF1024,Flat"
            )
        enough = most
    sample = np.random.default_rng(seed).choice(n, enough, replace=False) if enough < n else np.arange(n)
    try:
        lent = _settle(index, seed)
        _train(index, _gathered(vectors, np.sort(sample), index.d), centroids)
        for transform, _ in lent:
            transform.pq = None
    except RuntimeError as e:
        raise _refused(spec, f"{n} vectors of {index.d} dimensions", e) from None


def _gathered(vectors: Callable[[Any], np.ndarray], rows: np.ndarray, d: int) -> np.ndarray:
    """Vectors of rows (m,) as one array (m, d), which alone is held."""
    gathered = np.empty((len(rows), d), dtype=np.float32)
    for start in range(0, len(rows), ADD):
        gathered[start : start + ADD] = vectors(rows[start : start + ADD])
    return gathered


def _train(index: Any, vectors: np.ndarray, centroids: np.ndarray | None) -> None:
    """Train transforms, cells and codes. Only cells on several threads: the others are many small k-means, for which
    threads that wait for each other take ten times as long as one."""
    if isinstance(index, faiss.IndexPreTransform):
        for transform in transforms(index):
            if not transform.is_trained:
                with one_thread():
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
            wide = np.pad(centroids, ((0, 0), (0, max(index.d - centroids.shape[1], 0))))
            index.quantizer.add(np.ascontiguousarray(wide[:, : index.d]))
        index.train_q1(len(vectors), faiss.swig_ptr(vectors), False, index.metric_type)  # type: ignore[attr-defined]
    with one_thread():
        index.train(vectors)


@contextmanager
def one_thread() -> Iterator[None]:
    """For a block in which FAISS uses one thread; other threads of the process keep theirs."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _settle(index: Any, seed: int) -> list[tuple[Any, Any]]:
    """Seed every k-means below an index, and keep it from warning: what is too few is decided by names and sizes.

    Returns OPQ transforms with the quantisers they were lent for their training, which must live that long.
    """
    deepest, lent = innermost(index), []
    quantiser = getattr(deepest, "pq", None)
    means = [] if quantiser is None else [quantiser.cp]
    if isinstance(deepest, faiss.IndexIVF):
        deepest.cp.max_points_per_centroid = _PER_CELL
        deepest.cp.niter = _ROUNDS
        means.append(deepest.cp)
    while isinstance(index, faiss.IndexRefine):
        index = faiss.downcast_index(index.base_index)
    for transform in transforms(index):
        if isinstance(transform, faiss.OPQMatrix):
            bits = 8 if quantiser is None else quantiser.nbits
            transform.pq = own = faiss.ProductQuantizer(transform.d_out, transform.M, bits)
            transform.niter = _OPQ_ROUNDS
            lent.append((transform, own))
            means.append(own.cp)
    for mean in means:
        mean.seed = (seed + 1) % 2**31
        mean.min_points_per_centroid = 1
    return lent


def _refused(spec: str, what: str, error: RuntimeError) -> SettingsError:
    """What FAISS says, without the place in its source that stands before it."""
    return SettingsError(f"FAISS cannot build {spec!r} for {what}: {str(error).strip().rpartition(': ')[2]}")
