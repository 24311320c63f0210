"""Embeddings: a matrix, a vocabulary and a metric; and exact search in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args

import numpy as np

from embedrec.config import check_choices
from embedrec.data.topk import TopK, check_k, some_rows
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.vectors.exact_search import Frame, Metric, exact_search, frame_of

__all__ = ["METRICS", "Embeddings", "Metric", "check_queries", "usable"]
METRICS: tuple[str, ...] = get_args(Metric)
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
        frame = self.frame if rows is None else None
        return exact_search(self.vectors, queries, k, self.metric, self.vocab, rows, frame)

    @cached_property
    def frame(self) -> Frame:
        """How the vectors are compared; found once, at the first search."""
        return frame_of(self.vectors, self.metric)


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
