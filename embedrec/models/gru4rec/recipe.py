"""GRU4Rec: the state of a recurrent network over a session predicts the next item.

Hidasi et al. 2016 ("Session-based Recommendations with Recurrent Neural Networks"); Hidasi & Karatzoglou 2018
("Recurrent Neural Networks with Top-k Gains for Session-based Recommendations": BPR-max, further negatives); Navon &
Andrade 2019 (features of tracks as inputs); Hidasi & Czapp 2023 (features that third-party versions lack, and the
effect).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.array_packing import check_optional, rows_of, shaped
from embedrec.models.base import Arrays
from embedrec.models.gru4rec.numpy_gru import Layer, Recurrent, State
from embedrec.models.gru4rec.settings import GRU4RecSettings
from embedrec.models.onnx_graph import OnnxGraph
from embedrec.models.torch_recipe import parse_layers
from embedrec.models.vector_model import VectorModel
from embedrec.models.warm_start import TrainingStart
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.procrustes import compose, rotate


@dataclass(frozen=True)
class GRU4Rec(GRU4RecSettings):
    """Gated recurrent units over a session; see `GRU4RecSettings`.

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, GRU4Rec
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = GRU4Rec(layers="8", epochs=1).fit(sessions)
    >>> model.embeddings.vectors.shape
    (4, 8)
    """

    def learner(self, sessions: Sessions, *, seed: int, device: str, start: TrainingStart | None = None) -> Any:
        """See `Neural.learner`."""
        from embedrec.models.gru4rec.training import GRU4RecLearner

        return GRU4RecLearner(self, sessions, seed=seed, start=start)

    def share_learner(self, sessions: Sessions, *, counts: np.ndarray, seed: int) -> Any:
        """See `SharedNeural.share_learner`."""
        from embedrec.models.gru4rec.training import GRU4RecLearner

        return GRU4RecLearner(self, sessions, seed=seed, counts=counts)

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> RecurrentModel:
        """The model of its arrays, see `GRU4RecLearner.model`. Raises DataError when they do not fit.

        Inference does not need torch.
        """
        units = parse_layers(self.layers, "layers")
        items = shaped(arrays, "items", (len(vocab), units[-1] + 1), self.name)
        embeddings = Embeddings(items[:, :-1], vocab, "cosine")
        inputs = embeddings.vectors
        if self.input != "constrained":
            inputs = rows_of(arrays, "inputs", len(vocab), self.name)
        layers = []
        for number, size in enumerate(units):
            width = units[number - 1] if number else inputs.shape[1]
            matrix = None
            if f"input{number}" in arrays or number or self.input == "constrained":
                matrix = shaped(arrays, f"input{number}", (width, 3 * size), self.name)
            elif width != 3 * size:
                raise DataError(f"inputs of a gru4rec model must have {3 * size} columns, but have {width}")
            layers.append(
                Layer(
                    matrix,
                    shaped(arrays, f"hidden{number}", (size, 3 * size), self.name),
                    shaped(arrays, f"input_bias{number}", (3 * size,), self.name),
                    shaped(arrays, f"hidden_bias{number}", (3 * size,), self.name),
                )
            )
        check_optional(arrays, {"squares": (len(vocab),)}, self.name)
        if "cold" in arrays:
            shaped(arrays, "cold", (len(vocab),), self.name, "uint8")
        rotation = shaped(arrays, "rotation", (units[-1], units[-1]), self.name) if "rotation" in arrays else None
        recurrent = Recurrent(inputs, tuple(layers), rotation)
        answers = Embeddings(items, vocab, "dot")
        return RecurrentModel(self, arrays, embeddings, recurrent, answers, answers, recurrent)

    def rotated(self, arrays: Arrays, rotation: np.ndarray) -> Arrays:
        """See `RotatableRecipe`."""
        items = np.hstack([rotate(arrays["items"][:, :-1], rotation), arrays["items"][:, -1:]])
        rotated = {
            **arrays,
            "items": items,
            "rotation": compose(arrays.get("rotation", np.eye(len(rotation))), rotation),
        }
        if self.input == "constrained":
            rotated["input0"] = np.asarray(rotation.T.astype(np.float32) @ arrays["input0"])
        return rotated

    def add_onnx_encoder(self, graph: OnnxGraph, model: VectorModel) -> str:
        """See `OnnxRecipe`."""
        from embedrec.models.gru4rec.onnx_encoder import add_recurrent

        assert isinstance(model, RecurrentModel)
        return add_recurrent(graph, model.recurrent)


@dataclass(frozen=True, eq=False, repr=False)
class RecurrentModel(VectorModel):
    """A model of vectors whose queries are states of a recurrent network, so that a live session is advanced step by
    step.

    A result vector is an item vector and its bias; a query is the state and 1. A state predicts the next item: it is in
    the space of the item embeddings, but not near the items of the history.
    """

    recurrent: Recurrent

    def start(self, count: int = 1) -> State:
        """The initial state of `count` sessions."""
        return self.recurrent.start(count)

    def step(self, state: State, rows: np.ndarray) -> State:
        """The state after one more item a session, whose `queries` (q, d) are searched in `answers`.

        rows  (q,) of the model's vocabulary; −1, an unknown item, leaves a session unchanged
        """
        return self.recurrent.step(state, rows)
