"""The settings that every training with torch has."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from sys import float_info
from typing import Literal

from embedrec.config import Settings, check_bounds

Schedule = Literal["constant", "linear", "one-cycle"]
Watched = Literal["recall@20", "mrr@20"]
Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """How long and how carefully; a recipe inherits these fields and sets its own defaults.

    epochs     passes over the examples, at most
    batch      examples a step, over all processes together
    patience   stop after so many epochs without a better `watch`, and keep the best; None trains all epochs on all
               sessions and validates nothing
    watch      what is watched: "recall@20" or "mrr@20" of the last items of held-back training sessions
    schedule   of the learning rates: "constant", "linear" to 0, or "one-cycle" (up over the first three tenths, down to
               0 along a cosine; Smith & Topin 2019)
    clip       largest norm of a step's gradient; longer ones are shortened to it; None for no limit
    precision  of products: "float32", or "bfloat16" and "float16" on a GPU (mixed precision, Micikevicius et al. 2018)

    Raises SettingsError for values that are not allowed.
    """

    epochs: int = 20
    batch: int = 512
    patience: int | None = 3
    watch: Watched = "recall@20"
    schedule: Schedule = "constant"
    clip: float | None = None
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)

    def rate(self, share: float) -> float:
        """What learning rates are multiplied by when a share of the training, from 0 to 1, is done."""
        if self.schedule == "linear":
            return 1 - share
        if self.schedule == "one-cycle":
            up = share / _RISE
            return max(0.04, up) if up < 1 else (1 + cos(pi * (share - _RISE) / (1 - _RISE))) / 2
        return 1.0


_RISE = 0.3
_BOUNDS = {
    "epochs": (1, float_info.max),  # infinity is refused
    "batch": (1, float_info.max),
    "patience": (1, float_info.max),
    "clip": (1e-9, float_info.max),
}
