"""Free the space of what is no longer needed: old versions, abandoned refreshes, and parts that no model uses."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from embedrec.errors import ArtifactError, SettingsError
from embedrec.storage import atomic
from embedrec.storage.artifacts import FOLDERS, VERSIONS, Artifact
from embedrec.storage.switch import versions_locked
from embedrec.storage.version_records import Record, record_path
from embedrec.storage.version_tags import read_tags
from embedrec.storage.versions import readable
from embedrec.storage.workspace import Workspace
from embedrec.workflows.refresh.staging import FOLDER, refreshing
from embedrec.workflows.unused_parts import remove_unused_parts, unused_parts
from embedrec.workflows.versions import current_artifacts, freed_bytes, sources_of, version_folders

STAGING_DAYS = 7.0
VersionFolder = tuple[int, str, Path]  # number, kind and folder of a version


@dataclass(frozen=True)
class Freed:
    """What is removed.

    what     "version", "refresh" or "part"
    version  the number of a version
    bytes    that this frees
    """

    what: str
    kind: str
    name: str
    version: int | None
    bytes: int


def collect_garbage(
    workspace: Workspace, keep: int, *, days: float = STAGING_DAYS, dry_run: bool = False
) -> list[Freed]:
    """Remove the versions of each artifact but the current one and the last `keep` earlier ones, and unused parts.

    days  after which what an interrupted or refused refresh has left is removed, too, unless a refresh is running

    Versions with a tag stay, and those that current artifacts and kept composite models need: the sessions a model was
    trained on, the model of an index, the parts of a fusion or ranker.

    Raises ArtifactError for a folder that does not exist, and for an artifact that cannot be read, as what it needs is
    unknown.
    """
    if not workspace.root.is_dir():
        raise ArtifactError(f"{workspace.root} is no folder; choose another workspace")
    for kind in FOLDERS:
        for folder, error in workspace.unreadable(kind).items():
            raise ArtifactError(
                f"which versions are needed is unknown, as {kind} {folder.name} cannot be read: {error}"
            )
    freed: list[Freed] = []
    old: list[VersionFolder] = []
    if (workspace.root / VERSIONS).is_dir():
        with versions_locked(workspace.root) as records:
            old = _old_versions(workspace, keep)
            freed += [Freed("version", kind, f.name, number, freed_bytes(f)) for number, kind, f in old]
            if not dry_run:
                remove_versions(workspace.root, [folder for *_, folder in old])
                _remove_records(workspace.root, records)
    freed += _remove_staging(workspace, days, dry_run)
    without = frozenset(folder for *_, folder in old)
    parts = unused_parts(workspace, without) if dry_run else remove_unused_parts(workspace)
    return freed + [Freed("part", "model", part.name, None, part.bytes) for part in parts]


def remove_versions(root: Path, folders: Iterable[Path]) -> None:
    """Remove versions, and the folders of numbers that none is left of; the caller has the lock of the versions."""
    for folder in folders:
        atomic.remove_folder(folder)
        for above in folder.parents[:2]:
            with suppress(OSError):  # it has others
                above.rmdir()
    atomic.flush(root / VERSIONS)


def _remove_staging(workspace: Workspace, days: float, dry_run: bool) -> list[Freed]:
    """Remove the staging workspaces that no refresh has written to for some days; none while a refresh is running."""
    if not (workspace.root / FOLDER).is_dir():
        return []
    freed = []
    try:
        with refreshing(workspace, wait=False) as folder:
            for staging in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
                written = max(file.lstat().st_mtime for file in (staging, *staging.rglob("*")))
                if time.time() - written >= days * 86_400:
                    freed.append(Freed("refresh", "", staging.name, None, freed_bytes(staging)))
                    if not dry_run:
                        atomic.remove_folder(staging)
    except SettingsError:  # a refresh is running
        return []
    return freed


def _old_versions(workspace: Workspace, keep: int) -> list[VersionFolder]:
    """The versions to remove, the newest first."""
    current = current_artifacts(workspace)
    digests = {artifact.digest for artifact in current.values()}
    tagged = {(t.version, t.kind, t.name) for entries in read_tags(workspace.root).values() for t in entries}
    earlier: dict[tuple[str, str], int] = defaultdict(int)
    old: dict[VersionFolder, Artifact | None] = {}
    kept: list[Artifact] = []
    for number, kind, folder in version_folders(workspace.root):
        artifact = readable(folder, kind)
        is_current = artifact is not None and artifact.digest in digests
        earlier[kind, folder.name] += not is_current
        if is_current or earlier[kind, folder.name] <= keep or (number, kind, folder.name) in tagged:
            kept += [] if artifact is None else [artifact]
        else:
            old[number, kind, folder] = artifact
    needed = {(kind, print_) for a in current.values() for kind, _, print_ in sources_of(a)}
    while True:
        needed |= {(kind, print_) for a in kept for kind, _, print_ in sources_of(a) if "parts" in a.about}
        more = {key: a for key, a in old.items() if a is not None and (a.kind, a.fingerprint) in needed}
        if not more:
            return [*old]
        kept = list(more.values())
        old = {key: artifact for key, artifact in old.items() if key not in more}


def _remove_records(root: Path, records: list[Record]) -> None:
    """Remove the records of switches whose versions are all gone; the last one has the highest number."""
    available = {(number, kind, folder.name) for number, kind, folder in version_folders(root)}
    for record in records[:-1]:
        contents = [(c, change) for change in record.changes for c in (change.put, change.replaced) if c is not None]
        if not any((content.version, change.kind, change.name) in available for content, change in contents):
            record_path(root, record.sequence).unlink()
