"""How often candidates followed the last two or three events of the history, in training sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays
from embedrec.ranking.feature_groups.group import Feature, QuestionBatch, names_of, sparse_table

LENGTHS = (2, 3)  # of runs
Table = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class RunFeatures:
    """Runs: events that follow each other in a training session. Each level extends the runs of the level before.

    levels  the tables of runs of 2, 3 and 4 events, as starts (m+1,) int64, items int32 and values float32. Row r of
            the first is item r, a run of one; row r of another is entry r of the level before. Entries
            starts[r] … starts[r + 1] − 1 are the items that followed run r, ascending, and the number of times divided
            by 1 + the number of times that anything followed it
    """

    FEATURES: ClassVar[tuple[Feature, ...]] = tuple(
        Feature(
            f"next after last {words}",
            f"how often the item followed the last {words} events at once, divided by 1 + how often any item did",
        )
        for words in ("two", "three")
    )

    levels: tuple[Table, ...]

    @classmethod
    def fit(cls, sessions: Sessions) -> RunFeatures:
        """From training sessions."""
        n, position, levels = len(sessions.vocab), sessions.position_of, []
        runs, count = sessions.items.astype(np.int64), n  # (E,) the run that ends at each event, among `count`
        for length in (1, *LENGTHS):
            last = np.flatnonzero(position >= length)  # events with a run of that length before them
            keys, entry, times = np.unique(
                runs[last - 1] * np.int64(n) + sessions.items[last], return_inverse=True, return_counts=True
            )
            before, items = keys // n, (keys % n).astype(np.int32)
            all_times = np.bincount(before, weights=times, minlength=count)
            starts = np.concatenate([[0], np.cumsum(np.bincount(before, minlength=count))])
            values = (times / (1 + all_times[before])).astype(np.float32)
            levels.append((locked(starts), locked(items), locked(values)))
            runs, count = np.full(len(runs), -1), len(keys)
            runs[last] = entry
        return cls(tuple(levels))

    @classmethod
    def from_arrays(cls, n: int, arrays: Arrays) -> RunFeatures:
        """Raises DataError for wrong arrays."""
        levels: list[Table] = []
        for length in (1, *LENGTHS):
            levels.append(sparse_table(arrays, f"runs.{length}", n, rows=len(levels[-1][1]) if levels else n))
        return cls(tuple(levels))

    @property
    def names(self) -> tuple[str, ...]:
        return names_of(self.FEATURES)

    @property
    def arrays(self) -> Arrays:
        named = zip((1, *LENGTHS), self.levels, strict=True)
        return {
            f"runs.{length}.{name}": array
            for length, level in named
            for name, array in zip(("starts", "items", "values"), level, strict=True)
        }

    def write(self, batch: QuestionBatch, out: np.ndarray, at: int) -> None:
        from embedrec.kernels.ranking_features import find_runs, write_values

        for k, length in enumerate(LENGTHS):
            rows = np.empty(len(batch.offsets) - 1, dtype=np.int64)
            find_runs(batch.history_offsets, batch.history, length, *self.levels[0][:2], *self.levels[1][:2], rows)
            write_values(*self.levels[k + 1], locked(rows), batch.offsets, batch.items, batch.place, out, at + k)
