"""GRU4Rec: a recurrent network walks through a session, and its state says what comes next.

Hidasi et al. 2016 ("Session-based Recommendations with Recurrent Neural Networks"); Hidasi & Karatzoglou 2018
("Recurrent Neural Networks with Top-k Gains for Session-based Recommendations": BPR-max, further negatives); Navon &
Andrade 2019 (features of tracks as inputs); Hidasi & Czapp 2023 (what third-party versions leave out, and lose by it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from embedrec.config import check_bounds
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.array_packing import rows_of, shaped
from embedrec.models.base import Arrays
from embedrec.models.gru4rec.numpy_gru import Layer, Recurrent, State
from embedrec.models.torch_recipe import Neural, widths
from embedrec.models.vector_model import VectorModel
from embedrec.vectors.embeddings import Embeddings


@dataclass(frozen=True)
class GRU4Rec(Neural):
    """Gated recurrent units (Cho et al. 2014) over a session, trained to rank its next item above sampled ones.

    input               what the network is told of an item: "constrained", the vector by which it is ranked as an
                        answer; "embedding", a vector of its own; "onehot", its row of the input matrix; "content", its
                        features; "content-mlp", two layers of 64 units over these
    layers              units of each recurrent layer, as in "256" or "100,100"
    embedding_dim       length of the vectors of input=embedding
    loss                "bpr-max", "bpr" or "cross-entropy"
    n_sample            negatives drawn for a batch, beside the other targets in it
    sample_alpha        they are drawn in proportion to count ** sample_alpha; 0 is uniform
    elu                 bpr-max: scores go through elu with this parameter; 0 for not
    bpreg               bpr-max: how much large scores of negatives cost
    logq                cross-entropy: how much of the logarithm of how often an item is a candidate is taken off its
                        score, see Hidasi & Czapp 2023; 0 for none
    embedding_dropout   share of the numbers of an input that are set to 0 in training
    hidden_dropout      the same for the output of every recurrent layer
    regularisation      how much squared weights cost, of the items that a batch has
    optimizer           "adagrad" (Duchi et al. 2011) or "adam" (Kingma & Ba 2015)
    learning_rate       of all weights
    momentum            of adagrad
    batch               sessions side by side, each of which gives an example a step
    epochs, patience, watch, schedule, clip, precision   see `Plan`

    The rows of a table that a batch does not name stay as they are, also in their momentum. Raises SettingsError for
    values that are not allowed.
    """

    name: ClassVar[str] = "gru4rec"
    SPACE: ClassVar[dict[str, str]] = {
        "layers": "96,192,256,384,512",
        "batch": "32,64,128,256",
        "learning_rate": "0.01..0.25 log",
        "momentum": "0..0.9",
        "embedding_dropout": "0..0.6",
        "hidden_dropout": "0..0.7",
        "sample_alpha": "0..1",
        "bpreg": "0..2",
    }

    epochs: int = 10
    batch: int = 128
    patience: int | None = None
    input: Literal["constrained", "embedding", "onehot", "content", "content-mlp"] = "constrained"
    layers: str = "256"
    embedding_dim: int = 64
    loss: Literal["bpr-max", "bpr", "cross-entropy"] = "bpr-max"
    n_sample: int = 2048
    sample_alpha: float = 0.3
    elu: float = 1.0
    bpreg: float = 0.9
    logq: float = 0.0
    embedding_dropout: float = 0.5
    hidden_dropout: float = 0.3
    regularisation: float = 0.0
    optimizer: Literal["adagrad", "adam"] = "adagrad"
    learning_rate: float = 0.05
    momentum: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)
        if not widths(self.layers, "layers"):
            raise SettingsError('a recurrent network needs a layer; set layers as in "256"')

    def learner(self, sessions: Sessions, *, seed: int, device: str) -> Any:
        """See `Neural.learner`."""
        from embedrec.models.gru4rec.training import GRU4RecLearner

        return GRU4RecLearner(self, sessions, seed=seed)

    def restore(self, vocab: Vocab, arrays: Arrays) -> RecurrentModel:
        """The model of its arrays, see `GRU4RecLearner.model`. Raises DataError when they do not fit.

        Sessions are walked without torch.
        """
        units = widths(self.layers, "layers")
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
        if "cold" in arrays:
            shaped(arrays, "cold", (len(vocab),), self.name, "uint8")
        recurrent = Recurrent(inputs, tuple(layers))
        answers = Embeddings(items, vocab, "dot")
        return RecurrentModel(self, arrays, embeddings, recurrent, answers, answers, recurrent)


@dataclass(frozen=True, eq=False)
class RecurrentModel(VectorModel):
    """A model of vectors whose queries are states of a recurrent network, so that a live session goes on step by step.

    An answer is the vector of an item and its bias, a query the state and 1. A state says what comes next: it lies
    among the item embeddings, but not beside the items it comes from.
    """

    recurrent: Recurrent

    def start(self, count: int = 1) -> State:
        """The state of so many sessions that have not begun."""
        return self.recurrent.start(count)

    def step(self, state: State, rows: np.ndarray) -> State:
        """The state after one more item a session, whose `queries` (q, d) are to be searched for in `answers`.

        rows  (q,) of the model's vocabulary; −1, an unknown item, leaves a session as it is
        """
        return self.recurrent.step(state, rows)


_BOUNDS = {
    "embedding_dim": (1, 65536), "n_sample": (0, 10**7), "sample_alpha": (-100, 100), "elu": (0, 1000),
    "bpreg": (0, 1e6), "logq": (0, 100), "embedding_dropout": (0, 0.99), "hidden_dropout": (0, 0.99),
    "regularisation": (0, 1e6), "learning_rate": (1e-9, 100), "momentum": (0, 0.9999),
}  # fmt: skip
