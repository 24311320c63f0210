"""HNSW libraries tuned to a recall, for `index.py`: hnswlib, usearch and voyager, if they are installed.

They are not dependencies; install them with `pip install hnswlib usearch voyager`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter

import numpy as np

EFS = (20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512)
LINKS, CONSTRUCTION = 16, 128


@dataclass(frozen=True)
class Peer:
    """A built index of another library.

    seconds  of the build
    search   queries (q, d), k, ef → rows (q, k)
    """

    name: str
    seconds: float
    search: Callable[[np.ndarray, int, int], np.ndarray]


def peers(vectors: np.ndarray, threads: int) -> list[Peer]:
    """The installed libraries, built on unit vectors (n, d) with inner product."""
    makers = {"hnswlib": _hnswlib, "usearch": _usearch, "voyager": _voyager}
    missing = [name for name in makers if find_spec(name) is None]
    if missing:
        print(f"  not installed, so not compared: {', '.join(missing)}")
    built = []
    for name, make in makers.items():
        if name not in missing:
            started = perf_counter()
            search = make(vectors, threads)
            built.append(Peer(name, perf_counter() - started, search))
    return built


def _hnswlib(vectors: np.ndarray, threads: int) -> Callable[[np.ndarray, int, int], np.ndarray]:
    import hnswlib

    index = hnswlib.Index("ip", vectors.shape[1])
    index.init_index(len(vectors), M=LINKS, ef_construction=CONSTRUCTION)
    index.add_items(vectors, num_threads=threads)

    def search(queries: np.ndarray, k: int, ef: int) -> np.ndarray:
        index.set_ef(ef)
        return index.knn_query(queries, k, num_threads=threads)[0].astype(np.int64)

    return search


def _usearch(vectors: np.ndarray, threads: int) -> Callable[[np.ndarray, int, int], np.ndarray]:
    from usearch.index import Index

    index = Index(
        ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=LINKS, expansion_add=CONSTRUCTION, multi=False
    )
    index.add(np.arange(len(vectors)), vectors, threads=threads)

    def search(queries: np.ndarray, k: int, ef: int) -> np.ndarray:
        index.expansion_search = ef
        return index.search(queries, k, threads=threads).keys.astype(np.int64)

    return search


def _voyager(vectors: np.ndarray, threads: int) -> Callable[[np.ndarray, int, int], np.ndarray]:
    import voyager

    index = voyager.Index(
        voyager.Space.InnerProduct, vectors.shape[1], M=LINKS, ef_construction=CONSTRUCTION, max_elements=len(vectors)
    )
    index.add_items(vectors, num_threads=threads)

    def search(queries: np.ndarray, k: int, ef: int) -> np.ndarray:
        return index.query(queries, k, num_threads=threads, query_ef=max(ef, k))[0].astype(np.int64)

    return search
