"""Queries per second of index types and of exact search by batch size, on the CPU and on a GPU.

usage: python scripts/bench/batch.py [--items 200000] [--dim 64] [--threads 2] [--types flat ivf ivfpq hnsw]
                                     [--sizes 1 32 1024 10000] [-k 20] [--seed 0]

With a GPU that FAISS or torch can use, supported index types are also searched on it, exact search runs in torch, and
k-means is timed. Rates are those of the fastest of 3 runs after a warm-up run; `same` is the share of the CPU's results
that the GPU also returns.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import faiss
import numpy as np
from generated import clustered

from embedrec import build_index
from embedrec.errors import SettingsError
from embedrec.index import gpu
from embedrec.index.build_settings import BuildSettings
from embedrec.index.measure import Recall
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit

RUNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--types", nargs="+", default=["flat", "ivf", "ivfpq", "hnsw"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 32, 1024, 10_000])
    parser.add_argument("-k", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    faiss.omp_set_num_threads(given.threads)
    embeddings = clustered(given.items, given.dim, seed=given.seed)
    place = f"FAISS sees a GPU: {gpu.faiss_sees_gpu()}, torch: {gpu.torch_sees_gpu()}"
    print(f"{given.items:,} × {given.dim}, top {given.k}, {given.threads} threads; {place}")
    kmeans(embeddings, given)
    for name, searched, beside in searches(embeddings, given):
        rates = []
        for size in given.sizes:
            rows = np.random.default_rng(given.seed + 1).integers(0, given.items, size)
            queries = embeddings.vectors[rows]
            found = searched.search(queries, given.k)
            taken = min(timed(searched, queries, given.k) for _ in range(RUNS))
            rates.append(f"{size:6,}: {size / taken:10,.0f}/s")
        same = "" if beside is None else f"  same {Recall.of(found, beside.search(queries, given.k)).mean:.4f}"
        print(f"  {name:28} {'  '.join(rates)}{same}", flush=True)


def searches(embeddings: Embeddings, given: argparse.Namespace) -> Iterator[tuple[str, Any, Any]]:
    """Searches by name, and the search on the CPU that each is compared with."""
    exact = gpu.GpuExactSearch.of(embeddings, "cpu")
    yield "exact, NumPy, CPU", embeddings, None
    yield "exact, torch, CPU", exact, embeddings
    if gpu.torch_sees_gpu():
        yield "exact, torch, GPU", gpu.GpuExactSearch.of(embeddings, "cuda"), embeddings
    for kind in given.types:
        index = build_index(embeddings, kind, BuildSettings(seed=given.seed))
        yield f"{index.spec}, CPU", index, None
        if gpu.faiss_sees_gpu():
            try:
                yield f"{index.spec}, GPU", gpu.GpuIndex.of(index), index
            except SettingsError as e:
                print(f"  {e}")


def kmeans(embeddings: Embeddings, given: argparse.Namespace) -> None:
    """Seconds of a k-means with 64 vectors per cell."""
    cells = min(1024, given.items // 64)
    vectors = unit(embeddings.vectors[: 64 * cells])
    for device in ("cpu", "cuda") if gpu.torch_sees_gpu() else ("cpu",):
        for _ in range(2):
            started = perf_counter()
            gpu.kmeans(vectors, cells, device, spherical=True)
            taken = perf_counter() - started
        print(f"  k-means of {len(vectors):,} into {cells:,} cells, torch, {device}: {taken:.2f} s", flush=True)


def timed(searched: Any, queries: np.ndarray, k: int) -> float:
    started = perf_counter()
    searched.search(queries, k)
    return perf_counter() - started


if __name__ == "__main__":
    main()
