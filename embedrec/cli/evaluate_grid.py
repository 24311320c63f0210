"""`embedrec evaluate --grid`: every number of neighbours at every list length, in one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from embedrec.cli.shared.evaluation_options import open_task
from embedrec.cli.shared.options import combine_options, emit, note
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.workflows.evaluation_options import EvaluationOptions
    from embedrec.workflows.neighbour_grid import GridSettings
    from embedrec.workflows.train import TrainingOptions

F = TypeVar("F", bound=Callable[..., Any])


def grid_options(command: F) -> F:
    """`--grid` and the options that need it, see GRID_ONLY."""
    options = [
        click.option(
            "--grid",
            is_flag=True,
            help="For session kNN: hit rate and MRR for every number of --neighbours at every list length of --at "
            "[default: 10,20,30,40,50], as a table and a plot.",
        ),
        click.option(
            "--neighbours",
            default="10,25,50,75,100,125,150",
            show_default=True,
            metavar="N,…",
            help="For --grid: numbers of neighbours.",
        ),
        click.option(
            "--sub-sessions/--whole-sessions",
            "expanded",
            default=True,
            show_default=True,
            help="For --grid: train on all prefixes of two or more items of every session, or on whole sessions.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="For --grid: folder for the table and the plot [default: grids/SESSIONS-MODEL in the workspace].",
        ),
    ]
    return combine_options(options)(command)


GRID_ONLY = ("neighbours", "expanded", "out")
NOT_FOR_GRIDS = ("save_run", "by", "labels", "through", "draws", "device", "engine")


def evaluate_grid(
    workspace: Workspace,
    name: str,
    sessions: str | None,
    options: EvaluationOptions,
    training: TrainingOptions,
    grid_settings: GridSettings,
    out: Path | None,
    as_json: bool,
) -> None:
    """Train the model, evaluate it with every number of neighbours, and write the table to `out`."""
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.evaluation.neighbour_grid import LIST_LENGTHS
    from embedrec.storage.artifacts import check_place
    from embedrec.workflows.neighbour_grid import check_neighbour_grid, evaluate_neighbour_grid

    if any(pair.partition("=")[0].strip() == "neighbours" for pair in training.pairs):
        raise click.UsageError("--grid takes the numbers of neighbours from --neighbours; leave out --set neighbours")
    if options.protocol == "similar":
        raise click.UsageError("--grid evaluates next items; leave out --protocol similar")
    check_neighbour_grid(workspace, name, options.protocol)
    source = workspace.find("sessions", sessions)
    folder = out or workspace.inside(workspace.root / "grids" / f"{source.name}-{name}")
    check_place(folder)
    options = replace(options, at=options.at or LIST_LENGTHS, draws=0)
    task, settings = open_task(workspace, source.name, options)
    with Progress(f"grid {name}") as progress:

        def report(event: str, **numbers: Any) -> None:
            if event in _NOTES:
                note(_NOTES[event].format(name=name, **numbers))
            else:
                progress(event, **numbers)

        grid, description = evaluate_neighbour_grid(
            workspace,
            name,
            task,
            settings,
            grid_settings,
            folder,
            replace(training, device="cpu"),
            report=report,
        )
    note(f"wrote grid {folder.name} ({folder}): grid.csv, grid.svg")
    emit([{**row, **description} for row in grid.rows()] if as_json else grid.rows(), as_json)


_NOTES = {
    "expanded": "sub-sessions: {sessions:,} training sessions became {rows:,} rows of {events:,} events",
    "model": "model {name}: {origin}",
    "resumed": "resumed: {done:,} of {total:,} test cases were evaluated before",
}
