"""Settings of GRU4Rec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from embedrec.config import check_bounds
from embedrec.errors import SettingsError
from embedrec.models.torch_recipe import Neural, widths


@dataclass(frozen=True)
class GRU4RecSettings(Neural):
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
    SMALL: ClassVar[dict[str, object]] = {"epochs": 3, "layers": "8"}
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = (
        {"layers": "5", "input": "embedding", "embedding_dim": 3, "loss": "bpr", "optimizer": "adam"},
        {"layers": "4,5", "input": "onehot", "loss": "cross-entropy", "logq": 1.0, "n_sample": 3},
        {"layers": "3", "input": "content", "loss": "cross-entropy"},
        {"layers": "3", "input": "content-mlp", "elu": 0.0},
        {"layers": "4", "batch": 2, "patience": 1, "momentum": 0.0, "regularisation": 0.01},
    )
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


_BOUNDS = {
    "embedding_dim": (1, 65536), "n_sample": (0, 10**7), "sample_alpha": (-100, 100), "elu": (0, 1000),
    "bpreg": (0, 1e6), "logq": (0, 100), "embedding_dropout": (0, 0.99), "hidden_dropout": (0, 0.99),
    "regularisation": (0, 1e6), "learning_rate": (1e-9, 100), "momentum": (0, 0.9999),
}  # fmt: skip
