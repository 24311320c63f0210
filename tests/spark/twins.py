"""Data for tests of Spark, and the comparison of what Spark prepares with what one machine prepares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.config import build
from embedrec.data.filters import Filters
from embedrec.data.regroup import AS_READ, Regroup
from embedrec.readers import READERS, BadRows, reader
from embedrec.spark.preparation import Preparation, TaskSizes
from embedrec.storage.artifacts import Artifact
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.prepare import prepare_sessions

SMALL = TaskSizes(shard_bytes=1200, ids=60, events=150)  # many shards, parts and partitions of little data
ENTRIES = (
    "source",
    "reader",
    "paths",
    "read",
    "regrouped",
    "bad_rows",
    "filters",
    "removed",
    "sessions",
    "items",
    "events",
)


def write_clicks(folder: Path, *, files: int = 4, rows: int = 40, seed: int = 0, **columns: Any) -> list[Path]:
    """Tables of clicks: sessions go on in later files, users have several sessions, some times are equal.

    columns  name → a function of (generator, rows) that returns its texts; in place of a default column, or None to
             leave it out
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    paths = []
    for number in range(files):
        values: dict[str, Any] = {
            "session_id": lambda rng, n: rng.integers(0, 30, n).astype(str),
            "user_id": None,
            "item_id": lambda rng, n: [f"i{i}" for i in rng.geometric(0.1, n)],
            "timestamp": lambda rng, n: (1_700_000_000 + rng.integers(0, 4_000, n) * 10).astype(str),
            **columns,
        }
        made = {name: list(make(rng, rows)) for name, make in values.items() if make is not None}
        lines = [",".join(made), *(",".join(map(str, row)) for row in zip(*made.values(), strict=True))]
        paths.append(folder / f"clicks-{number}.csv")
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def prepare_both(
    spark: Any,
    folder: Path,
    source: str,
    paths: Sequence[str | Path],
    *,
    filters: Filters | None = None,
    regroup: Regroup = AS_READ,
    sizes: TaskSizes = SMALL,
    mode: Any = "fail",
    **settings: Any,
) -> tuple[Artifact, Artifact, list[str], list[str]]:
    """The artifacts of one machine and of Spark, and the notes of both."""
    read = build(reader(source), settings, source="the test")
    filters = filters or Filters()
    local, other = BadRows(mode), BadRows(mode)
    first = prepare_sessions(source, read, paths, folder / "local", filters, ReadSettings(local), regroup=regroup)
    preparation = Preparation(spark, filters, ReadSettings(other), regroup, sizes)
    second = preparation.files(source, read, paths, folder / "spark", sharded=READERS[source].sharded)
    return first, second, [*local.lines(), *local.notes], [*other.lines(), *other.notes]


def assert_same(local: Artifact, spark: Artifact) -> None:
    """The same files, byte by byte, but for those of the log; the same entries of the manifest."""
    names = {name for name in local.files if not name.startswith("log_")}
    assert set(spark.files) == names
    for name in sorted(names):
        assert (spark.folder / name).read_bytes() == (local.folder / name).read_bytes(), name
    for entry in ENTRIES:
        assert json.dumps(spark.about[entry]) == json.dumps(local.about[entry]), entry
