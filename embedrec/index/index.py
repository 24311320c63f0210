"""The Index: vectors in a FAISS index with their vocabulary, and what was measured when it was built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from embedrec.data.topk import TopK, check_others, some_rows
from embedrec.data.vocab import Vocab, known_rows
from embedrec.index import flat_search, hnsw_batch, search_effort
from embedrec.index.faiss_parameters import check_settings, faiss_parameters
from embedrec.index.filtered_search import Subset, cells_of_labels, exact_candidates, is_small, search_among
from embedrec.index.ivf_batch import is_worthwhile, lists_of, search_by_cell
from embedrec.index.rescore import rescore
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.exact_search import check_queries, unit

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
    rows        (f,) int64 the row that each of FAISS's labels stands for, −1 for what was removed; None where they are
                the same; see `changes` and `locality`
    longest     M, where vectors are augmented; 0 where it is the largest norm of the embeddings
    file        of an index that was built on disk, the file that `faiss` is mapped from until it is saved
    """

    embeddings: Embeddings
    spec: str
    faiss: Any
    augmented: bool = False
    settings: SearchSettings = AS_BUILT
    measurements: Mapping[str, Any] = field(default_factory=dict)
    rows: np.ndarray | None = None
    longest: float = 0.0
    file: Path | None = None

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

    def search(
        self, queries: np.ndarray, k: int, settings: SearchSettings = AS_BUILT, *, allowed: np.ndarray | None = None
    ) -> TopK:
        """The nearest k items of each query.

        queries   (q, d) float32
        settings  of this search, over those of the index, which grow with k, see `effort`
        allowed   what may be found: (n,) bool or rows (m,); all where it is None. About as many of the nearest are
                  found as without a filter, see `filters`
        Returns TopK (q, k), wherever there are k; else missing results are −1 / −inf. Scores are exact: cosine, inner
        product, or −squared distance. Queries for which FAISS finds fewer than k are searched again, at last exactly.
        Raises SettingsError when k is not in 1 … n, dimensions differ, a row that is allowed is not there, or the type
        has no such setting; DataError for queries that are not finite.
        """
        queries = check_queries(queries, self.dim, k, len(self))
        check_settings(settings, self.faiss, self.spec)
        subset = None if allowed is None else some_rows(allowed, len(self))
        if self._graph is None or not self.uses_graph_batch(len(queries)):
            return self._best(queries, k, settings, subset)
        order = hnsw_batch.traversal_order(self._graph, self._prepare(queries))
        ordered, places = self._best(queries[order], k, settings, subset), np.argsort(order)
        return TopK(ordered.rows[places], ordered.scores[places], self.vocab)

    def _best(self, queries: np.ndarray, k: int, settings: SearchSettings, subset: np.ndarray | None) -> TopK:
        """The k best, by their exact scores, of what is proposed, or of all."""
        if subset is None and self._prefers_exact(k, settings):
            return self.embeddings.search(queries, k)
        results = self.search_once(queries, k, settings, subset)
        short = np.flatnonzero(results.rows[:, -1] < 0)
        return results if subset is not None or not len(short) else self._complete(results, short, queries, settings)

    def search_once(
        self, queries: np.ndarray, k: int, settings: SearchSettings = AS_BUILT, subset: np.ndarray | None = None
    ) -> TopK:
        """What one search finds: `search`, but with fewer than k results where FAISS finds fewer.

        subset  rows (m,) that may be found, ascending; all where it is None
        """
        if isinstance(self.faiss, faiss.IndexFlat) and self.faiss.ntotal == len(self):
            return self._search_flat(queries, k, settings, subset)
        rows = self.candidates(queries, k, settings, subset)
        return rescore(self.embeddings.vectors, queries, rows, k, self.metric, self.vocab)

    def _prefers_exact(self, k: int, settings: SearchSettings) -> bool:
        """Whether an exact search takes no longer, for more results than settings were found for."""
        if k <= self.measured_k or settings.nprobe is not None or settings.ef_search is not None:
            return False
        return search_effort.compares_most(self._effective_settings(settings, k), self.faiss)

    def _complete(self, results: TopK, short: np.ndarray, queries: np.ndarray, settings: SearchSettings) -> TopK:
        """Results (q, k) of which the queries `short` (m,) have fewer, with what harder searches find for these; where
        they come short too, with what an exact search finds."""
        rows, scores = results.rows.copy(), results.scores.copy()
        for more in search_effort.harder_settings(self._effective_settings(settings, results.k), self.faiss):
            again = self.search_once(queries[short], results.k, more)
            rows[short], scores[short] = again.rows, again.scores
            short = short[again.rows[:, -1] < 0]
            if not len(short):
                return TopK(rows, scores, self.vocab)
        exact = self.embeddings.search(queries[short], results.k)
        rows[short], scores[short] = exact.rows, exact.scores
        return TopK(rows, scores, self.vocab)

    def _search_flat(self, queries: np.ndarray, k: int, settings: SearchSettings, subset: np.ndarray | None) -> TopK:
        """The k best of all, or of some rows (m,), through a FAISS index that holds whole vectors in a row."""
        n = len(self) if subset is None else len(subset)
        if flat_search.prefers_matmul(len(queries), n):
            return flat_search.search_exact(self.embeddings, queries, k, subset)
        if subset is not None and is_small(len(subset), len(self)):
            rows = exact_candidates(self.embeddings, queries, k, subset, alone=True)
            rows = np.pad(rows, ((0, 0), (0, max(k - rows.shape[1], 0))), constant_values=-1)
            return rescore(self.embeddings.vectors, queries, rows, k, self.metric, self.vocab)
        labels = None if subset is None else self._labels(subset).selector
        parameters = faiss_parameters(self.faiss, settings, labels)

        def search(queries: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
            scores, results = self.faiss.search(queries, reach, params=parameters)
            return self._rows(results), -scores if self.metric == "l2" else scores

        parts = [
            queries[start : start + flat_search.MATMUL_QUERIES]
            for start in range(0, max(len(queries), 1), flat_search.MATMUL_QUERIES)
        ]
        reach = min(k + SPARE, n)
        results = [
            flat_search.search_verified(self.embeddings, part, k, subset, self._prepare(part), search, reach)
            for part in parts
        ]
        return TopK(np.vstack([f.rows for f in results]), np.vstack([f.scores for f in results]), self.vocab)

    def candidates(
        self, queries: np.ndarray, k: int, settings: SearchSettings = AS_BUILT, subset: np.ndarray | None = None
    ) -> np.ndarray:
        """What FAISS proposes for k results, or `search_by_cell` in its place: rows (q, c ≥ k) int64, −1 for missing.

        subset  rows (m,) that may be found, ascending; all where it is None

        Those of compressed vectors come with the nearest first.
        """
        chosen = self._effective_settings(settings, k)
        n = len(self) if subset is None else len(subset)
        reach = min(k * (chosen.rerank or 1) + SPARE, n)
        if subset is None and self.faiss.ntotal == n:
            rows = self._rows(self._search_labels(self._prepare(queries), reach, chosen))
        else:
            rows = self._candidates_among(queries, k, reach, chosen, np.arange(n) if subset is None else subset)
        nowhere = ~queries.any(axis=1)
        if self.metric != "l2" and nowhere.any():  # everything scores 0, of which FAISS may make nothing
            first = np.full(rows.shape[1], -1)
            first[:n] = np.arange(min(n, len(first))) if subset is None else subset[: len(first)]
            rows[nowhere] = first
        return rows

    def neighbours(
        self, rows: np.ndarray, k: int, settings: SearchSettings = AS_BUILT, *, allowed: np.ndarray | None = None
    ) -> TopK:
        """The k nearest other items of each row (q,) int64: TopK (q, k), the item itself left out.

        settings, allowed  as of `search`

        Raises SettingsError when the catalogue does not hold k other items, UnknownItemError for rows that are not
        there, and as `search` does.
        """
        rows = known_rows(rows, len(self))
        check_others(k, len(self))
        return self.search(self.embeddings.vectors[rows], k + 1, settings, allowed=allowed).without(rows)

    def _effective_settings(self, settings: SearchSettings, k: int) -> SearchSettings:
        """The settings of a search for k results: those given, over those of the index, which grow with k."""
        return settings.over(search_effort.scale_with_k(self.settings, self.faiss, k, self.measured_k))

    def uses_graph_batch(self, queries: int) -> bool:
        """Whether a batch of so many queries goes through a graph by `search_graph`, not by FAISS."""
        return self._graph is not None and hnsw_batch.is_large_batch(queries)

    @cached_property
    def measured_k(self) -> int:
        """The most results of a search that settings and facts are about, see `effort.measured_k`."""
        return search_effort.measured_k(self.measurements)

    def _search_labels(self, ready: np.ndarray, reach: int, chosen: SearchSettings) -> np.ndarray:
        """FAISS's labels (q, reach) of what is nearest to queries that are ready for it, −1 for missing."""
        lists, nprobe = self._lists, chosen.cells
        if lists is not None and is_worthwhile(len(ready), nprobe, len(lists), len(self)):
            return search_by_cell(self.faiss, lists, ready, reach, nprobe)
        graph = self._graph
        if graph is not None and hnsw_batch.is_large_batch(len(ready)):
            return hnsw_batch.search_graph(graph, ready, reach, min(chosen.candidates, self.faiss.ntotal))
        if (
            reach > self.measured_k * (chosen.rerank or 1) + SPARE
        ):  # FAISS ends before it has found more than candidates
            chosen = replace(chosen, ef_search=max(chosen.candidates, reach))
        labels: np.ndarray = self.faiss.search(ready, reach, params=faiss_parameters(self.faiss, chosen))[1]
        return labels

    def _candidates_among(
        self, queries: np.ndarray, k: int, reach: int, chosen: SearchSettings, those: np.ndarray
    ) -> np.ndarray:
        """What is proposed of some rows (m,) only: rows (q, c ≥ k)."""
        if not len(those) or not len(queries):
            return np.full((len(queries), k), -1, dtype=np.int64)
        subset = self._labels(those)
        search = partial(self._search_labels, chosen=chosen)
        rows = self._rows(search_among(self.faiss, subset, search, self._prepare(queries), reach, chosen))
        short = (rows < 0).all(axis=1)
        if short.any():
            exact = exact_candidates(
                self.embeddings, queries[short], min(k, len(those)), those, alone=bool(short.all())
            )
            spare = exact.shape[1] - rows.shape[1]
            rows = np.pad(rows, ((0, 0), (0, max(spare, 0))), constant_values=-1)
            rows[short] = np.pad(exact, ((0, 0), (0, max(-spare, 0))), constant_values=-1)
        return np.pad(rows, ((0, 0), (0, max(k - rows.shape[1], 0))), constant_values=-1)

    def _labels(self, those: np.ndarray) -> Subset:
        """Rows (m,) as FAISS's labels."""
        mask = np.zeros(len(self), dtype=bool)
        mask[those] = True
        labels = mask if self.rows is None else mask[self.rows] & (self.rows >= 0)
        return Subset(labels, len(those), self._cells)

    def _rows(self, labels: np.ndarray) -> np.ndarray:
        """The rows that FAISS's labels stand for, −1 for missing."""
        return labels if self.rows is None else np.where(labels < 0, -1, self.rows[labels])

    @cached_property
    def _lists(self) -> np.ndarray | None:
        """See `lists_of`; None where vectors are compared by distance and may be of any length."""
        return None if self.metric == "l2" else lists_of(self.faiss)

    @cached_property
    def _graph(self) -> hnsw_batch.Graph | None:
        return hnsw_batch.graph_of(self.faiss)

    @cached_property
    def _cells(self) -> np.ndarray:
        """The cell of each of FAISS's labels (f,) int64, −1 where it was removed; empty where there are no cells."""
        return cells_of_labels(self.faiss, len(self) if self.rows is None else len(self.rows))

    def _prepare(self, queries: np.ndarray) -> np.ndarray:
        if self.augmented:  # the length of a query changes nothing but the digits that are left
            return np.pad(unit(queries), ((0, 0), (0, 1)))
        return unit(queries) if self.metric == "cosine" else queries
