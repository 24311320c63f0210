"""What an HTML report includes: the models and indexes of the same data, and a comparison on the held-out part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.progress import Stage, quiet_stage
from embedrec.storage.artifacts import Artifact
from embedrec.storage.lineage import line_of
from embedrec.storage.workspace import Workspace
from embedrec.workflows.compare import comparison_record, default_metrics
from embedrec.workflows.evaluate import EvaluationTask, describe_task
from embedrec.workflows.evaluation_options import EvaluationOptions, evaluate_model
from embedrec.workflows.train import DEFAULTS, TrainingOptions


def models_of_line(workspace: Workspace, sessions: Artifact) -> tuple[list[Artifact], list[tuple[str, str]]]:
    """The models of the same data as these sessions, or of unknown data; and each other model with its sessions."""
    line = line_of(workspace, sessions)
    included, others = [], []
    for model in workspace.artifacts("model"):
        kind, name = line_of(workspace, model)
        if kind != "sessions" or (kind, name) == line:
            included.append(model)
        else:
            others.append((model.name, name))
    return included, others


def indexes_of(workspace: Workspace, models: Sequence[str]) -> list[str]:
    """The names of the indexes of these models."""
    indexes = workspace.artifacts("index")
    return [index.name for index in indexes if (index.about.get("indexed") or {}).get("name") in models]


def compare_for_report(
    workspace: Workspace,
    names: Sequence[str],
    task: EvaluationTask,
    settings: EvaluationSettings,
    options: EvaluationOptions,
    training: TrainingOptions = DEFAULTS,
    *,
    stage: Stage = quiet_stage,
) -> dict[str, Any]:
    """The task and the `comparison_record` of models, with the default metrics."""
    evaluations = {
        name: evaluate_model(workspace, name, task, settings, options, training, stage=stage) for name in names
    }
    shown = default_metrics(settings.at[-1], labelled=False)
    return {**describe_task(task, settings), **comparison_record(evaluations, shown, task.train)}
