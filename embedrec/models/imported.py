"""Imported item vectors: searched, indexed and exported like trained ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.config import Settings
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.models.array_packing import rows_of
from embedrec.models.base import Arrays
from embedrec.models.session_encoders import mean_encoder
from embedrec.models.vector_model import VectorModel
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.procrustes import rotate


@dataclass(frozen=True)
class Vectors(Settings):
    """Item vectors of a file.

    metric  how they are compared
    decay   how a history becomes a query, see `mean_encoder`
    """

    name: ClassVar[str] = "vectors"
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = (
        {"metric": "dot"},
        {"metric": "l2"},
    )

    metric: Metric = "cosine"
    decay: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.decay <= 1:
            raise SettingsError(f"decay must lie in (0, 1], but is {self.decay!r}")

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> VectorModel:
        """arrays: "items" (n, d) float32."""
        embeddings = Embeddings(rows_of(arrays, "items", len(vocab), self.name), vocab, self.metric)
        encoder = mean_encoder(embeddings.vectors, self.decay, self.metric)
        return VectorModel(self, arrays, embeddings, encoder, embeddings, embeddings)

    def rotated(self, arrays: Arrays, rotation: np.ndarray) -> Arrays:
        """See `RotatableRecipe`."""
        return {**arrays, "items": rotate(arrays["items"], rotation)}
