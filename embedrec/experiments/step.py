"""The steps of an experiment: their interface, their context, and the digests that identify their outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from embedrec.config import build, check_seed, settings_of
from embedrec.errors import ArtifactError, SettingsError, did_you_mean
from embedrec.index.search_settings import KINDS, SearchSettings
from embedrec.progress import Report
from embedrec.storage import artifacts, atomic
from embedrec.storage.memory_budget import parse_size
from embedrec.storage.workspace import Workspace
from embedrec.tabular.globs import expand_glob, files_below
from embedrec.workflows.evaluation_options import EvaluationOptions

# parts of an artifact's manifest that belong to its identity, beside its files
_MANIFEST_KEYS = {
    "sessions": ("split",),
    "model": ("recipe", "settings"),
    "index": ("spec", "metric", "of", "nprobe", "ef_search", "rerank"),
}
NO_KEY = {"toml": None}  # metadata of a field that is no TOML key
Table = TypeVar("Table", bound="TableStep")


@dataclass(frozen=True)
class StepContext:
    """Where an experiment runs.

    workspace  holds its artifacts
    folder     its own folder, for run records and evaluations
    resumed    whether the step was interrupted before, with the same inputs and settings
    """

    workspace: Workspace
    folder: Path
    threads: int = 1
    device: str = "cpu"
    resumed: bool = False


class Step(Protocol):
    """A step of an experiment: its id, the ids of the steps that it depends on, and the name of its output."""

    @property
    def id(self) -> str: ...

    @property
    def after(self) -> tuple[str, ...]: ...

    @property
    def output(self) -> str: ...

    def settings(self) -> dict[str, Any]:
        """All that the output depends on, except inputs and program version, as JSON values."""
        ...

    def files(self) -> dict[str, str]:
        """Fingerprints of the input files that no step writes, by path."""
        ...

    def path(self, context: StepContext) -> Path:
        """The folder or file that the step writes."""
        ...

    def run(self, context: StepContext, report: Report) -> None:
        """Call the workflow that the step's command calls."""
        ...


@dataclass(frozen=True, kw_only=True)
class Links:
    """What a step takes from other tables of the file.

    sessions    name of the input sessions
    after       ids of the steps that the step depends on
    evaluation  how the models of a grid are evaluated
    """

    sessions: str = ""
    after: tuple[str, ...] = ()
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)


@dataclass(frozen=True, kw_only=True)
class TableStep:
    """Base of steps that are a table of the TOML file: each field is a key, of its name or of its metadata "toml"."""

    kind: ClassVar[str]
    links: Links = field(default=Links(), metadata=NO_KEY)

    @property
    def after(self) -> tuple[str, ...]:
        return self.links.after

    def settings(self) -> dict[str, Any]:
        values = settings_of(self)
        return {key: values[name] for key, name in _fields(type(self)).items()}

    def files(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True, kw_only=True)
class ArtifactStep(TableStep):
    """Base of steps that write an artifact of the workspace; `artifact` is its kind."""

    artifact: ClassVar[str]
    name: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def output(self) -> str:
        return self.name

    def path(self, context: StepContext) -> Path:
        return context.workspace.folder(self.artifact, self.name)


@dataclass(frozen=True, kw_only=True)
class SessionsStep(ArtifactStep):
    """Base of steps that write sessions: an experiment has one of each kind.

    options  the keys of the table that belong to other settings: of a reader, a filter, a split rule
    """

    artifact: ClassVar[str] = "sessions"
    options: Mapping[str, Any] = field(default_factory=dict, metadata=NO_KEY)

    @property
    def id(self) -> str:
        return self.kind


@dataclass(frozen=True, kw_only=True)
class ResourceKeys:
    """The keys of a step that learns: a memory budget such as "2G", and the seed of its randomness."""

    memory: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        memory_bytes(self.memory)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class SearchKeys:
    """The keys of a search of an index, see `SearchSettings`."""

    nprobe: int | None = None
    ef_search: int | None = None
    rerank: int | None = None

    @cached_property
    def search(self) -> SearchSettings:
        return SearchSettings(**{name: getattr(self, name) for name in KINDS})


def memory_bytes(memory: str | None) -> int | None:
    """A memory budget such as "2G" in bytes. Raises SettingsError for a text that is no size."""
    return None if memory is None else parse_size(memory)


def toml_keys(cls: type[TableStep]) -> list[str]:
    return [*_fields(cls)]


def _fields(cls: type[TableStep]) -> dict[str, str]:
    """TOML key → name of the field."""
    keys = {f.name: f.metadata.get("toml", f.name) for f in fields(cls)}
    return {key: name for name, key in keys.items() if key is not None}


def from_table(cls: type[Table], values: Mapping[str, Any], where: str, **other: Any) -> Table:
    """The step of a TOML table.

    where  the table's name, for messages
    other  fields that are no TOML keys

    Raises SettingsError for unknown or missing keys and values of the wrong type.
    """
    check_keys(values, toml_keys(cls), where)
    names = _fields(cls)
    return replace(build(cls, {names[key]: value for key, value in values.items()}, source=where), **other)


def check_keys(keys: Iterable[str], valid: list[str], where: str) -> None:
    """Raises SettingsError for an unknown key, with the nearest valid one."""
    for key in keys:
        if key not in valid:
            hint = did_you_mean(key, valid) or f"; valid are {', '.join(valid)}"
            raise SettingsError(f"unknown setting {key!r} in {where}{hint}")


@dataclass(frozen=True)
class Experiment:
    """Steps in the order in which they run.

    file  the TOML file
    data  files, folders and patterns that the first step reads
    """

    name: str
    title: str
    steps: tuple[Step, ...]
    file: Path
    data: tuple[str, ...]


def identity(path: Path) -> str | None:
    """A digest of a step's output, None if it is missing or incomplete."""
    if path.is_file():
        return atomic.sha256(path)
    try:
        artifact = artifacts.read(path)
        whole = all((path / name).lstat().st_size == entry["bytes"] for name, entry in artifact.files.items())
    except (ArtifactError, OSError):
        return None
    manifest = {key: artifact.about.get(key) for key in _MANIFEST_KEYS.get(artifact.kind, ())}
    return digest({"fingerprint": artifact.fingerprint, **manifest}) if whole else None


def fingerprints(paths: Iterable[str]) -> dict[str, str]:
    """A digest for each file, folder or pattern: of the names, sizes and modification times of its files."""
    return {path: digest(sorted(_stats(Path(path)))) for path in paths}


def _stats(path: Path) -> list[tuple[str, int, int]]:
    if path.is_dir():
        files = files_below(path)
    elif path.is_file():
        files = [path]
    else:
        files = [f for f in expand_glob(str(path)) if f.is_file()]
    stats = ((str(f.relative_to(path.parent) if path.parent in f.parents else f), f.stat()) for f in files)
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def digest(value: Any) -> str:
    """The SHA-256 of JSON values, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def existing_files(settings: Mapping[str, Any]) -> list[str]:
    """The values that name an existing file or folder."""
    return [value for value in settings.values() if isinstance(value, str) and value and Path(value).exists()]
