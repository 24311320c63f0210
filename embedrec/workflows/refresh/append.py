"""The first step of a refresh: sessions with the events of new files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embedrec.config import build
from embedrec.data.filters import Filters
from embedrec.data.regroup import Regroup
from embedrec.progress import Report, quiet
from embedrec.readers import BadRows, reader
from embedrec.storage.artifacts import Artifact
from embedrec.storage.memory_budget import IN_MEMORY
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.prepare import prepare_sessions


def append_files(
    source: Artifact,
    paths: Sequence[str | Path],
    folder: Path,
    *,
    keep_days: float | None = None,
    threads: int = 1,
    report: Report = quiet,
) -> Artifact:
    """The sessions of the old files and the new ones, prepared with the settings of the first time, in `folder`."""
    about = source.about
    filters, regrouped = dict(about["filters"]), about["regrouped"]
    if keep_days is not None:
        filters["days"] = keep_days
    read: Any = build(reader(about["source"]), about["reader"], source=str(source.folder))
    settings = ReadSettings(BadRows("fail"), threads, IN_MEMORY, report)
    regroup = Regroup(regrouped["by"], regrouped["gap"])
    old = [path for path in about["paths"] if path not in map(str, paths)]
    chosen = build(Filters, filters, source=str(source.folder))
    return prepare_sessions(about["source"], read, [*old, *map(str, paths)], folder, chosen, settings, regroup=regroup)
