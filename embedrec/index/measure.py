"""Measure recall, speed and size of an index on queries whose exact results are known."""

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

SAMPLE_SIZE = 4000  # queries that recall is measured on: the error is about .001
SINGLE_QUERIES = 200  # queries that are timed one by one
TOLERANCE = 1e-6  # relative: float32 does not distinguish such a score from that of the last exact result
_SMALLEST = 2.0**-126  # smaller scores are compared in float64
_SMALL_BATCH = hnsw_batch.LARGE_BATCH - 1  # queries
_SMALL_BATCH_STEP = 8  # one query in so many is also searched in small batches
_CHANCE = 0.02  # difference of recall between two search orders of a graph that chance explains
_ONE_SIDED_95 = 1.645  # standard errors: the 95 % quantile of the normal distribution


@dataclass(frozen=True, eq=False)
class RecallSample:
    """Queries with their exact results.

    rows     (q,) int64, ascending, of items whose nearest other items are searched; None for queries that are no items
    queries  (q, d) vectors
    exact    (q, k) exact results, without the items themselves
    at       the requested k; a small catalogue has fewer results
    """

    rows: np.ndarray | None
    queries: np.ndarray
    exact: TopK
    at: int

    @property
    def k(self) -> int:
        return self.exact.k

    def recall_of(self, index: Index, settings: SearchSettings = AS_BUILT, *, once: bool = False) -> Recall:
        """The recall of an index; with `once`, without a second search for queries with too few results.

        A graph is searched in another order in large batches than in small ones. If some of the queries show that small
        batches find less, the recall is that of small batches.
        """
        if not self.k:  # a catalogue of one item
            return Recall(1.0, 1.0)
        search = partial(index.search_once if once else index.search, settings=settings)
        thresholds, q = self.thresholds(index.embeddings), len(self.queries)
        hits = self._hits(index, search, thresholds, np.arange(q), q)
        subset = np.arange(0, q, _SMALL_BATCH_STEP)
        if index.uses_graph_batch(q):
            small = self._hits(index, search, thresholds, subset, _SMALL_BATCH)
            if small.sum() < hits[subset].sum() - _CHANCE * len(small) * self.k:
                hits = np.minimum(hits, self._hits(index, search, thresholds, np.arange(q), _SMALL_BATCH))
        return Recall.of_counts(hits, self._relevant, len(self.exact.vocab))

    def recall_of_keys(self, keys: np.ndarray, thresholds: np.ndarray) -> Recall:
        """The recall of results with these exact keys (q, c), −inf for missing; `thresholds` (q,) as below."""
        return Recall.of_counts(_count_hits(keys, thresholds, self._relevant), self._relevant, len(self.exact.vocab))

    def _hits(
        self, index: Index, search: Callable[..., TopK], thresholds: np.ndarray, subset: np.ndarray, batch_size: int
    ) -> np.ndarray:
        """The number of exact results, or equally near ones, found for some queries (m,) in batches: (m,)."""
        hits = np.zeros(len(subset), dtype=np.int64)
        for start in range(0, len(subset), batch_size):
            batch = subset[start : start + batch_size]
            results = search(self.queries[batch], self.k + 1)
            results = results.first(self.k) if self.rows is None else results.without(self.rows[batch])
            keys = results.scores.astype(np.float64)
            tiny = np.flatnonzero(np.abs(thresholds[batch]) < _SMALLEST)
            if len(tiny):
                keys[tiny] = self._keys(index.embeddings, batch[tiny], results.rows[tiny])
            hits[start : start + batch_size] = _count_hits(keys, thresholds[batch], self._relevant[batch])
        return hits

    @cached_property
    def _relevant(self) -> np.ndarray:
        """The number of exact results of each query: (q,)."""
        return _count_results(self.exact)

    def thresholds(self, embeddings: Embeddings) -> np.ndarray:
        """The score of the last exact result of each query, less `TOLERANCE`: (q,) float64. A result that reaches it is
        a hit."""
        last = _last_scores(self.exact)
        tiny = np.flatnonzero(np.abs(last) < _SMALLEST)
        if len(tiny):  # 0 in float32, but not in float64
            keys = self._keys(embeddings, tiny, self.exact.rows[tiny])
            last[tiny] = np.where(keys > -np.inf, keys, np.inf).min(axis=1)
        return _less_tolerance(last)

    def _keys(self, embeddings: Embeddings, subset: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The exact keys (m, c) float64 of rows (m, c) for some queries (m,)."""
        return score_keys(embeddings.vectors, self.queries[subset], rows, embeddings.metric)


@dataclass(frozen=True)
class Recall:
    """The share of the exact results that are found. Any result counts that is as near as the last exact one.

    mean  over queries
    low   lower end of its one-sided 95 % confidence interval over all items as queries
    """

    mean: float
    low: float

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return 2 * self.mean - self.low

    @classmethod
    def of(cls, results: TopK, exact: TopK) -> Recall:
        """The recall of results (q, k) against exact ones."""
        keys, thresholds = results.scores.astype(np.float64), _less_tolerance(_last_scores(exact))
        relevant = _count_results(exact)
        return cls.of_counts(_count_hits(keys, thresholds, relevant), relevant, len(exact.vocab))

    @classmethod
    def of_counts(cls, hits: np.ndarray, relevant: np.ndarray, n: int) -> Recall:
        """The recall of numbers of hits (q,) and of relevant results (q,), for q of n items as queries."""
        total = int(relevant.sum())
        if not total:
            return cls(1.0, 1.0)
        mean, q = hits.sum() / total, len(hits)
        # standard error of a ratio of sums over queries, with the correction for a finite population
        residuals = hits - mean * relevant
        error = sqrt(float((residuals**2).sum()) / max(q - 1, 1)) * sqrt(q) / total * sqrt(max(0.0, 1 - q / n))
        return cls(float(mean), float(mean - _ONE_SIDED_95 * error))


def _count_results(results: TopK) -> np.ndarray:
    counts: np.ndarray = (results.rows >= 0).sum(axis=1)
    return counts


def _count_hits(keys: np.ndarray, thresholds: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """The number of results with these keys (q, c) that reach the thresholds (q,), at most the relevant ones (q,)."""
    reached = (keys >= thresholds[:, None]) & (keys > -np.inf)
    hits: np.ndarray = np.minimum(reached.sum(axis=1), relevant)
    return hits


def _last_scores(exact: TopK) -> np.ndarray:
    """The score of the last result of each query: (q,) float64; infinite without results."""
    last: np.ndarray = np.where(exact.rows >= 0, exact.scores, np.inf).min(axis=1, initial=np.inf).astype(np.float64)
    return last


def _less_tolerance(scores: np.ndarray) -> np.ndarray:
    """Scores (q,) less `TOLERANCE`; infinite ones unchanged."""
    return np.where(np.isinf(scores), scores, scores - TOLERANCE * np.abs(np.where(np.isinf(scores), 0, scores)))


def recall_sample(
    embeddings: Embeddings, queries: np.ndarray | None, seed: int, *, count: int | None = None, k: int = 20
) -> RecallSample:
    """The first `count` of the queries (q, d), or all; without queries, that number of random items."""
    if queries is None:
        return sample_items(embeddings, seed, SAMPLE_SIZE if count is None else count, k)
    return sample_queries(embeddings, queries[:count], k)


def sample_items(embeddings: Embeddings, seed: int, count: int = SAMPLE_SIZE, k: int = 20) -> RecallSample:
    """Distinct random items with their exact neighbours, at most k."""
    n = len(embeddings)
    neighbours = min(k, n - 1)
    rows = np.sort(np.random.default_rng(seed).choice(n, min(count, n), replace=False))
    queries = embeddings.vectors[rows]
    exact = embeddings.search(queries, neighbours + 1).without(rows)
    return RecallSample(rows, queries, exact, k)


def sample_queries(embeddings: Embeddings, queries: np.ndarray, k: int = 20) -> RecallSample:
    """Queries (q, d) with their exact results, at most k."""
    return RecallSample(None, queries, embeddings.search(queries, min(k, len(embeddings) - 1)), k)


def measure_search(index: Index, sample: RecallSample, settings: SearchSettings = AS_BUILT) -> dict[str, Any]:
    """Measurements of an index with these settings: recall, milliseconds of single queries, queries a second in a
    batch."""
    k, queries = sample.k + 1, sample.queries
    recall = sample.recall_of(index, settings)
    milliseconds = []
    for row in range(min(SINGLE_QUERIES, len(queries))):
        started = perf_counter()
        index.search(queries[row : row + 1], k, settings)
        milliseconds.append(1000 * (perf_counter() - started))
    p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99])
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
    """`measure_search` with the settings of the index, and its bytes per vector."""
    return {**measure_search(index, sample), "bytes_per_vector": round(faiss_bytes(index) / len(index), 1)}


def batch_seconds(index: Index, sample: RecallSample, settings: SearchSettings = AS_BUILT, runs: int = 2) -> float:
    """Seconds of all queries in one batch: the minimum of some runs."""
    durations = []
    for _ in range(runs):
        started = perf_counter()
        index.search(sample.queries, sample.k + 1, settings)
        durations.append(perf_counter() - started)
    return min(durations)


def faiss_bytes(index: Index) -> int:
    """Bytes of the serialised FAISS index, without the exact vectors beside it."""
    if index.file is not None:
        return index.file.stat().st_size
    sizes: list[int] = []
    faiss.write_index(index.faiss, faiss.PyCallbackIOWriter(lambda part: sizes.append(len(part))))  # type: ignore[attr-defined]
    return sum(sizes)
