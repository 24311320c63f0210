"""The score that a part with vectors gives every candidate, also those that it does not propose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays, Model
from embedrec.models.vector_model import VectorModel
from embedrec.ranking.feature_groups.group import Feature, QuestionBatch, names_of
from embedrec.vectors.exact_search import unit


@dataclass(frozen=True, eq=False)
class QueryFeatures:
    """Scores of the vectors of a part for the query of the history.

    part     its name; `place` is its position among the parts
    vectors  (m, e) float32 of its answers, which are compared with its queries by dot product, or else by cosine
    rows     (n,) int64: the row in `vectors` of each item, −1 for none
    scale    (n,) float32: 1 for dot products, otherwise 1 / norm of the item's vector; 0 for row −1 and zero vectors
    cosine   whether queries are scaled to norm 1
    """

    FEATURES: ClassVar[tuple[Feature, ...]] = (
        Feature("query score of {part}", "score of the part, also where it does not propose the item", "item vectors"),
    )

    part: str
    place: int
    vectors: np.ndarray
    rows: np.ndarray
    scale: np.ndarray
    cosine: bool

    @classmethod
    def of(cls, vocab: Vocab, parts: Sequence[tuple[str, Model]]) -> list[QueryFeatures]:
        """The features of every part that has item vectors."""
        from embedrec.kernels.ranking_features import inverse_norms

        groups = []
        for place, (name, model) in enumerate(parts):
            if isinstance(model, VectorModel):
                rows, scale = locked(model.vocab.rows_of(vocab.ids)), np.empty(len(vocab), dtype=np.float32)
                vectors, cosine = locked(model.answers.vectors), model.answers.metric != "dot"
                if cosine:
                    inverse_norms(vectors, rows, scale)
                else:
                    scale[:] = rows >= 0
                groups.append(cls(name, place, vectors, rows, locked(scale), cosine))
        return groups

    @property
    def names(self) -> tuple[str, ...]:
        return names_of(self.FEATURES, part=self.part)

    @property
    def arrays(self) -> Arrays:
        return {}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        from embedrec.kernels.ranking_features import write_query_scores

        queries = batch.queries[self.place]
        if queries is None:
            raise DataError(f"the candidates lack the queries of the part {self.part}, which has vectors")
        own = queries[batch.questions]
        own = locked(unit(own) if self.cosine else own)
        write_query_scores(self.vectors, self.rows, self.scale, own, batch.offsets, batch.items, out, at)
