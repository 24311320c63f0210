"""The steps [compare] and [[evaluate]]: models on the same test cases, or a grid of a session-kNN model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from embedrec.evaluation import neighbour_grid
from embedrec.experiments import schema
from embedrec.experiments.step import StepContext, existing_files, fingerprints
from embedrec.progress import Report
from embedrec.storage import artifacts
from embedrec.workflows.compare import comparison_record, counts_and_times, default_metrics
from embedrec.workflows.evaluate import describe_task, evaluate_task, load_labels
from embedrec.workflows.evaluated_models import model_to_evaluate, parts_to_keep, search_through_index
from embedrec.workflows.evaluation_options import EvaluationOptions
from embedrec.workflows.neighbour_grid import GridSettings, check_neighbour_grid, evaluate_neighbour_grid
from embedrec.workflows.train import TrainingOptions

COMPARISON = "comparison.json"
# columns of comparisons that earlier versions wrote
_RENAMED = {"behind": "gap_to_best", "behind_low": "gap_to_best_low", "behind_high": "gap_to_best_high"}


@dataclass(frozen=True)
class Comparison:
    """`embedrec compare`, or `embedrec evaluate` of one model. It writes `comparison.json`, see `comparison_record`."""

    id: str
    evaluation: EvaluationOptions
    models: tuple[str, ...]
    metrics: tuple[str, ...]
    sessions: str
    after: tuple[str, ...]

    @property
    def output(self) -> str:
        return self.id.replace(" ", "-")

    def settings(self) -> dict[str, Any]:
        return {"ask": asdict(self.evaluation), "models": self.models, "metrics": self.metrics}

    def files(self) -> dict[str, str]:
        return fingerprints(existing_files({"labels": self.evaluation.labels}))

    def path(self, context: StepContext) -> Path:
        return context.folder / self.output

    def run(self, context: StepContext, report: Report) -> None:
        e = self.evaluation
        task = e.open_task(context.workspace.find("sessions", self.sessions))
        settings = e.settings(task)
        labels = None if e.labels is None else load_labels(task, e.labels)
        columns = self.metrics or default_metrics(settings.at[-1], labelled=labels is not None)
        results = {}
        training = TrainingOptions(seed=e.seed, threads=context.threads, device=context.device)
        keep = parts_to_keep(context.workspace, dict.fromkeys(self.models, training), task)
        training = replace(training, keep=keep)
        for name in self.models:
            model = model_to_evaluate(context.workspace, name, task, training, report=report)
            if e.through is not None:
                model = search_through_index(model, e.through, task, seed=e.seed)
            results[name] = model, evaluate_task(task, model.model, settings, labels=labels, report=report)
            report("judged", model=name, **{metric: results[name][1].metrics[metric] for metric in columns})
        record = comparison_record(results, columns, task.train)
        models = {
            name: {"origin": model.origin, **counts_and_times(model, result)}
            for name, (model, result) in results.items()
        }
        manifest = {**describe_task(task, settings), "models": models}
        with artifacts.writing(self.path(context), "comparison", manifest) as draft:
            draft.path(COMPARISON).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_comparison(artifact: artifacts.Artifact) -> dict[str, Any]:
    """The record of a comparison, see `comparison_record`; old names of columns are replaced."""
    record: dict[str, Any] = artifact.json(COMPARISON)
    rows = [{_RENAMED.get(name, name): value for name, value in row.items()} for row in record["rows"]]
    return {**record, "rows": rows}


@dataclass(frozen=True)
class NeighbourGrid:
    """`embedrec evaluate --grid`: a session-kNN model with every number of neighbours."""

    table: schema.Evaluate
    sessions: str
    after: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"evaluate {self.table.name}"

    @property
    def output(self) -> str:
        return self.id.replace(" ", "-")

    def settings(self) -> dict[str, Any]:
        return asdict(self.table)

    def files(self) -> dict[str, str]:
        return {}

    def path(self, context: StepContext) -> Path:
        return context.folder / self.output

    def run(self, context: StepContext, report: Report) -> None:
        table = self.table
        check_neighbour_grid(context.workspace, table.model, table.protocol)
        options = replace(table, at=table.at or neighbour_grid.LIST_LENGTHS, draws=0)
        task = options.open_task(context.workspace.find("sessions", self.sessions))
        evaluate_neighbour_grid(
            context.workspace,
            table.model,
            task,
            options.settings(task),
            GridSettings(neighbour_grid.check_neighbours(table.neighbours), table.sub_sessions),
            self.path(context),
            TrainingOptions(seed=table.seed, threads=context.threads),
            report=report,
        )


def evaluation_step(table: schema.Evaluate, sessions: str, after: str) -> Comparison | NeighbourGrid:
    """The step of an [[evaluate]]."""
    if table.grid:
        return NeighbourGrid(table, sessions, (after,))
    return Comparison(f"evaluate {table.name}", base_of(table), (table.model,), (), sessions, (after,))


def base_of(table: EvaluationOptions) -> EvaluationOptions:
    """The keys that [[evaluate]] and [compare] share with [ask]."""
    return EvaluationOptions(**{f.name: getattr(table, f.name) for f in fields(EvaluationOptions)})
