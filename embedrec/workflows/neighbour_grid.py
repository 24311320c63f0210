"""Train a session-kNN model, evaluate it with every number of neighbours, and write the table and the plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embedrec.config import settings_of
from embedrec.errors import SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.evaluation.grid_artifact import remove_parts, save_grid
from embedrec.evaluation.neighbour_grid import Grid, evaluate_grid
from embedrec.evaluation.plots import check_plots
from embedrec.models import settings_class
from embedrec.progress import Report, quiet
from embedrec.splitting.subsessions import sub_sessions
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluate import EvaluationTask, describe_task
from embedrec.workflows.evaluated_models import check_model_names, check_session_knn, model_to_evaluate
from embedrec.workflows.train import DEFAULTS, TrainingOptions

_PARTS = ".parts"  # in the folder of grids


def check_neighbour_grid(workspace: Workspace, name: str, protocol: str | None) -> None:
    """Raises SettingsError for a model or a protocol that a grid does not support, and without matplotlib."""
    if protocol == "similar":
        raise SettingsError("a grid evaluates next items, not similar ones; choose another --protocol")
    check_plots()
    check_model_names(workspace, [name])
    trained = workspace.named("model", name)
    check_session_knn(name, settings_class(name if trained is None else trained.about["recipe"]))


@dataclass(frozen=True)
class GridSettings:
    """The settings of a grid.

    sizes     numbers of neighbours, ascending
    expanded  whether the model is trained on all sub-sessions instead of whole sessions
    """

    sizes: Sequence[int]
    expanded: bool = True


def evaluate_neighbour_grid(
    workspace: Workspace,
    name: str,
    task: EvaluationTask,
    settings: EvaluationSettings,
    grid_settings: GridSettings,
    folder: Path,
    options: TrainingOptions = DEFAULTS,
    *,
    report: Report = quiet,
) -> tuple[Grid, dict[str, Any]]:
    """Evaluate a session-kNN model with several numbers of neighbours and write the artifact `folder`; returns the grid
    and its description.

    name    of a trained model or a recipe, which is trained on the training part
    report  also "expanded" (sessions, rows, events), "model" (origin), and "resumed" (done, total)

    Finished parts are stored in `grids/.parts` of the workspace until the grid is written.
    """
    sizes, expanded = grid_settings.sizes, grid_settings.expanded
    train = sub_sessions(task.train) if expanded else task.train
    if expanded:
        report("expanded", sessions=len(task.train), rows=len(train), events=len(train.items))
    trained = model_to_evaluate(
        workspace,
        name,
        replace(task, train=train, whole_artifact=False),
        replace(options, pairs=[*options.pairs, f"neighbours={sizes[-1]}"]),
        report=report,
    )
    report("model", origin=trained.origin)
    parts = workspace.inside(workspace.root / "grids" / _PARTS)
    grid = evaluate_grid(trained.model, task.test_cases, train, settings, sizes, parts=parts, report=report)
    description = {
        "model": name,
        "origin": trained.origin,
        **describe_task(task, settings),
        "sub_sessions": expanded,
        "rows": len(train),
        "questions": grid.test_case_count,
        "seconds": round(grid.seconds, 3),
    }
    more = {"settings": settings_of(trained.model.recipe), "seed": options.seed, "neighbours": sizes, "at": settings.at}
    save_grid(
        grid, folder, description | more, title=f"{name} on {task.source.name}: {grid.test_case_count:,} test cases"
    )
    remove_parts(grid, parts)
    return grid, description
