"""What an index finds, how fast, and how large it is: measured on queries whose exact answers are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from math import sqrt
from time import perf_counter
from typing import Any

import faiss
import numpy as np

from embedrec.data.topk import TopK
from embedrec.index import hnsw_batch
from embedrec.index.exact_results import score_keys
from embedrec.index.index import Index
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.vectors.embeddings import Embeddings

SAMPLE_SIZE = 4000  # queries that recall is measured on: its error is about a thousandth
SINGLE_QUERIES = 200  # of which so many are also asked one at a time
TOLERANCE = 1e-6  # of a score: as near as the last exact result is what float32 cannot tell from it
_SMALLEST = 2.0**-126  # scores below it are compared in float64
_SMALL = hnsw_batch.LARGE_BATCH - 1  # queries of a small batch
_ONE_OF = 8  # queries of which one is also searched for in small batches
_CHANCE = 0.02  # of recall, by which two ways through a graph may differ
_ONE_SIDED = 1.645  # standard errors below which a normal variable falls in 5 of 100 cases


@dataclass(frozen=True, eq=False)
class RecallSample:
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

    def recall_of(self, index: Index, settings: SearchSettings = AS_BUILT, *, once: bool = False) -> Recall:
        """What an index finds of the exact answers; with `once`, without another search where one comes short.

        Large batches go through a graph another way than small ones. Where some of the queries show that small batches
        find less, what these find counts.
        """
        if not self.k:  # a catalogue of one
            return Recall(1.0, 1.0)
        search, least = (
            partial(index.search_once if once else index.search, settings=settings),
            self.least(index.embeddings),
        )
        q = len(self.queries)
        hits = self._hits(index, search, least, np.arange(q), q)
        subset = np.arange(0, q, _ONE_OF)
        if index.uses_graph_batch(q) and self._fewer(self._hits(index, search, least, subset, _SMALL), hits[subset]):
            hits = np.minimum(hits, self._hits(index, search, least, np.arange(q), _SMALL))
        return Recall.of_counts(hits, self._wanted, len(self.exact.vocab))

    def recall_of_keys(self, keys: np.ndarray, least: np.ndarray) -> Recall:
        """Recall of results with these keys (q, c), −inf for none; `least` (q,) is what counts."""
        hits = _reached(keys, least, self._wanted)
        return Recall.of_counts(hits, self._wanted, len(self.exact.vocab))

    def _hits(
        self, index: Index, search: Callable[..., TopK], least: np.ndarray, which: np.ndarray, size: int
    ) -> np.ndarray:
        """How many of the exact answers, or as near ones, are found of some queries (m,), in batches of that size."""
        hits = np.zeros(len(which), dtype=np.int64)
        for start in range(0, len(which), size):
            part = which[start : start + size]
            results = search(self.queries[part], self.k + 1)
            results = results.first(self.k) if self.rows is None else results.without(self.rows[part])
            keys = results.scores.astype(np.float64)
            small = np.flatnonzero(np.abs(least[part]) < _SMALLEST)
            if len(small):
                keys[small] = self._keys(index.embeddings, part[small], results.rows[small])
            hits[start : start + size] = _reached(keys, least[part], self._wanted[part])
        return hits

    def _fewer(self, small: np.ndarray, large: np.ndarray) -> bool:
        """Whether small batches find fewer, of some queries (m,), than chance makes of their order."""
        return bool(small.sum() < large.sum() - _CHANCE * len(small) * self.k)

    @cached_property
    def _wanted(self) -> np.ndarray:
        """How many exact answers each query has: (q,)."""
        wanted: np.ndarray = (self.exact.rows >= 0).sum(axis=1)
        return wanted

    def least(self, embeddings: Embeddings) -> np.ndarray:
        """What a result must reach to be as near as the last exact one: (q,) float64, less `TOLERANCE`."""
        last = _last(self.exact)
        small = np.flatnonzero(np.abs(last) < _SMALLEST)
        if len(small):  # float32 shows 0 where float64 does not
            keys = self._keys(embeddings, small, self.exact.rows[small])
            last[small] = np.where(keys > -np.inf, keys, np.inf).min(axis=1)
        return _near(last)

    def _keys(self, embeddings: Embeddings, which: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The exact scores (m, c) float64 of rows (m, c) for some queries (m,)."""
        return score_keys(embeddings.vectors, self.queries[which], rows, embeddings.metric)


