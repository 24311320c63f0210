"""Remove, rename and tag artifacts."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from embedrec.errors import SettingsError
from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import FOLDERS, VERSIONS, Artifact
from embedrec.storage.switch import keep_version, versions_locked
from embedrec.storage.version_records import Change, Record, record_path, write_record
from embedrec.storage.version_tags import Tagged, check_tag, read_tags, write_tags
from embedrec.storage.versions import is_number, readable, version_folder
from embedrec.storage.workspace import Workspace
from embedrec.workflows.gc import remove_versions
from embedrec.workflows.info import artifacts_named
from embedrec.workflows.versions import current_artifacts, freed_bytes, sources_of, version_folders

E = TypeVar("E", Change, Tagged)


@dataclass(frozen=True)
class Removed:
    """A removed artifact.

    version  the number of a version; None for the current artifact
    bytes    that this frees
    """

    kind: str
    name: str
    version: int | None
    bytes: int


def remove_artifacts(
    workspace: Workspace, names: Sequence[str], kind: str | None = None, *, force: bool = False
) -> list[Removed]:
    """Remove the artifacts of some names with all their versions, or versions given as NAME@VERSION or NAME@TAG.

    kind   of the artifacts; None for all of a name
    force  also those that others need, and versions with a tag

    Raises SettingsError for such, ArtifactError for a name that no artifact has.
    """
    root = workspace.root
    targets: dict[Path, tuple[str, int | None]] = {}
    for name in names:
        damaged = {(of, f.name): f for of in FOLDERS for f in workspace.unreadable(of) if kind in (None, of)}
        named = [(of, f) for (of, own), f in damaged.items() if own == name]
        if not named:
            named = [(artifact.kind, artifact.folder) for artifact in _named(workspace, name, kind)]
        for of, folder in named:
            targets[folder] = (of, _number(root, folder))
            for version, other, kept in version_folders(root) if targets[folder][1] is None else ():
                if (other, kept.name) == (of, folder.name):
                    targets[kept] = (of, version)
    with versions_locked(root):
        if not force:
            _check_not_needed(workspace, targets)
        removed = [Removed(of, f.name, number, freed_bytes(f)) for f, (of, number) in targets.items()]
        gone = {(one.kind, one.name, one.version) for one in removed}
        tags = read_tags(root)
        left = {tag: [t for t in of if (t.kind, t.name, t.version) not in gone] for tag, of in tags.items()}
        if left != tags:
            write_tags(root, left)
        remove_versions(root, [folder for folder, (_, number) in targets.items() if number is not None])
        for folder, (_, number) in targets.items():
            if number is None:
                _remove_current(folder)
    return removed


def rename_artifacts(workspace: Workspace, old: str, new: str, kind: str | None = None) -> list[Artifact]:
    """Rename the artifacts of a name, their versions and tags. What derives from them finds them by fingerprint.

    kind  of the artifact; None for all of the name

    Raises SettingsError for a version or a name that is taken, ArtifactError for a name that no artifact has. After a
    kill, the same call completes what is left.
    """
    root = workspace.root
    if "@" in old:
        raise SettingsError(f"{old} is a version; rename {old.partition('@')[0]}, and its versions follow")
    kinds = [artifact.kind for artifact in _named(workspace, old, kind)]
    for of in kinds:
        if os.path.lexists(workspace.folder(of, new)):
            raise SettingsError(f"there is a {of} {new} already; remove it first, or choose another name")
    with versions_locked(root) as records:
        for number, of, folder in list(version_folders(root)):
            if of in kinds and folder.name == new and version_folder(root, number, of, old).exists():
                raise SettingsError(f"versions of a former {of} {new} are kept; choose another name")
        for record in records:
            changes = [_renamed(change, kinds, old, new) for change in record.changes]
            if changes != record.changes:
                write_record(
                    record_path(root, record.sequence), Record(record.sequence, record.time, record.command, changes)
                )
        tags = read_tags(root)
        renamed = {tag: [_renamed(tagged, kinds, old, new) for tagged in of] for tag, of in tags.items()}
        if renamed != tags:
            write_tags(root, renamed)
        for _, of, folder in list(version_folders(root)):
            if of in kinds and folder.name == old:
                folder.rename(folder.with_name(new))
        for of in kinds:  # last, so that the old name exists as long as anything is left to do
            workspace.folder(of, old).rename(workspace.folder(of, new))
            atomic.flush(root / FOLDERS[of])
    return [artifacts.read(workspace.folder(of, new), of) for of in kinds]


def tag_artifacts(
    workspace: Workspace, name: str, tag: str, kind: str | None = None, *, delete: bool = False
) -> list[Tagged]:
    """Give the current artifacts of a name, or those of NAME@VERSION, a tag, and keep them as versions.

    kind    of the artifact; None for all of the name
    delete  take the tag away

    Raises SettingsError for a text that cannot be a tag, and for a tag to delete that they do not have; ArtifactError
    for a name that no artifact has.
    """
    check_tag(tag)
    root = workspace.root
    named = _named(workspace, name, kind)
    numbers = [_number(root, artifact.folder) for artifact in named]
    if not delete:
        numbers = [
            keep_version(workspace, artifact, command="artifact tag") if number is None else number
            for artifact, number in zip(named, numbers, strict=True)
        ]
    keys = {(artifact.kind, artifact.name) for artifact in named}
    with versions_locked(root):
        tags = read_tags(root)
        before = [tagged for tagged in tags.get(tag, []) if (tagged.kind, tagged.name) in keys]
        others = [tagged for tagged in tags.get(tag, []) if tagged not in before]
        if delete and not before:
            raise SettingsError(f"{name} has no tag {tag!r}; `embedrec info --versions` lists tags")
        given = [Tagged(a.kind, a.name, number) for a, number in zip(named, numbers, strict=True) if number is not None]
        write_tags(root, {**tags, tag: others if delete else [*others, *given]})
    return before if delete else given


def _named(workspace: Workspace, name: str, kind: str | None) -> list[Artifact]:
    """The artifacts of a name or version, of one kind or of all. Raises ArtifactError if there is none."""
    if kind is not None:
        return [workspace.find(kind, name)]
    return artifacts_named(workspace, name)


def _number(root: Path, folder: Path) -> int | None:
    """The number of a version, by its folder; None for a current artifact."""
    above = folder.parents[1]
    return int(above.name) if above.parent == root / VERSIONS and is_number(above.name) else None


def _remove_current(folder: Path) -> None:
    if folder.is_symlink():
        target = atomic.resolve_links(folder)
        folder.unlink()
        folder = target
    atomic.remove_folder(folder)


def _check_not_needed(workspace: Workspace, targets: dict[Path, tuple[str, int | None]]) -> None:
    """Raises SettingsError if a current artifact that stays needs one that is removed, or if one has a tag."""
    tagged = {(t.kind, t.name, t.version): tag for tag, of in read_tags(workspace.root).items() for t in of}
    current = [a for a in current_artifacts(workspace).values() if a.folder not in targets]
    holders: dict[tuple[str, str], set[Path]] = defaultdict(set)
    for artifact in current:
        holders[artifact.kind, artifact.fingerprint].add(artifact.folder)
    for _, kind, folder in version_folders(workspace.root):
        version = readable(folder, kind)
        if version is not None and folder not in targets:
            holders[kind, version.fingerprint].add(folder)
    for folder, (kind, number) in targets.items():
        removed = readable(folder, kind)
        tag = tagged.get((kind, folder.name, number or 0))
        if tag is not None:
            raise SettingsError(f"version {number} of {kind} {folder.name} has the tag {tag!r}; remove it with --force")
        for artifact in current if removed is not None and not holders[kind, removed.fingerprint] else ():
            if any((of, print_) == (kind, removed.fingerprint) for of, _, print_ in sources_of(artifact) if removed):
                raise SettingsError(
                    f"{artifact.kind} {artifact.name} needs {kind} {folder.name}; remove that first, or both at once, "
                    "or this one with --force"
                )


def _renamed(entry: E, kinds: Sequence[str], old: str, new: str) -> E:
    """A change or tagged version, with the new name if it has the old one."""
    return msgspec.structs.replace(entry, name=new) if entry.kind in kinds and entry.name == old else entry
