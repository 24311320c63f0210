"""Models whose items are vectors: recommendation is a search for the vector of the history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK, check_k, check_neighbour_count
from embedrec.data.vocab import Vocab, valid_rows
from embedrec.errors import SettingsError
from embedrec.vectors.embeddings import Embeddings, Metric

if TYPE_CHECKING:
    from embedrec.models.session_encoders import Weights
from embedrec.models.base import Arrays, ModelSettings, model_summary
from embedrec.models.session_encoders import Encoder
from embedrec.text import Described, Summary, counted


class Searcher(Protocol):
    """Searches nearest items: an Embeddings (exact), an Index."""

    def search(self, queries: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> TopK: ...

    @property
    def vocab(self) -> Vocab: ...

    @property
    def metric(self) -> Metric: ...


@dataclass(frozen=True, eq=False, repr=False)
class VectorModel(Described):
    """A model whose items are vectors; recommendation is a search for the vector of the history.

    recipe      its settings
    arrays      input of `recipe.from_arrays`
    embeddings  item embeddings (n, d): their neighbours are similar items
    encoder     histories (S sessions in the model's vocabulary) → query vectors (S, e) float32; the first d
                coordinates are a vector in the space of the item embeddings
    answers     vectors that are compared with a query, (n, e): the embeddings, or for some models other vectors of the
                same items, or with more coordinates, such as a bias
    searcher    where queries are searched: the answers themselves (exact), or an index of them
    """

    recipe: ModelSettings
    arrays: Arrays
    embeddings: Embeddings
    encoder: Encoder
    answers: Embeddings
    searcher: Searcher

    @property
    def vocab(self) -> Vocab:
        return self.embeddings.vocab

    def _summary(self) -> Summary:
        return model_summary(
            self.recipe, self.vocab, [*counted(dimensions=self.embeddings.dim), self.embeddings.metric]
        )

    def using(self, searcher: Searcher) -> VectorModel:
        """The same model, searching in an index of its `answers`.

        Raises SettingsError when the index has another vocabulary or metric.
        """
        if not np.array_equal(searcher.vocab.ids, self.vocab.ids):
            raise SettingsError("the index was built from another vocabulary than the model's; build it again")
        if searcher.metric != self.answers.metric:
            raise SettingsError(
                f"the index compares by {searcher.metric}, but the model's answers by {self.answers.metric}; "
                "build it from model.answers"
            )
        return replace(self, searcher=searcher)

    def by_similarity(self) -> VectorModel:
        """The same model, recommending the items most similar to those of the history."""
        from embedrec.models.session_encoders import mean_encoder

        items = self.embeddings
        return replace(self, encoder=mean_encoder(items.vectors, metric=items.metric), answers=items, searcher=items)

    def scale_norms(self, share: float) -> VectorModel:
        """The same model with a popularity exponent: similar items and recommendations are searched by dot product with
        vectors of norm |v| ** share, see `popularity_scaling.scale_norms`."""
        from embedrec.models.popularity_scaling import scale_norms

        items = scale_norms(self.embeddings, share)
        return replace(self, embeddings=items, encoder=self._vector, answers=items, searcher=items)

    def with_weights(self, weights: Weights) -> VectorModel:
        """The same model with the weighted mean of item embeddings as the vector of a session."""
        from embedrec.models.session_encoders import weighted_encoder

        items = self.embeddings
        return replace(self, encoder=weighted_encoder(items.vectors, weights, items.metric))

    def encode(self, sessions: Sessions) -> Embeddings:
        """Session vectors: an Embeddings (S, d) whose vocabulary is the session ids.

        sessions  in any vocabulary; unknown items are ignored
        """
        return Embeddings(self._vector(sessions.reindex(self.vocab)), Vocab(sessions.ids), self.embeddings.metric)

    def _vector(self, histories: Sessions) -> np.ndarray:
        """The vectors of histories among the item embeddings: (S, d)."""
        return np.ascontiguousarray(self.encoder(histories)[:, : self.embeddings.dim])

    def neighbours(self, rows: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> TopK:
        """See `ItemNeighbours`; exact. `allowed` is (n,) bool, rows (m,), or None for all."""
        rows = valid_rows(rows, len(self.vocab))
        check_neighbour_count(k, len(self.vocab))
        return self.embeddings.search(self.embeddings.vectors[rows], k + 1, allowed=allowed).without(rows)

    def recommend(
        self, histories: Sessions, k: int, *, exclude_seen: bool = True, allowed: np.ndarray | None = None
    ) -> TopK:
        """See `Model.recommend`; `allowed` is (n,) bool, rows (m,), or None for all."""
        check_k(k, len(self.vocab))
        histories = histories.reindex(self.vocab)
        return self.recommend_for(self.encoder(histories), histories, k, exclude_seen=exclude_seen, allowed=allowed)

    def recommend_for(
        self,
        queries: np.ndarray,
        histories: Sessions,
        k: int,
        *,
        exclude_seen: bool = True,
        allowed: np.ndarray | None = None,
    ) -> TopK:
        """See `recommend`; queries (S, e) are those of the encoder for the histories, in the model's vocabulary."""
        if not exclude_seen:
            return self.searcher.search(queries, k, allowed=allowed)
        reach = min(k + int(histories.lengths.max(initial=0)), len(self.vocab))
        return without_seen(self.searcher.search(queries, reach, allowed=allowed), histories, k)


def without_seen(topk: TopK, histories: Sessions, k: int) -> TopK:
    """The k best of each row of `topk` (q, m) that are not in its history: TopK (q, k)."""
    n = len(topk.vocab)
    query = histories.session_of
    seen_items = np.isin(topk.rows + n * np.arange(len(topk))[:, None], histories.items + n * query)  # (q, m)
    rows = np.where(seen_items, -1, topk.rows)
    order = np.argsort(rows < 0, axis=1, kind="stable")[:, :k]  # keeps best first
    rows = np.take_along_axis(rows, order, 1)
    scores = np.where(rows < 0, -np.inf, np.take_along_axis(topk.scores, order, 1))
    return TopK(_pad_columns(rows, k, -1), _pad_columns(scores, k, -np.inf), topk.vocab)


def _pad_columns(array: np.ndarray, k: int, fill: Any) -> np.ndarray:
    """`array` (q, m ≤ k) with columns of `fill` added up to k."""
    return np.pad(array, ((0, 0), (0, k - array.shape[1])), constant_values=fill)
