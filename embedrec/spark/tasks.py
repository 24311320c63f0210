"""Tasks of executors: one a partition, each with one small result, exactly once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from embedrec import errors
from embedrec.errors import DataError, EmbedrecError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Work = Callable[[int, Iterator[Any]], dict[str, Any]]  # partition, its record batches → JSON values


def run_tasks(frame: DataFrame, work: Work, count: int | None = None) -> list[dict[str, Any]]:
    """The result of `work` for each partition of a frame, in order of partitions.

    A task may run several times, after a failure or by speculation; it writes its files under names that no other try
    has, see `fresh_name`, and exactly one result of a partition arrives here, with the names of its files.

    count  number of partitions that must be there, if it is known

    Raises the EmbedrecError of the first partition that raised one; DataError if a partition is missing or doubled.
    """
    rows = frame.mapInArrow(_Task(work), "part int, result string").collect()
    results = sorted((row.part, json.loads(row.result)) for row in rows)
    parts = [part for part, _ in results]
    if len(set(parts)) != len(parts) or (count is not None and parts != list(range(count))):
        raise DataError(
            f"Spark returned the results of {len(parts)} tasks, {len(set(parts))} of them distinct, in place of "
            f"{count if count is not None else len(set(parts))}; run the command again"
        )
    for _, result in results:
        if "error" in result:
            kind, message = result["error"]
            raise getattr(errors, kind)(message)
    return [result["value"] for _, result in results]


def run_numbered(spark: SparkSession, work: Work, count: int) -> list[dict[str, Any]]:
    """The results of `count` tasks that each get their number, see `numbers_in`; none are run for 0."""
    return run_tasks(numbered(spark, count), work, count) if count else []


def sent_to(frame: DataFrame, column: str, count: int) -> DataFrame:
    """The rows of a frame in `count` partitions: each in the one that `column`, an int, names."""
    return frame.repartitionById(count, column) if count > 1 else frame.repartition(1)


def numbered(spark: SparkSession, count: int) -> DataFrame:
    """A frame with the column `id` long: partition p of `count` has one row, p."""
    return spark.range(0, count, 1, count)


def numbers_in(batches: Iterator[Any]) -> Iterator[int]:
    """The numbers of `numbered`, in an executor."""
    for batch in batches:
        yield from batch.column("id").to_pylist()


def fresh_name(kind: str, part: int, suffix: str = "") -> str:
    """A file name for a partition that no other try of its task has."""
    return f"{kind}-{part:06d}-{uuid4().hex}{suffix}"


def local_folder() -> Path:
    """A folder of this machine for temporary files of a task, in an executor: one of `spark.local.dir`."""
    return Path(os.environ.get("SPARK_LOCAL_DIRS", gettempdir()).split(",")[0])


@dataclass(frozen=True)
class _Task:
    work: Work

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa
        from pyspark import TaskContext

        part = TaskContext.get().partitionId()
        try:
            result: dict[str, Any] = {"value": self.work(part, batches)}
        except EmbedrecError as e:
            if type(e).__module__ != errors.__name__:
                raise
            result = {"error": [type(e).__name__, str(e)]}
        yield pa.record_batch({"part": pa.array([part], pa.int32()), "result": pa.array([json.dumps(result)])})
