"""Approximate search among the vectors of a part: cells of a k-means, the nearest of which are scanned.

An exact search compares a history with every item, which takes longer than all else that ranks its candidates together.
Candidates need no exact search: what the scanned cells miss, other parts often propose.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np

from embedrec.data.topk import TopK, sort_results
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.vector_model import VectorModel
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.exact_search import unit
from embedrec.vectors.faiss_file_check import UnknownTypeError, parse_content

SEARCHED_FROM = 20_000  # items, below which an exact search is fast enough
_CELLS = 4  # times the root of the number of items
_SCANNED = 0.08  # share of the cells


@dataclass(frozen=True, eq=False)
class CellSearch:
    """A `Searcher` of the answers of a vector model.

    answers  (n, e) the vectors, which an exact search compares where only some items are allowed
    faiss    an index of them in cells
    """

    answers: Embeddings
    faiss: Any

    @property
    def vocab(self) -> Vocab:
        return self.answers.vocab

    @property
    def metric(self) -> Metric:
        return self.answers.metric

    def search(self, queries: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> TopK:
        """The k best items of each query (q, e) in the nearest cells; fewer where these hold fewer."""
        import faiss

        if allowed is not None:
            return self.answers.search(queries, k, allowed=allowed)
        queries = unit(queries) if self.metric == "cosine" else np.ascontiguousarray(queries, dtype=np.float32)
        count = max(1, round(_SCANNED * self.faiss.nlist))
        parameters = faiss.SearchParametersIVF(nprobe=count)  # type: ignore[call-arg]
        scores, rows = self.faiss.search(queries, k, params=parameters)
        return sort_results(rows, scores, self.vocab)


def build_cells(model: VectorModel, seed: int) -> np.ndarray | None:
    """The bytes (b,) uint8 of an index of a model's answers; None where an exact search is to be used."""
    answers = model.answers
    if len(answers) < SEARCHED_FROM or answers.metric == "l2":
        return None
    import faiss

    from embedrec.vectors.faiss_factory import create_index, fill, train

    vectors = unit(answers.vectors) if answers.metric == "cosine" else np.asarray(answers.vectors, dtype=np.float32)
    spec = f"IVF{_CELLS * isqrt(len(answers))},Flat"
    index = create_index(spec, answers.dim, answers.metric)
    train(index, spec, len(vectors), lambda rows: vectors[rows], seed=seed)
    fill(index, spec, len(vectors), lambda rows: vectors[rows])
    return faiss.serialize_index(index)


def load_cells(model: VectorModel, stored: np.ndarray) -> VectorModel:
    """The model with the search of the bytes of `build_cells`. Raises DataError when they do not fit."""
    import faiss

    answers = model.answers
    if stored.dtype != np.uint8 or stored.ndim != 1:
        raise DataError(f"an index of a part must be bytes, but is {stored.dtype} of shape {stored.shape}")
    stored = np.array(stored)
    try:
        parse_content(stored, len(answers), "search.npy")
    except UnknownTypeError as e:
        raise DataError(f"an index of a part cannot be of the type {e}") from e
    index = faiss.deserialize_index(stored)
    if not isinstance(index, faiss.IndexIVFFlat) or index.d != answers.dim or index.ntotal != len(answers):
        raise DataError(f"an index of a part must have cells of {len(answers)} × {answers.dim} vectors")
    return model.using(CellSearch(answers, index))
