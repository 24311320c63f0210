"""Popularity of items in training sessions, over all time and recently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.models.array_packing import locked, shaped
from embedrec.models.base import Arrays
from embedrec.ranking.feature_groups.group import Feature, QuestionBatch, names_of

DAYS = (1, 3, 7)  # recent windows, where training sessions have times
PERCENT = (1, 3, 10)  # recent windows, the last events, where they have none
PRIOR = 2.0  # expected mentions that smooth a trend


@dataclass(frozen=True, eq=False)
class PopularityFeatures:
    """A table (n, 9) float32 of items; NaN for items without events. Counts are relative to the mean of all items, so
    that tables of shorter and of longer training parts compare.

    timed  whether training sessions have times
    """

    FEATURES: ClassVar[tuple[Feature, ...]] = (
        Feature("popularity", "ln of the item's events over the mean of all items"),
        Feature("popularity of {window}", "the same among recent events"),
        Feature("trend of {window}", "ln of the recent events of the item over those expected from all events"),
        Feature("age", "days, without times share of all events, since the first event of the item"),
        Feature("recency", "days, without times share of all events, since the last event of the item"),
    )

    table: np.ndarray
    timed: bool

    @classmethod
    def fit(cls, sessions: Sessions) -> PopularityFeatures:
        """From training sessions; without times in their order."""
        n, events, items = len(sessions.vocab), max(len(sessions.items), 1), sessions.items
        days = sessions.days_ago
        ages = (events - 1 - np.arange(len(items))) / events if days is None else days  # (E,)
        counts = np.bincount(items, minlength=n).astype(np.float64)
        columns = [_log_ratio(counts, len(items) / max(n, 1))]
        for window in PERCENT if days is None else DAYS:
            inside = ages < (window / 100 if days is None else window)
            recent = np.bincount(items[inside], minlength=n)
            expected = counts * (inside.sum() / events)
            columns.append(_log_ratio(recent, inside.sum() / max(n, 1)))
            columns.append(np.log((recent + PRIOR) / (expected + PRIOR)))
        first, last = np.full(n, -np.inf), np.full(n, np.inf)
        np.maximum.at(first, items, ages)
        np.minimum.at(last, items, ages)
        table = np.stack([*columns, first, last], axis=1).astype(np.float32)
        table[counts == 0] = np.nan
        return cls(locked(table), days is not None)

    @classmethod
    def from_arrays(cls, n: int, arrays: Arrays, timed: bool) -> PopularityFeatures:
        """Raises DataError for wrong arrays."""
        return cls(locked(shaped(arrays, "popularity.table", (n, 3 + 2 * len(DAYS)), "ranker")), timed)

    @property
    def names(self) -> tuple[str, ...]:
        windows = [f"last {w} days" for w in DAYS] if self.timed else [f"last {w} percent" for w in PERCENT]
        recent = [name for window in windows for name in names_of(self.FEATURES[1:3], window=window)]
        return (*names_of(self.FEATURES[:1]), *recent, *names_of(self.FEATURES[3:]))

    @property
    def arrays(self) -> Arrays:
        return {"popularity.table": self.table}

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        rows = batch.candidates
        out[rows, at : at + self.table.shape[1]] = self.table[batch.items[rows]]


def _log_ratio(counts: np.ndarray, mean: float) -> np.ndarray:
    return np.asarray(np.log((counts + 0.5) / (mean + 0.5)))
