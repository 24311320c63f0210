"""Figures in the shape of an article's table, beside the article's own."""

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
from embedrec.experiments import schema as tables
from embedrec.experiments.evaluation_steps import COMPARISON, Judge, Sweep
from embedrec.experiments.step import StepContext
from embedrec.progress import Report
from embedrec.splitting.holdout import HeldOut, describe_held_out
from embedrec.storage import artifacts

TABLES = "tables.json"
_NONE = "–"


@dataclass(frozen=True)
class Tables:
    """All [[table]]s; the artifact holds `tables.json` (title, note, rows of texts) and `tables.md`.

    prepared, sessions  names of the sessions, whole and split
    judged              name of an evaluation, "" for the comparison → its step
    """

    tables: tuple[tables.Table, ...]
    prepared: str
    sessions: str
    before: str
    judged: tuple[tuple[str, Judge | Sweep], ...]
    name: str = "tables"
    made: str = "tables"

    @property
    def after(self) -> tuple[str, ...]:
        used = {table.of for table in self.tables if not all(row.fact for row in table.rows) or not table.rows}
        return (self.before, *(step.name for name, step in self.judged if name in used))

    def settings(self) -> dict[str, Any]:
        return {"tables": [asdict(table) for table in self.tables]}

    def files(self) -> dict[str, str]:
        return {}

    def place(self, where: StepContext) -> Path:
        return where.folder / self.made

    def work(self, where: StepContext, report: Report) -> None:
        found: dict[str, str] = {}
        if any(row.fact for table in self.tables for row in table.rows):
            found = facts(where, self.prepared, self.sessions)
        judged = dict(self.judged)
        made = [
            {"title": table.title, "note": table.note, "rows": list(_rows(table, judged.get(table.of), where, found))}
            for table in self.tables
        ]
        with artifacts.writing(self.place(where), "tables", {"tables": len(made)}) as draft:
            draft.path(TABLES).write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            draft.path("tables.md").write_text("\n".join(map(markdown, made)), encoding="utf-8")


def _rows(
    table: tables.Table, step: Judge | Sweep | None, where: StepContext, found: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Rows of texts under the same heads."""
    if isinstance(step, Sweep) and not table.rows:
        yield from _grid(table, step.place(where))
        return
    metrics: dict[str, dict[str, float | None]] = {}
    if isinstance(step, Judge):
        metrics = artifacts.read(step.place(where), "comparison").json(COMPARISON)["metrics"]
    printed = any(row.article for row in table.rows)
    for row in table.rows:
        cells = list(_cells(row, table, metrics, found))
        article = [*row.article, *[_NONE] * len(cells)]
        line = {"": row.label}
        for place, (head, cell) in enumerate(cells):
            line[head] = cell
            if printed:
                line[f"{head}, article" if head else "article"] = article[place]
        yield line


def _cells(
    row: tables.Row, table: tables.Table, metrics: Mapping[str, Mapping[str, float | None]], found: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    if row.fact is not None:
        if row.fact not in found:
            hint = did_you_mean(row.fact, found) or f"; there are {', '.join(found)}"
            raise SettingsError(f"no fact of the sessions is called {row.fact!r}{hint}")
        yield (table.columns[0] if table.columns else "here", found[row.fact])
    elif row.models:
        for head, model in zip(table.columns, row.models, strict=True):
            yield head, "/".join(_figure(metrics, model, metric, table.digits) for metric in table.metrics)
    else:
        for head in table.columns:
            yield head, _NONE if row.model is None else _figure(metrics, row.model, head, table.digits)


def _figure(metrics: Mapping[str, Mapping[str, float | None]], model: str, metric: str, digits: int) -> str:
    value = metrics[model][metric]
    return _NONE if value is None else f"{value:.{digits}f}"


def _grid(table: tables.Table, place: Path) -> Iterator[dict[str, str]]:
    """A row a number of neighbours, a column a length of list: hit rate and MRR."""
    with artifacts.read(place, "grid").path("grid.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    for count in dict.fromkeys(cell["neighbours"] for cell in cells):
        line = {"": f"{count} neighbours"}
        for cell in cells:
            if cell["neighbours"] == count:
                figures = (float(cell[name]) for name in ("hit_rate", "mrr"))
                line[f"@{cell['k']}"] = "/".join(f"{value:.{table.digits}f}" for value in figures)
        yield line


def facts(where: StepContext, prepared: str, sessions: str) -> dict[str, str]:
    """What is known of the sessions as they were prepared, and (train., test.) of their parts, as texts."""
    whole = Sessions.load(where.workspace.find("sessions", prepared))
    said = asdict(describe(whole))
    said |= {f"lengths.{name}": value for name, value in said.pop("lengths").items()}
    said.pop("histogram")
    source = where.workspace.find("sessions", sessions)
    train, test = Sessions.load(source), HeldOut.load(source)
    said |= {"train.sessions": len(train), "train.items": len(train.vocab), "train.events": len(train.items)}
    if test is not None:
        counted = describe_held_out(test)
        said |= {"test.sessions": counted.sessions, "test.asked": counted.events - counted.given}
    return {name: _text(name, value) for name, value in said.items()}


def _text(name: str, value: Any) -> str:
    if value is None:
        return _NONE
    if name in ("first", "last"):
        return f"{np.datetime64(value, 'ms').astype('datetime64[s]')}Z".replace("T", " ")
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def markdown(table: Mapping[str, Any]) -> str:
    """A table as Markdown, under its title."""
    lines = [f"## {table['title']}", ""]
    rows = table["rows"]
    if rows:
        heads = list(rows[0])
        lines += ["| " + " | ".join(heads) + " |", "|" + " --- |" + " ---: |" * (len(heads) - 1)]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row.values()) + " |" for row in rows]
    if table["note"]:
        lines += ["", table["note"]]
    return "\n".join(lines) + "\n"
