"""Preparing data on Spark: files or a frame become the sessions artifact that one machine writes.

1. Tasks read the files with the readers of one machine: shards.
2. Ids of all shards are numbered by sorting: vocabularies.
3. Events are shuffled by session and sorted by time: partitions, in which sessions are split by user and cut at gaps.
4. Filters run over the partitions, with the counts of items of all; repeated filters until nothing changes.
5. Tasks write parts of the files, and the driver joins them.

No id passes through the driver, except those of items and users if files of their features are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.config import build, settings_of
from embedrec.data.event_log import SPLIT_NOTE, split_note
from embedrec.data.events import Events
from embedrec.data.feature_parquet import save_features
from embedrec.data.filters import Filters
from embedrec.data.regroup import AS_READ, Regroup, parse_gap
from embedrec.errors import SettingsError
from embedrec.spark.features import AddFeatures, features_of_files, features_of_shard
from embedrec.spark.filter_partitions import PartitionFilters
from embedrec.spark.partitions import EVENTS_A_PARTITION, Layout, Partition, partition_by_user, partition_shards
from embedrec.spark.session_ids import SessionIds, with_distinct_ids
from embedrec.spark.shards import SHARD_BYTES, Shard, check_alike, grouped, read_files, read_frame
from embedrec.spark.vocabularies import IDS_A_PART, Numbering, number_ids
from embedrec.spark.write_sessions import write_sessions
from embedrec.spark.written_parts import staging
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact, Draft
from embedrec.tabular.frame_table import FrameTable
from embedrec.tabular.read_rows import Plan
from embedrec.tabular.read_settings import ReadSettings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class TaskSizes:
    """Sizes of tasks; the result does not depend on them.

    shard_bytes  unpacked bytes of the files that one task reads, about
    ids          ids that one task sorts
    events       events of a partition, about
    """

    shard_bytes: int = SHARD_BYTES
    ids: int = IDS_A_PART
    events: int = EVENTS_A_PARTITION


@dataclass(frozen=True)
class WholeReader:
    """A reader that reads all its files at once, in one task."""

    reader: Any
    paths: list[str]

    def read(self, paths: Sequence[Any], settings: ReadSettings) -> Events:
        """The events of all files."""
        return self.reader.read(self.paths, settings)


@dataclass(frozen=True)
class Preparation:
    """How events become sessions: regrouped, then filtered.

    spark     the session
    filters, regroup  as of one machine
    settings  collects bad rows, and receives "columns" with the guesses
    sizes     of tasks
    """

    spark: SparkSession
    filters: Filters
    settings: ReadSettings
    regroup: Regroup = AS_READ
    sizes: TaskSizes = TaskSizes()

    def files(
        self, source: str, reader: Any, paths: Sequence[str | Path], folder: Path, *, sharded: bool = True
    ) -> Artifact:
        """Read files, and write the sessions artifact `folder`.

        source   name of the reader, for the manifest
        sharded  whether its files can be read apart from each other, see `readers.ReaderEntry`; else one task reads all

        Raises as `workflows.prepare.prepare_sessions` does.
        """
        about = {"source": source, "reader": settings_of(reader), "paths": [str(path) for path in paths]}

        def read(parts: Path) -> list[Shard]:
            if not sharded:
                whole = WholeReader(reader, [str(path) for path in paths])
                return read_files(self.spark, whole, [[]], parts, self.settings)
            groups = grouped(reader.sources(paths), self.sizes.shard_bytes)
            return read_files(self.spark, reader.events_only(), groups, parts, self.settings)

        def features(shards: Sequence[Shard]) -> AddFeatures | None:
            if not sharded or not reader.has_features(paths):
                return None
            plan = build(Plan, shards[0].state.plan, source="a shard")
            return lambda events: reader.add_features(events, plan, paths, self.settings)

        return self._prepare(folder, about, read, features)

    def frame(self, frame: DataFrame, table: FrameTable, folder: Path) -> Artifact:
        """The same for a frame of Spark; the order of its rows is that of its partitions, and of the rows in them."""
        about = {"source": "frame", "reader": settings_of(table), "paths": []}

        def read(parts: Path) -> list[Shard]:
            return read_frame(self.spark, table, frame, parts, self.settings)

        return self._prepare(folder, about, read, lambda shards: None)

    def _prepare(
        self,
        folder: Path,
        origin: dict[str, Any],
        read: Callable[[Path], list[Shard]],
        features: Callable[[Sequence[Shard]], AddFeatures | None],
    ) -> Artifact:
        """Write the artifact `folder`.

        origin    manifest entries of the source
        read      reads the shards into a staging area
        features  returns what adds the features of side tables, None if there are none
        """
        started = perf_counter()
        artifacts.check_place(folder)
        with staging(self.spark, folder) as parts:
            shards = read(parts)
            check_alike(shards)
            with artifacts.writing(folder, "sessions", {}) as draft:
                self._write(draft, _Read.of(shards, parts), origin, features(shards))
                draft.about["seconds"] = round(perf_counter() - started, 3)
        return artifacts.read(folder, "sessions")

    def _write(self, draft: Draft, read: _Read, origin: dict[str, Any], add: AddFeatures | None) -> None:
        self._check(read)
        numberings = {
            role: number_ids(self.spark, read.shards, role, read.staging, ids_a_part=self.sizes.ids)
            for role in read.roles
        }
        if read.layout.whole:
            self._leave_out_repeats(numberings["session"], len(read.shards))
        features_read, numberings["item"] = (
            (features_of_shard(read.shards[0], read.staging), numberings["item"])
            if add is None
            else features_of_files(add, read.shards, numberings["item"], numberings.get("user"), read.staging)
        )
        partitions, ids, sizes = self._partitions(read, numberings)
        columns, kinds = read.layout.columns, read.layout.kinds
        filtered = PartitionFilters(self.spark, partitions, numberings["item"].count, columns, kinds, read.staging)
        removed = filtered.apply(self.filters)
        sessions, items, events = write_sessions(draft, self.spark, filtered, numberings["item"], ids, read.staging)
        draft.about |= {
            **origin,
            "engine": "spark",
            "read": sizes | {"items": numberings["item"].count},
            "regrouped": {**settings_of(self.regroup), "sessions": sum(part.sessions for part in partitions)},
            "bad_rows": self.settings.bad_rows.counts,
            "filters": settings_of(self.filters),
            "removed": [{key: value for key, value in asdict(r).items() if key != "note" or value} for r in removed],
            "sessions": sessions,
            "items": items,
            "events": events,
        }
        for name, table in features_read.items():
            save_features(table, draft.path(f"{name}.parquet"))
            draft.about[name] = table.about()

    def _check(self, read: _Read) -> None:
        """Raises SettingsError if users or times are needed and missing."""
        if self.regroup.by == "user" and not read.users:
            raise SettingsError("sessions by user need the user of every event, but the data has none; name its column")
        if self.regroup.gap is not None and "time" not in read.layout.columns:
            raise SettingsError(
                "cutting sessions at a gap needs the time of every event, but the data has none; name its column"
            )

    def _partitions(
        self, read: _Read, numberings: dict[str, Numbering]
    ) -> tuple[list[Partition], SessionIds, dict[str, int]]:
        """The partitions; how ids are made of their numbers; and the numbers of events and sessions as read."""
        by_user, size = self.regroup.by == "user", self.sizes.events
        gap = None if self.regroup.gap is None else parse_gap(self.regroup.gap)
        partitions = partition_shards(
            self.spark,
            read.shards,
            read.layout,
            numberings,
            read.staging,
            gap=None if by_user else gap,
            users=by_user,
            size=size,
        )
        divided = sum(part.divided[0] for part in partitions)
        ids = SessionIds(
            str(read.staging),
            tuple(shard.folder for shard in read.shards),
            "session",
            "user" if read.users else "session" if gap is not None else None,
            {role: numbering.whole for role, numbering in numberings.items()},
            divided > 0,
            gap is not None,
        )
        if divided:
            first = next(part.divided[1] for part in partitions if part.divided[0])
            odd = ids.ids("session", np.array([first])).to_pylist()[0]
            self._note_split(read, odd, divided, numberings["session"].count)
            ids = with_distinct_ids(self.spark, ids, [part.folder for part in partitions])
        sizes = {
            "events": sum(part.events for part in partitions),
            "sessions": sum(part.as_read for part in partitions),
        }
        if by_user:
            ids = replace(ids, sessions="user", split=False)
            users = sum(shard.counts["user"] for shard in read.shards)
            partitions = partition_by_user(self.spark, partitions, read.layout, users, read.staging, gap=gap, size=size)
        return partitions, ids, sizes

    def _note_split(self, read: _Read, odd: Any, divided: int, sessions: int) -> None:
        """The note of `data.event_log` for all shards, in place of theirs."""
        state, notes = read.shards[0].state, self.settings.bad_rows.notes
        notes[:] = [note for note in notes if SPLIT_NOTE not in note] + [split_note(divided, sessions, odd, state)]

    def _leave_out_repeats(self, numbering: Numbering, shards: int) -> None:
        """Count sessions whose id an earlier shard has as bad rows."""
        count, examples = numbering.repeats
        for at, (id_, shard, earlier) in enumerate(examples):
            rows = count - len(examples) + 1 if at == len(examples) - 1 else 1
            place = f"part {shard + 1} of {shards}"
            detail = f" (pid {id_} also in part {earlier + 1})"
            self.settings.bad_rows.add("the files", place, "duplicate playlist id", detail, rows)


@dataclass(frozen=True)
class _Read:
    """Shards, with what they have in common; `users` is whether users are read."""

    shards: Sequence[Shard]
    staging: Path
    layout: Layout
    users: bool

    @classmethod
    def of(cls, shards: Sequence[Shard], staging: Path) -> _Read:
        layout = Layout.of(shards)
        users = "user" in layout.columns and all(shard.state.keep_users for shard in shards)
        return cls(shards, staging, layout, users)

    @property
    def roles(self) -> list[str]:
        """The roles whose ids are numbered."""
        return ["session", "item", *(["user"] if "user" in self.layout.columns else [])]
