"""The step [[export]], which writes a file of similar items or vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from embedrec.config import build, settings_of
from embedrec.experiments.step import NO_KEY, SearchKeys, StepContext, TableStep
from embedrec.export.file_format import layout_of
from embedrec.export.policies.settings import Policies
from embedrec.export.write_lists import ExportSettings, export_lists
from embedrec.progress import Report


@dataclass(frozen=True, kw_only=True)
class Export(TableStep, SearchKeys):
    """[[export]], `embedrec export`: similar items, or item vectors, in one file. Also the keys of `Policies`.

    file    path, relative to the workspace
    model   or index: the source, a model or an index of this experiment
    n       neighbours an item
    format  "text", "tsv", "jsonl" …; by default as the file's name implies
    """

    kind: ClassVar[str] = "export"
    file: str
    model: str | None = None
    index: str | None = None
    n: int = 20
    format: str | None = None
    prefix: str = "similar:"
    popularity: float | None = None
    whitespace: Literal["refuse", "encode"] = "refuse"
    candidates: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict, metadata=NO_KEY)

    @property
    def id(self) -> str:
        return f"{self.kind} {self.file}"

    @property
    def output(self) -> str:
        return self.file

    @cached_property
    def policies(self) -> Policies:
        policies: Policies = build(Policies, self.options, source="[[export]]")
        return policies

    @cached_property
    def lists(self) -> ExportSettings:
        layout = layout_of(self.file, self.format, whitespace=self.whitespace, prefix=self.prefix)
        return ExportSettings(self.n, self.policies, self.candidates, layout)

    def settings(self) -> dict[str, Any]:
        return super().settings() | settings_of(self.policies) | {"caps": self.policies.caps or {}}

    def path(self, context: StepContext) -> Path:
        return context.workspace.root / self.file

    def run(self, context: StepContext, report: Report) -> None:
        from embedrec.vectors.file_formats import save_vectors
        from embedrec.workflows.export import ExportSource, open_export_source

        path, layout = self.path(context), self.lists.layout
        source = ExportSource("items", self.model, self.index, self.search, self.popularity, threads=context.threads)
        items = open_export_source(context.workspace, source)
        if not layout.holds_lists:
            save_vectors(items.vectors(), path, layout.vector_format, whitespace=self.whitespace, report=report)
            return
        export_lists(
            path,
            items.lists,
            self.lists,
            items.inputs,
            items.about,
            resume=context.resumed,
            threads=context.threads,
            report=report,
        )
