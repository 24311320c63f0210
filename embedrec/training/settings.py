"""Settings of every training with torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from sys import float_info
from typing import Literal

from embedrec.config import Settings, check_bounds

Schedule = Literal["constant", "linear", "one-cycle"]
WatchedMetric = Literal["recall@20", "mrr@20"]
Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """Epochs, batches and early stopping; a recipe inherits these fields and sets its own defaults.

    epochs     most passes over the examples
    batch      examples per step, over all processes
    patience   stop after this many epochs without improvement of `watch`, and use the best epoch; None trains all
               epochs on all sessions without validation
    watch      validation metric: "recall@20" or "mrr@20" of the last items of held-out training sessions
    schedule   of the learning rates: "constant", "linear" to 0, or "one-cycle" (rising over the first 30 %, then a
               cosine to 0; Smith & Topin 2019)
    clip       largest norm of a step's gradient; a larger gradient is scaled down to it; None for no limit
    replay     warm start with known changes: unchanged sessions that are trained on too, for each changed one
    precision  of products: "float32", or "bfloat16" and "float16" on a GPU (mixed precision, Micikevicius et al. 2018)

    Raises SettingsError for values that are not allowed.
    """

    epochs: int = 20
    batch: int = 512
    patience: int | None = 3
    watch: WatchedMetric = "recall@20"
    schedule: Schedule = "constant"
    clip: float | None = None
    replay: float = 4.0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)

    def rate(self, share: float) -> float:
        """The factor of the learning rates after a share of the training, from 0 to 1."""
        if self.schedule == "linear":
            return 1 - share
        if self.schedule == "one-cycle":
            up = share / _WARMUP
            return max(0.04, up) if up < 1 else (1 + cos(pi * (share - _WARMUP) / (1 - _WARMUP))) / 2
        return 1.0


_WARMUP = 0.3
_BOUNDS = {
    "epochs": (1, float_info.max),  # infinity is refused
    "batch": (1, float_info.max),
    "patience": (1, float_info.max),
    "clip": (1e-9, float_info.max),
    "replay": (0, 1e6),
}
