"""Settings of two towers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from embedrec.config import check_bounds
from embedrec.errors import SettingsError
from embedrec.models.torch_recipe import Neural, widths


@dataclass(frozen=True)
class TwoTowerSettings(Neural):
    """An item tower and a query tower.

    The item tower adds an item's id embedding and what its features say, and passes the sum through `item_layers`. The
    query tower takes the last `history` items' vectors to a weighted mean, adds that of the user, and passes the sum
    through `query_layers`. Layers add to what they are given (He et al. 2016).

    dim            length of a vector
    item_layers    hidden units of each layer of the item tower, as in "128,64"; "" for none
    query_layers   the same for the query tower
    history        last items of a session that a query sees; 0 for none, where `users` must be true
    decay          first weight of an item relative to the one after it; weights of places are learned from there
    attention      items have a weight of their own beside that of their place, learned
    users          a user has an embedding, where sessions name users; an unknown user's is zero. Users that have
                   features and no session are part of the model, by their features
    features       features of items and of users count, where sessions have them. Items that have features and never
                   occur are part of the model, marked cold
    id_dropout     share of ids that are taken away in training: of users, and of items that have features, so that the
                   rest of a query, or features alone, must do
    loss           "softmax" over the batch's targets and more items, or "bce" with random negatives
    negatives      softmax: items drawn for a batch beside its targets; bce: for each example. None is 2048 and 10
    ns_exponent    they are drawn in proportion to count ** ns_exponent; 0 is uniform
    logq           how much of log(expected draws) is taken off a score in training: 1 undoes that popular items
                   are drawn more often as negatives, 0 leaves it, and favours rare items
    half_life      days in which an event counts half as much in training, back from the last one; None counts all
                   alike. It needs times
    trend          half-life in days of what is popular now: an item's score gets the logarithm of how much more popular
                   it is of late than over the whole training (Zhang et al. 2021 inject the popularity expected). None
                   leaves it out. It needs times
    scoring        "cosine" or "dot"
    temperature    scores are divided by it in training
    learning_rate  of embeddings (Adagrad; Duchi et al. 2011)
    layer_rate     of all else (AdamW; Loshchilov & Hutter 2019)
    dropout        share of numbers of the history's vectors that are set to 0 in training
    epochs, batch, patience, watch, schedule, clip, precision   see `Plan`

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
            widths(getattr(self, field), field)
        if not self.history and not self.users:
            raise SettingsError("a query needs a history or a user; set history above 0, or users=true")


_BOUNDS = {
    "dim": (1, 65536), "history": (0, 10000), "decay": (1e-6, 1), "id_dropout": (0, 0.99), "negatives": (0, 10**7),
    "ns_exponent": (-100, 100), "logq": (0, 1), "half_life": (1e-6, np.inf), "trend": (1e-6, np.inf),
    "temperature": (1e-6, np.inf), "learning_rate": (1e-9, 100), "layer_rate": (1e-9, 100), "dropout": (0, 0.99),
}  # fmt: skip
