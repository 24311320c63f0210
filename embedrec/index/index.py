"""The Index: vectors in a FAISS index with their vocabulary, and what was measured when it was built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np

from embedrec.data.topk import TopK, allowed_rows, check_neighbour_count
from embedrec.data.vocab import Vocab, valid_rows
from embedrec.index import exact_results, search_parameters
from embedrec.index.exact_results import rescore
from embedrec.index.search_parameters import check_settings, faiss_parameters
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.text import Described, Summary, counted
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.exact_search import METRICS, check_queries, unit

if TYPE_CHECKING:
    from embedrec.index.filtered_search import Subset
    from embedrec.index.hnsw_batch import Graph
    from embedrec.index.ivf_bytes import ByteCells, ByteSearch

SPARE = 8  # candidates beyond k that are rescored: FAISS's scores vary in their last digits with threads and batches


@dataclass(frozen=True, eq=False, repr=False)
class Index(Described):
    """An immutable index; what changes one search is an argument of that search. Safe to share between threads.

    embeddings    the original vectors; the source of exact scores, and of queries by row
    spec          FAISS factory string
    faiss         the FAISS index: of unit vectors by inner product (cosine), by L2 (l2); for dot see `augmented`
    augmented     inner products as L2 distances of vectors x/M with an additional coordinate √(1 − ‖x/M‖²), M the
                  largest norm (Bachrach et al. 2014): IVF cells need it for vectors that differ in norm
    settings      default search settings; None where the type has no such setting
    measurements  of the build: "recall@20", milliseconds a query, queries a second, seconds, bytes
    rows          (f,) int64 the row of each FAISS label, −1 for removed vectors; None if labels are rows; see `update`
                  and `hnsw_build.local_order`
    max_norm      M of augmented vectors; 0 if it is the largest norm of the embeddings
    file          of an index that was built on disk, the file that `faiss` is mapped from until it is saved

    >>> import numpy as np
    >>> from embedrec import Embeddings, Vocab, build_index
    >>> vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]])
    >>> index = build_index(Embeddings(vectors, Vocab(["bread", "jam", "nail"])), "flat")
    >>> index
    Index(Flat, 3 vectors, 2 dimensions, cosine, recall@20 1)
    """

    embeddings: Embeddings
    spec: str
    faiss: Any
    augmented: bool = False
    settings: SearchSettings = AS_BUILT
    measurements: Mapping[str, Any] = field(default_factory=dict)
    rows: np.ndarray | None = None
    max_norm: float = 0.0
    file: Path | None = None

    @property
    def vocab(self) -> Vocab:
        """The n items, of the embeddings."""
        return self.embeddings.vocab

    @property
    def metric(self) -> Metric:
        """The metric of the scores: "cosine", "dot" or "l2"."""
        return self.embeddings.metric

    @property
    def dim(self) -> int:
        """The number d of dimensions."""
        return self.embeddings.dim

    def __len__(self) -> int:
        return len(self.embeddings)

    def _summary(self) -> Summary:
        numbers = {name: n for name, n in self.measurements.items() if isinstance(n, int | float)}
        recalls = [f"{name} {number:.4g}" for name, number in numbers.items() if name.startswith("recall@")]
        parts = [self.spec, *counted(vectors=len(self), dimensions=self.dim), self.metric, *recalls]
        return Summary(parts, {"measured": [*numbers], "value": [*numbers.values()]} if numbers else {})

    def search(
        self, queries: np.ndarray, k: int, settings: SearchSettings = AS_BUILT, *, allowed: np.ndarray | None = None
    ) -> TopK:
        """The nearest k items of each query.

        queries   (q, d) float32
        settings  override those of the index, which grow with k, see `search_parameters`
        allowed   items that may be found: (n,) bool or rows (m,); None for all. Recall is about that of an unfiltered
                  search, see `filtered_search`

        Returns TopK (q, k) with exact scores: cosine, inner product, or −squared distance. Queries for which FAISS
        returns fewer than k results are searched again with a larger effort, finally exactly; results are missing
        (−1 / −inf) only if fewer than k items are allowed. Raises SettingsError if k is not in 1 … n, dimensions
        differ, an allowed row does not exist, or the type has no such setting; DataError for queries that are not
        finite.

        >>> import numpy as np
        >>> from embedrec import Embeddings, Vocab, build_index
        >>> vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]])
        >>> index = build_index(Embeddings(vectors, Vocab(["bread", "jam", "nail"])), "flat")
        >>> index.search(np.array([[0.0, 2.0]]), 2).ids()
        [['nail', 'jam']]
        """
        results = self._search_prepared(queries, k, settings) if allowed is None else None
        if results is not None:
            return results
        return self._search_checked(check_queries(queries, self.dim, k, len(self)), k, settings, allowed)

    def _search_prepared(self, queries: np.ndarray, k: int, settings: SearchSettings) -> TopK | None:
        """`search` where an earlier one with this k and these settings has left a prepared search that suits the
        queries; else None."""
        prepared = self._byte_searches.get((settings, k))
        return None if prepared is None else prepared.search(queries)

    def _search_checked(
        self, queries: np.ndarray, k: int, settings: SearchSettings, allowed: np.ndarray | None
    ) -> TopK:
        """`search` for queries and a k that are known to fit."""
        check_settings(settings, self.faiss, self.spec)
        subset = None if allowed is None else allowed_rows(allowed, len(self))
        graph = self._graph
        if graph is None or not self.uses_graph_batch(len(queries)):
            return self._search_complete(queries, k, settings, subset)
        from embedrec.index.hnsw_batch import traversal_order

        order = traversal_order(graph, self.prepare_queries(queries))
        results, inverse = self._search_complete(queries[order], k, settings, subset), np.argsort(order)
        return TopK(results.rows[inverse], results.scores[inverse], self.vocab)

    def neighbours(
        self, rows: np.ndarray, k: int, settings: SearchSettings = AS_BUILT, *, allowed: np.ndarray | None = None
    ) -> TopK:
        """The k nearest other items of each row (q,) int64: TopK (q, k), without the item itself.

        settings, allowed  as of `search`

        Raises SettingsError if there are fewer than k other items, UnknownItemError for rows that do not exist, and as
        `search` does.

        >>> import numpy as np
        >>> from embedrec import Embeddings, Vocab, build_index
        >>> vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]])
        >>> index = build_index(Embeddings(vectors, Vocab(["bread", "jam", "nail"])), "flat")
        >>> index.neighbours(index.vocab.rows(["bread"]), 1).to_arrow(["bread"]).to_pylist()
        [{'query': 'bread', 'rank': 1, 'item': 'jam', 'score': 0.800000011920929}]
        """
        rows = valid_rows(rows, len(self))
        check_neighbour_count(k, len(self))
        queries = self.embeddings.vectors[rows]
        results = self._search_prepared(queries, k + 1, settings) if allowed is None else None
        if results is None:
            results = self._search_checked(queries, k + 1, settings, allowed)
        return results.without(rows)

    def _search_complete(
        self, queries: np.ndarray, k: int, settings: SearchSettings, subset: np.ndarray | None
    ) -> TopK:
        """`search_once`, repeated for queries with fewer than k results; or an exact search if that is as fast."""
        if subset is None and self.prefers_exact(k, settings):
            return self.embeddings.search(queries, k)
        byte_search = None if subset is not None else self._byte_search(len(queries), k, settings)
        if byte_search is not None:
            self._byte_searches[settings, k] = byte_search
        results = self.search_once(queries, k, settings, subset)
        short = np.flatnonzero(results.rows[:, -1] < 0)
        return results if subset is not None or not len(short) else self._retry(results, short, queries, settings)

    def search_once(
        self, queries: np.ndarray, k: int, settings: SearchSettings = AS_BUILT, subset: np.ndarray | None = None
    ) -> TopK:
        """`search` without a second search for queries for which FAISS returns fewer than k results.

        subset  rows (m,) that may be found, ascending; None for all
        """
        if isinstance(self.faiss, faiss.IndexFlat) and self.faiss.ntotal == len(self):
            return self._search_flat(queries, k, settings, subset)
        byte_search = None if subset is not None else self._byte_search(len(queries), k, settings)
        results = None if byte_search is None else byte_search.search(queries)
        if results is not None:
            return results
        rows = self.candidates(queries, k, settings, subset)
        return rescore(self.embeddings.vectors, queries, rows, k, self.metric, self.vocab)

    def _byte_search(self, queries: int, k: int, settings: SearchSettings) -> ByteSearch | None:
        """The search of byte codes for the k nearest of so many queries; None where there are none, or FAISS is
        faster."""
        cells = self.byte_cells
        if cells is None or self.faiss.ntotal != len(self):
            return None
        from embedrec.index.ivf_bytes import ByteSearch, is_worthwhile

        effective = self.effective_settings(settings, k)
        if not is_worthwhile(queries, effective.cells, len(cells.lists), len(self)):
            return None
        count, code = min(k * (effective.rerank or 1) + SPARE, len(self)), METRICS.index(self.metric)
        return ByteSearch(cells, code, self.vocab, self.rows, k, count, effective.cells)

    @cached_property
    def _byte_searches(self) -> dict[tuple[SearchSettings, int], ByteSearch]:
        """Searches by settings and k. To find out for a single query what these come to takes as long as its search."""
        return {}

    def prefers_exact(self, k: int, settings: SearchSettings) -> bool:
        """Whether an exact search is as fast, for a larger k than the settings were tuned for."""
        if k <= self.measured_k or settings.nprobe is not None or settings.ef_search is not None:
            return False
        return search_parameters.is_nearly_exhaustive(self.effective_settings(settings, k), self.faiss)

    def _retry(self, results: TopK, short: np.ndarray, queries: np.ndarray, settings: SearchSettings) -> TopK:
        """Results (q, k) in which the queries `short` (m,) have fewer than k, completed by searches with a larger
        effort, finally by an exact search."""
        rows, scores = results.rows.copy(), results.scores.copy()
        for more in search_parameters.retry_settings(self.effective_settings(settings, results.k), self.faiss):
            again = self.search_once(queries[short], results.k, more)
            rows[short], scores[short] = again.rows, again.scores
            short = short[again.rows[:, -1] < 0]
            if not len(short):
                return TopK(rows, scores, self.vocab)
        exact = self.embeddings.search(queries[short], results.k)
        rows[short], scores[short] = exact.rows, exact.scores
        return TopK(rows, scores, self.vocab)

    def _search_flat(self, queries: np.ndarray, k: int, settings: SearchSettings, subset: np.ndarray | None) -> TopK:
        """The k best of all vectors, or of some rows (m,), through a flat FAISS index."""
        n = len(self) if subset is None else len(subset)
        if exact_results.prefers_matmul(len(queries), n):
            return exact_results.search_exact(self.embeddings, queries, k, subset)
        selector = None
        if subset is not None:
            from embedrec.index.filtered_search import exact_candidates, is_small

            if is_small(len(subset), len(self)):
                rows = _pad_columns(exact_candidates(self.embeddings, queries, k, subset, only=True), k)
                return rescore(self.embeddings.vectors, queries, rows, k, self.metric, self.vocab)
            selector = self._faiss_subset(subset).selector
        parameters = faiss_parameters(self.faiss, settings, selector)

        def search(queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
            scores, labels = self.faiss.search(queries, count, params=parameters)
            return self._rows_of_labels(labels), -scores if self.metric == "l2" else scores

        step, count = exact_results.MATMUL_QUERIES, min(k + SPARE, n)
        blocks = [queries[start : start + step] for start in range(0, max(len(queries), 1), step)]
        results = [
            exact_results.search_verified(self.embeddings, block, k, subset, self.prepare_queries(block), search, count)
            for block in blocks
        ]
        return TopK(np.vstack([r.rows for r in results]), np.vstack([r.scores for r in results]), self.vocab)

    def candidates(
        self, queries: np.ndarray, k: int, settings: SearchSettings = AS_BUILT, subset: np.ndarray | None = None
    ) -> np.ndarray:
        """Candidates for k results from FAISS or a batch search in its place: rows (q, c ≥ k) int64, −1 for missing.

        subset  rows (m,) that may be found, ascending; None for all

        Candidates of compressed vectors come nearest first.
        """
        effective = self.effective_settings(settings, k)
        n = len(self) if subset is None else len(subset)
        count = min(k * (effective.rerank or 1) + SPARE, n)
        if subset is None and self.faiss.ntotal == n:
            rows = self._rows_of_labels(self._search_labels(self.prepare_queries(queries), count, effective))
        else:
            rows = self._subset_candidates(queries, k, count, effective, np.arange(n) if subset is None else subset)
        if self.metric != "l2" and not (nonzero := queries.any(axis=1)).all():
            # all scores of a zero query are 0, for which FAISS may return nothing
            first = np.full(rows.shape[1], -1)
            first[:n] = np.arange(min(n, len(first))) if subset is None else subset[: len(first)]
            rows[~nonzero] = first
        return rows

    def _subset_candidates(
        self, queries: np.ndarray, k: int, count: int, settings: SearchSettings, subset: np.ndarray
    ) -> np.ndarray:
        """Candidates among some rows (m,): rows (q, c ≥ k)."""
        from embedrec.index.filtered_search import exact_candidates, search_subset

        if not len(subset) or not len(queries):
            return np.full((len(queries), k), -1, dtype=np.int64)
        search = partial(self._search_labels, settings=settings)
        labels = search_subset(
            self.faiss, self._faiss_subset(subset), search, self.prepare_queries(queries), count, settings
        )
        rows = self._rows_of_labels(labels)
        short = (rows < 0).all(axis=1)
        if short.any():
            exact = exact_candidates(
                self.embeddings, queries[short], min(k, len(subset)), subset, only=bool(short.all())
            )
            rows = _pad_columns(rows, exact.shape[1])
            rows[short] = _pad_columns(exact, rows.shape[1])
        return _pad_columns(rows, k)

    def effective_settings(self, settings: SearchSettings, k: int) -> SearchSettings:
        """The settings of a search for k results: the given ones over those of the index, scaled with k."""
        known = self._effective.get((settings, k))
        if known is None:
            known = settings.over(search_parameters.scale_with_k(self.settings, self.faiss, k, self.measured_k))
            self._effective[settings, k] = known
        return known

    @cached_property
    def _effective(self) -> dict[tuple[SearchSettings, int], SearchSettings]:
        """The effective settings of earlier searches: for a single query they take as long as the search of a cell."""
        return {}

    def uses_graph_batch(self, queries: int) -> bool:
        """Whether `hnsw_batch`, rather than FAISS, searches a batch of this size."""
        if self._graph is None:
            return False
        from embedrec.index.hnsw_batch import is_large_batch

        return is_large_batch(queries)

    @cached_property
    def measured_k(self) -> int:
        """The number of results that settings and measurements are about, see `search_parameters.measured_k`."""
        return search_parameters.measured_k(self.measurements)

    def _search_labels(self, prepared: np.ndarray, count: int, settings: SearchSettings) -> np.ndarray:
        """The FAISS labels (q, count) nearest to prepared queries, −1 for missing."""
        lists, graph, byte_cells = self._lists, self._graph, self.byte_cells
        if byte_cells is not None:
            from embedrec.index import ivf_bytes

            if ivf_bytes.is_worthwhile(len(prepared), settings.cells, len(byte_cells.lists), len(self)):
                return ivf_bytes.search_bytes(byte_cells, prepared, count, settings.cells)
        if lists is not None:
            from embedrec.index import ivf_batch

            if ivf_batch.is_worthwhile(len(prepared), settings.cells, len(lists), len(self)):
                return ivf_batch.search_by_cell(self.faiss, lists, prepared, count, settings.cells)
        if graph is not None and self.uses_graph_batch(len(prepared)):
            from embedrec.index import hnsw_batch

            return hnsw_batch.search_graph(graph, prepared, count, min(settings.candidates, self.faiss.ntotal))
        if count > self.measured_k * (settings.rerank or 1) + SPARE:
            # FAISS's graph search may stop before it has found more results than candidates
            settings = replace(settings, ef_search=max(settings.candidates, count))
        labels: np.ndarray = self.faiss.search(prepared, count, params=faiss_parameters(self.faiss, settings))[1]
        return labels

    def prepare_queries(self, queries: np.ndarray) -> np.ndarray:
        """Queries (q, d) as FAISS compares them: of norm 1 for cosine, with an additional 0 if augmented."""
        if self.augmented:  # the norm of a query does not change the order; at 1 it keeps most digits
            return np.pad(unit(queries), ((0, 0), (0, 1)))
        return unit(queries) if self.metric == "cosine" else queries

    def _faiss_subset(self, rows: np.ndarray) -> Subset:
        """The FAISS labels of rows (m,)."""
        from embedrec.index.filtered_search import Subset

        mask = np.zeros(len(self), dtype=bool)
        mask[rows] = True
        labels = mask if self.rows is None else mask[self.rows] & (self.rows >= 0)
        return Subset(labels, len(rows), self.cells)

    def _rows_of_labels(self, labels: np.ndarray) -> np.ndarray:
        """The rows of FAISS labels, −1 for missing."""
        return labels if self.rows is None else np.where(labels < 0, -1, self.rows[labels])

    @cached_property
    def _lists(self) -> np.ndarray | None:
        """See `ivf_batch.lists_of`; None where vectors of different norms are compared by distance."""
        if self.metric == "l2" or not isinstance(self.faiss, faiss.IndexIVFFlat):
            return None
        from embedrec.index.ivf_batch import lists_of

        return lists_of(self.faiss)

    @cached_property
    def byte_cells(self) -> ByteCells | None:
        """See `ivf_bytes.byte_cells_of`; None where vectors of different norms are compared by distance."""
        if self.metric == "l2" or not isinstance(self.faiss, faiss.IndexIVFScalarQuantizer):
            return None
        from embedrec.index.ivf_bytes import byte_cells_of

        return byte_cells_of(self.faiss, self.embeddings.vectors)

    @cached_property
    def _graph(self) -> Graph | None:
        """See `hnsw_batch.graph_of`."""
        if not isinstance(self.faiss, faiss.IndexHNSWFlat):
            return None
        from embedrec.index.hnsw_batch import graph_of

        return graph_of(self.faiss)

    @cached_property
    def cells(self) -> np.ndarray:
        """The cell of each FAISS label (f,) int64, −1 for removed vectors; empty for types without cells."""
        from embedrec.index.filtered_search import cells_of_labels

        return cells_of_labels(self.faiss, len(self) if self.rows is None else len(self.rows))


def _pad_columns(rows: np.ndarray, width: int) -> np.ndarray:
    """Rows (q, c) widened to at least `width` columns by −1."""
    return np.pad(rows, ((0, 0), (0, max(width - rows.shape[1], 0))), constant_values=-1)
