"""`embedrec evaluate --grid`: all numbers of neighbours and lengths of lists in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from embedrec.cli.shared.evaluation_options import opened, terms_of, whole_numbers
from embedrec.cli.shared.options import emit, note, together
from embedrec.storage.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])


def grid_options(command: F) -> F:
    """A grid, and what is only for one: see GRID_ONLY."""
    options = [
        click.option(
            "--grid",
            is_flag=True,
            help="For session kNN: hit rate and MRR of every number of --neighbours with every length of --at "
            "[default: 10,20,30,40,50], as a table and a plot.",
        ),
        click.option(
            "--neighbours",
            default="10,25,50,75,100,125,150",
            show_default=True,
            metavar="N,…",
            help="For --grid: how many neighbours are listened to.",
        ),
        click.option(
            "--sub-sessions/--whole-sessions",
            "expanded",
            default=True,
            show_default=True,
            help="For --grid: train on all beginnings of two and more items of every session, or on sessions as "
            "they are.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="For --grid: where table and plot go [default: grids/SESSIONS-MODEL in the workspace].",
        ),
    ]
    return together(options)(command)


GRID_ONLY = ("neighbours", "expanded", "out")
NOT_FOR_GRIDS = ("save_run", "by", "labels", "through", "draws", "device")


def evaluate_grid(
    name: str,
    *,
    at: tuple[int, ...] | None,
    as_json: bool,
    workspace: Workspace,
    neighbours: str,
    expanded: bool,
    out: Path | None,
    config: Path | None,
    pairs: Sequence[str],
    sessions: str | None,
    split: str | None,
    valid: bool,
    protocol: str | None,
    given: int | None,
    ties: str,
    seen: str | None,
    unknown: str,
    seed: int,
    threads: int,
) -> None:
    """Train the model, ask it with every number of neighbours, and write the table; `at` is None for the article's."""
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.evaluation.neighbour_grid import AT
    from embedrec.storage.artifacts import check_place
    from embedrec.workflows.neighbour_grid import check_sweep, sweep

    sizes = whole_numbers(neighbours, "numbers of neighbours")
    if any(pair.partition("=")[0].strip() == "neighbours" for pair in pairs):
        raise click.UsageError("a grid has many numbers of neighbours; name them with --neighbours instead of --set")
    if protocol == "similar":
        raise click.UsageError("a grid asks what comes next, not what is similar; choose another --protocol")
    check_sweep(workspace, name, protocol)
    source = workspace.find("sessions", sessions)
    place = out or workspace.inside(workspace.root / "grids" / f"{source.name}-{name}")
    check_place(place)
    trial = opened(workspace, source.name, split, valid, protocol, given, seed)
    terms = terms_of(trial, at or AT, ties, seen, unknown, 0, seed)
    with Progress(f"grid {name}") as progress:

        def report(event: str, **numbers: Any) -> None:
            if event in _TOLD:
                note(_TOLD[event].format(name=name, **numbers))
            else:
                progress(event, **numbers)

        grid, facts = sweep(
            workspace,
            name,
            trial,
            terms,
            sizes,
            place,
            expanded=expanded,
            config=config,
            pairs=pairs,
            seed=seed,
            threads=threads,
            report=report,
        )
    note(f"wrote grid {place.name} ({place}): grid.csv, grid.svg")
    emit([{**row, **facts} for row in grid.rows()] if as_json else grid.rows(), as_json)


_TOLD = {
    "expanded": "sub-sessions: {sessions:,} training sessions became {rows:,} rows of {events:,} events",
    "model": "model {name}: {origin}",
    "resumed": "resumed: {done:,} of {total:,} questions were done before",
}
