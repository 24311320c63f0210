"""What a step of a study is, where it works, and what tells its output from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from embedrec.errors import ArtifactError
from embedrec.progress import Report
from embedrec.readers.tabular.globs import files_below, matching
from embedrec.storage import artifacts, atomic
from embedrec.storage.workspace import Workspace

# what matters of an artifact beside its files
_ABOUT = {
    "sessions": ("split",),
    "model": ("recipe", "settings"),
    "index": ("spec", "metric", "of", "nprobe", "ef_search", "rerank"),
}


@dataclass(frozen=True)
class StepContext:
    """Where a study works.

    workspace  in which its artifacts lie
    folder     its own: what was done, and evaluations
    resumed    whether the step was begun before with the same inputs and settings, and did not end
    """

    workspace: Workspace
    folder: Path
    threads: int = 1
    device: str = "cpu"
    resumed: bool = False


class Step(Protocol):
    """A step: its name, the steps whose output it takes, and the name of what it makes."""

    @property
    def name(self) -> str: ...

    @property
    def after(self) -> tuple[str, ...]: ...

    @property
    def made(self) -> str: ...

    def settings(self) -> dict[str, Any]:
        """All that its output depends on beside its inputs and the program, as JSON values."""
        ...

    def files(self) -> dict[str, str]:
        """Fingerprints of the files that it reads and no step made, by path."""
        ...

    def place(self, where: StepContext) -> Path:
        """The folder or file that it writes."""
        ...

    def work(self, where: StepContext, report: Report) -> None:
        """Do it: the function that its command calls."""
        ...


class Following:
    """What steps have in common that do what one table of a study says, after the step `before`."""

    table: Any
    before: str

    @property
    def after(self) -> tuple[str, ...]:
        return (self.before,)

    @property
    def made(self) -> str:
        return str(self.table.name)

    def settings(self) -> dict[str, Any]:
        return asdict(self.table)

    def files(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class Study:
    """Steps in the order in which they are done.

    file  that it was read from
    data  files, folders and patterns that its first step reads
    """

    name: str
    title: str
    steps: tuple[Step, ...]
    file: Path
    data: tuple[str, ...]


def identity(place: Path) -> str | None:
    """A digest of what a step wrote, None where it is not there or lacks a file."""
    if place.is_file():
        return atomic.sha256(place)
    try:
        artifact = artifacts.read(place)
        whole = all((place / name).lstat().st_size == said["bytes"] for name, said in artifact.files.items())
    except (ArtifactError, OSError):
        return None
    about = {key: artifact.about.get(key) for key in _ABOUT.get(artifact.kind, ())}
    return digest({"fingerprint": artifact.fingerprint, **about}) if whole else None


def fingerprints(paths: Iterable[str]) -> dict[str, str]:
    """What tells the files of these paths, folders and patterns from others: names, sizes and times of change."""
    return {path: digest(sorted(_listed(Path(path)))) for path in paths}


def _listed(path: Path) -> list[tuple[str, int, int]]:
    if path.is_dir():
        found = files_below(path)
    elif path.is_file():
        found = [path]
    else:
        found = [f for f in matching(str(path)) if f.is_file()]
    stats = ((str(f.relative_to(path.parent) if path.parent in f.parents else f), f.stat()) for f in found)
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def digest(value: Any) -> str:
    """The SHA-256 of JSON values, the order of keys left aside."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def files_among(settings: Mapping[str, Any]) -> list[str]:
    """The values that name a file or folder which is there."""
    return [value for value in settings.values() if isinstance(value, str) and value and Path(value).exists()]
