"""Settings of two towers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from embedrec.config import check_bounds
from embedrec.errors import SettingsError
from embedrec.models.torch_recipe import SharedNeural, parse_layers


@dataclass(frozen=True)
class TwoTowerSettings(SharedNeural):
    """An item tower and a query tower.

    The item tower adds an item's id embedding and its feature embeddings, and passes the sum through `item_layers`. The
    query tower takes the weighted mean of the last `history` item vectors, adds the user vector, and passes the sum
    through `query_layers`. Layers are residual (He et al. 2016).

    dim            length of a vector
    item_layers    hidden units of each layer of the item tower, as in "128,64"; "" for none
    query_layers   the same for the query tower
    history        last items of a session that a query uses; 0 for none, which needs users=true
    decay          initial weight of an item relative to the one after it; weights of positions are learned
    attention      items have a learned weight in addition to that of their position
    users          users have an embedding, if sessions have users; that of an unknown user is zero. Users with features
                   and no session are encoded by their features
    features       use features of items and users, if sessions have them. Items with features that never occur are
                   part of the model, marked cold
    id_dropout     share of ids that are dropped in training: of users, and of items with features
    loss           "softmax" over the batch's targets and more items, or "bce" with random negatives
    negatives      softmax: items drawn for a batch in addition to its targets; bce: for each example. None is 2048 and
                   10
    ns_exponent    they are drawn in proportion to count ** ns_exponent; 0 is uniform
    logq           share of log(expected draws) that is subtracted from a score in training: 1 corrects for popular
                   items being drawn more often as negatives; 0 does not, which favours rare items
    half_life      half-life in days of the weight of an event in training, back from the last event; None for equal
                   weights. Needs times
    trend          half-life in days of recent popularity: the log ratio of an item's recent popularity to that over all
                   training is added to its score (Zhang et al. 2021 add the expected popularity). None for off. Needs
                   times
    scoring        "cosine" or "dot"
    temperature    scores are divided by it in training
    learning_rate  of embeddings (Adagrad; Duchi et al. 2011)
    layer_rate     of all other weights (AdamW; Loshchilov & Hutter 2019)
    dropout        share of numbers of the history's vectors that are set to 0 in training
    epochs, batch, patience, watch, schedule, clip, replay, precision   see `TrainingSettings`

    Raises SettingsError for values that are not allowed.
    """

    name: ClassVar[str] = "two-tower"
    SPACE: ClassVar[dict[str, str]] = {
        "learning_rate": "0.02..0.4 log",
        "temperature": "0.03..0.2 log",
        "dropout": "0..0.5",
        "history": "5..50 log",
        "logq": "0..1",
        "batch": "256,512,1024",
    }
    WHOLE = ("users", "trend", "half_life")
    SMALL: ClassVar[dict[str, object]] = {"dim": 8, "epochs": 3}
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = (
        {"scoring": "dot", "temperature": 1.0, "query_layers": "5", "item_layers": "4"},
        {"loss": "bce", "attention": False, "patience": None},
    )
    epochs: int = 20
    dim: int = 100
    item_layers: str = ""
    query_layers: str = ""
    history: int = 20
    decay: float = 0.8
    attention: bool = True
    users: bool = False
    features: bool = True
    id_dropout: float = 0.1
    loss: Literal["softmax", "bce"] = "softmax"
    negatives: int | None = None
    ns_exponent: float = 0.5
    logq: float = 1.0
    half_life: float | None = None
    trend: float | None = None
    scoring: Literal["cosine", "dot"] = "cosine"
    temperature: float = 0.07
    learning_rate: float = 0.1
    layer_rate: float = 0.001
    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)
        for field in ("item_layers", "query_layers"):
            parse_layers(getattr(self, field), field)
        if not self.history and not self.users:
            raise SettingsError("a query needs a history or a user; set history above 0, or users=true")


_BOUNDS = {
    "dim": (1, 65536), "history": (0, 10000), "decay": (1e-6, 1), "id_dropout": (0, 0.99), "negatives": (0, 10**7),
    "ns_exponent": (-100, 100), "logq": (0, 1), "half_life": (1e-6, np.inf), "trend": (1e-6, np.inf),
    "temperature": (1e-6, np.inf), "learning_rate": (1e-9, 100), "layer_rate": (1e-9, 100), "dropout": (0, 0.99),
}  # fmt: skip
