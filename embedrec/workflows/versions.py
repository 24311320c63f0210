"""The versions of artifacts in a workspace, and which of them are needed."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from embedrec.errors import ArtifactError
from embedrec.storage.artifacts import FOLDERS, VERSIONS, Artifact
from embedrec.storage.switch import keep_version
from embedrec.storage.version_records import Record, read_records
from embedrec.storage.version_tags import read_tags
from embedrec.storage.versions import numbers, readable, version_folder
from embedrec.storage.workspace import Workspace

Key = tuple[str, str]  # kind and name of an artifact


@dataclass(frozen=True)
class Version:
    """A version of an artifact.

    version  its number
    created  when the artifact was written, UTC, to the second; "" if it cannot be read
    state    "current", "kept" or "unreadable"
    tags     its names, separated by spaces
    command  that put it in place first, or kept it
    bytes    what its removal frees: files that the current artifact shares are not counted
    """

    version: int
    kind: str
    name: str
    created: str
    state: str
    tags: str
    command: str
    bytes: int


def list_versions(workspace: Workspace, name: str | None = None) -> list[Version]:
    """The versions of the artifacts of a workspace, or of those of a name, the newest first.

    Raises ArtifactError if there are none of that name, and for damaged records.
    """
    root = workspace.root
    current = {key: artifact.digest for key, artifact in current_artifacts(workspace).items()}
    records, tags = read_records(root), read_tags(root)
    versions = []
    for number, kind, folder in version_folders(root):
        if name in (None, folder.name):
            artifact = readable(folder, kind)
            state = "kept" if artifact is not None else "unreadable"
            if artifact is not None and current.get((kind, folder.name)) == artifact.digest:
                state = "current"
            own = [
                tag
                for tag, of in tags.items()
                if (kind, folder.name, number) in [(t.kind, t.name, t.version) for t in of]
            ]
            created = "" if artifact is None else artifact.created[:19]
            command = _command(records, kind, folder.name, number)
            version = Version(number, kind, folder.name, created, state, " ".join(own), command, freed_bytes(folder))
            versions.append(version)
    if name is not None and not versions:
        raise ArtifactError(f"no version of {name!r} is kept in {root}; `embedrec info --versions` lists all")
    return versions


def version_folders(root: Path) -> Iterator[tuple[int, str, Path]]:
    """Number, kind and folder of every version of a workspace, the newest first."""
    for number in numbers(root):
        for kind in FOLDERS:
            holder = root / VERSIONS / str(number) / FOLDERS[kind]
            for folder in sorted(holder.glob("[!.]*")):
                if folder.is_dir():
                    yield number, kind, folder


def current_artifacts(workspace: Workspace) -> dict[Key, Artifact]:
    """The readable artifacts of a workspace by kind and name."""
    return {(kind, artifact.name): artifact for kind in FOLDERS for artifact in workspace.artifacts(kind)}


def keep_source(workspace: Workspace, artifact: Artifact, *, command: str) -> int | None:
    """Keep an artifact that is about to be replaced as a version, if others of the workspace were made from it.

    Returns the number of the version, None for none. Raises ArtifactError as `switch.keep_version` does.
    """
    key = artifact.kind, artifact.fingerprint
    users = (
        a for a in current_artifacts(workspace).values() for kind, _, print_ in sources_of(a) if (kind, print_) == key
    )
    return keep_version(workspace, artifact, command=command) if any(True for _ in users) else None


def freed_bytes(folder: Path) -> int:
    """The bytes that the removal of a folder frees: files with other hard links remain."""
    files = [file.lstat() for file in folder.rglob("*")]
    return sum(info.st_size for info in files if stat.S_ISREG(info.st_mode) and info.st_nlink == 1)


def sources_of(artifact: Artifact) -> Iterator[tuple[str, str, str]]:
    """Kind, name and fingerprint of what an artifact derives from, or has as a part, according to its manifest."""
    about = artifact.about
    entries = [("sessions", about.get("trained_on")), ("model", about.get("indexed")), ("sessions", about.get("of"))]
    entries += [("model", part) for part in about.get("parts", {}).values()]
    for kind, entry in entries:
        if isinstance(entry, dict) and {"name", "fingerprint"} <= entry.keys():
            yield kind, entry["name"], entry["fingerprint"]


def recorded_version(root: Path, kind: str, name: str, number: int) -> Artifact:
    """A version of an artifact. Raises ArtifactError if it is no longer kept."""
    artifact = readable(version_folder(root, number, kind, name), kind)
    if artifact is None:
        raise ArtifactError(
            f"version {number} of {kind} {name} is no longer kept in {root}; `embedrec info --versions` lists what is"
        )
    return artifact


def _command(records: list[Record], kind: str, name: str, number: int) -> str:
    """The command that put a version in place first, or kept it."""
    for record in records:
        for change in record.changes:
            contents = [content.version for content in (change.put, change.replaced) if content is not None]
            if (change.kind, change.name) == (kind, name) and number in contents:
                return record.command if change.put is not None and change.put.version == number else ""
    return ""
