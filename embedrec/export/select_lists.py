"""Lists that an engine computes at the first read and keeps in a temporary folder, such as lists after policies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from embedrec.data.result_lists import ResultLists
from embedrec.data.topk import TopK
from embedrec.export.policies.base import PolicyInputs
from embedrec.export.resume import ResumableExport, StoredLists
from embedrec.export.write_lists import ExportEngine, ExportResult, ExportSettings, LocalEngine, compute_lists
from embedrec.progress import Report, quiet


@dataclass(frozen=True, eq=False)
class SelectedLists:
    """The lists of an engine after its policies.

    folder  of the lists
    stored  whether lists without policies are computed by the engine and stored too; else they are read from the source
    """

    engine: ExportEngine
    folder: Path
    stored: bool
    report: Report

    @property
    def lists(self) -> ResultLists:
        """The lists; the source itself if none are stored."""
        given, settings = self.engine.lists, self.engine.settings
        if not self.stored and not settings.policies.enabled():
            return given
        return ResultLists(given.seeds, given.vocab, self._read, min(settings.k, given.max_k), given.columns)

    @property
    def result(self) -> ExportResult | None:
        """The outcome; None before the lists are read, and if none are stored."""
        computed = self.__dict__.get("_computed")
        return None if computed is None else computed[1]

    @cached_property
    def _computed(self) -> tuple[StoredLists, ExportResult]:
        engine = self.engine
        return compute_lists(ResumableExport(self.folder), engine.lists, engine.settings, engine, self.report)

    def _read(self, rows: np.ndarray, k: int) -> TopK:
        stored = self._computed[0]
        if not len(rows):
            return TopK(np.empty((0, k)), np.empty((0, k)), self.engine.lists.vocab)
        first = int(rows.min())
        results, scores = stored.block(slice(first, int(rows.max()) + 1))
        return TopK(results[rows - first, :k], scores[rows - first, :k], self.engine.lists.vocab)


@contextmanager
def select_lists(
    source: ResultLists, settings: ExportSettings, inputs: PolicyInputs, *, threads: int = 1, report: Report = quiet
) -> Iterator[SelectedLists]:
    """The lists of an export after its policies, for the duration of the block; see `export_lists`."""
    with TemporaryDirectory(prefix="embedrec-lists-") as folder:
        yield SelectedLists(LocalEngine(source, settings, inputs, threads, report), Path(folder), False, report)
