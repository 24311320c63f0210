"""The gate: which drift is too much for a new version to take the place of the old one."""

from __future__ import annotations

from dataclasses import dataclass

from embedrec.config import Settings, check_bounds
from embedrec.evaluation.drift import Drift


@dataclass(frozen=True)
class Gate(Settings):
    """Thresholds of a drift; None switches one off.

    min_overlap      least mean share of the results that stay
    max_recall_drop  most that the recall of an index may lose
    max_metric_drop  most that the metric on new sessions may lose. A loss counts only if its 95 % interval excludes 0:
                     few new sessions measure a difference badly
    """

    min_overlap: float | None = 0.6
    max_recall_drop: float | None = 0.01
    max_metric_drop: float | None = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, dict.fromkeys(("min_overlap", "max_recall_drop", "max_metric_drop"), (0, 1)))

    def failures(self, drift: Drift) -> list[str]:
        """Why a drift is too much, a clause for each threshold that is not met; empty if it is not."""
        reasons = []
        if self.min_overlap is not None and drift.overlap < self.min_overlap:
            reasons.append(f"overlap@{drift.k} {drift.overlap:.4f} is below --min-overlap {self.min_overlap:g}")
        if self.max_recall_drop is not None and drift.recall is not None:
            reasons += _drop(f"{drift.recall_name} of the index", drift.recall, self.max_recall_drop, "recall")
        if self.max_metric_drop is not None and drift.metric is not None:
            gap = drift.metric_gap
            if gap is None or gap[1] < 0:
                name = f"{drift.metric_name} on new sessions"
                reasons += _drop(name, drift.metric, self.max_metric_drop, "metric")
        return reasons


NO_GATE = Gate(None, None, None)
_ROUNDING = 1e-9


def _drop(name: str, pair: tuple[float, float], most: float, option: str) -> list[str]:
    old, new = pair
    if old - new <= most + _ROUNDING:
        return []
    return [f"{name} drops from {old:.4f} to {new:.4f}, by more than --max-{option}-drop {most:g}"]
