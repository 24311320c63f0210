"""Features of the time of day and of the week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.events import DAY
from embedrec.data.sessions import Sessions
from embedrec.models.array_packing import locked, shaped
from embedrec.models.base import Arrays
from embedrec.ranking.feature_groups.group import Feature, QuestionBatch, names_of

HOUR = DAY // 24
THURSDAY = 3  # 1970-01-01; Monday is 0
PRIOR = 2.0  # expected events that smooth a ratio


@dataclass(frozen=True, eq=False)
class ClockFeatures:
    """When the last event of the history was, in UTC; absent where histories have no times.

    table  (n, 8) float32: ln of the events of an item in a part of the week over those expected; see `_slots`
    """

    FEATURES: ClassVar[tuple[Feature, ...]] = (
        Feature("hour", "hour of the last event, UTC, with fractions", "times"),
        Feature("weekday", "day of the last event, Monday is 0", "times"),
        Feature("popularity at this time", "ln of events at this quarter of the day over those expected", "times"),
    )

    table: np.ndarray

    @classmethod
    def fit(cls, sessions: Sessions) -> list[ClockFeatures]:
        """From training sessions; none without times."""
        if sessions.times is None:
            return []
        n, slots = len(sessions.vocab), _slots(sessions.times)
        counts = np.bincount(sessions.items * np.int64(8) + slots, minlength=8 * n).reshape(n, 8)
        share = np.bincount(slots, minlength=8) / max(len(slots), 1)
        expected = counts.sum(axis=1, keepdims=True) * share
        return [cls(locked(np.log((counts + PRIOR) / (expected + PRIOR)).astype(np.float32)))]

    @classmethod
    def from_arrays(cls, n: int, arrays: Arrays) -> list[ClockFeatures]:
        """Raises DataError for wrong arrays."""
        if "clock.table" not in arrays:
            return []
        return [cls(locked(shaped(arrays, "clock.table", (n, 8), "ranker")))]

    @property
    def names(self) -> tuple[str, ...]:
        return names_of(self.FEATURES)

    @property
    def arrays(self) -> Arrays:
        return {"clock.table": self.table}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        rows, last, question = batch.candidates, batch.last_event, batch.question_of
        out[rows, at : at + 3] = np.nan
        if not len(batch.times):
            return
        times, known = batch.times[last], (last >= 0)[question]
        values = np.stack([times % DAY / HOUR, _weekdays(times)], axis=1)
        out[rows, at : at + 2] = np.where(known[:, None], values[question], np.nan)
        out[rows, at + 2] = np.where(known, self.table[batch.items[rows], _slots(times)[question]], np.nan)


def _weekdays(times: np.ndarray) -> np.ndarray:
    return (times // DAY + THURSDAY) % 7


def _slots(times: np.ndarray) -> np.ndarray:
    """The part of the week of times (m,) in milliseconds: quarters of the day, of weekdays 0 … 3, of weekends 4 … 7."""
    return times % DAY // (DAY // 4) + 4 * (_weekdays(times) >= 5)
