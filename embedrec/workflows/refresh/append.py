"""The first step of a refresh: sessions with the events of new files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from embedrec.progress import Report, quiet
from embedrec.storage.artifacts import Artifact
from embedrec.storage.memory_budget import IN_MEMORY
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.append import append_sessions, join_segments


def append_files(
    source: Artifact,
    paths: Sequence[str | Path],
    folder: Path,
    *,
    keep_days: float | None = None,
    threads: int = 1,
    report: Report = quiet,
) -> Artifact:
    """The sessions `source` with the events of new files, in `folder`, see `append_sessions`.

    They are joined at once, because the next step reads them. Reports bad rows that are left out as "note".
    """
    settings = ReadSettings(workers=threads, memory=IN_MEMORY, report=report)
    appended = append_sessions(source, paths, folder, settings, keep_days=keep_days)
    for line in (*settings.bad_rows.lines(), *settings.bad_rows.notes):
        report("note", message=line)
    return join_segments(appended)
