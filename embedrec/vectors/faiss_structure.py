"""Open FAISS indexes and reach their parts: transforms, the innermost index, centroids."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np


def map_index(path: Path) -> Any:
    """The index in a file that passed `faiss_file_check`. All types but fast scan are memory-mapped, so that processes
    share their pages."""
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def below_transforms(index: Any) -> Any:
    """The FAISS index below the vector transforms of an index, which must outlive it."""
    while isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return index


def innermost(index: Any) -> Any:
    """The FAISS index below the vector transforms and refinements of an index, which must outlive it."""
    index = below_transforms(index)
    return innermost(faiss.downcast_index(index.base_index)) if isinstance(index, faiss.IndexRefine) else index


def apply_transforms(index: Any, vectors: np.ndarray) -> np.ndarray:
    """Vectors (m, d) as the innermost index stores them."""
    while isinstance(index, faiss.IndexPreTransform | faiss.IndexRefine):
        for transform in transforms(index):
            vectors = transform.apply(vectors)
        index = faiss.downcast_index(index.index if isinstance(index, faiss.IndexPreTransform) else index.base_index)
    return vectors


def transforms(index: Any) -> list[Any]:
    """The vector transforms that an index applies before its sub-index."""
    if not isinstance(index, faiss.IndexPreTransform):
        return []
    chain: Any = index.chain
    return [faiss.downcast_VectorTransform(chain.at(i)) for i in range(chain.size())]


def centroids_of(index: Any) -> np.ndarray | None:
    """The centroids (c, d) of a trained IVF index; None for other types, and for centroids in a compressed index."""
    quantizer = getattr(innermost(index), "quantizer", None)
    flat = None if quantizer is None else faiss.downcast_index(quantizer)
    return flat.reconstruct_n(0, flat.ntotal) if isinstance(flat, faiss.IndexFlat) else None


def run_parallel(count: int, work: Callable[[slice], None]) -> None:
    """Split `count` queries evenly among as many threads as FAISS uses, and call `work` with the slice of each."""
    threads = faiss.omp_get_max_threads()
    step = max(-(-count // threads), 1)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [slice(start, start + step) for start in range(0, count, step)]))
