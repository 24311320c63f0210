"""Records of switches: which versions of artifacts took the place of which, when, and by which command.

WORKSPACE/versions/records/SEQUENCE.json is the record of a switch, see `switch`; while the switch is going on, its
record is the journal WORKSPACE/versions/switch.json. Reading trusts nothing: the record has a digest, its names are
plain names and its versions are numbers, so that no path leads out of the workspace.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from embedrec.errors import ArtifactError, decoding
from embedrec.storage import artifacts, manifest_schema
from embedrec.storage.artifacts import FOLDERS, JOURNAL, VERSIONS
from embedrec.storage.atomic import atomic_file

FORMAT = 1
RECORDS = "records"
Number = Annotated[int, msgspec.Meta(ge=1, le=10**9)]
T = TypeVar("T")


class Content(msgspec.Struct, frozen=True):
    """What an artifact is at one time.

    version      its number
    digest       of its manifest
    fingerprint  of its files
    created      when it was written
    """

    version: Number
    digest: str
    fingerprint: str
    created: str


class Change(msgspec.Struct, frozen=True):
    """What a switch did to the artifact of a kind and name.

    put       what it is afterwards; None if it is removed
    replaced  what it was before; None if there was none. The same as `put` where a version was only kept
    """

    kind: str
    name: str
    put: Content | None
    replaced: Content | None


class Record(msgspec.Struct, frozen=True):
    """One switch.

    sequence  its place among the switches of the workspace, from 1
    time      UTC, ISO 8601
    command   what made it: "refresh"
    """

    sequence: Number
    time: str
    command: str
    changes: list[Change]


def journal_path(root: Path) -> Path:
    """The path of the record of a switch that is going on, or was interrupted."""
    return root / VERSIONS / JOURNAL


def record_path(root: Path, sequence: int) -> Path:
    """The path of the record of a switch."""
    return root / VERSIONS / RECORDS / f"{sequence:06d}.json"


def write_record(path: Path, record: Record) -> None:
    """Write a record, flushed to disk."""
    write_checked(path, msgspec.to_builtins(record))


def read_record(path: Path) -> Record:
    """The record in a file. Raises ArtifactError if it is damaged, FileNotFoundError if there is none."""
    return read_checked(path, Record, lambda record: [(change.kind, change.name) for change in record.changes], _REMEDY)


def write_checked(path: Path, values: dict[str, Any]) -> None:
    """Write values as a JSON file with a format number and a digest, flushed to disk."""
    content = {"format": FORMAT, **values}
    content["digest"] = artifacts.json_digest(content)
    with atomic_file(path, follow=False) as f:
        json.dump(content, f, indent=2)
        f.write("\n")


def read_checked(path: Path, kind: type[T], names: Callable[[T], Iterable[tuple[str, str]]], remedy: str) -> T:
    """What `write_checked` has written, as an object of a class.

    names  the kinds and names of artifacts that it contains

    Raises ArtifactError if it is damaged or a name is none of an artifact, FileNotFoundError if there is no file.
    """
    with decoding(lambda why: ArtifactError(f"{path} is damaged ({why}); {remedy}"), passing=(FileNotFoundError,)):
        content = manifest_schema.parse(path.read_bytes())
        if not isinstance(content, dict) or content.pop("digest", None) != artifacts.json_digest(content):
            raise ValueError("its digest differs")
        if content.pop("format", None) != FORMAT:
            raise ValueError("another format, of another version of embedrec")
        result = msgspec.convert(content, kind)
        for of, name in names(result):
            if of not in FOLDERS or not artifacts.plain_name(name):
                raise ValueError(f"{of} {name!r} is no artifact")
    return result


_REMEDY = "remove it if `embedrec info` shows the artifacts that you expect"


def read_records(root: Path) -> list[Record]:
    """The records of all switches, oldest first. Raises ArtifactError if one is damaged."""
    folder = root / VERSIONS / RECORDS
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return sorted((read_record(p) for p in paths if not p.name.startswith(".")), key=lambda record: record.sequence)
