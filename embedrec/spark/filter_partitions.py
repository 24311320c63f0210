"""Filters of events in partitions: those of one machine, with the counts of items of all partitions.

Filters of sessions look at one partition each. Filters of items need the number of events of every item in all
partitions: tasks write how many events of each item they drop, and the driver subtracts them, 8 bytes an item.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.data.events import DAY, Events
from embedrec.data.filter_state import FilterState, most_frequent
from embedrec.data.filters import (
    Filters,
    LastCluster,
    RemovedCounts,
    apply_filter,
    cluster_spans,
    keep_since,
    needed_column,
    outlier_note,
)
from embedrec.data.vocab import Vocab, as_ids
from embedrec.spark.part_files import load_part, save_part
from embedrec.spark.partitions import Partition
from embedrec.spark.tasks import fresh_name, numbers_in, run_numbered

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_COLUMNS = ("time", "weight", "kind")  # that filters read


@dataclass(frozen=True)
class Remaining:
    """The events that remain in a partition.

    mask   file of the mask (E,) bool, "" if all remain
    sizes  sessions with events, and events
    """

    mask: str
    sizes: tuple[int, int]


class PartitionFilters:
    """The filters of a list of partitions.

    counts     (n,) int64 remaining events of every item
    remaining  one a partition
    """

    def __init__(
        self,
        spark: SparkSession,
        partitions: Sequence[Partition],
        items: int,
        columns: Sequence[str],
        kinds: Sequence[Any],
        staging: Path,
    ) -> None:
        self.spark = spark
        self.staging = staging
        self.folders = tuple(partition.folder for partition in partitions)
        self.columns = tuple(name for name in _COLUMNS if name in columns)
        self.kinds = tuple(kinds)
        self.counts = np.zeros(items, dtype=np.int64)
        self.remaining = [Remaining("", (partition.sessions, partition.events)) for partition in partitions]
        self.events = sum(partition.events for partition in partitions)
        for result in self._run(CountItems(str(staging), self.folders)):
            self._add(result["counts"], 1)

    def apply(self, filters: Filters) -> list[RemovedCounts]:
        """Apply all filters. Raises as `Filters.apply`."""
        self.last = None
        notes = {}
        if filters.days:
            needed_column(self._probe(), "time", "days")
            self.last = max((r["last"] for r in self._run(LastTime(str(self.staging), self.folders))), default=None)
            if self.last is not None:
                notes["days"] = self._outlier_note(filters.days, self.last)
        return filters.run(self.events, self.sizes, lambda name: self._step(name, filters), notes)

    def sizes(self) -> tuple[int, int, int]:
        """The numbers of sessions with events, items with events, and events."""
        sessions, events = (sum(part.sizes[n] for part in self.remaining) for n in range(2))
        return sessions, int(np.count_nonzero(self.counts)), events

    def _step(self, name: str, filters: Filters) -> None:
        keep = ""
        if name in ("top", "min_count"):
            if name == "top":
                mask = most_frequent(self.counts, filters.top or 0, np.arange(len(self.counts)))
            else:
                mask = self.counts >= (filters.min_count or 0)
            if not (self.counts[~mask] > 0).any():
                return
            keep = fresh_name("items", 0, ".npy")
            save_part(self.staging / keep, mask)
        since = None if name != "days" or self.last is None else self.last - int((filters.days or 0) * DAY)
        masks = tuple(part.mask for part in self.remaining)
        results = self._run(
            FilterPartition(
                str(self.staging), self.folders, masks, self.columns, self.kinds, name, filters, keep, since
            )
        )
        self.remaining = [Remaining(result["mask"], tuple(result["sizes"])) for result in results]
        for result in results:
            if result["dropped"]:
                self._add(result["dropped"], -1)

    def _add(self, file: str, sign: int) -> None:
        """Add the counts of a file of items and counts to those of all items, or subtract them."""
        items, counts = load_part(self.staging / f"{file}-items.npy"), load_part(self.staging / f"{file}-counts.npy")
        self.counts[items] += sign * counts  # the items of a file are distinct

    def _run(self, work: Any) -> list[dict[str, Any]]:
        return run_numbered(self.spark, work, len(self.folders))

    def _probe(self) -> Events:
        """No events, with the columns that there are."""
        time = np.zeros(0, np.int64) if "time" in self.columns else None
        none = np.zeros(0, np.int32)
        return Events(none, none, Vocab(np.zeros(0, np.int64)), Vocab(np.zeros(0, np.int64)), time=time)

    def _outlier_note(self, days: float, last: int) -> str:
        spans = cluster_spans(days)
        results = self._run(FindClusters(str(self.staging), self.folders, last, spans))
        parts = [[LastCluster(**cluster) for cluster in result["clusters"]] for result in results]
        return outlier_note([LastCluster.join(same) for same in zip(*parts, strict=True)], self.events, last)


# ---------------------------------------------------------------------------------------------- in executors


def items_of(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The distinct items (m,) of a partition, ascending, and the row (E,) int32 of each event among them."""
    items, rows = np.unique(load_part(folder / "item.npy"), return_inverse=True)
    return items, rows.astype(np.int32)


