"""Exact search: candidates by a matrix product in float32, whose errors have bounds, compared again in float64.

A product in float32 loses digits where vectors lie far from the origin, or differ much in size. So each approximate
score stands for an interval that holds the exact one (Higham 2002, chapter 3). The best candidates are scored again in
float64. Where the next one might be as good as the last of them, all whose interval reaches so far are scored again.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import frexp
from typing import Literal, get_args

import numpy as np

from embedrec.data.topk import TopK, check_k
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError

Metric = Literal["cosine", "dot", "l2"]
_CODES = {"cosine": 0, "dot": 1, "l2": 2}  # of metrics, for kernels
BLOCK_SCORES = 1 << 23  # scores computed at a time: 32 MB, and as many are looked through
BLOCK_ROWS = 1 << 15  # vectors prepared at a time
_SAMPLE = 1 << 10  # vectors whose medians are the centre
SPARE_CANDIDATES = 4  # candidates beyond k, so that the k best of them are seldom in doubt
_SAFE = 1e12  # lengths whose products with unit vectors keep their digits, as do those of their inverses
_RANGE = (2.0**-30, 2.0**40)  # largest lengths whose squares neither vanish nor overflow
_UNIT = 2.0**-24  # relative error of one operation in float32
_SLACK = 16  # operations beside the d of a sum, generously
_TINY = 2.0**-120  # absolute error of a product that vanishes
_SMALLEST = 2.0**-126  # below it, float32 loses digits
GATHERED_NUMBERS = 1 << 20  # numbers gathered at a time: 8 MB


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, d) scaled to norm 1; zero vectors stay zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))[:, None]  # (n, 1), also of tiny vectors
    scaled = np.empty(vectors.shape, dtype=np.float32)
    return np.divide(vectors, np.where(norms > 0, norms, 1), out=scaled, casting="same_kind")


def exact_scores(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray, metric: Metric) -> np.ndarray:
    """Scores (q, k) float32 of queries (q, d) with the vectors of rows (q, k); see `exact_keys`."""
    return exact_keys(vectors, queries, rows, metric).astype(np.float32)


def exact_keys(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray, metric: Metric) -> np.ndarray:
    """What results are ordered by: scores (q, k) float64 of queries (q, d) with the vectors of rows (q, k).

    Each is summed by itself in float64, in an order of its own (`_summed`), so that it depends neither on other queries
    nor on threads, and equal vectors have equal scores. It is rounded to the 24 bits of float32, but never vanishes;
    `kernels.exact` gives the same bits. What stands at a row of −1 is of no use.
    """
    keys = np.empty(rows.shape)
    step = max(1, GATHERED_NUMBERS // max(1, rows.shape[1] * vectors.shape[1]))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        gathered = vectors[rows[block]].astype(np.float64)  # (b, k, d)
        query = queries[block, None].astype(np.float64)  # (b, 1, d)
        if metric == "l2":
            keys[block] = 0 - _summed((gathered - query) ** 2)
            continue
        products = _summed(gathered * query)
        if metric == "cosine":
            lengths = np.sqrt(_summed(gathered**2) * _summed(query**2))
            products /= np.where(lengths > 0, lengths, 1)
        keys[block] = products
    return rounded(keys)


def rounded(keys: np.ndarray) -> np.ndarray:
    """Numbers rounded to the 24 bits of float32 and its upper, but not its lower bound of size: float64."""
    small = np.abs(keys) < _SMALLEST
    up = (np.where(small, keys, 0) * 2.0**200).astype(np.float32).astype(np.float64)
    return np.where(small, up * 2.0**-200, keys.astype(np.float32))


def _summed(terms: np.ndarray) -> np.ndarray:
    """Sums (…,) of terms (…, d) in eight lanes, the order of `kernels.exact`."""
    lanes = np.zeros((*terms.shape[:-1], 8))
    for start in range(0, terms.shape[-1], 8):
        part = terms[..., start : start + 8]
        lanes[..., : part.shape[-1]] += part
    fours = lanes[..., :4] + lanes[..., 4:]
    twos = fours[..., :2] + fours[..., 2:]
    sums: np.ndarray = twos[..., 0] + twos[..., 1]
    return sums


def relative_error(d: int) -> float:
    """Most by which a sum of d products in float32 differs from the exact one, in units of |q||v|."""
    return (d + _SLACK) * _UNIT


@dataclass(frozen=True, eq=False)
class Frame:
    """How vectors (n, d) are compared in float32 so that few digits are lost.

    sizes   (n,) float64 norms of the vectors; for l2 squared norms of v − centre
    scale   a power of two that vectors are multiplied by, so that squares neither vanish nor overflow
    centre  (d,) float32 for l2: medians of the coordinates, near most vectors wherever they lie; None for others
    """

    sizes: np.ndarray
    scale: float
    centre: np.ndarray | None = None

    @property
    def longest(self) -> float:
        """The largest norm of what is compared, before it is scaled."""
        largest = float(self.sizes.max(initial=0.0))
        return largest if self.centre is None else largest**0.5

    def ready(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (m, d) float32 as they are compared."""
        part = vectors if self.centre is None else vectors - self.centre
        return part if self.scale == 1 else part * np.float32(self.scale)


