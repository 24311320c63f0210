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
    from embedrec.experiments.step import Experiment, StepContext
    from embedrec.progress import Report


@click.command(short_help="Run a whole experiment.")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--data", metavar="FOLDER", help="Replacement for {data} in CONFIG.")
@click.option("--dry-run", is_flag=True, help="Print what would run, and why, and stop.")
@click.option("--from", "start", metavar="STEP", help="Run this step and all after it, even if nothing changed.")
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
    """Run the experiment in the TOML file CONFIG: prepare, split, train, index, evaluate, compare, export, report.

    A step is skipped if its inputs, settings and program version are those of the last run and its output exists. A
    run that was interrupted resumes. Prints the tables of the experiment, else its comparison, else its steps.

    \b
    embedrec run configs/studies/movielens.toml --data ml-100k/
    embedrec run study.toml --dry-run
    embedrec run study.toml --from compare
    embedrec run study.toml --from "train word2vec"
    """
    from embedrec.cli.shared.json_log import JsonLog
    from embedrec.cli.shared.options import logs_json
    from embedrec.experiments.parse import read_experiment
    from embedrec.experiments.runner import plan, run_experiment, step_context

    log: AbstractContextManager[Report] = nullcontext(JsonLog()) if logs_json() else StepLog()
    with log as report:
        experiment = read_experiment(config, data=data)
        context = step_context(experiment, workspace, threads=threads, device=device)
        if dry_run:
            planned = plan(experiment, context, start=start)
            emit(({"step": p.step, "does": p.does, "why": p.why} for p in planned), as_json)
            return
        use_threads(threads)
        done = run_experiment(experiment, context, start=start, report=report)
    results = list(_results(experiment, context))
    for title, comment, rows in results:
        if title:
            note(f"{title} ({comment})" if comment else title)
        emit(({"table": title, **row} for row in rows) if title and as_json else rows, as_json, header=True)
    if not results:
        emit(({"step": p.step, "does": p.does, "why": p.why} for p in done), as_json)


def _results(experiment: Experiment, context: StepContext) -> Any:
    """Title, note and rows of each table of an experiment, else of its comparison."""
    from embedrec.experiments.evaluation_steps import load_comparison
    from embedrec.experiments.result_tables import TABLES
    from embedrec.storage import artifacts

    steps = {step.id: step for step in experiment.steps}
    if "tables" in steps:
        for table in artifacts.read(steps["tables"].path(context), "tables").json(TABLES):
            yield table["title"], table["note"], table["rows"]
    elif "compare" in steps:
        yield "", "", load_comparison(artifacts.read(steps["compare"].path(context), "comparison"))["rows"]


class StepLog:
    """Reports to stderr: a line per step, its progress, and its messages."""

    def __init__(self) -> None:
        self._progress: Any = None

    def __enter__(self) -> StepLog:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None

    def __call__(self, event: str, **values: Any) -> None:
        from embedrec.cli.shared.progress_bar import Progress

        if event == "skip":
            note(f"skip {values['step']}: {values['why']}")
        elif event == "begin":
            note(f"run {values['step']}: {values['why']}")
            self._progress = Progress(values["step"]).__enter__()
        elif event == "done":
            self._end()
            note(f"done {values['step']}, {values['seconds']:.1f} s")
        elif event == "note":
            note(values["message"])
        else:
            self._progress(event, **values)