@dataclass(frozen=True)
class CountItems:
    """Numbers of partitions → the events of each item."""

    staging: str
    folders: tuple[str, ...]

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        (number,) = numbers_in(batches)
        staging = Path(self.staging)
        items, counts = np.unique(load_part(staging / self.folders[number] / "item.npy"), return_counts=True)
        return {"counts": save_counts(staging, number, items, counts)}


def save_counts(staging: Path, part: int, items: np.ndarray, counts: np.ndarray) -> str:
    """Write items (m,) and their counts (m,); the beginning of the names of the two files."""
    name = fresh_name("counts", part)
    save_part(staging / f"{name}-items.npy", items.astype(np.int32))
    save_part(staging / f"{name}-counts.npy", counts.astype(np.int64))
    return name


@dataclass(frozen=True)
class LastTime:
    """Numbers of partitions → the last time."""

    staging: str
    folders: tuple[str, ...]

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        (number,) = numbers_in(batches)
        time = load_part(Path(self.staging) / self.folders[number] / "time.npy")
        return {"last": int(time.max(initial=np.iinfo(np.int64).min))}


@dataclass(frozen=True)
class FindClusters:
    """Numbers of partitions → the clusters of their times, see `filters.LastCluster`."""

    staging: str
    folders: tuple[str, ...]
    last: int
    spans: tuple[int, ...]

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        (number,) = numbers_in(batches)
        time = load_part(Path(self.staging) / self.folders[number] / "time.npy")
        return {"clusters": [asdict(LastCluster.of(time, self.last, span)) for span in self.spans]}


@dataclass(frozen=True)
class FilterPartition:
    """Numbers of partitions → what remains after one filter.

    masks  file of the mask of each partition, "" for all events
    keep   file of a mask (n,) of the items to keep, "" for other filters
    since  first time to keep, None for other filters
    """

    staging: str
    folders: tuple[str, ...]
    masks: tuple[str, ...]
    columns: tuple[str, ...]
    kinds: tuple[Any, ...]
    name: str
    filters: Filters
    keep: str
    since: int | None

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        (number,) = numbers_in(batches)
        staging = Path(self.staging)
        folder = staging / self.folders[number]
        items, rows = items_of(folder)
        state = FilterState(self._events(folder, items, rows))
        if self.masks[number]:
            mask = load_part(staging / self.masks[number])
            state.keep(lambda chunk: mask[chunk])
        before = state.counts.copy()
        if self.keep:
            state.keep_items(load_part(staging / self.keep)[items])
        elif self.since is not None:
            keep_since(state, self.since)
        else:
            apply_filter(self.name, state, self.filters)
        dropped = before - state.counts
        changed = np.flatnonzero(dropped)
        sessions, _, events = state.sizes()
        if not len(changed):
            return {"mask": self.masks[number], "sizes": [sessions, events], "dropped": ""}
        name = fresh_name("mask", number, ".npy")
        save_part(staging / name, state.mask)
        return {
            "mask": name,
            "sizes": [sessions, events],
            "dropped": save_counts(staging, number, items[changed], dropped[changed]),
        }

    def _events(self, folder: Path, items: np.ndarray, rows: np.ndarray) -> Events:
        lengths = load_part(folder / "length.npy")
        columns: dict[str, Any] = {name: load_part(folder / f"{name}.npy") for name in self.columns}
        return Events(
            np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
            rows,
            Vocab.from_unique(np.arange(len(lengths))),
            Vocab.from_unique(items),
            kinds=Vocab(as_ids(list(self.kinds))) if self.kinds else None,
            **columns,
        )
