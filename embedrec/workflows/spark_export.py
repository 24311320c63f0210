"""Export and publish lists on Spark: executors open the index or the model, search, apply policies and write shards.

Blocks are those of one machine, so that the files are equal in every byte. Everything that executors open must be in
folders that all machines share.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from embedrec.data.result_lists import ResultLists, slices
from embedrec.data.topk import TopK
from embedrec.errors import DataError
from embedrec.export.files import file_header, write_file, write_rows, write_shard, write_shards
from embedrec.export.policies.chain import Chain, build_chain
from embedrec.export.resume import StoredLists
from embedrec.export.select_lists import SelectedLists
from embedrec.export.write_lists import ExportResult, ExportSettings, check_export, export_by
from embedrec.progress import Report, quiet
from embedrec.spark.session import SparkSettings, spark_session
from embedrec.spark.tasks import fresh_name, numbers_in, run_numbered
from embedrec.spark.written_parts import Part, open_parts, staging, write_arrays, writing_part
from embedrec.storage.atomic import atomic_file
from embedrec.storage.workspace import Workspace
from embedrec.workflows.export import Exportable, ExportSource, open_export_source

_TASK_BLOCKS = 16  # blocks of lists of a task

Bounds = list[tuple[int, int]]


@dataclass(frozen=True)
class ExportJob:
    """What executors need to open the source of an export and to write its lists.

    token  names the job; an executor opens its source once
    about  what identifies the source, as JSON
    """

    root: str
    source: ExportSource
    settings: ExportSettings
    about: str
    token: str = field(default_factory=lambda: uuid4().hex)

    def opened(self) -> Exportable:
        """The source in this process. Raises DataError if it is not the one that the driver has opened."""
        if self.token not in _OPENED:
            _OPENED.clear()
            opened = open_export_source(Workspace(Path(self.root)), self.source)
            if _text(opened.about) != self.about:
                raise DataError("the source of the export was replaced while it ran; export again")
            _OPENED[self.token] = opened
        return _OPENED[self.token]


_OPENED: dict[str, Exportable] = {}  # of the latest job of this process
_CHAINS: dict[str, Chain] = {}


@contextmanager
def spark_engine(
    workspace: Workspace,
    source: ExportSource,
    opened: Exportable,
    settings: ExportSettings,
    target: Path,
    spark: SparkSettings,
) -> Iterator[SparkEngine]:
    """An `ExportEngine` on Spark for the duration of the block.

    opened  the source, opened by the driver
    target  the file or folder that will be written
    """
    paths = {
        name: path.absolute() for name in ("attributes", "histories") if (path := getattr(source, name)) is not None
    }
    job = ExportJob(str(workspace.root.absolute()), replace(source, threads=1, **paths), settings, _text(opened.about))
    with spark_session(spark) as session, staging(session, target.absolute()) as parts:
        yield SparkEngine(session, job, opened, parts)


def export_on_spark(
    workspace: Workspace,
    source: ExportSource,
    opened: Exportable,
    settings: ExportSettings,
    target: Path,
    spark: SparkSettings,
    *,
    resume: bool = False,
    report: Report = quiet,
) -> ExportResult:
    """Export lists as `export.write_lists.export_lists` does, on Spark; see `spark_engine`."""
    check_export(target, opened.lists, settings.layout, stream=False)
    with spark_engine(workspace, source, opened, settings, target, spark) as engine:
        return export_by(engine, target, opened.about, resume=resume, report=report)


@contextmanager
def select_on_spark(
    workspace: Workspace,
    source: ExportSource,
    opened: Exportable,
    settings: ExportSettings,
    spark: SparkSettings,
    *,
    report: Report = quiet,
) -> Iterator[SelectedLists]:
    """The lists of `export.select_lists.select_lists`, computed on Spark; see `spark_engine`.

    They are stored in a hidden folder of the workspace for the duration of the block.
    """
    with spark_engine(workspace, source, opened, settings, workspace.root / "publish", spark) as engine:
        folder = engine.staging / "lists"
        folder.mkdir()
        yield SelectedLists(engine, folder, True, report)


def _text(about: Mapping[str, Any]) -> str:
    return json.dumps(about, sort_keys=True)


@dataclass(frozen=True, eq=False)
class SparkEngine:
    """An `ExportEngine` on Spark; see `spark_engine`."""

    spark: Any
    job: ExportJob
    opened: Exportable
    staging: Path

    @property
    def lists(self) -> ResultLists:
        return self.opened.lists

    @property
    def settings(self) -> ExportSettings:
        return self.job.settings

    def search(self, parts: Iterable[slice], width: int) -> Iterator[TopK]:
        """See `ExportEngine`."""
        tasks = _grouped(parts)
        return self._lists(_Search(self.job, str(self.staging), tasks, width), tasks, width)

    def select(self, parts: Iterable[slice], candidates: StoredLists, k: int) -> Iterator[TopK]:
        """See `ExportEngine`."""
        tasks = _grouped(parts)
        source = replace(candidates, folder=candidates.folder.absolute())
        return self._lists(_Select(self.job, str(self.staging), tasks, k, source), tasks, k)

    def write(self, target: Path, stored: StoredLists, about: Mapping[str, Any]) -> None:
        """See `ExportEngine`. One file of Parquet is written by the driver."""
        layout, lists = self.job.settings.layout, self.opened.lists
        stored = replace(stored, folder=stored.folder.absolute())
        if layout.shards is not None:

            def shards(folder: Path, files: Mapping[str, slice]) -> dict[str, dict[str, Any]]:
                bounds = [(part.start, part.stop) for part in files.values()]
                work = _WriteShard(self.job, str(self.staging), bounds, stored)
                entries = run_numbered(self.spark, work, len(bounds))
                for name, part, entry in zip(files, open_parts(self.staging, entries), entries, strict=True):
                    part.path.replace(folder / name)
                    del entry["name"], entry["size"]
                return dict(zip(files, entries, strict=True))

            write_shards(target, stored, layout, about, shards)
        elif layout.kind == "parquet":
            write_file(target, lists, stored, layout)
        else:
            tasks = _grouped(slices(0, stored.q))
            work = _WriteRows(self.job, str(self.staging), [(task[0][0], task[-1][1]) for task in tasks], stored)
            results = run_numbered(self.spark, work, len(tasks))
            with atomic_file(target, "wb") as out:
                out.write(file_header(lists, layout))
                for part in open_parts(self.staging, results):
                    with part.path.open("rb") as file:
                        shutil.copyfileobj(file, out)

    def _lists(self, work: _Search | _Select, tasks: list[Bounds], width: int) -> Iterator[TopK]:
        """The lists of all blocks of tasks, in order."""
        results = run_numbered(self.spark, work, len(tasks))
        return _read_blocks(open_parts(self.staging, results), tasks, width, self.opened)


def _read_blocks(parts: list[Part], tasks: list[Bounds], width: int, opened: Exportable) -> Iterator[TopK]:
    for part, blocks in zip(parts, tasks, strict=True):
        first, size = blocks[0][0], blocks[-1][1] - blocks[0][0]
        rows = part.array(np.int32, (size, width))
        scores = part.array(np.float32, (size, width), 4 * size * width)
        for start, stop in blocks:
            yield TopK(rows[start - first : stop - first], scores[start - first : stop - first], opened.lists.vocab)


def _grouped(parts: Iterable[slice]) -> list[Bounds]:
    """The bounds of consecutive blocks of each task."""
    bounds = [(part.start, part.stop) for part in parts]
    return [bounds[at : at + _TASK_BLOCKS] for at in range(0, len(bounds), _TASK_BLOCKS)]


# ---------------------------------------------------------------------------------------------- in executors


@dataclass(frozen=True)
class _Search:
    """Numbers of tasks → the lists of their blocks: rows (m, width) int32, then scores (m, width) float32."""

    job: ExportJob
    staging: str
    tasks: list[Bounds]
    width: int

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        (number,) = numbers_in(batches)
        results = [self.block(slice(start, stop)) for start, stop in self.tasks[number]]
        rows = np.concatenate([lists.rows for lists in results]).astype(np.int32)
        scores = np.concatenate([lists.scores for lists in results]).astype(np.float32)
        return write_arrays(self.staging, part, [rows, scores])

    def block(self, part: slice) -> TopK:
        return self.job.opened().lists.block(part, self.width)


@dataclass(frozen=True)
class _Select(_Search):
    """Numbers of tasks → the lists of their blocks after the policies, as in `_Search`."""

    candidates: StoredLists

    def block(self, part: slice) -> TopK:
        opened, token = self.job.opened(), self.job.token
        if token not in _CHAINS:
            _CHAINS.clear()
            _CHAINS[token] = build_chain(self.job.settings.policies, self.width, self.candidates, opened.inputs)
        rows, scores = self.candidates.block(part)
        return _CHAINS[token].apply(np.arange(part.start, part.stop), TopK(rows, scores, opened.lists.vocab))


@dataclass(frozen=True)
class _WriteRows:
    """Numbers of tasks → the text of their lists, without a header."""

    job: ExportJob
    staging: str
    tasks: Bounds
    stored: StoredLists

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        (number,) = numbers_in(batches)
        about: dict[str, Any] = {}
        with writing_part(self.staging, part, about) as out:
            lists, layout = self.job.opened().lists, self.job.settings.layout
            write_rows(out, lists, self.stored, layout, slice(*self.tasks[number]))
        return about


@dataclass(frozen=True)
class _WriteShard(_WriteRows):
    """Numbers of shards → their files."""

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        (number,) = numbers_in(batches)
        path = Path(self.staging) / fresh_name("shard", part)
        lists, layout = self.job.opened().lists, self.job.settings.layout
        entry = write_shard(path, lists, self.stored, layout, slice(*self.tasks[number]))
        return {**entry, "name": path.name, "size": entry["bytes"]}
