"""The step that writes a study's page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedrec.experiments import schema as tables
from embedrec.experiments.evaluation_steps import COMPARISON, Judge
from embedrec.experiments.result_tables import TABLES
from embedrec.experiments.step import Step, StepContext
from embedrec.progress import Report
from embedrec.storage import artifacts


@dataclass(frozen=True)
class Reported:
    """`embedrec report` on what a study made.

    models, indexes  names
    comparison       the step [compare], else the first [[evaluate]] of a model; None without one
    tables           the step of the tables; None without one
    """

    table: tables.Report
    title: str
    sessions: str
    models: tuple[str, ...]
    indexes: tuple[str, ...]
    comparison: Judge | None
    tables: Step | None
    after: tuple[str, ...]
    name: str = "report"

    @property
    def made(self) -> str:
        return self.table.file

    def settings(self) -> dict[str, Any]:
        return {**asdict(self.table), "title": self.title}

    def files(self) -> dict[str, str]:
        return {}

    def place(self, where: StepContext) -> Path:
        return where.workspace.root / self.table.file

    def work(self, where: StepContext, report: Report) -> None:
        from embedrec.html_report.content import subject_of
        from embedrec.html_report.page import write_page

        comparison = made = None
        if self.comparison is not None:
            artifact = artifacts.read(self.comparison.place(where), "comparison")
            comparison = artifact.about | artifact.json(COMPARISON)
        if self.tables is not None:
            made = artifacts.read(self.tables.place(where), "tables").json(TABLES)
        subject = subject_of(
            where.workspace,
            self.sessions,
            self.models,
            self.indexes,
            comparison=comparison,
            tables=made or [],
            items=self.table.items,
            label=self.table.label,
            way=self.table.map,
            curves=True,
            seed=self.table.seed,
            report=report,
        )
        write_page(self.place(where), self.title, subject)
