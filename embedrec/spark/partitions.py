"""Partitions: all events of a range of sessions, sorted, on disk; a shuffle makes them of shards.

Which sessions a partition has is decided by exact counts, so that partitions have about equal numbers of events however
sessions are distributed, and each order of tasks gives the same partitions. A session is never divided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.data.regroup import find_cuts
from embedrec.data.vocab import Vocab
from embedrec.spark.part_files import GrowingArray, load_part, save_part
from embedrec.spark.shards import Shard
from embedrec.spark.tasks import fresh_name, numbered, numbers_in, run_numbered, run_tasks, sent_to
from embedrec.spark.vocabularies import SHIFT, Numbering
from embedrec.storage.memory_budget import IN_MEMORY
from embedrec.tabular.given_sessions import shared_sessions, split_by_user

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EVENTS_A_PARTITION = 1 << 21
_BATCH = 1 << 16
_BLOCKS = 1 << 12  # blocks of sessions whose events are counted, about
_TYPES = {
    "item": "int",
    "user": "long",
    "time": "long",
    "finer": "int",
    "order": "double",
    "weight": "float",
    "kind": "int",
}
_DTYPES = {"item": np.int32, "user": np.int64, "time": np.int64, "weight": np.float32, "kind": np.int32}


@dataclass(frozen=True)
class Layout:
    """What the events of all shards have, and how they become sessions.

    columns  "item", and of "user", "time", "finer", "order", "weight", "kind"
    split    whether sessions with events of several users are split by user
    even     nanoseconds within the millisecond of a time that names none, for shards without "finer"
    whole    whether a session is read at once, and a second one of its id is left out
    kinds    names of all kinds
    """

    columns: tuple[str, ...]
    split: bool
    even: tuple[int, ...]
    whole: bool
    kinds: tuple[Any, ...]

    @classmethod
    def of(cls, shards: Sequence[Shard]) -> Layout:
        """The layout of all shards: users are read if all have them."""
        columns = [name for name in _TYPES if any(name in shard.columns for shard in shards)]
        blank = any("user" not in shard.columns or shard.state.blank_users for shard in shards)
        if blank:
            columns = [name for name in columns if name != "user"]
        kinds = dict.fromkeys(kind for shard in shards for kind in shard.kinds or ())
        return cls(
            tuple(columns),
            not blank and any(shard.state.parted for shard in shards),
            tuple(shard.state.even for shard in shards),
            any(shard.state.whole for shard in shards),
            tuple(kinds),
        )

    @property
    def keys(self) -> list[str]:
        """The columns that order the events of a session."""
        return ["order"] if "order" in self.columns else [key for key in ("time", "finer") if key in self.columns]


@dataclass(frozen=True)
class Partition:
    """A partition on disk: arrays of its events and sessions in a folder of the staging area.

    item    (E,) int32 numbers; also time, weight, kind, user (numbers of first appearance) where there are such
    key     (S,) int64 number of first appearance of the session as read, or of the user, if a session is a user
    length  (S,) int64 events
    split   (S,) bool whether the session is a part of one, split by user
    cut     (S,) int64 its number within the session that was cut at gaps, from 1; 0 without cuts
    owner   (S,) int64 number of the user of its first event, if there are users

    folder    its name
    events, sessions  their numbers
    as_read   sessions before they were cut
    divided   sessions that were split by user, and the number of the first of these
    blocks    block of users → events, for a shuffle by user
    """

    folder: str
    events: int
    sessions: int
    as_read: int
    divided: tuple[int, int]
    blocks: dict[str, int]


def partition_shards(
    spark: SparkSession,
    shards: Sequence[Shard],
    layout: Layout,
    numberings: dict[str, Numbering],
    staging: Path,
    *,
    gap: int | None,
    users: bool,
    size: int = EVENTS_A_PARTITION,
) -> list[Partition]:
    """The partitions of the events of all shards, in order of sessions.

    gap    milliseconds; a longer pause begins a new session; None for no cuts
    users  whether the blocks of users are counted
    size   events of a partition, about
    """
    maps = {role: numbering.maps for role, numbering in numberings.items()}
    bits = _bits(sum(shard.counts["session"] for shard in shards))
    folders = tuple(shard.folder for shard in shards)
    counted = run_numbered(spark, CountBlocks(str(staging), folders, tuple(maps["session"]), bits), len(shards))
    bounds = _bounds([result["blocks"] for result in counted], bits, size)
    kinds = [tuple(layout.kinds.index(kind) for kind in shard.kinds or ()) for shard in shards]
    read = ReadEvents(str(staging), folders, layout, maps, tuple(kinds), tuple(bounds))
    frame = numbered(spark, len(shards)).mapInArrow(read, read.schema)
    user_bits = _bits(sum(shard.counts.get("user", 0) for shard in shards)) if users else None
    write = WritePartition(str(staging), layout.columns, layout.split, gap, user_bits)
    return _shuffled(frame, len(bounds), [*layout.keys, "event"], write)


def partition_by_user(
    spark: SparkSession,
    partitions: Sequence[Partition],
    layout: Layout,
    user_ids: int,
    staging: Path,
    *,
    gap: int | None,
    size: int = EVENTS_A_PARTITION,
) -> list[Partition]:
    """The events of partitions in partitions whose sessions are the users, sorted by time."""
    bounds = _bounds([partition.blocks for partition in partitions], _bits(user_ids), size)
    read = ReadByUser(str(staging), tuple(partition.folder for partition in partitions), layout.columns, tuple(bounds))
    frame = numbered(spark, len(partitions)).mapInArrow(read, read.schema)
    columns = tuple(name for name in layout.columns if name in _DTYPES)
    keys = ["time"] if "time" in layout.columns else []
    return _shuffled(frame, len(bounds), [*keys, "event"], WritePartition(str(staging), columns, False, gap, None))


def _shuffled(frame: DataFrame, count: int, keys: Sequence[str], write: WritePartition) -> list[Partition]:
    frame = sent_to(frame, "part", count)
    results = run_tasks(frame.drop("part").sortWithinPartitions("session", *keys), write, count)
    return [Partition(**{**result, "divided": tuple(result["divided"])}) for result in results]


def _bits(ids: int) -> int:
    """The bits of the row of a block: all ids are in about `_BLOCKS` blocks."""
    return max(0, (ids // _BLOCKS).bit_length())


def _bounds(counts: Sequence[dict[str, int]], bits: int, size: int) -> list[int]:
    """The first number of each partition: blocks are joined until they have `size` events."""
    total: dict[int, int] = {}
    for blocks in counts:
        for name, count in blocks.items():
            total[int(name)] = total.get(int(name), 0) + count
    bounds, filled = [0], 0
    for block, events in sorted(total.items()):
        if filled and filled + events > size:
            bounds.append(block << bits)
            filled = 0
        filled += events
    return bounds


def count_blocks(numbers: np.ndarray, lengths: np.ndarray, bits: int) -> dict[str, int]:
    """Block of numbers (m,) → the sum of their lengths (m,)."""
    blocks, at = np.unique(numbers >> bits, return_inverse=True)
    sums = np.bincount(at, weights=lengths, minlength=len(blocks)).astype(np.int64)
    return dict(zip(map(str, blocks.tolist()), sums.tolist(), strict=True))


# ---------------------------------------------------------------------------------------------- in executors


@dataclass(frozen=True)
class CountBlocks:
    """Numbers of shards → the events of each block of sessions."""

    staging: str
    folders: tuple[str, ...]
    maps: tuple[str, ...]
    bits: int

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        blocks: dict[str, int] = {}
        for shard in numbers_in(batches):
            staging = Path(self.staging)
            lengths = load_part(staging / self.folders[shard] / "lengths.npy")
            blocks = count_blocks(load_part(staging / self.maps[shard]), lengths, self.bits)
        return {"blocks": blocks}


@dataclass(frozen=True)
class ReadEvents:
    """Numbers of shards → their events, with numbers in place of rows, and the partition of each.

    event  number that orders all events as files do
    """

    staging: str
    folders: tuple[str, ...]
    layout: Layout
    maps: dict[str, list[str]]
    kinds: tuple[tuple[int, ...], ...]
    bounds: tuple[int, ...]

    @property
    def schema(self) -> str:
        columns = ", ".join(f"{name} {_TYPES[name]}" for name in self.layout.columns)
        return f"part int, session long, event long, {columns}"

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        for shard in numbers_in(batches):
            yield from self._events(shard)

    def _events(self, shard: int) -> Iterator[Any]:
        import pyarrow as pa

        staging = Path(self.staging)
        folder = staging / self.folders[shard]
        numbers = {role: load_part(staging / files[shard]) for role, files in self.maps.items()}
        ends = np.cumsum(load_part(folder / "lengths.npy"))
        part = np.searchsorted(self.bounds, numbers["session"], side="right").astype(np.int32) - 1
        first = np.arange(len(ends), dtype=np.int64) | shard << SHIFT
        again = numbers["session"] != first if self.layout.whole else np.zeros(len(ends), dtype=bool)
        columns = {
            name: load_part(folder / f"{name}.npy")
            for name in self.layout.columns
            if (folder / f"{name}.npy").is_file()
        }
        for at in range(0, len(columns["item"]), _BATCH):
            stop = min(at + _BATCH, len(columns["item"]))
            row = np.searchsorted(ends, np.arange(at, stop), side="right")
            batch = {name: column[at:stop] for name, column in columns.items()}
            for name in ("item", "user"):
                if name in batch:
                    batch[name] = numbers[name][batch[name]]
            if "kind" in batch:
                batch["kind"] = np.array(self.kinds[shard], dtype=np.int32)[batch["kind"]]
            if "finer" in self.layout.columns and "finer" not in batch:
                batch["finer"] = np.full(stop - at, self.layout.even[shard], dtype=np.int32)
            batch |= {
                "part": part[row],
                "session": numbers["session"][row],
                "event": np.arange(at, stop, dtype=np.int64) | shard << SHIFT,
            }
            keep = ~again[row]
            names = ("part", "session", "event", *self.layout.columns)
            yield pa.record_batch({name: batch[name] if keep.all() else batch[name][keep] for name in names})


@dataclass(frozen=True)
class ReadByUser:
    """Numbers of partitions → their events, with the user as session, and the partition of each."""

    staging: str
    folders: tuple[str, ...]
    columns: tuple[str, ...]
    bounds: tuple[int, ...]

    @property
    def schema(self) -> str:
        columns = ", ".join(f"{name} {_TYPES[name]}" for name in self.columns if name in _DTYPES)
        return f"part int, session long, event long, {columns}"

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for number in numbers_in(batches):
            folder = Path(self.staging) / self.folders[number]
            columns = {name: load_part(folder / f"{name}.npy") for name in self.columns if name in _DTYPES}
            for at in range(0, len(columns["item"]), _BATCH):
                batch = {name: column[at : at + _BATCH] for name, column in columns.items()}
                user = batch["user"]
                event = np.arange(at, at + len(user), dtype=np.int64) | number << SHIFT
                part = np.searchsorted(self.bounds, user, side="right").astype(np.int32) - 1
                yield pa.record_batch({"part": part, "session": user, "event": event, **batch})


@dataclass(frozen=True)
class WritePartition:
    """The sorted events of a partition → its files.

    columns  of the events that are written, if they are among `_DTYPES`
    split    whether sessions with events of several users are split
    gap      as of `partition_shards`
    bits     of the blocks of users that are counted, None for no counts
    """

    staging: str
    columns: tuple[str, ...]
    split: bool
    gap: int | None
    bits: int | None

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        folder = Path(self.staging) / fresh_name("partition", part)
        folder.mkdir()
        key, length = self._write_events(folder, batches)
        split, divided = np.zeros(len(key), dtype=bool), (0, 0)
        if self.split:
            key, length, split, divided = self._split(folder, key, length)
        as_read, cut = len(key), np.zeros(len(key), dtype=np.int64)
        if self.gap is not None and len(key):
            session = np.repeat(np.arange(len(key)), length)
            first, old, cut = find_cuts(session, load_part(folder / "time.npy"), self.gap)
            length = np.diff(np.append(np.flatnonzero(first), len(session)))
            key, split = key[old], split[old]
        arrays = {"key": key, "length": length, "split": split, "cut": cut}
        blocks: dict[str, int] = {}
        if "user" in self.columns:
            user = load_part(folder / "user.npy")
            arrays["owner"] = user[np.cumsum(length) - length]
            if self.bits is not None:
                blocks = count_blocks(user, np.ones(len(user), dtype=np.int64), self.bits)
        for name, column in arrays.items():
            save_part(folder / f"{name}.npy", column)
        return {
            "folder": folder.name,
            "events": int(length.sum()),
            "sessions": len(key),
            "as_read": as_read,
            "divided": divided,
            "blocks": blocks,
        }

    def _write_events(self, folder: Path, batches: Iterator[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Write the columns; the number (S,) and the length (S,) of each session."""
        files = {name: GrowingArray(folder / f"{name}.npy", _DTYPES[name]) for name in self.columns if name in _DTYPES}
        keys: list[np.ndarray] = []
        counts: list[np.ndarray] = []
        for batch in batches:
            if not batch.num_rows:
                continue
            for name, file in files.items():
                file.append(batch.column(name).to_numpy(zero_copy_only=False))
            session = batch.column("session").to_numpy()
            starts = np.flatnonzero(np.diff(session, prepend=session[0] - 1) != 0)
            lengths = np.diff(np.append(starts, len(session)))
            if keys and keys[-1][-1] == session[0]:
                counts[-1][-1] += lengths[0]
                starts, lengths = starts[1:], lengths[1:]
            if len(starts):
                keys.append(session[starts])
                counts.append(lengths)
        for file in files.values():
            file.close()
        none = [np.zeros(0, dtype=np.int64)]
        return np.concatenate(none + keys), np.concatenate(none + counts).astype(np.int64)

    def _split(
        self, folder: Path, key: np.ndarray, length: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
        """Split the sessions that have events of several users: key, length and split of the new sessions, the number
        of sessions that were split, and the key of the first."""
        names = [name for name in self.columns if name in _DTYPES]
        users, user = np.unique(load_part(folder / "user.npy"), return_inverse=True)
        session = np.repeat(np.arange(len(key), dtype=np.int32), length)
        columns = {"session": session, "user": user.astype(np.int32)}
        shared = shared_sessions(columns, len(key))
        if not shared.any():
            return key, length, np.zeros(len(key), dtype=bool), (0, 0)
        columns |= {name: load_part(folder / f"{name}.npy") for name in names if name != "user"}
        rows = [Vocab.from_unique(np.arange(count)) for count in (len(key), len(users))]
        result, _, old = split_by_user(columns, rows[0], rows[1], shared, IN_MEMORY)
        lengths = np.bincount(result["session"], minlength=len(old)).astype(np.int64)
        result["user"] = users[result["user"]]
        for name in names:
            save_part(folder / f"{name}.npy", result[name].astype(_DTYPES[name]))
        return key[old], lengths, shared[old], (int(shared.sum()), int(key[shared.argmax()]))
