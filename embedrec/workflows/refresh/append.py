"""The first step of a refresh: sessions with the events of new files; and what older versions of them need not keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from embedrec.data.joined import forget_join
from embedrec.progress import Report, quiet
from embedrec.storage.artifacts import Artifact
from embedrec.storage.memory_budget import IN_MEMORY
from embedrec.storage.versions import kept_versions
from embedrec.storage.workspace import Workspace
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.append import append_sessions


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

    Reports bad rows that are left out as "note".
    """
    settings = ReadSettings(workers=threads, memory=IN_MEMORY, report=report)
    appended = append_sessions(source, paths, folder, settings, keep_days=keep_days)
    for line in (*settings.bad_rows.lines(), *settings.bad_rows.notes):
        report("note", message=line)
    return appended


def forget_older_joins(workspace: Workspace, name: str) -> None:
    """Free the joined copies of sessions that are no longer current: a version needs no more than its segments.

    A command that needs an earlier version joins it again.
    """
    current = workspace.find("sessions", name)
    for _, version in kept_versions(workspace.root, "sessions", name):
        if version.digest != current.digest:
            forget_join(version)
