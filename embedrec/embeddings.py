"""Embeddings: a matrix, a vocabulary and a metric; and exact search in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.topk import TopK, best_first

Metric = Literal["cosine", "dot", "l2"]
METRICS: tuple[str, ...] = get_args(Metric)
_BLOCK = 1 << 24  # scores computed at a time: 64 MB


@dataclass(frozen=True, eq=False)
class Embeddings:
    """n vectors of d dimensions; row r belongs to `vocab.ids[r]`.

    vectors  (n, d) float32, finite
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
        vectors = np.ascontiguousarray(self.vectors, dtype=np.float32)
        object.__setattr__(self, "vectors", vectors)
        if self.metric not in METRICS:
            raise SettingsError(f"metric must be one of {', '.join(METRICS)}, but is {self.metric!r}")
        if vectors.ndim != 2 or len(vectors) != len(self.vocab) or not vectors.shape[1]:
            raise DataError(
                f"vectors must have shape ({len(self.vocab)}, d) for a vocabulary of {len(self.vocab)}, "
                f"but have {vectors.shape}"
            )
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            first = self.vocab.ids[int(np.argmin(finite))]
            raise DataError(
                f"{int((~finite).sum())} of {len(vectors)} vectors hold NaN or infinity, the first is that of "
                f"{first!r}; remove or repair them"
            )

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1])

    def rows_vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of rows (m,): (m, d) float32."""
        return self.vectors[rows]

    def search(self, queries: np.ndarray, k: int) -> TopK:
        """The exactly nearest k items of each query.

        queries  (q, d) float32
        Returns TopK (q, k). Raises SettingsError when k is not in 1 … n or dimensions differ.
        """
        queries = check_queries(queries, self.dim, k, len(self))
        return exact_search(self.vectors, queries, k, self.metric, self.vocab)


def check_queries(queries: np.ndarray, d: int, k: int, n: int) -> np.ndarray:
    """Queries as contiguous (q, d) float32; raises SettingsError when they or k do not fit n vectors of d."""
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    if queries.ndim != 2 or queries.shape[1] != d:
        raise SettingsError(f"queries must have shape (q, {d}), but have {queries.shape}")
    if not np.isfinite(queries).all():
        raise DataError("queries hold NaN or infinity; remove or repair them")
    if not 1 <= k <= n:
        raise SettingsError(f"k must lie between 1 and the {n} items there are, but is {k}")
    return queries


def exact_search(vectors: np.ndarray, queries: np.ndarray, k: int, metric: Metric, vocab: Vocab) -> TopK:
    """Exact search by blocks of a matrix product.

    vectors (n, d), queries (q, d) float32 → TopK (q, k)
    """
    from embedrec.kernels.topk import empty_best, merge_best

    if metric == "cosine":
        vectors, queries = unit(vectors), unit(queries)
    squares = np.einsum("ij,ij->i", vectors, vectors) if metric == "l2" else None  # (n,)
    rows, scores = empty_best(len(queries), k)
    step = max(1, _BLOCK // max(1, len(vectors)))
    for start in range(0, len(queries), step):
        q = queries[start : start + step]
        block = q @ vectors.T  # (b, n)
        if squares is not None:
            block = 2 * block - squares - np.einsum("ij,ij->i", q, q)[:, None]
        merge_best(block, 0, rows[start : start + step], scores[start : start + step])
    return best_first(rows, scores, vocab)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, d) scaled to norm 1; zero vectors stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1)).astype(np.float32, copy=False)
