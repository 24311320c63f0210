"""What split rules know of all sessions, learnt on Spark; and slices of sessions, from which they select in tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.spark.item_sums import ITEMS, SUMS_SCHEMA, sum_rows, sums_of
from embedrec.spark.part_files import GrowingArray, load_part, save_part
from embedrec.spark.sessions_frame import SessionsFrame, mapped, slices_in
from embedrec.spark.tasks import fresh_name, numbered, numbers_in, run_tasks, sent_to
from embedrec.splitting.rules import ByNumber, ByUser, LastItem, Rule, Time, WarmTime
from embedrec.splitting.selection import Facts, Selection

_BINS = 1 << 14  # of a histogram of times
HELD = "held.npy"  # (S,) bool in the staging folder


@dataclass(frozen=True)
class SessionSlices:
    """Slices of whole sessions, as tasks read them.

    folder   of the artifact
    part     prefix of the names of its files
    columns  arrays of the events that it has, without "items"
    n_items  size of the vocabulary
    bounds   of the slices: sessions bounds[p] … bounds[p + 1] − 1
    """

    folder: str
    part: str
    columns: tuple[str, ...]
    n_items: int
    bounds: tuple[int, ...]

    @classmethod
    def of(cls, frame: SessionsFrame) -> SessionSlices:
        """Slices of about `frame.size` events and at most as many sessions."""
        offsets = mapped(frame.folder, f"{frame.part}offsets")
        bounds, at = [0], 0
        while at < frame.n_sessions:
            stop = int(np.searchsorted(offsets, offsets[at] + frame.size, side="right")) - 1
            at = min(max(stop, at + 1), at + frame.size)
            bounds.append(at)
        columns = tuple(name for name in frame.columns if name != "items")
        return cls(frame.folder, frame.part, columns, frame.n_items, tuple(bounds))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def range(self, number: int) -> tuple[int, int]:
        """The sessions of a slice: start, stop."""
        return self.bounds[number], self.bounds[number + 1]

    def read(self, number: int) -> Sessions:
        """The sessions of a slice, in a task; ids are their numbers, items are rows of the artifact's vocabulary."""
        start, stop = self.range(number)
        offsets = np.array(mapped(self.folder, f"{self.part}offsets")[start : stop + 1])
        events = slice(int(offsets[0]), int(offsets[-1]))
        columns: dict[str, Any] = {
            name: np.array(mapped(self.folder, f"{self.part}{name}")[events]) for name in self.columns
        }
        items = np.array(mapped(self.folder, f"{self.part}items")[events])
        vocab = Vocab.from_unique(np.arange(self.n_items))
        return Sessions(offsets - offsets[0], items, vocab, np.arange(start, stop), **columns)

    def ids(self, number: int, name: str) -> Any:
        """The column of ids of the sessions of a slice, in a task: of "sessions" or "users", an Arrow array."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        start, stop = self.range(number)
        with pq.ParquetFile(Path(self.folder) / f"{self.part}{name}.parquet") as file:
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            groups = [g for g, end in enumerate(ends) if end > start and end - sizes[g] < stop]
            if not groups:
                return pa.array([], file.schema_arrow.field("id").type)
            first = int(ends[groups[0]]) - sizes[groups[0]]
            column = file.read_row_groups(groups, columns=["id"], use_threads=False).column("id")
            return pa.concat_arrays(column.slice(start - first, stop - start).chunks)


@dataclass(frozen=True)
class SliceRule:
    """A rule with what it knows of all sessions.

    staging  folder with the array HELD, if the rule chooses among all sessions
    known    (n,) bool, see `Facts`
    """

    rule: Rule
    cut: int
    known: np.ndarray | None
    staging: str

    def select(self, slices: SessionSlices, number: int) -> tuple[Sessions, Selection]:
        """The sessions of a slice, and their parts, in a task."""
        sessions, held = slices.read(number), None
        if isinstance(self.rule, ByUser | ByNumber):
            start, stop = slices.range(number)
            held = np.array(load_part(Path(self.staging) / HELD)[start:stop])
        return sessions, self.rule.select(sessions, Facts(self.cut, self.known, held))


def learn_facts(
    rule: Rule, frame: SessionsFrame, slices: SessionSlices, staging: Path, *, seed: int, users: bool
) -> SliceRule:
    """What the rule knows of all sessions, see `Rule.facts`.

    users  whether the sessions have users

    Raises DataError if the sessions lack a column that the rule needs.
    """
    cut, known = 0, None
    if isinstance(rule, Time | WarmTime):
        cut = rule.cut(SparkMoments(frame) if "times" in frame.columns else None)
    if isinstance(rule, WarmTime):
        rule.check_weights("weights" in frame.columns)
        early = frame.slices.mapInArrow(_CountEarly(frame.folder, frame.part, cut), SUMS_SCHEMA)
        known = sums_of(early, ITEMS, frame.n_items)[0] > 0
    elif isinstance(rule, ByNumber):
        save_part(staging / HELD, rule.holds(frame.n_sessions, seed))
    elif isinstance(rule, ByUser):
        rule.check_users(users)
        _hold_by_user(rule, frame, slices, staging)
    elif not isinstance(rule, Time | LastItem):
        raise TypeError(f"{rule.name} is not learnt on Spark")
    return SliceRule(rule, cut, known, str(staging))


def _hold_by_user(rule: ByUser, frame: SessionsFrame, slices: SessionSlices, staging: Path) -> None:
    """Number the sessions of each user in order of time, and write the mask of those that are held out."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    read = numbered(frame.spark, len(slices)).mapInArrow(_ReadUsers(slices), _USERS)
    own = Window.partitionBy("user")
    nth = (f.row_number().over(own.orderBy("start", "row")) - 1).cast("long").alias("nth")
    placed = read.select("part", "row", nth, f.count("row").over(own).alias("count"))
    results = run_tasks(sent_to(placed, "part", len(slices)), _Hold(str(staging), rule, slices.bounds), len(slices))
    held = GrowingArray(staging / HELD, np.bool_)
    for result in results:
        held.append(load_part(staging / result["file"]))
    held.close()


