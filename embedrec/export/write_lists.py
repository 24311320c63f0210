"""An export from answers to files: lists are found and kept, policies applied, and the files written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np

from embedrec.data.topk import TopK
from embedrec.errors import ArtifactError, SettingsError
from embedrec.export.file_format import Layout
from embedrec.export.files import check_folder, fingerprint, write_file, write_shards, write_stream
from embedrec.export.list_statistics import Effect, effect
from embedrec.export.policies.chain import Policies, PolicyInputs, chained
from embedrec.export.result_lists import Fresh, ResultLists, in_order
from embedrec.export.resume import KeptLists, ResumableExport, working
from embedrec.progress import Report, quiet
from embedrec.vectors.file_formats import words_of
from embedrec.version import __version__

_MORE = 3  # candidates a result that policies choose from, unless it is said


@dataclass(frozen=True)
class ExportSettings:
    """What is wanted of an export.

    k           results a list
    policies    what is done to lists
    candidates  results that policies choose from; None takes 3·k; without policies there are no more than k
    layout      how lists are written

    Raises SettingsError for fewer candidates than results.
    """

    k: int = 20
    policies: Policies = field(default_factory=Policies)
    candidates: int | None = None
    layout: Layout = field(default_factory=Layout)

    def __post_init__(self) -> None:
        if self.candidates is not None and not self.policies.wanted():
            raise SettingsError("candidates are what policies choose from, but no policy is wanted; leave them out")
        if self.candidates is not None and self.candidates < self.k:
            raise SettingsError(f"candidates must be at least the {self.k} results a list, but are {self.candidates}")

    @property
    def fetched(self) -> int:
        """Results to ask for."""
        return max(self.candidates or _MORE * self.k, self.policies.csls or 0) if self.policies.wanted() else self.k

    def about(self) -> dict[str, Any]:
        """What decides the lists, as JSON values."""
        return {"asked": self.k, "candidates": self.fetched, "policies": self.policies.wanted()}


@dataclass(frozen=True)
class Exported:
    """How an export went.

    lists    written
    resumed  lists that an earlier run had finished
    changed  whether an earlier run's lists were of another source or other settings, and of no use
    effect   what policies did, None where there are none
    """

    lists: int
    resumed: int
    changed: bool
    effect: Effect | None


def export_lists(
    target: Path,
    answers: ResultLists,
    wanted: ExportSettings,
    material: PolicyInputs,
    about: Mapping[str, Any],
    *,
    resume: bool = False,
    threads: int = 1,
    report: Report = quiet,
) -> Exported:
    """Write the lists of all seeds to a file, or to a folder of shards; see `Layout`.

    about    what tells the source of the lists from others, as JSON values: it goes into the manifest of shards, and
             what an earlier run has kept is used only where all of it is equal
    resume   go on where a run that was killed had come to

    The bytes depend neither on threads nor on kills. Raises DataError for ids that the format cannot hold, and errors
    of policies.
    """
    if wanted.layout.shards is not None:
        check_folder(target)
    elif target.is_dir():
        raise ArtifactError(f"{target} is a folder, but lists go into one file; name a file, or add --shards")
    if wanted.layout.kind == "text":  # ids that cannot stand there are told before the search
        for vocab in {id(v): v for v in (answers.vocab, answers.seeds)}.values():
            words_of(vocab, wanted.layout.whitespace)
    answers.columns_with(wanted.layout.names)
    if target.exists() and not target.is_file() and not target.is_dir():  # a pipe, /dev/null
        with target.open("wb") as out:
            return stream_lists(out, answers, wanted, material, threads=threads, report=report)
    about = {**about, **wanted.about()}
    place = target.resolve() if target.is_symlink() else target
    key = fingerprint({**about, "version": __version__, "lists": len(answers)})
    with working(place, key, resume=resume) as work:
        kept, done = _made(work, answers, wanted, material, threads, report)
        if wanted.layout.shards is None:
            write_file(place, answers, kept, wanted.layout, threads=threads, report=report)
        else:
            said = dict(about) if done.effect is None else {**about, "effect": asdict(done.effect)}
            write_shards(place, answers, kept, wanted.layout, said, threads=threads, report=report)
    return done


def stream_lists(
    out: IO[bytes],
    answers: ResultLists,
    wanted: ExportSettings,
    material: PolicyInputs,
    *,
    threads: int = 1,
    report: Report = quiet,
) -> Exported:
    """Write the lists of all seeds to an open file; without policies, each block as soon as it is found."""
    if not wanted.policies.wanted():
        write_stream(out, answers, Fresh(answers, wanted.k), wanted.layout, report=report)
        return Exported(len(answers), 0, False, None)
    with TemporaryDirectory(prefix="embedrec-export-") as folder:
        kept, done = _made(ResumableExport(Path(folder)), answers, wanted, material, threads, report)
        write_stream(out, answers, kept, wanted.layout, threads=threads, report=report)
    return done


def _made(
    work: ResumableExport,
    answers: ResultLists,
    wanted: ExportSettings,
    material: PolicyInputs,
    threads: int,
    report: Report,
) -> tuple[KeptLists, Exported]:
    """The lists, kept in the work folder, and how it went."""
    q, k = len(answers), min(wanted.k, answers.most)
    width = min(wanted.fetched, answers.most)

    def found(parts: Iterable[slice]) -> Iterator[TopK]:
        return (answers.block(here, width) for here in parts)

    if not wanted.policies.wanted():
        kept = work.lists("lists", q, k, found, report)
        return kept, Exported(q, work.resumed["lists"], work.changed, None)
    candidates = work.lists("candidates", q, width, found, report)
    chain = chained(wanted.policies, k, candidates, material)

    def chosen(parts: Iterable[slice]) -> Iterator[TopK]:
        def block(here: slice) -> TopK:
            rows, scores = candidates.block(here)
            return chain.apply(np.arange(here.start, here.stop), TopK(rows, scores, answers.vocab))

        return in_order(block, parts, threads)

    kept = work.lists("lists", q, k, chosen, report)
    did = effect(candidates, kept, len(answers.vocab))
    return kept, Exported(q, work.resumed["candidates"], work.changed, did)
