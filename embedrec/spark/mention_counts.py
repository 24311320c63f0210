"""Mentions of items on Spark, over all time or recently: the counts of `popular`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.data.events import DAY
from embedrec.errors import SettingsError
from embedrec.models.baselines.popular import NO_TIMES, Popular
from embedrec.spark.item_sums import count_mentions
from embedrec.spark.sessions_frame import SessionsFrame, mapped, slices_in


def popular_counts(recipe: Popular, frame: SessionsFrame) -> np.ndarray:
    """The counts of `Popular.fit`: (n,) int64; float64 with half_life, summed slice by slice.

    Raises SettingsError for settings that need times if there are none.
    """
    if recipe.days is None and recipe.half_life is None:
        return count_mentions(frame)
    if "times" not in frame.columns:
        raise SettingsError(NO_TIMES)
    from pyspark.sql import functions as f

    folder = frame.folder
    newest = frame.slices.mapInArrow(_NewestTime(folder, frame.part), "time long").agg({"time": "max"}).first()
    latest = np.iinfo(np.int64).min if newest is None or newest[0] is None else int(newest[0])
    task = _SumRecent(folder, frame.part, latest, recipe)
    sums = frame.slices.mapInArrow(task, "row int, start long, weight double")
    ordered = f.sort_array(f.collect_list(f.struct("start", "weight")))  # so that the sum depends on no order of tasks
    added = f.aggregate(ordered, f.lit(0.0), lambda total, each: total + each["weight"])
    table = sums.groupBy("row").agg(added.alias("weight")).toArrow()
    counts = np.zeros(frame.n_items)
    counts[table.column("row").to_numpy()] = table.column("weight").to_numpy()
    return counts.astype(np.int64) if recipe.half_life is None else counts


@dataclass(frozen=True)
class _NewestTime:
    """Slices → their newest time, in a task."""

    folder: str
    part: str

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        times = mapped(self.folder, f"{self.part}times")
        for start, stop in slices_in(batches):
            if stop > start:
                yield pa.record_batch({"time": times[start:stop].max(keepdims=True)})


@dataclass(frozen=True)
class _SumRecent:
    """Slices → weights of the mentions of each item, in a task."""

    folder: str
    part: str
    latest: int
    recipe: Popular

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        items, times = mapped(self.folder, f"{self.part}items"), mapped(self.folder, f"{self.part}times")
        for start, stop in slices_in(batches):
            rows, weights = self.recipe.weigh(np.array(items[start:stop]), (self.latest - times[start:stop]) / DAY)
            sums = np.bincount(rows, weights).astype(np.float64)
            present = np.flatnonzero(sums)
            columns = present.astype(np.int32), np.full(len(present), start), sums[present]
            yield pa.record_batch(dict(zip(("row", "start", "weight"), columns, strict=True)))
