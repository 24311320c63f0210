"""Exact search: candidates by a float32 matrix product with known error bounds, rescored in float64.

A float32 product loses digits for vectors far from the origin, or of very different norms. So each approximate score
stands for an interval that holds the exact one (Higham 2002, chapter 3). The best candidates are rescored in float64.
Where the next one might be as good as the last of them, all vectors whose interval reaches that far are rescored.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, frexp
from typing import Literal, get_args

import numpy as np

from embedrec.data.topk import TopK, check_k
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError

Metric = Literal["cosine", "dot", "l2"]
METRICS: tuple[str, ...] = get_args(Metric)  # their positions are the codes in kernels

BLOCK_SCORES = 1 << 23  # scores computed at a time: 32 MB
BLOCK_ROWS = 1 << 15  # vectors prepared at a time
GATHERED_NUMBERS = 1 << 20  # coordinates gathered at a time: 8 MB
SPARE_CANDIDATES = 4  # candidates beyond k, so that the k best of them are rarely uncertain
_CENTRE_SAMPLE = 1 << 10  # vectors whose medians are the centre
_SAFE_NORM = 1e12  # norms that, like their inverses, keep the digits of products with unit vectors
_SAFE_RANGE = (2.0**-30, 2.0**40)  # of the largest norm, so that squares neither underflow nor overflow
_MAX_SQUARED_NORM = float(np.finfo(np.float32).max) / 64  # so that no squared distance overflows
_UNIT_ROUNDOFF = 2.0**-24  # relative error of one float32 operation
_EXTRA_OPERATIONS = 16  # beside the d of a sum, a generous bound
_TINY = 2.0**-120  # absolute error of a product that underflows
_SMALLEST = 2.0**-126  # the smallest normal float32


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, d) scaled to norm 1; zero vectors stay zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))[:, None]  # (n, 1), also of tiny vectors
    scaled = np.empty(vectors.shape, dtype=np.float32)
    return np.divide(vectors, np.where(norms > 0, norms, 1), out=scaled, casting="same_kind")


def exact_keys(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray, metric: Metric) -> np.ndarray:
    """The keys that results are ordered by: scores (q, k) float64 of queries (q, d) with the vectors of rows (q, k).

    Each key is a float64 sum in a fixed order (`_sum_lanes`), so that it depends neither on other queries nor on
    threads, and equal vectors have equal keys. It is rounded to the 24 bits of float32, but does not underflow.
    `kernels.rescore` computes the same bits. The key at a row of −1 is undefined.
    """
    keys = np.empty(rows.shape)
    step = max(1, GATHERED_NUMBERS // max(1, rows.shape[1] * vectors.shape[1]))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        gathered = vectors[rows[block]].astype(np.float64)  # (b, k, d)
        query = queries[block, None].astype(np.float64)  # (b, 1, d)
        if metric == "l2":
            keys[block] = 0 - _sum_lanes((gathered - query) ** 2)
            continue
        products = _sum_lanes(gathered * query)
        if metric == "cosine":
            norms = np.sqrt(_sum_lanes(gathered**2) * _sum_lanes(query**2))
            products /= np.where(norms > 0, norms, 1)
        keys[block] = products
    return round_keys(keys)


def round_keys(keys: np.ndarray) -> np.ndarray:
    """Numbers rounded to the 24 bits of float32 without its underflow: float64. Large ones overflow as float32 does."""
    small = np.abs(keys) < _SMALLEST
    scaled = (np.where(small, keys, 0) * 2.0**200).astype(np.float32).astype(np.float64)
    return np.where(small, scaled * 2.0**-200, keys.astype(np.float32))


def _sum_lanes(terms: np.ndarray) -> np.ndarray:
    """Sums (…,) of terms (…, d) in eight lanes, the order of `kernels.rescore`."""
    lanes = np.zeros((*terms.shape[:-1], 8))
    for start in range(0, terms.shape[-1], 8):
        part = terms[..., start : start + 8]
        lanes[..., : part.shape[-1]] += part
    fours = lanes[..., :4] + lanes[..., 4:]
    twos = fours[..., :2] + fours[..., 2:]
    sums: np.ndarray = twos[..., 0] + twos[..., 1]
    return sums


def relative_error(d: int) -> float:
    """Upper bound of the error of a float32 sum of d products, in units of |q||v|."""
    return (d + _EXTRA_OPERATIONS) * _UNIT_ROUNDOFF


@dataclass(frozen=True, eq=False)
class Frame:
    """A shift and a scale of vectors (n, d) that preserve digits in float32 comparisons.

    sizes   (n,) float64 norms of the vectors; for l2 squared norms of v − centre
    scale   a power of two that vectors are multiplied by, so that squares neither underflow nor overflow
    centre  (d,) float32 for l2: medians of the coordinates, close to most vectors; None for other metrics
    """

    sizes: np.ndarray
    scale: float
    centre: np.ndarray | None = None

    @property
    def max_norm(self) -> float:
        """The largest norm after the shift, before scaling."""
        largest = float(self.sizes.max(initial=0.0))
        return largest if self.centre is None else largest**0.5

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (m, d) float32, shifted and scaled."""
        shifted = vectors if self.centre is None else vectors - self.centre
        return shifted if self.scale == 1 else shifted * np.float32(self.scale)


