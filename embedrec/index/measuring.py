"""What an index finds, how fast, and how large it is: measured on queries whose exact answers are known."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from time import perf_counter
from typing import Any

import faiss
import numpy as np

from embedrec.embeddings import Embeddings
from embedrec.index.index import Index
from embedrec.index.settings import AS_BUILT, SearchSettings
from embedrec.topk import TopK

ASKED = 4000  # queries that recall is measured on: its error is about a thousandth
_ALONE = 200  # of which so many are also asked one at a time
_ONE_SIDED = 1.645  # standard errors below which a normal variable falls in 5 of 100 cases


@dataclass(frozen=True, eq=False)
class Asked:
    """Items that are asked for their nearest others, or other queries.

    rows     (q,) int64, ascending; None for queries that are no items
    queries  (q, d) their vectors
    exact    (q, k) the exact answers, the items themselves left out
    at       k as it was asked for; a small catalogue has fewer
    """

    rows: np.ndarray | None
    queries: np.ndarray
    exact: TopK
    at: int

    @property
    def k(self) -> int:
        return self.exact.k

    def found_by(self, index: Index, settings: SearchSettings = AS_BUILT, *, once: bool = False) -> Recall:
        """What an index finds of the exact answers; with `once`, without another search where one comes short."""
        if not self.k:  # a catalogue of one
            return Recall(1.0, 1.0)
        found = (index.once if once else index.search)(self.queries, self.k + 1, settings)
        return Recall.of(found.first(self.k) if self.rows is None else found.without(self.rows), self.exact)


@dataclass(frozen=True)
class Recall:
    """Share of the exact answers that were found.

    mean  over queries
    low   lower end of its one-sided 95 % interval over all queries that the catalogue could ask
    """

    mean: float
    low: float

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return 2 * self.mean - self.low

    @classmethod
    def of(cls, found: TopK, exact: TopK) -> Recall:
        """Of results (q, k) against exact ones."""
        n = len(exact.vocab)
        query = n * np.arange(len(exact))[:, None]
        there = np.isin(exact.rows + query, (found.rows + query)[found.rows >= 0])
        return cls.of_hits(there & (exact.rows >= 0), exact.rows >= 0, n)

    @classmethod
    def of_hits(cls, hits: np.ndarray, wanted: np.ndarray, n: int) -> Recall:
        """Of hits (q, k) among what was wanted (q, k), both bool, by q of n items."""
        total = int(wanted.sum())
        if not total:
            return cls(1.0, 1.0)
        mean, q = hits.sum() / total, len(hits)
        # a ratio of sums over queries: what each query misses of its share, and none where all items were asked
        left = hits.sum(axis=1) - mean * wanted.sum(axis=1)
        spread = sqrt(float((left**2).sum()) / max(q - 1, 1)) * sqrt(q) / total * sqrt(max(0.0, 1 - q / n))
        return cls(float(mean), float(mean - _ONE_SIDED * spread))


def asked_of(
    embeddings: Embeddings, queries: np.ndarray | None, seed: int, *, count: int | None = None, k: int = 20
) -> Asked:
    """The first `count` of the queries (q, d), all where it is None; where there are no queries, so many items."""
    if queries is None:
        return some_items(embeddings, seed, ASKED if count is None else count, k)
    return those_queries(embeddings, queries[:count], k)


def some_items(embeddings: Embeddings, seed: int, count: int = ASKED, k: int = 20) -> Asked:
    """Items drawn at random, each once, with their exact neighbours; k fewer where the catalogue has fewer."""
    n = len(embeddings)
    there = min(k, n - 1)
    rows = np.sort(np.random.default_rng(seed).choice(n, min(count, n), replace=False))
    queries = embeddings.vectors[rows]
    exact = embeddings.search(queries, there + 1).without(rows)
    return Asked(rows, queries, exact, k)


def those_queries(embeddings: Embeddings, queries: np.ndarray, k: int = 20) -> Asked:
    """Queries (q, d) with their exact answers; k fewer where the catalogue has fewer."""
    return Asked(None, queries, embeddings.search(queries, min(k, len(embeddings) - 1)), k)


def measured(index: Index, asked: Asked, settings: SearchSettings = AS_BUILT) -> dict[str, Any]:
    """Facts of an index with these settings: recall, milliseconds of single queries, queries a second in a batch."""
    k, queries = asked.k + 1, asked.queries
    recall = asked.found_by(index, settings)
    alone = []
    for row in range(min(_ALONE, len(queries))):
        started = perf_counter()
        index.search(queries[row : row + 1], k, settings)
        alone.append(1000 * (perf_counter() - started))
    p50, p95, p99 = np.percentile(alone, [50, 95, 99])
    return {
        f"recall@{asked.at}": round(recall.mean, 4),
        "recall_low": round(recall.low, 4),
        "recall_queries": len(queries),
        "query_ms_p50": round(float(p50), 3),
        "query_ms_p95": round(float(p95), 3),
        "query_ms_p99": round(float(p99), 3),
        "queries_per_second": round(len(queries) / batch_seconds(index, asked, settings)),
    }


def facts_of(index: Index, asked: Asked) -> dict[str, Any]:
    """What is `measured` of an index as it is, and the bytes that a vector takes in it."""
    return {**measured(index, asked), "bytes_per_vector": round(faiss_bytes(index) / len(index), 1)}


def batch_seconds(index: Index, asked: Asked, settings: SearchSettings = AS_BUILT, runs: int = 2) -> float:
    """Seconds of all queries in one batch: the least of so many runs."""
    taken = []
    for _ in range(runs):
        started = perf_counter()
        index.search(asked.queries, asked.k + 1, settings)
        taken.append(perf_counter() - started)
    return min(taken)


def faiss_bytes(index: Index) -> int:
    """Bytes of the FAISS index as it is written; the exact vectors beside it are not counted."""
    if index.file is not None:
        return index.file.stat().st_size
    sizes: list[int] = []
    faiss.write_index(index.faiss, faiss.PyCallbackIOWriter(lambda part: sizes.append(len(part))))  # type: ignore[attr-defined]
    return sum(sizes)
