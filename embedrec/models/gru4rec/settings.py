"""Settings of GRU4Rec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from embedrec.config import check_bounds
from embedrec.errors import SettingsError
from embedrec.models.torch_recipe import SharedNeural, parse_layers


@dataclass(frozen=True)
class GRU4RecSettings(SharedNeural):
    """Gated recurrent units (Cho et al. 2014) over a session, trained to rank the next item above sampled ones.

    input               input of the network: "constrained", the output vector of the item; "embedding", a separate
                        vector; "onehot", its row of the input matrix; "content", its features; "content-mlp", two
                        layers of 64 units over these
    layers              units of each recurrent layer, as in "256" or "100,100"
    embedding_dim       length of the vectors of input=embedding
    loss                "bpr-max", "bpr" or "cross-entropy"
    n_sample            negatives drawn for a batch, in addition to its other targets
    sample_alpha        they are drawn in proportion to count ** sample_alpha; 0 is uniform
    elu                 bpr-max: scores go through elu with this parameter; 0 for no elu
    bpreg               bpr-max: penalty on large scores of negatives
    logq                cross-entropy: share of the log expected count of an item as candidate that is subtracted from
                        its score, see Hidasi & Czapp 2023; 0 for none
    embedding_dropout   share of the numbers of an input that are set to 0 in training
    hidden_dropout      the same for the output of every recurrent layer
    regularisation      penalty on squared weights of the items in a batch
    optimizer           "adagrad" (Duchi et al. 2011) or "adam" (Kingma & Ba 2015)
    learning_rate       of all weights
    momentum            of adagrad
    batch               parallel sessions; each yields one example a step
    epochs, patience, watch, schedule, clip, replay, precision   see `TrainingSettings`

    Rows of a table that a batch does not use stay unchanged, and so does their momentum. Raises SettingsError for
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
        if not parse_layers(self.layers, "layers"):
            raise SettingsError('a recurrent network needs a layer; set layers as in "256"')


_BOUNDS = {
    "embedding_dim": (1, 65536), "n_sample": (0, 10**7), "sample_alpha": (-100, 100), "elu": (0, 1000),
    "bpreg": (0, 1e6), "logq": (0, 100), "embedding_dropout": (0, 0.99), "hidden_dropout": (0, 0.99),
    "regularisation": (0, 1e6), "learning_rate": (1e-9, 100), "momentum": (0, 0.9999),
}  # fmt: skip