def frame_of(vectors: np.ndarray, metric: Metric, subset: np.ndarray | None = None) -> Frame:
    """The frame of vectors (n, d), or of some rows (m,) of them."""
    n = len(vectors) if subset is None else len(subset)
    step, centre = max(1, n // _CENTRE_SAMPLE), None
    if metric == "l2" and n:
        sample = vectors[::step] if subset is None else vectors[subset[::step]]
        centre = np.median(sample, axis=0).astype(np.float32)
    frame, sizes = Frame(np.zeros(0), 1.0, centre), np.empty(n)
    for start in range(0, n, BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        part = frame.apply(vectors[block] if subset is None else vectors[subset[block]])
        sizes[block] = np.einsum("ij,ij->i", part, part, dtype=np.float64)
    sizes = sizes if metric == "l2" else np.sqrt(sizes)
    max_norm = Frame(sizes, 1.0, centre).max_norm
    safe = metric == "cosine" or not max_norm or _SAFE_RANGE[0] <= max_norm <= _SAFE_RANGE[1]
    return Frame(sizes, 1.0 if safe else 2.0 ** min(-frexp(max_norm)[1], 126), centre)


@dataclass(frozen=True, eq=False)
class Bound:
    """Upper bounds of exact scores from approximate ones: slope · (approximate + slack) + offset.

    slope   (q, 1) float64; 0 for queries whose scores are all 0
    slack   (n,) float64, of each vector
    offset  (q, 1) float64
    """

    slope: np.ndarray
    slack: np.ndarray
    offset: np.ndarray

    def is_certain(self, last_result: np.ndarray, last_candidate: np.ndarray) -> np.ndarray:
        """Whether no vector outside the candidates is as good as the last result: (q,) bool.

        last_result     (q,) float64 the exact score of the last result
        last_candidate  (q,) the approximate score of the last candidate
        """
        bound = self.slope[:, 0] * (last_candidate + self.slack.max(initial=0.0)) + self.offset[:, 0]
        certain: np.ndarray = (last_result > round_keys(bound)) | (self.slope[:, 0] == 0)
        return certain


@dataclass(frozen=True, eq=False)
class Comparison:
    """Queries and vectors in a frame.

    queries      (q, d) float32 as they are multiplied: of norm 1 (cosine, dot), or 2(q − centre) (l2)
    divisors     (n,) float32 of products (cosine); None if vectors are scaled to norm 1 instead
    subtrahends  (n,) float32 of products (l2): slightly less than |v − centre|²; None for other metrics
    """

    metric: Metric
    frame: Frame
    queries: np.ndarray
    bound: Bound
    divisors: np.ndarray | None = None
    subtrahends: np.ndarray | None = None

    @classmethod
    def of(cls, queries: np.ndarray, metric: Metric, frame: Frame, *, unit_error: float = _UNIT_ROUNDOFF) -> Comparison:
        """unit_error  relative error of one operation"""
        n, d = len(frame.sizes), queries.shape[1]
        error = relative_error(d) * unit_error / _UNIT_ROUNDOFF
        scale, zeros = frame.scale, np.zeros((len(queries), 1))
        if metric == "l2":
            prepared = frame.apply(queries)
            squares = np.einsum("ij,ij->i", prepared, prepared, dtype=np.float64)[:, None] / scale**2
            # |q·v| is at most (|q|² + |v|²) / 2, so this much less of both gives an upper bound of −|q − v|²
            bound = Bound(np.full_like(zeros, scale**-2), np.full(n, d * _TINY), -(1 - error) * squares)
            subtrahends = ((1 - error) * scale**2 * frame.sizes).astype(np.float32)
            return cls(metric, frame, 2 * prepared, bound, subtrahends=subtrahends)
        norms = np.sqrt(np.einsum("ij,ij->i", queries, queries, dtype=np.float64))[:, None]
        if metric == "dot":
            slack = error * scale * frame.sizes + d * _TINY
            return cls(metric, frame, unit(queries), Bound(norms / scale, slack, zeros))
        bound = Bound((norms > 0).astype(np.float64), np.full(n, error), zeros)
        divisors = np.where(frame.sizes > 0, frame.sizes, 1)
        safe = n and divisors.min() >= 1 / _SAFE_NORM and divisors.max() <= _SAFE_NORM
        return cls(metric, frame, unit(queries), bound, divisors=divisors.astype(np.float32) if safe else None)

    def take(self, rows: np.ndarray) -> Comparison:
        """The comparison of some of the queries (m,)."""
        bound = Bound(self.bound.slope[rows], self.bound.slack, self.bound.offset[rows])
        return Comparison(self.metric, self.frame, self.queries[rows], bound, self.divisors, self.subtrahends)

    def prepare(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (m, d) as they are multiplied."""
        return unit(vectors) if self.metric == "cosine" and self.divisors is None else self.frame.apply(vectors)

    @property
    def blocks(self) -> int:
        """The number of blocks of `scores`."""
        return ceil(len(self.frame.sizes) / BLOCK_ROWS) * ceil(len(self.queries) / self._queries_of_block)

    @property
    def _queries_of_block(self) -> int:
        return max(1, BLOCK_SCORES // max(1, min(len(self.frame.sizes), BLOCK_ROWS)))

    def scores(self, vectors: np.ndarray, subset: np.ndarray | None) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Approximate scores by blocks: a slice of the vectors, one of the queries, and their scores (b, m) float32."""
        n, step = len(self.frame.sizes), self._queries_of_block
        for start in range(0, n, BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            part = self.prepare(vectors[block] if subset is None else vectors[subset[block]])
            for first_query in range(0, len(self.queries), step):
                batch = slice(first_query, first_query + step)
                products = self.queries[batch] @ part.T
                if self.divisors is not None:
                    products /= self.divisors[block]
                if self.subtrahends is not None:
                    products -= self.subtrahends[block]
                yield block, batch, products


def exact_search(
    vectors: np.ndarray,
    queries: np.ndarray,
    k: int,
    metric: Metric,
    vocab: Vocab,
    subset: np.ndarray | None = None,
    frame: Frame | None = None,
) -> TopK:
    """The k vectors with the highest scores, ties by lower row.

    vectors (n, d), queries (q, d) float32 → TopK (q, k)
    subset  rows (m,) int64 that may be found, ascending; None for all
    frame   of the vectors that may be found; computed if None
    """
    from embedrec.kernels.rescore import rescore, sort_heaps
    from embedrec.kernels.topk import empty_best

    code = METRICS.index(metric)
    n = len(vectors) if subset is None else len(subset)
    rows, keys = np.full((len(queries), k), -1, dtype=np.int64), np.full((len(queries), k), -np.inf)
    count, results = min(k + SPARE_CANDIDATES, n), min(k, n)
    if count == n:  # all are candidates
        candidates = np.broadcast_to(np.arange(n) if subset is None else subset, (len(queries), n))
        rescore(vectors, queries, candidates, code, rows, keys)
        return TopK(rows, keys, vocab)
    comparison = Comparison.of(queries, metric, frame_of(vectors, metric, subset) if frame is None else frame)
    positions, approximate = empty_best(len(queries), count)
    _find_candidates(comparison, vectors, subset, positions, approximate)
    sort_heaps(positions, approximate)
    last_candidate = approximate[:, -1]
    rescore(vectors, queries, positions if subset is None else subset[positions], code, rows, keys)
    uncertain = np.flatnonzero(~comparison.bound.is_certain(keys[:, results - 1], last_candidate))
    if len(uncertain):
        rows[uncertain], keys[uncertain] = _rescan(
            comparison.take(uncertain), vectors, queries[uncertain], subset, keys[uncertain, results - 1], k
        )
    return TopK(rows, keys, vocab)


def _find_candidates(
    comparison: Comparison, vectors: np.ndarray, subset: np.ndarray | None, positions: np.ndarray, scores: np.ndarray
) -> None:
    """Write the positions (q, c), within the subset, of the vectors with the best approximate scores (q, c), as
    heaps."""
    from embedrec.kernels.topk import merge_best

    if comparison.blocks == 1:
        for block, batch, block_scores in comparison.scores(vectors, subset):
            merge_best(block_scores, block.start, positions[batch], scores[batch])
        return
    pending: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:  # merges one block while the next is multiplied
        for block, batch, block_scores in comparison.scores(vectors, subset):
            while pending:
                pending.pop().result()
            pending.append(pool.submit(merge_best, block_scores, block.start, positions[batch], scores[batch]))
        while pending:
            pending.pop().result()


def _rescan(
    comparison: Comparison,
    vectors: np.ndarray,
    queries: np.ndarray,
    subset: np.ndarray | None,
    thresholds: np.ndarray,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The k best rows (q, k) and their keys (q, k), with every vector rescored in float64 that may be among them.

    thresholds  (q,) lower bound of the k-th key
    """
    from embedrec.kernels.rescore import rescan, sort_heaps

    rows, keys = np.full((len(queries), k), -1, dtype=np.int64), np.full((len(queries), k), -np.inf)
    all_rows, bound = np.arange(len(vectors)) if subset is None else subset, comparison.bound
    code = METRICS.index(comparison.metric)
    for block, batch, scores in comparison.scores(vectors, subset):
        rescan(
            scores, bound.slack[block], bound.slope[batch, 0], bound.offset[batch, 0], thresholds[batch],
            vectors, all_rows[block], queries[batch], code, rows[batch], keys[batch],
        )  # fmt: skip
    sort_heaps(rows, keys)
    return rows, keys


def usable(vectors: np.ndarray) -> np.ndarray:
    """Which vectors (n, d) can be compared: (n,) bool, false for NaN, infinity, and norms whose square overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.einsum("ij,ij->i", vectors, vectors) <= _MAX_SQUARED_NORM


def check_queries(queries: np.ndarray, d: int, k: int, n: int) -> np.ndarray:
    """Queries as contiguous (q, d) float32; raises SettingsError if they or k do not fit n vectors of d dimensions."""
    with np.errstate(over="ignore"):
        queries = np.ascontiguousarray(queries, dtype=np.float32)
    if queries.ndim != 2 or queries.shape[1] != d:
        raise SettingsError(f"queries must have shape (q, {d}), but have {queries.shape}")
    if not usable(queries).all():
        raise DataError("queries contain NaN, infinity or vectors with a norm above 2e18; remove or repair them")
    check_k(k, n)
    return queries
