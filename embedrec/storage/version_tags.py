"""Tags: names that the user gives to versions of artifacts, in WORKSPACE/versions/tags.json.

NAME@LABEL, where LABEL is a tag or the number of a version, names a version wherever the name of an artifact is taken.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from embedrec.errors import ArtifactError, SettingsError, did_you_mean
from embedrec.storage import artifacts
from embedrec.storage.artifacts import VERSIONS, Artifact
from embedrec.storage.version_records import Number, read_checked, write_checked
from embedrec.storage.versions import is_number, kept_versions, version_folder


class Tagged(msgspec.Struct, frozen=True):
    """A version of an artifact that has a tag."""

    kind: str
    name: str
    version: Number


class Tags(msgspec.Struct, frozen=True):
    """The tags of a workspace: tag → the versions that have it, at most one of each kind and name."""

    tags: dict[str, list[Tagged]]


def read_tags(root: Path) -> dict[str, list[Tagged]]:
    """The tags of a workspace. Raises ArtifactError if their file is damaged."""
    try:
        return read_checked(_path(root), Tags, _names, "remove it and tag the versions again").tags
    except FileNotFoundError:
        return {}


def write_tags(root: Path, tags: dict[str, list[Tagged]]) -> None:
    """Replace the tags of a workspace; the caller has the lock of its versions."""
    write_checked(_path(root), msgspec.to_builtins(Tags({tag: tagged for tag, tagged in tags.items() if tagged})))


def check_tag(tag: str) -> None:
    """Raises SettingsError for a text that cannot be a tag."""
    if not artifacts.plain_name(tag) or is_number(tag):
        raise SettingsError(f"{tag!r} cannot be a tag; use letters, digits, '.', '_' and '-', and not digits alone")


def find_version(root: Path, kind: str, name: str, label: str) -> Artifact:
    """The version of an artifact with a number or a tag. Raises ArtifactError if there is none that can be read."""
    tags = read_tags(root)
    number = int(label) if is_number(label) else None
    for tagged in tags.get(label, []):
        if (tagged.kind, tagged.name) == (kind, name):
            number = tagged.version
    if number is None or not version_folder(root, number, kind, name).is_dir():
        own = [tag for tag, entries in tags.items() for e in entries if (e.kind, e.name) == (kind, name)]
        known = [*own, *(str(version) for version, _ in kept_versions(root, kind, name))]
        hint = did_you_mean(label, known) or (f"; kept are {', '.join(known)}" if known else "; none is kept")
        raise ArtifactError(f"no version {label!r} of {kind} {name} is kept in {root}{hint}")
    return artifacts.read(version_folder(root, number, kind, name), kind)


def _path(root: Path) -> Path:
    return root / VERSIONS / "tags.json"


def _names(tags: Tags) -> list[tuple[str, str]]:
    unsafe = next((tag for tag in tags.tags if not artifacts.plain_name(tag) or is_number(tag)), None)
    if unsafe is not None:
        raise ValueError(f"{unsafe!r} is no tag")
    return [(tagged.kind, tagged.name) for entries in tags.tags.values() for tagged in entries]
