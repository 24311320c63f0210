"""The step [[table]]: metrics in the layout of an article's table, beside the article's values."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.statistics import describe
from embedrec.errors import SettingsError, did_you_mean
from embedrec.experiments.evaluation_steps import COMPARISON, Comparison, NeighbourGrid
from embedrec.experiments.schema import Row, Table
from embedrec.experiments.step import StepContext
from embedrec.progress import Report
from embedrec.splitting.holdout import HeldOut, describe_held_out
from embedrec.storage import artifacts

TABLES = "tables.json"
_NONE = "–"


@dataclass(frozen=True)
class ResultTables:
    """All [[table]]s. The artifact holds `tables.json` (title, note, rows of texts) and `tables.md`.

    prepared, sessions  names of the sessions before and after the split
    sessions_step       id of the step that writes the latter
    evaluations         name of an evaluation, "" for [compare] → its step
    """

    tables: tuple[Table, ...]
    prepared: str
    sessions: str
    sessions_step: str
    evaluations: tuple[tuple[str, Comparison | NeighbourGrid], ...]
    id: str = "tables"
    output: str = "tables"

    @property
    def after(self) -> tuple[str, ...]:
        used = {table.of for table in self.tables if not all(row.fact for row in table.rows) or not table.rows}
        return (self.sessions_step, *(step.id for name, step in self.evaluations if name in used))

    def settings(self) -> dict[str, Any]:
        return {"tables": [asdict(table) for table in self.tables]}

    def files(self) -> dict[str, str]:
        return {}

    def path(self, context: StepContext) -> Path:
        return context.folder / self.output

    def run(self, context: StepContext, report: Report) -> None:
        facts: dict[str, str] = {}
        if any(row.fact for table in self.tables for row in table.rows):
            facts = session_facts(context, self.prepared, self.sessions)
        steps = dict(self.evaluations)
        tables = [
            {"title": table.title, "note": table.note, "rows": list(_rows(table, steps.get(table.of), context, facts))}
            for table in self.tables
        ]
        with artifacts.writing(self.path(context), "tables", {"tables": len(tables)}) as draft:
            draft.path(TABLES).write_text(json.dumps(tables, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            draft.path("tables.md").write_text("\n".join(map(markdown, tables)), encoding="utf-8")


def _rows(
    table: Table, step: Comparison | NeighbourGrid | None, context: StepContext, facts: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """The rows as texts; all have the same headers."""
    if isinstance(step, NeighbourGrid) and not table.rows:
        yield from _grid(table, step.path(context))
        return
    metrics: dict[str, dict[str, float | None]] = {}
    if isinstance(step, Comparison):
        metrics = artifacts.read(step.path(context), "comparison").json(COMPARISON)["metrics"]
    has_article = any(row.article for row in table.rows)
    for row in table.rows:
        cells = list(_cells(row, table, metrics, facts))
        article = [*row.article, *[_NONE] * len(cells)]
        line = {"": row.label}
        for column, (header, cell) in enumerate(cells):
            line[header] = cell
            if has_article:
                line[f"{header}, article" if header else "article"] = article[column]
        yield line


def _cells(
    row: Row, table: Table, metrics: Mapping[str, Mapping[str, float | None]], facts: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    if row.fact is not None:
        if row.fact not in facts:
            hint = did_you_mean(row.fact, facts) or f"; valid are {', '.join(facts)}"
            raise SettingsError(f"no fact of the sessions is called {row.fact!r}{hint}")
        yield (table.columns[0] if table.columns else "here", facts[row.fact])
    elif row.models:
        for header, model in zip(table.columns, row.models, strict=True):
            yield header, "/".join(_value(metrics, model, metric, table.digits) for metric in table.metrics)
    else:
        for header in table.columns:
            yield header, _NONE if row.model is None else _value(metrics, row.model, header, table.digits)


def _value(metrics: Mapping[str, Mapping[str, float | None]], model: str, metric: str, digits: int) -> str:
    value = metrics[model][metric]
    return _NONE if value is None else f"{value:.{digits}f}"


def _grid(table: Table, path: Path) -> Iterator[dict[str, str]]:
    """A row a number of neighbours, a column a list length: hit rate and MRR."""
    with artifacts.read(path, "grid").path("grid.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    for count in dict.fromkeys(cell["neighbours"] for cell in cells):
        line = {"": f"{count} neighbours"}
        for cell in cells:
            if cell["neighbours"] == count:
                values = (float(cell[name]) for name in ("hit_rate", "mrr"))
                line[f"@{cell['k']}"] = "/".join(f"{value:.{table.digits}f}" for value in values)
        yield line


def session_facts(context: StepContext, prepared: str, sessions: str) -> dict[str, str]:
    """Statistics, as texts, of the sessions before the split, and (train., test.) of their parts."""
    whole = Sessions.load(context.workspace.find("sessions", prepared))
    facts = asdict(describe(whole))
    facts |= {f"lengths.{name}": value for name, value in facts.pop("lengths").items()}
    facts.pop("histogram")
    source = context.workspace.find("sessions", sessions)
    train, test = Sessions.load(source), HeldOut.load(source)
    facts |= {"train.sessions": len(train), "train.items": len(train.vocab), "train.events": len(train.items)}
    if test is not None:
        counts = describe_held_out(test)
        facts |= {"test.sessions": counts.sessions, "test.asked": counts.events - counts.given}
    return {name: _text(name, value) for name, value in facts.items()}


def _text(name: str, value: Any) -> str:
    if value is None:
        return _NONE
    if name in ("first", "last"):
        return f"{np.datetime64(value, 'ms').astype('datetime64[s]')}Z".replace("T", " ")
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def markdown(table: Mapping[str, Any]) -> str:
    """A table as Markdown, below its title."""
    lines = [f"## {table['title']}", ""]
    rows = table["rows"]
    if rows:
        headers = list(rows[0])
        lines += ["| " + " | ".join(headers) + " |", "|" + " --- |" + " ---: |" * (len(headers) - 1)]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row.values()) + " |" for row in rows]
    if table["note"]:
        lines += ["", table["note"]]
    return "\n".join(lines) + "\n"
