"""Features of the history, and of the place of candidates in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import DataError
from embedrec.models.array_packing import shaped
from embedrec.models.base import Arrays
from embedrec.ranking.feature_groups.group import Feature, QuestionBatch, names_of


@dataclass(frozen=True)
class HistoryFeatures:
    """Repeats and the shape of the history.

    scale  milliseconds after which an event has half the weight in means by time: the median time between two events
           of a training session; NaN without times
    """

    FEATURES: ClassVar[tuple[Feature, ...]] = (
        Feature("repeats", "how often the item is in the history"),
        Feature("events since", "events of the history after the last one of the item; absent if there is none"),
        Feature("length", "events of the history"),
        Feature("distinct share", "distinct items of the history divided by its events"),
    )
    TIMED: ClassVar[tuple[Feature, ...]] = (
        Feature("duration", "seconds from the first event of the history to the last", "times"),
        Feature("last gap", "seconds from the last but one event of the history to the last", "times"),
    )

    scale: float

    @classmethod
    def fit(cls, sessions: Sessions) -> HistoryFeatures:
        """From training sessions."""
        if sessions.times is None:
            return cls(np.nan)
        gaps = np.diff(sessions.times)[np.diff(sessions.session_of) == 0]
        gaps = gaps[gaps > 0]
        return cls(float(np.median(gaps)) if len(gaps) else 1.0)

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> HistoryFeatures:
        """Raises DataError for a wrong array."""
        scale = float(shaped(arrays, "history.scale", (1,), "ranker", "float64")[0])
        if not (np.isnan(scale) or 0 < scale < np.inf):
            raise DataError(f"history.scale of a ranker must be positive, but is {scale}")
        return cls(scale)

    @property
    def timed(self) -> bool:
        """Whether the training sessions have times."""
        return not np.isnan(self.scale)

    @property
    def names(self) -> tuple[str, ...]:
        return names_of((*self.FEATURES, *self.TIMED) if self.timed else self.FEATURES)

    @property
    def arrays(self) -> Arrays:
        return {"history.scale": np.array([self.scale])}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        from embedrec.kernels.ranking_features import write_history

        history = (batch.history_offsets, batch.history, batch.times)
        write_history(*history, self.timed, batch.offsets, batch.items, batch.place, out, at)