@dataclass(frozen=True)
class Recall:
    """Share of the exact answers that were found, or of others that are as near as the last of them: among equal scores
    any is right.

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
    def of(cls, results: TopK, exact: TopK) -> Recall:
        """Of results (q, k) against exact ones."""
        last, wanted = _last(exact), (exact.rows >= 0).sum(axis=1)
        good = (results.scores >= _near(last)[:, None]) & (results.rows >= 0)
        return cls.of_counts(np.minimum(good.sum(axis=1), wanted), wanted, len(exact.vocab))

    @classmethod
    def of_hits(cls, hits: np.ndarray, wanted: np.ndarray, n: int) -> Recall:
        """Of hits (q, k) among what was wanted (q, k), both bool, by q of n items."""
        return cls.of_counts(hits.sum(axis=1), wanted.sum(axis=1), n)

    @classmethod
    def of_counts(cls, hits: np.ndarray, wanted: np.ndarray, n: int) -> Recall:
        """Of how many (q,) were found of how many (q,), by q of n items."""
        total = int(wanted.sum())
        if not total:
            return cls(1.0, 1.0)
        mean, q = hits.sum() / total, len(hits)
        # a ratio of sums over queries: what each query misses of its share, and none where all items were asked
        left = hits - mean * wanted
        spread = sqrt(float((left**2).sum()) / max(q - 1, 1)) * sqrt(q) / total * sqrt(max(0.0, 1 - q / n))
        return cls(float(mean), float(mean - _ONE_SIDED * spread))


def _reached(keys: np.ndarray, least: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How many of the results with these keys (q, c) reach what counts (q,), at most what is wanted (q,)."""
    good = (keys >= least[:, None]) & (keys > -np.inf)
    hits: np.ndarray = np.minimum(good.sum(axis=1), wanted)
    return hits


def _last(exact: TopK) -> np.ndarray:
    """The score of the last result of each query: (q,) float64; infinite where there is none."""
    last: np.ndarray = np.where(exact.rows >= 0, exact.scores, np.inf).min(axis=1, initial=np.inf).astype(np.float64)
    return last


def _near(last: np.ndarray) -> np.ndarray:
    """Scores (q,) less `TOLERANCE`; infinite ones stay."""
    return np.where(np.isinf(last), last, last - TOLERANCE * np.abs(np.where(np.isinf(last), 0, last)))


def recall_sample(
    embeddings: Embeddings, queries: np.ndarray | None, seed: int, *, count: int | None = None, k: int = 20
) -> RecallSample:
    """The first `count` of the queries (q, d), all where it is None; where there are no queries, so many items."""
    if queries is None:
        return sample_items(embeddings, seed, SAMPLE_SIZE if count is None else count, k)
    return sample_queries(embeddings, queries[:count], k)


def sample_items(embeddings: Embeddings, seed: int, count: int = SAMPLE_SIZE, k: int = 20) -> RecallSample:
    """Items drawn at random, each once, with their exact neighbours; k fewer where the catalogue has fewer."""
    n = len(embeddings)
    most = min(k, n - 1)
    rows = np.sort(np.random.default_rng(seed).choice(n, min(count, n), replace=False))
    queries = embeddings.vectors[rows]
    exact = embeddings.search(queries, most + 1).without(rows)
    return RecallSample(rows, queries, exact, k)


def sample_queries(embeddings: Embeddings, queries: np.ndarray, k: int = 20) -> RecallSample:
    """Queries (q, d) with their exact answers; k fewer where the catalogue has fewer."""
    return RecallSample(None, queries, embeddings.search(queries, min(k, len(embeddings) - 1)), k)


def measure_search(index: Index, sample: RecallSample, settings: SearchSettings = AS_BUILT) -> dict[str, Any]:
    """Facts of an index with these settings: recall, milliseconds of single queries, queries a second in a batch."""
    k, queries = sample.k + 1, sample.queries
    recall = sample.recall_of(index, settings)
    alone = []
    for row in range(min(SINGLE_QUERIES, len(queries))):
        started = perf_counter()
        index.search(queries[row : row + 1], k, settings)
        alone.append(1000 * (perf_counter() - started))
    p50, p95, p99 = np.percentile(alone, [50, 95, 99])
    return {
        f"recall@{sample.at}": round(recall.mean, 4),
        "recall_low": round(recall.low, 4),
        "recall_queries": len(queries),
        "query_ms_p50": round(float(p50), 3),
        "query_ms_p95": round(float(p95), 3),
        "query_ms_p99": round(float(p99), 3),
        "queries_per_second": round(len(queries) / batch_seconds(index, sample, settings)),
    }


def measure_index(index: Index, sample: RecallSample) -> dict[str, Any]:
    """What is `measure_search` of an index as it is, and the bytes that a vector takes in it."""
    return {**measure_search(index, sample), "bytes_per_vector": round(faiss_bytes(index) / len(index), 1)}


def batch_seconds(index: Index, sample: RecallSample, settings: SearchSettings = AS_BUILT, runs: int = 2) -> float:
    """Seconds of all queries in one batch: the least of so many runs."""
    taken = []
    for _ in range(runs):
        started = perf_counter()
        index.search(sample.queries, sample.k + 1, settings)
        taken.append(perf_counter() - started)
    return min(taken)


def faiss_bytes(index: Index) -> int:
    """Bytes of the FAISS index as it is written; the exact vectors beside it are not counted."""
    if index.file is not None:
        return index.file.stat().st_size
    sizes: list[int] = []
    faiss.write_index(index.faiss, faiss.PyCallbackIOWriter(lambda part: sizes.append(len(part))))  # type: ignore[attr-defined]
    return sum(sizes)
