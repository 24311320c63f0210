"""`embedrec run`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.options import (
    device_option,
    emit,
    json_option,
    log_option,
    note,
    threads_option,
    use_threads,
    workspace_option,
)
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.experiments.step import StepContext, Study
    from embedrec.progress import Report


@click.command(short_help="Carry out a whole study.")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--data", metavar="FOLDER", help="What {data} stands for in the file.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and why, and stop.")
@click.option("--from", "start", metavar="STEP", help="Do this step and all after it, whatever has changed.")
@log_option
@threads_option
@device_option
@json_option
@workspace_option
def run(
    config: Path,
    data: str | None,
    dry_run: bool,
    start: str | None,
    threads: int,
    device: str,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Carry out the study in the TOML file CONFIG: prepare, split, train, index, evaluate, compare, export, report.

    A step whose inputs, settings and program are those of the last run, and whose output is still there, is skipped. A
    run that was killed goes on where it was. Prints the tables of the study, else its comparison, else its steps.

    \b
    embedrec run configs/studies/movielens.toml --data ml-100k/
    embedrec run study.toml --dry-run
    embedrec run study.toml --from compare
    embedrec run study.toml --from "train word2vec"
    """
    from embedrec.cli.shared.json_log import JsonLog, logged
    from embedrec.experiments.parse import read_study
    from embedrec.experiments.runner import carry_out, plan, where

    log: AbstractContextManager[Report] = nullcontext(JsonLog()) if logged() else Told()
    with log as report:
        study = read_study(config, data=data)
        place = where(study, workspace, threads=threads, device=device)
        if dry_run:
            planned = plan(study, place, start=start)
            emit(({"step": p.step, "does": p.does, "why": p.why} for p in planned), as_json)
            return
        use_threads(threads)
        done = carry_out(study, place, start=start, report=report)
    results = list(_results(study, place))
    for title, comment, rows in results:
        if title:
            note(f"{title} ({comment})" if comment else title)
        emit(({"table": title, **row} for row in rows) if title and as_json else rows, as_json, header=True)
    if not results:
        emit(({"step": p.step, "does": p.does, "why": p.why} for p in done), as_json)


def _results(study: Study, place: StepContext) -> Any:
    """Title, note and rows of each table of a study, else of its comparison."""
    from embedrec.experiments.evaluation_steps import COMPARISON
    from embedrec.experiments.result_tables import TABLES
    from embedrec.storage import artifacts

    steps = {step.name: step for step in study.steps}
    if "tables" in steps:
        for table in artifacts.read(steps["tables"].place(place), "tables").json(TABLES):
            yield table["title"], table["note"], table["rows"]
    elif "compare" in steps:
        yield "", "", artifacts.read(steps["compare"].place(place), "comparison").json(COMPARISON)["rows"]


class Told:
    """A report in words on stderr: a line a step, its progress, and what it says."""

    def __init__(self) -> None:
        self._progress: Any = None

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None

    def __call__(self, event: str, **said: Any) -> None:
        from embedrec.cli.shared.progress_bar import Progress

        if event == "skip":
            note(f"skip {said['step']}: {said['why']}")
        elif event == "begin":
            note(f"run {said['step']}: {said['why']}")
            self._progress = Progress(said["step"]).__enter__()
        elif event == "done":
            self._end()
            note(f"done {said['step']}, {said['seconds']:.1f} s")
        elif event == "note":
            note(said["said"])
        else:
            self._progress(event, **said)
