"""The journal of a switch: what a killed process has begun is completed by whoever opens the workspace next.

What a switch puts in place is kept as a version before the journal is written, and so is what it replaces: completing
it needs nothing but versions, can be repeated, and never goes back.
"""

from __future__ import annotations

import os
from pathlib import Path

from embedrec.errors import ArtifactError, reason
from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import FOLDERS, VERSIONS, Artifact
from embedrec.storage.version_records import Change, Record, journal_path, read_record, record_path
from embedrec.storage.versions import link_artifact, readable, version_folder


def finish_switch(root: Path) -> None:
    """Complete a switch of the workspace `root` that was interrupted; waits for one that is going on.

    Raises ArtifactError if the workspace is read-only, or the journal or a version that it names is damaged.
    """
    try:
        with atomic.locked(root / VERSIONS):
            finish_locked(root)
    except OSError as e:
        raise ArtifactError(
            f"a switch of artifacts in {root} was interrupted, and cannot be completed ({reason(e)}); run "
            "`embedrec info` there as a user who may write to it"
        ) from e


def finish_locked(root: Path) -> None:
    """`finish_switch`, for a process that has the lock of the versions."""
    try:
        record = read_record(journal_path(root))
    except FileNotFoundError:  # no switch, or another process has completed it
        return
    complete(root, record)


def complete(root: Path, record: Record) -> None:
    """Do what is left of a switch whose journal is written, and keep the journal as its record."""
    versions = [_version(root, change) for change in record.changes]
    for change, version in zip(record.changes, versions, strict=True):
        _apply(root, change, version)
    path = record_path(root, record.sequence)
    path.parent.mkdir(exist_ok=True)
    journal_path(root).replace(path)
    atomic.flush(path.parent)
    atomic.flush(root / VERSIONS)


def _version(root: Path, change: Change) -> Artifact | None:
    """The version that a change puts in place. Raises ArtifactError if it is missing or damaged."""
    if change.put is None:
        return None
    folder = version_folder(root, change.put.version, change.kind, change.name)
    version = readable(folder, change.kind)
    if version is None or version.digest != change.put.digest:
        raise ArtifactError(
            f"a switch of artifacts was interrupted, and {folder}, which it needs, is missing or damaged; remove "
            f"{journal_path(root)}, then see `embedrec info`"
        )
    return version


def _apply(root: Path, change: Change, version: Artifact | None) -> None:
    """Put a version in place, if what it replaces is still current: a writer in the meantime has the last word."""
    folder = root / FOLDERS[change.kind] / change.name
    folder = atomic.resolve_links(folder) if folder.is_symlink() else folder
    atomic.sweep(folder.parent)  # without an atomic exchange, a kill may have moved the current one aside
    current = readable(folder, change.kind)
    digest = None if current is None else current.digest
    expected = None if change.replaced is None else change.replaced.digest
    if digest != expected or (current is None and os.path.lexists(folder)):
        return
    if version is not None:
        link_artifact(version, folder, lambda: None if current is None else artifacts.check_same(current))
    elif current is not None:
        atomic.remove_folder(folder)
