"""Executors killed at random on Spark, with speculation on: every result must have the bytes of one machine.

`python scripts/bench/spark.py kills [--kills 50] [--seed 0]` calls `kill_executors`. Executors are processes of 1 GB
(`local-cluster[2,1,1024]`). This process prepares tables, trains cooccurrence and sr, exports lists and builds an
index, each in many small tasks and again and again until a fifth of the kills have hit it, and compares each result
with that of one machine, file by file. A row has: what ran, how often, executors that got SIGKILL, tasks that failed,
seconds, and results with other bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # executors are killed, and tables written, as in the tests
from generated import clustered, shopping
from spark_figures import MASTER, failed_tasks

from embedrec.data.filters import Filters
from embedrec.export.file_format import layout_of
from embedrec.export.write_lists import ExportSettings, export_lists
from embedrec.index import on_disk_ivf
from embedrec.models import recipe_class
from embedrec.models.imported import Vectors
from embedrec.models.serialization import save_model
from embedrec.readers import reader
from embedrec.spark import encode_vectors
from embedrec.spark.fit import FitContext, fit_on_spark
from embedrec.spark.preparation import Preparation, TaskSizes
from embedrec.spark.session import SparkSettings, spark_session
from embedrec.spark.sessions_frame import open_sessions
from embedrec.spark.written_parts import staging
from embedrec.storage import artifacts
from embedrec.storage.atomic import sha256
from embedrec.storage.memory_budget import spill
from embedrec.storage.workspace import Workspace
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows import spark_export
from embedrec.workflows.build_index import SPARK_MEMORY, IndexSettings, build_index_artifact
from embedrec.workflows.export import ExportSource, open_export_source
from embedrec.workflows.prepare import prepare_sessions
from tests.spark.killed import killing
from tests.spark.one_session import SMALL
from tests.spark.twins import write_clicks

CONF = {
    **SMALL,
    "spark.executor.memory": "1g",
    "spark.speculation": "true",
    "spark.task.maxFailures": "1000",
    "spark.stage.maxConsecutiveAttempts": "1000",
    "spark.deploy.maxExecutorRetries": "-1",
}
SHORTEST, LONGEST = 0.5, 5.0  # seconds between kills
FILTERS = Filters(min_count=3, min_length=2)
SIZES = TaskSizes(shard_bytes=40_000, ids=2_000, events=2_000)
MENTIONS = {"cooccurrence": 20_000, "sr": 100_000}  # of a part


@dataclass(frozen=True)
class Given:
    """What is read: tables of clicks, sessions, and vectors of 20,000 items, in a workspace."""

    workspace: Workspace
    clicks: list[Path]

    @classmethod
    def write(cls, folder: Path) -> Given:
        workspace = Workspace(folder)
        shopping(8_000, 4_000).save(workspace.folder("sessions", "shop"), {})
        vectors = clustered(20_000, 16)
        save_model(
            Vectors(metric=vectors.metric).from_arrays(vectors.vocab, {"items": vectors.vectors}),
            workspace.folder("model", "vectors"),
            {},
        )
        return cls(workspace, write_clicks(folder / "clicks", files=8, rows=2_000))


def prepare(given: Given, folder: Path, spark: Any) -> dict[str, str]:
    """Prepare the tables; name of a file → its checksum. Without `spark`, on one machine."""
    read, settings = reader("table")(), ReadSettings()
    if spark is None:
        done = prepare_sessions("table", read, given.clicks, folder, FILTERS, settings)
    else:
        done = Preparation(spark, FILTERS, settings, sizes=SIZES).files("table", read, given.clicks, folder)
    return {name: entry["sha256"] for name, entry in done.files.items() if not name.startswith("log_")}


def train(name: str) -> Callable[[Given, Path, Any], dict[str, str]]:
    """The same for a training."""

    def trained(given: Given, folder: Path, spark: Any) -> dict[str, str]:
        from embedrec.data import Sessions

        recipe, source = recipe_class(name)(), given.workspace.folder("sessions", "shop")
        if spark is None:
            model = recipe.fit(Sessions.load(source))
        else:
            with open_sessions(spark, source, size=4_000) as frame, staging(spark, folder) as parts:
                model = fit_on_spark(recipe, frame, FitContext(parts, spill(parts), size=MENTIONS[name]))
        save_model(model, folder, {})
        return {name: entry["sha256"] for name, entry in artifacts.read(folder, "model").files.items()}

    return trained


def export(given: Given, folder: Path, spark: Any) -> dict[str, str]:
    """The same for lists of 20,000 items in eight shards."""
    source = ExportSource(model="vectors")
    opened = open_export_source(given.workspace, source)
    settings = ExportSettings(10, layout=layout_of("shards", given="jsonl", shards=8))
    if spark is None:
        export_lists(folder, opened.lists, settings, opened.inputs, opened.about)
    else:
        spark_export.export_on_spark(given.workspace, source, opened, settings, folder, SparkSettings())
    return {path.name: sha256(path) for path in sorted(folder.iterdir())}


def index(given: Given, folder: Path, spark: Any) -> dict[str, str]:
    """The same for an index of cells with codes of a byte."""
    source = artifacts.read(given.workspace.folder("model", "vectors"), "model")
    settings = IndexSettings("IVF4,SQ8", memory=SPARK_MEMORY)
    build_index_artifact(source, folder, settings, spark=None if spark is None else SparkSettings())
    return {"index.faiss": sha256(folder / "index.faiss")}


JOBS: dict[str, Callable[[Given, Path, Any], dict[str, str]]] = {
    "prepare": prepare,
    "cooccurrence": train("cooccurrence"),
    "sr": train("sr"),
    "export": export,
    "index": index,
}


@dataclass
class Row:
    """The figures of a job."""

    job: str
    runs: int = 0
    kills: int = 0
    failed: int = 0
    seconds: float = 0.0
    different: list[str] = field(default_factory=list)


def run(row: Row, given: Given, target: Path, spark: Any, expected: dict[str, str]) -> None:
    """Run a job once more, and add its figures to the row."""
    failed, started = failed_tasks(spark), perf_counter()
    found = JOBS[row.job](given, target, spark)
    row.runs += 1
    row.failed += failed_tasks(spark) - failed
    row.seconds += perf_counter() - started
    row.different += [
        f"{target.name}/{name}" for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)
    ]


def kill_executors(kills: int, seed: int) -> int:
    """Run all jobs until so many executors were killed; print a row for each job, and return the different files."""
    spark_export._TASK_BLOCKS = encode_vectors.TASK_VECTORS = 1  # a block a task
    on_disk_ivf.ADD_BLOCK = 2_000
    on_disk_ivf.MEMORY_PARTS = 1 << 16  # one machine builds in a file, too
    rows = [Row(job) for job in JOBS]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        given = Given.write(folder / "given")
        expected = {name: job(given, folder / name / "local", None) for name, job in JOBS.items()}
        with spark_session(SparkSettings(MASTER, CONF)) as spark:
            for number, row in enumerate(rows):
                share = kills * (number + 1) // len(rows) - kills * number // len(rows)
                with killing(share, SHORTEST, LONGEST, seed + number) as killed:
                    while len(killed) < share:
                        run(row, given, folder / row.job / f"spark-{row.runs}", spark, expected[row.job])
                row.kills = len(killed)
    print("| job | runs | executors killed | tasks failed | seconds | other bytes |")
    print("|---|---:|---:|---:|---:|---|")
    for row in rows:
        other = ", ".join(row.different) or "none"
        print(f"| {row.job} | {row.runs} | {row.kills} | {row.failed} | {row.seconds:.0f} | {other} |")
    different = [name for row in rows for name in row.different]
    sums = [sum(getattr(row, name) for row in rows) for name in ("runs", "kills", "failed", "seconds")]
    print(f"| all | {' | '.join(f'{value:.0f}' for value in sums)} | {', '.join(different) or 'none'} |")
    return len(different)
