"""A session kNN asked with every number of neighbours: train it, judge the grid, write table and plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
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

_PARTS = ".parts"  # in the folder of grids


def check_sweep(workspace: Workspace, name: str, protocol: str | None) -> None:
    """Raises SettingsError where a grid cannot be made of that model, these questions, or without matplotlib."""
    if protocol == "similar":
        raise SettingsError("a grid asks what comes next, not what is similar; choose another --protocol")
    check_plots()
    check_names(workspace, [name])
    check_session_knn(workspace, name)


def sweep(
    workspace: Workspace,
    name: str,
    trial: EvaluationTask,
    terms: EvaluationSettings,
    sizes: Sequence[int],
    place: Path,
    *,
    expanded: bool = True,
    config: Path | None = None,
    pairs: Iterable[str] = (),
    seed: int = 0,
    threads: int = 1,
    report: Report = quiet,
) -> tuple[Grid, dict[str, Any]]:
    """The grid of a session kNN, written as the artifact `place`, and what is known of it.

    name      of a trained model or a recipe; it is trained now, on the training part
    sizes     numbers of neighbours, ascending
    expanded  whether it is trained on all sub-sessions, or on sessions as they are
    report    also "expanded" (sessions, rows, events), "model" (origin), and "resumed" (done, total)

    Finished parts are kept in `grids/.parts` of the workspace until the table is written.
    """
    rows = sub_sessions(trial.train) if expanded else trial.train
    if expanded:
        report("expanded", sessions=len(trial.train), rows=len(rows), events=len(rows.items))
    asked = evaluated_model(
        workspace,
        name,
        replace(trial, train=rows, whole=False),
        config=config,
        pairs=[*pairs, f"neighbours={sizes[-1]}"],
        seed=seed,
        threads=threads,
        report=report,
    )
    report("model", origin=asked.origin)
    parts = workspace.inside(workspace.root / "grids" / _PARTS)
    grid = evaluate_grid(asked.model, trial.questions, rows, terms, sizes, parts=parts, report=report)
    facts = {
        "model": name,
        "origin": asked.origin,
        **about(trial, terms),
        "sub_sessions": expanded,
        "rows": len(rows),
        "questions": grid.questions,
        "seconds": round(grid.seconds, 3),
    }
    how = {"settings": settings_of(asked.model.recipe), "seed": seed, "neighbours": sizes, "at": terms.at}
    save_grid(grid, place, facts | how, title=f"{name} on {trial.source.name}: {grid.questions:,} questions")
    discard(grid, parts)
    return grid, facts
