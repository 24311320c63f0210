"""Neural collaborative filtering: a perceptron over a session vector and an item vector scores the pair.

He et al. 2017 ("Neural Collaborative Filtering"); Rendle et al. 2020 ("Neural Collaborative Filtering vs. Matrix
Factorization Revisited") found that a tuned dot product does at least as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from embedrec.config import check_bounds
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.models.array_packing import check_optional, shaped
from embedrec.models.base import Arrays
from embedrec.models.session_encoders import mean_encoder
from embedrec.models.torch_recipe import CONTINUING_RATE, Neural, parse_layers
from embedrec.models.vector_model import VectorModel
from embedrec.models.warm_start import TrainingStart
from embedrec.training.settings import Schedule
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.procrustes import rotate


@dataclass(frozen=True)
class NeuralCF(Neural):
    """The concatenated vectors of a session and an item pass through `layers` to one number, and a sigmoid.

    The loss is its squared error, against 1 for observed pairs and 0 for random pairs.

    dim            length of a vector
    layers         hidden units of each layer, as in "50,50"
    negatives      random pairs of a session and an item for each observed one
    ns_exponent    their items are drawn in proportion to count ** ns_exponent; 0 is uniform
    learning_rate  peak, of AdamW
    weight_decay   decoupled weight decay of AdamW
    min_count      items mentioned less often are left out
    deviation      of initial vectors, times the square root of dim
    decay          how a history becomes a query: weight of an item relative to the next, see `mean_encoder`
    epochs, batch, patience, watch, schedule, clip, replay, precision   see `TrainingSettings`

    The model keeps the item vectors only: similar items and recommendations use their cosine, since the perceptron has
    no vectors for new sessions and cannot be searched. Raises SettingsError for values that are not
    allowed.

    >>> from embedrec import Sessions, NeuralCF
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = NeuralCF(dim=8, epochs=1, min_count=1).fit(sessions)
    >>> model.embeddings.vectors.shape
    (4, 8)
    """

    name: ClassVar[str] = "neural-cf"
    SPACE: ClassVar[dict[str, str]] = {
        "dim": "16..128 log",
        "learning_rate": "1e-3..0.05 log",
        "weight_decay": "1e-3..1 log",
        "negatives": "1..8",
        "decay": "0.5..1",
    }
    SMALL: ClassVar[dict[str, object]] = {"dim": 8, "epochs": 3, "min_count": 1}
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = ({"layers": "4", "negatives": 2, "patience": 1},)

    epochs: int = 20
    batch: int = 2048
    patience: int | None = None
    schedule: Schedule = "one-cycle"
    dim: int = 50
    layers: str = "50,50"
    negatives: int = 6
    ns_exponent: float = 0.0
    learning_rate: float = 0.01
    weight_decay: float = 0.1
    min_count: int = 2
    deviation: float = 0.7
    decay: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)
        if not parse_layers(self.layers, "layers"):
            raise SettingsError('a perceptron needs a layer; set layers as in "50,50"')

    def continuing(self, *, changes: bool = False) -> NeuralCF:
        """See `Neural.continuing`; at a low rate, since AdamW starts anew."""
        return replace(super().continuing(changes=changes), learning_rate=min(self.learning_rate, CONTINUING_RATE))

    def learner(self, sessions: Sessions, *, seed: int, device: str, start: TrainingStart | None = None) -> Any:
        """See `Neural.learner`."""
        from embedrec.models.factorization.pairwise_training import (
            PairLearner,
            Perceptron,
            SquaredErrorLoss,
            filter_items,
            start_pairs,
            table_vectors,
        )

        vocab, sessions = filter_items(sessions, self.min_count, None if start is None else start.sessions)
        hidden, deviation = parse_layers(self.layers, "layers"), self.deviation / self.dim**0.5
        scorer = Perceptron(len(sessions), len(vocab), self.dim, hidden, deviation=deviation)
        if start is not None:
            start.check(self, ("dim", "layers"))
            start_pairs(scorer, start.of(vocab), vocab, sessions)

        def build_model() -> VectorModel:
            return self.from_arrays(vocab, {"items": table_vectors(scorer.items), **scorer.layer_arrays()})

        loss = SquaredErrorLoss(scorer)
        return PairLearner(self, sessions, loss, build_model, same=False, seed=seed, start=start)

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> VectorModel:
        """The model of the array "items" (n, dim) float32. Raises DataError when it does not fit."""
        items = shaped(arrays, "items", (len(vocab), self.dim), self.name)
        units = [2 * self.dim, *parse_layers(self.layers, "layers"), 1]
        for number, (width, size) in enumerate(pairwise(units)):
            shapes = {f"layer{number}.weight": (size, width), f"layer{number}.bias": (size,)}
            check_optional(arrays, shapes, self.name)
        embeddings = Embeddings(items, vocab, "cosine")
        return VectorModel(self, arrays, embeddings, mean_encoder(items, self.decay), embeddings, embeddings)

    def rotated(self, arrays: Arrays, rotation: np.ndarray) -> Arrays:
        """See `RotatableRecipe`."""
        return {**arrays, "items": rotate(arrays["items"], rotation)}


_BOUNDS = {
    "dim": (1, 65536), "negatives": (1, 10000), "ns_exponent": (-100, 100), "learning_rate": (1e-9, 10),
    "weight_decay": (0, 100), "min_count": (1, np.inf), "deviation": (1e-6, 10), "decay": (1e-6, 1),
}  # fmt: skip