def frame_of(vectors: np.ndarray, metric: Metric, subset: np.ndarray | None = None) -> Frame:
    """The frame of vectors (n, d); of some rows (m,) of them only, where they are given."""
    n = len(vectors) if subset is None else len(subset)
    step, centre = max(1, n // _SAMPLE), None
    if metric == "l2" and n:
        sample = vectors[::step] if subset is None else vectors[subset[::step]]
        centre = np.median(sample, axis=0).astype(np.float32)
    frame, sizes = Frame(np.zeros(0), 1.0, centre), np.empty(n)
    for first in range(0, n, BLOCK_ROWS):
        block = slice(first, first + BLOCK_ROWS)
        part = frame.ready(vectors[block] if subset is None else vectors[subset[block]])
        sizes[block] = np.einsum("ij,ij->i", part, part, dtype=np.float64)
    sizes = sizes if metric == "l2" else np.sqrt(sizes)
    longest = Frame(sizes, 1.0, centre).longest
    good = metric == "cosine" or not longest or _RANGE[0] <= longest <= _RANGE[1]
    return Frame(sizes, 1.0 if good else 2.0 ** min(-frexp(longest)[1], 126), centre)


@dataclass(frozen=True, eq=False)
class Bound:
    """What the approximate scores of queries stand for: no exact score is above slope · (approximate + slack) + offset.

    slope   (q, 1) float64; 0 where all scores are 0
    slack   (n,) float64, of each vector
    offset  (q, 1) float64
    """

    slope: np.ndarray
    slack: np.ndarray
    offset: np.ndarray

    def sure(self, last: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Whether no vector is as good as the last result: (q,) bool.

        last  (q,) float64 the exact score of the last result of each query
        rest  (q,) approximate scores that no other vector exceeds
        """
        most = self.slope[:, 0] * (rest + self.slack.max(initial=0.0)) + self.offset[:, 0]
        sure: np.ndarray = (last > rounded(most)) | (self.slope[:, 0] == 0)
        return sure


@dataclass(frozen=True, eq=False)
class Comparison:
    """Queries and vectors in a frame.

    queries  (q, d) float32 as they are multiplied: cosine, dot: of norm 1; l2: 2(q − centre)
    divide   (n,) float32 what products are divided by (cosine); None where vectors are scaled to norm 1 instead
    less     (n,) float32 what is subtracted from products (l2): a bit less than |v − centre|²; else None
    """

    metric: Metric
    frame: Frame
    queries: np.ndarray
    bound: Bound
    divide: np.ndarray | None = None
    less: np.ndarray | None = None

    @classmethod
    def of(cls, queries: np.ndarray, metric: Metric, frame: Frame, *, unit_error: float = _UNIT) -> Comparison:
        """unit_error  the relative error of one operation"""
        n, d = len(frame.sizes), queries.shape[1]
        error = relative_error(d) * unit_error / _UNIT
        scale, none = frame.scale, np.zeros((len(queries), 1))
        if metric == "l2":
            ready = frame.ready(queries)
            squares = np.einsum("ij,ij->i", ready, ready, dtype=np.float64)[:, None] / scale**2
            # |q·v| is at most (|q|² + |v|²) / 2, so that this much less of both is an upper bound of −|q − v|²
            bound = Bound(np.full_like(none, scale**-2), np.full(n, d * _TINY), -(1 - error) * squares)
            less = ((1 - error) * scale**2 * frame.sizes).astype(np.float32)
            return cls(metric, frame, 2 * ready, bound, less=less)
        norms = np.sqrt(np.einsum("ij,ij->i", queries, queries, dtype=np.float64))[:, None]
        if metric == "dot":
            slack = error * scale * frame.sizes + d * _TINY
            return cls(metric, frame, unit(queries), Bound(norms / scale, slack, none))
        bound = Bound((norms > 0).astype(np.float64), np.full(n, error), none)
        lengths = np.where(frame.sizes > 0, frame.sizes, 1)
        safe = n and lengths.min() >= 1 / _SAFE and lengths.max() <= _SAFE
        return cls(metric, frame, unit(queries), bound, divide=lengths.astype(np.float32) if safe else None)

    def take(self, rows: np.ndarray) -> Comparison:
        """The same of some of the queries (m,)."""
        bound = Bound(self.bound.slope[rows], self.bound.slack, self.bound.offset[rows])
        return Comparison(self.metric, self.frame, self.queries[rows], bound, self.divide, self.less)

    def prepared(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (m, d) as they are multiplied."""
        return unit(vectors) if self.metric == "cosine" and self.divide is None else self.frame.ready(vectors)

    def scores(self, vectors: np.ndarray, subset: np.ndarray | None) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Approximate scores by blocks: which vectors, which queries, their scores (a, b) float32."""
        n = len(self.frame.sizes)
        step = max(1, BLOCK_SCORES // max(1, min(n, BLOCK_ROWS)))
        for first in range(0, n, BLOCK_ROWS):
            block = slice(first, first + BLOCK_ROWS)
            part = self.prepared(vectors[block] if subset is None else vectors[subset[block]])
            for start in range(0, len(self.queries), step):
                columns = slice(start, start + step)
                products = self.queries[columns] @ part.T
                if self.divide is not None:
                    products /= self.divide[block]
                if self.less is not None:
                    products -= self.less[block]
                yield block, columns, products


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
    subset rows (m,) int64 that may be found, ascending; all where it is None
    frame  of the vectors that may be found; None for making one
    """
    from embedrec.kernels.rescore import rescore, sort_heaps
    from embedrec.kernels.topk import empty_best

    n = len(vectors) if subset is None else len(subset)
    rows, keys = np.full((len(queries), k), -1, dtype=np.int64), np.full((len(queries), k), -np.inf)
    reach, best = min(k + SPARE_CANDIDATES, n), min(k, n)
    if reach == n:  # all are candidates
        everything = np.broadcast_to(np.arange(n) if subset is None else subset, (len(queries), n))
        rescore(vectors, queries, everything, _CODES[metric], rows, keys)
        return TopK(rows, keys, vocab)
    compared = Comparison.of(queries, metric, frame_of(vectors, metric, subset) if frame is None else frame)
    places, approximate = empty_best(len(queries), reach)
    _merge(compared, vectors, subset, places, approximate)
    sort_heaps(places, approximate)
    rest = approximate[:, -1]
    rescore(vectors, queries, places if subset is None else subset[places], _CODES[metric], rows, keys)
    doubtful = np.flatnonzero(~compared.bound.sure(keys[:, best - 1], rest))
    if len(doubtful):
        rows[doubtful], keys[doubtful] = _rescanned(
            compared.take(doubtful), vectors, queries[doubtful], subset, keys[doubtful, best - 1], k
        )
    return TopK(rows, keys, vocab)


def _merge(
    compared: Comparison, vectors: np.ndarray, subset: np.ndarray | None, places: np.ndarray, scores: np.ndarray
) -> None:
    """Write the best places among what may be found (q, c) and their approximate scores (q, c), heaps."""
    from embedrec.kernels.topk import merge_best

    merging: list[Future[None]] = []
    with ThreadPoolExecutor(1) as beside:  # finds the best of one block while the next is multiplied
        for block, columns, part_scores in compared.scores(vectors, subset):
            while merging:
                merging.pop().result()
            merging.append(beside.submit(merge_best, part_scores, block.start, places[columns], scores[columns]))
        while merging:
            merging.pop().result()


def _rescanned(
    compared: Comparison, vectors: np.ndarray, queries: np.ndarray, subset: np.ndarray | None, least: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best rows (q, k) and their keys (q, k), where every vector that may be among them is scored in float64.

    least  (q,) what the k-th of them reaches at least
    """
    from embedrec.kernels.rescore import rescan, sort_heaps

    rows, keys = np.full((len(queries), k), -1, dtype=np.int64), np.full((len(queries), k), -np.inf)
    everything, bound = np.arange(len(vectors)) if subset is None else subset, compared.bound
    for block, columns, scores in compared.scores(vectors, subset):
        rescan(
            scores, bound.slack[block], bound.slope[columns, 0], bound.offset[columns, 0], least[columns],
            vectors, everything[block], queries[columns], _CODES[compared.metric], rows[columns], keys[columns],
        )  # fmt: skip
    sort_heaps(rows, keys)
    return rows, keys


METRICS: tuple[str, ...] = get_args(Metric)


_LONGEST = float(np.finfo(np.float32).max) / 64  # squared length, so that no distance overflows


def usable(vectors: np.ndarray) -> np.ndarray:
    """Which vectors (n, d) can be compared: (n,) bool, false for NaN, infinity, and lengths whose square overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.einsum("ij,ij->i", vectors, vectors) <= _LONGEST


def check_queries(queries: np.ndarray, d: int, k: int, n: int) -> np.ndarray:
    """Queries as contiguous (q, d) float32; raises SettingsError when they or k do not fit n vectors of d."""
    with np.errstate(over="ignore"):
        queries = np.ascontiguousarray(queries, dtype=np.float32)
    if queries.ndim != 2 or queries.shape[1] != d:
        raise SettingsError(f"queries must have shape (q, {d}), but have {queries.shape}")
    if not usable(queries).all():
        raise DataError("queries hold NaN, infinity or vectors longer than 2e18; remove or repair them")
    check_k(k, n)
    return queries
