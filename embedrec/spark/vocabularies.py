"""Ids of all shards: one number for each id, by sorting, without any of them in the driver.

Items are numbered in order of their ids, so that ties by id are ties by number. Sessions and users have the number of
their first appearance: the shard and the row in it of the first shard that has the id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.spark.part_files import save_columns, save_part
from embedrec.spark.shards import Shard, ids_of, names_of
from embedrec.spark.tasks import fresh_name, numbered, numbers_in, run_tasks, sent_to

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHIFT = 32  # bits of the row in a number of first appearance
IDS_A_PART = 1 << 20  # ids sorted by one task
_BATCH = 1 << 16


@dataclass(frozen=True)
class Numbering:
    """The numbers of the ids of a role.

    count    distinct ids
    maps     one a shard: the file with the numbers (m,) of its rows, int32 of items, int64 of others
    parts    files of distinct items in order, with columns `id` and, if items have names, `name`; empty for other roles
    starts   (parts + 1,) number of the first item of each
    whole    whether ids are integers
    repeats  ids of later shards that an earlier one has: their number, and the first few as (id, shard, earlier shard)
    """

    count: int
    maps: list[str]
    parts: list[str]
    starts: list[int]
    whole: bool
    repeats: tuple[int, list[tuple[Any, int, int]]]


def number_ids(
    spark: SparkSession, shards: Sequence[Shard], role: str, staging: Path, *, ids_a_part: int = IDS_A_PART
) -> Numbering:
    """The numbers of the ids of a role in all shards; its ids are integers if those of all shards are."""
    whole = all(shard.whole[role] for shard in shards)
    folders = [shard.folder for shard in shards]
    total = sum(shard.counts[role] for shard in shards)
    count = max(1, -(-total // ids_a_part))
    read = _ReadIds(str(staging), folders, role, whole, role == "item" and any(shard.named for shard in shards))
    frame = numbered(spark, len(shards)).mapInArrow(read, read.schema)
    # equal ids are in one partition, in order of shards and rows
    frame = frame.repartitionByRange(count, "id") if count > 1 else frame.repartition(1)
    work = _Number(str(staging), role, read.named)
    results = run_tasks(frame.sortWithinPartitions("id", "shard", "row"), work)
    starts = np.concatenate([[0], np.cumsum([result["count"] for result in results])]).astype(np.int64)
    coded = [result["codes"] for result in results]
    spread = numbered(spark, len(results)).mapInArrow(
        _ReadCodes(str(staging), coded, starts.tolist() if role == "item" else None), "shard int, row int, code long"
    )
    sizes = [shard.counts[role] for shard in shards]
    spread = sent_to(spread, "shard", len(shards))
    maps = run_tasks(spread, _WriteMap(str(staging), role, sizes), len(shards))
    repeated = [tuple(repeat) for result in results for repeat in result["repeats"]]
    return Numbering(
        int(starts[-1]),
        [result["map"] for result in maps],
        [result["ids"] for result in results] if role == "item" else [],
        starts.tolist() if role == "item" else [],
        whole,
        (total - int(starts[-1]), repeated[:_SHOWN]),
    )


_SHOWN = 3  # repeated ids that are named


# ---------------------------------------------------------------------------------------------- in executors


@dataclass(frozen=True)
class _ReadIds:
    """Numbers of shards → their ids with shard and row, and the names of items."""

    staging: str
    folders: list[str]
    role: str
    whole: bool
    named: bool

    @property
    def schema(self) -> str:
        return f"shard int, row int, id {'long' if self.whole else 'string'}{', name string' if self.named else ''}"

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for shard in numbers_in(batches):
            folder = Path(self.staging) / self.folders[shard]
            ids = ids_of(folder, self.role, whole=self.whole)
            names = names_of(folder) if self.named else None
            for at in range(0, len(ids), _BATCH):
                part = ids[at : at + _BATCH]
                columns = {
                    "shard": pa.array(np.full(len(part), shard, np.int32)),
                    "row": pa.array(np.arange(at, at + len(part), dtype=np.int32)),
                    "id": part,
                }
                if self.named:
                    absent = pa.array([""] * len(part), pa.string())
                    columns["name"] = absent if names is None else names[at : at + _BATCH]
                yield pa.record_batch(columns)


@dataclass(frozen=True)
class _Number:
    """Sorted ids of one range → a number for each distinct one, and the code of every row."""

    staging: str
    role: str
    named: bool

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        import pyarrow as pa
        import pyarrow.compute as pc

        given = [batch for batch in batches if batch.num_rows]
        table = pa.Table.from_batches(given) if given else None
        codes, ids_file = (
            fresh_name(f"{self.role}-codes", part, ".parquet"),
            fresh_name(f"{self.role}s", part, ".parquet"),
        )
        folder = Path(self.staging)
        if table is None:
            save_columns(
                folder / codes,
                shard=pa.array([], pa.int32()),
                row=pa.array([], pa.int32()),
                code=pa.array([], pa.int64()),
            )
            save_columns(folder / ids_file, id=pa.array([], pa.int64()))
            return {"count": 0, "codes": codes, "ids": ids_file, "repeats": []}
        ids = table.column("id").combine_chunks()
        shard, row = (table.column(name).to_numpy() for name in ("shard", "row"))
        begins = np.ones(len(ids), dtype=bool)
        begins[1:] = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
        first = np.flatnonzero(begins)  # of each distinct id
        group = np.cumsum(begins) - 1
        if self.role == "item":
            code = group
            columns = {"id": ids.take(pa.array(first))}
            if self.named:
                columns["name"] = _first_names(table.column("name").combine_chunks(), group, len(first))
            save_columns(folder / ids_file, **columns)
        else:
            code = (shard[first].astype(np.int64) << SHIFT | row[first])[group]
        save_columns(folder / codes, shard=pa.array(shard), row=pa.array(row), code=pa.array(code.astype(np.int64)))
        again = np.flatnonzero(~begins)[:_SHOWN]
        repeats = [[ids[at].as_py(), int(shard[at]), int(shard[first[group[at]]])] for at in again.tolist()]
        return {"count": len(first), "codes": codes, "ids": ids_file, "repeats": repeats}


def _first_names(names: Any, group: np.ndarray, count: int) -> Any:
    """The first name of each of `count` groups (m,) of rows that is not empty, else ""."""
    import pyarrow as pa
    import pyarrow.compute as pc

    given = np.flatnonzero(pc.not_equal(names, "").to_numpy(zero_copy_only=False))
    groups, at = np.unique(group[given], return_index=True)
    rows = np.full(count, -1, dtype=np.int64)
    rows[groups] = given[at]
    taken = names.take(pa.array(np.maximum(rows, 0)))
    return pc.if_else(pa.array(rows >= 0), taken, "")


@dataclass(frozen=True)
class _ReadCodes:
    """Numbers of parts → the codes of the rows of all shards in them; `starts` are added to those of items."""

    staging: str
    files: list[str]
    starts: list[int] | None

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        for part in numbers_in(batches):
            with pq.ParquetFile(Path(self.staging) / self.files[part]) as file:
                for batch in file.iter_batches(_BATCH):
                    code = batch.column("code")
                    if self.starts is not None:
                        code = pc.add(code, pa.scalar(self.starts[part], pa.int64()))
                    yield pa.record_batch({"shard": batch.column("shard"), "row": batch.column("row"), "code": code})


@dataclass(frozen=True)
class _WriteMap:
    """The codes of the rows of one shard, in any order → their array."""

    staging: str
    role: str
    sizes: list[int]

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        codes = np.full(self.sizes[part], -1, dtype=np.int64)
        for batch in batches:
            codes[batch.column("row").to_numpy()] = batch.column("code").to_numpy()
        if (codes < 0).any():
            raise RuntimeError(f"{int((codes < 0).sum())} rows of shard {part} have no code")
        name = fresh_name(f"{self.role}-map", part, ".npy")
        save_part(Path(self.staging) / name, codes.astype(np.int32) if self.role == "item" else codes)
        return {"map": name}
