"""SASRec: self-attention over the last items of a session predicts the next one.

Kang & McAuley 2018 (SASRec); Hou et al. 2022 (CORE: a session in the space of its items, cosine over a temperature);
Petrov & Macdonald 2023 (gBCE); Klenitskiy & Vasilev 2023 (many negatives and cross-entropy instead of one and binary
cross-entropy); Wilm et al. 2023 (TRON: shared negatives, gradient through the hardest); Tikhonovich et al. 2025
(eSASRec: sampled softmax and LiGR's gates).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.array_packing import check_optional, shaped
from embedrec.models.base import Arrays
from embedrec.models.onnx_graph import OnnxGraph
from embedrec.models.transformer.numpy_transformer import Transformer
from embedrec.models.transformer.settings import SASRecSettings
from embedrec.models.vector_model import VectorModel
from embedrec.models.warm_start import TrainingStart
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.procrustes import compose, rotate


@dataclass(frozen=True)
class SASRec(SASRecSettings):
    """A self-attentive model; see `SASRecSettings`.

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import SASRec, Sessions
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = SASRec(dim=8, epochs=1).fit(sessions)
    >>> model.embeddings.vectors.shape
    (4, 8)
    """

    def learner(self, sessions: Sessions, *, seed: int, device: str, start: TrainingStart | None = None) -> Any:
        """See `Neural.learner`."""
        from embedrec.models.transformer.training import SASRecLearner

        return SASRecLearner(self, sessions, seed=seed, start=start)

    def share_learner(self, sessions: Sessions, *, counts: np.ndarray, seed: int) -> Any:
        """See `SharedNeural.share_learner`."""
        from embedrec.models.transformer.training import SASRecLearner

        return SASRecLearner(self, sessions, seed=seed, counts=counts)

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> VectorModel:
        """The model of its arrays, see `SASRecLearner.model`. Raises DataError when they do not fit.

        Inference does not need torch.
        """
        items = shaped(arrays, "items", (len(vocab), self.dim), self.name)
        shaped(arrays, "cold", (len(vocab),), self.name, "uint8")
        check_optional(arrays, {"squares": (len(vocab),)}, self.name)
        embeddings = Embeddings(items, vocab, "cosine")
        answers = embeddings if self.scoring == "cosine" else Embeddings(items, vocab, "dot")
        return VectorModel(self, arrays, embeddings, Transformer.of(self, arrays), answers, answers)

    def rotated(self, arrays: Arrays, rotation: np.ndarray) -> Arrays:
        """See `RotatableRecipe`."""
        rotated = {**arrays, "rotation": compose(arrays.get("rotation", np.eye(self.dim)), rotation)}
        return rotated | {name: rotate(arrays[name], rotation) for name in ("items", "users") if name in arrays}

    def add_onnx_encoder(self, graph: OnnxGraph, model: VectorModel) -> str:
        """The encoder of a model of this recipe as nodes of a graph, see `models.onnx_graph`."""
        from embedrec.models.transformer.onnx_encoder import add_transformer

        return add_transformer(graph, Transformer.of(self, model.arrays))
