"""A session kNN asked with every number of neighbours: train it, judge the grid, write table and plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embedrec.config import settings_of
from embedrec.errors import SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.evaluation.grid_artifact import discard, save_grid
from embedrec.evaluation.neighbour_grid import Grid, evaluate_grid
from embedrec.evaluation.plots import check_plots
from embedrec.progress import Report, quiet
from embedrec.splitting.subsessions import sub_sessions
from embedrec.storage.workspace import Workspace
from embedrec.workflows.contenders import check_names, check_session_knn, evaluated_model
from embedrec.workflows.evaluate import EvaluationTask, about
from embedrec.workflows.train import DEFAULTS, TrainingOptions

_PARTS = ".parts"  # in the folder of grids


def check_sweep(workspace: Workspace, name: str, protocol: str | None) -> None:
    """Raises SettingsError where a grid cannot be made of that model, these questions, or without matplotlib."""
    if protocol == "similar":
        raise SettingsError("a grid asks what comes next, not what is similar; choose another --protocol")
    check_plots()
    check_names(workspace, [name])
    check_session_knn(workspace, name)


@dataclass(frozen=True)
class GridSettings:
    """The rows of a grid.

    sizes     numbers of neighbours, ascending
    expanded  whether the model is trained on all sub-sessions, or on sessions as they are
    """

    sizes: Sequence[int]
    expanded: bool = True


def evaluate_neighbour_grid(
    workspace: Workspace,
    name: str,
    trial: EvaluationTask,
    terms: EvaluationSettings,
    settings: GridSettings,
    folder: Path,
    options: TrainingOptions = DEFAULTS,
    *,
    report: Report = quiet,
) -> tuple[Grid, dict[str, Any]]:
    """Evaluate a session kNN with several numbers of neighbours; write and return the grid, and its description.

    name    of a trained model or a recipe; it is trained now, on the training part
    report  also "expanded" (sessions, rows, events), "model" (origin), and "resumed" (done, total)

    Finished parts are kept in `grids/.parts` of the workspace until the grid is written.
    """
    sizes, expanded = settings.sizes, settings.expanded
    rows = sub_sessions(trial.train) if expanded else trial.train
    if expanded:
        report("expanded", sessions=len(trial.train), rows=len(rows), events=len(rows.items))
    trained = evaluated_model(
        workspace,
        name,
        replace(trial, train=rows, whole=False),
        replace(options, pairs=[*options.pairs, f"neighbours={sizes[-1]}"]),
        report=report,
    )
    report("model", origin=trained.origin)
    parts = workspace.inside(workspace.root / "grids" / _PARTS)
    grid = evaluate_grid(trained.model, trial.questions, rows, terms, sizes, parts=parts, report=report)
    description = {
        "model": name,
        "origin": trained.origin,
        **about(trial, terms),
        "sub_sessions": expanded,
        "rows": len(rows),
        "questions": grid.questions,
        "seconds": round(grid.seconds, 3),
    }
    how = {"settings": settings_of(trained.model.recipe), "seed": options.seed, "neighbours": sizes, "at": terms.at}
    save_grid(grid, folder, description | how, title=f"{name} on {trial.source.name}: {grid.questions:,} questions")
    discard(grid, parts)
    return grid, description
