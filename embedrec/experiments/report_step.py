"""The step [report], which writes the HTML report of an experiment."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from embedrec.experiments import schema
from embedrec.experiments.evaluation_steps import Comparison, load_comparison
from embedrec.experiments.refresh_step import refresh_records
from embedrec.experiments.result_tables import TABLES
from embedrec.experiments.step import Step, StepContext
from embedrec.progress import Report
from embedrec.storage import artifacts


@dataclass(frozen=True)
class ReportStep:
    """`embedrec report` on the outputs of an experiment.

    models, indexes  names
    comparison       the step [compare], else the last [[evaluate]] without a grid; None without one
    tables           the step of the tables; None without one
    refreshes        names of the [[refresh]] tables, in order
    """

    table: schema.Report
    title: str
    sessions: str
    models: tuple[str, ...]
    indexes: tuple[str, ...]
    comparison: Comparison | None
    tables: Step | None
    refreshes: tuple[str, ...]
    after: tuple[str, ...]
    id: str = "report"

    @property
    def output(self) -> str:
        return self.table.file

    def settings(self) -> dict[str, Any]:
        return {**asdict(self.table), "title": self.title}

    def files(self) -> dict[str, str]:
        return {}

    def path(self, context: StepContext) -> Path:
        return context.workspace.root / self.table.file

    def run(self, context: StepContext, report: Report) -> None:
        from embedrec.html_report.content import ReportSettings, collect_report
        from embedrec.html_report.page import write_page

        comparison, tables = None, []
        if self.comparison is not None:
            artifact = artifacts.read(self.comparison.path(context), "comparison")
            comparison = artifact.about | load_comparison(artifact)
        if self.tables is not None:
            tables = artifacts.read(self.tables.path(context), "tables").json(TABLES)
        table = self.table
        content = collect_report(
            context.workspace,
            self.sessions,
            self.models,
            self.indexes,
            ReportSettings(table.items, table.label, table.map, curves=True, seed=table.seed),
            comparison=comparison,
            tables=tables,
            report=report,
        )
        records = [record for name in self.refreshes[::-1] for record in refresh_records(context, name)]
        content = replace(content, refreshes=records)
        write_page(self.path(context), self.title, content, command="embedrec run")
