"""Lists after policies, computed at the first read and kept in a temporary folder."""

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
from embedrec.export.write_lists import ExportResult, ExportSettings, LocalEngine, compute_lists
from embedrec.progress import Report, quiet


@dataclass(frozen=True, eq=False)
class SelectedLists:
    """The lists of an export after its policies.

    source, settings, inputs, threads  see `export_lists`
    folder                             of the lists
    """

    source: ResultLists
    settings: ExportSettings
    inputs: PolicyInputs
    folder: Path
    threads: int
    report: Report

    @property
    def lists(self) -> ResultLists:
        """The lists; the source itself without policies."""
        given = self.source
        if not self.settings.policies.enabled():
            return given
        return ResultLists(given.seeds, given.vocab, self._read, min(self.settings.k, given.max_k), given.columns)

    @property
    def result(self) -> ExportResult | None:
        """The outcome of the policies; None before the lists are read, and without policies."""
        computed = self.__dict__.get("_computed")
        return None if computed is None else computed[1]

    @cached_property
    def _computed(self) -> tuple[StoredLists, ExportResult]:
        work = ResumableExport(self.folder)
        engine = LocalEngine(self.source, self.settings, self.inputs, self.threads, self.report)
        return compute_lists(work, self.source, self.settings, engine, self.report)

    def _read(self, rows: np.ndarray, k: int) -> TopK:
        stored = self._computed[0]
        if not len(rows):
            return TopK(np.empty((0, k)), np.empty((0, k)), self.source.vocab)
        first = int(rows.min())
        results, scores = stored.block(slice(first, int(rows.max()) + 1))
        return TopK(results[rows - first, :k], scores[rows - first, :k], self.source.vocab)


@contextmanager
def select_lists(
    source: ResultLists, settings: ExportSettings, inputs: PolicyInputs, *, threads: int = 1, report: Report = quiet
) -> Iterator[SelectedLists]:
    """The lists of an export after its policies, for the duration of the block; see `export_lists`."""
    with TemporaryDirectory(prefix="embedrec-lists-") as folder:
        yield SelectedLists(source, settings, inputs, Path(folder), threads, report)
