"""Shards: the events of some files, or of a partition of a frame, read by the readers of one machine in a task.

A shard is a folder of a staging area with the columns of its events, in order of sessions and times, before sessions
are split by user, and the ids of its sessions, items, users and kinds. Rows are those of the shard alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.config import build
from embedrec.data.event_log import EventLog, ReadState
from embedrec.data.events import Events
from embedrec.data.feature_parquet import save_features
from embedrec.data.parquet_io import save_ids, save_vocab
from embedrec.data.vocab import Ids
from embedrec.errors import DataError
from embedrec.progress import quiet
from embedrec.spark.part_files import save_part
from embedrec.spark.tasks import fresh_name, numbers_in, run_numbered, run_tasks
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.parse_times import Times
from embedrec.tabular.read_rows import Plan
from embedrec.tabular.read_settings import NoRowsError, ReadLog, ReadSettings
from embedrec.tabular.source_files import Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_NO_ROWS = "the data frame has no rows; check the filters that made it"
SHARD_BYTES = 128 << 20  # unpacked bytes of the files of a shard, about


@dataclass(frozen=True)
class Shard:
    """A shard on disk.

    folder   name of its folder in the staging area
    columns  those of its events: "item", and of "user", "time", "finer", "order", "weight", "kind"
    counts   "event", "session", "item", "user" → their number
    whole    "session", "item", "user" → whether its ids are integers
    kinds    names of the kinds, in order of appearance; None if it has none
    named    whether items have display names
    state    how it was read
    """

    folder: str
    columns: tuple[str, ...]
    counts: dict[str, int]
    whole: dict[str, bool]
    kinds: list[Any] | None
    named: bool
    state: ReadState


def read_files(
    spark: SparkSession, reader: Any, groups: Sequence[Sequence[Source]], staging: Path, settings: ReadSettings
) -> list[Shard]:
    """The shards of groups of files, each read by one task; of those with a row that can be used.

    The first is read before the others: it decides which columns are read, and what their values mean.

    Raises DataError as the reader does.
    """
    waiting = [list(group) for group in groups]
    place = (str(staging), str(Path.cwd()), settings.bad_rows.mode)
    first: list[Shard] = []
    problem = ""
    while waiting and not first:
        work = ReadGroups(reader, [waiting.pop(0)], *place)
        results = run_numbered(spark, work, 1)
        problem = problem or results[0].get("none", "")
        first = _shards(results, settings)
    if not first:
        raise NoRowsError(problem)
    if not waiting:
        return first
    work = ReadGroups(reader, waiting, *place, first[0].state)
    rest = _shards(run_numbered(spark, work, len(waiting)), replace(settings, report=quiet))
    return first + rest


def read_frame(spark: SparkSession, table: Any, frame: DataFrame, staging: Path, settings: ReadSettings) -> list[Shard]:
    """The shards of the partitions of a frame of Spark; the order of rows is that of partitions, and of rows in them.

    table  a `FrameTable`
    """
    results = run_tasks(frame, ReadPartitions(table, str(staging), settings.bad_rows.mode))
    shards = _shards(results, settings)
    if not shards:
        raise NoRowsError(results[0]["none"] if results else _NO_ROWS)
    return shards


def _shards(results: Sequence[dict[str, Any]], settings: ReadSettings) -> list[Shard]:
    """Shards of the results of tasks; what they left out is added to the settings, their guesses are reported."""
    shards: list[Shard] = []
    for result in results:
        bad, reports = result.pop("bad"), result.pop("reports")
        part = BadRows(settings.bad_rows.mode)
        part.counts = {problem: count for problem, (count, _) in bad.items()}
        part.examples = {problem: places for problem, (_, places) in bad.items()}
        part.notes = [note for note in result.pop("notes") if note not in settings.bad_rows.notes]
        settings.bad_rows.merge(part)
        if "none" not in result:
            if not shards:
                for report in reports:
                    settings.report("columns", **report)
            state = build(ReadState, result.pop("state"), source="a shard")
            shards.append(Shard(**{**result, "columns": tuple(result["columns"])}, state=state))
    return shards


def grouped(sources: Sequence[Source], size: int = SHARD_BYTES) -> list[list[Source]]:
    """Sources in groups of about `size` bytes, in order; the members of a compressed .tar are in one group, because
    each of them is behind all earlier ones."""
    groups: list[list[Source]] = []
    filled = 0
    for source in sources:
        joined = bool(groups) and source.forward_only and groups[-1][-1].path == source.path
        if not joined and (not groups or filled + source.unpacked > size):
            groups.append([])
            filled = 0
        groups[-1].append(source)
        filled += source.unpacked
    return groups


# ---------------------------------------------------------------------------------------------- in executors


@dataclass(frozen=True)
class ReadGroups:
    """Numbers of groups of files → their shards.

    folder  of the driver: relative paths are those in it
    before  how the first shard was read; None for that itself
    """

    reader: Any
    groups: list[list[Source]]
    staging: str
    folder: str
    mode: Any
    before: ReadState | None = None

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        (number,) = numbers_in(batches)

        def read(settings: ReadSettings) -> Events:
            with chdir(self.folder) if Path(self.folder).is_dir() else nullcontext():
                return self.reader.read(self.groups[number], settings)

        return _read_shard(read, self.mode, self.before, self.staging, part)


@dataclass(frozen=True)
class ReadPartitions:
    """Rows of a frame → the shard of each partition; an empty result for one without rows."""

    table: Any
    staging: str
    mode: Any

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        import pyarrow as pa

        first = next((batch for batch in batches if batch.num_rows), None)
        if first is None:
            return {"none": _NO_ROWS, "bad": {}, "notes": [], "reports": []}
        rows = pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], batches))
        return _read_shard(lambda settings: self.table.read(rows, settings), self.mode, None, self.staging, part)


def _read_shard(
    read: Callable[[ReadSettings], Events], mode: Any, before: ReadState | None, staging: str, part: int
) -> dict[str, Any]:
    """Read events and write their shard; its description, with what was left out, notes and reports of columns.

    The description has "none", a sentence, if there is no row that can be used.
    """
    reports: list[dict[str, Any]] = []

    def report(event: str, **numbers: Any) -> None:
        if event == "columns":
            reports.append(numbers)

    settings = ReadSettings(BadRows(mode), report=report, log=ReadLog(before))
    try:
        events = read(settings)
        log = EventLog(events) if settings.log is None else settings.log.pop(events)
        del events
        result = write_shard(log, Path(staging), part)
    except NoRowsError as e:
        result = {"none": str(e)}
    bad = settings.bad_rows
    result["bad"] = {problem: (count, bad.examples[problem]) for problem, count in bad.counts.items()}
    return {**result, "notes": bad.notes, "reports": reports}


def write_shard(log: EventLog, staging: Path, part: int) -> dict[str, Any]:
    """Write the shard of a log; its fields as JSON values."""
    folder = staging / fresh_name("shard", part)
    folder.mkdir()
    columns, sessions = before_split(log)
    events = log.events
    lengths = np.bincount(columns.pop("session"), minlength=len(sessions))
    save_part(folder / "lengths.npy", lengths.astype(np.int64))
    for name, column in columns.items():
        save_part(folder / f"{name}.npy", column)
    vocabs: dict[str, Ids] = {"session": sessions, "item": events.items.ids}
    save_ids(sessions, folder / "session.parquet")
    save_vocab(replace(events.items, counts=None), folder / "item.parquet")
    if events.users is not None:
        vocabs["user"] = events.users.ids
        save_ids(events.users.ids, folder / "user.parquet")
    for name in ("item_features", "user_features"):
        if getattr(events, name) is not None:
            save_features(getattr(events, name), folder / f"{name}.parquet")
    return {
        "folder": folder.name,
        "columns": list(columns),
        "counts": {"event": len(events), **{role: len(ids) for role, ids in vocabs.items()}},
        "whole": {role: ids.dtype == np.int64 for role, ids in vocabs.items()},
        "kinds": None if events.kinds is None else events.kinds.ids.tolist(),
        "named": events.items.names is not None,
        "state": asdict(log.state),
    }


def before_split(log: EventLog) -> tuple[dict[str, np.ndarray], Ids]:
    """The columns of a log, role → (E,), as they were before sessions were split by user; and the ids of its sessions.

    A later file may hold events of the same session, and another user.
    """
    events = log.events
    given = {name: getattr(events, name) for name in ("session", "item", "user", "time", "weight", "kind")}
    given |= {"finer": log.finer, "order": log.order}
    columns = {name: np.asarray(column) for name, column in given.items() if column is not None}
    if log.places is None or log.unsplit is None:
        return columns, events.sessions.ids
    order = np.argsort(log.places)
    columns = {name: column[order] for name, column in columns.items()}
    ids = log.unsplit[columns["session"]]  # of each event; those of one session follow each other
    begins = np.ones(len(ids), dtype=bool)
    begins[1:] = ids[1:] != ids[:-1]
    columns["session"] = (np.cumsum(begins) - 1).astype(np.int32)
    return columns, ids[begins]


def check_alike(shards: Sequence[Shard]) -> None:
    """Raises DataError if shards have different columns of times, positions, weights or kinds, or times of different
    units."""
    optional = {"user", "finer"}
    first = set(shards[0].columns) - optional
    other = next((set(shard.columns) - optional for shard in shards if set(shard.columns) - optional != first), None)
    if other is not None:
        raise DataError(
            f"some files have the columns {', '.join(sorted(first))}, and others {', '.join(sorted(other))}; prepare "
            "files of one layout"
        )
    if not shards[0].state.plan or not shards[0].state.times:
        return
    plan = build(Plan, shards[0].state.plan, source="a shard")
    states = [shard.state.times for shard in shards]
    known = [state for state in states if state["low"] is not None]
    for key in ("numeric", "compact"):
        if len({state[key] for state in known}) > 1:
            raise DataError(
                f"the column {plan.time!r} contains numbers in some files and dates in others; set its type with "
                "--time-unit"
            )
    if plan.time and known:
        joined = {
            **known[0],
            "unclear": [digits for digits in known[0]["unclear"] if all(digits in state["unclear"] for state in known)],
            "low": min(state["low"] for state in known),
            "high": max(state["high"] for state in known),
        }
        Times(plan.time, plan.time_unit, plan.time_format, joined).check()


def ids_of(folder: Path, role: str, *, whole: bool) -> Any:
    """The ids of a role of a shard as an Arrow array of int64, or of string if not all shards have integers."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / f"{role}.parquet") as file:
        column = file.read(["id"], use_threads=False).column("id").combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column if whole else pc.cast(column, pa.string())


def names_of(folder: Path) -> Any:
    """The display names of the items of a shard as an Arrow array, None if it has none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / "item.parquet") as file:
        if "name" not in file.schema_arrow.names:
            return None
        column = file.read(["name"], use_threads=False).column("name").combine_chunks()
    return column if isinstance(column, pa.Array) else pa.concat_arrays([pa.array([], pa.string()), *column.chunks])
