"""`embedrec report`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedrec.cli.shared.artifacts import find_sessions
from embedrec.cli.shared.evaluation_options import open_task
from embedrec.cli.shared.options import (
    device_option,
    log_option,
    note,
    seed_option,
    threads_option,
    use_threads,
    workspace_option,
)
from embedrec.cli.shared.terminal import command_line
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.html_report.item_map import Method


@click.command(short_help="Write an HTML report on data, models and indexes.")
@click.argument("file", type=click.Path(path_type=Path), default="report.html", metavar="[FILE]")
@click.option("--sessions", metavar="NAME", help="Sessions to report on [default: the latest].")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Models to include [default: all of the same data]; repeatable.",
)
@click.option("--title", metavar="TEXT", help="Title of the report [default: the name of the sessions].")
@click.option(
    "--item",
    "items",
    multiple=True,
    metavar="ITEM",
    help="Show the neighbours of this item, an id or name; repeatable.",
)
@click.option(
    "--label",
    metavar="FEATURE|FILE",
    help="Colour of the points on the map [default: a list feature, else popularity].",
)
@click.option(
    "--map",
    "method",
    type=click.Choice(["auto", "pca", "umap"]),
    default="auto",
    show_default=True,
    help="Projection of the map: principal components or UMAP; auto uses UMAP if it is installed.",
)
@click.option(
    "--compare/--no-compare",
    "compared",
    default=True,
    show_default=True,
    help="Evaluate the models on the held-out part, if the sessions have one.",
)
@click.option(
    "--curves/--no-curves",
    default=True,
    show_default=True,
    help="Measure recall and latency of each index with several search settings.",
)
@seed_option
@log_option
@threads_option
@device_option
@workspace_option
def report(
    file: Path,
    sessions: str | None,
    models: tuple[str, ...],
    title: str | None,
    items: tuple[str, ...],
    label: str | None,
    method: Method,
    compared: bool,
    curves: bool,
    seed: int,
    threads: int,
    device: str,
    workspace: Workspace,
) -> None:
    """Write a self-contained HTML report to FILE: data and popularity skew, comparison of models by user group,
    training curves, indexes, a map of the items, neighbours of example items side by side, and the drift of refreshes.

    \b
    embedrec report
    embedrec report page.html --model word2vec --model svd --item "Daft Punk" --label genres
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.html_report.content import ReportSettings, collect_report
    from embedrec.html_report.page import write_page
    from embedrec.splitting.holdout import has_held_out
    from embedrec.workflows.evaluation_options import LIST_LENGTHS, EvaluationOptions
    from embedrec.workflows.refresh.records import read_refreshes
    from embedrec.workflows.report import compare_for_report, indexes_of, models_of_line
    from embedrec.workflows.train import TrainingOptions

    source = find_sessions(workspace, sessions)
    use_threads(threads)
    if models:
        names = [workspace.find("model", name).name for name in models]
    else:
        included, others = models_of_line(workspace, source)
        names = [artifact.name for artifact in included]
        for other, line in others:
            note(f"model {other} of sessions {line} is left out; --model {other} includes it")
    comparison = None
    if compared and names and has_held_out(source):
        at = tuple(k for k in LIST_LENGTHS if k <= source.about["items"])
        evaluation = EvaluationOptions(at=at, seed=seed)
        task, settings = open_task(workspace, source.name, evaluation)
        training = TrainingOptions(seed=seed, threads=threads, device=device)
        comparison = compare_for_report(workspace, names, task, settings, evaluation, training, stage=Progress)
    with Progress("report") as progress:
        content = collect_report(
            workspace,
            source.name,
            names,
            indexes_of(workspace, names),
            ReportSettings(items, label, method, curves, seed),
            comparison=comparison,
            report=progress,
        )
    content = replace(content, refreshes=read_refreshes(workspace, source.name))
    write_page(file, title or source.name, content, command=command_line())
    note(f"wrote {file}")
