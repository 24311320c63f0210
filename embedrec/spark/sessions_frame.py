"""Sessions artifacts as data frames: executors map the arrays and read a slice of the events each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.data.joined import joined
from embedrec.data.sessions import sessionize
from embedrec.errors import ArtifactError
from embedrec.spark.tasks import numbered, numbers_in
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EVENTS_A_SLICE = 1 << 20
_BATCH = 1 << 16  # rows of a record batch
_COLUMNS = {
    "items": ("item", "int"),
    "times": ("time", "long"),
    "weights": ("weight", "float"),
    "kinds": ("kind", "int"),
}


@dataclass(frozen=True, eq=False)
class SessionsFrame:
    """S sessions of E events of n items as data frames, which are made when they are asked for.

    spark     the session that makes them
    artifact  the artifact that holds the files; its folder must be visible to all executors
    part      prefix of the names of its files, such as "test_"
    columns   arrays of the events that it has: "items", and of "times", "weights" and "kinds"
    size      events of a slice at most; each slice is a partition of `events` and `lists`
    """

    spark: SparkSession
    artifact: Artifact
    part: str
    columns: tuple[str, ...]
    n_sessions: int
    n_events: int
    n_items: int
    size: int = EVENTS_A_SLICE

    @property
    def slices(self) -> DataFrame:
        """The slices of the events: `start` and `stop` long, one row a partition; at least one, which may be empty."""
        return slice_frame(self.spark, self.n_events, self.size)

    @property
    def events(self) -> DataFrame:
        """One row an event, in order: `session` long (0 … S − 1), `position` int (in its session, from 0), `item` int
        (row of the vocabulary), and `time` long (milliseconds), `weight` float, `kind` int where there are such."""
        types = ", ".join(f"{name} {type_}" for name, type_ in map(_COLUMNS.__getitem__, self.columns))
        read = _ReadEvents(self.folder, self.part, self.columns)
        return self.slices.mapInArrow(read, f"session long, position int, {types}")

    @property
    def lists(self) -> DataFrame:
        """The events as lists: `session` long, `position` int of the first of them, `items` array of int.

        One row a session; a session that lies in several slices has a row in each.
        """
        read = _ReadLists(self.folder, self.part, self.columns)
        return self.slices.mapInArrow(read, "session long, position int, items array<int>")

    @property
    def items(self) -> DataFrame:
        """The vocabulary: `row` long, `id` string or long, and `name` string and `count` long where it has them."""
        return parquet_frame(self.spark, self.artifact.path(f"{self.part}vocab.parquet"))

    @property
    def sessions(self) -> DataFrame:
        """The ids of the sessions: `row` long, `id` string or long."""
        return parquet_frame(self.spark, self.artifact.path(f"{self.part}sessions.parquet"))

    @property
    def folder(self) -> str:
        """The folder of the artifact, as executors open it."""
        return str(self.artifact.folder.absolute())


@contextmanager
def open_sessions(
    spark: SparkSession, source: Artifact | str | Path, part: str = "", *, size: int = EVENTS_A_SLICE
) -> Iterator[SessionsFrame]:
    """The sessions of an artifact, or of its folder; what was appended is joined first, see `data.joined`.

    Raises ArtifactError when it is not a sessions artifact, or its files are damaged or inconsistent.
    """
    given = artifacts.as_artifact(source, "sessions")
    with joined(given, sessionize) as artifact:
        yield frame_of(spark, artifact, part, size=size)


def frame_of(spark: SparkSession, artifact: Artifact, part: str = "", *, size: int = EVENTS_A_SLICE) -> SessionsFrame:
    """The sessions of an artifact to which nothing was appended. Raises ArtifactError as `open_sessions`."""
    import pyarrow.parquet as pq

    with artifacts.opening(artifact, "prepare the data again"):
        offsets = artifact.array(f"{part}offsets", "int64")
        items = artifact.array(f"{part}items", "int32")
        columns = tuple(name for name in _COLUMNS if f"{part}{name}.npy" in artifact)
        sizes = {len(artifact.array(f"{part}{name}")) for name in columns}
        if not len(offsets) or int(offsets[-1]) != len(items) or sizes != {len(items)}:
            raise ArtifactError(f"{artifact.folder} has columns of different lengths; prepare the data again")
        n_items = pq.ParquetFile(artifact.path(f"{part}vocab.parquet")).metadata.num_rows
        artifact.path(f"{part}sessions.parquet")
        return SessionsFrame(spark, artifact, part, columns, len(offsets) - 1, len(items), n_items, size)


def slice_frame(spark: SparkSession, n: int, size: int) -> DataFrame:
    """The slices of n rows: columns `start` and `stop` long, one row a partition; at least one, which may be empty."""
    from pyspark.sql import functions as f

    count = max(1, -(-n // size))
    start = f.col("id") * f.lit(size)
    return numbered(spark, count).select(
        start.alias("start"), f.least(start + f.lit(size), f.lit(n).cast("long")).alias("stop")
    )


def mapped(folder: str, name: str) -> np.ndarray:
    """The array `name` of an artifact in an executor, memory-mapped.

    Raises ArtifactError if it is not visible there.
    """
    import socket

    path = Path(folder) / f"{name}.npy"
    if not path.is_file():
        raise ArtifactError(
            f"{path} is not visible on {socket.gethostname()}; put the workspace into a folder that all machines share"
        )
    return np.lib.format.open_memmap(path, mode="r")


def events_of_slice(offsets: np.ndarray, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """The sessions that have events in [start, stop), and the bounds of their events there: (m,) and (m + 1,) int64.

    Empty sessions are among them if they lie between two events of the slice.
    """
    if stop <= start:
        return np.zeros(0, dtype=np.int64), np.full(1, start, dtype=np.int64)
    first = int(np.searchsorted(offsets, start, side="right")) - 1
    last = int(np.searchsorted(offsets, stop, side="left"))
    return np.arange(first, last), np.clip(offsets[first : last + 1], start, stop)


@dataclass(frozen=True)
class _ReadEvents:
    """Slices → their events, in an executor."""

    folder: str
    part: str
    columns: tuple[str, ...]

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        offsets = mapped(self.folder, f"{self.part}offsets")
        arrays = {_COLUMNS[name][0]: mapped(self.folder, f"{self.part}{name}") for name in self.columns}
        for start, stop in slices_in(batches):
            for at in range(start, stop, _BATCH):
                end = min(at + _BATCH, stop)
                sessions, bounds = events_of_slice(offsets, at, end)
                lengths = np.diff(bounds)
                position = np.arange(at, end) - np.repeat(np.asarray(offsets[sessions]), lengths)
                yield pa.record_batch(
                    {
                        "session": np.repeat(sessions, lengths),
                        "position": position.astype(np.int32),
                        **{name: np.array(array[at:end]) for name, array in arrays.items()},
                    }
                )


@dataclass(frozen=True)
class _ReadLists(_ReadEvents):
    """Slices → the lists of items of their sessions, in an executor."""

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        offsets, items = mapped(self.folder, f"{self.part}offsets"), mapped(self.folder, f"{self.part}items")
        for start, stop in slices_in(batches):
            sessions, bounds = events_of_slice(offsets, start, stop)
            for at in range(0, len(sessions), _BATCH):
                inside = slice(at, at + _BATCH)
                cuts = bounds[at : at + _BATCH + 1]
                position = np.maximum(cuts[:-1] - offsets[sessions[inside]], 0)
                values = pa.array(np.array(items[cuts[0] : cuts[-1]]))
                yield pa.record_batch(
                    {
                        "session": sessions[inside],
                        "position": position.astype(np.int32),
                        "items": pa.ListArray.from_arrays(pa.array((cuts - cuts[0]).astype(np.int32)), values),
                    }
                )


def slices_in(batches: Iterator[Any]) -> Iterator[tuple[int, int]]:
    """The slices (start, stop) in record batches of `slice_frame`, in an executor."""
    for batch in batches:
        yield from zip(batch.column("start").to_pylist(), batch.column("stop").to_pylist(), strict=True)


def parquet_frame(spark: SparkSession, path: Path) -> DataFrame:
    """A Parquet file of an artifact with its columns and `row` long, from 0; a partition for each row group.

    Spark's own reader neither numbers rows nor keeps their order.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    types = {pa.string(): "string", pa.large_string(): "string", pa.int64(): "long", pa.float32(): "float"}
    columns = [(field.name, types[field.type]) for field in file.schema_arrow]
    schema = ", ".join(["row long", *(f"`{name}` {type_}" for name, type_ in columns)])
    groups = max(1, file.num_row_groups)
    return numbered(spark, groups).mapInArrow(_ReadGroups(str(path.absolute())), schema)


@dataclass(frozen=True)
class _ReadGroups:
    """Numbers of row groups → their rows, in an executor."""

    path: str

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = pq.ParquetFile(self.path)
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        for group in numbers_in(batches):
            if group >= file.num_row_groups:
                continue
            at = int(starts[group])
            for part in file.iter_batches(_BATCH, row_groups=[group]):
                yield pa.record_batch(
                    [pa.array(np.arange(at, at + len(part))), *part.columns], ["row", *part.schema.names]
                )
                at += len(part)
