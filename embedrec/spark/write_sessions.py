"""Sessions of filtered partitions, written as the files of an artifact: those of one machine, byte by byte.

Tasks write a part of each file; the driver joins the parts in order, as a copy of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.data.parquet_io import save_ids
from embedrec.data.vocab import as_ids
from embedrec.spark.filter_partitions import PartitionFilters
from embedrec.spark.part_files import join_arrays, join_columns, join_lengths, load_part, save_columns, save_part
from embedrec.spark.session_ids import SessionIds
from embedrec.spark.tasks import fresh_name, numbered, numbers_in, run_numbered, run_tasks, sent_to
from embedrec.spark.vocabularies import Numbering
from embedrec.storage.artifacts import Draft

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS_A_PART = 1 << 20  # of a vocabulary
_BATCH = 1 << 16
_ARRAYS = {"item": ("items", np.int32), "time": ("times", np.int64), "weight": ("weights", np.float32)}
_ARRAYS |= {"kind": ("kinds", np.int32)}


def write_sessions(
    draft: Draft,
    spark: SparkSession,
    filtered: PartitionFilters,
    items: Numbering,
    ids: SessionIds,
    staging: Path,
) -> tuple[int, int, int]:
    """Write the files of the sessions that remain; the numbers of sessions, items and events."""
    rows, counts = rank_items(filtered.counts)
    save_part(staging / "item-rows.npy", rows)
    save_part(staging / "item-counts.npy", counts)
    masks = tuple(part.mask for part in filtered.remaining)
    work = WriteSessions(str(staging), filtered.folders, masks, filtered.columns, ids)
    count = len(filtered.folders)
    parts = [result["part"] for result in run_numbered(spark, work, count)]

    def files(name: str) -> list[Path]:
        return [staging / part / name for part in parts]

    sessions = join_lengths(draft, "offsets", files("lengths.npy"))
    events = join_arrays(draft, "items", np.int32, files("items.npy"))
    for column in filtered.columns:
        name, dtype = _ARRAYS[column]
        join_arrays(draft, name, dtype, files(f"{name}.npy"))
    join_columns(draft, "sessions", [("id", ids.whole_sessions)], files("sessions.parquet"))
    if ids.users is not None:
        join_columns(draft, "users", [("id", ids.whole_users)], files("users.parquet"))
    if "kind" in filtered.columns:
        save_ids(as_ids(list(filtered.kinds)), draft.path("kinds.parquet"))
    return sessions, _write_vocab(draft, spark, items, int((rows >= 0).sum()), staging), events


def rank_items(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Items by descending count, ties by number: the row (n,) int32 of each, −1 of one without events; and the counts
    (n',) in order of rows."""
    used = np.flatnonzero(counts)
    order = used[np.argsort(-counts[used], kind="stable")]
    rows = np.full(len(counts), -1, dtype=np.int32)
    rows[order] = np.arange(len(order), dtype=np.int32)
    return rows, counts[order]


def _write_vocab(draft: Draft, spark: SparkSession, items: Numbering, count: int, staging: Path) -> int:
    """Write the vocabulary, sorted by rows."""
    parts = max(1, -(-count // ROWS_A_PART))
    read = ReadItems(str(staging), tuple(items.parts), tuple(items.starts), items.whole)
    frame = numbered(spark, len(items.parts)).mapInArrow(read, read.schema)
    frame = sent_to(frame, "part", parts)
    results = run_tasks(frame.sortWithinPartitions("row"), WriteVocab(str(staging)), parts)
    named = results[0]["named"]
    columns = [("id", items.whole), *([("name", False)] if named else []), ("count", True)]
    return join_columns(draft, "vocab", columns, [staging / result["file"] for result in results])


# ---------------------------------------------------------------------------------------------- in executors


@dataclass(frozen=True)
class WriteSessions:
    """Numbers of partitions → their parts of the files."""

    staging: str
    folders: tuple[str, ...]
    masks: tuple[str, ...]
    columns: tuple[str, ...]
    ids: SessionIds

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        (number,) = numbers_in(batches)
        staging = Path(self.staging)
        given, out = staging / self.folders[number], staging / fresh_name("part", number)
        out.mkdir()
        length = load_part(given / "length.npy")
        item = load_part(given / "item.npy")
        keep = load_part(staging / self.masks[number]) if self.masks[number] else np.ones(len(item), dtype=bool)
        save_part(out / "items.npy", load_part(staging / "item-rows.npy")[item[keep]])
        for column in self.columns:
            save_part(out / f"{_ARRAYS[column][0]}.npy", load_part(given / f"{column}.npy")[keep])
        session = np.repeat(np.arange(len(length)), length)[keep]
        remaining = np.bincount(session, minlength=len(length))
        present = np.flatnonzero(remaining)
        save_part(out / "lengths.npy", remaining[present].astype(np.int64))
        key, split, cut = (load_part(given / f"{name}.npy")[present] for name in ("key", "split", "cut"))
        user = None
        if (given / "user.npy").is_file():
            first = np.cumsum(remaining[present]) - remaining[present]
            user = load_part(given / "user.npy")[keep][first]
        before = self.ids.before_cuts(key, split, user)
        save_columns(out / "sessions.parquet", id=self.ids.after_cuts(before, cut))
        if self.ids.users is not None:
            own = before if self.ids.users == "session" or user is None else self.ids.ids("user", user)
            save_columns(out / "users.parquet", id=own)
        return {"part": out.name}


@dataclass(frozen=True)
class ReadItems:
    """Numbers of parts of the items, sorted by id → those that have rows, with their row and its part."""

    staging: str
    parts: tuple[str, ...]
    starts: tuple[int, ...]
    whole: bool

    @property
    def schema(self) -> str:
        return f"part int, row int, id {'long' if self.whole else 'string'}, name string, count long"

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        staging = Path(self.staging)
        rows, counts = load_part(staging / "item-rows.npy"), load_part(staging / "item-counts.npy")
        for part in numbers_in(batches):
            at = self.starts[part]
            with pq.ParquetFile(staging / self.parts[part]) as file:
                for batch in file.iter_batches(_BATCH):
                    row = rows[at : at + len(batch)]
                    at += len(batch)
                    used = np.flatnonzero(row >= 0)
                    named = "name" in batch.schema.names
                    yield pa.record_batch(
                        {
                            "part": (row[used] // ROWS_A_PART).astype(np.int32),
                            "row": row[used],
                            "id": batch.column("id").take(pa.array(used)),
                            "name": batch.column("name").take(pa.array(used))
                            if named
                            else pa.nulls(len(used), pa.string()),
                            "count": counts[row[used]],
                        }
                    )


@dataclass(frozen=True)
class WriteVocab:
    """Items sorted by row → a part of the vocabulary."""

    staging: str

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = fresh_name("vocab", part, ".parquet")
        named, file = False, None
        for batch in batches:
            if file is None:
                named = batch.num_rows > 0 and batch.column("name").null_count == 0
                chosen = ["id", *(["name"] if named else []), "count"]
                schema = pa.schema([(column, batch.schema.field(column).type) for column in chosen])
                file = pq.ParquetWriter(Path(self.staging) / name, schema)
            file.write_batch(batch.select(chosen).cast(schema))
        if file is not None:
            file.close()
        return {"file": name, "named": named}