class SparkMoments:
    """The times of the events of a frame as `selection.Moments`."""

    def __init__(self, frame: SessionsFrame) -> None:
        self.frame = frame

    def __len__(self) -> int:
        return self.frame.n_events

    def last(self) -> int:
        """See `Moments.last`."""
        return self._range()[1]

    def nth(self, place: int) -> int:
        """See `Moments.nth`; by histograms of ever shorter times."""
        low, high = self._range()
        while low < high:
            width = -(-(high - low + 1) // _BINS)
            work = _Histogram(self.frame.folder, self.frame.part, low, high, width)
            counts = sums_of(self.frame.slices.mapInArrow(work, SUMS_SCHEMA), ITEMS, _BINS)[0]
            until = np.cumsum(counts)
            bin_ = int(np.searchsorted(until, place, side="right"))
            place -= int(until[bin_ - 1]) if bin_ else 0
            low, high = low + bin_ * width, min(low + (bin_ + 1) * width - 1, high)
        return low

    def _range(self) -> tuple[int, int]:
        results = run_tasks(self.frame.slices, _TimeRange(self.frame.folder, self.frame.part))
        return min(result["low"] for result in results), max(result["high"] for result in results)


# ---------------------------------------------------------------------------------------------- in executors

_USERS = "part int, row long, user string, start long"


@dataclass(frozen=True)
class _CountEarly:
    """Slices of events → how often each item is in events before a moment."""

    folder: str
    part: str
    cut: int

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        items, times = mapped(self.folder, f"{self.part}items"), mapped(self.folder, f"{self.part}times")
        for start, stop in slices_in(batches):
            counts = np.bincount(items[start:stop][times[start:stop] < self.cut]).astype(np.float64)
            yield sum_rows(ITEMS, counts, np.zeros(len(counts)))


@dataclass(frozen=True)
class _TimeRange:
    """Slices of events → the first and the last time."""

    folder: str
    part: str

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        times = mapped(self.folder, f"{self.part}times")
        ((start, stop),) = slices_in(batches)
        return {"low": int(times[start:stop].min()), "high": int(times[start:stop].max())}


@dataclass(frozen=True)
class _Histogram:
    """Slices of events → the numbers of times low … high in bins of a width."""

    folder: str
    part: str
    low: int
    high: int
    width: int

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        times = mapped(self.folder, f"{self.part}times")
        for start, stop in slices_in(batches):
            given = times[start:stop]
            inside = given[(given >= self.low) & (given <= self.high)]
            counts = np.bincount((inside - self.low) // self.width).astype(np.float64)
            yield sum_rows(ITEMS, counts, np.zeros(len(counts)))


@dataclass(frozen=True)
class _ReadUsers:
    """Numbers of slices → the user of each session, and its first time, 0 without one."""

    slices: SessionSlices

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.compute as pc

        for number in numbers_in(batches):
            sessions = self.slices.read(number)
            start = np.zeros(len(sessions), dtype=np.int64)
            if sessions.times is not None:
                nonempty = sessions.lengths > 0
                start[nonempty] = sessions.times[sessions.offsets[:-1][nonempty]]
            yield pa.record_batch(
                {
                    "part": np.full(len(sessions), number, dtype=np.int32),
                    "row": np.asarray(sessions.ids),
                    "user": pc.cast(self.slices.ids(number, "users"), pa.string()),
                    "start": start,
                }
            )


@dataclass(frozen=True)
class _Hold:
    """Sessions of a slice with their place among those of their user → the file of their mask."""

    staging: str
    rule: ByUser
    bounds: tuple[int, ...]

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        start = self.bounds[part]
        held = np.zeros(self.bounds[part + 1] - start, dtype=bool)
        for batch in batches:
            row, nth, count = (batch.column(name).to_numpy() for name in ("row", "nth", "count"))
            held[row - start] = self.rule.holds(nth, count)
        name = fresh_name("held", part, ".npy")
        save_part(Path(self.staging) / name, held)
        return {"file": name}
