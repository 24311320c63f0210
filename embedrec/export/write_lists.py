"""An export: compute and store the lists, apply policies, write the files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Protocol

import numpy as np

from embedrec.data.result_lists import LazyLists, ResultLists, map_in_order
from embedrec.data.topk import TopK
from embedrec.errors import ArtifactError, SettingsError
from embedrec.export.file_format import Layout
from embedrec.export.files import check_folder, fingerprint, write_file, write_shard, write_shards, write_stream
from embedrec.export.list_statistics import PolicyEffect, measure_effect
from embedrec.export.policies.base import PolicyInputs
from embedrec.export.policies.chain import build_chain
from embedrec.export.policies.settings import Policies
from embedrec.export.resume import ResumableExport, StoredLists, open_export
from embedrec.progress import Report, quiet
from embedrec.storage.atomic import resolve_links
from embedrec.vectors.file_formats import words_of
from embedrec.version import __version__

_CANDIDATES = 3  # candidates per result by default


@dataclass(frozen=True)
class ExportSettings:
    """The settings of an export.

    k           results per list
    policies    applied to the lists
    candidates  results from which policies select, default 3·k; unused without policies
    layout      how lists are written

    Raises SettingsError for fewer candidates than results, and for candidates without policies.
    """

    k: int = 20
    policies: Policies = field(default_factory=Policies)
    candidates: int | None = None
    layout: Layout = field(default_factory=Layout)

    def __post_init__(self) -> None:
        if self.candidates is not None and not self.policies.enabled():
            raise SettingsError("candidates need a policy that selects from them; add a policy or leave them out")
        if self.candidates is not None and self.candidates < self.k:
            raise SettingsError(f"candidates must be at least k = {self.k}; it is {self.candidates}")

    @property
    def candidate_count(self) -> int:
        """Results to search per seed."""
        if not self.policies.enabled():
            return self.k
        return max(self.candidates or _CANDIDATES * self.k, self.policies.csls or 0)

    def about(self) -> dict[str, Any]:
        """The settings that determine the lists, as JSON values."""
        return {"asked": self.k, "candidates": self.candidate_count, "policies": self.policies.enabled()}


@dataclass(frozen=True)
class ExportResult:
    """The outcome of an export.

    lists    number of lists written
    resumed  lists that an earlier run completed
    changed  whether lists of an earlier run were deleted because its source or settings differ
    effect   of the policies, None without policies
    """

    lists: int
    resumed: int
    changed: bool
    effect: PolicyEffect | None


class ExportEngine(Protocol):
    """Where the lists of an export are computed and written."""

    @property
    def lists(self) -> ResultLists: ...

    @property
    def settings(self) -> ExportSettings: ...

    def search(self, parts: Iterable[slice], width: int) -> Iterator[TopK]:
        """The lists of slices of the seeds, (b, width) each, in order."""
        ...

    def select(self, parts: Iterable[slice], candidates: StoredLists, k: int) -> Iterator[TopK]:
        """The lists of slices of the seeds after the policies, (b, k) each, in order."""
        ...

    def write(self, target: Path, stored: StoredLists, about: Mapping[str, Any]) -> None:
        """Write the lists to a file or a folder of shards, see `files`; `about` is for the manifest of shards."""
        ...


@dataclass(frozen=True, eq=False)
class LocalEngine:
    """Computes lists in this process; see `export_lists`."""

    lists: ResultLists
    settings: ExportSettings
    inputs: PolicyInputs
    threads: int = 1
    report: Report = quiet

    def search(self, parts: Iterable[slice], width: int) -> Iterator[TopK]:
        """See `ExportEngine`."""
        return (self.lists.block(part, width) for part in parts)

    def select(self, parts: Iterable[slice], candidates: StoredLists, k: int) -> Iterator[TopK]:
        """See `ExportEngine`."""
        chain = build_chain(self.settings.policies, k, candidates, self.inputs)

        def block(part: slice) -> TopK:
            rows, scores = candidates.block(part)
            return chain.apply(np.arange(part.start, part.stop), TopK(rows, scores, self.lists.vocab))

        return map_in_order(block, parts, self.threads)

    def write(self, target: Path, stored: StoredLists, about: Mapping[str, Any]) -> None:
        """See `ExportEngine`."""
        layout, more = self.settings.layout, {"threads": self.threads, "report": self.report}

        def shards(folder: Path, files: Mapping[str, slice]) -> dict[str, dict[str, Any]]:
            return {
                name: write_shard(folder / name, self.lists, stored, layout, part, **more)  # type: ignore[arg-type]
                for name, part in files.items()
            }

        if layout.shards is None:
            write_file(target, self.lists, stored, layout, threads=self.threads, report=self.report)
        else:
            write_shards(target, stored, layout, about, shards)


def export_lists(
    target: Path,
    lists: ResultLists,
    settings: ExportSettings,
    inputs: PolicyInputs,
    about: Mapping[str, Any],
    *,
    resume: bool = False,
    threads: int = 1,
    report: Report = quiet,
) -> ExportResult:
    """Write the lists of all seeds to a file, or to a folder of shards; see `Layout`.

    about   identifies the source of the lists, as JSON values; it is saved in the manifest of shards, and a resumed
            export must have an equal one
    resume  continue an interrupted run

    The bytes depend neither on threads nor on interruptions. Raises DataError for ids that the format does not
    support, and the errors of policies.
    """
    check_export(target, lists, settings.layout)
    if _is_stream(target):
        with target.open("wb") as out:
            return stream_lists(out, lists, settings, inputs, threads=threads, report=report)
    engine = LocalEngine(lists, settings, inputs, threads, report)
    return export_by(engine, target, about, resume=resume, report=report)


def check_export(target: Path, lists: ResultLists, layout: Layout, *, stream: bool = True) -> None:
    """Raises ArtifactError for a target with other content, and DataError for ids that the format does not support.

    stream  whether the target may be a pipe or a device; SettingsError if it may not and is one
    """
    if not stream and _is_stream(target):
        raise SettingsError(f"{target} is no file, but this export is put in place when it is whole; name a file")
    if layout.shards is not None:
        check_folder(target)
    elif target.is_dir():
        raise ArtifactError(f"{target} is a folder, but lists go into one file; name a file, or add --shards")
    if layout.kind == "text":  # reports ids that the format cannot contain before the search
        for vocab in {id(v): v for v in (lists.vocab, lists.seeds)}.values():
            words_of(vocab, layout.whitespace)
    lists.column_names(layout.names)


def export_by(
    engine: ExportEngine, target: Path, about: Mapping[str, Any], *, resume: bool = False, report: Report = quiet
) -> ExportResult:
    """Write the lists of an engine to a file or a folder for which `check_export` passes; see `export_lists`."""
    lists, settings = engine.lists, engine.settings
    about = {**about, **settings.about()}
    target = resolve_links(target) if target.is_symlink() else target
    inputs_hash = fingerprint({**about, "version": __version__, "lists": len(lists)})
    with open_export(target, inputs_hash, resume=resume) as export:
        stored, result = compute_lists(export, lists, settings, engine, report)
        engine.write(target, stored, about if result.effect is None else {**about, "effect": asdict(result.effect)})
    return result


def _is_stream(target: Path) -> bool:
    """Whether a path is a pipe or a device such as /dev/null."""
    return target.exists() and not target.is_file() and not target.is_dir()


def stream_lists(
    out: IO[bytes],
    lists: ResultLists,
    settings: ExportSettings,
    inputs: PolicyInputs,
    *,
    threads: int = 1,
    report: Report = quiet,
) -> ExportResult:
    """Write the lists of all seeds to an open file; without policies, each block as soon as it is computed."""
    if not settings.policies.enabled():
        write_stream(out, lists, LazyLists(lists, settings.k), settings.layout, report=report)
        return ExportResult(len(lists), 0, False, None)
    with TemporaryDirectory(prefix="embedrec-export-") as folder:
        engine = LocalEngine(lists, settings, inputs, threads, report)
        stored, result = compute_lists(ResumableExport(Path(folder)), lists, settings, engine, report)
        write_stream(out, lists, stored, settings.layout, threads=threads, report=report)
    return result


def compute_lists(
    export: ResumableExport, lists: ResultLists, settings: ExportSettings, engine: ExportEngine, report: Report
) -> tuple[StoredLists, ExportResult]:
    """The lists, stored in the work folder, and the outcome."""
    q, k = len(lists), min(settings.k, lists.max_k)
    width = min(settings.candidate_count, lists.max_k)

    def search(parts: Iterable[slice]) -> Iterator[TopK]:
        return engine.search(parts, width)

    if not settings.policies.enabled():
        stored = export.lists("lists", q, k, search, report)
        return stored, ExportResult(q, export.resumed["lists"], export.changed, None)
    candidates = export.lists("candidates", q, width, search, report)

    def select(parts: Iterable[slice]) -> Iterator[TopK]:
        return engine.select(parts, candidates, k)

    stored = export.lists("lists", q, k, select, report)
    effect = measure_effect(candidates, stored, len(lists.vocab))
    return stored, ExportResult(q, export.resumed["candidates"], export.changed, effect)
