"""The score that a part with vectors gives every candidate, also those that it does not propose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays, Model
from embedrec.models.vector_model import VectorModel
from embedrec.ranking.feature_groups.group import Feature, QuestionBatch, names_of
from embedrec.vectors.exact_search import unit


@dataclass(frozen=True, eq=False)
class QueryFeatures:
    """Scores of the vectors of a part for the query of the history.

    part   its name
    model  the part; its query vectors and the vectors of its answers are compared by dot product, or else by cosine
    rows   (n,) int64: the row in the model's vocabulary of each item, −1 for none
    same   whether both vocabularies are the same
    scale  (n,) float32: 1 for dot products, otherwise 1 / norm of the item's vector; 0 for row −1 and zero vectors
    """

    FEATURES: ClassVar[tuple[Feature, ...]] = (
        Feature("query score of {part}", "score of the part, also where it does not propose the item", "item vectors"),
    )

    part: str
    model: VectorModel
    rows: np.ndarray
    same: bool
    scale: np.ndarray

    @classmethod
    def of(cls, vocab: Vocab, parts: Sequence[tuple[str, Model]]) -> list[QueryFeatures]:
        """The features of every part that has item vectors."""
        from embedrec.kernels.ranking_features import inverse_norms

        groups = []
        for name, model in parts:
            if isinstance(model, VectorModel):
                rows, scale = locked(model.vocab.rows_of(vocab.ids)), np.empty(len(vocab), dtype=np.float32)
                if model.answers.metric == "dot":
                    scale[:] = rows >= 0
                else:
                    inverse_norms(locked(model.answers.vectors), rows, scale)
                same = np.array_equal(model.vocab.ids, vocab.ids)
                groups.append(cls(name, model, rows, same, locked(scale)))
        return groups

    @property
    def names(self) -> tuple[str, ...]:
        return names_of(self.FEATURES, part=self.part)

    @property
    def arrays(self) -> Arrays:
        return {}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        from embedrec.kernels.ranking_features import write_query_scores

        histories, questions = batch.histories, batch.questions
        if questions.stop - questions.start < len(histories):
            histories = histories.take(np.arange(questions.start, questions.stop))
        if not self.same:
            histories = histories.renumber(self.rows[histories.items], self.model.vocab)
        queries = self.model.encoder(histories)
        queries = queries if self.model.answers.metric == "dot" else unit(queries)
        vectors = locked(self.model.answers.vectors)
        write_query_scores(vectors, self.rows, self.scale, locked(queries), batch.offsets, batch.items, out, at)
