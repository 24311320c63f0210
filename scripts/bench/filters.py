"""Filtered searches: recall@10 and speed, compared with the selectors of FAISS.

usage: python scripts/bench/filters.py [--items 200000] [--dim 64] [--threads 2] [--sets clustered gauss]
                                       [--types flat ivf ivfpq hnsw] [--queries 500] [--seed 0]

A row is a share of allowed items: drawn at random, or all items on one side of the space, like those of a genre, so
that most queries are far from all of them. `selector` is the recall of FAISS with an IDSelector and the settings of the
index; `recall` is that of `Index.search(…, allowed=…)`, in one batch; then queries per second of the batch, and
milliseconds of single queries.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import faiss
import numpy as np
from generated import clustered

from embedrec import Embeddings, Index, build_index
from embedrec.data.topk import TopK, sort_results
from embedrec.index.build_settings import BuildSettings
from embedrec.index.measure import Recall
from embedrec.index.search_parameters import faiss_parameters

SHARES = (0.99, 0.5, 0.1, 0.01, 0.001, 0.0001)
K, ALONE = 10, 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sets", nargs="+", default=["clustered", "gauss"])
    parser.add_argument("--types", nargs="+", default=["flat", "ivf", "ivfpq", "hnsw"])
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    faiss.omp_set_num_threads(given.threads)
    for name in given.sets:
        embeddings = clustered(given.items, given.dim, seed=given.seed)
        if name == "gauss":
            normal = np.random.default_rng(given.seed).normal(size=(given.items, given.dim)).astype(np.float32)
            embeddings = Embeddings(normal, embeddings.vocab)
        for kind in given.types:
            index = build_index(embeddings, kind, BuildSettings(seed=given.seed))
            said = " ".join(f"{key} {value}" for key, value in index.settings.numbers().items())
            print(
                f"{name} {given.items:,} × {given.dim}: {index.spec} {said}, "
                f"recall@20 {index.measurements['recall@20']}"
            )
            for share in SHARES:
                for how in ("random", "one side"):
                    row(index, share, how, given)


def row(index: Index, share: float, how: str, given: argparse.Namespace) -> None:
    rng = np.random.default_rng(given.seed + 1)
    n, vectors = len(index), index.embeddings.vectors
    count = max(1, int(share * n))
    side = vectors[:, 0] + 0.3 * rng.normal(size=n)
    mask = np.isin(np.arange(n), rng.permutation(n)[:count] if how == "random" else np.argsort(side)[:count])
    queries = vectors[rng.permutation(n)[: given.queries]]
    exact = index.embeddings.search(queries, K, allowed=mask)
    plain = Recall.of(selected(index, queries, mask), exact).mean
    index.search(queries, K, allowed=mask)
    started = perf_counter()
    found = index.search(queries, K, allowed=mask)
    batch = len(queries) / (perf_counter() - started)
    started = perf_counter()
    for q in range(ALONE):
        index.search(queries[q : q + 1], K, allowed=mask)
    alone = 1000 * (perf_counter() - started) / ALONE
    missing = int((min(K, count) - (found.rows >= 0).sum(axis=1)).sum())
    recall = Recall.of(found, exact).mean
    print(
        f"  {100 * share:6g} % {how:8}  selector {plain:.3f}  recall {recall:.4f}  missing {missing}  "
        f"{batch:9,.0f} queries/s  {alone:6.2f} ms alone",
        flush=True,
    )


def selected(index: Index, queries: np.ndarray, mask: np.ndarray) -> TopK:
    """The first K results of FAISS with a selector only."""
    selector = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))  # type: ignore[call-arg, arg-type]
    parameters = faiss_parameters(index.faiss, index.settings, selector)
    reach = K * (index.settings.rerank or 1)
    scores, rows = index.faiss.search(index.prepare_queries(queries), reach, params=parameters)
    return sort_results(rows, scores, index.vocab)


if __name__ == "__main__":
    main()
