"""Embeddings: a matrix, a vocabulary and a metric; and exact search in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from embedrec.config import check_choices
from embedrec.data.topk import TopK, allowed_rows
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.vectors.exact_search import METRICS, Frame, Metric, check_queries, exact_search, frame_of, usable

__all__ = ["METRICS", "Embeddings", "Metric", "check_queries", "usable"]


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
    def checked(cls, vectors: np.ndarray, vocab: Vocab, metric: Metric) -> Embeddings:
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
        rows = None if allowed is None else allowed_rows(allowed, len(self))
        frame = self.frame if rows is None else None
        return exact_search(self.vectors, queries, k, self.metric, self.vocab, rows, frame)

    @cached_property
    def frame(self) -> Frame:
        """How the vectors are compared; found once, at the first search."""
        return frame_of(self.vectors, self.metric)
