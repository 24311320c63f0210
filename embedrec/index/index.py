"""The Index: vectors in a FAISS index with their vocabulary, and what was measured when it was built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.embeddings import Embeddings, Metric, check_queries, unit
from embedrec.index.grouped import grouped, lists_of, pays
from embedrec.index.parameters import check_settings, faiss_parameters
from embedrec.index.scoring import rescored
from embedrec.index.settings import AS_BUILT, SearchSettings
from embedrec.topk import TopK, check_others

SPARE = 8  # results beyond k that are scored again: the last digits of FAISS's scores vary with threads and batches


@dataclass(frozen=True, eq=False)
class Index:
    """An immutable index; what changes one search is an argument of that search. Safe to share between threads.

    embeddings  the vectors as they were given; queries by row and exact scores come from them
    spec        FAISS factory string
    faiss       the FAISS index; cosine: unit vectors by inner product; l2: by L2; dot: see `augmented`
    augmented   inner products as L2 over vectors x/M with one more coordinate √(1 − ‖x/M‖²), M the largest norm
                (Bachrach et al. 2014): IVF cells of vectors that differ in norm need it
    settings    of searches that say nothing else; None where the type has no such setting
    facts       measured at the build: "recall@20", milliseconds a query, queries a second, seconds, bytes
    """

    embeddings: Embeddings
    spec: str
    faiss: Any
    augmented: bool = False
    settings: SearchSettings = AS_BUILT
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def vocab(self) -> Vocab:
        return self.embeddings.vocab

    @property
    def metric(self) -> Metric:
        return self.embeddings.metric

    @property
    def dim(self) -> int:
        return self.embeddings.dim

    def __len__(self) -> int:
        return len(self.embeddings)

    def search(self, queries: np.ndarray, k: int, settings: SearchSettings = AS_BUILT) -> TopK:
        """The nearest k items of each query.

        queries   (q, d) float32
        settings  of this search, over those of the index
        Returns TopK (q, k), missing results −1 / −inf; scores are exact: cosine, inner product, or −squared distance.
        Raises SettingsError when k is not in 1 … n, dimensions differ, or the type has no such setting; DataError for
        queries that are not finite.
        """
        queries = check_queries(queries, self.dim, k, len(self))
        check_settings(settings, self.faiss, self.spec)
        rows = self.proposed(queries, k, settings)
        return rescored(self.embeddings.vectors, queries, rows, k, self.metric, self.vocab)

    def proposed(self, queries: np.ndarray, k: int, settings: SearchSettings = AS_BUILT) -> np.ndarray:
        """What FAISS proposes for k results, or `grouped` in its place: rows (q, c ≥ k) int64, −1 for missing.

        Those of compressed vectors come with the nearest first.
        """
        chosen = settings.over(self.settings)
        reach = min(k * (chosen.rerank or 1) + SPARE, len(self))
        ready, nprobe = self._ready(queries), chosen.nprobe or 1
        lists = self._lists if chosen.selector is None else None
        if lists is not None and pays(len(ready), nprobe, len(lists), len(self)):
            rows = grouped(self.faiss, lists, ready, reach, nprobe)
        else:
            rows = self.faiss.search(ready, reach, params=faiss_parameters(self.faiss, chosen))[1]
        if self.metric != "l2" and chosen.selector is None:
            rows[~queries.any(axis=1)] = np.arange(reach)  # everything scores 0, of which FAISS may make nothing
        return rows

    def neighbours(self, rows: np.ndarray, k: int, settings: SearchSettings = AS_BUILT) -> TopK:
        """The k nearest other items of each row (q,) int64: TopK (q, k), the item itself left out.

        Raises SettingsError when the catalogue does not hold k other items.
        """
        check_others(k, len(self))
        return self.search(self.embeddings.vectors[rows], k + 1, settings).without(rows)

    @cached_property
    def _lists(self) -> np.ndarray | None:
        """See `lists_of`; None where vectors are compared by distance and may be of any length."""
        return None if self.metric == "l2" else lists_of(self.faiss)

    def _ready(self, queries: np.ndarray) -> np.ndarray:
        if self.augmented:  # the length of a query changes nothing but the digits that are left
            return np.pad(unit(queries), ((0, 0), (0, 1)))
        return unit(queries) if self.metric == "cosine" else queries
