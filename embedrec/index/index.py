"""The Index: vectors in a FAISS index with their vocabulary, and what was measured when it was built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import faiss
import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.embeddings import Embeddings, Metric, check_queries, exact_scores, unit
from embedrec.errors import SettingsError
from embedrec.faiss_index import fill, made
from embedrec.index.specs import factory_string
from embedrec.reporting import Report, quiet
from embedrec.topk import TopK, best_first, check_others

RECALL_K = 20
TARGET_RECALL = 0.99
_SAMPLE = 1000  # queries that recall is measured on
_SPARE = 8  # results beyond k that are scored again: the last digits of FAISS's scores vary with threads and batches


@dataclass(frozen=True, eq=False)
class Index:
    """An immutable index; what changes one search is an argument of that search. Safe to share between threads.

    embeddings  the vectors as they were given; queries by row and exact scores come from them
    spec        FAISS factory string
    faiss       the FAISS index; cosine: unit vectors by inner product; l2: by L2; dot: see `augmented`
    augmented   inner products as L2 over vectors x/M with one more coordinate √(1 − ‖x/M‖²), M the largest norm
                (Bachrach et al. 2014): IVF cells of vectors that differ in norm need it
    nprobe      default number of cells that a search visits; 0 where there are no cells
    facts       measured at the build: "recall@20", milliseconds a query, queries a second, seconds
    """

    embeddings: Embeddings
    spec: str
    faiss: Any
    augmented: bool = False
    nprobe: int = 0
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

    def search(self, queries: np.ndarray, k: int, *, nprobe: int | None = None) -> TopK:
        """The nearest k items of each query.

        queries  (q, d) float32
        nprobe   cells to visit instead of the default; more is slower and finds more
        Returns TopK (q, k), missing results −1 / −inf; scores are exact: cosine, inner product, or −squared distance.
        Raises SettingsError when k is not in 1 … n or dimensions differ, DataError for queries that are not finite.
        """
        queries = check_queries(queries, self.dim, k, len(self))
        reach = min(k + _SPARE, len(self))
        _, rows = self.faiss.search(self._ready(queries), reach, params=self._parameters(nprobe))
        scores = exact_scores(self.embeddings.vectors, queries, rows, self.metric)
        return best_first(rows, scores, self.vocab).first(k)

    def neighbours(self, rows: np.ndarray, k: int, *, nprobe: int | None = None) -> TopK:
        """The k nearest other items of each row (q,) int64: TopK (q, k), the item itself left out.

        Raises SettingsError when the catalogue does not hold k other items.
        """
        check_others(k, len(self))
        return self.search(self.embeddings.vectors[rows], k + 1, nprobe=nprobe).without(rows)

    def _ready(self, queries: np.ndarray) -> np.ndarray:
        if self.augmented:  # the length of a query changes nothing but the digits that are left
            return np.pad(unit(queries), ((0, 0), (0, 1)))
        return unit(queries) if self.metric == "cosine" else queries

    def _parameters(self, nprobe: int | None) -> Any:
        if not self.nprobe:
            if nprobe is not None:
                raise SettingsError(f"nprobe is a setting of IVF indexes, but this one is {self.spec}; leave it out")
            return None
        if nprobe is not None and nprobe < 1:
            raise SettingsError(f"nprobe must be at least 1, but is {nprobe}")
        return faiss.SearchParametersIVF(nprobe=nprobe or self.nprobe)  # type: ignore[call-arg]


def build_index(
    embeddings: Embeddings,
    kind: str = "ivf",
    *,
    nprobe: int | None = None,
    seed: int = 0,
    report: Report = quiet,
) -> Index:
    """Build an index of embeddings and measure it.

    kind    "flat", "ivf", or a FAISS factory string
    nprobe  cells to visit by default; None: the fewest, doubling from 1, that reach recall@20 of .99 on a sample

    Raises SettingsError when there is nothing to index, the type is unknown, or it needs more vectors.
    """
    n = len(embeddings)
    if not n:
        raise SettingsError("there are no vectors to index; train on sessions that hold items")
    spec = factory_string(kind, n, embeddings.dim)
    started = perf_counter()
    augmented = embeddings.metric == "dot" and spec.startswith("IVF")
    index = made(spec, embeddings.dim + augmented, "l2" if augmented else embeddings.metric)
    cells = getattr(index, "nlist", 0)
    if not cells and nprobe is not None:
        raise SettingsError(f"nprobe is a setting of IVF indexes, but {spec} is none; leave it out")
    if nprobe is not None and nprobe < 1:
        raise SettingsError(f"nprobe must be at least 1, but is {nprobe}")
    fill(index, spec, n, _stored(embeddings, augmented), seed=seed, report=report)
    built = Index(embeddings, spec, index, augmented, nprobe or (1 if cells else 0))
    return _measured(built, tune=bool(cells) and nprobe is None, seconds=perf_counter() - started, seed=seed)


def _stored(embeddings: Embeddings, augmented: bool) -> Callable[[Any], np.ndarray]:
    """Rows (m,) or a slice → their vectors as FAISS gets them: (m, d) or, augmented, (m, d + 1)."""
    vectors = embeddings.vectors
    if embeddings.metric == "cosine":
        return lambda rows: unit(vectors[rows])
    if not augmented:
        return lambda rows: vectors[rows]
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    largest = squares.max() or 1.0
    last = np.sqrt(1 - squares / largest)[:, None]  # (n, 1)
    return lambda rows: np.hstack([vectors[rows] / np.sqrt(largest), last[rows]]).astype(np.float32)


def _measured(index: Index, *, tune: bool, seconds: float, seed: int) -> Index:
    """The index with its facts and, when `tune`, with the nprobe that reaches the target."""
    n, k = len(index), min(RECALL_K, len(index) - 1)
    rows = np.sort(np.random.default_rng(seed).choice(n, min(_SAMPLE, n), replace=False))
    queries = index.embeddings.vectors[rows]
    if k:
        exact = index.embeddings.search(queries, k + 1).without(rows)
        found = recall(index.neighbours(rows, k), exact)
        while tune and found < TARGET_RECALL and index.nprobe < index.faiss.nlist:
            index = replace(index, nprobe=min(2 * index.nprobe, index.faiss.nlist))
            found = recall(index.neighbours(rows, k), exact)
    else:
        found = 1.0
    started = perf_counter()
    index.search(queries, k + 1)
    batch = perf_counter() - started
    single = []
    for row in range(min(100, len(queries))):
        started = perf_counter()
        index.search(queries[row : row + 1], k + 1)
        single.append(1000 * (perf_counter() - started))
    facts = {
        f"recall@{RECALL_K}": round(found, 4),
        "recall_queries": len(queries),
        "query_ms_p50": round(float(np.percentile(single, 50)), 3),
        "query_ms_p95": round(float(np.percentile(single, 95)), 3),
        "queries_per_second": round(len(queries) / batch),
        "build_seconds": round(seconds, 3),
    }
    return replace(index, facts=facts)


def recall(found: TopK, exact: TopK) -> float:
    """Share of the exact results (q, k) that are among the found ones, mean over queries."""
    n = len(exact.vocab)
    query = n * np.arange(len(exact))[:, None]
    wanted = (exact.rows + query)[exact.rows >= 0]
    got = (found.rows + query)[found.rows >= 0]
    return float(np.isin(wanted, got).mean())
