"""An export: compute and store the lists, apply policies, write the files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np

from embedrec.data.result_lists import LazyLists, ResultLists, map_in_order
from embedrec.data.topk import TopK
from embedrec.errors import ArtifactError, SettingsError
from embedrec.export.file_format import Layout
from embedrec.export.files import check_folder, fingerprint, write_file, write_shards, write_stream
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
    if settings.layout.shards is not None:
        check_folder(target)
    elif target.is_dir():
        raise ArtifactError(f"{target} is a folder, but lists go into one file; name a file, or add --shards")
    if settings.layout.kind == "text":  # reports ids that the format cannot contain before the search
        for vocab in {id(v): v for v in (lists.vocab, lists.seeds)}.values():
            words_of(vocab, settings.layout.whitespace)
    lists.column_names(settings.layout.names)
    if target.exists() and not target.is_file() and not target.is_dir():  # a pipe, /dev/null
        with target.open("wb") as out:
            return stream_lists(out, lists, settings, inputs, threads=threads, report=report)
    about = {**about, **settings.about()}
    target = resolve_links(target) if target.is_symlink() else target
    inputs_hash = fingerprint({**about, "version": __version__, "lists": len(lists)})
    with open_export(target, inputs_hash, resume=resume) as export:
        stored, result = compute_lists(export, lists, settings, inputs, threads, report)
        if settings.layout.shards is None:
            write_file(target, lists, stored, settings.layout, threads=threads, report=report)
        else:
            manifest = dict(about) if result.effect is None else {**about, "effect": asdict(result.effect)}
            write_shards(target, lists, stored, settings.layout, manifest, threads=threads, report=report)
    return result


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
        stored, result = compute_lists(ResumableExport(Path(folder)), lists, settings, inputs, threads, report)
        write_stream(out, lists, stored, settings.layout, threads=threads, report=report)
    return result


def compute_lists(
    export: ResumableExport,
    lists: ResultLists,
    settings: ExportSettings,
    inputs: PolicyInputs,
    threads: int,
    report: Report,
) -> tuple[StoredLists, ExportResult]:
    """The lists, stored in the work folder, and the outcome."""
    q, k = len(lists), min(settings.k, lists.max_k)
    width = min(settings.candidate_count, lists.max_k)

    def search(parts: Iterable[slice]) -> Iterator[TopK]:
        return (lists.block(part, width) for part in parts)

    if not settings.policies.enabled():
        stored = export.lists("lists", q, k, search, report)
        return stored, ExportResult(q, export.resumed["lists"], export.changed, None)
    candidates = export.lists("candidates", q, width, search, report)
    chain = build_chain(settings.policies, k, candidates, inputs)

    def select(parts: Iterable[slice]) -> Iterator[TopK]:
        def block(part: slice) -> TopK:
            rows, scores = candidates.block(part)
            return chain.apply(np.arange(part.start, part.stop), TopK(rows, scores, lists.vocab))

        return map_in_order(block, parts, threads)

    stored = export.lists("lists", q, k, select, report)
    effect = measure_effect(candidates, stored, len(lists.vocab))
    return stored, ExportResult(q, export.resumed["candidates"], export.changed, effect)
