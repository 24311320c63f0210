"""Embeddings: a matrix, a vocabulary and a metric; and exact search in them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from embedrec.config import check_choices
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.topk import TopK, best_first, check_k, some_rows

Metric = Literal["cosine", "dot", "l2"]
METRICS: tuple[str, ...] = get_args(Metric)
_BLOCK = 1 << 23  # scores computed at a time: 32 MB, and as many are looked through
_TOGETHER = 1 << 15  # vectors made ready at a time
_CENTRED = 1 << 16  # vectors whose mean is near enough to that of all
_SAFE = 1e12  # lengths whose products with unit vectors keep their digits, as do those of their inverses
_GATHERED = 1 << 20  # numbers gathered at a time: 8 MB
_LONGEST = float(np.finfo(np.float32).max) / 64  # squared length, so that no distance overflows


@dataclass(frozen=True, eq=False)
class Embeddings:
    """n vectors of d dimensions; row r belongs to `vocab.ids[r]`.

    vectors  (n, d) float32, finite, none longer than 2e18
    vocab    what the rows are
    metric   "cosine", "dot" (inner product) or "l2" (score = −squared distance): higher is nearer
    about    where the vectors come from

    Raises DataError for a wrong shape, and for NaN or infinite vectors (naming the first).
    """

    vectors: np.ndarray
    vocab: Vocab
    metric: Metric = "cosine"
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):
            vectors = np.ascontiguousarray(self.vectors, dtype=np.float32)
        object.__setattr__(self, "vectors", vectors)
        check_choices(self, {"metric": METRICS})
        if vectors.ndim != 2 or len(vectors) != len(self.vocab) or not vectors.shape[1]:
            raise DataError(
                f"vectors must have shape ({len(self.vocab)}, d) for a vocabulary of {len(self.vocab)}, "
                f"but have {vectors.shape}"
            )
        fit = usable(vectors)
        if not fit.all():
            first = int(np.argmin(fit))
            wrong = "hold NaN or infinity" if not np.isfinite(vectors[first]).all() else "are longer than 2e18"
            raise DataError(
                f"{int((~fit).sum())} of {len(vectors)} vectors {wrong}, the first is that of "
                f"{self.vocab.ids[first]!r}; remove or repair them"
            )

    @classmethod
    def usable(cls, vectors: np.ndarray, vocab: Vocab, metric: Metric) -> Embeddings:
        """Embeddings of vectors that were looked through before: float32, finite, as many as the ids."""
        made = object.__new__(cls)
        for name, value in (("vectors", vectors), ("vocab", vocab), ("metric", metric), ("about", {})):
            object.__setattr__(made, name, value)
        return made

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1])

    def search(self, queries: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> TopK:
        """The exactly nearest k items of each query.

        queries  (q, d) float32
        allowed  what may be found: (n,) bool or rows (m,); all where it is None
        Returns TopK (q, k), missing results −1 / −inf. Raises SettingsError when k is not in 1 … n, dimensions differ,
        or a row that is allowed is not there.
        """
        queries = check_queries(queries, self.dim, k, len(self))
        rows = None if allowed is None else some_rows(allowed, len(self))
        return exact_search(self.vectors, queries, k, self.metric, self.vocab, rows)


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


def exact_search(
    vectors: np.ndarray, queries: np.ndarray, k: int, metric: Metric, vocab: Vocab, some: np.ndarray | None = None
) -> TopK:
    """Exact search by blocks of a matrix product.

    vectors (n, d), queries (q, d) float32 → TopK (q, k)
    some  rows (m,) int64 that may be found, ascending; all where it is None
    """
    from embedrec.kernels.topk import empty_best, merge_best

    n = len(vectors) if some is None else len(some)
    rows, scores = empty_best(len(queries), k)
    if metric == "cosine":
        queries = unit(queries)
    elif metric == "l2":  # distances stay what they are, but |v|² − 2q·v + |q|² loses fewer digits
        centre = np.asarray(vectors[:: max(1, len(vectors) // _CENTRED)].mean(axis=0, dtype=np.float64), np.float32)
        queries = queries - centre
    step = max(1, _BLOCK // max(1, min(n, _TOGETHER)))
    merging: list[Future[None]] = []
    with ThreadPoolExecutor(1) as beside:  # finds the best of one block while the next is multiplied
        for first in range(0, n, _TOGETHER):
            block = slice(first, first + _TOGETHER)
            part = vectors[block] if some is None else vectors[some[block]]  # (b, d)
            lengths = squares = None  # (b,)
            if metric == "cosine":
                part, lengths = _with_lengths(part)
            elif metric == "l2":
                part = part - centre
                squares = np.einsum("ij,ij->i", part, part)
            for start in range(0, len(queries), step):
                here = slice(start, start + step)
                q = queries[here]
                found = q @ part.T  # (a, b)
                if lengths is not None:
                    found /= lengths
                if squares is not None:
                    found = 2 * found - squares - np.einsum("ij,ij->i", q, q)[:, None]
                while merging:
                    merging.pop().result()
                merging.append(beside.submit(merge_best, found, first, rows[here], scores[here]))
        while merging:
            merging.pop().result()
    if some is not None:
        rows = np.where(rows < 0, -1, np.append(some, -1)[rows])
    return best_first(rows, scores, vocab)


def _with_lengths(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Vectors (b, d) as they are and what to divide their products by (b,), which spares a copy; or, where products
    could overflow or lose digits, vectors of norm 1 and nothing."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    norms[norms == 0] = 1
    if not len(norms) or norms.min() < 1 / _SAFE or norms.max() > _SAFE:
        return unit(vectors), None
    return vectors, norms.astype(np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, d) scaled to norm 1; zero vectors stay zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))[:, None]  # (n, 1), also of tiny vectors
    scaled = np.empty(vectors.shape, dtype=np.float32)
    return np.divide(vectors, np.where(norms > 0, norms, 1), out=scaled, casting="same_kind")


def exact_scores(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray, metric: Metric) -> np.ndarray:
    """Scores (q, k) float32 of queries (q, d) with the vectors of rows (q, k).

    Each is summed by itself in float64, in an order of its own (`_summed`), so that it depends neither on other queries
    nor on threads, and equal vectors have equal scores; `kernels.exact` gives the same bits. What stands at a row of −1
    is of no use.
    """
    scores = np.empty(rows.shape, dtype=np.float32)
    step = max(1, _GATHERED // max(1, rows.shape[1] * vectors.shape[1]))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        found = vectors[rows[block]].astype(np.float64)  # (b, k, d)
        query = queries[block, None].astype(np.float64)  # (b, 1, d)
        if metric == "l2":
            scores[block] = 0 - _summed((found - query) ** 2)
            continue
        products = _summed(found * query)
        if metric == "cosine":
            lengths = np.sqrt(_summed(found**2) * _summed(query**2))
            products /= np.where(lengths > 0, lengths, 1)
        scores[block] = products
    return scores


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
