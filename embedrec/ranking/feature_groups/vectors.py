"""Similarities of candidates to the items of the history by the item vectors of a part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.models.array_packing import locked, shaped
from embedrec.models.base import Arrays, Model
from embedrec.models.vector_model import VectorModel
from embedrec.ranking.feature_groups.group import Feature, QuestionBatch, names_of


@dataclass(frozen=True, eq=False)
class VectorFeatures:
    """Cosines of the item vectors of a part.

    part     its name; `place` is its position among the parts
    vectors  (m, d) float32
    rows     (n,) int64: the row in `vectors` of each item, −1 for none
    scale    (n,) float32: 1 / norm of its vector, 0 for none
    timed    whether training sessions have times
    """

    FEATURES: ClassVar[tuple[Feature, ...]] = (
        Feature("cosine of {part} with last", "cosine of the item vector and that of the last item", "item vectors"),
        Feature("highest cosine of {part}", "highest cosine with the last 10 distinct items", "item vectors"),
        Feature(
            "mean cosine of {part}", "mean cosine with the last 10, weighted 1, 1/2, 1/3 … backwards", "item vectors"
        ),
    )
    TIMED: ClassVar[tuple[Feature, ...]] = (
        Feature("mean cosine of {part} by time", "the same, weighted by the time before the last event", "times"),
    )

    part: str
    place: int
    vectors: np.ndarray
    rows: np.ndarray
    scale: np.ndarray
    timed: bool

    @classmethod
    def fit(cls, vocab: Vocab, parts: Sequence[tuple[str, Model]], timed: bool) -> list[VectorFeatures]:
        """The features of every part that has item vectors."""
        from embedrec.kernels.ranking_features import inverse_norms

        groups = []
        for place, (name, model) in enumerate(parts):
            if isinstance(model, VectorModel):
                vectors, rows = locked(model.embeddings.vectors), model.vocab.rows_of(vocab.ids)
                scale = np.empty(len(vocab), dtype=np.float32)
                inverse_norms(vectors, locked(rows), scale)
                groups.append(cls(name, place, vectors, locked(rows), locked(scale), timed))
        return groups

    @classmethod
    def from_arrays(
        cls, vocab: Vocab, parts: Sequence[tuple[str, Model]], arrays: Arrays, timed: bool
    ) -> list[VectorFeatures]:
        """Raises DataError for wrong arrays."""
        groups = []
        for place, (name, model) in enumerate(parts):
            if isinstance(model, VectorModel):
                scale = shaped(arrays, f"vectors.{place}.scale", (len(vocab),), "ranker")
                rows = model.vocab.rows_of(vocab.ids)
                scale = np.where(rows < 0, np.float32(0), scale)
                groups.append(cls(name, place, locked(model.embeddings.vectors), locked(rows), locked(scale), timed))
        return groups

    @property
    def names(self) -> tuple[str, ...]:
        return names_of((*self.FEATURES, *self.TIMED) if self.timed else self.FEATURES, part=self.part)

    @property
    def arrays(self) -> Arrays:
        return {f"vectors.{self.place}.scale": self.scale}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        from embedrec.kernels.ranking_features import write_cosines

        history = (batch.recent, batch.weights, self.timed)
        write_cosines(self.vectors, self.rows, self.scale, *history, batch.offsets, batch.items, out, at)
