"""Steps that judge: one model or several on the same questions, or a grid of a session kNN."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from embedrec.evaluation import neighbour_grid
from embedrec.experiments import schema
from embedrec.experiments.grid_search import AT
from embedrec.experiments.step import Following, StepContext, files_among, fingerprints
from embedrec.progress import Report
from embedrec.storage import artifacts
from embedrec.workflows.compare import recorded, spent, terms_of, usual_columns
from embedrec.workflows.contenders import evaluated_model, searching
from embedrec.workflows.evaluate import EvaluationTask, about, ask, labels_of, open_trial
from embedrec.workflows.neighbour_grid import check_sweep, sweep

COMPARISON = "comparison.json"


def evaluation(table: schema.Evaluate, sessions: str, before: str) -> Judge | Sweep:
    """The step of an [[evaluate]]."""
    asked = schema.Ask(**{f.name: getattr(table, f.name) for f in fields(schema.Ask)})
    if table.grid:
        return Sweep(table, asked, sessions, before)
    return Judge(f"evaluate {table.name}", asked, (table.model,), (), sessions, (before,))


@dataclass(frozen=True)
class Judge:
    """`embedrec compare`, or `embedrec evaluate` of one model; the artifact holds `comparison.json`, see `recorded`."""

    name: str
    asked: schema.Ask
    models: tuple[str, ...]
    metrics: tuple[str, ...]
    sessions: str
    after: tuple[str, ...]

    @property
    def made(self) -> str:
        return self.name.replace(" ", "-")

    def settings(self) -> dict[str, Any]:
        return {"ask": asdict(self.asked), "models": self.models, "metrics": self.metrics}

    def files(self) -> dict[str, str]:
        return fingerprints(files_among({"labels": self.asked.labels}))

    def place(self, where: StepContext) -> Path:
        return where.folder / self.made

    def work(self, where: StepContext, report: Report) -> None:
        trial, asked = opened(self.asked, self.sessions, where), self.asked
        at = asked.at or AT
        terms = terms_of(trial, at, asked.ties, asked.seen, asked.unknown, asked.draws, asked.seed)
        labels = None if asked.labels is None else labels_of(trial, asked.labels)
        shown = self.metrics or usual_columns(at[-1], labelled=labels is not None)
        done = {}
        for name in self.models:
            model = evaluated_model(
                where.workspace,
                name,
                trial,
                seed=asked.seed,
                threads=where.threads,
                device=where.device,
                report=report,
            )
            if asked.through is not None:
                model = searching(model, asked.through, trial, seed=asked.seed)
            done[name] = model, ask(trial, model.model, terms, labels=labels, report=report)
            report("judged", model=name, **{metric: done[name][1].metrics[metric] for metric in shown})
        said = recorded(done, shown, trial.train)
        facts = {name: {"origin": one[0].origin, **spent(*one)} for name, one in done.items()}
        with artifacts.writing(self.place(where), "comparison", {**about(trial, terms), "models": facts}) as draft:
            draft.path(COMPARISON).write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Sweep(Following):
    """`embedrec evaluate --grid`: a session kNN with every number of neighbours."""

    table: schema.Evaluate
    asked: schema.Ask
    sessions: str
    before: str

    @property
    def name(self) -> str:
        return f"evaluate {self.table.name}"

    @property
    def made(self) -> str:
        return self.name.replace(" ", "-")

    def place(self, where: StepContext) -> Path:
        return where.folder / self.made

    def work(self, where: StepContext, report: Report) -> None:
        check_sweep(where.workspace, self.table.model, self.asked.protocol)
        trial, asked = opened(self.asked, self.sessions, where), self.asked
        terms = terms_of(trial, asked.at or neighbour_grid.AT, asked.ties, asked.seen, asked.unknown, 0, asked.seed)
        sweep(
            where.workspace,
            self.table.model,
            trial,
            terms,
            neighbour_grid.check_neighbours(self.table.neighbours),
            self.place(where),
            expanded=self.table.sub_sessions,
            seed=asked.seed,
            threads=where.threads,
            report=report,
        )


def opened(asked: schema.Ask, sessions: str, where: StepContext) -> EvaluationTask:
    """The trial that is asked for."""
    return open_trial(
        where.workspace.find("sessions", sessions),
        split=asked.split,
        valid=asked.valid,
        protocol=asked.protocol,
        given=asked.given,
        seed=asked.seed,
    )
