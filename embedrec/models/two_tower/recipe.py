"""Two towers: one encodes items, the other queries; the score of an item is the product of both vectors.

Covington, Adams & Sargin 2016 (candidate generation at YouTube: history and features against items); Yi et al. 2019
(in-batch softmax with logQ correction, for two towers); Bengio & Senécal 2008 (sampled softmax); Hou et al. 2022 (CORE:
a session in the space of its items, cosine over a temperature); Klenitskiy & Vasilev 2023 (many negatives and
cross-entropy instead of one and binary cross-entropy).
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
from embedrec.models.session_encoders import add_bias
from embedrec.models.two_tower.query_tower import QueryTower, rotated_tower
from embedrec.models.two_tower.settings import TwoTowerSettings
from embedrec.models.vector_model import VectorModel
from embedrec.models.warm_start import TrainingStart
from embedrec.vectors.embeddings import Embeddings


@dataclass(frozen=True)
class TwoTower(TwoTowerSettings):
    """An item tower and a query tower; see `TwoTowerSettings`.

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, TwoTower
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = TwoTower(dim=8, epochs=1).fit(sessions)
    >>> model.embeddings.vectors.shape
    (4, 8)
    """

    def learner(self, sessions: Sessions, *, seed: int, device: str, start: TrainingStart | None = None) -> Any:
        """See `Neural.learner`."""
        from embedrec.models.two_tower.training import create_learner

        return create_learner(self, sessions, seed=seed, start=start)

    def share_learner(self, sessions: Sessions, *, counts: np.ndarray, seed: int) -> Any:
        """See `SharedNeural.share_learner`."""
        from embedrec.models.two_tower.training import create_learner

        return create_learner(self, sessions, seed=seed, counts=counts)

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> VectorModel:
        """The model of its arrays, see `TwoTowerLearner.model`. Raises DataError when they do not fit.

        Inference does not need torch.
        """
        tower = QueryTower.of(self, arrays)
        embeddings = Embeddings(shaped(arrays, "items", (len(vocab), self.dim), self.name), vocab, "cosine")
        shaped(arrays, "cold", (len(vocab),), self.name, "uint8")
        check_optional(arrays, {"squares": (len(vocab),)}, self.name)
        encoder = tower.encoder(arrays["items"])
        answers = embeddings if self.scoring == "cosine" else Embeddings(arrays["items"], vocab, "dot")
        if self.trend is not None:
            bias = shaped(arrays, "trend", (len(vocab),), self.name) * self.temperature
            answers, encoder = add_bias(answers, encoder, bias)
        return VectorModel(self, arrays, embeddings, encoder, answers, answers)

    def rotated(self, arrays: Arrays, rotation: np.ndarray) -> Arrays:
        """See `RotatableRecipe`."""
        return {**arrays, **rotated_tower(self, arrays, rotation)}

    def add_onnx_encoder(self, graph: OnnxGraph, model: VectorModel) -> str:
        """See `OnnxRecipe`."""
        from embedrec.models.two_tower.onnx_encoder import add_bias_coordinate, add_query_tower

        query = add_query_tower(graph, QueryTower.of(self, model.arrays), model.arrays["items"])
        return query if self.trend is None else add_bias_coordinate(graph, query, cosine=self.scoring == "cosine")
