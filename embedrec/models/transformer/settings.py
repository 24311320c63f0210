"""Settings of the self-attentive model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from embedrec.config import check_bounds
from embedrec.errors import SettingsError
from embedrec.models.torch_recipe import SharedNeural


@dataclass(frozen=True)
class SASRecSettings(SharedNeural):
    """Causal self-attention over the last items of a session (Vaswani et al. 2017), trained to rank the next item.

    dim                length of a vector
    blocks             transformer blocks, each of attention and a feed-forward layer, with normalisation before both
    heads              attention heads of a block; they divide dim
    hidden             units of the feed-forward layers; None is 2 · dim
    gates              whether what a block adds is multiplied by a sigmoid gate of its input (LiGR; Borisyuk et al.
                       2024)
    positions          "relative", a learned weight of each distance between two items; "learned", a vector of each
                       place in the session; "none"
    query              "convex", a weighted mean of the item vectors of the history, whose weights are attention of the
                       last state (CORE; Hou et al. 2022); "last", the last state
    history            last items of a session that a query uses. Longer sessions are trained in windows of that length
    users              users have an embedding, if sessions have users, which is added to the query; that of an unknown
                       user is zero. Users with features and no session are encoded by their features
    features           use features of items and users, if sessions have them. Items with features that never occur are
                       part of the model, marked cold
    id_dropout         share of ids that are dropped in training: of users, and of items with features
    loss               "softmax" over the target and drawn items, or "gbce", binary cross-entropy of these, calibrated
                       for their number (Petrov & Macdonald 2023)
    negatives          items drawn for a batch, which are the negatives of all its queries
    ns_exponent        they are drawn in proportion to count ** ns_exponent; 0 is uniform
    logq               softmax: share of log(expected draws) that is subtracted from a score in training, which corrects
                       for popular items being drawn more often as negatives
    hardest            softmax: only the target and this many negatives of highest score have a gradient (TRON; Wilm et
                       al. 2023); None for all
    calibration        gbce: 1 gives the probabilities of all items as negatives, 0 those of the drawn ones
    scoring            "cosine" or "dot"
    temperature        scores are divided by it in training
    learning_rate      of embeddings (Adagrad; Duchi et al. 2011)
    layer_rate         of all other weights (AdamW; Loshchilov & Hutter 2019)
    dropout            share of numbers of the history's vectors that are set to 0 in training
    block_dropout      the same for what a block adds
    candidate_dropout  the same for the vectors of candidates
    order              of sessions in an epoch: "time", by their first event or else as they are given, or "random"
    epochs, batch, patience, watch, schedule, clip, replay, precision   see `TrainingSettings`

    Raises SettingsError for values that are not allowed.
    """

    name: ClassVar[str] = "sasrec"
    SPACE: ClassVar[dict[str, str]] = {
        "learning_rate": "0.02..0.4 log",
        "layer_rate": "0.0003..0.003 log",
        "temperature": "0.03..0.2 log",
        "dropout": "0..0.5",
        "candidate_dropout": "0..0.4",
        "blocks": "1,2,3",
        "batch": "256,512,1024",
    }
    WHOLE = ("users",)
    SMALL: ClassVar[dict[str, object]] = {"dim": 8, "blocks": 2, "heads": 2, "epochs": 3, "negatives": 8}
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = (
        {"query": "last", "scoring": "dot", "temperature": 1.0, "positions": "learned", "history": 3, "gates": True},
        {"query": "last", "blocks": 1},
        {"loss": "gbce", "positions": "none", "patience": None, "order": "random", "users": True},
    )
    epochs: int = 10
    dim: int = 128
    blocks: int = 1
    heads: int = 2
    hidden: int | None = None
    gates: bool = False
    positions: Literal["relative", "learned", "none"] = "relative"
    query: Literal["convex", "last"] = "convex"
    history: int = 50
    users: bool = False
    features: bool = True
    id_dropout: float = 0.1
    loss: Literal["softmax", "gbce"] = "softmax"
    negatives: int = 2560
    ns_exponent: float = 0.5
    logq: float = 1.0
    hardest: int | None = None
    calibration: float = 0.75
    scoring: Literal["cosine", "dot"] = "cosine"
    temperature: float = 0.07
    learning_rate: float = 0.1
    layer_rate: float = 0.001
    dropout: float = 0.2
    block_dropout: float = 0.4
    candidate_dropout: float = 0.0
    order: Literal["time", "random"] = "time"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)
        if self.dim % self.heads:
            raise SettingsError(f"heads must divide dim, but {self.heads} does not divide {self.dim}")

    @property
    def units(self) -> int:
        """Units of a feed-forward layer."""
        return 2 * self.dim if self.hidden is None else self.hidden


_BOUNDS = {
    "dim": (1, 65536), "blocks": (0, 1000), "heads": (1, 65536), "hidden": (1, 10**6), "history": (1, 10000),
    "id_dropout": (0, 0.99), "negatives": (0, 10**7), "ns_exponent": (-100, 100), "logq": (0, 1),
    "hardest": (1, 10**9), "calibration": (0, 1), "temperature": (1e-6, float("inf")), "learning_rate": (1e-9, 100),
    "layer_rate": (1e-9, 100), "dropout": (0, 0.99), "block_dropout": (0, 0.99), "candidate_dropout": (0, 0.99),
}  # fmt: skip
